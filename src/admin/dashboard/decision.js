// The page of one decision: everything that a person needs to agree with it or not. The sentence, the rule, both samples,
// how the evidence grew tick by tick, how old it was, and whether the record, judged again, says the same.

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { clock, odds, ppm } from "./format.js";
import { evidenceCharts } from "./decision-charts.js";
import { age, judgeOf, latencyMarks, placeOf, readingsOf, replayOf, ruleOf, samplesOf } from "./decision-parts.js";
import { badge, facts, moment, panel, quiet, since, to, trouble } from "./parts.js";
import { actionSaid, moved, signalName } from "./words.js";

/** @typedef {import("./types.js").EvidenceJson} EvidenceJson */
/** @typedef {import("./types.js").DecisionJson} DecisionJson */

/**
 * @param {Element} main
 * @param {string[]} params
 * @returns {() => void}
 */
export function render(main, params) {
  const id = params[0] ?? "";
  document.title = "Decision – Andon";
  let isOn = true;
  /** @type {() => void} */
  let stop = () => {};
  replace(
    main,
    h("header", { class: "place-head" }, h("h1", { tabindex: -1 }, "Decision")),
    quiet("Reading the record…"),
  );
  read(id).then(
    (found) => {
      if (isOn) stop = show(main, found);
    },
    (error) => {
      if (isOn)
        replace(
          main,
          h("header", { class: "place-head" }, h("h1", { tabindex: -1 }, "Decision")),
          trouble(error, "The decision"),
        );
    },
  );
  return () => {
    isOn = false;
    stop();
  };
}

/**
 * The decision itself is there even when its evidence cannot be judged again.
 * @param {string} id
 * @returns {Promise<EvidenceJson>}
 */
async function read(id) {
  const place = `decisions/${encodeURIComponent(id)}`;
  const decision = await get(place);
  try {
    return await get(`${place}/evidence`);
  } catch (error) {
    return {
      decision,
      replayed: null,
      note: `the ticks could not be read: ${error instanceof Error ? error.message : error}`,
      ticks: [],
    };
  }
}

/**
 * @param {Element} main
 * @param {EvidenceJson} found
 * @returns {() => void}
 */
function show(main, found) {
  const { decision, ticks } = found;
  const evidence = decision.evidence ?? null;
  document.title = `${decision.route || "upstream"}: ${actionSaid(decision.action).word} – Andon`;
  const charts = ticks.length > 0 ? evidenceCharts(found) : null;
  const judged = evidence !== null && typeof evidence.signal === "string";
  replace(
    main,
    headOf(decision),
    h(
      "div",
      { class: "decision-page" },
      judged ? whyOf(found) : null,
      evidence?.canary ? samplesOf(evidence) : null,
      charts ? charts.element : null,
      evidence?.outside ? readingsOf(evidence.outside) : null,
      h(
        "div",
        { class: "part-grid" },
        judged ? null : aboutOf(evidence),
        ticks.length > 0 ? latencyMarks(ticks) : null,
        evidence?.judge ? judgeOf(evidence.judge) : null,
        recordOf(decision),
      ),
    ),
  );
  return () => charts?.stop();
}

/** @param {DecisionJson} decision */
function headOf(decision) {
  const said = actionSaid(decision.action);
  const canary = decision.canary ? (decision.canary === "canary" ? "canary" : `canary ${decision.canary}`) : "";
  const subject = decision.route
    ? h("a", { href: to("route", decision.route) }, decision.route)
    : `upstream ${decision.evidence?.upstream ?? ""}`;
  const move = moved(decision);
  return h(
    "header",
    { class: "place-head" },
    h("p", { class: "crumbs" }, h("a", { href: to("timeline", decision.route) }, "Timeline"), " / ", decision.id),
    h(
      "div",
      { class: "page-title" },
      h("h1", { tabindex: -1 }, subject, canary ? `: ${canary} ` : ": ", said.word),
      move ? h("span", { class: "move big" }, move) : null,
    ),
    h("p", { class: "lead" }, decision.why),
    h(
      "p",
      { class: "beside" },
      badge(said),
      ` by ${decision.by}, `,
      moment(decision.at_ms),
      `, ${since(decision.at_ms)}`,
    ),
  );
}

/** @param {EvidenceJson} found */
function whyOf(found) {
  const { decision, ticks } = found;
  const { evidence } = decision;
  const { root, body } = panel("Why", "of-why");
  const drill = evidence.drill;
  replace(
    body,
    oddsOf(evidence),
    facts([
      ["signal", signalName(evidence.signal)],
      ["rule", ruleOf(evidence)],
      ["in the file", placeOf(evidence, decision.route)],
      [
        "judged over",
        evidence.window_seconds == null ? null : `the last ${Number(evidence.window_seconds.toFixed(1))} s`,
      ],
      ["data", age(decision, ticks)],
      [
        "ladder",
        evidence.back_off
          ? `strike ${evidence.back_off.strike} of ${evidence.back_off.strikes}: the ceiling is now ${evidence.back_off.ceiling}`
          : null,
      ],
      [
        "drill",
        drill
          ? h(
              "a",
              { href: to("decision", drill.decision) },
              `failed on purpose by ${drill.by}: ${drill.injected} requests`,
            )
          : null,
      ],
    ]),
    replayOf(found),
  );
  return root;
}

/**
 * What decided: the odds, or a rule that asks for none.
 * @param {any} evidence
 */
function oddsOf(evidence) {
  if (typeof evidence.odds !== "number") return null;
  const isRule = evidence.signal === "fast_trip";
  const [large, small] = isRule
    ? ["A rule, without odds", `the odds against chance were ${odds(evidence.odds)} then`]
    : [exact(evidence.odds), "against chance that the canary is worse"];
  return h("p", { class: "big-odds" }, h("b", null, large), h("span", null, small));
}

/**
 * Odds that are too large to be written out, with their first figures.
 * @param {number} value
 */
function exact(value) {
  if (value < 1e7) return odds(value);
  const [figures, power] = value.toExponential(1).split("e+");
  return `${figures} × ${odds(10 ** Number(power))}`;
}

/**
 * What a decision of a person, the file or a plan is about.
 * @param {Record<string, any> | null} evidence
 */
function aboutOf(evidence) {
  if (!evidence) return null;
  const { root, body } = panel("About", "of-about");
  const rows = Object.entries(evidence).map(([name, value]) => {
    const said = Array.isArray(value)
      ? value.join(", ") || "none"
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value);
    return /** @type {[string, string]} */ ([name.replaceAll("_", " "), said]);
  });
  replace(body, facts(rows));
  return root;
}

/** @param {DecisionJson} decision */
function recordOf(decision) {
  const { root, body } = panel("In the record", "of-chain");
  replace(
    body,
    facts([
      ["row", decision.seq == null ? "not stored yet" : String(decision.seq)],
      ["when", `${clock(decision.at_ms)} (${decision.at ?? ""})`],
      ["weight", decision.route === "" ? null : `${ppm(decision.before_ppm)} before, ${ppm(decision.after_ppm)} after`],
      ["id", h("code", null, decision.id)],
      ["hash", decision.hash ? h("code", { class: "hash" }, decision.hash) : null],
      ["of the row before", decision.previous ? h("code", { class: "hash" }, decision.previous) : null],
      ["on the command line", h("code", null, `andon explain ${decision.id}`)],
    ]),
    decision.evidence
      ? h(
          "details",
          null,
          h("summary", null, "The evidence as JSON"),
          h("pre", { tabindex: "0" }, JSON.stringify(decision.evidence, null, 2)),
        )
      : null,
  );
  return root;
}
