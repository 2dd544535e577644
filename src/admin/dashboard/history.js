// What was seen since the page opened: the samples of the event stream, a line for each variant of each route, at most
// fifteen minutes of them. The API keeps no past of its own, so this is all that the charts over time have.

import { live } from "./live.js";
import { wilson } from "./stats.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").WindowJson} WindowJson */

/**
 * @typedef {object} Line
 * @property {number[]} at milliseconds of Andon's clock
 * @property {(number | null)[]} rps
 * @property {(number | null)[]} errors a share
 * @property {(number | null)[]} low of its interval: see stats.js
 * @property {(number | null)[]} high
 * @property {(number | null)[]} p50 seconds
 * @property {(number | null)[]} p99
 * @property {(number | null)[]} share of the route
 * @property {(number | null)[]} evidence odds that it is worse, as a power of ten
 */

/** The variant under which copies for a canary are kept; no canary can have this name. */
export const MIRROR = "(mirror)";
const SECONDS_MAX = 900;
/** With very many routes less of each is kept, so that a page that is open for days stays small. */
const POINTS_MAX = 200_000;
const SECONDS_MIN = 60;

export class History {
  constructor() {
    /** @type {Map<string, Map<string, Line>>} */
    this.routes = new Map();
    this.lines = 0;
  }

  /**
   * @param {RouteJson} route
   * @param {number} at
   */
  take(route, at) {
    if (route.stable) this.put(route.name, "stable", at, route.stable.window, route.stable.effective_ppm, null);
    for (const canary of route.canaries) {
      const evidence = canary.verdict.odds_log10 ?? null;
      this.put(route.name, canary.name, at, canary.window, canary.effective_ppm, evidence);
    }
    if (route.mirror) this.put(route.name, MIRROR, at, route.mirror.window, route.mirror.share_ppm, null);
  }

  /**
   * @param {string} route
   * @param {string} variant
   * @param {number} at
   * @param {WindowJson} seen
   * @param {number} share_ppm
   * @param {number | null} evidence
   */
  put(route, variant, at, seen, share_ppm, evidence) {
    const line = this.line(route, variant);
    const last = line.at[line.at.length - 1] ?? -Infinity;
    // A clock that was set back would fold the line over itself.
    if (at < last) for (const row of rows(line)) row.length = 0;
    if (at === last) return;
    const interval = wilson(seen.failures, seen.requests);
    line.at.push(at);
    line.rps.push(seen.requests_per_second ?? null);
    line.errors.push(seen.error_ratio ?? null);
    line.low.push(interval?.low ?? null);
    line.high.push(interval?.high ?? null);
    line.p50.push(seen.p50_seconds ?? null);
    line.p99.push(seen.p99_seconds ?? null);
    line.share.push(share_ppm / 1e6);
    line.evidence.push(evidence);
    const kept = Math.max(SECONDS_MIN, Math.min(SECONDS_MAX, Math.floor(POINTS_MAX / this.lines)));
    const over = line.at.length - kept;
    if (over > 0) for (const row of rows(line)) row.splice(0, over);
  }

  /**
   * @param {string} route
   * @param {string} variant
   */
  line(route, variant) {
    const variants = this.routes.get(route) ?? new Map();
    this.routes.set(route, variants);
    const known = variants.get(variant);
    if (known) return known;
    const line = empty();
    variants.set(variant, line);
    this.lines += 1;
    return line;
  }

  /**
   * Forgets routes that are gone.
   * @param {(name: string) => boolean} isThere
   */
  forget(isThere) {
    for (const [name, variants] of this.routes) {
      if (isThere(name)) continue;
      this.routes.delete(name);
      this.lines -= variants.size;
    }
  }

  /**
   * @param {string} route
   * @param {string} variant
   * @returns {Line} not to be changed; empty where nothing was seen
   */
  series(route, variant) {
    return this.routes.get(route)?.get(variant) ?? empty();
  }
}

/** @param {Line} line */
function rows(line) {
  return /** @type {(number | null)[][]} */ (Object.values(line));
}

/** @returns {Line} */
function empty() {
  return { at: [], rps: [], errors: [], low: [], high: [], p50: [], p99: [], share: [], evidence: [] };
}

const kept = new History();
let isStarted = false;

export const history = {
  /**
   * @param {string} route
   * @param {string} variant `stable`, the name of a canary, or `MIRROR`
   */
  series: (route, variant) => kept.series(route, variant),
  /** Begins to keep. A second call does nothing. */
  start() {
    if (isStarted) return;
    isStarted = true;
    live.onChange((changed, what) => {
      if (what === "sample") keep(changed, live.sample?.at_ms ?? live.now());
      // Routes without a canary come with no sample.
      if (what === "routes") {
        kept.forget((name) => live.routes.has(name));
        keep(
          [...changed].filter((name) => live.routes.get(name)?.canaries.length === 0),
          live.now(),
        );
      }
    });
  },
};

/**
 * @param {Iterable<string>} names
 * @param {number} at
 */
function keep(names, at) {
  for (const name of names) {
    const route = live.routes.get(name);
    if (route) kept.take(route, at);
  }
}
