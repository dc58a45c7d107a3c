"use strict";
/* The picture on a canvas: layout, colours, and what a point of it is. */

const GUTTER = 74, AXIS = 22, FAULT_LANE = 14, FAULT_LANES_MAX = 5, OVERVIEW = 38, STRETCH = 48, ARROWS_MAX = 36, BUCKET = 4;

/* Colours that differ for colour-blind eyes too (after Okabe and Ito, 2008); light, dark. */
const KIND_COLOURS = [
  [/vote/, "#a8327f", "#ee93cf"], [/reply$/, null, null], [/append/, "#0b5fc0", "#6fb4ff"], [/heartbeat/, "#7b828e", "#868e9b"],
  [/submit|answer|nack/, "#08785a", "#50cba2"], [/snapshot|chunk/, "#b25900", "#f5a54e"], [/transfer|time-out/, "#6237c4", "#b9a0ff"],
];
const REPLIES = [[/append reply/, "#5a92cc", "#4780b8"], [/^reply/, "#8d7b00", "#b5a83e"], [/^request/, "#6e6000", "#dccb5c"]];
const OTHER_COLOURS = [["#0072b2", "#56b4e9"], ["#d55e00", "#f08a4b"], ["#007a5a", "#3fc79a"], ["#b0578d", "#dd8fbe"], ["#8a7400", "#e0cb4a"], ["#4b5bd0", "#97a3ff"]];
const EPOCHS = {
  light: ["#8fbdea", "#f3be7d", "#97d3aa", "#dfaed3", "#d0c774", "#b1b6ee", "#ecaa9d", "#8ad3d4"],
  dark: ["#2c6aa5", "#9c611b", "#2b7a50", "#8a4a82", "#7b731f", "#535bb0", "#9e4b3b", "#227778"],
};
const THEMES = {
  light: { back: "#ffffff", band: "#f7f8fa", text: "#16181d", dim: "#666d7a", rule: "#d9dce2", none: "#c9cdd5", lost: "#c4141f", cursor: "#16181d",
    ok: "#b5dcc4", fail: "#d5d8de", doubt: "#f5cf8e", open: "#f5cf8e", wrong: "#c4141f", evidence: "#b25900", fault: "196,20,31", other: "11,95,192", decision: "#6237c4" },
  dark: { back: "#14161a", band: "#191c21", text: "#e8eaee", dim: "#979eab", rule: "#30353f", none: "#4a505c", lost: "#ff7b72", cursor: "#ffffff",
    ok: "#245a3d", fail: "#444a55", doubt: "#7a5212", open: "#7a5212", wrong: "#ff6b60", evidence: "#f5a54e", fault: "255,107,96", other: "111,180,255", decision: "#b9a0ff" },
};
const ROLE_HEIGHTS = { leader: 16, candidate: 12, "pre-candidate": 9, follower: 6, learner: 4, "no member": 2, impaired: 6, down: 0 };

function kindColour(kind, dark) {
  for (const [pattern, light, night] of [...REPLIES, ...KIND_COLOURS]) if (light && pattern.test(kind.name)) return dark ? night : light;
  return OTHER_COLOURS[kind.number % OTHER_COLOURS.length][dark ? 1 : 0];
}

/* Where everything stands. Rows share the height; a page with many lines grows instead. */
function layout(model, width, height) {
  const faultLanes = Math.min(model.lanes, FAULT_LANES_MAX), top = AXIS + faultLanes * FAULT_LANE + 4;
  const nodes = model.lines.filter((line) => line.shown && line.sort === "node");
  const clients = model.lines.filter((line) => line.shown && line.sort !== "node");
  const room = height - top - OVERVIEW - 16;
  const clientHeight = Math.max(15, Math.min(26, room * 0.4 / Math.max(1, clients.length)));
  const nodeHeight = Math.max(46, Math.min(130, (room - clientHeight * clients.length) / Math.max(1, nodes.length)));
  let y = top;
  const rows = new Map();
  for (const line of [...nodes, ...clients]) {
    const tall = line.sort === "node" ? nodeHeight : clientHeight;
    rows.set(line.number, { line, y, height: tall, middle: y + tall / 2 });
    y += tall;
  }
  return { width, height: Math.max(height, y + OVERVIEW + 16), top, bottom: y, faultLanes, rows, overview: Math.max(height, y + OVERVIEW + 16) - OVERVIEW };
}

class Painter {
  constructor(canvas, model, view) {
    this.canvas = canvas;
    this.model = model;
    this.view = view;
    this.context = canvas.getContext("2d");
  }

  x(at) { return GUTTER + (at - this.view.t0) / (this.view.t1 - this.view.t0) * (this.place.width - GUTTER); }
  at(x) { return this.view.t0 + (x - GUTTER) / (this.place.width - GUTTER) * (this.view.t1 - this.view.t0); }

  paint(width, height, dark) {
    const ratio = window.devicePixelRatio || 1;
    this.dark = dark;
    this.theme = dark ? THEMES.dark : THEMES.light;
    this.place = layout(this.model, width, height);
    this.drawn = { arrows: 0, lost: 0, bars: 0, operations: 0, roles: 0, faults: 0, moments: 0, barred: [] };
    this.targets = [];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.place.height * ratio);
    this.canvas.style.width = width + "px";
    this.canvas.style.height = this.place.height + "px";
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.font = "11px system-ui, sans-serif";
    this.context.textBaseline = "middle";
    this.rows();
    this.clipped(() => { this.grid(); this.tints(); this.faults(); this.roles(); this.operations(); this.messages(); this.moments(); this.selection(); });
    this.gutter();
    this.axis();
    this.overview();
    this.cursor();
    return this.drawn;
  }

  clipped(draw) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(GUTTER, 0, this.place.width - GUTTER, this.place.overview - 2);
    this.context.clip();
    draw();
    this.context.restore();
  }

  rows() {
    const c = this.context;
    c.fillStyle = this.theme.back;
    c.fillRect(0, 0, this.place.width, this.place.height);
    let odd = false;
    for (const row of this.place.rows.values()) {
      odd = !odd;
      if (odd) { c.fillStyle = this.theme.band; c.fillRect(0, row.y, this.place.width, row.height); }
    }
  }

  step() {
    const about = (this.view.t1 - this.view.t0) / Math.max(2, (this.place.width - GUTTER) / 110);
    const power = Math.pow(10, Math.floor(Math.log10(about)));
    return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= about) || 10 * power;
  }

  grid() {
    const c = this.context, step = this.step();
    c.strokeStyle = this.theme.rule;
    c.lineWidth = 1;
    c.beginPath();
    for (let at = Math.ceil(this.view.t0 / step) * step; at <= this.view.t1; at += step) {
      const x = Math.round(this.x(at)) + .5;
      c.moveTo(x, AXIS); c.lineTo(x, this.place.bottom);
    }
    c.stroke();
  }

  axis() {
    const c = this.context, step = this.step();
    c.fillStyle = this.theme.dim;
    c.textAlign = "center";
    for (let at = Math.ceil(this.view.t0 / step) * step; at <= this.view.t1; at += step) {
      const x = this.x(at);
      if (x > GUTTER + 20 && x < this.place.width - 20) c.fillText(timeText(at, step), x, AXIS / 2);
    }
    c.textAlign = "left";
  }

  /* ---- faults: a strip on top, and bands over the lines they happen to ---- */

  /* However many faults hold at once, the band of a line has one shade. */
  tints() {
    for (const row of this.place.rows.values()) {
      let until = -Infinity;
      this.context.fillStyle = `rgba(${this.theme.fault},.08)`;
      for (const fault of this.model.faults) {
        if (!fault.lines.includes(row.line.number) && !fault.others.includes(row.line.number)) continue;
        const x0 = Math.max(this.x(fault.from), until), x1 = this.x(fault.to);
        if (x1 > x0 && x1 > GUTTER) this.context.fillRect(Math.max(x0, GUTTER), row.y, x1 - Math.max(x0, GUTTER), row.height);
        until = Math.max(until, x1);
      }
    }
  }

  faults() {
    for (const fault of this.model.faults) {
      if (fault.to < this.view.t0 || fault.from > this.view.t1) continue;
      const c = this.context, x0 = this.x(fault.from), x1 = Math.max(x0 + 1, this.x(fault.to));
      this.drawn.faults++;
      for (const [lines, colour, slope] of [[fault.lines, this.theme.fault, 1], [fault.others, this.theme.other, -1]]) {
        for (const number of lines) {
          const row = this.place.rows.get(number);
          if (row) this.hatch(x0, row.y + row.height - 5, x1 - x0, 5, `rgba(${colour},.45)`, slope);
        }
      }
      if (fault.lane < FAULT_LANES_MAX) {
        const y = AXIS + fault.lane * FAULT_LANE;
        c.fillStyle = `rgba(${this.theme.fault},.22)`;
        c.fillRect(x0, y + 1, x1 - x0, FAULT_LANE - 2);
        c.fillStyle = `rgba(${this.theme.fault},.9)`;
        c.fillRect(x0, y + 1, 2, FAULT_LANE - 2);
        this.label(this.faultWords(fault), x0 + 5, y + FAULT_LANE / 2, Math.min(x1, this.place.width) - Math.max(x0, GUTTER) - 8, this.theme.text);
        this.targets.push({ x0, x1, y0: y, y1: y + FAULT_LANE, what: "fault", item: fault });
      }
    }
  }

  faultWords(fault) {
    const names = (lines) => lines.map((n) => this.model.lines[n].name).join(" ");
    return `${fault.name} ${names(fault.lines)}${fault.others.length ? " | " + names(fault.others) : ""} ${fault.text}`;
  }

  hatch(x, y, width, height, colour, slope) {
    const c = this.context;
    x = Math.max(x, GUTTER - 10);
    width = Math.min(width, this.place.width - x);
    if (width <= 0) return;
    c.save();
    c.beginPath();
    c.rect(x, y, width, height);
    c.clip();
    c.strokeStyle = colour;
    c.lineWidth = 1;
    c.beginPath();
    for (let at = Math.floor((x - height) / 5) * 5; at < x + width + height; at += 5) { c.moveTo(at, slope > 0 ? y + height : y); c.lineTo(at + height, slope > 0 ? y : y + height); }
    c.stroke();
    c.restore();
  }

  label(text, x, y, room, colour) {
    if (room < 16) return;
    const c = this.context, left = Math.max(x, GUTTER + 3);
    let shown = text;
    if (c.measureText(shown).width > room) {
      const count = Math.floor(shown.length * room / c.measureText(shown).width) - 1;
      if (count < 3) return;
      shown = shown.slice(0, count) + "…";
    }
    c.fillStyle = colour;
    c.fillText(shown, left, y + .5);
  }

  /* ---- roles and terms ---- */
  roles() {
    for (const row of this.place.rows.values()) {
      row.line.tracks.forEach((spans, track) => {
        const first = Math.max(0, lowerBound(spans, this.view.t0, (span) => span.to));
        for (let i = first; i < spans.length && spans[i].from <= this.view.t1; i++) this.role(row, track, spans[i]);
      });
    }
  }

  role(row, track, span) {
    const c = this.context, x0 = Math.max(this.x(span.from), GUTTER - 5), x1 = Math.min(this.x(span.to), this.place.width + 5);
    const palette = this.dark ? EPOCHS.dark : EPOCHS.light, wide = Math.max(1, x1 - x0);
    const known = ROLE_HEIGHTS[span.role], full = known === undefined ? 14 : known, height = track === 0 ? full : Math.ceil(full / 3);
    const y = track === 0 ? row.middle : row.middle + 8 + track * 5;
    this.drawn.roles++;
    if (span.role === "down") {
      if (track === 0) { c.fillStyle = this.theme.none; c.globalAlpha = .35; c.fillRect(x0, row.y + 3, wide, row.height - 6); c.globalAlpha = 1; this.label("down", x0 + 12, row.middle, wide - 16, this.theme.dim); }
      return;
    }
    c.fillStyle = span.epoch ? palette[span.epoch % palette.length] : this.theme.none;
    c.fillRect(x0, y - height / 2, wide, height);
    if (/candidate/.test(span.role)) this.hatch(x0, y - height / 2, wide, height, this.theme.text, 1);
    if (span.role === "leader" && track === 0) { c.strokeStyle = this.theme.text; c.lineWidth = 1; c.strokeRect(x0 + .5, y - height / 2 + .5, wide - 1, height - 1); }
    if (track === 0 && full >= 12) this.label(span.role + (span.epoch ? " " + span.epoch : ""), x0 + 4, y, wide - 8, this.theme.text);
    else if (track === 0 && wide > 60 && row.height > 50) this.label(span.role + (span.epoch ? " " + span.epoch : ""), x0 + 4, y + 19, wide - 8, this.theme.dim);
  }

  /* ---- clients ---- */
  operations() {
    const t = this.theme, colours = { ok: t.ok, fail: t.fail, "in doubt": t.doubt, open: t.open };
    for (const row of this.place.rows.values()) {
      const c = this.context, lane = (row.height - 4) / row.line.lanes;
      const from = lowerBound(row.line.operations, this.view.t0 - row.line.longest, (o) => o.called);
      for (let i = from; i < row.line.operations.length && row.line.operations[i].called <= this.view.t1; i++) {
        const o = row.line.operations[i], x0 = this.x(o.called), x1 = Math.max(x0 + 2, this.x(o.returned)), y = row.y + 2 + o.lane * lane, tall = Math.max(2, lane - 1);
        if (x1 < GUTTER) continue;
        this.drawn.operations++;
        c.globalAlpha = this.isSought(o.asked + " " + o.answer) ? 1 : .2;
        c.fillStyle = colours[o.outcome];
        c.fillRect(x0, y, x1 - x0, tall);
        if (o.outcome === "in doubt" || o.outcome === "open") this.hatch(x0, y, x1 - x0, tall, t.evidence, 1);
        if (o.wrong) { c.strokeStyle = o.wrong === 2 ? t.wrong : t.evidence; c.lineWidth = o.wrong === 2 ? 3 : 1.5; c.strokeRect(x0 - 1, y - .5, Math.max(4, x1 - x0 + 2), tall + 1); }
        if (o.wrong === 2) { c.fillStyle = t.wrong; c.fillRect((x0 + x1) / 2 - .75, this.place.top, 1.5, y - this.place.top); }
        if (tall >= 11) this.label(`${o.asked} → ${o.answer}`, x0 + 3, y + tall / 2, Math.min(x1, this.place.width) - Math.max(x0, GUTTER) - 5, t.text);
        c.globalAlpha = 1;
        this.targets.push({ x0, x1, y0: y, y1: y + tall, what: "operation", item: o });
      }
    }
  }

  /* ---- messages ---- */
  isSought(text) { return this.view.words.length === 0 || matches(text, this.view.words); }

  isShown(message) {
    return this.place.rows.has(message.from) && (message.to < 0 || this.place.rows.has(message.to)) && (!this.view.lostOnly || message.fate === "lost") &&
      (this.view.words.length === 0 || matches(this.model.kinds[message.kind].name + " " + message.text + " " + message.why, this.view.words));
  }

  /* Detail is chosen anew for each stretch of the picture: a quiet one shows arrows beside a busy one with bars. */
  messages() {
    const stretches = [], arrows = new Map(), bars = new Map();
    for (const kind of this.model.kinds) {
      if (!this.view.kinds[kind.number]) continue;
      for (const message of messagesBetween(kind, this.view.t0, this.view.t1)) {
        if (!this.isShown(message)) continue;
        const at = Math.max(0, Math.floor((this.x(message.sent) - GUTTER) / STRETCH)), of = stretches[at] = stretches[at] || new Map();
        if (!of.has(kind)) of.set(kind, []);
        of.get(kind).push(message);
      }
    }
    for (const of of stretches) {
      if (!of) continue;
      const detail = chooseDetail([...of.keys()], new Map([...of].map(([kind, found]) => [kind, found.length])), this.view.words.length ? 3 * ARROWS_MAX : ARROWS_MAX);
      for (const [kind, found] of of) {
        const into = detail.has(kind) ? arrows : bars;
        if (!into.has(kind)) into.set(kind, []);
        into.get(kind).push(...found);
      }
    }
    this.bars([...bars.keys()], bars);
    this.drawn.barred = [...bars.keys()].map((kind) => kind.name);
    for (const kind of [...arrows.keys()].sort((a, b) => arrows.get(b).length - arrows.get(a).length)) this.arrows(kind, arrows.get(kind));
    for (const [kind, found] of bars) this.arrows(kind, found.filter((m) => m.fate === "lost").filter((m, i, all) => i % Math.ceil(all.length / 200) === 0), true);
  }

  /* Where a message is at its end: lost ones stop on the way. */
  ends(message) {
    const from = this.place.rows.get(message.from), to = this.place.rows.get(message.to);
    const x0 = this.x(message.sent), usual = Math.max(3, this.x(message.sent + this.model.usual) - x0), y0 = from.middle;
    const y1 = to ? to.middle : y0 + from.height / 2; /* To nobody: a stub. */
    if (message.fate !== "lost") return { x0, y0, x1: to ? this.x(message.ended) : x0 + usual, y1 };
    const whole = Math.max(usual, this.x(message.ended) - x0);
    return message.ended > message.sent ? { x0, y0, x1: x0 + whole * .92, y1: y0 + (y1 - y0) * .92 } : { x0, y0, x1: x0 + whole * .5, y1: y0 + (y1 - y0) * .5 };
  }

  arrows(kind, messages, faint) {
    const c = this.context, colour = kindColour(kind, this.dark), heads = messages.length < 600, lost = [];
    c.strokeStyle = c.fillStyle = colour;
    c.lineWidth = messages.length < 250 ? 1.4 : 1;
    c.globalAlpha = faint ? .35 : /^re(quest|ply)$/.test(kind.name) ? .55 : messages.length < 250 ? .95 : .75;
    c.beginPath();
    for (const message of messages) {
      const e = this.ends(message);
      this.drawn.arrows++;
      if (message.fate === "lost") lost.push(e);
      c.moveTo(e.x0, e.y0); c.lineTo(e.x1, e.y1);
      this.targets.push({ ...e, what: "message", item: message });
    }
    c.stroke();
    if (heads) {
      c.beginPath();
      for (const message of messages) if (message.fate === "ok") this.head(this.ends(message));
      c.fill();
    }
    c.globalAlpha = faint ? .6 : 1;
    c.strokeStyle = this.theme.lost;
    c.lineWidth = 1.8;
    c.beginPath();
    for (const { x1, y1 } of lost) { c.moveTo(x1 - 3, y1 - 3); c.lineTo(x1 + 3, y1 + 3); c.moveTo(x1 - 3, y1 + 3); c.lineTo(x1 + 3, y1 - 3); }
    c.stroke();
    c.globalAlpha = 1;
    this.drawn.lost += lost.length;
  }

  head({ x0, y0, x1, y1 }) {
    const c = this.context, length = Math.hypot(x1 - x0, y1 - y0) || 1, dx = (x1 - x0) / length, dy = (y1 - y0) / length;
    c.moveTo(x1, y1);
    c.lineTo(x1 - 7 * dx + 2.6 * dy, y1 - 7 * dy - 2.6 * dx);
    c.lineTo(x1 - 7 * dx - 2.6 * dy, y1 - 7 * dy + 2.6 * dx);
    c.closePath();
  }

  /* Too many for arrows: how many each line sent, in time, over its role. */
  bars(kinds, inSight) {
    const count = Math.ceil((this.place.width - GUTTER) / BUCKET), stacks = new Map();
    let most = 1;
    for (const row of this.place.rows.values()) stacks.set(row.line.number, new Map());
    for (const kind of kinds) {
      for (const message of inSight.get(kind)) {
        const bucket = Math.floor((this.x(message.sent) - GUTTER) / BUCKET), stack = stacks.get(message.from);
        if (bucket < 0 || bucket >= count) continue;
        if (!stack.has(bucket)) stack.set(bucket, new Map());
        const of = stack.get(bucket);
        of.set(kind, (of.get(kind) || 0) + 1);
        most = Math.max(most, [...of.values()].reduce((a, b) => a + b));
      }
    }
    for (const row of this.place.rows.values()) {
      if (row.line.sort !== "node") continue;
      const room = Math.max(8, row.height / 2 - 11), base = row.middle - 9;
      for (const [bucket, of] of stacks.get(row.line.number)) {
        const total = [...of.values()].reduce((a, b) => a + b), height = room * Math.sqrt(total / most);
        let y = base;
        for (const [kind, n] of of) {
          this.context.fillStyle = kindColour(kind, this.dark);
          this.context.fillRect(GUTTER + bucket * BUCKET, y - height * n / total, BUCKET - 1, height * n / total);
          y -= height * n / total;
        }
        this.drawn.bars++;
      }
    }
  }

  /* ---- moments ---- */
  moments() {
    const c = this.context;
    for (const row of this.place.rows.values()) {
      const all = row.line.moments, key = (m) => m.at;
      const from = lowerBound(all, this.view.t0, key), to = lowerBound(all, this.view.t1 + 1, key), crowded = to - from > (this.place.width - GUTTER) / 6;
      for (let i = from; i < to; i++) {
        const m = all[i], small = m.sort === "decision" || m.sort === "log";
        if (small && ((m.sort === "decision" && !this.view.decisions) || (crowded && this.view.words.length === 0) || !this.isSought(m.text))) continue;
        this.mark(row, m, this.x(m.at));
      }
    }
    let labelled = -Infinity;
    for (const m of this.model.global) {
      const x = this.x(m.at);
      if (x < GUTTER || x > this.place.width) continue;
      c.strokeStyle = c.fillStyle = m.sort === "wrong" ? this.theme.wrong : this.theme.dim;
      c.setLineDash(m.sort === "wrong" ? [] : [2, 3]);
      c.lineWidth = m.sort === "wrong" ? 2 : 1;
      c.beginPath(); c.moveTo(x, AXIS); c.lineTo(x, this.place.bottom); c.stroke();
      c.setLineDash([]);
      const words = m.sort === "wrong" ? "violation" : m.text, wide = c.measureText(words).width, left = Math.min(x + 4, this.place.width - wide - 4);
      if (m.at > this.model.begin && left > labelled) { this.label(words, left, this.place.bottom + 6, wide + 9, c.fillStyle); labelled = left + wide + 6; }
      this.targets.push({ x0: x - 3, x1: x + 3, y0: AXIS, y1: this.place.bottom, what: "moment", item: m, weak: true });
    }
  }

  mark(row, m, x) {
    const c = this.context, y = row.middle;
    this.drawn.moments++;
    c.lineWidth = 2;
    c.beginPath();
    if (m.sort === "start") { c.fillStyle = this.theme.text; c.moveTo(x, y - 6); c.lineTo(x + 9, y); c.lineTo(x, y + 6); c.fill(); }
    else if (m.sort === "end") { c.strokeStyle = this.theme.text; c.moveTo(x - 5, y - 5); c.lineTo(x + 5, y + 5); c.moveTo(x - 5, y + 5); c.lineTo(x + 5, y - 5); c.stroke(); }
    else if (m.sort === "wrong" || m.sort === "fault") { c.fillStyle = this.theme.wrong; c.moveTo(x, y - 7); c.lineTo(x + 5, y); c.lineTo(x, y + 7); c.lineTo(x - 5, y); c.fill(); }
    else { c.fillStyle = m.sort === "decision" ? this.theme.decision : this.theme.dim; c.arc(x, y - 12, 2, 0, 7); c.fill(); }
    const small = m.sort === "decision" || m.sort === "log";
    this.targets.push({ x0: x - 5, x1: x + 5, y0: small ? y - 15 : y - 7, y1: small ? y - 9 : y + 7, what: "moment", item: m });
  }

  selection() {
    const chosen = this.view.chosen, c = this.context;
    if (!chosen) return;
    c.strokeStyle = this.theme.text;
    c.lineWidth = 3;
    if (chosen.what === "message" && this.place.rows.has(chosen.item.from) && (chosen.item.to < 0 || this.place.rows.has(chosen.item.to))) {
      const e = this.ends(chosen.item);
      c.beginPath(); c.moveTo(e.x0, e.y0); c.lineTo(e.x1, e.y1); c.stroke();
      c.fillStyle = this.theme.text; c.beginPath(); this.head(e); c.arc(e.x0, e.y0, 3, 0, 7); c.fill();
    } else {
      const at = this.targets.find((target) => target.item === chosen.item);
      if (at) { c.lineWidth = 2; c.strokeRect(at.x0 - 2, at.y0 - 2, at.x1 - at.x0 + 4, at.y1 - at.y0 + 4); }
    }
  }

  gutter() {
    const c = this.context;
    c.fillStyle = this.theme.back;
    c.fillRect(0, 0, GUTTER, this.place.height);
    for (const row of this.place.rows.values()) {
      const role = roleAt(row.line, 0, this.view.cursor), node = row.line.sort === "node";
      c.fillStyle = this.theme.text;
      c.font = node ? "600 12px system-ui, sans-serif" : "11px system-ui, sans-serif";
      c.fillText(row.line.name, 8, role ? row.middle - 7 : row.middle);
      c.font = "10px system-ui, sans-serif";
      c.fillStyle = this.theme.dim;
      if (role) c.fillText(role.role + (role.epoch ? " " + role.epoch : ""), 8, row.middle + 7, GUTTER - 10);
    }
    c.fillStyle = this.theme.dim;
    c.font = "11px system-ui, sans-serif";
    if (this.place.faultLanes) c.fillText("faults", 8, AXIS + FAULT_LANE / 2);
    c.fillText("all", 8, this.place.overview + OVERVIEW / 2);
    c.strokeStyle = this.theme.rule;
    c.lineWidth = 1;
    c.beginPath(); c.moveTo(GUTTER - .5, 0); c.lineTo(GUTTER - .5, this.place.height); c.stroke();
  }

  /* ---- the whole run, small ---- */
  overX(at) { return GUTTER + (at - this.model.begin) / (this.model.end - this.model.begin) * (this.place.width - GUTTER); }
  overAt(x) { return this.model.begin + (x - GUTTER) / (this.place.width - GUTTER) * (this.model.end - this.model.begin); }

  overview() {
    const c = this.context, y = this.place.overview, tall = OVERVIEW - 4, wide = this.place.width - GUTTER;
    if (!this.density || this.density.length !== Math.ceil(wide / 2)) {
      this.density = new Array(Math.ceil(wide / 2)).fill(0);
      for (const m of this.model.messages) this.density[Math.min(this.density.length - 1, Math.floor((this.overX(m.sent) - GUTTER) / 2))]++;
    }
    const most = Math.max(1, ...this.density);
    c.fillStyle = this.theme.band;
    c.fillRect(GUTTER, y, wide, tall);
    let until = GUTTER;
    c.fillStyle = `rgba(${this.theme.fault},.2)`;
    for (const fault of this.model.faults) {
      const x0 = Math.max(this.overX(fault.from), until), x1 = this.overX(fault.to);
      if (x1 > x0) c.fillRect(x0, y, Math.max(1, x1 - x0), tall);
      until = Math.max(until, x1);
    }
    c.fillStyle = this.theme.dim;
    this.density.forEach((n, i) => { const h = (tall - 4) * Math.sqrt(n / most); c.fillRect(GUTTER + 2 * i, y + tall - h, 1.5, h); });
    for (const line of this.model.lines) for (const m of line.moments) if (m.sort === "end") { c.fillStyle = this.theme.wrong; c.fillRect(this.overX(m.at) - 1, y, 2, 7); }
    for (const o of this.model.operations) if (o.wrong === 2) { c.fillStyle = this.theme.wrong; c.fillRect(this.overX(o.called) - 1.5, y, 3, tall); }
    c.strokeStyle = this.theme.text;
    c.lineWidth = 1.5;
    c.strokeRect(this.overX(this.view.t0), y + .5, Math.max(3, this.overX(this.view.t1) - this.overX(this.view.t0)), tall - 1);
  }

  cursor() {
    const c = this.context, x = this.x(this.view.cursor);
    if (x < GUTTER || x > this.place.width) return;
    c.strokeStyle = this.theme.cursor;
    c.lineWidth = 1;
    c.setLineDash(this.view.pinned ? [] : [4, 3]);
    c.beginPath(); c.moveTo(x, AXIS - 6); c.lineTo(x, this.place.bottom); c.stroke();
    c.setLineDash([]);
    const words = timeText(this.view.cursor, (this.view.t1 - this.view.t0) / 1000), wide = c.measureText(words).width + 8, left = Math.min(Math.max(x - wide / 2, GUTTER), this.place.width - wide);
    c.fillStyle = this.theme.cursor;
    c.fillRect(left, 2, wide, AXIS - 5);
    c.fillStyle = this.theme.back;
    c.fillText(words, left + 4, AXIS / 2);
  }

  /* What is nearest to a point, or null. */
  hit(x, y) {
    let best = null, least = 6;
    for (const target of this.targets) {
      const distance = target.what === "message" ? segmentDistance(x, y, target)
        : (target.weak ? 4 : 0) + Math.max(target.x0 - x, 0, x - target.x1) + Math.max(target.y0 - y, 0, y - target.y1);
      if (distance < least || (distance === least && best && best.what === "message")) { best = target; least = distance; }
    }
    return best && { what: best.what, item: best.item };
  }
}

function segmentDistance(x, y, { x0, y0, x1, y1 }) {
  const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy || 1;
  const part = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / length));
  return Math.hypot(x - x0 - part * dx, y - y0 - part * dy);
}
