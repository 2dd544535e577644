// Axes: from numbers to pixels, and which few numbers stand at an axis. Pure functions, used by the charts.

/** @typedef {(value: number) => number} Scale */

/**
 * @param {number} from
 * @param {number} to
 * @param {number} start the pixel of `from`
 * @param {number} end
 * @returns {Scale}
 */
export function linear(from, to, start, end) {
  const span = to - from || 1;
  return (value) => start + ((value - from) / span) * (end - start);
}

/**
 * Round numbers from `low` to `high`, at most about `count` steps apart: 1, 2, 2.5 or 5 times a power of ten.
 * @param {number} low
 * @param {number} high
 * @param {number} count
 * @param {boolean} [whole] only whole numbers
 */
export function ticks(low, high, count, whole = false) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const steps = whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10];
  const wide = (steps.find((one) => one * power >= raw * 0.999999) ?? 10) * power;
  const step = whole ? Math.max(1, wide) : wide;
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) {
    found.push(Number((index * step).toPrecision(12)));
  }
  return found;
}

/**
 * The end of an axis that begins at 0: the next round number, so that the line does not touch the frame.
 * @param {number} high
 * @param {number} count
 * @param {boolean} [whole]
 */
export function roundedUp(high, count, whole = false) {
  const marks = ticks(0, high, count, whole);
  const step = (marks[1] ?? high) - (marks[0] ?? 0);
  const last = marks[marks.length - 1] ?? high;
  return last >= high * 0.999999 ? last : last + step;
}

/**
 * Whole powers of ten, as exponents, at most `count` of them.
 * @param {number} low
 * @param {number} high
 * @param {number} count
 */
export function exponents(low, high, count) {
  const step = Math.max(1, Math.ceil((high - low) / Math.max(1, count)));
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9; at += step) found.push(at + 0);
  return found;
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/**
 * Round times of the local clock.
 * @param {number} from milliseconds
 * @param {number} to
 * @param {number} count
 */
export function times(from, to, count) {
  const raw = (to - from) / 1000 / Math.max(1, count);
  const step = (TIME_STEPS.find((one) => one >= raw) ?? 86400 * Math.ceil(raw / 86400)) * 1000;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const found = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step) found.push(at);
  return found;
}

/**
 * The place in a sorted list that is nearest to a value.
 * @param {number[]} sorted
 * @param {number} value
 */
export function nearest(sorted, value) {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (/** @type {number} */ (sorted[middle]) <= value) low = middle;
    else high = middle;
  }
  const below = Math.abs((sorted[low] ?? Infinity) - value);
  return below <= Math.abs((sorted[high] ?? Infinity) - value) ? low : high;
}

/**
 * Labels at line ends must not lie over each other: moves them apart, in order, within a frame.
 * @param {number[]} wanted
 * @param {number} gap
 * @param {number} low
 * @param {number} high
 * @returns {number[]} in the order of `wanted`
 */
export function apart(wanted, gap, low, high) {
  const order = wanted.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at);
  let floor = low;
  for (const one of order) {
    one.at = Math.max(one.at, floor);
    floor = one.at + gap;
  }
  let roof = high;
  for (const one of order.reverse()) {
    one.at = Math.min(one.at, roof);
    roof = one.at - gap;
  }
  const placed = new Array(wanted.length).fill(0);
  for (const one of order) placed[one.index] = one.at;
  return placed;
}
