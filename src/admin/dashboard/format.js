// Numbers and times as people read them. Each function takes what the API gives, `null` included, which is a dash.

/** What stands where there is nothing to say. */
export const dash = "–";

/** @typedef {number | null | undefined} Maybe */

/**
 * @param {Maybe} value
 * @returns {value is number}
 */
function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** Made once: making one takes far longer than using it. */
const DIGITS = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);

/**
 * With so many digits after the point, and commas between thousands.
 * @param {number} value
 * @param {0 | 1 | 2 | 3} digits
 */
function fixed(value, digits) {
  return DIGITS[digits].format(value);
}

/**
 * A ratio as "0%", "0.02%", "3.4%", "12%". What is not quite nothing, or not quite all, never reads as it.
 * @param {Maybe} ratio
 */
export function percent(ratio) {
  if (!isNumber(ratio)) return dash;
  const value = ratio * 100;
  const size = Math.abs(value);
  if (size === 0) return "0%";
  if (size < 0.01) return value < 0 ? "−0.01%" : "<0.01%";
  if (size > 99.95 && size < 100) return ">99.9%";
  const digits = size < 1 ? 2 : size < 10 ? 1 : size === 100 ? 0 : 1;
  return `${fixed(value, digits).replace(/\.0+$/, "")}%`;
}

/**
 * Parts per million as a weight: "5%", "0.25%", "0.0001%". Exact, as weights are.
 * @param {Maybe} value
 */
export function ppm(value) {
  if (!isNumber(value)) return dash;
  return `${Number((value / 10_000).toFixed(4))}%`;
}

/**
 * A latency: "0.84 ms", "12.3 ms", "1.24 s".
 * @param {Maybe} value
 */
export function seconds(value) {
  if (!isNumber(value)) return dash;
  const ms = value * 1_000;
  if (ms < 1) return `${fixed(ms, 2)} ms`;
  if (ms < 100) return `${fixed(ms, 1)} ms`;
  if (ms < 1_000) return `${fixed(ms, 0)} ms`;
  return value < 100 ? `${fixed(value, 2)} s` : `${fixed(value, 0)} s`;
}

/**
 * So many a second: "0", "0.42", "16.2", "1,204".
 * @param {Maybe} value
 */
export function rate(value) {
  if (!isNumber(value)) return dash;
  if (value === 0) return "0";
  if (value < 1) return fixed(value, 2);
  return fixed(value, value < 100 ? 1 : 0);
}

/**
 * @param {Maybe} n
 */
export function count(n) {
  return isNumber(n) ? fixed(Math.round(n), 0) : dash;
}

/**
 * How long ago: "just now", "12 s ago", "5 min ago", "3 h ago", "2 days ago".
 * @param {Maybe} ms since 1970
 * @param {number} nowMs
 */
export function ago(ms, nowMs) {
  if (!isNumber(ms)) return dash;
  const past = (nowMs - ms) / 1_000;
  return past < 1 ? "just now" : `${duration(past)} ago`;
}

/**
 * The local time of day, with the date if it is another day than today.
 * @param {Maybe} ms since 1970
 */
export function clock(ms) {
  if (!isNumber(ms)) return dash;
  const at = new Date(ms);
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}

/**
 * "0.4 s", "12 s", "4 min 10 s", "3 h 20 min", "2 days 4 h".
 * @param {Maybe} value in seconds
 */
export function duration(value) {
  if (!isNumber(value)) return dash;
  const all = Math.max(0, value);
  if (all < 10 && all % 1 >= 0.05) return `${fixed(all, 1)} s`;
  const whole = Math.floor(all);
  if (whole < 60) return `${whole} s`;
  const [s, min, h] = [whole % 60, Math.floor(whole / 60) % 60, Math.floor(whole / 3_600) % 24];
  const days = Math.floor(whole / 86_400);
  if (days > 0) return both(`${days} ${days === 1 ? "day" : "days"}`, h, "h");
  if (whole >= 3_600) return both(`${h} h`, min, "min");
  return both(`${min} min`, whole < 600 ? s : 0, "s");
}

/**
 * @param {string} first
 * @param {number} rest
 * @param {string} unit
 */
function both(first, rest, unit) {
  return rest > 0 ? `${first} ${rest} ${unit}` : first;
}

/**
 * Odds against chance: "0.5 : 1", "21 : 1", "1,430 : 1", "10⁹ : 1".
 * @param {Maybe} number
 */
export function odds(number) {
  if (!isNumber(number)) return dash;
  if (number >= 1e7) return `10${superscript(Math.floor(Math.log10(number)))} : 1`;
  return `${number < 0.05 ? "<0.1" : fixed(number, number < 10 ? 1 : 0)} : 1`;
}

/** @param {number} n */
function superscript(n) {
  return [...String(n)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
}

/**
 * "1 request", "2 requests".
 * @param {number} n
 * @param {string} word
 * @param {string} [words]
 */
export function plural(n, word, words) {
  return `${count(n)} ${n === 1 ? word : (words ?? `${word}s`)}`;
}
