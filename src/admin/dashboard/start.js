// The dialog that starts a release: by which plan of the file, and with which upstream as the canary.

import { ApiError, get, send } from "./api.js";
import { ask, sentence, tell } from "./dialog.js";
import { h } from "./dom.js";
import { duration } from "./format.js";
import { live } from "./live.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {{name: string, steps: Record<string, any>[], promote?: string}} Plan as the file says it */

/** @param {RouteJson} route */
export async function askStart(route) {
  /** @type {Plan[]} */
  let plans = [];
  /** @type {string[]} */
  let upstreams = [];
  try {
    const { config } = await get("config");
    plans = list(config.plan);
    upstreams = list(config.upstream).map((/** @type {{name: string}} */ upstream) => upstream.name);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return tell(sentence(error));
  }
  if (plans.length === 0)
    return tell("The file has no [[plan]], so there is none to follow. Move the weight by hand, or add one.");
  open(route, plans, upstreams);
}

/** @param {any} found */
function list(found) {
  return Array.isArray(found) ? found : [];
}

/**
 * @param {RouteJson} route
 * @param {Plan[]} plans
 * @param {string[]} upstreams
 */
function open(route, plans, upstreams) {
  const name = route.name;
  const now = () => live.routes.get(name) ?? route;
  const plan = h(
    "select",
    { id: "dialog-plan" },
    plans.map((one) => h("option", { value: one.name }, one.name)),
  );
  const canary = h(
    "select",
    { id: "dialog-canary" },
    route.canaries.map((one) => h("option", { value: one.name }, one.name)),
  );
  const upstream = h("select", { id: "dialog-upstream" });
  const fill = () => {
    const plays = now().canaries.find((one) => one.name === canary.value)?.upstream;
    const others = upstreams.filter((one) => one !== now().stable?.upstream);
    upstream.replaceChildren(
      ...others.map((one) =>
        h("option", { value: one, selected: one === plays }, one === plays ? `${one} (as now)` : one),
      ),
    );
  };
  fill();
  const question = ask({
    title: `Start a release of ${name}`,
    confirm: () => `Start “${plan.value}” with ${upstream.value}`,
    placeholder: "which build, and what is new in it",
    instead: `andon release start ${name} --plan ${plan.value} --why TEXT`,
    fields: [
      h("label", { for: "dialog-plan" }, "Plan"),
      plan,
      h("div", { hidden: route.canaries.length === 1 }, h("label", { for: "dialog-canary" }, "Canary"), canary),
      h("label", { for: "dialog-upstream" }, "Upstream that plays the canary"),
      upstream,
    ],
    what: () => {
      const chosen = plans.find((one) => one.name === plan.value) ?? plans[0];
      const last = chosen.promote === "manual" ? "Then a person promotes it." : "Then the canary becomes stable.";
      return [
        h("p", null, "The canary starts from 0% and rises as the plan says, while nothing speaks against it:"),
        h(
          "ol",
          { class: "plan-steps" },
          chosen.steps.map((step) => h("li", null, inWords(step))),
        ),
        h("p", null, `${last} An unhealthy canary is taken back at once, in every step.`),
      ];
    },
    act: async ({ why, by }, key) => {
      const body = { plan: plan.value, canary: canary.value, upstream: upstream.value, why, by };
      await send("POST", `routes/${encodeURIComponent(name)}/releases`, body, { ifMatch: now().revision, key });
      live.put(await get(`routes/${encodeURIComponent(name)}`));
    },
    done: () => `A release of ${name} has begun.`,
  });
  plan.addEventListener("change", question.redraw);
  upstream.addEventListener("change", question.redraw);
  canary.addEventListener("change", () => {
    fill();
    question.redraw();
  });
}

/** @param {Record<string, any>} step */
function inWords(step) {
  const parts = [step.mirror ? `copies of ${step.mirror} of the requests, answers thrown away` : `to ${step.to}`];
  if (step.ramp) parts.push(`risen to in ${inTime(step.ramp)}`);
  if (step.hold) parts.push(`stays ${inTime(step.hold)}`);
  if (step.until === "proof") parts.push("until there is a proof that it is not worse");
  if (step.approve) parts.push("until a person approves");
  return parts.join(", ");
}

/** @param {string} text as the file has it, such as "90s" or "1h" */
function inTime(text) {
  const [, number, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  const scale = { ms: 0.001, s: 1, m: 60, h: 3_600 }[unit ?? ""];
  return scale === undefined ? text : duration(Number(number) * scale);
}
