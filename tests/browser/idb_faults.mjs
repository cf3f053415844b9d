// SPDX-License-Identifier: Apache-2.0
// idb_faults.mjs - IndexedDB that refuses to store, in the page. Chromium does not hold IndexedDB
// to a quota set through its protocol, so put() is wrapped to fail in both ways a browser has:
//   thrown    put() itself throws QuotaExceededError
//   aborted   the request succeeds, and the transaction is aborted later with that error
// The database runs in the page, not in a worker, so that the wrapped put() is the one it calls.
import { OctantClient } from '/js/dist/client.js';
import { defaultWasmUrl, fetchModule } from '/js/dist/core.js';
import { Session } from '/js/dist/session.js';
import { openBrowserStorage } from '/js/dist/storage/browser.js';

const SIZE = 64;
const BATCH = 300; // points of one write: 75 KB, which is several blocks
const OPEN_RW_CREATE = 2 | 4;

const real = IDBObjectStore.prototype.put;
const quota = () => new DOMException('the test says the quota is used up', 'QuotaExceededError');

function abort(transaction) {
  Object.defineProperty(transaction, 'error', { value: quota() });
  try {
    transaction.abort();
  } catch {
    // an earlier failing put has aborted it
  }
}

/**
 * Let all puts from number `first` on fail, until heal(). `hits` is how many did.
 */
function breakPut(kind, first) {
  const fault = { puts: 0, hits: 0, heal: () => { IDBObjectStore.prototype.put = real; } };
  IDBObjectStore.prototype.put = function put(...words) {
    if (fault.puts++ < first) return real.apply(this, words);
    fault.hits++;
    if (kind === 'thrown') throw quota();
    const request = real.apply(this, words);
    request.addEventListener('success', () => abort(this.transaction));
    return request;
  };
  return fault;
}

const bytesOf = (fill, count) => new Uint8Array(count).fill(fill);

/** Every byte of a file if all are the same, else "torn". */
function fillOf(storage, path) {
  const handle = storage.open(path, 1);
  const bytes = new Uint8Array(storage.size(handle));
  storage.read(handle, 0, bytes);
  storage.close(handle);
  return bytes.every((byte) => byte === bytes[0]) ? `${bytes[0]} x ${bytes.length}` : 'torn';
}

function fill(storage, path, byte, count) {
  const handle = storage.open(path, OPEN_RW_CREATE);
  storage.truncate(handle, count);
  storage.write(handle, 0, bytesOf(byte, count));
  storage.close(handle);
}

/** Change two files in one commit whose put number `first` fails; what a new opener sees. */
async function commitOnce(kind, first) {
  const open = openBrowserStorage('indexeddb', `torn-${kind}-${first}`);
  let storage = await open();
  for (const path of ['a', 'b']) fill(storage, path, 1, 50000);
  await storage.commit();
  for (const path of ['a', 'b']) fill(storage, path, 2, 70000);
  const fault = breakPut(kind, first);
  const failure = await storage.commit().then(() => 'none', (error) => error.name);
  fault.heal();
  await storage.shutdown();
  storage = await open();
  const seen = ['a', 'b'].map((path) => fillOf(storage, path)).join();
  await storage.shutdown();
  return { hits: fault.hits, failure, seen };
}

/** Fail at every put of a commit; how many there were. Throws when anything but all is seen. */
export async function tornCommits(kind) {
  const expect = (actual, expected, first) => {
    if (actual !== expected) throw new Error(`put ${first}: ${actual}, expected ${expected}`);
  };
  for (let first = 0; ; first++) {
    const { hits, failure, seen } = await commitOnce(kind, first);
    expect(failure, hits > 0 ? 'QuotaExceededError' : 'none', first);
    expect(seen, hits > 0 ? '1 x 50000,1 x 50000' : '2 x 70000,2 x 70000', first);
    if (hits === 0) return first;
  }
}

const batch = (from) => ({
  points: Array.from({ length: BATCH }, (_, i) =>
    ({ id: from + i, vector: new Float32Array(SIZE).fill(from + i), payload: { n: from + i } })),
});

/** The ids that are there, as one text. */
async function idsOf(client) {
  const { points } = await client.scroll('c', { limit: 100000, with_vector: true });
  const wrong = points.filter(({ id, vector, payload }) =>
    payload.n !== id || vector.some((value) => value !== id));
  if (wrong.length > 0) throw new Error(`point ${wrong[0].id} is not what was written`);
  return points.map(({ id }) => id).join();
}

const idsUpTo = (count) => Array.from({ length: count }, (_, id) => id).join();

/**
 * Write while every put from number `first` on fails, for every `first` that a write has; after
 * each refusal look at what is there, write again, and look at it after a reopen.
 */
export async function refusedWrites(kind) {
  const module = await fetchModule(defaultWasmUrl());
  const storage = openBrowserStorage('indexeddb', `refused-${kind}`);
  const open = async () => new OctantClient(await Session.open({ module, storage }));
  let client = await open();
  await client.createCollection('c', { vectors: { size: SIZE, distance: 'Dot' } });
  let acknowledged = 0;
  let refused = 0;
  for (let hits = 1, first = 0; hits > 0; first++) {
    const fault = breakPut(kind, first);
    const failure = await client.upsert('c', batch(acknowledged))
      .then(() => 'none', (error) => error.status);
    ({ hits } = fault);
    fault.heal();
    if (failure !== (hits > 0 ? 'NO_SPACE' : 'none')) throw new Error(`put ${first}: ${failure}`);
    if (hits > 0) refused++;
    else acknowledged += BATCH;
    if (await idsOf(client) !== idsUpTo(acknowledged)) throw new Error(`put ${first}: other ids`);
    await client.upsert('c', batch(acknowledged));
    acknowledged += BATCH;
    await client.close();
    client = await open();
    if (await idsOf(client) !== idsUpTo(acknowledged)) throw new Error(`put ${first}: reopened`);
  }
  await client.close();
  return { acknowledged, refused };
}
