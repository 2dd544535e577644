// Checks of what the dashboard works out by itself: intervals against published figures, axes, pieces of lines, histograms,
// what is kept of the samples, and that the charts say in words what they draw. `node --test tests/dashboard/unit.mjs`
//
// The charts run against a page of a few lines, so that no browser is needed here; run.mjs tries them in a real one.

import assert from "node:assert/strict";
import { test } from "node:test";

class FakeElement {
  /** @param {string} tag */
  constructor(tag) {
    this.tagName = tag;
    /** @type {any[]} */
    this.children = [];
    /** @type {Map<string, string>} */
    this.attributes = new Map();
    /** @type {Map<string, (event: any) => void>} */
    this.handlers = new Map();
    this.clientWidth = 600;
  }
  /** @param {string} name @param {string} value */
  setAttribute(name, value) {
    this.attributes.set(name, value);
  }
  /** @param {string} name */
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }
  /** @param {string} type @param {(event: any) => void} handler */
  addEventListener(type, handler) {
    this.handlers.set(type, handler);
  }
  /** @param {...any} more */
  append(...more) {
    this.children.push(...more);
  }
  replaceChildren() {
    this.children = [];
  }
  get textContent() {
    return this.children.map((/** @type {any} */ one) => (typeof one === "string" ? one : one.textContent)).join("");
  }
  set textContent(value) {
    this.children = [value];
  }
  getBoundingClientRect() {
    return { left: 0 };
  }
  /** @param {string} tag @returns {any[]} */
  all(tag) {
    const below = this.children.flatMap((/** @type {any} */ one) => (one instanceof FakeElement ? one.all(tag) : []));
    return this.tagName === tag ? [this, ...below] : below;
  }
}

/** @type {(() => void)[]} */
const observed = [];
Object.assign(globalThis, {
  Node: FakeElement,
  document: {
    createElement: (/** @type {string} */ tag) => new FakeElement(tag),
    createElementNS: (/** @type {string} */ _space, /** @type {string} */ tag) => new FakeElement(tag),
  },
  ResizeObserver: class {
    /** @param {() => void} act */
    constructor(act) {
      observed.push(act);
    }
    observe() {}
    disconnect() {}
  },
});

const from = (/** @type {string} */ name) => import(`../../src/admin/dashboard/${name}.js`);
const { difference, histograms, quantile, since, wilson } = await from("stats");
const { apart, exponents, linear, nearest, roundedUp, ticks, times } = await from("scale");
const { lineChart, sharedCursor, valueAt } = await from("chart");
const { pieces } = await from("chart-draw");
const { distribution, sharesOf } = await from("distribution");
const { History, MIRROR } = await from("history");
const { placeOf } = await from("decision-parts");
const { moved, signed, stepWords } = await from("words");

/** @param {number} found @param {number} wanted @param {number} [off] */
const near = (found, wanted, off = 5e-5) => assert.ok(Math.abs(found - wanted) <= off, `${found} is not ${wanted}`);

/** Draws what waits for a width, as a browser does after the layout. */
const laidOut = () => observed.splice(0).forEach((act) => act());

test("the interval of Wilson is that of the textbooks", () => {
  // Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
  for (const [hits, of, low, high] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ]) {
    const found = wilson(hits, of);
    near(found.low, low);
    near(found.high, high);
  }
  assert.equal(wilson(20, 20).high, 1);
  assert.equal(wilson(0, 0), null);
  assert.equal(wilson(3, 2), null);
});

test("the interval of a difference is Newcombe's", () => {
  // Newcombe 1998, table II, method 10: 56/70 − 48/80, 9/10 − 3/10, 10/10 − 0/20.
  for (const [a, m, b, n, low, high] of [
    [56, 70, 48, 80, 0.0524, 0.3339],
    [9, 10, 3, 10, 0.1705, 0.809],
    [10, 10, 0, 20, 0.6791, 1],
  ]) {
    const found = difference({ hits: a, of: m }, { hits: b, of: n });
    near(found.low, low);
    near(found.high, high);
    near(found.value, a / m - b / n);
  }
  assert.equal(difference({ hits: 0, of: 0 }, { hits: 0, of: 9 }), null);
});

test("an interval of 95% holds the truth about 95 times of 100", () => {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  let held = 0;
  for (let run = 0; run < 2_000; run += 1) {
    let hits = 0;
    for (let one = 0; one < 200; one += 1) hits += random() < 0.05 ? 1 : 0;
    const found = wilson(hits, 200);
    held += found.low <= 0.05 && 0.05 <= found.high ? 1 : 0;
  }
  assert.ok(held > 1_860 && held < 1_960, `${held} of 2000`);
});

test("histograms come out of the exposition, each bucket by itself", () => {
  const line = (/** @type {string} */ route, /** @type {string} */ le, /** @type {number} */ n) =>
    `andon_request_duration_seconds_bucket{route="${route}",variant="stable",le="${le}"} ${n}`;
  const text = [
    line('a\\"b', "0.1", 3),
    line('a\\"b', "1", 10),
    line('a\\"b', "+Inf", 12),
    line("other", "0.1", 99),
    "# HELP x",
  ].join("\n");
  const found = histograms(text, 'a"b');
  assert.deepEqual([...found], [["stable", { edges: [0.1, 1, Infinity], counts: [3, 7, 2] }]]);
  const one = found.get("stable");
  near(quantile(one.edges, one.counts, 0.25), 0.1);
  assert.equal(quantile(one.edges, one.counts, 0.99), null);
  assert.equal(quantile([1], [0], 0.5), null);
  assert.deepEqual(since({ edges: [1, 2], counts: [5, 6] }, { edges: [1, 2], counts: [2, 6] }).counts, [3, 0]);
  assert.deepEqual(
    since({ edges: [1, 2], counts: [1, 6] }, { edges: [1, 2], counts: [2, 6] }).counts,
    [1, 6],
    "started anew",
  );
  assert.deepEqual(since({ edges: [1], counts: [1] }, undefined).counts, [1]);
});

test("axes have few, round numbers", () => {
  assert.deepEqual(ticks(0, 0.031, 3), [0, 0.02]);
  assert.deepEqual(ticks(0, 100, 4), [0, 25, 50, 75, 100]);
  assert.deepEqual(ticks(5, 5, 3), [5]);
  assert.deepEqual(ticks(0, 7, 3, true), [0, 5]);
  assert.deepEqual(ticks(0, 2, 3, true), [0, 1, 2]);
  assert.equal(roundedUp(0.031, 3), 0.04);
  assert.equal(roundedUp(100, 4), 100);
  assert.deepEqual(exponents(-1, 3.4, 4), [0, 2]);
  assert.deepEqual(exponents(0, 3, 4), [0, 1, 2, 3]);
  for (let high = 1e-7; high < 1e9; high *= 1.37) {
    assert.ok(roundedUp(high, 3) >= high * 0.999, `${high}`);
    assert.ok(ticks(0, roundedUp(high, 3), 3).length <= 6, `${high}`);
  }
  const at = Date.UTC(2026, 0, 31, 9, 0, 7);
  assert.deepEqual(
    times(at, at + 60_000, 4).map((/** @type {number} */ one) => new Date(one).getUTCSeconds()),
    [15, 30, 45, 0],
  );
  assert.equal(linear(0, 10, 100, 200)(5), 150);
  assert.equal(linear(3, 3, 0, 10)(3), 0, "no division by nothing");
});

test("the nearest moment, and labels that keep apart", () => {
  assert.equal(nearest([1, 2, 4, 8], 5), 2);
  assert.equal(nearest([1, 2, 4, 8], 7), 3);
  assert.equal(nearest([1], 99), 0);
  assert.deepEqual(apart([10, 11, 50], 13, 0, 100), [10, 23, 50]);
  assert.deepEqual(apart([99, 98], 13, 0, 100), [100, 87]);
});

test("a line has a gap where nothing was seen", () => {
  const plane = { x: (/** @type {number} */ x) => x, y: (/** @type {number} */ y) => y };
  const lengths = (/** @type {number[]} */ at, /** @type {(number | null)[]} */ values) =>
    pieces(at, values, plane).map((/** @type {any[]} */ one) => one.length);
  assert.deepEqual(lengths([1, 2, 3, 4, 5], [1, 2, null, 4, 5]), [2, 2]);
  assert.deepEqual(lengths([1, 2, 3, 4, 5], [null, null, null, null, null]), []);
  assert.deepEqual(lengths([...Array(20).keys(), 200, 201], Array(22).fill(1)), [20, 2], "the stream was away");
  assert.equal(valueAt({ at: [10, 20, 30], values: [1, 2, 3] }, 22), 2);
  assert.equal(valueAt({ at: [10, 20, 30], values: [1, 2, 3] }, 90), null, "nothing is known of then");
});

/** @param {string} name @param {(number | null)[]} values */
const series = (name, values) => ({
  name,
  className: `of-${name}`,
  at: values.map((_, index) => index * 1000),
  values,
});

test("a chart draws a line each, with its name, its threshold and its marks", () => {
  const chart = lineChart({
    title: "Failed",
    unit: "share",
    series: [series("stable", [0, 0.01, 0]), series("canary", [0, null, 0.5])],
    marks: [{ at: 1000, label: "weight set" }],
    threshold: { value: 0.2, label: "limit" },
  });
  laidOut();
  const element = /** @type {FakeElement} */ (/** @type {unknown} */ (chart.element));
  const paths = element.all("path").filter((one) => (one.getAttribute("class") ?? "").startsWith("line "));
  assert.equal(paths.length, 2);
  assert.equal(paths[1].getAttribute("d").match(/M/g).length, 2, "a gap");
  const texts = element.all("text").map((one) => one.textContent);
  for (const wanted of ["stable", "canary", "weight set", "limit 20%", "40%"])
    assert.ok(texts.includes(wanted), `${wanted} in ${texts}`);
  for (const one of element.all("path")) assert.ok(!/NaN|Infinity/.test(one.getAttribute("d") ?? ""));
  assert.match(element.all("caption")[0].textContent, /Failed; limit: 20%; .*weight set/);
  assert.equal(element.all("tbody")[0].children.length, 3);
});

test("charts share a cursor, which keys move and Escape takes away", () => {
  const cursor = sharedCursor();
  const both = [1, 2].map((n) =>
    lineChart({ title: `chart ${n}`, unit: "count", series: [series("stable", [n, n * 10, n * 100])], cursor }),
  );
  laidOut();
  const plots = both.map((one) =>
    /** @type {any} */ (one.element).all("div").find((/** @type {any} */ two) => two.getAttribute("role") === "slider"),
  );
  const press = (/** @type {string} */ key) => plots[0].handlers.get("keydown")({ key, preventDefault() {} });
  press("Home");
  assert.equal(cursor.at, 0);
  press("ArrowRight");
  assert.equal(cursor.at, 1000);
  assert.match(plots[1].getAttribute("aria-valuetext"), /stable 20$/);
  press("End");
  press("ArrowRight");
  assert.equal(cursor.at, 2000, "not beyond the end");
  press("Escape");
  assert.equal(cursor.at, null);
  plots[0].handlers.get("pointermove")({ clientX: 0 });
  assert.equal(cursor.at, 0);
  both.forEach((one) => one.stop());
  assert.equal(cursor.listeners.size, 0);
});

test("odds are drawn by their powers, also where there are none or too many", () => {
  for (const values of [[], [null], [-3, 0, 400], [0.5]]) {
    const chart = lineChart({
      title: "Odds",
      unit: "odds",
      log: true,
      series: [series("canary", values)],
      threshold: { value: 3, label: "unhealthy" },
    });
    laidOut();
    const element = /** @type {any} */ (chart.element);
    for (const one of [...element.all("path"), ...element.all("line"), ...element.all("text")]) {
      for (const value of one.attributes.values()) assert.ok(!/NaN|Infinity/.test(value), value);
    }
    assert.ok(element.all("text").some((/** @type {any} */ one) => one.textContent === "unhealthy 1,000 : 1"));
  }
});

test("a distribution compares shares, not counts", () => {
  assert.deepEqual(sharesOf([1, 3]), [0.25, 0.75]);
  assert.deepEqual(sharesOf([0, 0]), [0, 0]);
  const chart = distribution({
    title: "How long",
    buckets: [0.001, 0.01, 0.1, Infinity],
    series: [
      { name: "stable", className: "of-stable", counts: [0, 900, 100, 0] },
      { name: "canary", className: "of-canary", counts: [0, 1, 1, 0] },
    ],
  });
  laidOut();
  const rows = /** @type {any} */ (chart.element)
    .all("tbody")[0]
    .children.map((/** @type {any} */ row) => row.textContent);
  assert.ok(rows.includes("1.0 ms to 10.0 ms90%50%"), rows.join("|"));
  chart.update({ buckets: [], series: [] });
});

/** @param {number} requests @param {number} failures */
const seen = (requests, failures) => ({
  seconds: 10,
  requests,
  failures,
  requests_per_second: requests / 10,
  error_ratio: requests ? failures / requests : null,
  in_flight: 0,
  p50_seconds: 0.01,
  p99_seconds: requests ? 0.1 : null,
});

const route = (name = "shop") => ({
  name,
  stable: { upstream: "v1", effective_ppm: 950_000, window: seen(1000, 1) },
  canaries: [
    {
      name: "canary",
      effective_ppm: 50_000,
      window: seen(0, 0),
      verdict: { verdict: "undecided", reason: "", odds_log10: 2.5 },
    },
  ],
  mirror: { share_ppm: 100_000, window: seen(5, 0) },
});

test("the past is kept, in order, and not for ever", () => {
  const kept = new History();
  for (let second = 0; second < 2_000; second += 1) kept.take(route(), second * 1_000);
  const line = kept.series("shop", "canary");
  assert.equal(line.at.length, 900);
  assert.equal(line.at[899], 1_999_000);
  for (const row of Object.values(line)) assert.equal(row.length, 900);
  assert.deepEqual([line.errors[0], line.p99[0], line.share[0], line.evidence[0]], [null, null, 0.05, 2.5]);
  assert.equal(kept.series("shop", "stable").evidence[0], null);
  assert.equal(kept.series("shop", MIRROR).share[0], 0.1);
  kept.take(route(), 1_999_000);
  assert.equal(line.at.length, 900, "the same sample twice");
  kept.take(route(), 5_000);
  assert.deepEqual(line.at, [5_000], "the clock was set back");
  assert.deepEqual(kept.series("nobody", "stable").at, []);
});

test("with very many routes less of each is kept, and none of those that are gone", () => {
  const kept = new History();
  for (let second = 0; second < 200; second += 1)
    for (let n = 0; n < 800; n += 1) kept.take(route(`r${n}`), second * 1_000);
  assert.equal(kept.lines, 2_400);
  assert.equal(kept.series("r5", "stable").at.length, 83);
  kept.forget((/** @type {string} */ name) => name === "r5");
  assert.equal(kept.lines, 3);
  assert.equal(kept.series("r6", "stable").at.length, 0);
});

test("a rule has its place in the file", () => {
  assert.equal(placeOf({ signal: "fast_trip" }, "shop"), "route “shop”: [route.guard] fast_trip");
  assert.equal(placeOf({ signal: "event", limit: { event: "order" } }, "shop"), 'route “shop”: [[route.guard.event]] name = "order"');
  assert.equal(placeOf({ signal: "outside", outside: { name: "orders" } }, "shop"), 'route “shop”: [[route.guard.outside]] name = "orders"');
  assert.equal(placeOf({ signal: "something else" }, "shop"), null);
});

test("words", () => {
  assert.equal(moved({ before_ppm: 50_000, after_ppm: 250_000 }), "5% → 25%");
  assert.equal(moved({ before_ppm: 0, after_ppm: 0 }), "");
  assert.equal(signed(-2, String), "−2");
  assert.equal(signed(0, String), "±0");
  const step = {
    to: "5%",
    to_ppm: 50_000,
    ramp_seconds: 0,
    hold_seconds: 600,
    proof: true,
    approve: false,
    within_seconds: 7200,
  };
  assert.equal(stepWords(step), "holds 10 min, until there is a proof (within 2 h)");
});
