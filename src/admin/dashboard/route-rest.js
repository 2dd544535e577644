// What else is known of a route: endpoints and their health, copies, overrides, the self-test, the drill.

import { h } from "./dom.js";
import { count, odds, percent, ppm, rate, seconds } from "./format.js";
import { badge, facts, keyed, moment, panel, quiet } from "./parts.js";
import { drillOf } from "./route-verdict.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {{address: string, used: boolean, healthy?: boolean | null, ejected: boolean}} EndpointJson */
/**
 * @typedef {object} UpstreamJson
 * @property {string} name
 * @property {string} source `file` or `live`
 * @property {EndpointJson[]} endpoints
 * @property {number} ejections
 * @property {{by: string, why: string, at_ms: number} | null} [announced]
 */
/** @typedef {{header?: string, cookie?: string, query?: string, value?: string, to: string, from?: string[]}} OverrideRule */
/** @typedef {{guard: import("./route-verdict.js").Guard, overrides: OverrideRule[]}} Declared of the file */

/** @type {WeakMap<Element, Record<string, ReturnType<typeof panel>>>} */
const made = new WeakMap();

/**
 * @param {HTMLElement} element
 * @param {RouteJson} route
 * @param {UpstreamJson[]} upstreams
 * @param {Declared} declared
 */
export function drawRest(element, route, upstreams, declared) {
  const panels = made.get(element) ?? {
    endpoints: panel("Endpoints", "of-endpoints"),
    mirror: panel("Copies", "of-mirror-part"),
    overrides: panel("Overrides", "of-overrides"),
    selfTest: panel("Self-test", "of-self-test"),
    drill: panel("Drill", "of-drill"),
    roles: panel("Roles", "of-roles"),
  };
  if (!made.has(element)) {
    made.set(element, panels);
    element.append(...Object.values(panels).map((one) => one.root));
  }
  const { endpoints, mirror, overrides, selfTest, drill, roles } =
    /** @type {Record<string, ReturnType<typeof panel>>} */ (panels);
  if (!endpoints || !mirror || !overrides || !selfTest || !drill || !roles) return;
  const names = [route.stable?.upstream, ...route.canaries.map((one) => one.upstream), route.mirror?.upstream];
  const mine = [...new Set(names)].flatMap((name) => upstreams.filter((one) => one.name === name));
  endpoints.root.hidden = mine.length === 0;
  keyed(endpoints.body, mine, () => mine.map(endpointsOf));
  mirror.root.hidden = !route.mirror;
  if (route.mirror) keyed(mirror.body, [route.mirror, route.stable?.window.p99_seconds], () => mirrorOf(route));
  overrides.root.hidden = declared.overrides.length === 0;
  keyed(overrides.body, declared.overrides, () => overridesOf(declared.overrides));
  selfTest.root.hidden = !route.self_test;
  if (route.self_test) keyed(selfTest.body, route.self_test, () => selfTestOf(route));
  drill.root.hidden = !route.drill;
  if (route.drill) keyed(drill.body, route.drill, () => (route.drill ? drillOf(route.drill) : null));
  roles.root.hidden = !route.previous_stable;
  keyed(roles.body, [route.previous_stable, route.stable?.upstream], () =>
    facts([
      ["stable now", route.stable?.upstream ?? null],
      ["stable before", route.previous_stable ?? null],
    ]),
  );
}

/** @param {UpstreamJson} upstream */
function endpointsOf(upstream) {
  const { name, endpoints, announced, ejections } = upstream;
  const used = endpoints.filter((one) => one.used).length;
  return h(
    "div",
    { class: "pool" },
    h(
      "h3",
      null,
      name,
      h(
        "span",
        { class: "beside" },
        `${used} of ${endpoints.length} used${ejections > 0 ? `, ${count(ejections)} ejections` : ""}`,
      ),
    ),
    announced
      ? h(
          "p",
          { class: "beside" },
          `set at run time by ${announced.by} `,
          moment(announced.at_ms),
          `: ${announced.why}`,
        )
      : null,
    endpoints.length === 0
      ? quiet("none")
      : h(
          "ul",
          { class: "endpoints" },
          ...endpoints.map((one) => {
            return h("li", null, h("code", null, one.address), badge(health(one)));
          }),
        ),
  );
}

/** @param {EndpointJson} endpoint */
function health({ used, healthy, ejected }) {
  if (ejected) return { word: "ejected: it failed requests", className: "is-bad" };
  if (healthy === false)
    return { word: used ? "fails its checks, used all the same" : "fails its checks", className: "is-bad" };
  if (!used) return { word: "not used", className: "is-waiting" };
  return healthy ? { word: "healthy", className: "is-good" } : { word: "used, not checked", className: "is-quiet" };
}

/** @param {RouteJson} route */
function mirrorOf({ mirror, stable }) {
  if (!mirror) return null;
  const { window, same, different, dropped } = mirror;
  const answered = same + different;
  return [
    h(
      "p",
      null,
      `${mirror.upstream} gets copies of ${ppm(mirror.share_ppm)} of stable’s requests; nobody gets its answers.`,
    ),
    facts([
      ["copies", window.requests_per_second == null ? null : `${rate(window.requests_per_second)}/s`],
      ["same status as stable", answered > 0 ? `${count(same)} (${percent(same / answered)})` : count(same)],
      ["another status, or none", different > 0 ? h("span", { class: "pill is-waiting" }, count(different)) : "0"],
      ["not made", count(dropped)],
      ["failed", percent(window.error_ratio)],
      [
        "p99",
        window.p99_seconds == null
          ? null
          : `${seconds(window.p99_seconds)} (stable ${seconds(stable?.window.p99_seconds)})`,
      ],
    ]),
  ];
}

/** @param {OverrideRule[]} rules */
function overridesOf(rules) {
  return h(
    "ul",
    { class: "rules" },
    ...rules.map((rule) => {
      const [kind, name] = rule.header
        ? ["header", rule.header]
        : rule.cookie
          ? ["cookie", rule.cookie]
          : ["query", rule.query ?? ""];
      return h(
        "li",
        null,
        `${kind} `,
        h("code", null, rule.value === undefined ? name : `${name}=${rule.value}`),
        rule.from ? ` from ${rule.from.join(", ")}` : "",
        " → ",
        h("b", { class: rule.to === "stable" ? "of-stable" : "of-canary" }, rule.to),
      );
    }),
  );
}

/** @param {RouteJson} route */
function selfTestOf({ self_test }) {
  if (!self_test) return null;
  const { alarm, reason, share, suspended } = self_test;
  const state = alarm
    ? { word: "alarm: the judge is in doubt", className: "is-bad" }
    : { word: "quiet", className: "is-good" };
  return facts([
    ["state", badge(state)],
    ["what", `${share} of stable’s own requests are judged as if they were a canary`],
    ["odds against it", odds(self_test.odds)],
    ["found", reason ?? null],
    ["guard", suspended ? h("span", { class: "pill is-bad" }, "suspended: it records and does not act") : null],
  ]);
}
