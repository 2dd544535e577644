// Stable beside its canaries: every number of the last seconds, and how much it differs, with the interval of the
// difference where counts allow one. A quantile comes without a count of its own, so it has none.

import { h, replace, setClass, setText } from "./dom.js";
import { count, dash, percent, ppm, rate, seconds } from "./format.js";
import { panel } from "./parts.js";
import { difference, wilson } from "./stats.js";
import { signed } from "./words.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").WindowJson} WindowJson */
/** @typedef {import("./types.js").CanaryJson} CanaryJson */
/** @typedef {{value: string, note: string, className: string}} Cell */

const NOTE =
  "Intervals are at 95%: Wilson’s for a share, Newcombe’s for a difference; there is none for latencies. They look at these seconds only. The verdict weighs " +
  "every second since the canary has traffic, and is what counts.";

/** @param {string} value @param {string} [note] @param {string} [className] @returns {Cell} */
const cell = (value, note = "", className = "") => ({ value, note, className });

export function comparison() {
  const { root, body } = panel("Stable and canary", "of-compare");
  const table = h("table", { class: "compare" });
  const note = h("p", { class: "chart-note" }, NOTE);
  body.append(
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Stable and canary, numbers" }, table),
    note,
  );
  /** @type {{value: HTMLElement, note: HTMLElement, cell: HTMLElement}[]} */
  let cells = [];
  let shape = "";
  return {
    element: root,
    /** @param {RouteJson} route */
    update(route) {
      const rows = numbers(route);
      const now = [route.canaries.map((one) => one.name).join("|"), route.mirror ? "mirror" : "", rows.length].join(
        "/",
      );
      if (now !== shape) {
        shape = now;
        table.classList.toggle("is-lone", route.canaries.length === 0);
        table.classList.toggle("is-many", route.canaries.length > 1);
        const title = root.querySelector("h2");
        if (title) title.textContent = route.canaries.length === 0 ? "Stable" : "Stable and canary";
        cells = rows.flatMap((row) => row.cells.map(emptyCell));
        replace(table, head(route), bodyOf(rows, cells));
        note.hidden = route.canaries.length === 0;
      }
      rows
        .flatMap((row) => row.cells)
        .forEach((one, index) => {
          const place = cells[index];
          if (!place) return;
          setText(place.value, one.value);
          setText(place.note, one.note);
          setClass(place.cell, one.className);
        });
    },
  };
}

function emptyCell() {
  const value = h("span", { class: "number" });
  const note = h("span", { class: "beside" });
  return { value, note, cell: h("td", null, value, note) };
}

/** @param {RouteJson} route */
function head(route) {
  const lone = route.canaries.length === 1;
  const column = (/** @type {string} */ name, /** @type {string} */ upstream, /** @type {string} */ className) =>
    h(
      "th",
      { scope: "col", class: className },
      h("span", { class: "variant" }, name),
      h("span", { class: "beside" }, upstream),
    );
  return h(
    "thead",
    null,
    h(
      "tr",
      null,
      h("td", null),
      column("stable", route.stable?.upstream ?? dash, "of-stable"),
      ...route.canaries.flatMap((one) => [
        column(one.name, one.upstream, "of-canary"),
        h("th", { scope: "col", class: "differs" }, lone ? "difference" : `${one.name}: difference`),
      ]),
    ),
  );
}

/**
 * @param {{name: string, cells: Cell[]}[]} rows
 * @param {{cell: HTMLElement}[]} cells
 */
function bodyOf(rows, cells) {
  let next = 0;
  return h(
    "tbody",
    null,
    ...rows.map((row) =>
      h("tr", null, h("th", { scope: "row" }, row.name), ...row.cells.map(() => cells[next++]?.cell ?? null)),
    ),
  );
}

/**
 * @param {RouteJson} route
 * @returns {{name: string, cells: Cell[]}[]}
 */
function numbers(route) {
  const stable = route.stable?.window ?? null;
  const all = [stable, ...route.canaries.map((one) => one.window)].reduce((sum, one) => sum + (one?.requests ?? 0), 0);
  const span = Math.round(stable?.seconds ?? 10);
  /** @param {string} name @param {Cell} first @param {(one: CanaryJson) => Cell[]} of */
  const row = (name, first, of) => ({ name, cells: [first, ...route.canaries.flatMap(of)] });
  const latency = (/** @type {string} */ name, /** @type {"p50_seconds" | "p95_seconds" | "p99_seconds"} */ key) =>
    row(name, cell(seconds(stable?.[key])), (one) => [
      cell(seconds(one.window[key])),
      slower(one.window[key], stable?.[key]),
    ]);
  return [
    row("share", cell(ppm(route.stable?.effective_ppm)), (one) => [cell(ppm(one.effective_ppm), aim(one)), drawn(one)]),
    row("requests", cell(perSecond(stable), seen(stable)), (one) => [
      cell(perSecond(one.window), seen(one.window)),
      cell(all > 0 ? percent(one.window.requests / all) : dash, `of all in ${span} s`),
    ]),
    row("failed", failed(stable), (one) => [failed(one.window), worse(one.window, stable)]),
    latency("p50", "p50_seconds"),
    latency("p95", "p95_seconds"),
    latency("p99", "p99_seconds"),
    row("in flight", cell(count(stable?.in_flight)), (one) => [cell(count(one.window.in_flight)), cell("")]),
  ];
}

/** @param {WindowJson | null} window */
const perSecond = (window) => (window?.requests_per_second == null ? dash : `${rate(window.requests_per_second)}/s`);
/** @param {WindowJson | null} window */
const seen = (window) => (window ? `${count(window.requests)} in ${Math.round(window.seconds)} s` : "");

/** @param {CanaryJson} canary */
function aim(canary) {
  const parts = [];
  if (canary.aim_ppm !== canary.effective_ppm) parts.push(`aim ${canary.aim}`);
  if (canary.ceiling_ppm < canary.aim_ppm) parts.push(`ceiling ${canary.ceiling}`);
  if (canary.file_aim_ppm !== canary.aim_ppm) parts.push(`the file says ${canary.file_aim}`);
  return parts.join(", ");
}

/**
 * What the lots gave beside what the weights say.
 * @param {CanaryJson} canary
 */
function drawn({ lots }) {
  if (!lots || lots.drawn === 0) return cell("");
  const off = Math.round(lots.given - lots.expected);
  const said = `${count(lots.given)} of ${count(lots.drawn)} lots\n${off === 0 ? "as the weights say" : `${signed(off, count)} beside the weights`}`;
  if (lots.mismatch) return cell("not as the weights say", said, "is-bad");
  if (lots.unjudged_mismatch) return cell("more clients leave it", said, "is-waiting");
  return cell(`${percent(lots.given / lots.drawn)} drawn`, said);
}

/** @param {WindowJson | null} window */
function failed(window) {
  if (!window || window.requests === 0) return cell(dash);
  const range = wilson(window.failures, window.requests);
  return cell(
    percent(window.error_ratio),
    range ? `${count(window.failures)} failed\n${percent(range.low)} to ${percent(range.high)}` : "",
  );
}

/**
 * @param {WindowJson} canary
 * @param {WindowJson | null} stable
 */
function worse(canary, stable) {
  const found =
    stable &&
    difference({ hits: canary.failures, of: canary.requests }, { hits: stable.failures, of: stable.requests });
  if (!found) return cell(dash);
  const points = (/** @type {number} */ value) => signed(value, (size) => percent(size).replace("%", ""));
  const range = `${points(found.low)} to ${points(found.high)}`;
  const word = found.low > 0 ? "worse" : found.high < 0 ? "better" : "not clear";
  const className = found.low > 0 ? "is-bad" : found.high < 0 ? "is-good" : "";
  return cell(`${points(found.value)} points`, `${word}\n${range}`, className);
}

/**
 * @param {number | null | undefined} canary
 * @param {number | null | undefined} stable
 */
function slower(canary, stable) {
  if (canary == null || stable == null) return cell(dash);
  const times =
    stable > 0
      ? `× ${(canary / stable).toLocaleString("en-GB", { maximumFractionDigits: 2, minimumFractionDigits: 2 })}`
      : "";
  return cell(signed(canary - stable, seconds), times);
}
