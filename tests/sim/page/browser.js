"use strict";
/* What the programs that look at a page share: headless Chromium, patient, because a slow machine must not fail a test. */
const { chromium } = require("playwright-core");
const { check, finish } = require("../../lib/tap.js");

const LAUNCH_MS = 120000, WAIT_MS = 60000;

/* The page of a file; page.errors is what it complained of. It fetches nothing. */
exports.open = async (browser, file, options = {}) => {
  const page = await browser.newPage({ viewport: { width: 1500, height: 900 }, colorScheme: options.scheme || "light" });
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(error.stack));
  page.on("console", (message) => { if (message.type() === "error") page.errors.push(message.text()); });
  page.on("request", (request) => { if (!request.url().startsWith("file:")) page.errors.push("fetches " + request.url()); });
  page.setDefaultTimeout(WAIT_MS);
  await page.goto("file://" + file + (options.place || ""));
  return page;
};

/* Clicks on an append that arrived, `from` after the picture's begin or later, with `around` of time on both sides in sight. */
exports.clickArrow = async (page, view) => {
  const point = await page.evaluate(({ from, around }) => {
    const { kinds, begin } = picture.model, appends = kinds.find((kind) => kind.name === "append").messages;
    const message = appends.find((one) => one.fate === "ok" && one.ended > one.sent && one.sent > begin + from);
    picture.show(message.sent - around, message.ended + around);
    paint();
    const ends = picture.painter.ends(message);
    return { x: ends.x0 + (ends.x1 - ends.x0) * .37, y: ends.y0 + (ends.y1 - ends.y0) * .37 };
  }, view);
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.click(box.x + point.x, box.y + point.y);
};

/* The body gets the browser; its checks decide how the process ends. */
exports.drive = async (body) => {
  await check("the browser is driven to the end", async () => {
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"], timeout: LAUNCH_MS });
    try {
      await body(browser);
    } finally {
      await browser.close();
    }
  });
  finish();
};
