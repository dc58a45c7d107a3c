// What a program with ioredis does, with default options, for tests/clients/node.test.
//   ioredis.js smoke PORT   sends each line of standard input as a command, prints each reply as one line of JSON
//   ioredis.js PORT...      checks of its own; TAP
'use strict';
const Redis = require('ioredis');
const { check, finish, equal, lines, print } = require('./tap.js');

async function smoke(port) {
  const redis = new Redis(port);
  for (const words of lines()) {
    try {
      print(await redis.call(...words));
    } catch (error) {
      print(error);
    }
  }
  redis.disconnect();
}

async function checks(ports) {
  const redis = new Redis(ports[0]);
  const other = new Redis(ports[ports.length - 1]);
  await check('ioredis: becomes ready, and counts through two nodes', async () => {
    await redis.flushall();
    equal(await redis.incr('n'), 1);
    equal(await other.incr('n'), 2);
    equal(await redis.set('k', 'v', 'EX', 100, 'NX'), 'OK');
    equal(await redis.hset('h', { a: 1, b: 2 }), 2);
    equal(await other.hgetall('h'), { a: '1', b: '2' });
    equal(Buffer.from('00ff0d0a', 'hex').equals(await (await redis.set('b', Buffer.from('00ff0d0a', 'hex')), other.getBuffer('b'))), true);
  });
  await check('ioredis: MULTI and EXEC, with an error inside', async () => {
    equal(await redis.multi().set('t', '1').incr('t').get('t').exec(), [[null, 'OK'], [null, 2], [null, '2']]);
    const replies = await redis.multi().set('t', 'x').lpush('t', '1').exec();
    equal(replies[1][0].message.startsWith('WRONGTYPE'), true);
  });
  await check('ioredis: WATCH across two nodes', async () => {
    await redis.watch('t');
    await other.set('t', 'changed');
    equal(await redis.multi().set('t', 'mine').exec(), null);
    equal(await redis.get('t'), 'changed');
  });
  await check('ioredis: a pipeline of 1,000', async () => {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.set(`p:${i}`, i);
    equal((await pipeline.exec()).every(([error, reply]) => error === null && reply === 'OK'), true);
  });
  await check('ioredis: scanStream finds every key', async () => {
    const found = new Set();
    for await (const keys of other.scanStream({ match: 'p:*', count: 100 })) keys.forEach((key) => found.add(key));
    equal(found.size, 1000);
  });
  await check('ioredis: BLPOP waits for a push through another node', async () => {
    const waiter = redis.duplicate();
    const waiting = waiter.blpop('empty', 'list', 30);
    await other.rpush('list', 'element');
    equal(await waiting, ['list', 'element']);
    equal(await waiter.brpop('list', 0.05), null);
    waiter.disconnect();
  });
  if (process.env.MOOT_TEST_SERVER !== 'redis') {
    await check('ioredis: Cluster finds the slots', async () => {
      const cluster = new Redis.Cluster(ports.map((port) => ({ host: '127.0.0.1', port })));
      for (let i = 0; i < 50; i++) equal(await cluster.set(`slot:${i}`, i), 'OK');
      equal(await Promise.all(Array.from({ length: 50 }, (_, i) => cluster.get(`slot:${i}`))), Array.from({ length: 50 }, (_, i) => String(i)));
      cluster.disconnect();
    });
  }
  redis.disconnect();
  other.disconnect();
  finish();
}

if (process.argv[2] === 'smoke') smoke(Number(process.argv[3]));
else checks(process.argv.slice(2).map(Number));
