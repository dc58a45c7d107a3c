"use strict";
/* recorded.js PAGE.html FOLDER: the page of three recorded nodes in headless Chromium. TAP on standard output. */
const assert = require("node:assert");
const { chromium } = require("playwright-core");

const [, , file] = process.argv;
let failures = 0;

async function check(name, body) {
  try {
    await body();
    console.log("ok - " + name);
  } catch (error) {
    failures++;
    console.log(String(error.stack).replace(/^/gm, "# "));
    console.log("not ok - " + name);
  }
}

async function all() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = await browser.newPage({ viewport: { width: 1500, height: 900 } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.stack));
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  page.setDefaultTimeout(10000);
  await page.goto("file://" + file);
  await check("three recorded nodes are on one page, with their clients, without errors", async () => {
    assert.deepEqual(errors, []);
    const names = await page.evaluate(() => picture.model.lines.map((line) => line.name));
    for (const node of ["n1", "n2", "n3"]) assert.ok(names.includes(node), names.join(" "));
    assert.equal(await page.textContent("#verdict"), "nothing is wrong");
  });
  await check("an arrow between two nodes has both its ends, and says what it carried", async () => {
    const point = await page.evaluate(() => {
      const kind = picture.model.kinds.find((k) => k.name === "append");
      const message = kind.messages.find((m) => m.fate === "ok" && m.ended > m.sent && m.sent > picture.model.begin + 1e6);
      picture.show(message.sent - 1e5, message.ended + 1e5);
      paint();
      const e = picture.painter.ends(message);
      return { x: e.x0 + (e.x1 - e.x0) * .37, y: e.y0 + (e.y1 - e.y0) * .37 };
    });
    const box = await page.locator("#canvas").boundingBox();
    await page.mouse.click(box.x + point.x, box.y + point.y);
    assert.match(await page.textContent("#chosen-title"), /n\d → n\d|→/);
    assert.match(await page.textContent("#chosen"), /content.*(system|db0): \D*\d+/);
    assert.deepEqual(errors, []);
  });
  await browser.close();
}

all().then(() => process.exit(failures === 0 ? 0 : 1), (error) => {
  console.log(String(error.stack).replace(/^/gm, "# "));
  console.log("not ok - the page is driven");
  process.exit(1);
});
