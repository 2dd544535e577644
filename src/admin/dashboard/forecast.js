// How long until a harm would be seen: for a weight and a share of failures, with the traffic of just now, as Andon plays
// some hundred releases. Over several weights as a chart, and the smallest harm that would be seen at all.

import { ApiError, get } from "./api.js";
import { lineChart, sharedCursor } from "./chart.js";
import { h, replace } from "./dom.js";
import { count, duration, percent, ppm, rate } from "./format.js";
import { live } from "./live.js";
import { panel, quiet, to, trouble } from "./parts.js";

/** @typedef {import("./types.js").ForecastJson} ForecastJson */
/** @typedef {import("./types.js").HarmJson} HarmJson */
/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").SpreadJson} SpreadJson */
/** @typedef {{weight: string, worse: string, within: string, canary: string}} Asked */

const TRIES = 5;
const RETRY_MS = 1_500;
const WEIGHTS = [1, 2, 5, 10, 25, 50];
const WITHIN = ["10m", "1h", "6h", "24h"];

/**
 * @param {Element} main
 * @param {string[]} params
 * @returns {() => void}
 */
export function render(main, params) {
  const name = params[0] ?? "";
  document.title = `Forecast for ${name} – Andon`;
  let isOn = true;
  /** @type {Forecast | null} */
  let page = null;
  const begin = (/** @type {RouteJson} */ route) => {
    if (isOn) page = new Forecast(main, route);
  };
  const known = live.routes.get(name);
  if (known) begin(known);
  else
    get(`routes/${encodeURIComponent(name)}`).then(
      begin,
      (error) => isOn && replace(main, trouble(error, "No forecast")),
    );
  return () => {
    isOn = false;
    page?.stop();
  };
}

class Forecast {
  /**
   * @param {Element} main
   * @param {RouteJson} route
   */
  constructor(main, route) {
    this.name = route.name;
    this.asked = 0;
    this.fields = fieldsOf(route.canaries);
    this.answer = panel("What would happen", "of-answer");
    this.charts = panel("At other weights", "of-charts");
    this.answer.body.setAttribute("aria-live", "polite");
    const { delay, failed, note } = chartsOf();
    this.delay = delay;
    this.failed = failed;
    this.charts.body.append(h("div", { class: "charts" }, delay.element, failed.element), note);
    const form = formOf(this.fields, route.canaries.length > 1);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.ask();
    });
    replace(
      main,
      h(
        "header",
        { class: "place-head" },
        h("p", { class: "crumbs" }, h("a", { href: to("route", route.name) }, route.name), " / forecast"),
        h("div", { class: "page-title" }, h("h1", { tabindex: -1 }, "How soon would a bad canary be seen?")),
        form,
      ),
      h("div", { class: "forecast-page" }, this.answer.root, this.charts.root),
    );
    void this.ask();
  }

  stop() {
    this.asked += 1;
    this.delay.stop();
    this.failed.stop();
  }

  /** One question after another: each plays hundreds of releases. */
  async ask() {
    this.asked += 1;
    const mine = this.asked;
    const asked = {
      weight: share(this.fields.weight.value),
      worse: share(this.fields.worse.value),
      within: this.fields.within.value,
      canary: this.fields.canary.value,
    };
    this.charts.root.hidden = false;
    replace(this.answer.body, quiet("Andon plays some hundred releases…"));
    this.answer.body.setAttribute("aria-busy", "true");
    /** @type {{weight: number, found: ForecastJson}[]} */
    const seen = [];
    try {
      const found = await this.one(asked);
      if (mine !== this.asked) return;
      replace(this.answer.body, ...answerOf(found));
      this.charts.root.hidden = Boolean(found.undecided);
      if (found.undecided) return;
      seen.push({ weight: found.weight_ppm / 10_000, found });
      this.draw(seen, found);
      for (const weight of WEIGHTS.filter((one) => one * 10_000 !== found.weight_ppm)) {
        seen.push({ weight, found: await this.one({ ...asked, weight: `${weight}%` }) });
        if (mine !== this.asked) return;
        this.draw(seen, found);
      }
    } catch (error) {
      if (seen.length === 0) this.charts.root.hidden = true;
      if (mine === this.asked)
        replace(
          seen.length > 0 ? this.answer.body.appendChild(h("div")) : this.answer.body,
          trouble(error, "No forecast"),
        );
    } finally {
      if (mine === this.asked) this.answer.body.removeAttribute("aria-busy");
    }
  }

  /**
   * @param {Asked} asked
   * @returns {Promise<ForecastJson>}
   */
  one(asked) {
    const query = [
      `weight=${encodeURIComponent(asked.weight)}`,
      `worse=${encodeURIComponent(asked.worse)}`,
      `within=${asked.within}`,
    ];
    if (asked.canary) query.push(`canary=${encodeURIComponent(asked.canary)}`);
    return patiently(`routes/${encodeURIComponent(this.name)}/forecast?${query.join("&")}`);
  }

  /**
   * @param {{weight: number, found: ForecastJson}[]} seen
   * @param {ForecastJson} asked
   */
  draw(seen, asked) {
    const sorted = [...seen].filter((one) => one.weight > 0).sort((a, b) => a.weight - b.weight);
    const at = sorted.map((one) => one.weight);
    const values = (/** @type {(harm: HarmJson) => number | null | undefined} */ pick, log = false) =>
      sorted.map(({ found }) => {
        const value = found.harms[0] ? (pick(found.harms[0]) ?? null) : null;
        return value === null ? null : log ? Math.log10(Math.max(value, 0.1)) : value;
      });
    const line = (/** @type {"delay_seconds" | "failed_requests"} */ key, /** @type {boolean} */ log) => ({
      name: `fails ${percent(asked.harms[0]?.worse_ratio)}`,
      className: "of-canary",
      at,
      values: values((harm) => harm[key].median, log),
      band: {
        low: values((harm) => harm[key].low, log),
        high: values((harm) => (harm[key].median == null ? null : (harm[key].high ?? harm[key].median)), log),
      },
    });
    const weight = asked.weight_ppm / 10_000;
    const marks = weight > 0 ? [{ at: weight, label: "asked", title: "the weight that was asked for" }] : [];
    const span = { from: Math.min(1, ...at), to: Math.max(50, ...at), marks };
    this.delay.update({ ...span, series: [line("delay_seconds", true)] });
    this.failed.update({ ...span, series: [line("failed_requests", false)] });
  }
}

/**
 * Few forecasts are worked out at a time. Where there are too many, such as one of the page before, it is asked again.
 * @param {string} path
 * @returns {Promise<ForecastJson>}
 */
async function patiently(path) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await get(path);
    } catch (error) {
      if (left <= 1 || !(error instanceof ApiError) || error.status !== 503) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** @param {import("./types.js").CanaryJson[]} canaries */
function fieldsOf(canaries) {
  const aim = canaries[0]?.aim_ppm ?? 0;
  const common = { inputmode: "decimal", autocomplete: "off", size: 8, required: true };
  return {
    weight: h("input", { ...common, id: "at-weight", value: aim > 0 ? ppm(aim) : "5%" }),
    worse: h("input", { ...common, id: "worse", value: "5%" }),
    within: h(
      "select",
      { id: "within" },
      ...WITHIN.map((one) => h("option", { value: one, selected: one === "1h" }, one)),
    ),
    canary: h("select", { id: "which" }, ...canaries.map((one) => h("option", { value: one.name }, one.name))),
  };
}

/**
 * @param {ReturnType<typeof fieldsOf>} fields
 * @param {boolean} isMany there are several canaries
 */
function formOf({ weight, worse, within, canary }, isMany) {
  return h(
    "form",
    { class: "tools" },
    isMany ? h("label", { for: "which" }, "For ", canary) : null,
    h("label", { for: "at-weight" }, isMany ? "at a weight of " : "At a weight of ", weight),
    h("label", { for: "worse" }, "a canary that fails ", worse),
    h("label", { for: "within" }, "within ", within),
    h("button", { type: "submit", class: "primary" }, "Forecast"),
  );
}

function chartsOf() {
  const cursor = sharedCursor();
  const show = (/** @type {number} */ x) => `${Number(x.toPrecision(3))}%`;
  const across = { label: "weight", ticks: WEIGHTS, show, log: true };
  const common = { cursor, across, from: 1, to: 50, series: [], empty: "playing releases…", height: 210 };
  const note =
    "The line is the middle of the releases that Andon played, the band holds 9 of 10. Where there is no line, it is seen " +
    "too seldom in time.";
  return {
    delay: lineChart({ ...common, title: "Time until it is taken back", unit: "delay", log: true }),
    failed: lineChart({ ...common, title: "Failed requests of the canary by then", unit: "count" }),
    note: h("p", { class: "chart-note" }, note),
  };
}

/**
 * "5" is 5%.
 * @param {string} text
 */
function share(text) {
  const trimmed = text.trim().replace(",", ".");
  return /^[0-9.]+$/.test(trimmed) ? `${trimmed}%` : trimmed;
}

/** @param {ForecastJson} found */
function answerOf(found) {
  const traffic =
    `${ppm(found.weight_ppm)} of ${rate(found.requests_per_second)} requests/s, that is ${rate(found.canary_requests_per_second)}/s ` +
    `to the canary; stable fails ${percent(found.base_ratio)}.`;
  if (found.undecided)
    return [
      h("p", { class: "lead" }, `Nothing can be told: ${found.undecided}.`),
      h("p", { class: "beside" }, traffic),
    ];
  const smallest = found.smallest_seen;
  const needed = found.weight_needed;
  return [
    ...found.harms.map((harm) => h("p", { class: "lead" }, harmWords(harm, found))),
    h(
      "ul",
      { class: "tellings" },
      smallest
        ? h(
            "li",
            null,
            "Smallest harm that is seen in 9 of 10 releases within ",
            found.within,
            ": ",
            h("b", null, smallest.ratio == null ? "none" : `${percent(smallest.ratio)} failures`),
            ".",
          )
        : null,
      needed
        ? h(
            "li",
            null,
            `To see ${percent(needed.worse_ratio)} failures within ${found.within} in 9 of 10 releases, `,
            needed.weight
              ? [h("b", null, needed.weight), " of the traffic would do."]
              : "no share of the traffic would do.",
          )
        : null,
      found.blind_spot
        ? h(
            "li",
            { class: "is-waiting" },
            h("b", null, "Blind spot: "),
            `at this weight even ${percent(found.blind_spot.worse_ratio)} failures go unseen; `,
            found.blind_spot.weight ? `${found.blind_spot.weight} would do.` : "no share would do.",
          )
        : null,
      found.acts
        ? null
        : h("li", { class: "is-waiting" }, "This guard only watches: it would notice, and not take the canary back."),
    ),
    h(
      "p",
      { class: "chart-note" },
      `With the traffic of just now: ${traffic} From ${count(found.harms[0]?.runs ?? 0)} played releases.`,
    ),
  ];
}

/**
 * @param {HarmJson} harm
 * @param {ForecastJson} found
 */
function harmWords(harm, found) {
  const start = `A canary that fails ${percent(harm.worse_ratio)} of its requests`;
  const { delay_seconds: delay, failed_requests: failed } = harm;
  if (delay.median == null) {
    const often =
      harm.seen_ratio === 0
        ? `is not seen within ${found.within}`
        : `is seen within ${found.within} in ${percent(harm.seen_ratio)} of the releases only`;
    return [start, " ", h("b", null, often), "."];
  }
  return [
    start,
    ` is ${found.acts ? "taken back" : "noticed"} after `,
    h("b", null, duration(delay.median)),
    ` (${between(delay, duration)}), and by then `,
    h("b", null, `${count(failed.median)} of its requests`),
    ` have failed (${between(failed, count)}).`,
  ];
}

/**
 * @param {SpreadJson} spread
 * @param {(value: number) => string} shown
 */
function between({ low, high }, shown) {
  const from = low == null ? "?" : shown(low);
  return high == null ? `${from} or more` : `${from} to ${shown(high)}`;
}
