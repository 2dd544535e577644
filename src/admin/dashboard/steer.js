// What a person says to a release: hold, resume, approve, promote, abort, and back again. Each asks first.

import { may, send } from "./api.js";
import { ask } from "./dialog.js";
import { h } from "./dom.js";
import { ago, ppm } from "./format.js";
import { live } from "./live.js";
import { askStart } from "./start.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").ReleaseJson} ReleaseJson */
/** @typedef {{id: string, label: string, kind: "" | "primary" | "danger", act: (route: RouteJson) => void}} Action */

/** @param {string} name */
export const at = (name) => `routes/${encodeURIComponent(name)}`;

/** @param {string} word */
export const shell = (word) => (/^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** @param {RouteJson} route */
export function accept(route) {
  live.put(route);
  return route;
}

/** @param {ReleaseJson | null | undefined} release */
export function isRunning(release) {
  return release !== null && release !== undefined && !release.ended;
}

/**
 * @param {RouteJson} route
 * @returns {Action[]}
 */
export function releaseActions(route) {
  const release = route.release;
  if (!release || release.ended) {
    return route.cord ? [] : [{ id: "start", label: "Start a release", kind: "", act: askStart }];
  }
  /** @type {Action[]} */
  const actions = [];
  /** @param {Verb} verb @param {"" | "primary"} [kind] */
  const add = (verb, kind = "") => {
    const act = (/** @type {RouteJson} */ now) => askSteer(now, verb);
    actions.push({ id: verb, label: VERBS[verb].label, kind, act });
  };
  if (release.held) add("resume", "primary");
  else if (release.phase === "approving") add("approve", "primary");
  else if (release.phase === "ready") add("promote", "primary");
  if (!release.held) add("hold");
  if (release.phase !== "ready" && release.phase !== "promoting") add("promote");
  add("abort");
  return actions;
}

/**
 * @param {RouteJson} route
 * @returns {Action[]}
 */
export function rollBackOf(route) {
  if (!may("release") || !route.previous_stable || isRunning(route.release)) return [];
  return [{ id: "roll-back", label: "Roll back", kind: "", act: askRollBack }];
}

/** @typedef {"hold" | "resume" | "approve" | "promote" | "abort"} Verb */
/** @type {Record<Verb, {label: string, confirm: string, done: string, danger?: boolean, what: (route: RouteJson, release: ReleaseJson) => string[]}>} */
const VERBS = {
  hold: {
    label: "Hold",
    confirm: "Hold the release",
    done: "is held",
    what: (route, release) => [
      `The canary keeps ${effective(route, release)}, and nothing rises until somebody says resume.`,
      "Judging goes on: an unhealthy canary is taken back all the same.",
    ],
  },
  resume: {
    label: "Resume",
    confirm: "Resume the release",
    done: "goes on",
    what: (_, release) => [
      release.held
        ? `Held by ${release.held.by} ${ago(release.held.at_ms, live.now())}: ${release.held.why}`
        : "It is not held now.",
      `It goes on at step ${release.step} of ${release.steps.length}.`,
    ],
  },
  approve: {
    label: "Approve",
    confirm: "Approve this step",
    done: "is approved",
    what: (_, release) => {
      const next = release.steps[release.step];
      return [
        next
          ? `The release goes on to ${stepTarget(next)}, as soon as nothing speaks against it.`
          : "That was the last step: the canary becomes stable, if the plan says so.",
      ];
    },
  },
  promote: {
    label: "Promote",
    confirm: "Promote the canary to stable",
    done: "is promoted",
    what: (route, release) => [
      `Everybody goes to ${release.upstream} (now ${effective(route, release)}), and then it is stable.`,
      `${route.stable?.upstream ?? "What is stable now"} becomes the canary, with 0% and warm, so that a roll-back is one move.`,
      release.step < release.steps.length || release.phase !== "ready"
        ? "The steps that are left are skipped."
        : "All steps are done.",
    ],
  },
  abort: {
    label: "Abort",
    confirm: "Abort the release",
    done: "is aborted",
    danger: true,
    what: (route, release) => [
      `The canary ${release.upstream} goes from ${effective(route, release)} to 0%, and stable serves everybody.`,
      "The release is over; a new one begins at its first step.",
    ],
  },
};

/** @param {import("./types.js").PlanStepJson} step */
function stepTarget(step) {
  return step.mirror ? `copies of ${step.mirror} of the requests` : step.to;
}

/**
 * @param {RouteJson} route
 * @param {ReleaseJson} release
 */
function effective(route, release) {
  const canary = route.canaries.find((one) => one.name === release.canary);
  return canary ? ppm(canary.effective_ppm) : "0%";
}

/**
 * @param {RouteJson} route
 * @param {Verb} verb
 */
function askSteer(route, verb) {
  const name = route.name;
  const id = route.release?.id ?? "current";
  const words = VERBS[verb];
  const now = () => live.routes.get(name) ?? route;
  ask({
    title: `${words.label} the release of ${name}`,
    confirm: words.confirm,
    danger: words.danger,
    instead: `andon release ${verb} ${shell(name)} --why TEXT`,
    what: () => {
      const release = now().release;
      if (!release || release.id !== id)
        return [h("p", { class: "note is-waiting" }, "Another release is under way by now.")];
      return [
        h(
          "ul",
          null,
          words.what(now(), release).map((line) => h("li", null, line)),
        ),
      ];
    },
    act: async ({ why, by }, key) =>
      accept(await send("POST", `${at(name)}/releases/${encodeURIComponent(id)}/${verb}`, { why, by }, { key })),
    done: () => `The release of ${name} ${words.done}.`,
  });
}

/** @param {RouteJson} route */
function askRollBack(route) {
  const name = route.name;
  const now = () => live.routes.get(name) ?? route;
  ask({
    title: `Roll ${name} back`,
    confirm: `Make ${route.previous_stable} stable again`,
    danger: true,
    instead: `andon release roll-back ${shell(name)} --why TEXT`,
    what: () => [
      h(
        "ul",
        null,
        h(
          "li",
          null,
          `Everybody goes from ${now().stable?.upstream ?? "stable"} back to ${now().previous_stable}, in one move.`,
        ),
        h("li", null, `${now().stable?.upstream ?? "What is stable now"} becomes the canary again, with 0%.`),
      ),
    ],
    act: async ({ why, by }, key) =>
      accept(await send("POST", `${at(name)}/rollback`, { why, by }, { ifMatch: now().revision, key })),
    done: () => `${name} is rolled back.`,
  });
}
