// A line chart over time, or over another number: axes with units, gaps where there is nothing, thresholds, marks at
// decisions, and a cursor that charts share. Own, small, and without a style of its own: classes say what is what.
//
// A line is told from another by its name at its end and by its dashes as well as by its colour. For those who do not
// see it there is a table, and the plot is a slider whose text says what was at the cursor.

import { draw } from "./chart-draw.js";
import { Cursor, sharedCursor, steer } from "./cursor.js";
import { clock, count, dash, duration, odds, percent, rate, seconds } from "./format.js";
import { h, replace, setText, svg } from "./dom.js";
import { nearest } from "./scale.js";

export { distribution } from "./distribution.js";
export { sharedCursor };

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} className `of-stable`, `of-canary`, …
 * @property {number[]} at sorted
 * @property {(number | null)[]} values `null`: a gap. With `log`: powers of ten
 * @property {boolean} [dashed]
 * @property {boolean} [stepped] it holds until the next, as a weight does
 * @property {{low: (number | null)[], high: (number | null)[]}} [band] an interval around it
 */

/** @typedef {{at: number, label: string, title?: string, className?: string}} Mark */
/** @typedef {{value: number, label: string, className?: string}} Threshold */
/** @typedef {{label: string, ticks: number[], show: (x: number) => string, log?: boolean}} Across what is not time */

/**
 * @typedef {object} ChartData
 * @property {string} title
 * @property {string} unit `share`, `seconds`, `rate`, `odds`, `count`, `delay`
 * @property {Series[]} series
 * @property {Mark[]} [marks]
 * @property {Threshold} [threshold]
 * @property {Threshold[]} [thresholds]
 * @property {boolean} [log] values are powers of ten
 * @property {number} [height]
 * @property {number} [from] where the axis begins; default: with the first value
 * @property {number} [to]
 * @property {number} [most] the axis is at least so high
 * @property {Across} [across]
 * @property {Cursor} [cursor]
 * @property {string} [empty] said where there is nothing to draw yet
 */

/** @type {Record<string, (value: number | null) => string>} */
const SHOWN = {
  share: percent,
  seconds,
  rate: (value) => (value === null ? dash : `${rate(value)}/s`),
  odds: (value) => (value === null ? dash : odds(10 ** Math.min(value, 300))),
  count,
  delay: (value) => (value === null ? dash : duration(Number((10 ** value).toPrecision(3)))),
};

/** Rows of the table are this many at most: it is an alternative to a picture, not an export. */
const ROWS_MAX = 12;
const TABLE_EVERY_MS = 5_000;

/**
 * @param {ChartData} data
 * @returns {{element: HTMLElement, update: (data: Partial<ChartData>) => void, stop: () => void}}
 */
export function lineChart(data) {
  const chart = new Chart(data);
  return { element: chart.element, update: (more) => chart.update(more), stop: () => chart.stop() };
}

class Chart {
  /** @param {ChartData} data */
  constructor(data) {
    this.data = data;
    this.cursor = data.cursor ?? sharedCursor();
    this.picture = svg("svg", { class: "chart-picture", "aria-hidden": "true" });
    this.plot = h(
      "div",
      { class: "chart-plot", tabindex: "0", role: "slider", "aria-orientation": "horizontal" },
      this.picture,
    );
    this.moment = h("span", { class: "chart-moment" });
    this.legend = h("ul", { class: "chart-legend" });
    this.table = h("table", { class: "hidden" });
    this.title = h("span", { class: "chart-title" }, data.title);
    const caption = h("figcaption", null, this.title, this.legend, this.moment);
    this.element = h("figure", { class: "chart" }, caption, this.plot, h("div", { class: "hidden" }, this.table));
    /** @type {ReturnType<typeof draw> | null} */
    this.drawn = null;
    this.tabledAt = 0;
    /** @type {string} */
    this.legendOf = "";
    /** @type {HTMLElement[]} */
    this.readings = [];
    this.width = 0;
    steer(this.plot, this.cursor, { at: (x) => this.at(x), step: (from, steps) => this.step(from, steps) });
    this.unsubscribe = this.cursor.subscribe(() => this.point());
    this.watch = new ResizeObserver(() => this.resized());
    this.watch.observe(this.plot);
  }

  /** @param {Partial<ChartData>} more */
  update(more) {
    this.data = { ...this.data, ...more };
    setText(this.title, this.data.title);
    if (this.width > 0) this.redraw();
  }

  stop() {
    this.unsubscribe();
    this.watch.disconnect();
  }

  resized() {
    const width = Math.floor(this.plot.clientWidth);
    if (width === this.width || width === 0) return;
    this.width = width;
    this.redraw();
  }

  redraw() {
    const { data, width } = this;
    const height = data.height ?? 168;
    this.drawn = draw(data, width, height, (value) => this.shown(value));
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.setAttribute("width", String(width));
    this.picture.setAttribute("height", String(height));
    replace(this.picture, this.drawn.root);
    this.drawLegend();
    this.point();
    if (Date.now() - this.tabledAt > TABLE_EVERY_MS) this.drawTable();
  }

  /** @param {number | null} value */
  shown(value) {
    return (SHOWN[this.data.unit] ?? count)(value);
  }

  /** @param {number} at */
  where(at) {
    return this.data.across ? this.data.across.show(at) : clock(at);
  }

  /** All moments of which something is known. */
  moments() {
    const longest = this.data.series.reduce((/** @type {number[]} */ best, one) => {
      return one.at.length > best.length ? one.at : best;
    }, []);
    return longest;
  }

  /** @param {number} x */
  at(x) {
    const moments = this.moments();
    if (!this.drawn || moments.length === 0) return null;
    return moments[nearest(moments, this.drawn.back(x))] ?? null;
  }

  /**
   * @param {number | null} from
   * @param {number} steps
   */
  step(from, steps) {
    const moments = this.moments();
    if (moments.length === 0) return null;
    const start = from === null ? moments.length - 1 : nearest(moments, from);
    // The first press only shows the cursor, where it is: at the end.
    const place = from === null && Number.isFinite(steps) ? start : start + steps;
    return moments[Math.max(0, Math.min(moments.length - 1, place))] ?? null;
  }

  /** Built anew only if there are other lines, so that a reader with a screen reader keeps the place. */
  drawLegend() {
    const of = this.data.series.map((one) => `${one.name} ${one.className}`).join("|");
    if (of === this.legendOf) return;
    this.legendOf = of;
    this.readings = this.data.series.map(() => h("b", null));
    replace(
      this.legend,
      ...this.data.series.map((one, index) => {
        const line = svg("line", {
          x1: 0,
          y1: 4,
          x2: 18,
          y2: 4,
          class: `line ${one.className}${one.dashed ? " is-dashed" : ""}`,
        });
        const key = svg("svg", { class: "chart-key", width: 18, height: 8, "aria-hidden": "true" }, line);
        return h("li", null, key, one.name, " ", this.readings[index] ?? "");
      }),
    );
  }

  /** Shows what was at the cursor, or what is last. */
  point() {
    const { cursor, data, drawn } = this;
    if (!drawn) return;
    const moments = this.moments();
    const last = moments[moments.length - 1] ?? null;
    const at = cursor.at ?? last;
    const values = data.series.map((one) => valueAt(one, at));
    values.forEach((value, index) => {
      const reading = this.readings[index];
      if (reading) setText(reading, this.shown(value));
    });
    drawn.point(cursor.at, values);
    const mark = cursor.at === null ? undefined : drawn.markAt(cursor.at);
    const moment = cursor.at === null ? "" : this.where(cursor.at);
    setText(this.moment, mark ? `${moment} · ${mark.title ?? mark.label}` : moment);
    this.speak(at, moments, values, mark);
  }

  /**
   * @param {number | null} at
   * @param {number[]} moments
   * @param {(number | null)[]} values
   * @param {Mark | undefined} mark
   */
  speak(at, moments, values, mark) {
    const { data, plot } = this;
    plot.setAttribute("aria-label", `${data.title}, chart; arrow keys move the cursor`);
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuemax", String(Math.max(0, moments.length - 1)));
    plot.setAttribute("aria-valuenow", String(at === null ? 0 : nearest(moments, at)));
    const said = data.series.map((one, index) => `${one.name} ${this.shown(values[index] ?? null)}`).join(", ");
    const nothing = data.empty ?? "nothing yet";
    const text = at === null ? nothing : `${this.where(at)}: ${said}${mark ? `; ${mark.title ?? mark.label}` : ""}`;
    plot.setAttribute("aria-valuetext", text);
  }

  drawTable() {
    this.tabledAt = Date.now();
    const { data } = this;
    const moments = this.moments();
    const every = Math.max(1, Math.ceil(moments.length / ROWS_MAX));
    const rows = moments.filter((_, index) => (moments.length - 1 - index) % every === 0);
    const limits = [data.threshold, ...(data.thresholds ?? [])].filter((one) => one !== undefined);
    const notes = [
      ...limits.map((one) => `${one.label}: ${this.shown(one.value)}`),
      ...(data.marks ?? []).map((mark) => `${this.where(mark.at)}: ${mark.title ?? mark.label}`),
    ];
    replace(
      this.table,
      h("caption", null, [data.title, ...notes].join("; ")),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", { scope: "col" }, data.across?.label ?? "time"),
          ...data.series.map((one) => h("th", { scope: "col" }, one.name)),
        ),
      ),
      h(
        "tbody",
        null,
        ...rows.map((at) =>
          h(
            "tr",
            null,
            h("th", { scope: "row" }, this.where(at)),
            ...data.series.map((one) => h("td", null, this.shown(valueAt(one, at)))),
          ),
        ),
      ),
    );
  }
}

/**
 * What a line has at a moment: its value there, or nothing where it has none near.
 * @param {Series} series
 * @param {number | null} at
 * @returns {number | null}
 */
export function valueAt(series, at) {
  if (at === null || series.at.length === 0) return null;
  const place = nearest(series.at, at);
  const off = Math.abs((series.at[place] ?? Infinity) - at);
  const first = series.at[0] ?? 0;
  const last = series.at[series.at.length - 1] ?? 0;
  const usual = (last - first) / Math.max(1, series.at.length - 1);
  return off <= Math.max(usual, 1e-9) * 1.5 ? (series.values[place] ?? null) : null;
}
