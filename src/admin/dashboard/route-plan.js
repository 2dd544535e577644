// A release: the steps of its plan, where it stands, and what it waits for.

import { h } from "./dom.js";
import { duration } from "./format.js";
import { live } from "./live.js";
import { badge, keyed, moment } from "./parts.js";
import { releaseSaid, stepWords } from "./words.js";

/** @typedef {import("./types.js").ReleaseJson} ReleaseJson */

/**
 * @param {HTMLElement} body
 * @param {ReleaseJson} release
 */
export function releaseOf(body, release) {
  const left =
    release.until_ms == null || release.ended ? null : Math.max(0, Math.round((release.until_ms - live.now()) / 1000));
  keyed(body, [release, left], () => [
    h(
      "p",
      { class: "release-said" },
      badge(releaseSaid(release.state)),
      " ",
      h("b", null, release.upstream),
      ` by plan “${release.plan}”, started by ${release.by} `,
      moment(release.started_ms),
      `: ${release.why}`,
    ),
    h("ol", { class: "plan-steps" }, ...release.steps.map((step, index) => stepOf(release, step, index))),
    waits(release, left),
  ]);
}

/**
 * @param {ReleaseJson} release
 * @param {import("./types.js").PlanStepJson} step
 * @param {number} index
 */
function stepOf(release, step, index) {
  const [now, promoted] = [release.step - 1, release.state === "promoted"];
  const state =
    promoted || index < now ? "is-done" : index === now ? (release.ended ? "is-stopped" : "is-now") : "is-ahead";
  const word = { "is-done": "done", "is-now": "now", "is-stopped": "ended here", "is-ahead": "" }[state];
  return h(
    "li",
    { class: state, "aria-current": state === "is-now" ? "step" : null },
    h("b", null, step.mirror ? "0%" : step.to),
    h("span", { class: "beside" }, stepWords(step)),
    word ? h("span", { class: "step-state" }, word) : null,
  );
}

/**
 * @param {ReleaseJson} release
 * @param {number | null} left
 */
function waits(release, left) {
  const { ended, held } = release;
  if (ended)
    return h(
      "p",
      { class: "reason" },
      `${releaseSaid(ended.how).word} by ${ended.by} `,
      moment(ended.at_ms),
      `: ${ended.why}`,
    );
  return [
    held
      ? h(
          "p",
          { class: "reason is-waiting" },
          h("b", null, "Held "),
          `by ${held.by} `,
          moment(held.at_ms),
          `: ${held.why}`,
        )
      : null,
    release.waits_for
      ? h(
          "p",
          { class: "reason" },
          h("b", null, "Now "),
          release.waits_for,
          left === null ? "" : ` (${duration(left)} left)`,
        )
      : null,
  ];
}
