// What numbers of a window can say: intervals of shares and of their difference, and latencies out of histograms. Pure
// functions without a page, so that tests/dashboard/unit.mjs can hold them against published figures.

/** The quantile of the normal distribution that leaves 2.5% on each side. */
const Z95 = 1.959963984540054;

/** @typedef {{low: number, high: number}} Interval */

/**
 * The 95% interval of Wilson (1927, without continuity correction) of a share: within 0 and 1 also when nothing or
 * everything failed, which the textbook one is not.
 * @param {number} hits
 * @param {number} of
 * @returns {Interval | null} `null`: of nothing
 */
export function wilson(hits, of) {
  if (!(of > 0) || hits < 0 || hits > of) return null;
  const share = hits / of;
  const z2 = Z95 * Z95;
  const middle = share + z2 / (2 * of);
  const spread = Z95 * Math.sqrt((share * (1 - share)) / of + z2 / (4 * of * of));
  const scale = 1 + z2 / of;
  return {
    low: hits === 0 ? 0 : Math.max(0, (middle - spread) / scale),
    high: hits === of ? 1 : Math.min(1, (middle + spread) / scale),
  };
}

/**
 * How much larger the first share is than the second, with the 95% interval of Newcombe (1998, method 10), which is made
 * of the two of Wilson.
 * @param {{hits: number, of: number}} one
 * @param {{hits: number, of: number}} other
 * @returns {(Interval & {value: number}) | null}
 */
export function difference(one, other) {
  const a = wilson(one.hits, one.of);
  const b = wilson(other.hits, other.of);
  if (!a || !b) return null;
  const p = one.hits / one.of;
  const q = other.hits / other.of;
  return {
    value: p - q,
    low: p - q - Math.hypot(p - a.low, b.high - q),
    high: p - q + Math.hypot(a.high - p, q - b.low),
  };
}

/**
 * A latency below which a share of a histogram lies, straight between the edges of its bucket.
 * @param {number[]} edges upper edges, the last may be Infinity
 * @param {number[]} counts as many, not cumulated
 * @param {number} share
 * @returns {number | null} `null`: of nothing, or it lies beyond the last edge
 */
export function quantile(edges, counts, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  const wanted = share * total;
  let before = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && before + count >= wanted) {
      const low = index === 0 ? 0 : /** @type {number} */ (edges[index - 1]);
      const high = /** @type {number} */ (edges[index]);
      return Number.isFinite(high) ? low + ((high - low) * (wanted - before)) / count : null;
    }
    before += count;
  }
  return null;
}

/** @typedef {{edges: number[], counts: number[]}} Histogram */

/**
 * The latency histograms of a route out of the text of /metrics, a variant each, not cumulated.
 * @param {string} text
 * @param {string} route
 * @returns {Map<string, Histogram>}
 */
export function histograms(text, route) {
  const line = /^andon_request_duration_seconds_bucket\{(.*)\} (\S+)$/;
  /** @type {Map<string, Histogram>} */
  const found = new Map();
  for (const row of text.split("\n")) {
    const match = line.exec(row);
    if (!match) continue;
    const labels = new Map([...(match[1] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((one) => [one[1], one[2]]));
    if (unescaped(labels.get("route")) !== route) continue;
    const variant = unescaped(labels.get("variant"));
    const edge = labels.get("le") === "+Inf" ? Infinity : Number(labels.get("le"));
    const one = found.get(variant) ?? { edges: [], counts: [] };
    one.edges.push(edge);
    one.counts.push(Number(match[2]));
    found.set(variant, one);
  }
  for (const one of found.values()) {
    one.counts = one.counts.map((count, index) => count - (index === 0 ? 0 : (one.counts[index - 1] ?? 0)));
  }
  return found;
}

/** @param {string | undefined} label */
function unescaped(label) {
  return (label ?? "").replace(/\\(.)/g, (_, sign) => (sign === "n" ? "\n" : sign));
}

/**
 * What came between two readings; of another process, or of other buckets, the newer one as it is.
 * @param {Histogram} newer
 * @param {Histogram | undefined} older
 * @returns {Histogram}
 */
export function since(newer, older) {
  if (!older || older.edges.length !== newer.edges.length) return newer;
  const counts = newer.counts.map((count, index) => count - (older.counts[index] ?? 0));
  return counts.some((count) => count < 0) ? newer : { edges: newer.edges, counts };
}
