// The board: every route with its canary beside stable, trouble first. A row is built once and then only its changed
// texts are touched, so that 300 routes with a sample each second stay quick.

import { h, replace, setText } from "./dom.js";
import { plural } from "./format.js";
import { live } from "./live.js";
import { KINDS, stateOf } from "./state.js";
import { Row } from "./row.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */

/** What was typed and chosen stays while the page is open. */
const chosen = { text: "", kind: "all" };

/** Columns with numbers. */
const [FIRST_NUMBER, LAST_NUMBER] = [2, 9];
/** Around the window. */
const NEAR = "600px";
const HEADS = ["Route", "Variant", "Weight", "Aim", "Seen", "Req/s", "Errors", "p50", "p95", "p99", "Verdict", ""];

/**
 * @param {Element} main
 * @returns {() => void}
 */
export function render(main) {
  const board = new Board();
  main.append(...board.parts());
  return board.start();
}

class Board {
  constructor() {
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    this.filter = h("input", {
      type: "search",
      id: "filter",
      placeholder: "Filter by route, upstream or state",
      autocomplete: "off",
      spellcheck: "false",
      value: chosen.text,
    });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Which routes" });
    this.summary = h("p", { class: "muted", role: "status" });
    this.empty = h("p", { class: "card empty", hidden: true });
    this.table = emptyTable();
    this.watcher = new IntersectionObserver((entries) => entries.forEach((entry) => this.seen(entry)), {
      rootMargin: NEAR,
    });
  }

  parts() {
    const label = h("label", { class: "hidden", for: "filter" }, "Filter");
    return [
      h("header", { class: "page-head" }, h("h1", { tabindex: -1 }, "Routes"), this.summary),
      h("div", { class: "tools" }, label, this.filter, this.chips),
      h("div", { class: "board-frame" }, this.table),
      this.empty,
    ];
  }

  /** @returns {() => void} ends it */
  start() {
    this.filter.addEventListener("input", () => {
      chosen.text = this.filter.value;
      this.arrange();
    });
    const onKey = (/** @type {KeyboardEvent} */ event) => this.onKey(event);
    document.addEventListener("keydown", onKey);
    const unsubscribe = live.onChange((changed, what) => this.changed(changed, what));
    for (const name of live.routes.keys()) this.draw(name);
    this.arrange();
    return () => {
      unsubscribe();
      this.watcher.disconnect();
      document.removeEventListener("keydown", onKey);
    };
  }

  /**
   * @param {ReadonlySet<string>} changed
   * @param {import("./live.js").What} what
   */
  changed(changed, what) {
    if (what === "routes") this.drop();
    for (const name of changed) if (what !== "sample" || !this.rows.get(name)?.isFar) this.draw(name);
    if (changed.size > 0 || what === "routes") this.arrange();
    if (what === "sample") for (const row of this.rows.values()) if (!row.isFar) row.tick();
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const target = /** @type {Element} */ (event.target);
    if (event.key !== "/" || event.ctrlKey || event.metaKey || target.closest("input, select, textarea, dialog"))
      return;
    event.preventDefault();
    this.filter.focus();
  }

  /** Numbers of rows far outside the window wait until they come near. @param {IntersectionObserverEntry} entry */
  seen(entry) {
    const name = entry.target.getAttribute("data-route") ?? "";
    const row = this.rows.get(name);
    if (!row || row.element !== entry.target) return;
    row.isFar = !entry.isIntersecting;
    if (!row.isFar) this.draw(name);
  }

  /** Rows of routes that are gone. */
  drop() {
    for (const [name, row] of this.rows) {
      if (live.routes.has(name)) continue;
      this.watcher.unobserve(row.element);
      row.element.remove();
      this.rows.delete(name);
    }
  }

  /** @param {string} name */
  draw(name) {
    const route = live.routes.get(name);
    if (!route) return;
    const known = this.rows.get(name);
    if (known?.fits(route)) return known.update(route);
    const row = new Row(route);
    this.rows.set(name, row);
    this.watcher.observe(row.element);
    if (known) this.watcher.unobserve(known.element);
    known?.element.replaceWith(row.element);
  }

  /** Which rows are there, in which order. Nothing moves that need not. */
  arrange() {
    const all = [...live.routes.values()].map((route, index) => ({ route, index, state: stateOf(route) }));
    const kinds = all.map((one) => one.state.kind);
    const trouble = kinds.filter((kind) => kind === "trouble").length;
    document.title = trouble > 0 ? `${trouble} in trouble – Andon` : "Board – Andon";
    this.drawChips(kinds);
    const shown = all.filter((one) => wanted(one.route, one.state));
    shown.sort((a, b) => a.state.rank - b.state.rank || a.index - b.index);
    const focused = document.activeElement;
    /** @type {Element | null} */
    let after = this.table.tHead;
    const keep = new Set();
    for (const { route } of shown) {
      const element = this.rows.get(route.name)?.element;
      if (!element || !after) continue;
      keep.add(element);
      if (after.nextElementSibling !== element) after.after(element);
      after = element;
    }
    for (const row of this.rows.values()) if (!keep.has(row.element)) row.element.remove();
    if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus();
    this.say(all.length, shown.length);
  }

  /**
   * @param {number} all
   * @param {number} shown
   */
  say(all, shown) {
    setText(
      this.summary,
      !live.loaded ? "Reading …" : shown === all ? plural(all, "route") : `${shown} of ${plural(all, "route")}`,
    );
    this.empty.hidden = shown > 0 || !live.loaded;
    this.table.hidden = shown === 0;
    setText(
      this.empty,
      all === 0 ? "The file has no routes yet." : "No route is like that. Clear the filter to see all.",
    );
  }

  /** @param {string[]} kinds */
  drawChips(kinds) {
    const counts = KINDS.map((kind) => ({
      ...kind,
      count: kind.id === "all" ? kinds.length : kinds.filter((one) => one === kind.id).length,
    }));
    if (this.chips.childElementCount === 0) {
      replace(
        this.chips,
        counts.map(({ id, label }) =>
          h(
            "button",
            {
              type: "button",
              class: `chip ${id === "trouble" ? "is-bad" : ""}`,
              "data-kind": id,
              on: { click: () => this.choose(id) },
            },
            label,
            " ",
            h("span", { class: "chip-count" }),
          ),
        ),
      );
    }
    counts.forEach(({ id, count }, index) => {
      const chip = /** @type {HTMLButtonElement} */ (this.chips.children[index]);
      setText(/** @type {Element} */ (chip.lastElementChild), String(count));
      chip.setAttribute("aria-pressed", String(chosen.kind === id));
      chip.hidden = count === 0 && id !== "all" && chosen.kind !== id;
    });
  }

  /** @param {string} kind */
  choose(kind) {
    chosen.kind = chosen.kind === kind ? "all" : kind;
    this.arrange();
  }
}

/** The table without rows. */
function emptyTable() {
  const heads = HEADS.map((head, index) => {
    const isNumber = index >= FIRST_NUMBER && index <= LAST_NUMBER;
    const name = head || h("span", { class: "hidden" }, "What you may do");
    return h("th", { scope: "col", role: "columnheader", class: isNumber ? "num" : null }, name);
  });
  const columns = HEADS.map((_, index) => h("col", { class: `col-${index}` }));
  return h(
    "table",
    { class: "board", role: "table" },
    h("caption", { class: "hidden" }, "Routes, trouble first"),
    h("colgroup", null, columns),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
  );
}

/**
 * @param {RouteJson} route
 * @param {import("./state.js").State} state
 */
function wanted(route, state) {
  if (chosen.kind !== "all" && chosen.kind !== state.kind) return false;
  const words = chosen.text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return true;
  const upstreams = route.canaries.map((canary) => `${canary.name} ${canary.upstream} ${canary.verdict.verdict}`);
  const all = [route.name, route.stable?.upstream ?? "", state.word, ...upstreams].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}
