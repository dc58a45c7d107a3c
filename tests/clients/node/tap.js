// What the two clients' programs share: TAP lines, the commands on standard input, replies as JSON.
'use strict';
const { deepStrictEqual } = require('node:assert');
const { readFileSync } = require('node:fs');
const { check, finish } = require('../../lib/tap.js');

exports.check = check;
exports.finish = finish;
exports.equal = deepStrictEqual;
exports.lines = () => readFileSync(0, 'utf8').trim().split('\n').map((line) => line.split(' '));
// Errors by their text, maps as objects, whatever the client has made of them.
const plain = (reply) => {
  if (reply instanceof Error) return { error: reply.message };
  if (reply instanceof Map) return Object.fromEntries([...reply].map(([key, value]) => [key, plain(value)]));
  if (reply instanceof Set) return [...reply].map(plain);
  if (Buffer.isBuffer(reply)) return reply.toString();
  if (Array.isArray(reply)) return reply.map(plain);
  if (reply !== null && typeof reply === 'object') return Object.fromEntries(Object.entries(reply).map(([key, value]) => [key, plain(value)]));
  return reply;
};
exports.print = (reply) => console.log(JSON.stringify(plain(reply)));
