// Words for what the API says in one: actions, phases of a release, signals. With the class that colours them, since a
// colour never stands alone.

import { duration, ppm } from "./format.js";

/** @typedef {import("./types.js").DecisionJson} DecisionJson */
/** @typedef {import("./types.js").PlanStepJson} PlanStepJson */
/** @typedef {{word: string, className: string}} Said */

/** @type {Record<string, Said>} */
const ACTIONS = {
  weight: { word: "weight set", className: "is-quiet" },
  back_off: { word: "backed off", className: "is-bad" },
  raise: { word: "raised again", className: "is-good" },
  watch: { word: "noticed, not acted on", className: "is-waiting" },
  cord_pull: { word: "cord pulled", className: "is-bad" },
  cord_reset: { word: "cord reset", className: "is-good" },
  role: { word: "roles changed", className: "is-quiet" },
  self_test: { word: "self-test alarm", className: "is-waiting" },
  drill: { word: "drill", className: "is-waiting" },
  release_start: { word: "release started", className: "is-quiet" },
  release_step: { word: "release moved on", className: "is-quiet" },
  release_hold: { word: "release held", className: "is-waiting" },
  release_resume: { word: "release resumed", className: "is-quiet" },
  release_approve: { word: "release approved", className: "is-quiet" },
  release_promote: { word: "canary promoted", className: "is-good" },
  release_abort: { word: "release aborted", className: "is-bad" },
  roll_back: { word: "rolled back", className: "is-bad" },
  upstream: { word: "endpoints set", className: "is-quiet" },
};

/** Every action that the record knows, in the order of the API. */
export const actions = Object.keys(ACTIONS);

/**
 * @param {string} action
 * @returns {Said}
 */
export function actionSaid(action) {
  return ACTIONS[action] ?? { word: action.replaceAll("_", " "), className: "is-quiet" };
}

/**
 * "5% → 25%", or nothing where no share has changed.
 * @param {DecisionJson} decision
 */
export function moved(decision) {
  return decision.before_ppm === decision.after_ppm ? "" : `${ppm(decision.before_ppm)} → ${ppm(decision.after_ppm)}`;
}

/** @type {Record<string, Said>} */
const VERDICTS = {
  healthy: { word: "healthy", className: "is-good" },
  unhealthy: { word: "unhealthy", className: "is-bad" },
  undecided: { word: "undecided", className: "is-quiet" },
};

/**
 * @param {string} verdict
 * @returns {Said}
 */
export function verdictSaid(verdict) {
  return VERDICTS[verdict] ?? { word: verdict, className: "is-quiet" };
}

/** @type {Record<string, Said>} */
const RELEASES = {
  raising: { word: "rising", className: "is-quiet" },
  holding: { word: "holding its weight", className: "is-quiet" },
  proving: { word: "waiting for a proof", className: "is-waiting" },
  approving: { word: "waiting for a person", className: "is-waiting" },
  ready: { word: "ready to be promoted", className: "is-waiting" },
  promoting: { word: "being promoted", className: "is-quiet" },
  held: { word: "held", className: "is-waiting" },
  promoted: { word: "promoted", className: "is-good" },
  aborted: { word: "aborted", className: "is-bad" },
  backed_off: { word: "backed off", className: "is-bad" },
};

/**
 * @param {string} state
 * @returns {Said}
 */
export function releaseSaid(state) {
  return RELEASES[state] ?? { word: state.replaceAll("_", " "), className: "is-quiet" };
}

/**
 * What a step of a plan does, in words: "rises over 30 min, then holds 10 min, until a proof".
 * @param {PlanStepJson} step
 */
export function stepWords(step) {
  const parts = [];
  if (step.mirror) parts.push(`copies of ${step.mirror} of stable's requests`);
  if (step.ramp_seconds > 0) parts.push(`rises over ${duration(step.ramp_seconds)}`);
  if (step.hold_seconds > 0) parts.push(`holds ${duration(step.hold_seconds)}`);
  if (step.proof) parts.push(`until there is a proof (within ${duration(step.within_seconds)})`);
  if (step.approve) parts.push(`until a person approves (within ${duration(step.within_seconds)})`);
  return parts.length > 0 ? parts.join(", ") : "at once";
}

/** @type {Record<string, string>} */
const SIGNALS = {
  errors: "failures",
  latency: "latency",
  event: "good events",
  error_ceiling: "ceiling of failures",
  latency_ceiling: "ceiling of latency",
  fast_trip: "fast trip",
  harm_budget: "harm budget",
  outside: "outside signal",
};

/** @param {string} signal as of the API, such as `errors` or `event_order` */
export function signalName(signal) {
  return SIGNALS[signal] ?? (signal.startsWith("event_") ? `event “${signal.slice(6)}”` : signal.replaceAll("_", " "));
}

/**
 * A difference with its sign, and a minus that is as wide as a plus.
 * @param {number} value
 * @param {(value: number) => string} shown
 */
export function signed(value, shown) {
  if (value === 0) return `±${shown(0)}`;
  return `${value > 0 ? "+" : "−"}${shown(Math.abs(value))}`;
}
