// The page that asks for a token. The API keeps a cookie for it that no script can read; the token itself is kept nowhere.

import { ApiError, logIn } from "./api.js";
import { sentence } from "./dialog.js";
import { h } from "./dom.js";

/**
 * @param {Element} main
 * @param {string[]} _params
 * @param {() => void} [entered] called when it has worked
 * @returns {() => void}
 */
export function render(main, _params, entered = () => (location.hash = "#/")) {
  document.title = "Log in – Andon";
  const token = h("input", {
    id: "token",
    type: "password",
    required: true,
    autocomplete: "current-password",
    spellcheck: "false",
    autocapitalize: "none",
  });
  const error = h("p", { class: "dialog-error", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "primary" }, "Log in");
  const form = h(
    "form",
    {
      class: "card login",
      novalidate: true,
      method: "dialog",
      on: { submit: (/** @type {Event} */ event) => void submit(event) },
    },
    h("img", { src: "icon.svg", alt: "", width: 48, height: 48 }),
    h("h1", { tabindex: -1 }, "Who asks?"),
    h(
      "p",
      { class: "muted" },
      "This Andon wants to know who you are. Every change is signed with the name of your token.",
    ),
    h("label", { for: "token" }, "Token"),
    token,
    error,
    button,
    h(
      "p",
      { class: "muted small" },
      "A token comes from ",
      h("code", null, "andon token new"),
      ". A login lasts 12 hours, or an hour unused.",
    ),
  );
  main.append(form);
  token.focus();
  return () => form.remove();

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    if (token.value.trim() === "" || button.disabled) return token.focus();
    button.disabled = true;
    try {
      await logIn(token.value);
      token.value = "";
      entered();
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      error.hidden = false;
      error.textContent = sentence(thrown);
      token.select();
    } finally {
      button.disabled = false;
    }
  }
}
