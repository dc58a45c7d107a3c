"use strict";
/* page.js PAGE.html FOLDER: what a reader does with the page, in headless Chromium. TAP on standard output. */
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { check } = require("../../lib/tap.js");
const { clickArrow, drive, open } = require("./browser.js");

const [, , file, folder] = process.argv;
const CALLS_MAX = 30000; // Of the canvas, for one drawing: what is drawn is bounded by pixels, not by what happened.
const DATA = /(<script type="application\/json" id="data">)[^]*?(<\/script>)/;

/* A scene of no simulator: roles, kinds and states that the page has never heard of, and a wrong answer. */
const SCENE = {
  picture: 1, title: "Two generals", subtitle: "a scene", wrong: "the history is wrong:\nread k saw nothing", begin: 0, end: 1000, leftOut: 0,
  lines: [{ sort: "node", name: "north" }, { sort: "node", name: "south" }, { sort: "client", name: "king" }],
  tracks: ["plan"], kinds: ["messenger"], fields: ["mood", "plan dawn"],
  roles: [[0, 0, 0, "waiting", 0], [1, 0, 0, "waiting", 0], [0, 0, 500, "attacking", 3]],
  states: [[0, 0, 0, "calm"], [1, 0, 0, "<b>grim</b>"], [0, 500, 0, "bold"], [0, 0, 1, 4]],
  moments: [[0, 100, "decision", "send \"at dawn\""], [-1, 900, "wrong", "only one attacks"]],
  faults: [[200, 400, "valley", [0], [1], "held by the enemy"]],
  operations: [[2, 0, 50, 950, "ok", "write k 1", "done", 1], [2, 1, 960, 980, "ok", "read k", "nil", 2]],
  messages: [[0, 0, 1, 100, 160, "ok", "at dawn"], [0, 1, 0, 250, 250, "lost", "agreed", "caught in the valley"], [0, 0, -1, 300, -1, "way", "to whom?"]],
};

const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(picture.painter.drawn)))));

async function simulated(browser) {
  const page = await open(browser, file);
  await check("a run of five nodes loads without errors and fetches nothing", async () => {
    assert.deepEqual(page.errors, []);
    assert.equal(await page.textContent("#verdict"), "nothing is wrong");
    const nodes = await page.evaluate(() => picture.model.lines.filter((line) => line.sort === "node").map((line) => line.name));
    assert.deepEqual(nodes.slice(0, 5), ["n1", "n2", "n3", "n4", "n5"]);
  });
  await check("the whole run is drawn at once, the many as bars, with few strokes", async () => {
    const all = await drawn(page);
    assert.ok(all.roles > 10 && all.operations > 100 && all.faults > 0 && all.bars > 10 && all.arrows > 10, JSON.stringify(all));
    assert.ok(all.arrows < 5000, "that many arrows are a blot");
    const calls = await page.evaluate(() => {
      let count = 0;
      const real = picture.painter.context;
      picture.painter.context = new Proxy(real, {
        get: (_, name) => typeof real[name] !== "function" ? real[name] : (...words) => { count++; return real[name](...words); },
        set: (_, name, value) => { real[name] = value; return true; },
      });
      paint();
      picture.painter.context = real;
      return count;
    });
    assert.ok(calls < CALLS_MAX, `one drawing asks ${calls} things of the canvas`);
  });
  await check("the wheel zooms in around the pointer until every message is an arrow", async () => {
    const before = await page.evaluate(() => { const t = picture.model.kinds.find((k) => k.name === "append").messages.find((m) => m.sent > 3e9).sent; picture.show(t - 2e9, t + 2e9); paint(); const x = Math.round(picture.painter.x(t)); return { t: picture.painter.at(x), x }; });
    const box = await page.locator("#canvas").boundingBox();
    await page.mouse.move(box.x + before.x, box.y + 300);
    for (let i = 0; i < 12; i++) await page.mouse.wheel(0, -150); // Returns before the page has heard of it.
    await page.waitForFunction(() => picture.painter.drawn.bars === 0 && picture.painter.drawn.arrows > 0);
    const after = await drawn(page);
    const x = await page.evaluate((t) => picture.painter.x(t), before.t);
    assert.ok(Math.abs(x - before.x) < 2, `the moment under the pointer moved from ${before.x} to ${x}`);
    assert.equal(after.bars, 0);
    assert.ok(after.arrows > 0);
  });
  await check("dragging moves in time, the keyboard too, and 0 shows all again", async () => {
    const before = await page.evaluate(() => picture.view.t0);
    const box = await page.locator("#canvas").boundingBox();
    await page.mouse.move(box.x + 700, box.y + 300);
    await page.mouse.down();
    await page.mouse.move(box.x + 400, box.y + 300, { steps: 3 });
    await page.mouse.up();
    const dragged = await page.evaluate(() => picture.view.t0);
    assert.ok(dragged > before);
    await page.keyboard.press("ArrowLeft");
    assert.ok(await page.evaluate(() => picture.view.t0) < dragged);
    await page.keyboard.press("0");
    assert.deepEqual(await page.evaluate(() => [picture.view.t0, picture.view.t1]), await page.evaluate(() => [picture.model.begin, picture.model.end]));
  });
  await check("an arrow that is clicked says what it carried", async () => {
    await clickArrow(page, { from: 0, around: 1e6 });
    assert.match(await page.textContent("#chosen-title"), /n\d → n\d|→/);
    assert.match(await page.textContent("#chosen"), /content.*term \d+/);
    assert.equal(await page.evaluate(() => picture.view.pinned), true);
  });
  await check("the cursor shows every node's state at that moment", async () => {
    const wanted = await page.evaluate(() => {
      const m = picture.model, span = m.lines.flatMap((line) => line.tracks[0] || []).find((s) => s.role === "leader"), field = m.fields.indexOf("db0 commit");
      picture.pin(span.to - 1);
      return { name: m.lines[span.line].name, term: span.epoch, commits: m.lines.filter((l) => l.sort === "node").map((l) => String(stateAt(l, field, span.to - 1))) };
    });
    await drawn(page);
    const table = await page.evaluate(() => [...document.querySelectorAll("#states tr")].map((row) => [...row.cells].map((cell) => cell.textContent)));
    const db0 = table.findIndex((row) => row[0] === "db0"), row = (name) => table.slice(db0).find((r) => r[0] === name);
    assert.equal(row("role")[table[0].indexOf(wanted.name)], "leader");
    assert.equal(row("term")[table[0].indexOf(wanted.name)], String(wanted.term));
    assert.deepEqual(row("commit").slice(1), wanted.commits);
  });
  await check("kinds, nodes and lost messages are filtered", async () => {
    await page.evaluate(() => picture.show(picture.model.begin, picture.model.end));
    await page.locator("#lost").check();
    const lost = await drawn(page);
    assert.ok(lost.lost > 0 && lost.lost === lost.arrows, JSON.stringify(lost));
    await page.locator("#lost").uncheck();
    await page.locator("#lines button", { hasText: "n2" }).click();
    await drawn(page);
    assert.equal(await page.evaluate(() => picture.painter.targets.filter((t) => t.what === "message" && (t.item.from === 1 || t.item.to === 1)).length), 0);
    await page.locator("#lines button", { hasText: "n2" }).click();
    for (const button of await page.locator("#kinds button").all()) await button.click();
    assert.equal((await drawn(page)).arrows, 0);
    await page.locator("#kinds button", { hasText: /^vote\d/ }).click();
    const votes = await drawn(page);
    assert.ok(votes.arrows > 0 && votes.bars === 0, JSON.stringify(votes));
  });
  await check("what is sought is found, and Enter goes there", async () => {
    await page.keyboard.press("/");
    await page.keyboard.type("votes enough lead own");
    const count = Number((/^(\d+) found/.exec(await page.textContent("#found")) || [])[1]);
    assert.ok(count > 0);
    await page.keyboard.press("Enter");
    assert.match(await page.textContent("#found"), /^\d+ of \d+$/);
    assert.match(await page.textContent("#chosen"), /votes are enough -> lead term/);
    assert.deepEqual(page.errors, []);
  });
  // It is written a moment after the last change.
  await page.waitForFunction(() => location.hash === `#t=${Math.round(picture.view.t0)},${Math.round(picture.view.t1)},${Math.round(picture.view.cursor)}`);
  const place = await page.evaluate(() => location.hash);
  await page.close();
  const again = await open(browser, file, { scheme: "dark", place });
  await check("a link shows what its sender saw; dark as asked", async () => {
    assert.match(place, /^#t=\d+,\d+,\d+$/);
    assert.equal(await again.evaluate(() => `#t=${Math.round(picture.view.t0)},${Math.round(picture.view.t1)},${Math.round(picture.view.cursor)}`), place);
    assert.equal(await again.evaluate(() => picture.painter.theme.back), "#14161a");
    assert.deepEqual(again.errors, []);
  });
  await again.close();
}

function make(scene, name) {
  const made = path.join(folder, name), data = JSON.stringify(scene).replace(/</g, "\\u003c");
  fs.writeFileSync(made, fs.readFileSync(file, "utf8").replace(DATA, (all, before, after) => before + data + after));
  return made;
}

async function scene(browser) {
  const page = await open(browser, make(SCENE, "scene.html"));
  await check("a scene with roles and kinds of its own is shown", async () => {
    const all = await drawn(page);
    assert.deepEqual(page.errors, []);
    assert.equal(all.arrows, 3);
    assert.equal(all.lost, 1);
    assert.equal(await page.title(), "Two generals");
    await page.evaluate(() => picture.pin(450));
    await drawn(page);
    assert.match(await page.textContent("#states"), /calm<b>grim<\/b>/);
    assert.equal(await page.locator("#states b").count(), 0);
    await page.evaluate(() => picture.pin(600));
    await drawn(page);
    assert.match(await page.textContent("#states"), /bold/);
  });
  await check("a violation is told, and the operation is shown", async () => {
    assert.equal(await page.textContent("#verdict"), "violation");
    assert.match(await page.textContent("#words"), /read k saw nothing/);
    await page.locator("#show-wrong").click();
    assert.match(await page.textContent("#chosen-title"), /king: read k/);
    assert.match(await page.textContent("#chosen"), /no order of all operations explains/);
  });
  await check("what was lost says why", async () => {
    await page.evaluate(() => picture.choose({ what: "message", item: picture.model.messages[1] }));
    assert.match(await page.textContent("#chosen"), /lostcaught in the valley/);
    assert.deepEqual(page.errors, []);
  });
  await page.close();
}

async function long(browser) {
  const page = await open(browser, make({ ...SCENE, end: 1000000 }, "long.html"));
  await check("a long page opens on the operations that show what is wrong", async () => {
    await drawn(page);
    const view = await page.evaluate(() => [picture.view.t0, picture.view.t1, picture.view.cursor]);
    assert.ok(view[0] <= 50 && view[1] >= 980 && view[1] < 5000 && view[2] === 960, String(view));
    assert.match(await page.textContent("#chosen-title"), /king: read k/);
    assert.deepEqual(page.errors, []);
  });
  await page.close();
}

drive(async (browser) => {
  await simulated(browser);
  await scene(browser);
  await long(browser);
});
