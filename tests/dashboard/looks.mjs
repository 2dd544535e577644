// How the dashboard looks and is reached: many routes, a narrow window, the keyboard alone, a screen reader, and pictures
// of every page for people to look at.

import { confirm, fits, goTo, hasState, inWorld, row } from "./hands.mjs";
import { many, shop, until } from "./world.mjs";

/** @typedef {import("./run.mjs").Story} Story */

/** @type {Record<string, Story>} */
export const looks = {
  many_routes: async ({ open, shot }) =>
    inWorld(await many(300), async (world) => {
      const page = await open(world.url);
      await until("all rows are there", async () => (await page.locator("[data-route]").count()) === 300);
      const seen = await page.evaluate(watchSamples);
      if (seen.rebuilt > 0) throw new Error(`${seen.rebuilt} rows were built anew by ${seen.samples} samples`);
      await page.getByPlaceholder(/Filter/).fill("service-123");
      await until("the filter leaves one", async () => (await page.locator("[data-route]").count()) === 1);
      await page.getByPlaceholder(/Filter/).fill("");
      await shot(page, "many-routes");
    }),

  narrow: async ({ open, shot }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url, { width: 390, height: 844 });
      await hasState(page, "search", "holding");
      await fits(page);
      for (const hash of ["#/route/search", "#/timeline", "#/forecast/search", "#/"]) {
        await goTo(page, world, hash);
        await fits(page);
      }
      await row(page, "search").getByRole("button", { name: "Pull cord" }).click();
      await page.getByRole("dialog").waitFor();
      await fits(page);
      await shot(page, "narrow-dialog");
      await confirm(page, "from the train", "Pull the cord of search");
      await hasState(page, "search", "cord pulled");
      await fits(page);
    }),

  looks: async ({ open, shot, expectError }) => {
    // A forecast of the page before may be worked out still.
    expectError(/503.*forecast/);
    await inWorld(await shop(), async (world) => {
      const first = await open(world.url);
      await hasState(first, "search", "holding");
      world.made.upstreams["search-v8"].failing = 1;
      const start = { plan: "slow", why: "build 1234", by: "rob" };
      await world.api("routes/shop/releases", { method: "POST", body: JSON.stringify(start) });
      await hasState(first, "search", "cord pulled");
      const { decisions } = await world.api("decisions?route=search&action=back_off");
      for (const dark of [false, true]) {
        for (const width of dark ? [1280, 390] : [1280, 390, 2560]) {
          const page = await open(world.url, {
            width,
            height: width === 390 ? 844 : width === 2560 ? 1440 : 900,
            dark,
          });
          for (const hash of [
            "#/",
            "#/route/shop",
            "#/route/search",
            `#/decision/${decisions[0].id}`,
            "#/timeline",
            "#/forecast/shop",
          ]) {
            await goTo(page, world, hash);
            if (hash.includes("route/")) await page.locator("#content svg path").first().waitFor({ state: "attached" });
            await fits(page);
            await shot(
              page,
              `look-${hash.split("/").slice(1, 2).join("") || "board"}${hash === "#/route/search" ? "-search" : ""}-${width}-${dark ? "dark" : "light"}`,
            );
          }
        }
      }
    });
  },

  accessible: async ({ open, faults, expectError }) => {
    // Of what looks for the faults, not of the page.
    expectError(/inline style|preload assets/);
    await inWorld(await shop(), async (world) => {
      const first = await open(world.url);
      await hasState(first, "search", "holding");
      world.made.upstreams["search-v8"].failing = 1;
      await hasState(first, "search", "cord pulled");
      const { decisions } = await world.api("decisions?route=search&action=back_off");
      for (const dark of [false, true]) {
        const page = await open(world.url, { dark });
        for (const hash of ["#/route/shop", "#/route/search", `#/decision/${decisions[0].id}`, "#/timeline", "#/"]) {
          await goTo(page, world, hash);
          const found = await faults(page);
          if (found.length > 0) throw new Error(`${hash}, ${dark ? "dark" : "light"}: ${found.join("; ")}`);
        }
        await row(page, "search").getByRole("button", { name: "Reset cord" }).click();
        await page.getByRole("dialog").waitFor();
        const found = await faults(page);
        if (found.length > 0) throw new Error(`the dialog, ${dark ? "dark" : "light"}: ${found.join("; ")}`);
      }
    });
  },

  keyboard: async ({ open }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      await page.keyboard.press("Tab");
      await page.locator(".skip:focus").waitFor();
      const reached = new Set();
      for (let i = 0; i < 60; i += 1) {
        await page.keyboard.press("Tab");
        reached.add(
          await page.evaluate(
            () =>
              document.activeElement?.getAttribute("data-action") ??
              document.activeElement?.getAttribute("href") ??
              document.activeElement?.id ??
              "",
          ),
        );
      }
      for (const wanted of ["pull-all", "pull", "#/timeline", "filter", "#/route/search"]) {
        if (!reached.has(wanted)) throw new Error(`${wanted} is not reached with Tab: ${[...reached].join(" ")}`);
      }
      await row(page, "search").getByRole("button", { name: "Pull cord" }).focus();
      await page.keyboard.press("Enter");
      await page.keyboard.type("with the keyboard alone");
      await page.keyboard.press("Enter");
      await hasState(page, "search", "cord pulled");
      await row(page, "search")
        .getByText(/with the keyboard alone/)
        .waitFor();
    }),
};

/** Runs in the page, for five samples: whether rows are built anew. How long that takes is the machine's affair. */
function watchSamples() {
  const before = new Set(document.querySelectorAll("[data-route]"));
  let samples = 0;
  return new Promise((/** @type {(seen: {samples: number, rebuilt: number}) => void} */ resolve) => {
    const watching = new MutationObserver(() => {
      samples += 1;
      if (samples < 5) return;
      watching.disconnect();
      const rebuilt = [...document.querySelectorAll("[data-route]")].filter((element) => !before.has(element)).length;
      resolve({ samples, rebuilt });
    });
    watching.observe(document.querySelector(".board") ?? document.body, {
      subtree: true,
      childList: true,
      characterData: true,
    });
  });
}
