// A world to look at: an andon of its own with small upstreams that can be made to fail, users who ask it, and an
// address where the dashboard is. Everything is on loopback, on ports of its own, and ends with `close`.

import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, get } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "./serve.mjs";

const ANDON = process.env.ANDON_BIN ?? "target/debug/andon";
const EMBEDDED = process.env.ANDON_DASHBOARD === "embedded";
/** Below those that the kernel gives to clients. */
const [PORT_FIRST, PORT_LAST] = [21_000, 32_000];
const PATIENCE_MS = 30_000;

/**
 * Waits for a condition: looks again and again until it holds.
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} look
 * @param {number} [patienceMs]
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, look, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found) return /** @type {NonNullable<T>} */ (found);
    if (Date.now() > end) throw new Error(`not within ${patienceMs / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Ports that were given away: whoever got one may not listen yet. @type {Set<number>} */
const given = new Set();

/** A port that nobody listens on, and that nobody else was given. */
async function freePort() {
  for (;;) {
    const port = PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}

/** A version of a service. */
export class Upstream {
  /** The share of its requests that it answers 500. */
  failing = 0;
  delayMs = 1;
  port = 0;

  async start() {
    this.port = await freePort();
    this.server = createServer((_, response) => {
      const status = Math.random() < this.failing ? 500 : 200;
      setTimeout(() => response.writeHead(status).end("x"), this.delayMs * (0.7 + Math.random() * 0.8));
    });
    await new Promise((resolve) => this.server?.listen(this.port, "127.0.0.1", () => resolve(undefined)));
    return this;
  }

  close() {
    this.server?.close();
    this.server?.closeAllConnections();
  }
}

/** The network between a browser and the page, which can be cut, or fall silent while connections look open. */
class Wire {
  /** @type {Set<import("node:net").Socket>} */
  sockets = new Set();
  isCut = false;
  isSilent = false;

  /**
   * @param {number} port
   * @param {number} to
   */
  constructor(port, to) {
    this.port = port;
    this.server = createTcpServer((near) => {
      if (this.isCut) {
        near.destroy();
        return;
      }
      const far = connect(to, "127.0.0.1");
      this.join(near, far);
      this.join(far, near);
    });
  }

  /** @param {import("node:net").Socket} from @param {import("node:net").Socket} to */
  join(from, to) {
    this.sockets.add(from);
    from.on("data", (data) => void (this.isSilent || to.write(data)));
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.sockets.delete(from);
      to.destroy();
    });
  }

  /** @returns {Promise<void>} */
  listen() {
    return new Promise((resolve) => this.server.listen(this.port, "127.0.0.1", () => resolve()));
  }

  cut() {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  fallSilent() {
    this.isSilent = true;
  }

  mend() {
    this.isCut = false;
    this.isSilent = false;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

/**
 * @typedef {object} Made
 * @property {Record<string, Upstream>} upstreams
 * @property {(ports: {listener: number, admin: number}) => string} config
 * @property {string[]} [hosts] that users ask, one after another
 * @property {number} [rps]
 */

/** Worlds that are to be ended. @type {Set<World>} */
const open = new Set();

/** Ends every world, after the browsers that look at it. */
export async function closeWorlds() {
  for (const world of open) await world.close();
}

export class World {
  /** @param {Made} made */
  constructor(made) {
    this.made = made;
    this.listener = 0;
    this.admin = 0;
    this.url = "";
    this.log = "";
    this.folder = "";
    /** @type {import("node:child_process").ChildProcess | null} */
    this.andon = null;
    /** @type {Awaited<ReturnType<typeof serve>> | null} */
    this.served = null;
    /** @type {Wire | null} */
    this.wire = null;
  }

  /** @param {Made} made */
  static async start(made) {
    const world = new World(made);
    open.add(world);
    world.folder = await mkdtemp(join(tmpdir(), "andon-dashboard-"));
    world.listener = await freePort();
    world.admin = await freePort();
    await writeFile(join(world.folder, "andon.toml"), made.config(world));
    await world.startAndon();
    if (!EMBEDDED) world.served = await serve({ port: await freePort(), prefix: "/andon", admin: world.adminUrl });
    const page = new URL(world.served?.url ?? world.adminUrl);
    world.wire = new Wire(await freePort(), Number(page.port));
    await world.wire.listen();
    page.port = String(world.wire.port);
    world.url = page.href;
    world.load();
    return world;
  }

  get adminUrl() {
    return `http://127.0.0.1:${this.admin}/`;
  }

  async startAndon() {
    const andon = spawn(ANDON, ["run", "-c", "andon.toml"], { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
    this.andon = andon;
    andon.on("error", (error) => (this.log += `${error} (ANDON_BIN names the binary)`));
    andon.stderr?.on("data", (text) => (this.log = (this.log + text).slice(-4_000)));
    andon.stdout?.resume();
    await until("andon is ready", async () => {
      if (andon.exitCode !== null || andon.pid === undefined) throw new Error(`andon ended: ${this.log}`);
      return fetch(`${this.adminUrl}readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
    });
  }

  async stopAndon() {
    const andon = this.andon;
    if (!andon || andon.exitCode !== null || andon.pid === undefined) return;
    const ended = new Promise((resolve) => andon.once("exit", resolve));
    andon.kill("SIGKILL");
    await ended;
  }

  /** Users: each second so many requests, the hosts one after another. */
  load() {
    const { hosts = ["shop.test"], rps = 120 } = this.made;
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    let turn = 0;
    this.agent = agent;
    this.timer = setInterval(() => {
      for (let i = 0; i < Math.ceil(rps / 20); i += 1) {
        const host = hosts[turn % hosts.length];
        turn += 1;
        const request = get({ port: this.listener, host: "127.0.0.1", path: "/", headers: { host }, agent }, (answer) =>
          answer.resume(),
        );
        request.on("error", () => undefined);
      }
    }, 50);
  }

  /**
   * The API, asked as admin, past the page.
   * @param {string} path
   * @param {RequestInit & {token?: string}} [init]
   */
  async api(path, init = {}) {
    const headers = {
      "content-type": "application/json",
      ...(init.token ? { authorization: `Bearer ${init.token}` } : {}),
    };
    const answer = await fetch(`${this.adminUrl}api/v1/${path}`, { ...init, headers });
    return answer.status === 204 ? null : await answer.json();
  }

  async close() {
    clearInterval(this.timer);
    this.agent?.destroy();
    this.wire?.close();
    await this.served?.close();
    await this.stopAndon();
    for (const upstream of Object.values(this.made.upstreams)) upstream.close();
    open.delete(this);
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

/** A token that may do as much as its role says. @param {string} name @param {string} role */
export function token(name, role) {
  const secret = randomBytes(24).toString("base64url");
  const sha256 = createHash("sha256").update(secret).digest("hex");
  return { secret, toml: `[[admin.token]]\nname = "${name}"\nrole = "${role}"\nsha256 = "${sha256}"\n` };
}

/** @param {number} listener @param {number} admin */
export function head(listener, admin) {
  return `[admin]\nlisten = "127.0.0.1:${admin}"\n[store]\npath = "andon.db"\n[[listener]]\nname = "public"\naddress = "127.0.0.1:${listener}"\n`;
}

/** @param {string} name @param {Upstream} upstream */
export function upstreamToml(name, upstream) {
  return `[[upstream]]\nname = "${name}"\nendpoints = ["127.0.0.1:${upstream.port}"]\n`;
}

/** The usual one: a shop with a canary, a search that backs off, a page that is stable only, and plans. */
export async function shop() {
  const upstreams = {
    "shop-v1": await new Upstream().start(),
    "shop-v2": await new Upstream().start(),
    "search-v7": await new Upstream().start(),
    "search-v8": await new Upstream().start(),
  };
  return {
    upstreams,
    hosts: ["shop.test", "shop.test", "search.test", "help.test"],
    config: (/** @type {{listener: number, admin: number}} */ { listener, admin }) =>
      head(listener, admin) +
      Object.entries(upstreams)
        .map(([name, upstream]) => upstreamToml(name, upstream))
        .join("") +
      `[[route]]\nname = "shop"\nhosts = ["shop.test"]\nstable = "shop-v1"\n[[route.canary]]\nupstream = "shop-v2"\nweight = "0%"\n` +
      `[[route]]\nname = "search"\nhosts = ["search.test"]\nstable = "search-v7"\n[[route.canary]]\nupstream = "search-v8"\nweight = "20%"\n` +
      `[[route]]\nname = "help"\nhosts = ["help.test"]\nstable = "shop-v1"\n` +
      `[[route]]\nname = "internal"\nhosts = ["internal.test"]\ndeny = true\n` +
      `[[plan]]\nname = "quick"\nsteps = [{ to = "20%", hold = "1s" }, { to = "50%", hold = "1s", approve = true }]\npromote = "manual"\n` +
      `[[plan]]\nname = "slow"\nsteps = [{ to = "20%", hold = "10m" }, { to = "50%", until = "proof" }, { to = "100%", hold = "30m", approve = true }]\n`,
  };
}

/** With tokens of all roles. */
export async function guarded() {
  const made = await shop();
  const tokens = {
    ann: token("ann", "admin"),
    rob: token("rob", "release"),
    pia: token("pia", "puller"),
    olaf: token("olaf", "observer"),
  };
  const toml = Object.values(tokens)
    .map((one) => one.toml)
    .join("");
  return {
    tokens,
    made: {
      ...made,
      config: (/** @type {{listener: number, admin: number}} */ ports) =>
        made.config(ports).replace("[store]", `${toml}[store]`),
    },
  };
}

/** Many routes. @param {number} count */
export async function many(count) {
  const upstreams = { v1: await new Upstream().start(), v2: await new Upstream().start() };
  const routes = Array.from({ length: count }, (_, index) => {
    const name = `service-${String(index).padStart(3, "0")}`;
    return `[[route]]\nname = "${name}"\nhosts = ["${name}.test"]\nstable = "v1"\n[[route.canary]]\nupstream = "v2"\nweight = "5%"\n`;
  });
  return {
    upstreams,
    hosts: Array.from({ length: 20 }, (_, index) => `service-${String(index).padStart(3, "0")}.test`),
    rps: 60,
    config: (/** @type {{listener: number, admin: number}} */ { listener, admin }) =>
      head(listener, admin) + upstreamToml("v1", upstreams.v1) + upstreamToml("v2", upstreams.v2) + routes.join(""),
  };
}
