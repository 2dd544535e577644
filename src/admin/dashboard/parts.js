// What the pages of a route, a decision and the timeline have in common: sections, word badges, lists of facts, and how a
// failed question is told.

import { ApiError } from "./api.js";
import { h, replace } from "./dom.js";
import { clock, ago } from "./format.js";
import { live } from "./live.js";
import { actionSaid, moved } from "./words.js";

/** @typedef {import("./dom.js").Child} Child */
/** @typedef {import("./types.js").DecisionJson} DecisionJson */

let numbered = 0;

/**
 * A section with a heading that names it.
 * @param {string} title
 * @param {string} className
 * @param {...Child} children
 * @returns {{root: HTMLElement, body: HTMLElement}}
 */
export function panel(title, className, ...children) {
  numbered += 1;
  const id = `part-${numbered}`;
  const body = h("div", { class: "part-body" }, ...children);
  const root = h("section", { class: `part card ${className}`, "aria-labelledby": id }, h("h2", { id }, title), body);
  return { root, body };
}

/**
 * A word with a sign before it, coloured.
 * @param {{word: string, className: string}} said
 */
export function badge(said) {
  return h("span", { class: `pill ${said.className}` }, said.word);
}

/**
 * @param {[string, Child][]} rows
 */
export function facts(rows) {
  const there = rows.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return h(
    "dl",
    { class: "facts" },
    ...there.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}

/** @type {WeakMap<Element, string>} */
const shows = new WeakMap();

/**
 * Fills an element again only if what it shows has changed, so that focus, selection and screen readers are left alone.
 * @param {HTMLElement} element
 * @param {unknown} of all that `build` looks at
 * @param {() => Child} build
 */
export function keyed(element, of, build) {
  const key = JSON.stringify(of);
  if (shows.get(element) === key) return;
  shows.set(element, key);
  replace(element, build());
}

/**
 * A moment: how long ago, with the time of day.
 * @param {number} ms
 */
export function moment(ms) {
  return h("time", { datetime: new Date(ms).toISOString(), title: new Date(ms).toISOString() }, clock(ms));
}

/** @param {number} ms */
export function since(ms) {
  return ago(ms, live.now());
}

/**
 * A problem, in the words of the API.
 * @param {unknown} error
 * @param {string} what that was asked for
 */
export function trouble(error, what) {
  const detail = error instanceof ApiError ? error.detail || error.title : String(error);
  return h("p", { class: "trouble is-bad", role: "alert" }, h("b", null, `${what}: `), detail);
}

/** @param {string} said */
export function quiet(said) {
  return h("p", { class: "none" }, said);
}

/**
 * The address of a page.
 * @param {...string} places
 */
export function to(...places) {
  return `#/${places.map(encodeURIComponent).join("/")}`;
}

/**
 * One decision as a line of a list, with its permalink.
 * @param {DecisionJson} decision
 * @param {{route?: boolean}} [with_]
 */
function decisionLine(decision, with_ = {}) {
  const said = actionSaid(decision.action);
  const move = moved(decision);
  const canary = decision.canary && decision.canary !== "canary" ? ` ${decision.canary}` : "";
  return h(
    "li",
    { class: `line-of-record ${said.className}` },
    h("a", { class: "when", href: to("decision", decision.id), title: "its evidence" }, moment(decision.at_ms)),
    h(
      "div",
      { class: "what" },
      with_.route ? whereOf(decision) : null,
      badge(said),
      move || canary ? h("span", { class: "move" }, `${canary} ${move}`.trim()) : null,
      h("span", { class: "who" }, `by ${decision.by}`),
    ),
    h("p", { class: "why" }, decision.why),
  );
}

/**
 * A ramp is twenty moves of one step, which are one thing to a reader.
 * @param {DecisionJson[]} decisions
 * @returns {DecisionJson[][]}
 */
export function runs(decisions) {
  /** @type {DecisionJson[][]} */
  const found = [];
  for (const one of decisions) {
    const run = found[found.length - 1];
    const [last] = run ?? [];
    const same =
      last &&
      one.action === "release_step" &&
      last.action === one.action &&
      last.route === one.route &&
      last.why === one.why;
    if (run && same) run.push(one);
    else found.push([one]);
  }
  return found;
}

/**
 * A run as one line, with its moves behind it.
 * @param {DecisionJson[]} run newest first
 * @param {{route?: boolean, fresh?: string}} [with_] `fresh`: the id of one that has just come
 */
export function recordLine(run, with_ = {}) {
  const newest = /** @type {DecisionJson} */ (run[0]);
  const oldest = /** @type {DecisionJson} */ (run[run.length - 1]);
  const line = decisionLine({ ...newest, before: oldest.before, before_ppm: oldest.before_ppm }, with_);
  if (run.some((one) => one.id === with_.fresh)) line.classList.add("is-fresh");
  if (run.length > 1) {
    line.append(
      h(
        "details",
        { class: "moves" },
        h("summary", null, `${run.length} moves`),
        h("ol", { class: "record", reversed: true }, ...run.map((one) => decisionLine(one))),
      ),
    );
  }
  return line;
}

/**
 * The route; what is of none is of an upstream.
 * @param {DecisionJson} decision
 */
function whereOf({ route, evidence }) {
  if (route) return h("a", { class: "where", href: to("route", route) }, route);
  return h("span", { class: "where" }, evidence?.upstream ?? "");
}

/**
 * Does something again and again while a page is shown, never twice at a time.
 * @param {() => Promise<void>} act
 * @param {number} every_ms
 * @returns {() => void} ends it
 */
export function repeat(act, every_ms) {
  let isOn = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const round = async () => {
    if (!document.hidden) await act();
    if (isOn) timer = setTimeout(round, every_ms);
  };
  void round();
  return () => {
    isOn = false;
    clearTimeout(timer);
  };
}
