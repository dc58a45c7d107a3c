// What a program with node-redis does, with default options, for tests/clients/node.test.
//   node_redis.js smoke PORT   sends each line of standard input as a command, prints each reply as one line of JSON
//   node_redis.js PORT...      checks of its own; TAP
'use strict';
const { createClient, createCluster, WatchError } = require('redis');
const { check, finish, equal, lines, print } = require('./tap.js');

const connect = (port) => createClient({ url: `redis://127.0.0.1:${port}` }).on('error', (error) => console.log('# ' + error)).connect();

async function smoke(port) {
  const client = await connect(port);
  for (const words of lines()) {
    try {
      print(await client.sendCommand(words));
    } catch (error) {
      print(error);
    }
  }
  client.destroy();
}

async function checks(ports) {
  const client = await connect(ports[0]);
  const other = await connect(ports[ports.length - 1]);
  await check('node-redis: connects, and counts through two nodes', async () => {
    await client.flushAll();
    equal(await client.incr('n'), 1);
    equal(await other.incr('n'), 2);
    equal(await client.set('k', 'v', { EX: 100, NX: true }), 'OK');
    equal(await client.hSet('h', { a: 1, b: 2 }), 2);
    equal({ ...(await other.hGetAll('h')) }, { a: '1', b: '2' });
    equal(await other.mGet(['k', 'absent']), ['v', null]);
  });
  await check('node-redis: MULTI and EXEC', async () => {
    equal(await client.multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2']);
  });
  await check('node-redis: WATCH across two nodes', async () => {
    const watching = client.duplicate();
    await watching.connect();
    await watching.watch('t');
    await other.set('t', 'changed');
    let error = null;
    try {
      await watching.multi().set('t', 'mine').exec();
    } catch (caught) {
      error = caught;
    }
    equal(error instanceof WatchError, true);
    equal(await client.get('t'), 'changed');
    watching.destroy();
  });
  await check('node-redis: 1,000 commands at once', async () => {
    const replies = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`p:${i}`, String(i))));
    equal(replies.every((reply) => reply === 'OK'), true);
  });
  await check('node-redis: scanIterator finds every key', async () => {
    const found = new Set();
    for await (const keys of other.scanIterator({ MATCH: 'p:*', COUNT: 100 })) [].concat(keys).forEach((key) => found.add(key));
    equal(found.size, 1000);
  });
  await check('node-redis: BLPOP waits for a push through another node', async () => {
    const waiter = client.duplicate();
    await waiter.connect();
    const waiting = waiter.blPop(['empty', 'list'], 30);
    await other.rPush('list', 'element');
    equal({ ...(await waiting) }, { key: 'list', element: 'element' });
    equal(await waiter.brPop('list', 0.05), null);
    waiter.destroy();
  });
  if (process.env.MOOT_TEST_SERVER !== 'redis') {
    await check('node-redis: createCluster finds the slots', async () => {
      const cluster = await createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) })
        .on('error', (error) => console.log('# ' + error)).connect();
      for (let i = 0; i < 50; i++) equal(await cluster.set(`slot:${i}`, String(i)), 'OK');
      equal(await Promise.all(Array.from({ length: 50 }, (_, i) => cluster.get(`slot:${i}`))), Array.from({ length: 50 }, (_, i) => String(i)));
      cluster.destroy();
    });
  }
  client.destroy();
  other.destroy();
  finish();
}

if (process.argv[2] === 'smoke') smoke(Number(process.argv[3]));
else checks(process.argv.slice(2).map(Number));
