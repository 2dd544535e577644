// A change in two steps: what exactly will happen, a reason, and a button that is named after what it does. The dialog
// stays while the answer is on its way, and says in words why something was refused.

import { ApiError, me, newKey } from "./api.js";
import { h, replace } from "./dom.js";
import { clock } from "./format.js";
import { live } from "./live.js";

/** @typedef {import("./dom.js").Child} Child */
/** @typedef {{why: string, by?: string}} Signed */
/**
 * @typedef {object} Question
 * @property {string} title
 * @property {() => Child[]} what what will happen, drawn anew when the state has changed
 * @property {string | (() => string)} confirm the button's name: what it does
 * @property {boolean} [danger]
 * @property {Element[]} [fields] before the reason
 * @property {string} [placeholder] of the reason
 * @property {(signed: Signed, key: string) => Promise<any>} act
 * @property {(answer: any) => string} done what is told when it has happened
 * @property {(error: ApiError) => void} [refused]
 * @property {string} [instead] a command that does the same, for when Andon cannot be reached from here
 */

const NAME_KEY = "andon.signed-by";
const REASON_MAX = 1_000;
const NAME_MAX = 128;

/**
 * Asks, and does it when it was confirmed.
 * @param {Question} question
 * @returns {{redraw: () => void, close: () => void}}
 */
export function ask(question) {
  const asking = new Asking(question);
  asking.open();
  return { redraw: () => asking.redraw(), close: () => asking.dialog.close() };
}

class Asking {
  /** @param {Question} question */
  constructor(question) {
    this.question = question;
    /** Of this try: sent again, it happens once. */
    this.key = newKey();
    this.what = h("div", { class: "dialog-what" });
    this.error = h("p", { class: "dialog-error", role: "alert", hidden: true });
    this.why = h("input", {
      id: "dialog-why",
      name: "why",
      required: true,
      maxlength: REASON_MAX,
      autocomplete: "off",
      placeholder: question.placeholder ?? "what you saw, what you expect",
    });
    this.by = signsByName() ? nameField() : null;
    this.confirm = h("button", { type: "submit", class: question.danger ? "danger solid" : "primary" });
    this.form = this.formOf();
    this.dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, this.form);
  }

  formOf() {
    const cancel = h("button", { type: "button", on: { click: () => this.dialog.close() } }, "Cancel");
    return h(
      "form",
      { method: "dialog", novalidate: true, on: { submit: (event) => void this.submit(event) } },
      h("h2", { id: "dialog-title" }, this.question.title),
      this.what,
      this.question.fields ?? [],
      h("label", { for: "dialog-why" }, "Reason", h("span", { class: "muted" }, " – goes into the record")),
      this.why,
      this.by,
      this.error,
      h("div", { class: "dialog-buttons" }, cancel, this.confirm),
    );
  }

  open() {
    const unsubscribe = live.onChange((_, kind) => void (kind !== "sample" && this.redraw()));
    this.dialog.addEventListener("close", () => {
      unsubscribe();
      this.dialog.remove();
    });
    document.body.append(this.dialog);
    this.redraw();
    this.dialog.showModal();
    const first = this.form.querySelector("input, select");
    if (first instanceof HTMLElement) first.focus();
  }

  redraw() {
    const { what, confirm } = this.question;
    replace(this.what, staleNote(), what());
    this.confirm.textContent = typeof confirm === "string" ? confirm : confirm();
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    if (this.confirm.disabled) return;
    const why = this.why.value.trim();
    this.why.setAttribute("aria-invalid", String(why === ""));
    if (why === "") {
      this.fail("A reason is needed: it goes into the record, and whoever comes next will want to know.");
      this.why.focus();
      return;
    }
    this.confirm.disabled = true;
    this.confirm.setAttribute("aria-busy", "true");
    try {
      const answer = await this.question.act({ why, ...signature(this.by) }, this.key);
      this.dialog.close();
      tell(this.question.done(answer));
    } catch (thrown) {
      this.refused(thrown);
    } finally {
      this.confirm.disabled = false;
      this.confirm.removeAttribute("aria-busy");
    }
  }

  /** @param {unknown} thrown */
  refused(thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    // Without an answer it may have happened: the same key makes sure that it happens once.
    if (thrown.status !== 0) this.key = newKey();
    this.question.refused?.(thrown);
    this.redraw();
    const instead = thrown.status === 0 && this.question.instead;
    this.fail(sentence(thrown), instead ? [" Where you have a shell: ", h("code", null, instead)] : null);
    this.confirm.disabled = false;
    this.confirm.focus();
  }

  /**
   * @param {string} words
   * @param {Child} [more]
   */
  fail(words, more) {
    this.error.hidden = false;
    replace(this.error, words, more);
  }
}

/** @param {ApiError} error */
export function sentence(error) {
  const detail = error.detail.replace(/\.$/, "");
  return `${error.title.replace(/[.?]$/, "")}: ${detail}.`;
}

/** Where the API knows who asks it signs with that. On an open listener everybody is "local". */
function signsByName() {
  return me()?.proof === "loopback" || me()?.proof === "socket";
}

function nameField() {
  const input = h("input", {
    id: "dialog-by",
    name: "by",
    maxlength: NAME_MAX,
    autocomplete: "name",
    value: remembered(),
  });
  return h("div", { class: "dialog-by" }, h("label", { for: "dialog-by" }, "Your name", optional()), input);
}

function optional() {
  return h("span", { class: "muted" }, " – optional, stands in the record");
}

/**
 * @param {HTMLElement | null} field
 * @returns {{by?: string}}
 */
function signature(field) {
  const input = field?.querySelector("input");
  const name = input?.value.trim() ?? "";
  if (input) remember(name);
  return name === "" ? {} : { by: name };
}

function remembered() {
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // Then it is asked for again.
  }
}

/** @returns {Child} */
function staleNote() {
  if (live.since === null) return null;
  const words = `What you see is of ${clock(live.since)}. Andon acts on its own state, not on this page's.`;
  return h("p", { class: "note is-waiting" }, words);
}

/**
 * Says what has happened, on the page and to screen readers.
 * @param {string} words
 */
export function tell(words) {
  const told = document.getElementById("told");
  if (!told) return;
  const line = h("p", null, words);
  told.append(line);
  setTimeout(() => line.remove(), 8_000);
}

/** Closes whatever asks. */
export function closeAll() {
  document.querySelectorAll("dialog[open]").forEach((dialog) => /** @type {HTMLDialogElement} */ (dialog).close());
}
