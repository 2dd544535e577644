// How the evidence of a decision grew, tick by tick: odds against the thresholds, failures of both, requests of the canary,
// under one cursor. The picture begins where something began to happen; all of it is a button away.

import { lineChart, sharedCursor } from "./chart.js";
import { h, setText } from "./dom.js";
import { duration } from "./format.js";
import { panel } from "./parts.js";
import { signalName } from "./words.js";

/** @typedef {import("./types.js").EvidenceJson} EvidenceJson */
/** @typedef {import("./types.js").TickJson} TickJson */

const NEAR_MS = 60_000;

/** @param {EvidenceJson} found */
export function evidenceCharts({ decision, ticks }) {
  const { root, body } = panel("How the evidence grew", "of-charts");
  const cursor = sharedCursor();
  const marks = [{ at: decision.at_ms, label: "decided", title: "decided here", className: "is-bad" }];
  const judge = decision.evidence?.judge ?? {};
  const thresholds = [
    { value: Math.log10(1 / (judge.false_alarm ?? 0.001)), label: "unhealthy", className: "is-bad" },
    { value: Math.log10(judge.hold_at ?? 20), label: "held", className: "is-waiting" },
  ];
  const common = { cursor, marks, series: [] };
  const odds = lineChart({
    ...common,
    title: "Odds that the canary is worse",
    unit: "odds",
    log: true,
    thresholds,
    height: 230,
  });
  const failed = lineChart({ ...common, title: "Failed in each tick", unit: "share", most: 0.002 });
  const requests = lineChart({ ...common, title: "Canary requests in each tick", unit: "count" });
  const isLong = (ticks[ticks.length - 1]?.at_ms ?? 0) - (ticks[0]?.at_ms ?? 0) > NEAR_MS * 1.2;
  const zoom = h("button", { type: "button", class: "quiet", hidden: !isLong });
  let near = isLong;
  const draw = () => {
    const last = ticks[ticks.length - 1]?.at_ms ?? 0;
    const shown = near ? ticks.filter((tick) => tick.at_ms >= last - NEAR_MS) : ticks;
    const span = { from: shown[0]?.at_ms ?? 0, to: Math.max(last, decision.at_ms) };
    odds.update({ ...span, series: oddsOf(shown) });
    failed.update({ ...span, series: failuresOf(shown) });
    const at = shown.map((tick) => tick.at_ms);
    requests.update({
      ...span,
      series: [{ name: "canary", className: "of-canary", at, values: shown.map((tick) => tick.canary.requests) }],
    });
    setText(zoom, near ? `Show all ${duration((last - (ticks[0]?.at_ms ?? last)) / 1000)}` : "Show the last minute");
  };
  zoom.addEventListener("click", () => {
    near = !near;
    draw();
  });
  draw();
  body.append(
    h("p", { class: "chart-tools" }, zoom),
    odds.element,
    h("div", { class: "charts" }, failed.element, requests.element),
  );
  return {
    element: root,
    stop() {
      for (const one of [odds, failed, requests]) one.stop();
    },
  };
}

/** @param {TickJson[]} ticks */
function oddsOf(ticks) {
  const at = ticks.map((tick) => tick.at_ms);
  const names = [...new Set(ticks.flatMap((tick) => tick.signals.map((one) => one.signal)))];
  return [
    { name: "all", className: "of-canary", at, values: ticks.map((tick) => tick.odds_log10 ?? null) },
    ...names.map((name, index) => ({
      name: signalName(name),
      className: `of-signal of-signal-${index + 1}`,
      dashed: true,
      at,
      values: ticks.map((tick) => tick.signals.find((one) => one.signal === name)?.odds_log10 ?? null),
    })),
  ];
}

/** @param {TickJson[]} ticks */
function failuresOf(ticks) {
  const at = ticks.map((tick) => tick.at_ms);
  const share = (/** @type {import("./types.js").SeenJson} */ seen) =>
    seen.requests > 0 ? seen.failed / seen.requests : null;
  return [
    { name: "stable", className: "of-stable", dashed: true, at, values: ticks.map((tick) => share(tick.stable)) },
    { name: "canary", className: "of-canary", at, values: ticks.map((tick) => share(tick.canary)) },
  ];
}
