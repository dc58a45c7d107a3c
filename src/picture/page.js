"use strict";
/* The page around the canvas: time and filters, the cursor's state, what was clicked. */

const element = (id) => document.getElementById(id);
const model = makeModel(JSON.parse(element("data").textContent));
const view = {
  t0: model.begin, t1: model.end, cursor: model.begin, pinned: false, chosen: null, words: [], lostOnly: false, decisions: true,
  kinds: model.kinds.map(() => true),
};
const canvas = element("canvas"), stage = element("stage");
const painter = new Painter(canvas, model, view);
const night = window.matchMedia("(prefers-color-scheme: dark)");
let asked = false;

function make(tag, text, attributes) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  Object.assign(made, attributes || {});
  return made;
}

/* ---- drawing ---- */

function paint() {
  asked = false;
  const drawn = painter.paint(Math.max(300, stage.clientWidth), Math.max(200, stage.clientHeight), night.matches);
  const bars = drawn.barred.length ? "bars where there are too many: zoom in" : "every message in sight";
  element("detail").textContent = `${spanText(view.t1 - view.t0)} in sight, ${drawn.arrows} arrows (${bars})` + (model.leftOut ? `; ${model.leftOut} events were too many and are left out` : "");
}

function redraw() {
  if (!asked) { asked = true; requestAnimationFrame(paint); }
}

function show(t0, t1) {
  const least = 200, whole = model.end - model.begin, wide = Math.min(Math.max(t1 - t0, least), whole);
  t0 = Math.min(Math.max(t0, model.begin), model.end - wide);
  view.t0 = t0;
  view.t1 = t0 + wide;
  keepPlace();
  redraw();
}

function zoom(factor, at) {
  const wide = (view.t1 - view.t0) * factor, part = (at - view.t0) / (view.t1 - view.t0);
  show(at - wide * part, at + wide * (1 - part));
}

/* A link to a page shows what the sender saw. */
let placeTimer = 0;
function keepPlace() {
  clearTimeout(placeTimer);
  placeTimer = setTimeout(() => history.replaceState(null, "", `#t=${Math.round(view.t0)},${Math.round(view.t1)},${Math.round(view.cursor)}`), 200);
}

function readPlace() {
  const place = /^#t=(\d+),(\d+),(\d+)$/.exec(location.hash);
  if (!place) return;
  pin(Number(place[3]));
  show(Number(place[1]), Number(place[2]));
}

/* ---- the cursor ---- */

function shownNodes() { return model.lines.filter((line) => line.sort === "node" && line.shown); }

/* Fields `group name` stand together below their group. */
function fieldGroups() {
  const groups = new Map();
  model.fields.forEach((field, number) => {
    const space = field.indexOf(" "), group = space < 0 ? "" : field.slice(0, space);
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push({ number, name: space < 0 ? field : field.slice(space + 1) });
  });
  return [...groups].sort((a, b) => (a[0] === "") - (b[0] === ""));
}

/* What it knew last is shown, but it is nobody's state. */
function isDown(line) {
  const role = roleAt(line, 0, view.cursor);
  return role !== undefined && role.role === "down";
}

function stateTable() {
  const table = make("table"), nodes = shownNodes(), head = table.insertRow();
  head.append(make("th", ""));
  for (const line of nodes) head.append(make("th", line.name));
  for (const [group, fields] of fieldGroups()) {
    if (group) { const row = table.insertRow(); row.className = "head"; row.append(make("th", group, { colSpan: nodes.length + 1 })); }
    for (const field of fields) {
      const row = table.insertRow(), values = nodes.map((line) => stateAt(line, field.number, view.cursor));
      const usual = values.slice().sort((a, b) => values.filter((v) => v === b).length - values.filter((v) => v === a).length)[0];
      row.append(make("th", field.name));
      values.forEach((value, i) => {
        const cell = make("td", value === undefined ? "–" : String(value), { title: value === undefined ? "" : String(value) });
        if (value === "leader") cell.className = "leads";
        else if (value !== usual && nodes.length > 2) cell.className = "differs";
        if (isDown(nodes[i]) && field.name !== "process") cell.className = "gone";
        row.append(cell);
      });
    }
  }
  return table;
}

/* What led here: the last moments before the cursor, newest first. */
function story() {
  const list = element("story"), before = lowerBound(model.moments, view.cursor + 1, (m) => m.at), items = [];
  for (let i = before - 1; i >= 0 && items.length < 14; i--) {
    const moment = model.moments[i], line = model.lines[moment.line];
    if ((line && !line.shown) || (moment.sort === "decision" && !view.decisions) || !painterSought(moment)) continue;
    const item = make("li"), words = (line ? line.name + ": " : "") + moment.text;
    item.append(make("b", timeText(moment.at, 1e3)), words);
    item.addEventListener("click", () => { choose({ what: "moment", item: moment }); pin(moment.at); });
    items.push(item);
  }
  list.replaceChildren(...items);
}

function painterSought(moment) { return view.words.length === 0 || matches(moment.text, view.words); }

let panelAsked = false;
function refreshPanel() {
  if (panelAsked) return;
  panelAsked = true;
  requestAnimationFrame(() => {
    panelAsked = false;
    element("at").textContent = timeText(view.cursor, 1e3) + (view.pinned ? " (held; Esc lets go)" : "");
    element("states").replaceChildren(stateTable());
    story();
  });
}

function moveCursor(at) {
  view.cursor = Math.min(Math.max(at, model.begin), model.end);
  refreshPanel();
  redraw();
}

function pin(at) {
  view.pinned = true;
  moveCursor(at);
  keepPlace();
}

/* To the next or previous thing that happens. */
function stepCursor(forward) {
  const times = [];
  for (const kind of model.kinds) {
    if (!view.kinds[kind.number]) continue;
    const next = lowerBound(kind.messages, view.cursor + (forward ? 1 : 0), (m) => m.sent), message = kind.messages[forward ? next : next - 1];
    if (message) times.push(message.sent);
  }
  const next = lowerBound(model.moments, view.cursor + (forward ? 1 : 0), (m) => m.at), moment = model.moments[forward ? next : next - 1];
  if (moment) times.push(moment.at);
  if (times.length === 0) return;
  const at = forward ? Math.min(...times) : Math.max(...times);
  pin(at);
  if (at < view.t0 || at > view.t1) show(at - (view.t1 - view.t0) / 2, at + (view.t1 - view.t0) / 2);
}

/* ---- what was clicked ---- */

const nameOf = (line) => line < 0 ? "nobody" : model.lines[line].name;

function describe({ what, item }) {
  if (what === "message") {
    return [`${model.kinds[item.kind].name}, ${nameOf(item.from)} → ${nameOf(item.to)}`, {
      content: item.text, sent: timeText(item.sent, 1),
      ...(item.fate === "lost" ? { lost: item.why || "yes" } : item.fate === "ok" ? { arrived: timeText(item.ended, 1), took: spanText(item.ended - item.sent) } : { arrived: "not yet at the end" }),
    }, item.sent];
  }
  if (what === "operation") {
    return [`${nameOf(item.line)}: ${item.asked}`, {
      outcome: item.outcome, answer: item.answer, asked: nameOf(item.by), called: timeText(item.called, 1), returned: timeText(item.returned, 1), took: spanText(item.returned - item.called),
      ...(item.wrong === 2 ? { verdict: "no order of all operations explains this answer" } : item.wrong === 1 ? { verdict: "takes part in what is wrong" } : {}),
    }, item.called];
  }
  if (what === "fault") {
    return [item.name, { lines: item.lines.map(nameOf).join(" "), ...(item.others.length ? { "apart from": item.others.map(nameOf).join(" ") } : {}), ...(item.text ? { more: item.text } : {}), from: timeText(item.from, 1), to: timeText(item.to, 1), lasts: spanText(item.to - item.from) }, item.from];
  }
  return [item.sort, { at: timeText(item.at, 1), line: nameOf(item.line), text: item.text }, item.at];
}

function choose(chosen) {
  view.chosen = chosen;
  element("chosen-section").hidden = !chosen;
  if (chosen) {
    const [title, fields] = describe(chosen);
    element("chosen-title").textContent = title;
    element("chosen").replaceChildren(...Object.entries(fields).flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  }
  redraw();
}

function goTo(chosen) {
  const at = describe(chosen)[2], wide = Math.min(view.t1 - view.t0, Math.max(model.usual * 60, 20e6));
  choose(chosen);
  pin(at);
  show(at - wide / 2, at + wide / 2);
}

/* ---- filters ---- */

let found = [], place = -1;
function search() {
  view.words = element("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  found = [];
  place = -1;
  if (view.words.length) {
    for (const item of model.messages) if (matches(`${model.kinds[item.kind].name} ${item.text} ${item.why}`, view.words)) found.push({ what: "message", item, at: item.sent });
    for (const item of model.moments) if (matches(item.text, view.words)) found.push({ what: "moment", item, at: item.at });
    for (const item of model.operations) if (matches(`${item.asked} ${item.answer}`, view.words)) found.push({ what: "operation", item, at: item.called });
    found.sort((a, b) => a.at - b.at);
  }
  element("found").textContent = view.words.length ? `${found.length} found` : "";
  refreshPanel();
  redraw();
}

function nextFound(forward) {
  if (found.length === 0) return;
  if (place < 0) place = forward ? lowerBound(found, view.cursor, (f) => f.at) - 1 : lowerBound(found, view.cursor, (f) => f.at);
  place = (place + (forward ? 1 : -1) + found.length) % found.length;
  goTo(found[place]);
  element("found").textContent = `${place + 1} of ${found.length}`;
}

function chip(text, small, colour, on, toggle) {
  const made = make("button", undefined, { type: "button", className: "chip" });
  if (colour) { const swatch = make("i"); swatch.style.background = colour; made.append(swatch); }
  made.append(text);
  if (small) made.append(make("small", small));
  made.setAttribute("aria-pressed", String(on));
  made.addEventListener("click", (event) => {
    const pressed = made.getAttribute("aria-pressed") !== "true";
    toggle(pressed, event.altKey || event.shiftKey);
    chips();
    refreshPanel();
    redraw();
  });
  return made;
}

function chips() {
  element("kinds").replaceChildren(...model.kinds.map((kind) => chip(kind.name, String(kind.messages.length), kindColour(kind, night.matches), view.kinds[kind.number],
    (on, alone) => { if (alone) view.kinds.fill(false); view.kinds[kind.number] = on || alone; })));
  const clients = model.lines.filter((line) => line.sort !== "node"), nodes = model.lines.filter((line) => line.sort === "node");
  const made = nodes.map((line) => chip(line.name, "", "", line.shown, (on) => { line.shown = on; }));
  if (clients.length) made.push(chip("clients", String(clients.length), "", clients[0].shown, (on) => { for (const line of clients) line.shown = on; }));
  element("lines").replaceChildren(...made);
}

function legend() {
  const theme = night.matches ? THEMES.dark : THEMES.light, epochs = night.matches ? EPOCHS.dark : EPOCHS.light;
  const entry = (style, text) => { const made = make("span"), mark = make("i"); mark.style.cssText = style; made.append(mark, text); return made; };
  element("legend").replaceChildren(
    entry(`width:18px;height:12px;background:${epochs[1]};border:1px solid`, "leader"), entry(`width:18px;height:5px;background:${epochs[1]}`, "follower"),
    entry(`width:18px;height:8px;background:repeating-linear-gradient(45deg,${epochs[2]} 0 2px,${theme.text} 2px 3px)`, "candidate"),
    entry(`width:26px;height:8px;background:linear-gradient(90deg,${epochs[1]} 33%,${epochs[2]} 33% 66%,${epochs[3]} 66%)`, "terms"),
    entry(`width:12px;height:10px;background:${theme.ok}`, "ok"), entry(`width:12px;height:10px;background:${theme.fail}`, "not done"), entry(`width:12px;height:10px;background:${theme.doubt}`, "in doubt"),
    entry(`width:12px;height:10px;background:rgba(${theme.fault},.3)`, "fault"), make("span", "✕ lost or ended"), make("span", "▶ started"));
}

/* ---- hands ---- */

function pointerAt(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  const { x, y } = pointerAt(event);
  canvas.setPointerCapture(event.pointerId);
  drag = { x, y, t0: view.t0, t1: view.t1, top: stage.scrollTop, screenY: event.clientY, over: y >= painter.place.overview, moved: false };
  if (drag.over) centre(x);
});
canvas.addEventListener("pointermove", (event) => {
  const { x, y } = pointerAt(event);
  if (!drag) {
    if (!view.pinned && x >= GUTTER && y < painter.place.overview) moveCursor(painter.at(x));
    const under = painter.hit(x, y);
    canvas.title = under ? describe(under)[0] : "";
    return;
  }
  if (drag.over) { centre(x); return; }
  if (Math.abs(x - drag.x) + Math.abs(event.clientY - drag.screenY) > 4) drag.moved = true;
  if (drag.moved) {
    canvas.classList.add("moving");
    const moved = (x - drag.x) * (drag.t1 - drag.t0) / (painter.place.width - GUTTER);
    stage.scrollTop = drag.top - (event.clientY - drag.screenY);
    show(drag.t0 - moved, drag.t1 - moved);
  }
});
canvas.addEventListener("pointerup", (event) => {
  const { x, y } = pointerAt(event);
  canvas.classList.remove("moving");
  if (drag && !drag.moved && !drag.over && x >= GUTTER) {
    const under = painter.hit(x, y);
    choose(under);
    pin(painter.at(x));
  }
  drag = null;
});
canvas.addEventListener("dblclick", (event) => zoom(.25, painter.at(pointerAt(event).x)));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { x } = pointerAt(event);
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    const moved = (event.deltaX || event.deltaY) * (view.t1 - view.t0) / (painter.place.width - GUTTER);
    show(view.t0 + moved, view.t1 + moved);
  } else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), painter.at(Math.max(x, GUTTER)));
}, { passive: false });

function centre(x) {
  const at = painter.overAt(x), half = (view.t1 - view.t0) / 2;
  show(at - half, at + half);
}

function letGo() {
  view.pinned = false;
  choose(null);
  refreshPanel();
}

const KEYS = {
  "+": () => zoom(.5, middle()), "=": () => zoom(.5, middle()), "-": () => zoom(2, middle()), "0": () => show(model.begin, model.end),
  ArrowLeft: () => show(view.t0 - (view.t1 - view.t0) / 8, view.t1 - (view.t1 - view.t0) / 8), ArrowRight: () => show(view.t0 + (view.t1 - view.t0) / 8, view.t1 + (view.t1 - view.t0) / 8),
  ",": () => stepCursor(false), ".": () => stepCursor(true), Escape: letGo, "/": () => element("find").focus(),
};
const middle = () => view.pinned && view.cursor >= view.t0 && view.cursor <= view.t1 ? view.cursor : (view.t0 + view.t1) / 2;
document.addEventListener("keydown", (event) => {
  const typing = event.target.tagName === "INPUT" && event.target.type === "search";
  if (typing && event.key === "Enter") { nextFound(!event.shiftKey); event.preventDefault(); }
  if (typing && event.key === "Escape") { event.target.value = ""; search(); event.target.blur(); }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  KEYS[event.key]();
  event.preventDefault();
});
element("find").addEventListener("input", search);
element("next").addEventListener("click", () => nextFound(true));
element("previous").addEventListener("click", () => nextFound(false));
element("in").addEventListener("click", () => zoom(.5, middle()));
element("out").addEventListener("click", () => zoom(2, middle()));
element("fit").addEventListener("click", () => show(model.begin, model.end));
element("lost").addEventListener("change", (event) => { view.lostOnly = event.target.checked; redraw(); });
element("decisions").addEventListener("change", (event) => { view.decisions = event.target.checked; refreshPanel(); redraw(); });
element("show-wrong").addEventListener("click", () => {
  const item = model.operations.find((o) => o.wrong === 2), moment = model.moments.find((m) => m.sort === "wrong");
  if (item || moment) goTo(item ? { what: "operation", item } : { what: "moment", item: moment });
});
night.addEventListener("change", () => { chips(); legend(); redraw(); });
new ResizeObserver(redraw).observe(stage);

/* ---- the beginning ---- */

/* From the first call to the last return of what shows that something is wrong, and a little around. */
function openOnWrong() {
  const shown = model.operations.filter((o) => o.wrong), item = shown.find((o) => o.wrong === 2);
  if (!item) return;
  const from = Math.min(...shown.map((o) => o.called)), until = Math.max(...shown.map((o) => o.outcome === "ok" || o.outcome === "fail" ? o.returned : o.called));
  const around = Math.max((until - from) / 8, model.usual * 4);
  show(from - around, until + around);
  choose({ what: "operation", item });
}

document.title = model.title;
element("title").textContent = model.title;
element("subtitle").textContent = model.subtitle;
element("verdict").textContent = model.wrong ? "violation" : "nothing is wrong";
element("verdict").className = model.wrong ? "bad" : "";
element("wrong").hidden = !model.wrong;
element("words").textContent = model.wrong;
chips();
legend();
view.cursor = (model.operations.find((o) => o.wrong === 2) || { called: (model.begin + model.end) / 2 }).called;
openOnWrong();
readPlace();
moveCursor(view.cursor);
paint();
/* For tests, and for who looks closer with the console. */
window.picture = { model, view, painter, show, choose, pin };
