// Serves the dashboard from the source tree in front of a running andon, so that a change of a file is seen with a
// reload of the page: node tests/dashboard/serve.mjs [--port 8090] [--prefix /andon] [--admin http://127.0.0.1:2636]
//
// The files stand under the prefix, and `PREFIX/api/`, `/metrics`, `/livez` and `/readyz` go on to the admin listener,
// unbuffered. The headers are those that the binary sends with the page, so the policy is tested as well.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, request } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FILES = join(dirname(fileURLToPath(import.meta.url)), "../../src/admin/dashboard");
const TYPES = new Map([
  [".html", "text/html; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".svg", "image/svg+xml"],
]);

export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * @param {{port?: number, prefix?: string, admin: string}} options
 * @returns {Promise<{url: string, close: () => Promise<void>}>}
 */
export async function serve({ port = 0, prefix = "", admin }) {
  const server = createServer((incoming, outgoing) => {
    const path = (incoming.url ?? "/").replace(/[?#].*$/, "");
    if (!path.startsWith(`${prefix}/`)) return refuse(outgoing, 404, "not below the prefix");
    const below = (incoming.url ?? "/").slice(prefix.length);
    if (/^\/(api\/|metrics$|livez$|readyz$)/.test(below)) return forward(incoming, outgoing, new URL(below, admin));
    void answer(outgoing, path.slice(prefix.length));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  const bound = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${bound.port}${prefix}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * @param {import("node:http").IncomingMessage} incoming
 * @param {import("node:http").ServerResponse} outgoing
 * @param {URL} to
 */
function forward(incoming, outgoing, to) {
  const headers = { ...incoming.headers, host: to.host };
  if (headers.origin !== undefined) headers.origin = to.origin;
  const sent = request(to, { method: incoming.method, headers }, (got) => {
    outgoing.writeHead(got.statusCode ?? 502, got.headers);
    outgoing.flushHeaders();
    got.pipe(outgoing);
    got.on("error", () => outgoing.destroy());
    got.on("aborted", () => outgoing.destroy());
  });
  sent.on("error", () => (outgoing.headersSent ? outgoing.destroy() : refuse(outgoing, 502, "no answer")));
  outgoing.on("close", () => sent.destroy());
  incoming.pipe(sent);
}

/**
 * @param {import("node:http").ServerResponse} outgoing
 * @param {string} path
 */
async function answer(outgoing, path) {
  const name = path === "/" ? "index.html" : path.slice(1);
  const file = join(FILES, name);
  const found = /^[a-z0-9-]+\.[a-z]+$/.test(name) && (await stat(file).catch(() => null));
  if (!found) return refuse(outgoing, 404, "no such file");
  outgoing.writeHead(200, {
    "content-type": TYPES.get(extname(name)) ?? "application/octet-stream",
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  createReadStream(file).pipe(outgoing);
}

/**
 * @param {import("node:http").ServerResponse} outgoing
 * @param {number} status
 * @param {string} text
 */
function refuse(outgoing, status, text) {
  outgoing.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  outgoing.end(`${text}\n`);
}

/**
 * @param {string} name
 * @param {string} otherwise
 */
function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : (process.argv[at + 1] ?? otherwise);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const admin = option("admin", "http://127.0.0.1:2636");
  const served = await serve({ port: Number(option("port", "8090")), prefix: option("prefix", ""), admin });
  console.log(`the dashboard is at ${served.url}, in front of ${admin}`);
}
