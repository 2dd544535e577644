// How long answers took, of several variants over each other: the share of requests in each bucket of latency, on an
// axis on which twice as long is always equally far. Shares, since a canary has far fewer requests than stable.

import { Cursor, steer } from "./cursor.js";
import { count, percent, seconds } from "./format.js";
import { h, replace, setText, svg } from "./dom.js";
import { apart, linear, roundedUp, ticks } from "./scale.js";

/** @typedef {{name: string, className: string, counts: number[], dashed?: boolean, isFilled?: boolean}} Spread */
/** @typedef {{at: number, label: string, className?: string}} Place a latency that is marked, in seconds */

/**
 * @typedef {object} DistributionData
 * @property {string} title
 * @property {number[]} buckets upper edges in seconds; the last may be Infinity
 * @property {Spread[]} series as many counts each as there are buckets
 * @property {Place[]} [marks]
 * @property {number} [height]
 * @property {string} [note]
 */

const LETTER = 6.4;
const NAME_LETTER = 7.8;

/**
 * @param {DistributionData} data
 * @returns {{element: HTMLElement, update: (data: Partial<DistributionData>) => void, stop: () => void}}
 */
export function distribution(data) {
  const chart = new Distribution(data);
  return { element: chart.element, update: (more) => chart.update(more), stop: () => chart.stop() };
}

class Distribution {
  /** @param {DistributionData} data */
  constructor(data) {
    this.data = data;
    /** Its place in the list of buckets. */
    this.cursor = new Cursor();
    this.picture = svg("svg", { class: "chart-picture", "aria-hidden": "true" });
    this.plot = h("div", { class: "chart-plot", tabindex: "0", role: "slider" }, this.picture);
    this.legend = h("ul", { class: "chart-legend" });
    this.moment = h("span", { class: "chart-moment" });
    this.title = h("span", { class: "chart-title" }, data.title);
    this.note = h("p", { class: "chart-note" });
    this.table = h("table", { class: "hidden" });
    const caption = h("figcaption", null, this.title, this.legend, this.moment);
    this.element = h(
      "figure",
      { class: "chart" },
      caption,
      this.plot,
      this.note,
      h("div", { class: "hidden" }, this.table),
    );
    this.width = 0;
    this.back = (/** @type {number} */ x) => x;
    /** @type {SVGElement | null} */
    this.highlight = null;
    /** @type {(index: number) => {x: number, width: number}} */
    this.columnOf = () => ({ x: 0, width: 0 });
    steer(this.plot, this.cursor, {
      at: (x) => this.bucketAt(this.back(x)),
      step: (from, steps) => this.within(from === null ? this.window().first : from + steps),
    });
    this.unsubscribe = this.cursor.subscribe(() => this.point());
    this.watch = new ResizeObserver(() => {
      const width = Math.floor(this.plot.clientWidth);
      if (width === this.width || width === 0) return;
      this.width = width;
      this.redraw();
    });
    this.watch.observe(this.plot);
  }

  /** @param {Partial<DistributionData>} more */
  update(more) {
    this.data = { ...this.data, ...more };
    if (this.width > 0) this.redraw();
  }

  stop() {
    this.unsubscribe();
    this.watch.disconnect();
  }

  /** The buckets in which anything lies, and one on each side. */
  window() {
    const { buckets, series } = this.data;
    const used = buckets.map((_, index) => series.some((one) => (one.counts[index] ?? 0) > 0));
    const first = Math.max(0, used.indexOf(true) - 1);
    const last = used.includes(true)
      ? Math.min(buckets.length - 1, used.lastIndexOf(true) + 1)
      : Math.min(8, buckets.length - 1);
    return { first, last };
  }

  /** @param {number} index */
  within(index) {
    const { first, last } = this.window();
    return Math.max(first, Math.min(last, index));
  }

  /** @param {number} latency */
  bucketAt(latency) {
    const found = this.data.buckets.findIndex((edge) => latency <= edge);
    return this.within(found < 0 ? this.data.buckets.length - 1 : found);
  }

  /**
   * The latencies between which a bucket is drawn: the outermost ones have no edge of their own there.
   * @param {number} index
   */
  edges(index) {
    const { buckets } = this.data;
    const high = buckets[index] ?? 1;
    const low = index > 0 ? (buckets[index - 1] ?? high) : high / 2.5;
    return { low, high: Number.isFinite(high) ? high : low * 2.5 };
  }

  redraw() {
    const { data, width } = this;
    const height = data.height ?? 168;
    const { first, last } = this.window();
    const shares = data.series.map((one) => sharesOf(one.counts));
    const high = roundedUp(Math.max(0.05, ...shares.flat()), 3);
    const ends = Math.max(0, ...data.series.map((one) => one.name.length));
    const frame = {
      left: 52,
      right: width - Math.max(58, Math.ceil(ends * NAME_LETTER) + 14),
      top: 16,
      bottom: height - 22,
    };
    const [from, to] = [Math.log(this.edges(first).low), Math.log(this.edges(last).high)];
    const flat = linear(from, to, frame.left, frame.right);
    const x = (/** @type {number} */ latency) => flat(Math.log(latency));
    const y = linear(0, high, frame.bottom, frame.top);
    this.back = (/** @type {number} */ px) => Math.exp(linear(frame.left, frame.right, from, to)(px));
    this.columnOf = (index) => ({
      x: x(this.edges(index).low),
      width: x(this.edges(index).high) - x(this.edges(index).low),
    });
    this.highlight = svg("rect", {
      class: "chart-column",
      y: frame.top,
      height: frame.bottom - frame.top,
      visibility: "hidden",
    });
    const root = svg("g", null, this.highlight, axes(frame, y, high), this.edgeTicks(frame, x, first, last));
    data.series.forEach((one, at) => root.append(...this.outline(one, shares[at] ?? [], x, y, first, last)));
    root.append(names(data.series, shares, frame, y, first), places(data.marks ?? [], frame, x));
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.setAttribute("width", String(width));
    this.picture.setAttribute("height", String(height));
    replace(this.picture, root);
    setText(this.title, data.title);
    setText(this.note, data.note ?? "");
    this.drawLegend();
    this.drawTable(shares, first, last);
    this.point();
  }

  /**
   * @param {Spread} series
   * @param {number[]} shares
   * @param {(latency: number) => number} x
   * @param {(share: number) => number} y
   * @param {number} first
   * @param {number} last
   */
  outline(series, shares, x, y, first, last) {
    let path = `M${x(this.edges(first).low).toFixed(1)} ${y(0).toFixed(1)}`;
    for (let index = first; index <= last; index += 1) {
      path += `V${y(shares[index] ?? 0).toFixed(1)}H${x(this.edges(index).high).toFixed(1)}`;
    }
    path += `V${y(0).toFixed(1)}`;
    return [
      series.isFilled ? svg("path", { d: `${path}Z`, class: `band ${series.className}` }) : svg("g"),
      svg("path", { d: path, class: `line ${series.className}${series.dashed ? " is-dashed" : ""}` }),
    ];
  }

  /**
   * @param {{left: number, right: number, top: number, bottom: number}} frame
   * @param {(latency: number) => number} x
   * @param {number} first
   * @param {number} last
   */
  edgeTicks(frame, x, first, last) {
    const group = svg("g", { class: "chart-axis" });
    let free = -Infinity;
    for (let index = first; index <= last; index += 1) {
      const edge = this.data.buckets[index] ?? Infinity;
      if (!Number.isFinite(edge)) continue;
      const [at, name] = [x(edge), seconds(edge).replace(/\.0+ /, " ")];
      const half = (name.length * LETTER) / 2;
      if (at - half < free) continue;
      free = at + half + 6;
      const line = Math.round(at) + 0.5;
      group.append(
        svg("line", { x1: line, x2: line, y1: frame.bottom, y2: frame.bottom + 4, class: "base" }),
        svg("text", { x: at.toFixed(1), y: frame.bottom + 16, "text-anchor": "middle" }, name),
      );
    }
    return group;
  }

  drawLegend() {
    replace(
      this.legend,
      ...this.data.series.map((one) => {
        const line = svg("line", {
          x1: 0,
          y1: 4,
          x2: 18,
          y2: 4,
          class: `line ${one.className}${one.dashed ? " is-dashed" : ""}`,
        });
        const key = svg("svg", { class: "chart-key", width: 18, height: 8, "aria-hidden": "true" }, line);
        const total = one.counts.reduce((sum, more) => sum + more, 0);
        return h("li", null, key, one.name, " ", h("b", null, count(total)));
      }),
    );
  }

  /** @param {number} index */
  bucketName(index) {
    const edge = this.data.buckets[index] ?? Infinity;
    const low = index > 0 ? (this.data.buckets[index - 1] ?? 0) : 0;
    return Number.isFinite(edge) ? `${seconds(low)} to ${seconds(edge)}` : `more than ${seconds(low)}`;
  }

  point() {
    const { cursor, data, plot } = this;
    const at = cursor.at;
    const said = (/** @type {number} */ index) => {
      const parts = data.series.map((one) => `${one.name} ${percent(sharesOf(one.counts)[index] ?? 0)}`);
      return `${this.bucketName(index)}: ${parts.join(", ")}`;
    };
    setText(this.moment, at === null ? "" : said(at));
    plot.setAttribute("aria-label", `${data.title}, chart; arrow keys go through the buckets`);
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuemax", String(Math.max(0, data.buckets.length - 1)));
    plot.setAttribute("aria-valuenow", String(at ?? 0));
    plot.setAttribute("aria-valuetext", said(at ?? this.window().first));
    this.highlight?.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at === null) return;
    const { x, width } = this.columnOf(at);
    this.highlight?.setAttribute("x", x.toFixed(1));
    this.highlight?.setAttribute("width", Math.max(0, width).toFixed(1));
  }

  /**
   * @param {number[][]} shares
   * @param {number} first
   * @param {number} last
   */
  drawTable(shares, first, last) {
    const { data } = this;
    const rows = [];
    for (let index = first; index <= last; index += 1) {
      const cells = shares.map((one) => h("td", null, percent(one[index] ?? 0)));
      rows.push(h("tr", null, h("th", { scope: "row" }, this.bucketName(index)), ...cells));
    }
    const head = data.series.map((one) => h("th", { scope: "col" }, one.name));
    replace(
      this.table,
      h("caption", null, data.title),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "an answer took"), ...head)),
      h("tbody", null, ...rows),
    );
  }
}

/**
 * @param {number[]} counts
 * @returns {number[]}
 */
export function sharesOf(counts) {
  const total = counts.reduce((sum, one) => sum + one, 0);
  return counts.map((one) => (total > 0 ? one / total : 0));
}

/**
 * @param {{left: number, right: number, bottom: number}} frame
 * @param {(share: number) => number} y
 * @param {number} high
 */
function axes(frame, y, high) {
  const group = svg("g", { class: "chart-axis" });
  ticks(0, high, 3).forEach((level, index) => {
    const at = Math.round(y(level)) + 0.5;
    group.append(
      svg("line", { x1: frame.left, x2: frame.right, y1: at, y2: at, class: index === 0 ? "base" : "grid" }),
      svg("text", { x: frame.left - 6, y: at + 3.5, "text-anchor": "end" }, level === 0 ? "0" : percent(level)),
    );
  });
  return group;
}

/**
 * The name of each line beside the height of its last bucket that holds anything.
 * @param {Spread[]} series
 * @param {number[][]} shares
 * @param {{right: number, top: number, bottom: number}} frame
 * @param {(share: number) => number} y
 * @param {number} first
 */
function names(series, shares, frame, y, first) {
  const group = svg("g", { class: "chart-names" });
  const wanted = shares.map((one) =>
    y(
      one[
        Math.max(
          first,
          one.findLastIndex((share) => share > 0),
        )
      ] ?? 0,
    ),
  );
  const placed = apart(wanted, 13, frame.top, frame.bottom);
  series.forEach((one, index) => {
    group.append(
      svg("text", { x: frame.right + 8, y: ((placed[index] ?? 0) + 4).toFixed(1), class: one.className }, one.name),
    );
  });
  return group;
}

/**
 * @param {Place[]} marks
 * @param {{top: number, bottom: number}} frame
 * @param {(latency: number) => number} x
 */
function places(marks, frame, x) {
  const group = svg("g", { class: "chart-marks" });
  for (const mark of marks) {
    const at = Math.round(x(mark.at)) + 0.5;
    group.append(
      svg("line", { x1: at, x2: at, y1: frame.top - 4, y2: frame.bottom, class: mark.className ?? "" }),
      svg("text", { x: at + 4, y: frame.top + 6, class: mark.className ?? "" }, mark.label),
    );
  }
  return group;
}
