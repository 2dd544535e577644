// Takes the picture of the dashboard that the README shows, of the demo as it happens:
//
//     ANDON_BIN=target/release/andon node tests/dashboard/picture.mjs src/demo/dashboard.png
//
// It waits until the demo's bad canary was backed off, so the cord, the reason and the numbers of that moment are real.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const PATIENCE_MS = 60_000;

async function main() {
  const [path] = process.argv.slice(2);
  if (path === undefined) throw new Error("say where to write it");
  const demo = spawn(process.env.ANDON_BIN ?? join(ROOT, "target/release/andon"), ["demo", "--plain", "--for", "60s"]);
  const found = createRequire(join(ROOT, "target/tools/dashboard/package.json"))("playwright-core");
  const { chromium } = /** @type {typeof import("playwright-core")} */ (found);
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args });
  try {
    const address = await dashboardOf(demo);
    const context = await browser.newContext({ viewport: { width: 1280, height: 1240 }, colorScheme: "light" });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${address}#/route/shop`);
    await page.getByText(/immune system/).first().waitFor();
    // What was said in passing has gone, and the charts show what came after.
    await page.locator("#told:empty").waitFor({ state: "attached" });
    await page.screenshot({ path });
  } finally {
    await browser.close();
    demo.kill();
  }
}

/**
 * What the demo prints as the address of the dashboard.
 * @param {import("node:child_process").ChildProcessWithoutNullStreams} demo
 * @returns {Promise<string>}
 */
function dashboardOf(demo) {
  return new Promise((resolve, reject) => {
    let text = "";
    demo.stdout.on("data", (part) => {
      text += part;
      const found = /(http:\/\/[\d.:]+\/) in a browser/.exec(text);
      if (found?.[1] !== undefined) resolve(found[1]);
    });
    demo.on("exit", () => reject(new Error(`the demo ended too early: ${text}`)));
  });
}

await main();
