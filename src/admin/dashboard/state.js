// In what state a route is, in words that fit into a pill, and how much it wants to be looked at.

import { ago, count, dash, duration, odds } from "./format.js";
import { live } from "./live.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").CanaryJson} CanaryJson */
/** @typedef {import("./types.js").ReleaseJson} ReleaseJson */
/** @typedef {"trouble" | "waiting" | "release" | "canary" | "quiet"} Kind */
/** @typedef {{word: string, tone: "is-good" | "is-bad" | "is-waiting" | "is-quiet", kind: Kind, rank: number}} State rank: trouble first */

export const KINDS = [
  { id: "all", label: "All" },
  { id: "trouble", label: "Trouble" },
  { id: "waiting", label: "Waits for a person" },
  { id: "release", label: "Release" },
  { id: "canary", label: "Canary" },
  { id: "quiet", label: "Stable only" },
];

/**
 * @param {RouteJson} route
 * @returns {State}
 */
export function stateOf(route) {
  if (route.cord) return { word: "cord pulled", tone: "is-bad", kind: "trouble", rank: 0 };
  if (route.canaries.some(isCut)) return { word: "backed off", tone: "is-bad", kind: "trouble", rank: 1 };
  if (route.canaries.some((canary) => canary.verdict.verdict === "unhealthy" && canary.effective_ppm > 0))
    return { word: "unhealthy", tone: "is-bad", kind: "trouble", rank: 1 };
  if (route.self_test?.alarm) return { word: "self-test alarm", tone: "is-bad", kind: "trouble", rank: 2 };
  const release = route.release;
  if (release && !release.ended) return inRelease(release);
  if (route.deny) return { word: "denied", tone: "is-quiet", kind: "quiet", rank: 9 };
  if (route.canaries.some((canary) => canary.effective_ppm > 0))
    return { word: "holding", tone: "is-good", kind: "canary", rank: 6 };
  if (route.mirror) return { word: "dark launch", tone: "is-good", kind: "canary", rank: 6 };
  return { word: "stable only", tone: "is-quiet", kind: "quiet", rank: 8 };
}

/**
 * @param {ReleaseJson} release
 * @returns {State}
 */
function inRelease(release) {
  if (release.held) return { word: "held", tone: "is-waiting", kind: "waiting", rank: 3 };
  if (release.phase === "approving")
    return { word: "waits for approval", tone: "is-waiting", kind: "waiting", rank: 3 };
  if (release.phase === "ready") return { word: "waits for promotion", tone: "is-waiting", kind: "waiting", rank: 3 };
  const word = { raising: "ramping", promoting: "promoting" }[release.phase] ?? "holding";
  return { word, tone: "is-good", kind: "release", rank: 5 };
}

/** The immune system allows less than what is wanted. @param {CanaryJson} canary */
export function isCut(canary) {
  return canary.ceiling_ppm < canary.aim_ppm;
}

/**
 * The verdict on a canary: a word, its tone, and the evidence in words.
 * @param {CanaryJson} canary
 */
export function verdictOf(canary) {
  const { verdict, reason, holds } = canary.verdict;
  const tone =
    verdict === "healthy" ? "is-good" : verdict === "unhealthy" ? "is-bad" : holds ? "is-waiting" : "is-quiet";
  const sign = verdict === "healthy" ? "✓" : verdict === "unhealthy" ? "✕" : holds ? "!" : "…";
  // Below even odds chance explains it better than a fault does: nothing to tell.
  const tells = (canary.verdict.odds ?? 0) >= 1;
  return {
    word: verdict,
    sign,
    tone,
    evidence: evidenceInWords(reason),
    odds: tells ? odds(canary.verdict.odds).replaceAll(" ", "\u00a0") : null,
  };
}

/** "155 of about 1100 requests for a proof that …" is "155 of about 1,100 requests: not enough yet". @param {string} reason */
export function evidenceInWords(reason) {
  const found = /^(\d+) of (about )?(\d+) requests\b/.exec(reason);
  if (!found) return reason === "" ? dash : reason;
  return `${count(Number(found[1]))} of ${found[2] ?? ""}${count(Number(found[3]))} requests: not enough yet`;
}

/**
 * Where a release stands, and how long until it goes on.
 * @param {ReleaseJson} release
 */
export function releaseInWords(release) {
  if (release.ended)
    return `${release.plan}: ${release.ended.how.replace("_", " ")} ${ago(release.ended.at_ms, live.now())}`;
  const step = release.steps[release.step - 1];
  const to = step ? (step.mirror ? `copies of ${step.mirror}` : step.to) : "";
  const left = release.until_ms ? (release.until_ms - live.now()) / 1_000 : null;
  const time =
    left !== null && left > 0 && !release.held
      ? `, ${duration(Math.ceil(left))} left`.replaceAll(" ", "\u00a0").replace("\u00a0", " ")
      : "";
  return `${release.plan}: step ${Math.min(release.step, release.steps.length)} of ${release.steps.length}${to && ` (${to})`}${time}`;
}

/**
 * What a running release waits for, shown below where it stands.
 * @param {ReleaseJson} release
 */
export function waitsFor(release) {
  if (release.ended) return "";
  if (release.held) return `held by ${release.held.by}: ${release.held.why}`;
  // How long is left says it.
  return release.phase === "holding" && release.until_ms ? "" : (release.waits_for ?? "");
}
