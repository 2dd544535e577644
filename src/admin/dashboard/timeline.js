// The record, newest first: what was decided, by whom and why, with a permalink each. It can be narrowed to a route and an
// action, goes back page by page, grows live, and says on request whether its chain of hashes is whole.

import { address, get } from "./api.js";
import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { live } from "./live.js";
import { quiet, recordLine, runs, to, trouble } from "./parts.js";
import { actionSaid, actions } from "./words.js";

/** @typedef {import("./types.js").DecisionJson} DecisionJson */
/** @typedef {{whole: boolean, rows: number, pruned: number, head: {seq: number, hash: string}, broken?: {seq: number, id?: string | null, found: string} | null}} CheckedJson */

const PAGE = 50;

/**
 * `#/timeline/ROUTE/ACTION`; an empty part is any.
 * @param {Element} main
 * @param {string[]} params
 * @returns {() => void}
 */
export function render(main, params) {
  document.title = "Timeline – Andon";
  const timeline = new Timeline(main, params[0] ?? "", params[1] ?? "");
  return () => timeline.stop();
}

class Timeline {
  /**
   * @param {Element} main
   * @param {string} route
   * @param {string} action
   */
  constructor(main, route, action) {
    this.route = route;
    this.action = action;
    /** @type {Map<string, DecisionJson>} */
    this.known = new Map();
    /** @type {string | null} */
    this.next = null;
    this.isOn = true;
    /** Of the filter in force: what was asked for another one is dropped. */
    this.turn = 0;
    this.isReading = false;
    this.list = h("div", { class: "days" }, quiet("Reading the record…"));
    this.older = h("button", { type: "button", hidden: true, on: { click: () => void this.read() } }, "Older");
    this.told = h("p", { class: "hidden", role: "status", "aria-live": "polite" });
    this.problem = h("div", null);
    replace(
      main,
      h(
        "header",
        { class: "place-head" },
        h("div", { class: "page-title" }, h("h1", { tabindex: -1 }, "Timeline")),
        this.tools(),
      ),
      this.told,
      this.list,
      this.problem,
      h("p", { class: "more" }, this.older),
    );
    this.ends = [
      live.onDecision((decision) => this.heard(decision)),
      live.onChange((_, what) => {
        if (what === "routes") this.fillRoutes();
        if (what === "connection" && live.since === null) void this.catchUp();
      }),
    ];
    void this.read();
  }

  stop() {
    this.isOn = false;
    for (const end of this.ends) end();
  }

  tools() {
    this.routes = h("select", { id: "of-route", on: { change: () => this.go() } });
    this.fillRoutes();
    this.kinds = h(
      "select",
      { id: "of-action", on: { change: () => this.go() } },
      h("option", { value: "" }, "any"),
      ...actions.map((one) => h("option", { value: one, selected: one === this.action }, actionSaid(one).word)),
    );
    this.lines = h(
      "a",
      {
        class: "button quiet",
        href: address(`decisions?format=jsonl${this.filter()}`),
        download: "andon-decisions.jsonl",
      },
      "Export as JSON lines",
    );
    const check = h(
      "button",
      { type: "button", class: "quiet", on: { click: () => void this.verify(check) } },
      "Verify the chain",
    );
    this.checked = h("p", { class: "checked", role: "status" });
    return h(
      "div",
      { class: "tools" },
      h("label", { for: "of-route" }, "Route ", this.routes),
      h("label", { for: "of-action" }, "Action ", this.kinds),
      this.lines,
      check,
      this.checked,
    );
  }

  fillRoutes() {
    if (!this.routes || this.routes === document.activeElement) return;
    const names = new Set([...live.routes.keys(), ...(this.route ? [this.route] : [])]);
    replace(
      this.routes,
      h("option", { value: "" }, "all"),
      ...[...names].map((one) => h("option", { value: one, selected: one === this.route }, one)),
    );
  }

  go() {
    const [route, action] = [this.routes?.value ?? "", this.kinds?.value ?? ""];
    // The address follows, but the page stays, and with it the focus.
    history.replaceState(null, "", to("timeline", ...(action ? [route, action] : route ? [route] : [])));
    [this.route, this.action, this.next, this.isReading] = [route, action, null, false];
    this.turn += 1;
    this.known.clear();
    this.lines?.setAttribute("href", address(`decisions?format=jsonl${this.filter()}`));
    void this.read();
  }

  /** What was decided while the stream was away. */
  async catchUp() {
    const turn = this.turn;
    const page = await get(`decisions?limit=${PAGE}${this.filter()}`).catch(() => null);
    if (!page || turn !== this.turn) return;
    for (const one of page.decisions) this.known.set(one.id, one);
    this.draw();
  }

  filter() {
    const parts = [];
    if (this.route) parts.push(`&route=${encodeURIComponent(this.route)}`);
    if (this.action) parts.push(`&action=${encodeURIComponent(this.action)}`);
    return parts.join("");
  }

  async read() {
    if (this.isReading) return;
    this.isReading = true;
    const turn = this.turn;
    const before = this.next ? `&before=${encodeURIComponent(this.next)}` : "";
    try {
      const page = await get(`decisions?limit=${PAGE}${this.filter()}${before}`);
      if (turn !== this.turn) return;
      for (const one of page.decisions) this.known.set(one.id, one);
      this.next = page.next ?? null;
      replace(this.problem);
      this.draw();
    } catch (error) {
      if (turn !== this.turn) return;
      if (this.known.size === 0) replace(this.list);
      replace(this.problem, trouble(error, "The record"));
    }
    this.isReading = false;
  }

  /** @param {DecisionJson} decision */
  heard(decision) {
    if (!this.isOn || (this.route && decision.route !== this.route) || (this.action && decision.action !== this.action))
      return;
    this.known.set(decision.id, decision);
    this.draw(decision.id);
    this.told.textContent = `New: ${decision.route} ${actionSaid(decision.action).word}, by ${decision.by}: ${decision.why}`;
  }

  /** @param {string} [fresh] the one that has just come */
  draw(fresh) {
    if (!this.isOn) return;
    this.older.hidden = this.next === null;
    const all = [...this.known.values()].sort((a, b) => b.at_ms - a.at_ms || (b.seq ?? Infinity) - (a.seq ?? Infinity));
    if (all.length === 0)
      return replace(
        this.list,
        quiet(this.filter() ? "Nothing of this kind in the record." : "Nothing has been decided yet."),
      );
    /** @type {Map<string, DecisionJson[]>} */
    const days = new Map();
    for (const one of all) {
      const day = new Date(one.at_ms).toLocaleDateString("en-GB", {
        weekday: "long",
        day: "numeric",
        month: "long",
        year: "numeric",
      });
      days.set(day, [...(days.get(day) ?? []), one]);
    }
    replace(
      this.list,
      ...[...days].map(([day, some]) =>
        h(
          "section",
          { class: "part card of-day" },
          h("h2", null, day),
          h(
            "ol",
            { class: "record", reversed: true },
            ...runs(some).map((run) => recordLine(run, { route: true, fresh })),
          ),
        ),
      ),
    );
  }

  /** @param {HTMLButtonElement} button */
  async verify(button) {
    if (!this.checked) return;
    button.disabled = true;
    replace(this.checked, "Looking at every row…");
    try {
      replace(this.checked, ...checkedWords(await get("decisions/verify")));
    } catch (error) {
      replace(this.checked, trouble(error, "The chain"));
    }
    button.disabled = false;
  }
}

/** @param {CheckedJson} checked */
function checkedWords({ whole, rows, pruned, head, broken }) {
  const older = pruned > 0 ? `, after ${count(pruned)} that were old enough to go` : "";
  if (whole) {
    return [
      h("span", { class: "pill is-good" }, "The chain is whole"),
      ` ${count(rows)} ${rows === 1 ? "row" : "rows"}${older}. To find a rewritten record later, keep the newest row elsewhere: `,
      h("code", { class: "hash" }, `${head.seq}:${head.hash}`),
    ];
  }
  return [
    h("span", { class: "pill is-bad" }, "The chain is broken"),
    ` at row ${broken?.seq ?? "?"}: ${broken?.found ?? ""} (${count(rows)} rows before it fit${older}).`,
  ];
}
