// SPDX-License-Identifier: Apache-2.0
// Goal: what was acknowledged survives any failure of the storage, and the database goes on after.
// Method: files in memory below a layer that fails the k-th write, sync or commit, for every k of a
// short life; then a module that runs out of memory, and requests sent all at once.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { OctantClient } from '../../js/dist/client.js';
import { OctantError } from '../../js/dist/errors.js';
import { open } from '../../js/dist/node.js';
import { Session } from '../../js/dist/session.js';
import { openMemory } from '../../js/dist/storage/memory.js';
import { seededNumbers } from './support.mjs';

const WASM = new URL('../../js/dist/octant.wasm', import.meta.url);
const module = await WebAssembly.compile(readFileSync(WASM));
const POINTS = 12;

/**
 * Memory that counts what it is asked to change. From change number `failing` on, `times` of them
 * fail; commit() is one too when `deferred`.
 */
function faultyStorage(failing, times, deferred) {
  const memory = openMemory();
  const state = { changes: 0, failed: 0, healed: false };
  const change = () => {
    const number = state.changes++;
    if (state.healed || number < failing || number >= failing + times) return;
    state.failed++;
    throw new OctantError('NO_SPACE', 'the test says the medium is full');
  };
  const storage = { ...memory, dirty: false };
  for (const name of ['write', 'truncate', 'sync', 'remove', 'rename']) {
    storage[name] = (...args) => {
      change();
      storage.dirty = deferred;
      return memory[name](...args);
    };
  }
  storage.commit = async () => {
    change();
    storage.dirty = false;
  };
  storage.shutdown = async () => {
    storage.dirty = false;
    await memory.shutdown();
  };
  return { storage, state };
}

/** Write points one by one; those whose promise resolved. */
async function live(client) {
  const acknowledged = [];
  const quiet = (promise) => promise.catch((error) => assert.ok(error instanceof OctantError));
  await quiet(client.createCollection('c', { vectors: { size: 2, distance: 'Dot' } }));
  for (let id = 0; id < POINTS; id++) {
    await quiet(client.upsert('c', { points: [{ id, vector: [id, 1] }] })
      .then(() => acknowledged.push(id)));
  }
  return acknowledged;
}

async function survive(failing, times, deferred) {
  const { storage, state } = faultyStorage(failing, times, deferred);
  const openClient = async () =>
    new OctantClient(await Session.open({ module, storage: async () => storage }));
  let client;
  try {
    client = await openClient();
  } catch (error) {
    assert.ok(error instanceof OctantError); // the failure hit the open
    return state;
  }
  const acknowledged = await live(client);
  await client.close();
  state.healed = true;
  const again = await openClient();
  if (acknowledged.length > 0) {
    const { points } = await again.scroll('c', { limit: 2 * POINTS });
    const found = points.map(({ id }) => id);
    const lost = acknowledged.filter((id) => !found.includes(id));
    assert.deepEqual(lost, [], `failure ${failing}, ${times} times`);
    await again.upsert('c', { points: [{ id: 1000, vector: [1, 1] }] });
  }
  await again.close();
  return state;
}

for (const deferred of [false, true]) {
  for (const times of [1, 3]) {
    const what = `${times} failing change(s), ${deferred ? 'deferred' : 'immediate'} storage`;
    test(`${what}: nothing acknowledged is lost`, async () => {
      let failing = 0;
      for (; ; failing++) {
        if ((await survive(failing, times, deferred)).failed === 0) break;
      }
      assert.ok(failing > POINTS, `only ${failing} changes`);
    });
  }
}

test('beyond its memory limit the database answers NOMEM and keeps what it has', async (t) => {
  const client = await open({ storage: 'memory', memoryBytesMax: 4 << 20 });
  t.after(() => client.close());
  await client.createCollection('c', { vectors: { size: 256, distance: 'Dot' } });
  const number = seededNumbers(7);
  let stored = 0;
  await assert.rejects(async () => {
    for (; stored < 100000; stored += 100) {
      const points = Array.from({ length: 100 }, (_, i) =>
        ({ id: stored + i, vector: Float32Array.from({ length: 256 }, number) }));
      await client.upsert('c', { points });
    }
  }, { status: 'NOMEM' });
  assert.ok(stored > 0);
  assert.equal((await client.count('c')).count, stored);
});

test('housekeeping is done without being asked for, between requests', async (t) => {
  const client = await open({ storage: 'memory', appendablePointsMax: 100 });
  t.after(() => client.close());
  await client.createCollection('c', { vectors: { size: 2, distance: 'Dot' } });
  const points = Array.from({ length: 250 }, (_, id) => ({ id, vector: [id, 1] }));
  await client.upsert('c', { points });
  const end = Date.now() + 10000;
  let info;
  do {
    await new Promise((resolve) => setTimeout(resolve, 5));
    info = await client.getCollection('c');
  } while ((info.segments_count < 2 || info.status !== 'green') && Date.now() < end);
  assert.ok(info.segments_count >= 2, `${info.segments_count} segments`);
  assert.equal(info.status, 'green');
  assert.equal((await client.count('c')).count, 250);
});

test('requests sent at once are done in order', async (t) => {
  const client = await open({ storage: 'memory' });
  t.after(() => client.close());
  const created = client.createCollection('c', { vectors: { size: 1, distance: 'Dot' } });
  const writes = Array.from({ length: 50 }, (_, id) =>
    client.upsert('c', { points: [{ id, vector: [id] }] }));
  const { count } = await client.count('c');
  assert.equal(count, 50);
  await Promise.all([created, ...writes]);
});
