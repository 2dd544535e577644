// The buttons that change something: the cord, weights, and releases (`steer.js`). What the role or the state does not
// allow has no button. Each asks first (`dialog.js`), and what the API answers is shown at once.

import { may, send } from "./api.js";
import { ask } from "./dialog.js";
import { h, replace } from "./dom.js";
import { ago, clock, plural, rate } from "./format.js";
import { live } from "./live.js";
import { accept, at, isRunning, releaseActions, rollBackOf, shell } from "./steer.js";
import { askWeight } from "./weight.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./dom.js").Child} Child */
/** @typedef {import("./steer.js").Action} Action */

/**
 * What may be done to a route as it is, by whoever is logged in. The cord comes last, where it is always found.
 * @param {RouteJson} route
 * @returns {Action[]}
 */
export function actionsOf(route) {
  const isSplit = !route.deny && route.canaries.length > 0;
  /** @type {Action[]} */
  const actions = [];
  if (may("release")) {
    if (route.cord || route.self_test?.alarm)
      actions.push({ id: "reset", label: "Reset the cord", kind: "primary", act: askReset });
    if (isSplit) actions.push(...releaseActions(route));
    actions.push(...rollBackOf(route));
    if (isSplit && !route.cord) actions.push({ id: "weight", label: "Change weight", kind: "", act: askWeight });
  }
  if (isSplit && may("puller") && !route.cord)
    actions.push({ id: "pull", label: "Pull the cord", kind: "danger", act: askPull });
  return actions;
}

/**
 * A bar with the buttons of a route, which keeps itself up to date while it is on the page.
 * @param {RouteJson} route
 * @param {{only?: string[], label?: string}} [options] ids of the buttons that are wanted; another label for them
 * @returns {HTMLElement}
 */
export function actionBar(route, options = {}) {
  const bar = h("div", { class: "actions", role: "group", "aria-label": `What you may do to ${route.name}` });
  let shown = "";
  const draw = () => {
    const now = live.routes.get(route.name) ?? route;
    const actions = actionsOf(now).filter((action) => options.only?.includes(action.id) ?? true);
    const ids = actions.map((action) => action.id).join();
    if (ids === shown) return;
    shown = ids;
    const focused = bar.contains(document.activeElement);
    replace(
      bar,
      actions.map((action) => button(route, action, options.label)),
    );
    if (focused) bar.querySelector("button")?.focus();
  };
  draw();
  const unsubscribe = live.onChange((changed) => {
    if (!bar.isConnected && bar.dataset.shown === "yes") return unsubscribe();
    bar.dataset.shown = bar.isConnected ? "yes" : "no";
    if (changed.has(route.name)) draw();
  });
  return bar;
}

/**
 * @param {RouteJson} route
 * @param {Action} action
 * @param {string} [label] a shorter one, where there is little room
 */
export function button(route, action, label = action.label) {
  const act = () => action.act(live.routes.get(route.name) ?? route);
  const name = label.includes(route.name) ? label : `${label}: ${route.name}`;
  const plain = {
    type: "button",
    class: action.kind,
    "data-action": action.id,
    "aria-label": name,
    on: { click: act },
  };
  return h("button", plain, action.id === "pull" ? cordIcon() : null, label);
}

/** A sign beside the word, so that the cord is found at a glance. */
export function cordIcon() {
  return h("span", { class: "cord-icon", "aria-hidden": "true" });
}

/** The button for all routes, or `null` for who may not. */
export function cordButtonForAll() {
  if (!may("puller")) return null;
  const plain = { type: "button", class: "danger", "data-action": "pull-all", on: { click: askPullAll } };
  return h("button", plain, cordIcon(), "Pull every cord");
}

/** @param {RouteJson} route */
function askPull(route) {
  const name = route.name;
  ask({
    title: `Pull the cord of ${name}`,
    danger: true,
    confirm: `Pull the cord of ${name}`,
    instead: `andon cord pull ${shell(name)} --why TEXT`,
    what: () => {
      const now = live.routes.get(name) ?? route;
      const points = now.canaries.map((canary) => {
        const share = `${named(now, canary.name)} (${canary.upstream}) goes from ${canary.effective} to 0% with the next request`;
        return h(
          "li",
          null,
          share,
          canary.window.requests_per_second
            ? `; that is ${rate(canary.window.requests_per_second)} requests/s just now.`
            : ".",
        );
      });
      return [
        h(
          "ul",
          null,
          points,
          h("li", null, "Stable serves everybody. No request is lost."),
          isRunning(now.release) &&
            h("li", null, `The release by plan “${now.release?.plan}” is over, and its canary keeps nothing.`),
          h("li", null, "Nothing rises until a person resets the cord with a reason."),
        ),
      ];
    },
    act: async ({ why, by }, key) => accept(await send("POST", `${at(name)}/cord`, { why, by }, { key })),
    done: () => `The cord of ${name} is pulled: stable serves everybody.`,
  });
}

function askPullAll() {
  const affected = () => [...live.routes.values()].filter((route) => route.canaries.length > 0 && !route.cord);
  ask({
    title: "Pull the cord of every route",
    danger: true,
    confirm: () => `Pull ${plural(affected().length, "cord")}`,
    instead: "andon cord pull --why TEXT",
    what: () => {
      const routes = affected();
      const on = routes.filter((route) => route.canaries.some((canary) => canary.effective_ppm > 0));
      const running = routes.filter((route) => isRunning(route.release));
      return [
        h(
          "ul",
          null,
          h(
            "li",
            null,
            `${plural(routes.length, "route")} with a canary: each canary goes to 0%, and stable serves everybody.`,
          ),
          h("li", null, on.length === 0 ? "None of them has traffic now." : `With traffic now: ${names(on)}.`),
          running.length > 0 &&
            h("li", null, `${plural(running.length, "release")} under way will be over: ${names(running)}.`),
          h("li", null, "Nothing rises until a person resets each cord with a reason."),
        ),
      ];
    },
    act: async ({ why, by }, key) => {
      const answer = await send("POST", "cord", { why, by }, { key });
      answer.routes.forEach((/** @type {RouteJson} */ route) => live.put(route));
    },
    done: () => "Every cord is pulled: stable serves everybody.",
  });
}

/** @param {RouteJson[]} routes */
function names(routes) {
  const shown = routes
    .slice(0, 8)
    .map((route) => route.name)
    .join(", ");
  return routes.length > 8 ? `${shown} and ${routes.length - 8} more` : shown;
}

/** @param {RouteJson} route */
function askReset(route) {
  const name = route.name;
  ask({
    title: `Reset the cord of ${name}`,
    confirm: `Reset the cord of ${name}`,
    placeholder: "what was found, and what has changed",
    instead: `andon cord reset ${shell(name)} --why TEXT`,
    what: () => {
      const now = live.routes.get(name) ?? route;
      const points = now.canaries.map((canary) =>
        h(
          "li",
          null,
          canary.aim_ppm === 0
            ? `${named(now, canary.name)} stays at 0%, its aim.`
            : `${named(now, canary.name)} (${canary.upstream}) gets ${canary.aim} again, with the next request.`,
        ),
      );
      return [
        now.cord
          ? pulled(now)
          : h("p", { class: "note is-waiting" }, `The self-test has an alarm: ${now.self_test?.reason ?? ""}`),
        h("ul", null, points, h("li", null, "The evidence starts anew.")),
      ];
    },
    act: async ({ why, by }, key) => accept(await send("DELETE", `${at(name)}/cord`, { why, by }, { key })),
    done: () => `The cord of ${name} is reset.`,
  });
}

/**
 * Who pulled the cord, when, and why.
 * @param {RouteJson} route
 * @returns {HTMLElement | null}
 */
export function pulled(route) {
  const cord = route.cord;
  if (!cord) return null;
  const when = h("time", { title: clock(cord.at_ms) }, ago(cord.at_ms, live.now()));
  return h("p", { class: "note is-bad" }, h("strong", null, `Pulled by ${cord.by} `), when, `: ${cord.why}`);
}

/**
 * A canary in a sentence.
 * @param {RouteJson} route
 * @param {string} canary
 */
export function named(route, canary) {
  return route.canaries.length === 1 && canary === "canary" ? "The canary" : `Canary ${canary}`;
}
