// The tests of the dashboard in a real browser, against a real andon:
//
//     ANDON_BIN=target/debug/andon node tests/dashboard/run.mjs [NAME … | PART/PARTS]
//
// They need Node 20 or newer, Debian's chromium, and from npm playwright-core and axe-core, which are installed into
// target/tools/dashboard if they are missing. ANDON_DASHBOARD=embedded opens the page that the binary itself serves;
// otherwise the files of the source tree are served in front of it, below a path prefix. Each story is a check with a
// name. Any message in the console of the browser, and any breach of the page's policy, fails it.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { closeWorlds } from "./world.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const TOOLS = join(ROOT, "target/tools/dashboard");
const SHOTS = join(TOOLS, "shots");
const PACKAGES = ["playwright-core", "axe-core"];
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const PATIENCE_MS = 30_000;

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContext} BrowserContext */
/**
 * @typedef {object} Reader what a story has in hand
 * @property {(url: string, options?: {width?: number, height?: number, dark?: boolean}) => Promise<Page>} open a browser of its own
 * @property {(pattern: RegExp) => void} expectError of the console: a message like this is part of the story
 * @property {(page: Page, name: string) => Promise<void>} shot
 * @property {(page: Page) => Promise<string[]>} faults what keeps people with a screen reader or weak eyes out
 */
/** @typedef {(reader: Reader) => Promise<void>} Story */

function playwright() {
  const missing = PACKAGES.filter((name) => !existsSync(join(TOOLS, "node_modules", name)));
  if (missing.length > 0) {
    mkdirSync(TOOLS, { recursive: true });
    const npm = spawnSync("npm", ["install", "--prefix", TOOLS, "--no-audit", "--no-fund", ...missing], {
      stdio: "inherit",
    });
    if (npm.status !== 0) throw new Error(`npm could not install ${missing}`);
  }
  const found = createRequire(join(TOOLS, "package.json"))("playwright-core");
  return /** @type {typeof import("playwright-core")} */ (found);
}

/** @param {Page} page */
async function faults(page) {
  await page.evaluate(readFileSync(join(TOOLS, "node_modules/axe-core/axe.min.js"), "utf8"));
  const found = await page.evaluate(() =>
    /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ["violations"] }),
  );
  return found.violations.map(
    (/** @type {any} */ one) =>
      `${one.help} (${one.nodes
        .slice(0, 3)
        .map((/** @type {any} */ node) => node.target.join(" "))
        .join(", ")})`,
  );
}

/**
 * Those with these names, or each so manieth of all, so that several of us can tell them at once.
 * @template T
 * @param {[string, T][]} all
 * @param {string[]} wanted
 */
function chosen(all, wanted) {
  const [, part, parts] = /^(\d+)\/(\d+)$/.exec(wanted[0] ?? "") ?? [];
  if (part !== undefined) return all.filter((_, at) => at % Number(parts) === Number(part) - 1);
  return all.filter(([name]) => wanted.length === 0 || wanted.includes(name));
}

async function main() {
  mkdirSync(SHOTS, { recursive: true });
  const stories = { ...(await import("./stories.mjs")).stories, ...(await import("./looks.mjs")).looks };
  const wanted = chosen(Object.entries(stories), process.argv.slice(2));
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  const browser = await playwright().chromium.launch({ executablePath: CHROMIUM, headless: true, args });
  let failed = 0;
  for (const [name, story] of wanted) if (!(await tell(browser, name, story))) failed += 1;
  await browser.close();
  console.log(
    failed === 0 ? `all ${wanted.length} stories are as told` : `${failed} of ${wanted.length} stories FAILED`,
  );
  process.exit(failed === 0 ? 0 : 1);
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} name
 * @param {Story} story
 */
async function tell(browser, name, story) {
  /** @type {Page[]} */
  const pages = [];
  /** @type {string[]} */
  const errors = [];
  /** @type {RegExp[]} */
  const expected = [];
  /** @type {Reader} */
  const reader = {
    open: async (url, { width = 1280, height = 900, dark = false } = {}) => {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      pages.push(page);
      page.on(
        "console",
        (message) =>
          void (
            ["error", "warning"].includes(message.type()) &&
            errors.push(`${message.text()} (${message.location().url})`)
          ),
      );
      page.on("pageerror", (error) => void errors.push(String(error)));
      await page.goto(url);
      return page;
    },
    expectError: (pattern) => void expected.push(pattern),
    faults,
    shot: async (page, as) => void (await page.screenshot({ path: join(SHOTS, `${as}.png`) })),
  };
  const begun = Date.now();
  try {
    await story(reader);
    const unexpected = errors.filter((error) => !expected.some((pattern) => pattern.test(error)));
    if (unexpected.length > 0) throw new Error(`the console says: ${unexpected.slice(0, 3).join("; ")}`);
    console.log(`ok ${name} (${((Date.now() - begun) / 1_000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    console.log(`FAILED ${name}: ${error instanceof Error ? error.message : error}`);
    for (const [index, page] of pages.entries()) {
      const path = join(SHOTS, `failed-${name}-${index}.png`);
      await page.screenshot({ path }).then(
        () => console.log(`  screenshot: ${path}`),
        () => undefined,
      );
    }
    if (errors.length > 0) console.log(`  console: ${errors.slice(0, 5).join("\n           ")}`);
    return false;
  } finally {
    for (const page of pages)
      await page
        .context()
        .close()
        .catch(() => undefined);
    await closeWorlds();
  }
}

await main();
