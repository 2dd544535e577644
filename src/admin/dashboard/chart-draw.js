// Draws a line chart: from numbers to SVG elements, in pixels of the page, so that lines of one pixel are crisp.

import { clock } from "./format.js";
import { svg } from "./dom.js";
import { apart, exponents, linear, nearest, roundedUp, ticks, times } from "./scale.js";

/** @typedef {import("./chart.js").ChartData} ChartData */
/** @typedef {import("./chart.js").Series} Series */
/** @typedef {import("./chart.js").Mark} Mark */
/** @typedef {import("./scale.js").Scale} Scale */
/** @typedef {{left: number, right: number, top: number, bottom: number}} Frame the pixels of the plot's edges */
/** @typedef {{x: Scale, y: Scale, frame: Frame, low: number, high: number, from: number, to: number, across: Scale}} Plane */

/** About as wide as a digit of the labels. */
const LETTER = 6.6;
/** The names at line ends are larger, and bold. */
const NAME_LETTER = 7.8;
/** Margins are at least so wide, so that charts of one width have one axis and a shared cursor stands in line. */
const LEFT_MIN = 52;
const RIGHT_MIN = 58;
/** Evidence below one in ten is as good as none. */
const LOG_FLOOR = -1;
/** Seconds that stand at an axis of delays. */
const SPANS = [1, 10, 60, 600, 3600, 36_000];
/** A hole of so many usual steps is a gap: nothing was seen then. */
const GAP = 5;
/** An interval may make the plot so many times as high as the lines need. */
const BAND_TIMES = 2.5;

/**
 * @param {ChartData} data
 * @param {number} width
 * @param {number} height
 * @param {(value: number | null) => string} shown
 */
export function draw(data, width, height, shown) {
  const { low, high, marks: levels } = upright(data);
  const labels = levels.map((level) => label(level, data, shown));
  const left = Math.max(LEFT_MIN, Math.ceil(Math.max(...labels.map((one) => one.length)) * LETTER) + 8);
  const ends = Math.max(0, ...data.series.map((one) => one.name.length));
  const frame = {
    left,
    right: width - Math.max(RIGHT_MIN, Math.ceil(ends * NAME_LETTER) + 14),
    top: 16,
    bottom: height - 22,
  };
  const plane = spread(data, frame, low, high);
  const root = svg("g", null);
  root.append(levelLines(plane, levels, labels), momentTicks(plane, data), limitLines(plane, data, shown));
  const pen = svg("g", { class: "chart-lines" });
  for (const one of data.series) pen.append(...bandOf(one, plane), lineOf(one, plane));
  root.append(markLines(plane, data.marks ?? []), pen, endNames(plane, data.series));
  if (!data.series.some((one) => one.values.some((value) => value !== null))) root.append(nothing(plane, data));
  const pointer = pointerOf(plane, data.series);
  root.append(pointer.root);
  const back = data.across?.log
    ? (/** @type {number} */ px) =>
        10 ** linear(frame.left, frame.right, Math.log10(plane.from), Math.log10(plane.to))(px)
    : linear(frame.left, frame.right, plane.from, plane.to);
  return {
    root,
    back,
    point: pointer.point,
    markAt: (/** @type {number} */ at) => markNear(plane, data.marks ?? [], at),
  };
}

/**
 * How high the plot is, and the levels that are written.
 * @param {ChartData} data
 */
function upright(data) {
  const limits = [data.threshold, ...(data.thresholds ?? [])].flatMap((one) => (one ? [one.value] : []));
  const line = extent(data.series.map((one) => one.values));
  const band = extent(data.series.map((one) => one.band?.high ?? []));
  const lowest = line.low;
  // A wide interval must not press the lines to the floor.
  const room = data.log
    ? band.high
    : Math.min(band.high, Math.max(line.high * BAND_TIMES, (data.most ?? 0) * BAND_TIMES));
  const highest = Math.max(data.most ?? 0, ...limits, line.high, room);
  if (data.log) {
    const low = Math.max(LOG_FLOOR, Math.floor(lowest));
    const high = Math.max(highest + 0.4, 1);
    const spans = SPANS.map(Math.log10).filter((span) => span <= high);
    return {
      low: data.unit === "delay" ? 0 : low,
      high,
      marks: data.unit === "delay" ? spans : exponents(low, high, 4),
    };
  }
  const whole = data.unit === "count";
  const least = whole ? 3 : 0;
  const high = highest > 0 ? roundedUp(Math.max(highest * 1.02, least), 3, whole) : smallest(data.unit);
  return { low: 0, high, marks: ticks(0, high, 3, whole) };
}

/** @param {(number | null)[][]} rows */
function extent(rows) {
  let [low, high] = [0, 0];
  for (const row of rows) {
    for (const value of row) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value > high) high = value;
      if (value < low) low = value;
    }
  }
  return { low, high };
}

/**
 * The height of a plot in which everything is 0.
 * @param {string} unit
 */
function smallest(unit) {
  return unit === "share" ? 0.01 : unit === "seconds" ? 0.01 : unit === "count" ? 3 : 1;
}

/**
 * @param {number} level
 * @param {ChartData} data
 * @param {(value: number | null) => string} shown
 */
function label(level, data, shown) {
  if (!data.log) return level === 0 ? "0" : shown(level).replace("/s", "");
  if (data.unit === "delay") return shown(level);
  if (level < 0) return `1/${10 ** -level}`;
  return level < 6
    ? (10 ** level).toLocaleString("en-GB")
    : `10${[...String(level)].map((one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(one)]).join("")}`;
}

/**
 * @param {ChartData} data
 * @param {Frame} frame
 * @param {number} low
 * @param {number} high
 * @returns {Plane}
 */
function spread(data, frame, low, high) {
  const firsts = data.series.flatMap((one) => one.at.slice(0, 1));
  const lasts = data.series.flatMap((one) => one.at.slice(-1));
  const from = data.from ?? (firsts.length > 0 ? Math.min(...firsts) : 0);
  const to = Math.max(data.to ?? (lasts.length > 0 ? Math.max(...lasts) : 1), from + 1e-6);
  const upward = linear(low, high, frame.bottom, frame.top);
  const y = (/** @type {number} */ value) => upward(Math.max(low, Math.min(high, value)));
  const plain = linear(from, to, frame.left, frame.right);
  const logarithmic = linear(Math.log10(from), Math.log10(to), frame.left, frame.right);
  const x = data.across?.log ? (/** @type {number} */ at) => logarithmic(Math.log10(at)) : plain;
  return { x, y, frame, low, high, from, to, across: x };
}

/** @param {number} value */
const crisp = (value) => Math.round(value) + 0.5;
/** @param {number} value */
const px = (value) => value.toFixed(1);

/**
 * @param {Plane} plane
 * @param {number[]} levels
 * @param {string[]} labels
 */
function levelLines({ frame, y }, levels, labels) {
  const group = svg("g", { class: "chart-axis" });
  levels.forEach((level, index) => {
    const at = crisp(y(level));
    group.append(
      svg("line", { x1: frame.left, x2: frame.right, y1: at, y2: at, class: index === 0 ? "base" : "grid" }),
      svg("text", { x: frame.left - 6, y: at + 3.5, "text-anchor": "end" }, labels[index] ?? ""),
    );
  });
  return group;
}

/**
 * @param {Plane} plane
 * @param {ChartData} data
 */
function momentTicks({ frame, from, to, x }, data) {
  const group = svg("g", { class: "chart-axis" });
  const room = Math.max(1, Math.floor((frame.right - frame.left) / 84));
  const across = data.across;
  const wanted = across ? across.ticks : to - from > 1000 ? times(from, to, room) : [];
  let free = -Infinity;
  for (const at of wanted) {
    const place = x(at);
    const name = across ? across.show(at) : clock(at).replace(/^.*, /, "");
    const half = (name.length * LETTER) / 2;
    if (place < frame.left - 1 || place > frame.right + 1 || place - half < free) continue;
    free = place + half + 6;
    group.append(
      svg("line", { x1: crisp(place), x2: crisp(place), y1: frame.bottom, y2: frame.bottom + 4, class: "base" }),
      svg("text", { x: px(place), y: frame.bottom + 16, "text-anchor": "middle" }, name),
    );
  }
  return group;
}

/**
 * @param {Plane} plane
 * @param {ChartData} data
 * @param {(value: number | null) => string} shown
 */
function limitLines({ frame, y }, data, shown) {
  const group = svg("g", { class: "chart-limits" });
  for (const one of [data.threshold, ...(data.thresholds ?? [])]) {
    if (!one) continue;
    const at = crisp(y(one.value));
    const name = `${one.label} ${shown(one.value)}`;
    group.append(
      svg("line", { x1: frame.left, x2: frame.right, y1: at, y2: at, class: one.className ?? "" }),
      svg("text", { x: frame.left + 4, y: at - 4, class: one.className ?? "" }, name),
    );
  }
  return group;
}

/**
 * The pieces of a line between its gaps, as pixels.
 * @param {number[]} at
 * @param {(number | null)[]} values
 * @param {{x: Scale, y: Scale}} plane
 * @returns {{x: number, y: number}[][]}
 */
export function pieces(at, values, { x, y }) {
  const usual = ((at[at.length - 1] ?? 0) - (at[0] ?? 0)) / Math.max(1, at.length - 1);
  /** @type {{x: number, y: number}[][]} */
  const found = [];
  /** @type {{x: number, y: number}[]} */
  let piece = [];
  let before = -Infinity;
  at.forEach((moment, index) => {
    const value = values[index] ?? null;
    if (value === null || (piece.length > 0 && moment - before > usual * GAP)) {
      if (piece.length > 0) found.push(piece);
      piece = [];
    }
    if (value !== null) piece.push({ x: x(moment), y: y(value) });
    before = moment;
  });
  if (piece.length > 0) found.push(piece);
  return found;
}

/**
 * @param {Series} series
 * @param {Plane} plane
 */
function lineOf(series, plane) {
  const parts = pieces(series.at, series.values, plane);
  const path = parts.map((piece) => {
    const [first] = piece;
    if (!first) return "";
    if (piece.length === 1) return `M${px(first.x - 1)} ${px(first.y)}h2`;
    const rest = piece.slice(1).map((to) => (series.stepped ? `H${px(to.x)}V${px(to.y)}` : `L${px(to.x)} ${px(to.y)}`));
    return `M${px(first.x)} ${px(first.y)}${rest.join("")}`;
  });
  return svg("path", { d: path.join(""), class: `line ${series.className}${series.dashed ? " is-dashed" : ""}` });
}

/**
 * @param {Series} series
 * @param {Plane} plane
 */
function bandOf(series, plane) {
  const { band } = series;
  if (!band) return [];
  const tops = pieces(series.at, band.high, plane);
  const bottoms = pieces(series.at, band.low, plane);
  return tops.map((top, index) => {
    const way = [...top, ...(bottoms[index] ?? []).slice().reverse()];
    return svg("path", {
      d: `M${way.map((to) => `${px(to.x)} ${px(to.y)}`).join("L")}Z`,
      class: `band ${series.className}`,
    });
  });
}

/**
 * @param {Plane} plane
 * @param {Series[]} series
 */
function endNames({ frame, y }, series) {
  const group = svg("g", { class: "chart-names" });
  const last = series.map((one) => [...one.values].reverse().find((value) => value !== null) ?? null);
  const shown = series.map((_, index) => index).filter((index) => last[index] !== null);
  const wanted = shown.map((index) => y(last[index] ?? 0));
  const placed = apart(wanted, 13, frame.top, frame.bottom);
  shown.forEach((index, place) => {
    const one = series[index];
    if (!one) return;
    const at = (placed[place] ?? 0) + 4;
    group.append(svg("text", { x: frame.right + 8, y: px(at), class: one.className }, one.name));
  });
  return group;
}

/**
 * @param {Plane} plane
 * @param {Mark[]} marks
 */
function markLines({ frame, x, from, to }, marks) {
  const group = svg("g", { class: "chart-marks" });
  const shown = marks.filter((mark) => mark.at >= from && mark.at <= to);
  for (const mark of shown) {
    const at = crisp(x(mark.at));
    group.append(
      svg("line", { x1: at, x2: at, y1: frame.top - 4, y2: frame.bottom, class: mark.className ?? "" }),
      svg("path", { d: `M${at - 4} ${frame.top - 9}h8l-4 6z`, class: mark.className ?? "" }),
    );
  }
  // Where there is no room for the names of all, those of trouble and the later ones come first.
  const ranked = [...shown]
    .reverse()
    .sort((a, b) => Number(b.className === "is-bad") - Number(a.className === "is-bad"));
  /** @type {[number, number][]} */
  const taken = shown.map((mark) => [x(mark.at) - 5, x(mark.at) + 5]);
  for (const mark of ranked) {
    const at = x(mark.at);
    const wide = mark.label.length * LETTER;
    const places = /** @type {[number, number][]} */ ([
      [at + 7, at + 7 + wide],
      [at - 7 - wide, at - 7],
    ]);
    const free = places.find(
      ([low, high]) =>
        low >= frame.left - 4 && high <= frame.right + 44 && !taken.some(([a, b]) => low < b && high > a),
    );
    if (!free) continue;
    taken.push(free);
    group.append(svg("text", { x: px(free[0]), y: frame.top - 3, class: mark.className ?? "" }, mark.label));
  }
  return group;
}

/**
 * @param {Plane} plane
 * @param {Mark[]} marks
 * @param {number} at
 */
function markNear({ x }, marks, at) {
  const near = marks.map((mark) => ({ mark, off: Math.abs(x(mark.at) - x(at)) })).filter((one) => one.off <= 7);
  return near.sort((a, b) => a.off - b.off)[0]?.mark;
}

/**
 * @param {Plane} plane
 * @param {ChartData} data
 */
function nothing({ frame }, data) {
  const [x, y] = [(frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2];
  return svg("text", { x, y, "text-anchor": "middle", class: "chart-empty" }, data.empty ?? "nothing yet");
}

/**
 * The line under the pointer, with a dot on each line of the chart.
 * @param {Plane} plane
 * @param {Series[]} series
 */
function pointerOf({ frame, x, y, from, to }, series) {
  const line = svg("line", { y1: frame.top - 4, y2: frame.bottom, class: "chart-cursor" });
  const dots = series.map((one) => svg("circle", { r: 3.5, class: `dot ${one.className}` }));
  const root = svg("g", { class: "chart-pointer", visibility: "hidden" }, line, ...dots);
  /**
   * @param {number | null} at
   * @param {(number | null)[]} values
   */
  const point = (at, values) => {
    const isShown = at !== null && at >= from && at <= to;
    root.setAttribute("visibility", isShown ? "visible" : "hidden");
    if (!isShown) return;
    line.setAttribute("x1", String(crisp(x(at))));
    line.setAttribute("x2", String(crisp(x(at))));
    dots.forEach((dot, index) => {
      const value = values[index] ?? null;
      const one = series[index];
      const moment = one?.at[nearest(one.at, at)] ?? at;
      dot.setAttribute("display", value === null ? "none" : "inline");
      dot.setAttribute("cx", px(x(moment)));
      dot.setAttribute("cy", px(y(value ?? 0)));
    });
  };
  return { root, point };
}
