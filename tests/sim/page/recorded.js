"use strict";
/* recorded.js PAGE.html FOLDER: the page of three recorded nodes in headless Chromium. TAP on standard output. */
const assert = require("node:assert");
const { check } = require("../../lib/tap.js");
const { clickArrow, drive, open } = require("./browser.js");

const [, , file] = process.argv;

drive(async (browser) => {
  const page = await open(browser, file);
  await check("three recorded nodes are on one page, with their clients, without errors", async () => {
    assert.deepEqual(page.errors, []);
    const names = await page.evaluate(() => picture.model.lines.map((line) => line.name));
    for (const node of ["n1", "n2", "n3"]) assert.ok(names.includes(node), names.join(" "));
    assert.equal(await page.textContent("#verdict"), "nothing is wrong");
  });
  await check("an arrow between two nodes has both its ends, and says what it carried", async () => {
    await clickArrow(page, { from: 1e6, around: 1e5 });
    assert.match(await page.textContent("#chosen-title"), /n\d → n\d|→/);
    assert.match(await page.textContent("#chosen"), /content.*(system|db0): \D*\d+/);
    assert.deepEqual(page.errors, []);
  });
});
