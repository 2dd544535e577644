// What the immune system says of a route, in words: the verdict of each canary with what its signals would say alone, the
// numbers that others know, and the cord.

import { h, replace } from "./dom.js";
import { duration, odds, seconds } from "./format.js";
import { badge, facts, keyed, moment, to } from "./parts.js";
import { signalName, verdictSaid } from "./words.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").CanaryJson} CanaryJson */
/** @typedef {import("./types.js").OutsideJson} OutsideJson */
/** @typedef {{false_alarm?: number, hold_at?: number, on_unhealthy?: string}} Guard as the file says it */

/** The defaults of `[route.guard]`. */
const FALSE_ALARM = 0.001;
const HOLD_AT = 20;

/** @param {Guard} guard */
export function limits(guard) {
  return { abort: 1 / (guard.false_alarm ?? FALSE_ALARM), hold: guard.hold_at ?? HOLD_AT };
}

/**
 * The state of a route in one word and one sentence: the worst that is to be said.
 * @param {RouteJson} route
 * @returns {{word: string, className: string, sentence: string}}
 */
export function ruling(route) {
  if (route.cord) return { word: "cord pulled", className: "is-bad", sentence: "Every canary of this route gets 0%." };
  if (route.deny) return { word: "denied", className: "is-quiet", sentence: "Requests of this route are refused." };
  const [first] = route.canaries;
  if (!first)
    return {
      word: "no canary",
      className: "is-quiet",
      sentence: `${route.stable?.upstream ?? "Nobody"} serves everyone.`,
    };
  const worst =
    route.canaries.find((one) => one.verdict.verdict === "unhealthy") ??
    route.canaries.find((one) => one.back_off || one.verdict.holds) ??
    route.canaries.find((one) => one.effective_ppm > 0) ??
    first;
  const said = verdictSaid(worst.verdict.verdict);
  const sentence = `${worst.upstream} gets ${worst.effective} of the requests, ${route.stable?.upstream ?? "nobody"} the rest.`;
  if (worst.verdict.verdict !== "unhealthy" && worst.back_off)
    return { word: "ceiling cut", className: "is-waiting", sentence: `${worst.name}: ${worst.back_off.sentence}` };
  if (worst.verdict.holds && worst.verdict.verdict !== "unhealthy")
    return { word: "nothing rises", className: "is-waiting", sentence };
  return { ...said, sentence };
}

/**
 * @param {HTMLElement} element
 * @param {RouteJson} route
 */
export function drawCord(element, route) {
  element.hidden = !route.cord && !route.unsaved;
  keyed(element, [route.cord, route.unsaved], () => {
    const { cord } = route;
    const store =
      route.unsaved &&
      h(
        "p",
        { class: "trouble is-waiting" },
        h("b", null, "Not stored yet: "),
        "the store does not take what is in force; Andon keeps trying.",
      );
    if (!cord) return [store || null];
    return [
      h(
        "div",
        { class: "cord-said is-bad" },
        h("b", null, "The cord is pulled. "),
        `By ${cord.by}, `,
        moment(cord.at_ms),
        ". Nothing rises until it is reset. ",
        h("a", { href: to("decision", cord.decision) }, "The evidence"),
        h("p", null, cord.why),
      ),
      store || null,
    ];
  });
}

/**
 * @param {HTMLElement} body
 * @param {RouteJson} route
 * @param {Guard} guard
 */
export function drawVerdicts(body, route, guard) {
  if (body.children.length !== route.canaries.length)
    replace(body, ...route.canaries.map(() => h("div", { class: "verdict" })));
  route.canaries.forEach((canary, index) => {
    const place = /** @type {HTMLElement} */ (body.children[index]);
    const { verdict, back_off } = canary;
    keyed(place, [canary.name, verdict, back_off, guard], () => [
      h(
        "div",
        { class: "verdict-said" },
        h(
          "p",
          null,
          badge(verdictSaid(verdict.verdict)),
          " ",
          h("b", null, canary.name),
          ` beside ${verdict.compared_with ?? "stable"}`,
          verdict.holds && verdict.verdict !== "unhealthy"
            ? h("span", { class: "pill is-waiting" }, "held: nothing rises")
            : null,
        ),
        h("p", { class: "reason" }, verdict.reason),
        back_off ? h("p", { class: "reason is-waiting" }, `ceiling cut: ${back_off.sentence}`) : null,
      ),
      ladder(canary, guard),
      (verdict.outside ?? []).length > 0 ? outsideOf(verdict.outside ?? []) : null,
    ]);
  });
}

/**
 * Each signal with its odds, as a bar up to where the canary is unhealthy.
 * @param {CanaryJson} canary
 * @param {Guard} guard
 */
function ladder({ verdict }, guard) {
  const { abort, hold } = limits(guard);
  const all = [
    { signal: "all that act", odds: verdict.odds, odds_log10: verdict.odds_log10 },
    ...(verdict.signals ?? []),
  ];
  return h(
    "table",
    { class: "ladder" },
    h(
      "caption",
      null,
      `Odds against chance that the canary is worse; held from ${odds(hold)}, unhealthy from ${odds(abort)}`,
    ),
    h(
      "tbody",
      null,
      ...all.map((one) => {
        const power = one.odds_log10 ?? null;
        const state =
          power === null
            ? "is-quiet"
            : power >= Math.log10(abort)
              ? "is-bad"
              : power >= Math.log10(hold)
                ? "is-waiting"
                : "is-quiet";
        const meter = h("meter", {
          class: state,
          min: 0,
          max: Math.log10(abort),
          value: Math.max(0, power ?? 0).toFixed(3),
          "aria-hidden": "true",
        });
        const word = state === "is-bad" ? "worse" : state === "is-waiting" ? "suspicious" : "";
        return h(
          "tr",
          { class: state },
          h("th", { scope: "row" }, signalName(one.signal)),
          h("td", null, odds(one.odds)),
          h("td", { class: "bar" }, meter),
          h("td", { class: "beside" }, word),
        );
      }),
    ),
  );
}

/** @type {Record<string, {word: string, className: string}>} */
const OUTSIDE = {
  undecided: { word: "undecided", className: "is-quiet" },
  good: { word: "good", className: "is-good" },
  bad: { word: "bad, not often enough yet", className: "is-waiting" },
  failing: { word: "failing", className: "is-bad" },
};

/** @param {OutsideJson[]} signals */
function outsideOf(signals) {
  const number = (/** @type {number} */ value) => value.toLocaleString("en-GB", { maximumSignificantDigits: 4 });
  return [
    h("h3", { class: "outside-title" }, "Numbers that others know"),
    h(
      "ul",
      { class: "outside" },
      ...signals.map((one) =>
        h(
          "li",
          null,
          h(
            "p",
            null,
            h("b", null, one.name),
            badge(OUTSIDE[one.state] ?? { word: one.state, className: "is-quiet" }),
            one.acts ? null : h("span", { class: "beside" }, "only watches"),
            one.bad > 0 ? h("span", { class: "beside" }, `${one.bad} of ${one.failures} bad readings in a row`) : null,
          ),
          h(
            "p",
            null,
            one.value == null ? null : h("span", { class: "move" }, number(one.value)),
            one.stable == null ? null : ` beside stable’s ${number(one.stable)}`,
            one.wanted
              ? h("span", { class: "beside" }, `${one.value == null ? "" : ", "}${one.wanted} is wanted`)
              : null,
            one.age_seconds == null ? null : h("span", { class: "beside" }, `, ${duration(one.age_seconds)} old`),
          ),
          one.missing ? h("p", { class: "beside" }, one.missing) : null,
          one.asked ? h("code", { class: "asked" }, one.asked) : null,
        ),
      ),
    ),
  ];
}

/**
 * The drill under way, or the last one.
 * @param {NonNullable<RouteJson["drill"]>} drill
 */
export function drillOf(drill) {
  const ends = /** @type {Record<string, string>} */ ({
    back_off: "the canary was backed off",
    time: "its time was over, and the canary was not backed off",
    stopped: "somebody stopped it",
    overtaken: "something else was decided meanwhile",
  });
  return facts([
    [
      "state",
      drill.ended ? `ended: ${ends[drill.ended] ?? drill.ended}` : h("span", { class: "pill is-waiting" }, "goes on"),
    ],
    ["of", `${drill.share} of ${drill.canary}’s requests fail on purpose; stable answers them`],
    ["by", `${drill.by}: ${drill.why}`],
    ["when", h("a", { href: to("decision", drill.decision) }, moment(drill.at_ms))],
    ["failed on purpose", String(drill.injected)],
    ["backed off after", drill.back_off_seconds == null ? null : seconds(drill.back_off_seconds)],
    [
      "last request after",
      drill.last_request_seconds == null
        ? null
        : drill.last_request_seconds < 0.0005
          ? "at once"
          : seconds(drill.last_request_seconds),
    ],
  ]);
}
