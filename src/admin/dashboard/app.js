// The start of the dashboard: the frame around the pages, which page is shown, who is logged in, and whether what is
// shown is live.

import { ApiError, logOut, me, onDenied, whoAmI } from "./api.js";
import { actionBar, cordButtonForAll } from "./actions.js";
import { closeAll, sentence, tell } from "./dialog.js";
import { h, replace, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { live } from "./live.js";
import { render as login } from "./login.js";

/** @typedef {(main: Element, params: string[]) => () => void} Render */

/** A login ends when it has not been used for an hour, and a stream is one use only. */
const SESSION_EVERY_MS = 300_000;

/** @type {Record<string, () => Promise<{render: Render}>>} */
const PAGES = {
  "": () => import("./board.js"),
  route: () => import("./route.js"),
  decision: () => import("./decision.js"),
  timeline: () => import("./timeline.js"),
  forecast: () => import("./forecast.js"),
  login: async () => ({ render: (main, params) => login(main, params, entered) }),
};

const top = /** @type {HTMLElement} */ (document.getElementById("top"));
const banner = /** @type {HTMLElement} */ (document.getElementById("banner"));
const content = /** @type {HTMLElement} */ (document.getElementById("content"));

/** Ends the page that is shown. */
let leave = () => {};
/** Of the page that was asked for last: a slower one before it is not shown any more. */
let visit = 0;
let asksWho = false;

/** `#/route/shop%20a` is the page "route" with the parameter "shop a". */
function where() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map(unescaped);
  return { page: parts[0], params: parts.slice(1) };
}

/** @param {string} part */
function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {boolean} [moves] the reader has gone to another page, so the focus goes there too */
async function show(moves = false) {
  visit += 1;
  const mine = visit;
  const { page, params } = where();
  const wanted = asksWho ? PAGES.login : PAGES[page];
  const found = await (wanted ?? nowhere)().catch(broken);
  if (mine !== visit) return;
  leave();
  const main = h("div", { class: "page", "data-hash": location.hash || "#/" });
  replace(content, main);
  leave = found.render(main, params);
  drawTop();
  if (!moves) return;
  scrollTo(0, 0);
  const heading = main.querySelector("h1");
  if (heading && !main.contains(document.activeElement)) heading.focus();
}

/** @returns {Promise<{render: Render}>} */
async function nowhere() {
  return {
    render: (main) =>
      message(main, "There is no such page", "The address names none. ", h("a", { href: "#/" }, "To the board")),
  };
}

/** @param {unknown} error @returns {{render: Render}} */
function broken(error) {
  console.error(error);
  return {
    render: (main) =>
      message(main, "The page did not load", "Andon may have been started anew. Reload the page to try again."),
  };
}

/**
 * @param {Element} main
 * @param {string} title
 * @param {...import("./dom.js").Child} words
 */
function message(main, title, ...words) {
  document.title = `${title} – Andon`;
  main.append(h("section", { class: "card" }, h("h1", { tabindex: -1 }, title), h("p", null, words)));
  return () => {};
}

const brand = h(
  "a",
  { class: "brand", href: "#/", "aria-label": "Andon, to the board" },
  h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }),
  "Andon",
);
const status = h("span", { class: "live" });

/** Drawn anew with each page, which is seldom. */
function drawTop() {
  const { page } = where();
  const session = me();
  replace(
    top,
    brand,
    session && h("nav", { "aria-label": "Pages" }, link("Board", "", page), link("Timeline", "timeline", page)),
    session && status,
    session &&
      h(
        "span",
        { class: "who" },
        h("span", { class: "who-name" }, session.name),
        " ",
        h("span", { class: "muted" }, session.role),
        session.proof === "session" &&
          h("button", { type: "button", class: "quiet", on: { click: () => void out() } }, "Log out"),
      ),
    session && cordOfPage(),
    session && cordButtonForAll(),
  );
}

/** On the page of a route its cord stays in reach, however far one has scrolled. */
function cordOfPage() {
  const { page, params } = where();
  const route = page === "route" ? live.routes.get(params[0] ?? "") : undefined;
  if (route === undefined) return null;
  const bar = actionBar(route, { only: ["pull"], label: `Pull cord of ${route.name}` });
  bar.classList.add("top-cord");
  return bar;
}

/**
 * @param {string} label
 * @param {string} to
 * @param {string} page
 */
function link(label, to, page) {
  return h("a", { href: `#/${to}`, "aria-current": to === page ? "page" : null }, label);
}

async function out() {
  try {
    await logOut();
    // Nothing that was seen stays behind.
    location.hash = "#/";
    location.reload();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401) tell(sentence(error));
  }
}

function entered() {
  asksWho = false;
  if (where().page === "login") history.replaceState(null, "", "#/");
  live.start();
  void show(true);
}

/** The API does not know us, or not any more. */
function denied() {
  if (asksWho) return;
  asksWho = true;
  closeAll();
  live.stop();
  drawBanner();
  void show();
}

function drawBanner() {
  const since = asksWho ? null : live.since;
  setText(status, since === null ? "live" : "not live");
  status.classList.toggle("is-live", since === null);
  document.documentElement.classList.toggle("stale", since !== null);
  if (since === null) {
    banner.hidden = true;
    return replace(banner);
  }
  if (banner.hidden) {
    banner.hidden = false;
    replace(
      banner,
      h("strong", null, `Not live since ${clock(since)}`),
      h("span", { class: "banner-age", "aria-hidden": "true" }),
      h("span", null, "What you see is from then. The cord and all else go to Andon as soon as it answers."),
    );
  }
  const age = banner.querySelector(".banner-age");
  if (age) setText(age, `${duration(Math.floor((Date.now() - since) / 1_000))} ago`);
}

/** Keeps the login of a page that is looked at, and hears of another role, which has other buttons. */
async function stay() {
  const before = me();
  if (document.hidden || asksWho || before === null) return;
  const after = await whoAmI().catch(() => null);
  if (after !== null && (after.role !== before.role || after.name !== before.name)) void show();
}

/** What nobody here has asked for is said aloud. @param {import("./types.js").DecisionJson} decision */
function announce({ action, by, route, canary, why }) {
  if (by !== "immune system") return;
  if (action === "back_off") tell(`${route}: ${canary ?? "the canary"} was backed off. ${why}`);
  else if (action === "cord_pull") tell(`${route}: the immune system pulled the cord. ${why}`);
}

async function start() {
  addEventListener("hashchange", () => {
    closeAll();
    void show(true);
  });
  onDenied(denied);
  live.onChange((_, what) => void (what === "connection" && drawBanner()));
  live.onChange(
    (_, what) => void (what === "routes" && where().page === "route" && !top.querySelector(".top-cord") && drawTop()),
  );
  live.onDecision(announce);
  setInterval(() => void stay(), SESSION_EVERY_MS);
  setInterval(() => void (live.since !== null && drawBanner()), 1_000);
  (await import("./history.js")).history.start();
  drawBanner();
  await knock();
}

/** Asks until there is an answer who we are: the page may be there before Andon is back. */
async function knock() {
  try {
    await whoAmI();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return;
    replace(content, h("p", { class: "card" }, `${sentence(error)} Trying again.`));
    setTimeout(() => void knock(), 2_000);
    return;
  }
  live.start();
  await show();
  // The other pages are there then, also when Andon is away.
  for (const load of Object.values(PAGES)) load().catch(() => undefined);
}

void start();
