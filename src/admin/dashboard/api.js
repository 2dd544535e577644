// The way to the admin API: everything that this page reads or changes goes through here. Addresses are relative to the
// page, so that it works behind a path prefix as well.

/** @typedef {import("./types.js").SessionJson} SessionJson */

/** What may do less comes first. */
const ROLES = ["observer", "puller", "release", "admin"];
const TIMEOUT_MS = 20_000;
/** A question that others ask as well just now is asked again in a moment. */
const BUSY_TRIES = 4;
const BUSY_MS = 1_000;

/** What the API refused, or that it could not be reached (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} title
   * @param {string} detail a sentence for a person
   * @param {any} [problem] the whole answer, `application/problem+json`
   */
  constructor(status, title, detail, problem) {
    super(detail || title);
    this.name = "ApiError";
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.problem = problem ?? null;
  }
}

/** @type {SessionJson | null} */
let session = null;
/** @type {Set<() => void>} */
const denied = new Set();

/**
 * Calls back whenever the API says that it does not know us: time to log in.
 * @param {() => void} listener
 * @returns {() => void} ends that
 */
export function onDenied(listener) {
  denied.add(listener);
  return () => denied.delete(listener);
}

/**
 * @param {string} path below `api/v1/`, such as `routes/shop`
 * @returns {Promise<any>}
 */
export async function get(path) {
  for (let left = BUSY_TRIES; ; left -= 1) {
    try {
      return await ask(path, { method: "GET" });
    } catch (error) {
      const isBusy = error instanceof ApiError && error.status === 503 && String(error.problem?.type).endsWith(":busy");
      if (!isBusy || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
    }
  }
}

/**
 * Changes something. A key makes sure that it happens once, also if the request is sent again.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{ifMatch?: number | string | null, key?: string}} [options] `ifMatch`: the revision that was seen; `key`: of
 *   the first try, when this is the second
 * @returns {Promise<any>} `null` where the answer has no body
 */
export function send(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { "idempotency-key": options.key ?? newKey() };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (options.ifMatch !== undefined && options.ifMatch !== null) headers["if-match"] = `"${options.ifMatch}"`;
  return ask(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<any>}
 */
async function ask(path, init) {
  const response = await reach(path, init);
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401) {
    session = null;
    denied.forEach((listener) => listener());
  }
  const title = answer?.title ?? response.statusText ?? `HTTP ${response.status}`;
  throw new ApiError(response.status, title, answer?.detail ?? `the answer was HTTP ${response.status}`, answer);
}

/**
 * @param {string} path
 * @param {RequestInit} init
 */
async function reach(path, init) {
  const rest = /** @type {RequestInit} */ ({ credentials: "same-origin", cache: "no-store", redirect: "error" });
  try {
    return await fetch(address(path), { ...rest, ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    const detail = late
      ? "there was no answer in time; look at the state before trying again"
      : "Andon cannot be reached";
    throw new ApiError(0, "No answer", detail);
  }
}

/**
 * The address of an endpoint, relative to the page.
 * @param {string} path below `api/v1/`
 */
export function address(path) {
  return new URL(`api/v1/${path}`, document.baseURI.replace(/[?#].*$/, "")).href;
}

/** `crypto.randomUUID` is there on secure pages only. */
export function newKey() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Who is logged in, asked anew.
 * @returns {Promise<SessionJson>}
 */
export async function whoAmI() {
  session = /** @type {SessionJson} */ (await get("session"));
  return session;
}

/** Who is logged in, as last heard. */
export function me() {
  return session;
}

/**
 * Whether the role that was last heard is enough. The API decides; this only spares buttons that it would refuse.
 * @param {"observer" | "puller" | "release" | "admin"} role
 */
export function may(role) {
  return session !== null && ROLES.indexOf(session.role) >= ROLES.indexOf(role);
}

/**
 * Shows a token once, and has a cookie from then on that no script can read.
 * @param {string} token
 * @returns {Promise<SessionJson>}
 */
export async function logIn(token) {
  session = /** @type {SessionJson} */ (await send("POST", "session", { token }));
  return session;
}

/** The cookie is of no use from here on. */
export async function logOut() {
  await send("DELETE", "session");
  session = null;
}
