// The page of a route: stable beside its canaries, what is known of them, and what may be done. It follows the event
// stream; what the stream does not carry (endpoints, histograms, the guard's numbers) is asked for now and then.

import { actionBar } from "./actions.js";
import { get } from "./api.js";
import { h, replace, setClass, setText } from "./dom.js";
import { live } from "./live.js";
import { keyed, panel, quiet, recordLine, repeat, runs, to, trouble } from "./parts.js";
import { chartsOf } from "./route-charts.js";
import { comparison } from "./route-compare.js";
import { releaseOf } from "./route-plan.js";
import { drawRest } from "./route-rest.js";
import { drawCord, drawVerdicts, ruling } from "./route-verdict.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").DecisionJson} DecisionJson */
/** @typedef {import("./route-rest.js").UpstreamJson} UpstreamJson */
/** @typedef {import("./route-rest.js").Declared} Declared */

const UPSTREAMS_EVERY_MS = 5_000;
const DECISIONS_KEPT = 50;
const DECISIONS_SHOWN = 6;

/**
 * @param {Element} main
 * @param {string[]} params
 * @returns {() => void}
 */
export function render(main, params) {
  const name = params[0] ?? "";
  document.title = `${name} – Andon`;
  const page = new RoutePage(main, name);
  return () => page.stop();
}

class RoutePage {
  /**
   * @param {Element} main
   * @param {string} name
   */
  constructor(main, name) {
    this.main = main;
    this.name = name;
    /** @type {DecisionJson[]} */
    this.decisions = [];
    /** @type {UpstreamJson[]} */
    this.upstreams = [];
    /** @type {Declared} */
    this.declared = { guard: {}, overrides: [] };
    this.isBuilt = false;
    this.isOn = true;
    this.parts = partsOf(name);
    replace(main, this.parts.head, this.parts.missing);
    // What is not seen is not drawn; what was missed is drawn at once when somebody looks again.
    const looked = () => this.draw();
    document.addEventListener("visibilitychange", looked);
    this.ends = [
      () => document.removeEventListener("visibilitychange", looked),
      live.onChange((changed, what) => {
        if (changed.has(name) || what === "routes") this.draw();
        if (what === "connection" && live.since === null) void this.readDecisions();
      }),
      live.onDecision((decision) => {
        if (decision.route === name) this.decided([decision]);
      }),
      repeat(() => this.readUpstreams(), UPSTREAMS_EVERY_MS),
      this.parts.charts.start(),
    ];
    void this.readDecisions();
    void this.readConfig();
    this.draw();
    if (!live.routes.has(name)) void this.readRoute();
  }

  stop() {
    this.isOn = false;
    for (const end of this.ends) end();
  }

  draw() {
    const route = live.routes.get(this.name);
    if (!this.isOn || document.hidden) return;
    if (!route) {
      if (live.loaded && this.isBuilt) this.gone();
      return;
    }
    if (!this.isBuilt) {
      this.isBuilt = true;
      replace(this.main, this.parts.head, this.parts.body);
    }
    this.drawHead(route);
    drawCord(this.parts.cord, route);
    this.parts.compare.update(route);
    drawVerdicts(this.parts.verdict.body, route, this.declared.guard);
    this.parts.verdict.root.hidden = route.canaries.length === 0;
    this.parts.charts.update(route, this.declared.guard, this.decisions);
    this.parts.release.root.hidden = !route.release;
    this.parts.body.classList.toggle("has-many", route.canaries.length > 1);
    this.parts.side.hidden = this.parts.verdict.root.hidden && this.parts.release.root.hidden;
    if (route.release) releaseOf(this.parts.release.body, route.release);
    drawRest(this.parts.rest, route, this.upstreams, this.declared);
  }

  /** @param {RouteJson} route */
  drawHead(route) {
    const said = ruling(route);
    setText(this.parts.state, said.word);
    setClass(this.parts.state, `pill ${said.className}`);
    setText(this.parts.said, said.sentence);
    this.parts.forecast.hidden = route.canaries.length === 0;
    // The buttons depend on what may be done, not on the numbers of the last second.
    const of = {
      revision: route.revision,
      cord: route.cord,
      release: route.release,
      drill: route.drill?.ended,
      canaries: route.canaries.map((one) => [one.name, one.aim_ppm, one.ceiling_ppm]),
    };
    keyed(this.parts.actions, of, () => actionBar(route));
  }

  gone() {
    this.isBuilt = false;
    replace(
      this.parts.missing,
      h(
        "p",
        { class: "trouble is-waiting" },
        `There is no route “${this.name}” any more. `,
        h("a", { href: "#/" }, "All routes"),
      ),
    );
    replace(this.main, this.parts.head, this.parts.missing);
  }

  async readRoute() {
    try {
      live.put(await get(`routes/${encodeURIComponent(this.name)}`));
      this.draw();
    } catch (error) {
      if (this.isOn && !this.isBuilt) replace(this.parts.missing, trouble(error, `Route “${this.name}”`));
    }
  }

  async readUpstreams() {
    try {
      const answer = await get("upstreams");
      this.upstreams = answer.upstreams;
      this.draw();
    } catch {
      // The banner of the frame says that nothing is live; what was read stays.
    }
  }

  async readConfig() {
    try {
      const { config } = await get("config");
      const route = (config.route ?? []).find((/** @type {{name: string}} */ one) => one.name === this.name) ?? {};
      const canaries = /** @type {{name?: string, upstream: string, overrides?: any[]}[]} */ (route.canary ?? []);
      const overrides = canaries.flatMap((one) =>
        (one.overrides ?? []).map((rule) => {
          const lone = canaries.length === 1 ? "canary" : one.upstream;
          return { ...rule, to: rule.to ?? one.name ?? lone };
        }),
      );
      this.declared = { guard: route.guard ?? {}, overrides };
      this.draw();
    } catch {
      // Then the defaults stand at the charts.
    }
  }

  async readDecisions() {
    try {
      const answer = await get(`decisions?route=${encodeURIComponent(this.name)}&limit=${DECISIONS_KEPT}`);
      this.decided(answer.decisions);
    } catch (error) {
      replace(this.parts.record.body, trouble(error, "The record"));
    }
  }

  /** @param {DecisionJson[]} more */
  decided(more) {
    if (!this.isOn) return;
    const known = new Set(more.map((one) => one.id));
    this.decisions = [...more, ...this.decisions.filter((one) => !known.has(one.id))]
      .sort((a, b) => b.at_ms - a.at_ms)
      .slice(0, DECISIONS_KEPT);
    drawRecord(this.parts.record.body, this.decisions, this.name);
    this.draw();
  }
}

/**
 * Everything that the page is made of, empty.
 * @param {string} name
 */
function partsOf(name) {
  const state = h("span", { class: "pill is-quiet", "aria-live": "polite" });
  const said = h("p", { class: "lead" });
  const actions = h("div", { class: "route-actions" });
  const cord = h("div", { class: "route-cord", "aria-live": "polite" });
  const forecast = h("a", { href: to("forecast", name) }, "Forecast");
  const links = h(
    "nav",
    { class: "page-links", "aria-label": "of this route" },
    forecast,
    h("a", { href: to("timeline", name) }, "Timeline"),
  );
  const head = h(
    "header",
    { class: "place-head" },
    h("div", { class: "page-title" }, h("h1", { tabindex: -1 }, name), state, links),
    said,
    actions,
  );
  const compare = comparison();
  const charts = chartsOf(name);
  const verdict = panel("Verdict", "of-verdict");
  const release = panel("Release", "of-release");
  const rest = h("div", { class: "part-grid" });
  const record = panel("Decisions", "of-record");
  const side = h("div", { class: "side" }, verdict.root, release.root);
  const body = h("div", { class: "route-page" }, cord, compare.element, side, charts.element, record.root, rest);
  const missing = h("div", null, quiet("Reading…"));
  return {
    state,
    said,
    forecast,
    actions,
    cord,
    head,
    compare,
    charts,
    verdict,
    release,
    side,
    rest,
    record,
    body,
    missing,
  };
}

/**
 * @param {HTMLElement} body
 * @param {DecisionJson[]} decisions
 * @param {string} name
 */
function drawRecord(body, decisions, name) {
  if (decisions.length === 0) return replace(body, quiet("Nothing has been decided on this route yet."));
  replace(
    body,
    h(
      "ol",
      { class: "record", reversed: true },
      ...runs(decisions)
        .slice(0, DECISIONS_SHOWN)
        .map((run) => recordLine(run)),
    ),
    h("p", { class: "more" }, h("a", { href: to("timeline", name) }, "All decisions of this route")),
  );
}
