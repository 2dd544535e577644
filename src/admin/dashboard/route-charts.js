// The charts of a route: failures, latency, shares and evidence since the page opened, under one cursor, with marks where
// something was decided; and how long answers took, of the variants over each other.

import { lineChart, sharedCursor } from "./chart.js";
import { distribution } from "./distribution.js";
import { h, setText } from "./dom.js";
import { duration } from "./format.js";
import { MIRROR, history } from "./history.js";
import { live } from "./live.js";
import { panel, repeat, runs } from "./parts.js";
import { limits } from "./route-verdict.js";
import { histograms, since } from "./stats.js";
import { actionSaid, moved } from "./words.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").DecisionJson} DecisionJson */
/** @typedef {import("./chart.js").Series} Series */
/** @typedef {import("./history.js").Line} Line */
/** @typedef {import("./stats.js").Histogram} Histogram */
/** @typedef {{name: string, variant: string, className: string, dashed: boolean, line: Line}} Seen */

const HISTOGRAM_EVERY_MS = 5_000;
/** Histograms are compared with those of so long ago. */
const HISTOGRAM_SPAN_MS = 300_000;
/** The axis is at least so long, so that the first seconds do not fill it. */
const SPAN_MIN_MS = 60_000;

/** @param {string} name of the route */
export function chartsOf(name) {
  const cursor = sharedCursor();
  const empty = "the first sample comes within a second";
  const common = { series: [], cursor, empty };
  const errors = lineChart({ ...common, title: "Failed requests", unit: "share" });
  const p99 = lineChart({ ...common, title: "Latency, p99", unit: "seconds" });
  const share = lineChart({ ...common, title: "Share of requests", unit: "share" });
  const evidence = lineChart({ ...common, title: "Odds that the canary is worse", unit: "odds", log: true });
  const spread = spreadOf(name);
  const span = h("span", { class: "beside" });
  const { root, body } = panel("Since this page opened", "of-charts");
  root.querySelector("h2")?.append(" ", span);
  body.append(h("div", { class: "charts" }, errors.element, p99.element, share.element, evidence.element));
  body.append(spread.element);
  return {
    element: root,
    start() {
      const end = repeat(spread.read, HISTOGRAM_EVERY_MS);
      return () => {
        end();
        for (const one of [errors, p99, share, evidence, spread]) one.stop();
      };
    },
    /**
     * @param {RouteJson} route
     * @param {import("./route-verdict.js").Guard} guard
     * @param {DecisionJson[]} decisions
     */
    update(route, guard, decisions) {
      const seen = linesOf(route);
      const to = Math.max(live.sample?.at_ms ?? 0, ...seen.map((one) => one.line.at[one.line.at.length - 1] ?? 0));
      const first = Math.min(...seen.map((one) => one.line.at[0] ?? to));
      const from = Math.min(first, to - SPAN_MIN_MS);
      const axis = { from, to, marks: marksOf(decisions, from) };
      const of = (/** @type {(line: Line) => (number | null)[]} */ pick) => (/** @type {Seen} */ one) =>
        series(one, pick(one.line));
      const served = seen.filter((one) => one.variant !== MIRROR);
      errors.update({
        ...axis,
        series: served.map((one) => ({ ...of((line) => line.errors)(one), band: intervalOf(one.line) })),
        most: 0.002,
      });
      p99.update({
        ...axis,
        series: seen
          .filter((one) => one.variant !== MIRROR || one.line.p99.some((value) => value !== null))
          .map(of((line) => line.p99)),
      });
      share.update({
        ...axis,
        series: served.slice(1).map((one) => ({ ...of((line) => line.share)(one), stepped: true })),
        most: 0.1,
      });
      const { abort, hold } = limits(guard);
      const thresholds = [
        { value: Math.log10(abort), label: "unhealthy", className: "is-bad" },
        { value: Math.log10(hold), label: "held", className: "is-waiting" },
      ];
      evidence.update({ ...axis, thresholds, series: served.slice(1).map(of((line) => line.evidence)) });
      for (const one of [share, evidence]) one.element.hidden = route.canaries.length === 0;
      setText(span, to > first ? duration((to - first) / 1000) : "");
    },
  };
}

/** @param {number} index */
function canaryClass(index) {
  return index === 0 ? "of-canary" : `of-canary of-canary-${index + 1}`;
}

/**
 * The interval of a share, where anything failed: around nothing it says only how few requests there were.
 * @param {Line} line
 */
function intervalOf({ errors, low, high }) {
  const some = (/** @type {(number | null)[]} */ row) =>
    row.map((value, index) => ((errors[index] ?? 0) > 0 ? value : null));
  return { low: some(low), high: some(high) };
}

/**
 * @param {RouteJson} route
 * @returns {Seen[]} stable first
 */
function linesOf(route) {
  const one = (
    /** @type {string} */ name,
    /** @type {string} */ variant,
    /** @type {string} */ className,
    dashed = false,
  ) => ({
    name,
    variant,
    className,
    dashed,
    line: history.series(route.name, variant),
  });
  return [
    one("stable", "stable", "of-stable", true),
    ...route.canaries.map((canary, index) => one(canary.name, canary.name, canaryClass(index))),
    ...(route.mirror ? [one("copies", MIRROR, "of-mirror", true)] : []),
  ];
}

/**
 * @param {Seen} seen
 * @param {(number | null)[]} values
 * @returns {Series}
 */
function series({ name, className, dashed, line }, values) {
  return { name, className, dashed, at: line.at, values };
}

/**
 * @param {DecisionJson[]} decisions
 * @param {number} from
 */
function marksOf(decisions, from) {
  const begun = runs(decisions.filter((one) => one.at_ms >= from)).flatMap((run) => run.slice(-1));
  return begun.reverse().map((one) => {
    const said = actionSaid(one.action);
    const move = moved(one);
    return {
      at: one.at_ms,
      label: said.word,
      title: `${said.word}${move ? ` ${move}` : ""}`,
      className: said.className,
    };
  });
}

/**
 * How long answers took lately, out of the histograms of /metrics. The API has no histograms of its own.
 * @param {string} name
 */
function spreadOf(name) {
  const chart = distribution({ title: "How long answers took", buckets: [], series: [] });
  chart.element.hidden = true;
  /** @type {{at: number, found: Map<string, Histogram>}[]} */
  const readings = [];
  const read = async () => {
    // The text may be late as well, behind a head that was not. The next reading comes soon.
    const text = await fetch("metrics", { credentials: "same-origin", signal: AbortSignal.timeout(5_000) })
      .then((answer) => (answer.ok ? answer.text() : null))
      .catch(() => null);
    if (text === null) return;
    const found = histograms(text, name);
    const now = Date.now();
    // Counters that have fallen are those of another process.
    const before = readings[readings.length - 1]?.found;
    if ([...found].some(([variant, one]) => total(one) < total(before?.get(variant)))) readings.length = 0;
    readings.push({ at: now, found });
    while (readings.length > 2 && now - (readings[1]?.at ?? now) > HISTOGRAM_SPAN_MS) readings.shift();
    const older = readings.length > 1 ? readings[0] : undefined;
    const canaries = (live.routes.get(name)?.canaries ?? []).map((one) => one.name);
    draw(chart, canaries, found, older?.found, older ? (now - older.at) / 1000 : null);
  };
  return { element: chart.element, read, stop: chart.stop };
}

/** @param {Histogram | undefined} one */
function total(one) {
  return one?.counts.reduce((sum, n) => sum + n, 0) ?? 0;
}

/**
 * @param {ReturnType<typeof distribution>} chart
 * @param {string[]} canaries
 * @param {Map<string, Histogram>} found
 * @param {Map<string, Histogram> | undefined} older
 * @param {number | null} span
 */
function draw(chart, canaries, found, older, span) {
  const variants = [...found].map(([variant, one]) => ({ variant, one: since(one, older?.get(variant)) }));
  // Metrics remember canaries of other names, too.
  const known = ["stable", "mirror", ...canaries];
  const there = variants.filter(({ variant, one }) => known.includes(variant) && one.counts.some((n) => n > 0));
  const first = there[0]?.one;
  chart.element.hidden = !first;
  if (!first) return;
  chart.update({
    buckets: first.edges,
    series: there.map(({ variant, one }) => ({
      name: variant === "stable" || canaries.includes(variant) ? variant : "copies",
      className:
        variant === "stable"
          ? "of-stable"
          : canaries.includes(variant)
            ? canaryClass(canaries.indexOf(variant))
            : "of-mirror",
      dashed: !canaries.includes(variant),
      isFilled: variant === "stable",
      counts: one.counts,
    })),
    note:
      `Share of a variant’s requests in each bucket of /metrics, ${span === null ? "since Andon started" : `of the last ${duration(span)}`}; ` +
      "the legend has how many.",
  });
}
