// SPDX-License-Identifier: Apache-2.0
// page.mjs - what run.mjs calls in the page, as window.tests. Each function opens what it needs
// and closes it; each throws, or returns plain values that run.mjs judges. The functions of the
// door (tests/run/doors/browser.mjs) are three, between whose calls a database stays open.
import { open, openConnection } from '/js/dist/index.js';
import { answersOf } from '/tests/js/relaxed_answers.mjs';
import { refusedWrites, tornCommits } from './idb_faults.mjs';

const SIZE = 32;

/** The vectors everybody agrees on: number i of them, the same in every page. */
function vectorOf(id) {
  let state = (id * 2654435761) >>> 0;
  return Float32Array.from({ length: SIZE }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const pointOf = (id) => ({ id, vector: vectorOf(id), payload: { group: id % 10, name: `p${id}` } });
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

function bruteForce(count, vector, limit, group) {
  const scored = [];
  for (let id = 0; id < count; id++) {
    if (group !== undefined && id % 10 !== group) continue;
    scored.push({ id, score: dot(vectorOf(id), vector) });
  }
  return scored.sort((a, b) => b.score - a.score || a.id - b.id).slice(0, limit)
    .map(({ id }) => id);
}

/** Compare what the database answers with brute force; the first difference, or "". */
async function compare(client, count) {
  const found = await client.count('c');
  if (found.count !== count) return `${found.count} points, expected ${count}`;
  for (const id of [0, 17, count - 1]) {
    const query = vectorOf(id + 500000);
    for (const group of [undefined, 3]) {
      const filter = group === undefined
        ? undefined : { must: [{ key: 'group', match: { value: group } }] };
      const params = { exact: true };
      const { points } = await client.query('c', { query, filter, params, limit: 10 });
      const got = points.map((point) => point.id).join();
      const expected = bruteForce(count, query, 10, group).join();
      if (got !== expected) return `query ${id}, group ${group}: ${got}, expected ${expected}`;
      const hits = await client.searchVectors('c', { vectors: query, filter, params, limit: 10 });
      if (hits.ids.join() !== expected) return `typed search ${id}: ${hits.ids}, ${expected}`;
    }
  }
  return '';
}

/** The main job: create, load, index, query, filter; then all of it again after a reopen. */
async function mainJob(storage, count) {
  const options = { storage, name: 'main', appendablePointsMax: 1000 };
  let client = await open(options);
  await client.deleteCollection('c');
  await client.createCollection('c', { vectors: { size: SIZE, distance: 'Dot' } });
  await client.createPayloadIndex('c', { field_name: 'group', field_schema: 'integer' });
  const started = performance.now();
  for (let id = 0; id < count; id += 250) {
    const points = Array.from({ length: 250 }, (_, i) => pointOf(id + i));
    await client.upsert('c', { points });
  }
  const loadMs = performance.now() - started;
  const before = await compare(client, count);
  await client.maintain();
  const maintained = await compare(client, count);
  await client.close();
  client = await open(options);
  const after = await compare(client, count);
  await client.close();
  return { before, maintained, after, loadMs };
}

/** Check that what mainJob left is there. */
async function check(storage, count) {
  const client = await open({ storage, name: 'main' });
  const difference = await compare(client, count);
  await client.close();
  return difference;
}

/** Make and drop more collections at once than the pool has files ready; how many there were. */
async function manyFiles(storage) {
  const client = await open({ storage, name: 'many' });
  const names = Array.from({ length: 12 }, (_, i) => `many${i}`);
  const vectors = { size: 2, distance: 'Dot' };
  await Promise.all(names.map((name) => client.createCollection(name, { vectors })));
  const points = [{ id: 1, vector: [1, 2] }];
  await Promise.all(names.map((name) => client.upsert(name, { points })));
  const { length } = (await client.getCollections()).collections;
  await Promise.all(names.map((name) => client.deleteCollection(name)));
  await client.close();
  return length;
}

/** Hold a database open until the page goes. */
async function hold(storage) {
  window.held = await open({ storage, name: 'main' });
}

/** Try to open what another tab may have; the status of the failure, or "OK". */
async function tryOpen(storage) {
  try {
    await (await open({ storage, name: 'main' })).close();
    return 'OK';
  } catch (error) {
    return error.status;
  }
}

/** Write points one by one for ever; the console hears of each. */
async function writeForEver(storage) {
  const client = await open({ storage, name: 'kill', appendablePointsMax: 300 });
  await client.deleteCollection('c');
  await client.createCollection('c', { vectors: { size: SIZE, distance: 'Dot' } });
  for (let id = 0; ; id++) {
    await client.upsert('c', { points: [pointOf(id)] });
    console.log(`acknowledged ${id}`);
  }
}

/** Write until it fails: the points acknowledged, the failure, what is there after a reopen. */
async function fillUp(storage) {
  const options = { storage, name: 'full' };
  let client = await open(options);
  await client.createCollection('c', { vectors: { size: SIZE, distance: 'Dot' } });
  let acknowledged = 0;
  let failure = 'none';
  try {
    for (; acknowledged < 400000; acknowledged += 2000) {
      const points = Array.from({ length: 2000 }, (_, i) => pointOf(acknowledged + i));
      await client.upsert('c', { points });
    }
  } catch (error) {
    failure = error.status;
  }
  await client.close();
  client = await open(options);
  const { count } = await client.count('c');
  const ids = [0, acknowledged - 1];
  const found = (await client.retrieve('c', { ids })).length;
  await client.close();
  return { acknowledged, failure, count, found };
}

/** After the kill: how many points there are, and whether they are the first ones, unharmed. */
async function afterKill(storage) {
  const client = await open({ storage, name: 'kill' });
  const { count } = await client.count('c');
  const difference = await compare(client, count);
  await client.upsert('c', { points: [pointOf(count)] });
  const grown = await client.count('c');
  await client.close();
  return { count, difference, grown: grown.count };
}

function conformance(kind) {
  const worker = new Worker('/tests/browser/conformance_worker.mjs', { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage({ kind, name: `conformance-${kind}` });
  }).finally(() => worker.terminate());
}

let connection = null;

async function openDoor(storage, name, options) {
  connection = await openConnection({ storage, name, ...options });
}

async function callDoor(verb, path, body) {
  const { http, text } = await connection.call(verb, path, body, null);
  return { http, text };
}

const closeDoor = () => connection.close();

/** What may this page do? Asked while it loads, because run.mjs itself is allowed to evaluate. */
function lookAround() {
  let evaluates = true;
  try {
    Function('return 1')();
  } catch {
    evaluates = false;
  }
  return { evaluates, isolated: crossOriginIsolated };
}

/** What is answered with relaxed SIMD, where Chromium has it, and without. */
const relaxedPair = async () => ({ best: await answersOf(open, {}),
  without: await answersOf(open, { relaxedSimd: false }) });

const seen = lookAround();
const surroundings = () => seen;

window.tests = {
  mainJob, check, hold, tryOpen, manyFiles, fillUp, writeForEver, afterKill, conformance,
  surroundings, tornCommits, refusedWrites, openDoor, callDoor, closeDoor,
  relaxedPair,
};
