// Parts of the page of a decision: the rule in words, both samples with their intervals, what counted as slow, the readings
// of an outside signal, and what a replay of the record says.

import { h, replace, svg } from "./dom.js";
import { clock, count, duration, odds, percent, seconds } from "./format.js";
import { panel } from "./parts.js";
import { linear, roundedUp, ticks as roundTicks } from "./scale.js";
import { difference } from "./stats.js";
import { signed } from "./words.js";

/** @typedef {import("./types.js").EvidenceJson} EvidenceJson */
/** @typedef {import("./types.js").DecisionJson} DecisionJson */
/** @typedef {import("./types.js").TickJson} TickJson */
/** @typedef {{requests: number, failed: number, failed_ratio: number, failed_ratio_low: number, failed_ratio_high: number, interval_level: number}} Sample */

/**
 * The limit that was passed, as the operator set it.
 * @param {any} evidence
 * @returns {string}
 */
export function ruleOf(evidence) {
  const limit = evidence.limit ?? {};
  const windowed = () => `within ${duration(limit.window_seconds)}, of at least ${count(limit.requests_min)} requests`;
  switch (evidence.signal) {
    case "errors":
      return `odds of ${odds(limit.odds)} (1 / false_alarm) that it fails more often than stable`;
    case "latency":
      return (
        `odds of ${odds(limit.odds)} (1 / false_alarm) that it is slower than ${seconds(limit.canary_slow_seconds)}, which is ` +
        `${limit.factor} times stable’s p${Number((limit.quantile * 100).toFixed(2))} and ${seconds(limit.slack_seconds)}, more often than stable`
      );
    case "event":
      return `odds of ${odds(limit.odds)} that it has “${limit.event}” more than ${limit.factor} times as seldom as stable`;
    case "error_ceiling":
      return `more than ${percent(limit.failed_ratio)} failed ${windowed()}`;
    case "latency_ceiling":
      return (
        `p${Number((limit.quantile * 100).toFixed(2))} above ` +
        `${limit.latency_seconds == null ? `${limit.latency_factor} times stable’s` : seconds(limit.latency_seconds)} ${windowed()}`
      );
    case "fast_trip":
      return (
        `${limit.failures} failures in a row over at least ${duration(limit.span_seconds)}, or ${limit.connect_errors} connections ` +
        `in a row that did not come about, while stable fails at most ${percent(limit.stable_failed_ratio_max)}`
      );
    case "harm_budget":
      return `at most ${count(limit.harm_max)} users may see this canary fail`;
    default:
      return Object.entries(limit)
        .map(([name, value]) => `${name} = ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(", ");
  }
}

/**
 * Where the rule stands in the file: what to search for, and what holds by default if it is not there.
 * @param {any} evidence
 * @param {string} route
 * @returns {string | null}
 */
export function placeOf(evidence, route) {
  const keys = {
    errors: "tolerate, false_alarm",
    latency: "tolerate, percentiles, false_alarm",
    event: `[[route.guard.event]] name = "${evidence.limit?.event}"`,
    error_ceiling: "ceilings",
    latency_ceiling: "ceilings",
    fast_trip: "fast_trip",
    harm_budget: "harm_max",
  }[/** @type {string} */ (evidence.signal)];
  const outside = evidence.outside?.name;
  const key = outside === undefined ? keys : `[[route.guard.outside]] name = "${outside}"`;
  if (key === undefined) return null;
  return `route “${route}”: ${key.startsWith("[") ? key : `[route.guard] ${key}`}`;
}

/**
 * How old the newest data was when it was decided.
 * @param {DecisionJson} decision
 * @param {TickJson[]} ticks
 */
export function age(decision, ticks) {
  const last = ticks[ticks.length - 1];
  const first = ticks[0];
  if (!last || !first) return null;
  const late = (decision.at_ms - last.at_ms) / 1000;
  const newest = late < 0.0005 ? "the newest tick ended as it was decided" : `the newest tick was ${seconds(late)} old`;
  return `${newest}; ${count(ticks.length)} ticks since ${clock(first.at_ms)}`;
}

/** @param {EvidenceJson} found */
export function replayOf({ decision, replayed, note, ticks }) {
  const outside = typeof decision.evidence?.outside === "object";
  const from = outside ? "Worked out again from its readings" : "Replayed from the record";
  const [word, className] =
    replayed === true
      ? [`${from}: the same verdict${outside ? "" : ", bit for bit"}`, "is-good"]
      : replayed === false
        ? [`${from}: NOT the same verdict`, "is-bad"]
        : [
            ticks.length > 0
              ? "Not replayed: this is not decided by odds"
              : "Not replayed: the record holds no ticks for it",
            "is-quiet",
          ];
  return h(
    "p",
    { class: "replay" },
    h("span", { class: `pill ${className}` }, word),
    note ? h("span", { class: "beside" }, note) : null,
  );
}

/** @param {any} evidence */
export function samplesOf(evidence) {
  const unlucky =
    evidence.signal === "latency" || evidence.signal === "latency_ceiling"
      ? "slow"
      : evidence.signal === "event"
        ? "without it"
        : "failed";
  const [canary, stable] = /** @type {[Sample, Sample | undefined]} */ ([evidence.canary, evidence.stable]);
  const { root, body } = panel("Both samples", "of-samples");
  const row = (/** @type {string} */ name, /** @type {string} */ className, /** @type {Sample} */ one) =>
    h(
      "tr",
      null,
      h("th", { scope: "row", class: className }, name),
      h("td", null, count(one.requests)),
      h("td", null, count(one.failed)),
      h("td", null, h("b", null, percent(one.failed_ratio))),
      h("td", null, `${percent(one.failed_ratio_low)} to ${percent(one.failed_ratio_high)}`),
    );
  const level = percent(canary.interval_level ?? 0.95);
  const between =
    stable && difference({ hits: canary.failed, of: canary.requests }, { hits: stable.failed, of: stable.requests });
  const points = (/** @type {number} */ value) => signed(value, (size) => percent(size).replace("%", ""));
  replace(
    body,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Both samples, numbers" },
      h(
        "table",
        { class: "samples" },
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            h("td", null),
            ...["requests", unlucky, "share", `${level} interval`].map((one) => h("th", { scope: "col" }, one)),
          ),
        ),
        h("tbody", null, row("canary", "of-canary", canary), stable ? row("stable", "of-stable", stable) : null),
      ),
    ),
    stable
      ? whiskers([
          ["canary", "of-canary", canary],
          ["stable", "of-stable", stable],
        ])
      : null,
    between
      ? h(
          "p",
          { class: "chart-note" },
          `The canary’s share is ${points(between.value)} points off stable’s (${points(between.low)} to ${points(between.high)}, ` +
            "Newcombe, 95%, as if looked at once). The intervals above are Andon’s own: they hold at every look.",
        )
      : null,
  );
  return root;
}

/**
 * Two shares with their intervals on one axis.
 * @param {[string, string, Sample][]} rows
 */
function whiskers(rows) {
  const high = roundedUp(Math.max(0.01, ...rows.map(([, , one]) => one.failed_ratio_high)), 4);
  const [width, left, right, step] = [480, 54, 462, 24];
  const x = linear(0, high, left, right);
  const bottom = rows.length * step + 8;
  const group = svg("g", { class: "chart-axis" });
  for (const level of roundTicks(0, high, 4)) {
    const at = Math.round(x(level)) + 0.5;
    group.append(
      svg("line", { x1: at, x2: at, y1: 4, y2: bottom, class: level === 0 ? "base" : "grid" }),
      svg("text", { x: at, y: bottom + 14, "text-anchor": "middle" }, percent(level)),
    );
  }
  const lines = rows.map(([name, className, one], index) => {
    const y = index * step + 18;
    const [from, to] = [x(one.failed_ratio_low), x(one.failed_ratio_high)];
    return svg(
      "g",
      { class: `whisker ${className}` },
      svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, name),
      svg("path", { d: `M${from} ${y - 5}v10M${from} ${y}H${to}M${to} ${y - 5}v10` }),
      svg("circle", { cx: x(one.failed_ratio), cy: y, r: 4.5 }),
    );
  });
  const label = rows.map(
    ([name, , one]) =>
      `${name} ${percent(one.failed_ratio)}, ${percent(one.failed_ratio_low)} to ${percent(one.failed_ratio_high)}`,
  );
  return svg(
    "svg",
    { class: "whiskers", viewBox: `0 0 ${width} ${bottom + 20}`, role: "img", "aria-label": label.join("; ") },
    group,
    ...lines,
  );
}

/**
 * What counted as slow at the end: of stable its own percentiles, of the canary what is tolerated beside them.
 * @param {TickJson[]} ticks
 */
export function latencyMarks(ticks) {
  const marks = [...ticks].reverse().find((tick) => tick.marks.length > 0)?.marks ?? [];
  if (marks.length === 0) return null;
  const { root, body } = panel("What counted as slow", "of-marks");
  const most = Math.max(...marks.map((one) => one.canary_slow_seconds));
  const bar = (/** @type {number} */ value, /** @type {string} */ className) =>
    h(
      "td",
      null,
      h("span", { class: "number" }, seconds(value)),
      h("meter", { class: className, min: 0, max: most, value, "aria-hidden": "true" }),
    );
  replace(
    body,
    h(
      "table",
      { class: "marks" },
      h(
        "thead",
        null,
        h("tr", null, ...["at", "stable is slow from", "the canary from"].map((one) => h("th", { scope: "col" }, one))),
      ),
      h(
        "tbody",
        null,
        ...marks.map((one) =>
          h(
            "tr",
            null,
            h("th", { scope: "row" }, `p${Number((one.quantile * 100).toFixed(2))}`),
            bar(one.stable_slow_seconds, "of-stable"),
            bar(one.canary_slow_seconds, "of-canary"),
          ),
        ),
      ),
    ),
    h(
      "p",
      { class: "chart-note" },
      "The record keeps these marks and how many requests were beyond them; it keeps no histograms.",
    ),
  );
  return root;
}

/** @param {{name: string, asked: string, asked_of_stable?: string | null, failures: number, readings: {at_ms: number, canary: number, stable?: number | null}[]}} outside */
export function readingsOf(outside) {
  const { root, body } = panel("Readings", "of-readings");
  const number = (/** @type {number | null | undefined} */ value) =>
    value == null ? "–" : value.toLocaleString("en-GB", { maximumSignificantDigits: 5 });
  replace(
    body,
    h("p", null, `Outside signal “${outside.name}”: `, h("code", null, outside.asked)),
    h(
      "table",
      { class: "readings" },
      h("thead", null, h("tr", null, ...["when", "canary", "stable"].map((one) => h("th", { scope: "col" }, one)))),
      h(
        "tbody",
        null,
        ...outside.readings.map((one) =>
          h(
            "tr",
            null,
            h("th", { scope: "row" }, clock(one.at_ms)),
            h("td", null, number(one.canary)),
            h("td", null, number(one.stable)),
          ),
        ),
      ),
    ),
    h("p", { class: "chart-note" }, `${outside.failures} in a row make the canary unhealthy.`),
  );
  return root;
}

/** @param {Record<string, any>} judge */
export function judgeOf(judge) {
  const { root, body } = panel("Judged by", "of-judge");
  const said = (/** @type {any} */ value) => {
    if (Array.isArray(value))
      return value.map((one) => (typeof one === "object" ? inline(one) : String(one))).join(", ") || "none";
    return value !== null && typeof value === "object" ? inline(value) : String(value);
  };
  replace(
    body,
    h(
      "details",
      null,
      h("summary", null, "The numbers of [route.guard] that were in force"),
      h(
        "dl",
        { class: "facts" },
        ...Object.entries(judge).map(([name, value]) =>
          h("div", null, h("dt", null, name), h("dd", null, h("code", null, said(value)))),
        ),
      ),
    ),
  );
  return root;
}

/** @param {Record<string, any>} table */
function inline(table) {
  return Object.entries(table)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");
}
