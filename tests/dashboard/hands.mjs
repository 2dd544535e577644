// What the stories do with a page again and again, by the words and roles that people and screen readers meet.

import { World } from "./world.mjs";

/** @typedef {import("playwright-core").Page} Page */

/**
 * @template {import("./world.mjs").Made} M
 * @param {M} made
 * @param {(world: World) => Promise<void>} act
 */
export async function inWorld(made, act) {
  await act(await World.start(made));
}

/** @param {Page} page @param {string} route */
export const row = (page, route) => page.locator(`[data-route="${route}"]`);

/** @param {Page} page @param {string} route @param {string} word */
export async function hasState(page, route, word) {
  await row(page, route).locator(".pill", { hasText: word }).waitFor();
}

/** @param {Page} page @param {string} token */
export async function logIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
}

/**
 * Fills the dialog that is open, and presses what it is named after.
 * @param {Page} page
 * @param {string} why
 * @param {string | RegExp} confirm
 */
export async function confirm(page, why, confirm) {
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(why);
  await dialog.getByRole("button", { name: confirm }).click();
  await dialog.waitFor({ state: "detached" });
}

/** No part of the page is wider than the window. @param {Page} page */
export async function fits(page) {
  const [has, wants] = await page.evaluate(() => [
    document.documentElement.clientWidth,
    document.documentElement.scrollWidth,
  ]);
  if (wants > has) throw new Error(`${page.url()} is ${wants} px wide in a window of ${has} px`);
}

/** Goes to a page by its hash, and waits until it is the one that is shown. @param {Page} page @param {World} world @param {string} hash */
export async function goTo(page, world, hash) {
  await page.goto(`${world.url}${hash}`);
  await page.locator(`.page[data-hash="${hash}"] h1`).first().waitFor();
}
