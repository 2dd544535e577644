// A route on the board: one line a variant, the verdict beside them. It is built once for the variants that the route
// has, and `update` touches only what reads differently.

import { actionsOf, button } from "./actions.js";
import { h, replace, setClass, setText } from "./dom.js";
import { ago, clock, dash, percent, rate, seconds } from "./format.js";
import { live } from "./live.js";
import { isCut, releaseInWords, stateOf, verdictOf, waitsFor } from "./state.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").WindowJson} WindowJson */
/** @typedef {{className: string, name: string, upstream: string, weight: string, aim: string, cut: boolean, seen: string, window: WindowJson}} Variant */

/** What is asked for most often; all the rest is on the route's page. */
const ON_BOARD = ["reset", "resume", "approve", "pull"];
/** @type {Record<string, string>} */
const SHORT = { pull: "Pull cord", reset: "Reset cord" };
const LABELS = ["", "", "Weight", "Aim", "Seen", "Req/s", "Errors", "p50", "p95", "p99"];

export class Row {
  /** @param {RouteJson} route */
  constructor(route) {
    this.name = route.name;
    this.shape = shapeOf(route);
    /** Too far outside the window for its numbers to matter. */
    this.isFar = false;
    this.state = h("span", { class: "pill" });
    this.link = h("a", { href: `#/route/${encodeURIComponent(route.name)}`, class: "route-name" }, route.name);
    this.sayings = h("div", { class: "sayings" });
    this.release = h("p", { class: "row-release" });
    this.steps = h("span", { class: "steps", "aria-hidden": "true" });
    this.releaseText = h("span", null);
    this.releaseWaits = h("span", { class: "muted" });
    this.release.append(this.steps, this.releaseText, this.releaseWaits);
    this.actions = h("div", { class: "actions" });
    this.lines = variantsOf(route).map((variant, index) => new Line(variant, index));
    this.element = h(
      "tbody",
      { role: "rowgroup", "data-route": route.name },
      this.lines.map((line) => line.element),
    );
    this.frame();
    this.shownActions = "";
    this.shownSayings = "";
    this.update(route);
  }

  /** The cells that stand beside all lines. */
  frame() {
    const first = this.lines[0].element;
    const span = { rowspan: this.lines.length, role: "cell" };
    first.prepend(
      h(
        "th",
        { scope: "rowgroup", rowspan: this.lines.length, role: "rowheader", class: "cell-route" },
        this.link,
        this.state,
      ),
    );
    first.append(
      h("td", { ...span, class: "cell-verdict" }, this.sayings, this.release),
      h("td", { ...span, class: "cell-actions" }, this.actions),
    );
  }

  /**
   * Whether the route still has the variants that this row was built for.
   * @param {RouteJson} route
   */
  fits(route) {
    return shapeOf(route) === this.shape;
  }

  /** @param {RouteJson} route */
  update(route) {
    const state = stateOf(route);
    setText(this.state, state.word);
    setClass(this.state, `pill ${state.tone}`);
    setClass(this.element, `row ${state.kind === "trouble" ? "in-trouble" : ""}`);
    variantsOf(route).forEach((variant, index) => this.lines[index].update(variant));
    this.say(route);
    this.tick();
    const actions = actionsOf(route).filter((action) => ON_BOARD.includes(action.id));
    const ids = actions.map((action) => action.id).join();
    if (ids === this.shownActions) return;
    this.shownActions = ids;
    const focused = this.actions.contains(document.activeElement);
    replace(
      this.actions,
      actions.map((action) => button(route, action, SHORT[action.id])),
    );
    if (focused) (this.actions.querySelector("button") ?? this.link).focus();
  }

  /** What changes with the clock alone. */
  tick() {
    const route = live.routes.get(this.name);
    if (!route) return;
    const release = route.release && !route.release.ended ? route.release : null;
    this.release.hidden = release === null;
    if (release) {
      setText(this.releaseText, releaseInWords(release));
      const waits = waitsFor(release);
      setText(this.releaseWaits, waits === "" ? "" : ` – ${waits}`);
      this.drawSteps(release);
    }
    const when = route.cord && this.sayings.querySelector("time");
    if (when && route.cord) setText(when, ago(route.cord.at_ms, live.now()));
  }

  /** @param {import("./types.js").ReleaseJson} release */
  drawSteps(release) {
    if (this.steps.childElementCount !== release.steps.length)
      replace(
        this.steps,
        release.steps.map(() => h("i", null)),
      );
    release.steps.forEach((_, index) => {
      const step = this.steps.children[index];
      setClass(step, index + 1 < release.step ? "done" : index + 1 === release.step ? "now" : "");
    });
  }

  /** @param {RouteJson} route */
  say(route) {
    const key = JSON.stringify([
      route.cord?.decision,
      route.unsaved,
      route.self_test?.alarm,
      route.drill && !route.drill.ended,
      route.canaries.map((canary) => [
        canary.verdict.verdict,
        canary.verdict.holds,
        canary.verdict.reason,
        canary.ceiling_ppm < canary.aim_ppm,
        canary.back_off?.sentence,
        verdictOf(canary).odds,
      ]),
    ]);
    if (key === this.shownSayings) return;
    this.shownSayings = key;
    replace(this.sayings, sayings(route));
  }
}

/** One variant. */
class Line {
  /**
   * @param {Variant} variant
   * @param {number} index
   */
  constructor(variant, index) {
    this.cells = LABELS.slice(2).map((label) => h("td", { class: "num", role: "cell", "data-label": label }));
    const upstream =
      variant.upstream === variant.name ? null : h("span", { class: "muted upstream" }, variant.upstream);
    const name = h(
      "td",
      { class: `cell-variant ${variant.className}`, role: "cell" },
      h("span", { class: "variant-name" }, variant.name),
      " ",
      upstream,
    );
    this.element = h(
      "tr",
      { role: "row", class: `line line-${Math.min(index, 4)} ${variant.className}` },
      name,
      this.cells,
    );
    this.update(variant);
  }

  /** @param {Variant} variant */
  update({ weight, aim, cut, seen, window }) {
    const texts = [
      weight,
      aim,
      seen,
      rate(window.requests_per_second),
      percent(window.error_ratio),
      seconds(window.p50_seconds),
      seconds(window.p95_seconds),
      seconds(window.p99_seconds),
    ];
    texts.forEach((text, index) => setText(this.cells[index], text));
    setClass(this.cells[1], cut ? "num is-bad" : "num");
    setClass(this.cells[4], (window.error_ratio ?? 0) > 0 ? "num is-noted" : "num");
  }
}

/** @param {RouteJson} route */
function shapeOf(route) {
  return JSON.stringify([
    route.stable?.upstream,
    route.deny,
    route.canaries.map((canary) => [canary.name, canary.upstream]),
    route.mirror?.upstream,
  ]);
}

const NOTHING = { seconds: 0, requests: 0, requests_per_second: null, failures: 0, in_flight: 0 };

/**
 * @param {RouteJson} route
 * @returns {Variant[]}
 */
function variantsOf(route) {
  const total =
    (route.stable?.window.requests ?? 0) + route.canaries.reduce((sum, canary) => sum + canary.window.requests, 0);
  const seen = (/** @type {WindowJson} */ window) =>
    total > 0 && route.canaries.length > 0 ? percent(window.requests / total) : dash;
  /** @type {Variant[]} */
  const variants = [];
  if (route.stable) {
    const { upstream, effective, window } = route.stable;
    variants.push({
      className: "of-stable",
      name: "stable",
      upstream,
      weight: effective,
      aim: dash,
      cut: false,
      seen: seen(window),
      window,
    });
  }
  for (const canary of route.canaries) {
    const { name, upstream, effective, aim, window } = canary;
    variants.push({
      className: "of-canary",
      name,
      upstream,
      weight: effective,
      aim,
      cut: isCut(canary),
      seen: seen(window),
      window,
    });
  }
  if (route.mirror) {
    const { upstream, share, window } = route.mirror;
    variants.push({
      className: "of-mirror",
      name: "copies",
      upstream,
      weight: dash,
      aim: share,
      cut: false,
      seen: dash,
      window,
    });
  }
  if (variants.length === 0)
    variants.push({
      className: "of-nobody",
      name: "answered 403",
      upstream: "",
      weight: dash,
      aim: dash,
      cut: false,
      seen: dash,
      window: NOTHING,
    });
  return variants;
}

/**
 * The verdicts, and who pulled the cord.
 * @param {RouteJson} route
 */
function sayings(route) {
  const lines = [];
  if (route.cord) {
    const { by, why, at_ms, decision } = route.cord;
    lines.push(
      h(
        "p",
        { class: "saying is-bad", title: why },
        h("a", { href: `#/decision/${encodeURIComponent(decision)}` }, `Pulled by ${by}`),
        " ",
        h("time", { title: clock(at_ms) }, ago(at_ms, live.now())),
        `: ${why}`,
      ),
    );
  }
  for (const canary of route.canaries) {
    const verdict = verdictOf(canary);
    // The cord says the same.
    if (route.cord && route.cord.why === canary.verdict.reason) continue;
    if (canary.aim_ppm === 0 && verdict.word === "undecided" && canary.window.requests === 0) continue;
    const name = route.canaries.length > 1 ? `${canary.name}: ` : "";
    const back = canary.back_off?.sentence;
    const odds = verdict.odds === null ? null : h("span", { class: "muted" }, ` · odds ${verdict.odds}`);
    lines.push(
      h(
        "p",
        { class: `saying ${verdict.tone}`, title: canary.verdict.reason },
        h("strong", null, h("span", { "aria-hidden": "true" }, `${verdict.sign} `), `${name}${verdict.word}`),
        ` · ${verdict.evidence}`,
        odds,
        back ? h("span", null, ` · ${back}`) : null,
      ),
    );
  }
  if (route.self_test?.alarm)
    lines.push(h("p", { class: "saying is-bad" }, `The self-test has an alarm: ${route.self_test.reason ?? ""}`));
  if (route.drill && !route.drill.ended)
    lines.push(
      h(
        "p",
        { class: "saying is-waiting" },
        `A drill by ${route.drill.by}: ${route.drill.share} of the canary's requests fail on purpose.`,
      ),
    );
  if (route.unsaved)
    lines.push(
      h(
        "p",
        { class: "saying is-waiting" },
        "Not stored yet: the store is down. A restart now would lose the last change.",
      ),
    );
  return lines;
}
