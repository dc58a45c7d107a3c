"use strict";
/* The data of a picture (docs/picture.md), made ready for questions: what is in sight, what was the state at a moment. */

/* The first index in a sorted array whose key is not below `value`. */
function lowerBound(array, value, key) {
  let low = 0, high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(array[middle]) < value) low = middle + 1; else high = middle;
  }
  return low;
}

const identity = (value) => value;

function makeMessages(data, end) {
  const messages = data.messages.map(([kind, from, to, sent, ended, fate, text, why], number) =>
    ({number, kind, from, to, sent, ended: ended < 0 ? end : ended, fate, text, why: why || ""}));
  const kinds = data.kinds.map((name, number) => ({number, name, messages: [], longest: 0, lost: 0}));
  for (const message of messages) {
    const kind = kinds[message.kind];
    kind.messages.push(message);
    kind.longest = Math.max(kind.longest, message.ended - message.sent);
    kind.lost += message.fate === "lost" ? 1 : 0;
  }
  for (const kind of kinds) kind.messages.sort((a, b) => a.sent - b.sent);
  const times = messages.filter((m) => m.fate === "ok").map((m) => m.ended - m.sent).sort((a, b) => a - b);
  return {messages, kinds, usual: times.length ? times[times.length >> 1] : 0};
}

/* Of every line and track the stretches of one role and epoch. */
function makeRoles(data, lines, end) {
  for (const [number, track, at, role, epoch] of data.roles) {
    const tracks = lines[number].tracks;
    while (tracks.length <= track) tracks.push([]);
    const last = tracks[track][tracks[track].length - 1];
    if (last) last.to = at;
    tracks[track].push({line: number, track, from: at, to: end, role, epoch});
  }
}

function makeStates(data, lines) {
  for (const [number, at, field, value] of data.states) {
    const states = lines[number].states;
    (states[field] = states[field] || []).push({at, value});
  }
}

/* Operations of one client that overlap (pipelining) stand one below the other. */
function makeOperations(data, lines, end) {
  const operations = data.operations.map(([line, by, called, returned, outcome, asked, answer, wrong], number) =>
    ({number, line, by, called, returned: returned < 0 ? end : returned, outcome, asked, answer, wrong, lane: 0}));
  for (const operation of operations) lines[operation.line].operations.push(operation);
  for (const line of lines) {
    const free = [];
    line.operations.sort((a, b) => a.called - b.called);
    for (const operation of line.operations) {
      let lane = free.findIndex((at) => at <= operation.called);
      if (lane < 0) lane = free.push(0) - 1;
      free[lane] = operation.returned;
      operation.lane = lane;
    }
    line.lanes = Math.max(1, free.length);
    line.longest = line.operations.reduce((most, o) => Math.max(most, o.returned - o.called), 0);
  }
  return operations;
}

function makeFaults(data, end) {
  const free = [];
  const faults = data.faults.map(([from, to, name, lines, others, text], number) =>
    ({number, from, to: to < 0 ? end : to, name, lines, others, text, lane: 0}));
  faults.sort((a, b) => a.from - b.from);
  for (const fault of faults) {
    let lane = free.findIndex((at) => at <= fault.from);
    if (lane < 0) lane = free.push(0) - 1;
    free[lane] = fault.to;
    fault.lane = lane;
  }
  return {faults, lanes: free.length};
}

function makeModel(data) {
  const {begin, end} = data;
  const lines = data.lines.map((line, number) =>
    ({number, name: line.name, sort: line.sort, tracks: [], states: [], moments: [], operations: [], lanes: 1, longest: 0, shown: true}));
  makeRoles(data, lines, end);
  makeStates(data, lines);
  const moments = data.moments.map(([line, at, sort, text], number) => ({number, line, at, sort, text}));
  moments.sort((a, b) => a.at - b.at);
  for (const moment of moments) if (moment.line >= 0) lines[moment.line].moments.push(moment);
  const operations = makeOperations(data, lines, end);
  return {
    title: data.title, subtitle: data.subtitle, wrong: data.wrong, begin, end: Math.max(end, begin + 1),
    lines, moments, operations, fields: data.fields, trackNames: data.tracks, leftOut: data.leftOut,
    global: moments.filter((moment) => moment.line < 0),
    ...makeMessages(data, end), ...makeFaults(data, end),
  };
}

/* The last of `changes` at or before `at`, or undefined. */
function lastBefore(changes, at, key) {
  const next = lowerBound(changes, at + 1, key || ((change) => change.at));
  return changes[next - 1];
}

function stateAt(line, field, at) {
  const change = line.states[field] && lastBefore(line.states[field], at);
  return change ? change.value : undefined;
}

function roleAt(line, track, at) {
  const spans = line.tracks[track];
  return spans && lastBefore(spans, at, (span) => span.from);
}

/* Messages of a kind that are under way at some time in [t0, t1]. */
function messagesBetween(kind, t0, t1) {
  const key = (message) => message.sent;
  const from = lowerBound(kind.messages, t0 - kind.longest, key), to = lowerBound(kind.messages, t1, key);
  const found = [];
  for (let i = from; i < to; i++) if (kind.messages[i].ended >= t0) found.push(kind.messages[i]);
  return found;
}

/* How much one sees: rare kinds as arrows, frequent ones as bars, so that an election stands out among heartbeats. */
function chooseDetail(kinds, counts, budget) {
  const arrows = new Set();
  let spent = 0;
  for (const kind of [...kinds].sort((a, b) => counts.get(a) - counts.get(b))) {
    if (spent + counts.get(kind) > budget) break;
    spent += counts.get(kind);
    arrows.add(kind);
  }
  return arrows;
}

function matches(text, words) {
  const low = text.toLowerCase();
  return words.every((word) => low.includes(word));
}

/* 1.234567 s as people read it: as many digits as the step needs. */
function timeText(ns, step) {
  const digits = step >= 1e9 ? 0 : Math.min(9, Math.ceil(-Math.log10(step / 1e9)));
  return (ns / 1e9).toFixed(digits) + " s";
}

function spanText(ns) {
  if (ns >= 1e9) return (ns / 1e9).toFixed(3) + " s";
  if (ns >= 1e6) return (ns / 1e6).toFixed(3) + " ms";
  return (ns / 1e3).toFixed(1) + " µs";
}
