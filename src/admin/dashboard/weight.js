// The dialog that moves a canary's weight: what share and how many requests a second that would be, and how soon a bad
// canary would be seen with it, before anything is moved.

import { ApiError, get, send } from "./api.js";
import { ask } from "./dialog.js";
import { h, replace } from "./dom.js";
import { count, duration, percent, ppm, rate } from "./format.js";
import { live } from "./live.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").CanaryJson} CanaryJson */
/** @typedef {import("./types.js").ForecastJson} ForecastJson */
/** @typedef {import("./dom.js").Child} Child */

const PRESETS = ["0%", "1%", "5%", "10%", "25%", "50%", "100%"];
const WEIGHT = /^[0-9]{1,3}(\.[0-9]{1,4})?%$/;
const PAUSE_MS = 350;

/** @param {RouteJson} route */
export function askWeight(route) {
  const name = route.name;
  let revision = route.revision;
  const now = () => live.routes.get(name) ?? route;
  const canaries = h(
    "select",
    { id: "dialog-canary" },
    route.canaries.map((one) => h("option", { value: one.name }, `${one.name} (${one.upstream})`)),
  );
  const weight = h("input", {
    id: "dialog-weight",
    inputmode: "decimal",
    autocomplete: "off",
    value: route.canaries[0]?.aim ?? "0%",
    "aria-describedby": "dialog-preview",
  });
  const forecast = h("div", { class: "dialog-forecast", "aria-live": "polite" });
  const canary = () => now().canaries.find((one) => one.name === canaries.value) ?? now().canaries[0];
  const wanted = () => read(weight.value);
  const asked = forecaster(forecast);
  const presets = PRESETS.map((preset) =>
    h("button", { type: "button", class: "chip", on: { click: () => set(preset) } }, preset),
  );
  const question = ask({
    title: `Change the weight of ${name}`,
    confirm: () => (wanted() === null ? "Change the weight" : `Give ${canary().name} ${wanted()}`),
    instead: `andon weight ${name} ${weight.value} --why TEXT`,
    fields: [
      h("div", { hidden: route.canaries.length === 1 }, h("label", { for: "dialog-canary" }, "Canary"), canaries),
      h(
        "label",
        { for: "dialog-weight" },
        "Weight",
        h("span", { class: "muted" }, " – the canary's share of the route"),
      ),
      h(
        "div",
        { class: "weight-field" },
        weight,
        h("div", { class: "chips", role: "group", "aria-label": "Usual weights" }, presets),
      ),
      forecast,
    ],
    what: () => [preview(now(), canary(), wanted())],
    act: async ({ why, by }, key) => {
      const body = { weight: wanted() ?? weight.value.trim(), canary: canary().name, why, by };
      const after = await send("PUT", `routes/${encodeURIComponent(name)}/weight`, body, { ifMatch: revision, key });
      live.put(after);
    },
    refused: (error) => {
      // It has changed meanwhile: the preview shows the newer state, and a second click is about that one.
      if (error.status === 412 && error.problem?.current) {
        live.put(error.problem.current);
        revision = error.problem.current.revision;
      }
    },
    done: () => `The aim of ${name} is changed.`,
  });
  const redraw = () => {
    weight.setAttribute("aria-invalid", String(wanted() === null));
    question.redraw();
    asked(name, canary().name, wanted());
  };
  weight.addEventListener("input", redraw);
  canaries.addEventListener("change", () => set(canary().aim));
  weight.select();
  redraw();

  /** @param {string} value */
  function set(value) {
    weight.value = value;
    redraw();
  }
}

/**
 * "5" and "5 %" are meant as "5%". `null`: no weight.
 * @param {string} text
 */
function read(text) {
  const bare = text.replace(/\s/g, "").replace(",", ".").replace(/%?$/, "%");
  return WEIGHT.test(bare) && Number.parseFloat(bare) <= 100 ? bare : null;
}

/**
 * @param {RouteJson} route
 * @param {CanaryJson} canary
 * @param {string | null} wanted
 */
function preview(route, canary, wanted) {
  if (wanted === null)
    return h(
      "p",
      { id: "dialog-preview", class: "note is-waiting" },
      "A weight is a share of up to 100%, such as 5% or 0.25%.",
    );
  const aim = Math.round(Number.parseFloat(wanted) * 10_000);
  const gets = Math.min(aim, canary.ceiling_ppm);
  const total = requests(route);
  const others = route.canaries.reduce((sum, one) => (one === canary ? sum : sum + one.effective_ppm), 0);
  return h(
    "div",
    { id: "dialog-preview", class: "preview" },
    h(
      "p",
      { class: "preview-move" },
      h("span", { class: "of-canary" }, `${canary.upstream}: ${canary.aim} → ${wanted}`),
      h("span", { class: "of-stable" }, `stable: ${ppm(Math.max(0, 1_000_000 - gets - others))}`),
    ),
    h(
      "p",
      null,
      `Of ${rate(total)} requests/s that is about ${rate((total * gets) / 1_000_000)} a second, with the next request.`,
    ),
    gets < aim &&
      h(
        "p",
        { class: "note is-waiting" },
        `The immune system allows ${canary.ceiling} at most now, so that is what it gets.`,
      ),
    route.release &&
      !route.release.ended &&
      h("p", { class: "note is-waiting" }, "A release is under way: a weight by hand holds it."),
  );
}

/** @param {RouteJson} route */
function requests(route) {
  const windows = [route.stable?.window, ...route.canaries.map((one) => one.window)];
  return windows.reduce((sum, window) => sum + (window?.requests_per_second ?? 0), 0);
}

/**
 * Asks for the forecast when the typing has paused, and shows the newest answer only.
 * @param {HTMLElement} place
 * @returns {(route: string, canary: string, weight: string | null) => void}
 */
function forecaster(place) {
  let asked = "";
  let number = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return (route, canary, weight) => {
    if (`${canary} ${weight}` === asked) return;
    asked = `${canary} ${weight}`;
    clearTimeout(timer);
    number += 1;
    if (weight === null || Number.parseFloat(weight) === 0) return replace(place);
    place.setAttribute("aria-busy", "true");
    if (!place.hasChildNodes()) replace(place, h("p", { class: "muted" }, "How soon would a bad canary be seen?"));
    const mine = number;
    timer = setTimeout(async () => {
      const path = `routes/${encodeURIComponent(route)}/forecast?weight=${encodeURIComponent(weight)}&canary=${encodeURIComponent(canary)}`;
      const drawn = await get(path).then(told, (error) => {
        if (!(error instanceof ApiError)) throw error;
        return h("p", { class: "muted" }, `No forecast: ${error.detail}`);
      });
      if (mine !== number || !place.isConnected) return;
      place.removeAttribute("aria-busy");
      replace(place, drawn);
    }, PAUSE_MS);
  };
}

/**
 * @param {ForecastJson} forecast
 * @returns {Child}
 */
function told(forecast) {
  if (forecast.undecided) return h("p", { class: "muted" }, `No forecast: ${forecast.undecided}`);
  const rows = forecast.harms
    .filter((harm) => harm.worse_ratio < 1)
    .slice(0, 3)
    .map((harm) => {
      const seen = harm.seen_ratio >= 0.5;
      const delay = harm.delay_seconds.median;
      const failed = harm.failed_requests.median;
      return h(
        "tr",
        null,
        h("th", { scope: "row" }, percent(harm.worse_ratio)),
        h("td", { class: "num" }, seen ? duration(delay) : `not in ${forecast.within}`),
        h("td", { class: "num" }, seen ? count(failed) : "–"),
      );
    });
  const head = h(
    "tr",
    null,
    h("th", { scope: "col" }, "A canary that fails"),
    h("th", { scope: "col", class: "num" }, forecast.acts ? "is taken back after" : "is noticed after"),
    h("th", { scope: "col", class: "num" }, "failed by then"),
  );
  return h(
    "table",
    { class: "data small" },
    h("caption", { class: "hidden" }, `Forecast at ${forecast.weight}`),
    h("thead", null, head),
    h("tbody", null, rows),
  );
}
