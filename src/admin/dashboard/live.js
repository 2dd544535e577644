// What is live: the state of every route, kept by server-sent events, and since when it is not live, if it is not.
//
// The browser finds its place again by itself after a short break (`Last-Event-ID`). Where it gives up, because of an
// answer that is no stream, or where nothing has come for a while on a connection that looks open, we open a new one
// from the same place. A sample comes every second, so silence is noticed soon.

import { ApiError, address, get, whoAmI } from "./api.js";

/** @typedef {import("./types.js").RouteJson} RouteJson */
/** @typedef {import("./types.js").SampleJson} SampleJson */
/** @typedef {import("./types.js").DecisionJson} DecisionJson */
/**
 * @typedef {"routes" | "state" | "sample" | "connection"} What `routes`: all were read anew; `connection`: live or not
 * @typedef {(changed: ReadonlySet<string>, what: What) => void} Listener names of the routes that have changed
 */

const SILENCE_MS = 6_000;
const WATCH_EVERY_MS = 1_000;
/** Routes without a canary come with no sample, so they are read now and then. */
const QUIET_ROUTES_EVERY_MS = 10_000;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000];

/** @type {Map<string, RouteJson>} */
const routes = new Map();
/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {Set<(decision: DecisionJson) => void>} */
const decisionListeners = new Set();

/** @type {SampleJson | null} */
let sample = null;
/** @type {number | null} */
let since = null;
let loaded = false;
/** Server clock minus ours. @type {number | null} */
let offset = null;

/** @type {EventSource | null} */
let source = null;
let lastEventId = "";
let heardAt = 0;
let failures = 0;
let retryAt = 0;
/** @type {ReturnType<typeof setInterval> | null} */
let timer = null;
let quietDueAt = 0;

/** Routes that events have told of while a reading of all was under way. @type {Set<string> | null} */
let touched = null;

export const live = {
  routes,
  /** The last sample. @returns {SampleJson | null} */
  get sample() {
    return sample;
  },
  /** Since when what is shown is not live, by our clock in ms; `null`: it is. @returns {number | null} */
  get since() {
    return since;
  },
  /** All routes have been read at least once. */
  get loaded() {
    return loaded;
  },
  /** The server's clock, in ms. */
  now: () => Date.now() + (offset ?? 0),
  /**
   * @param {Listener} listener
   * @returns {() => void} ends that
   */
  onChange(listener) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  /**
   * @param {(decision: DecisionJson) => void} listener
   * @returns {() => void} ends that
   */
  onDecision(listener) {
    decisionListeners.add(listener);
    return () => void decisionListeners.delete(listener);
  },
  start,
  stop,
  refetch,
  put,
};

/** Begins to listen, or does nothing if it does already. */
function start() {
  if (timer !== null) return;
  timer = setInterval(watch, WATCH_EVERY_MS);
  addEventListener("online", again);
  open();
}

/** Ends it; what was seen stays. */
function stop() {
  if (timer !== null) clearInterval(timer);
  timer = null;
  removeEventListener("online", again);
  source?.close();
  source = null;
}

/** There is a network again, as the browser says: no more waiting. */
function again() {
  if (since === null) return;
  failures = 0;
  open();
}

function open() {
  source?.close();
  const from = lastEventId === "" ? "" : `?last_event_id=${encodeURIComponent(lastEventId)}`;
  const opened = new EventSource(address(`events${from}`));
  source = opened;
  heardAt = Date.now();
  opened.onerror = () => lost(opened);
  hear(opened, "hello", (data) => greeted(data.resumed === true));
  hear(opened, "reset", () => void refetch(true));
  hear(opened, "state", (/** @type {RouteJson} */ route) => put(route));
  hear(opened, "sample", sampled);
  hear(opened, "decision", (/** @type {DecisionJson} */ decision) => {
    decisionListeners.forEach((listener) => guarded(() => listener(decision)));
  });
}

/**
 * @param {EventSource} from
 * @param {string} type
 * @param {(data: any) => void} handler
 */
function hear(from, type, handler) {
  from.addEventListener(type, (event) => {
    if (source !== from) return;
    if (event.lastEventId !== "") lastEventId = event.lastEventId;
    heardAt = Date.now();
    let data = null;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    guarded(() => handler(data));
  });
}

/** @param {boolean} resumed */
function greeted(resumed) {
  failures = 0;
  connected();
  if (!resumed || !loaded) void refetch(!resumed);
}

/** @param {SampleJson} seen */
function sampled(seen) {
  sample = seen;
  const found = seen.at_ms - Date.now();
  // The least delayed sample of late tells the clocks apart best.
  offset = offset === null ? found : Math.max(offset - 5, found);
  connected();
  const changed = new Set(seen.routes.filter(accept).map((route) => route.name));
  tell(changed, "sample");
}

/**
 * A route as it is now, such as what a change was answered with.
 * @param {RouteJson} route
 */
function put(route) {
  if (accept(route)) tell(new Set([route.name]), "state");
}

/** @param {RouteJson} route */
function accept(route) {
  const known = routes.get(route.name);
  if (known !== undefined && known.revision > route.revision) return false;
  routes.set(route.name, route);
  touched?.add(route.name);
  return true;
}

/**
 * Reads all routes.
 * @param {boolean} [anew] what is known counts for nothing: it may be of another process
 */
async function refetch(anew = false) {
  touched = new Set();
  try {
    const answer = await get("routes");
    take(/** @type {RouteJson[]} */ (answer.routes), anew);
    loaded = true;
    tell(new Set(routes.keys()), "routes");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // The next look at the clock tries again, and a stream that is gone says so by itself.
    quietDueAt = Date.now() + RETRY_MS[1];
    if (!loaded) disconnected();
  }
}

/**
 * @param {RouteJson[]} found
 * @param {boolean} anew
 */
function take(found, anew) {
  const newer = touched ?? new Set();
  const known = new Map(routes);
  routes.clear();
  // In the order of the file.
  for (const route of found) {
    const old = known.get(route.name);
    const keep = old !== undefined && old.revision > route.revision && (!anew || newer.has(route.name));
    routes.set(route.name, keep ? old : route);
  }
  touched = null;
}

/** Once a second: is it live still, and is something to be read? */
function watch() {
  const now = Date.now();
  if (source !== null && now - heardAt > SILENCE_MS) {
    disconnected();
    lastTry(now);
  } else if (source === null && now >= retryAt) {
    open();
  }
  if (now >= quietDueAt && since === null && !document.hidden) {
    quietDueAt = now + QUIET_ROUTES_EVERY_MS;
    if (!loaded || hasQuietRoutes()) void refetch(false);
  }
}

function hasQuietRoutes() {
  for (const route of routes.values()) if (route.canaries.length === 0 && !route.deny) return true;
  return false;
}

/** @param {EventSource} from */
function lost(from) {
  if (source !== from) return;
  disconnected();
  // Otherwise the browser comes back by itself.
  if (from.readyState === EventSource.CLOSED) lastTry(Date.now());
}

/** @param {number} now */
function lastTry(now) {
  source?.close();
  source = null;
  retryAt = now + RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
  failures += 1;
  // A stream does not say why it was refused. This does, and shows the login if that is it.
  whoAmI().catch(() => undefined);
}

function connected() {
  if (since === null) return;
  since = null;
  tell(new Set(), "connection");
}

function disconnected() {
  if (since !== null) return;
  since = heardAt === 0 ? Date.now() : heardAt;
  tell(new Set(), "connection");
}

/**
 * @param {Set<string>} changed
 * @param {What} what
 */
function tell(changed, what) {
  listeners.forEach((listener) => guarded(() => listener(changed, what)));
}

/**
 * A page that stumbles must not stop the others.
 * @param {() => void} act
 */
function guarded(act) {
  try {
    act();
  } catch (error) {
    console.error(error);
  }
}
