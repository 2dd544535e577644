// What people do with the dashboard, as checks with a name. Each has a world of its own, waits for conditions and never
// for a time, and fails on any message in the browser's console that it did not expect.

import { confirm, goTo, hasState, inWorld, logIn, row } from "./hands.mjs";
import { guarded, shop, until } from "./world.mjs";

/** @typedef {import("./run.mjs").Story} Story */

/** @type {Record<string, Story>} */
export const stories = {
  board: async ({ open, shot }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      await hasState(page, "help", "stable only");
      await hasState(page, "internal", "denied");
      const rates = row(page, "search").locator(".line-1 [data-label='Req/s']");
      const number = async () => Number.parseFloat((await rates.textContent()) ?? "");
      const first = await until("the canary has traffic", async () => (await number()) || null);
      await until("the number moves by itself", async () => (await number()) !== first);
      await until(
        "stable only has numbers too",
        async () =>
          Number.parseFloat((await row(page, "help").locator("[data-label='Req/s']").textContent()) ?? "") > 0,
      );
      await row(page, "search")
        .getByText(/requests: not enough yet|healthy/)
        .waitFor();
      await page.keyboard.press("/");
      await page.keyboard.type("sear");
      await until("the filter leaves one row", async () => (await page.locator("[data-route]").count()) === 1);
      await shot(page, "board-filtered");
    }),

  back_off: async ({ open, shot }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      await until(
        "the canary has traffic",
        async () => (await row(page, "search").locator(".line-1 [data-label='Req/s']").textContent()) !== "0",
      );
      world.made.upstreams["search-v8"].failing = 1;
      await hasState(page, "search", "cord pulled");
      await row(page, "search")
        .getByText(/Pulled by immune system/)
        .waitFor();
      await row(page, "search")
        .getByText(/failed/)
        .first()
        .waitFor();
      const first = await page.locator("[data-route]").first().getAttribute("data-route");
      if (first !== "search") throw new Error(`trouble comes first, but ${first} does`);
      await page
        .getByRole("status")
        .getByText(/search/)
        .first()
        .waitFor();
      await shot(page, "back-off");
    }),

  cord: async ({ open, shot }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await row(page, "search").getByRole("button", { name: "Pull cord" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("goes from 20% to 0%").waitFor();
      await shot(page, "cord-dialog");
      await dialog.getByRole("button", { name: "Pull the cord of search" }).click();
      await dialog.getByRole("alert").getByText("A reason is needed").waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      await row(page, "search").getByRole("button", { name: "Pull cord" }).click();
      await dialog.getByLabel("Your name").fill("ann");
      await confirm(page, "error log looks odd", "Pull the cord of search");
      await hasState(page, "search", "cord pulled");
      await row(page, "search")
        .getByText(/Pulled by ann/)
        .waitFor();
      await row(page, "search")
        .getByText(/error log looks odd/)
        .waitFor();
      await row(page, "search").getByRole("button", { name: "Reset cord" }).click();
      await confirm(page, "it was the probe", "Reset the cord of search");
      await hasState(page, "search", "holding");
      const { decisions } = await world.api("decisions?route=search&action=cord_reset");
      if (decisions[0]?.why !== "it was the probe" || decisions[0]?.by !== "ann")
        throw new Error(JSON.stringify(decisions[0]));
    }),

  cord_of_all: async ({ open }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      await page.getByRole("button", { name: "Pull every cord" }).click();
      await page.getByRole("dialog").getByText("2 routes with a canary").waitFor();
      await confirm(page, "the data centre is on fire", "Pull 2 cords");
      await hasState(page, "search", "cord pulled");
      await hasState(page, "shop", "cord pulled");
    }),

  weight: async ({ open, shot }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(`${world.url}#/route/shop`);
      await page.getByRole("button", { name: "Change weight" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("textbox", { name: "Weight" }).fill("12 %");
      await dialog.getByText("stable: 88%").waitFor();
      await dialog.getByText(/requests\/s that is about/).waitFor();
      await dialog.getByText(/A canary that fails|No forecast/).waitFor();
      await shot(page, "weight-dialog");
      await confirm(page, "a first look", "Give canary 12%");
      await until("the aim is 12%", async () => (await world.api("routes/shop")).canaries[0].aim === "12%");
      await goTo(page, world, "#/");
      await row(page, "shop").locator(".line-1 [data-label='Weight']", { hasText: "12%" }).waitFor();
    }),

  release: async ({ open, shot }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(`${world.url}#/route/shop`);
      await page.getByRole("button", { name: "Start a release" }).click();
      await page.getByRole("dialog").getByText("until a person approves").waitFor();
      await shot(page, "start-dialog");
      await confirm(page, "build 1234", /Start “quick” with shop-v2/);
      await page.getByRole("button", { name: "Hold" }).click();
      await confirm(page, "lunch", "Hold the release");
      await page.getByRole("button", { name: "Resume" }).click();
      await confirm(page, "back from lunch", "Resume the release");
      await page.getByRole("button", { name: "Approve" }).click();
      await confirm(page, "looks good", "Approve this step");
      await until("the release is ready", async () => (await world.api("routes/shop")).release.phase === "ready");
      await page.getByRole("button", { name: "Promote" }).click();
      await confirm(page, "ship it", "Promote the canary to stable");
      await until("the roles are swapped", async () => (await world.api("routes/shop")).stable.upstream === "shop-v2");
      await page.getByRole("button", { name: "Roll back" }).click();
      await confirm(page, "customers call", "Make shop-v1 stable again");
      await until("the roles are back", async () => (await world.api("routes/shop")).stable.upstream === "shop-v1");
    }),

  login: async ({ open, shot, expectError }) => {
    expectError(/401/);
    const { tokens, made } = await guarded();
    await inWorld(made, async (world) => {
      const page = await open(`${world.url}#/route/search`);
      await page.getByRole("heading", { name: "Who asks?" }).waitFor();
      await shot(page, "login");
      await logIn(page, "no-such-token");
      await page.getByRole("alert").getByText("wrong token").waitFor();
      await logIn(page, tokens.rob.secret);
      await page.getByRole("heading", { name: "search" }).first().waitFor();
      await page.locator(".who-name", { hasText: "rob" }).waitFor();
      const cookies = await page.context().cookies();
      if (!cookies[0]?.httpOnly) throw new Error("the cookie can be read by scripts");
      await goTo(page, world, "#/");
      await row(page, "search").getByRole("button", { name: "Pull cord" }).click();
      await confirm(page, "as rob", "Pull the cord of search");
      await row(page, "search")
        .getByText(/Pulled by rob/)
        .waitFor();
      await page.reload();
      await hasState(page, "search", "cord pulled");
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "Who asks?" }).waitFor();
      if ((await page.locator("[data-route]").count()) !== 0)
        throw new Error("routes are left behind after the logout");
    });
  },

  roles: async ({ open, expectError }) => {
    expectError(/401/);
    const { tokens, made } = await guarded();
    await inWorld(made, async (world) => {
      /** @type {[string, string[]][]} */
      const may = [
        [tokens.olaf.secret, []],
        [tokens.pia.secret, ["pull"]],
        [tokens.rob.secret, ["start", "weight", "pull"]],
      ];
      for (const [secret, wanted] of may) {
        const page = await open(world.url);
        await logIn(page, secret);
        await hasState(page, "search", "holding");
        const all = await page.locator("[data-action='pull-all']").count();
        if (all !== (wanted.includes("pull") ? 1 : 0)) throw new Error(`${all} buttons for every cord, with ${wanted}`);
        await goTo(page, world, "#/route/search");
        await page.locator(".actions").first().waitFor({ state: "attached" });
        const found = await page
          .locator("#content [data-action]")
          .evaluateAll((buttons) => buttons.map((button) => button.getAttribute("data-action")));
        if (found.join() !== wanted.join()) throw new Error(`buttons ${found} in place of ${wanted}`);
      }
    });
  },

  // The head of /metrics comes in time, and the text behind it does not.
  late_metrics: async ({ open }) =>
    inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await page.evaluate(() => {
        const real = window.fetch;
        let late = 0;
        window.fetch = async (input, init) => {
          if (input !== "metrics") return real(input, init);
          document.body.dataset.late = String((late += 1));
          const error = new DOMException("signal timed out", "TimeoutError");
          return new Response(new ReadableStream({ start: (stream) => stream.error(error) }));
        };
      });
      await goTo(page, world, "#/route/search");
      await page.locator("body[data-late='2']").waitFor();
    }),

  two_browsers: async ({ open }) =>
    inWorld(await shop(), async (world) => {
      const [one, two] = [await open(world.url), await open(world.url)];
      await hasState(two, "search", "holding");
      await row(one, "search").getByRole("button", { name: "Pull cord" }).click();
      await row(two, "search").getByRole("button", { name: "Pull cord" }).click();
      await confirm(one, "first", "Pull the cord of search");
      await hasState(two, "search", "cord pulled");
      await two.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      await row(two, "search")
        .getByText(/: first/)
        .waitFor();
      await row(two, "search").getByRole("button", { name: "Reset cord" }).click();
      await confirm(two, "second", "Reset the cord of search");
      await hasState(one, "search", "holding");
    }),

  outdated: async ({ open, expectError }) => {
    expectError(/412/);
    await inWorld(await shop(), async (world) => {
      const page = await open(`${world.url}#/route/shop`);
      await page.getByRole("button", { name: "Change weight" }).click();
      const dialog = page.getByRole("dialog");
      await world.api("routes/shop/weight", {
        method: "PUT",
        body: JSON.stringify({ weight: "7%", why: "faster", by: "rob" }),
      });
      await dialog.getByText("shop-v2: 7% →").waitFor();
      await dialog.getByRole("textbox", { name: "Weight" }).fill("9%");
      await dialog.getByLabel("Reason").fill("from what I saw");
      await dialog.getByRole("button", { name: "Give canary 9%" }).click();
      await dialog.getByRole("alert").getByText("The route has changed").waitFor();
      await confirm(page, "from what I see now", "Give canary 9%");
      await until("the aim is 9%", async () => (await world.api("routes/shop")).canaries[0].aim === "9%");
    });
  },

  restart: async ({ open, shot, expectError }) => {
    expectError(/ERR_|502|503/);
    await inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      await world.stopAndon();
      await page
        .locator("#banner")
        .getByText(/Not live since/)
        .waitFor();
      await shot(page, "not-live");
      await row(page, "search").getByRole("button", { name: "Pull cord" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText(/What you see is of/).waitFor();
      await dialog.getByLabel("Reason").fill("while it was away");
      await dialog.getByRole("button", { name: "Pull the cord of search" }).click();
      await dialog.getByRole("alert").waitFor();
      await world.startAndon();
      await page.locator("#banner").waitFor({ state: "hidden" });
      await confirm(page, "while it was away", "Pull the cord of search");
      await hasState(page, "search", "cord pulled");
      await page.locator(".live.is-live").waitFor();
    });
  },

  missed_while_away: async ({ open, expectError }) => {
    expectError(/ERR_/);
    await inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      world.wire?.cut();
      await page
        .locator("#banner")
        .getByText(/Not live since/)
        .waitFor();
      await world.api("routes/search/cord", {
        method: "POST",
        body: JSON.stringify({ why: "nobody saw it", by: "ann" }),
      });
      world.wire?.mend();
      await page.locator("#banner").waitFor({ state: "hidden" });
      await hasState(page, "search", "cord pulled");
      await row(page, "search")
        .getByText(/nobody saw it/)
        .waitFor();
    });
  },

  silence: async ({ open, expectError }) => {
    expectError(/ERR_/);
    await inWorld(await shop(), async (world) => {
      const page = await open(world.url);
      await hasState(page, "search", "holding");
      world.wire?.fallSilent();
      await page
        .locator("#banner")
        .getByText(/Not live since/)
        .waitFor();
      await world.api("routes/search/cord", {
        method: "POST",
        body: JSON.stringify({ why: "nobody heard it", by: "ann" }),
      });
      world.wire?.mend();
      await page.locator("#banner").waitFor({ state: "hidden" });
      await row(page, "search")
        .getByText(/nobody heard it/)
        .waitFor();
    });
  },
};
