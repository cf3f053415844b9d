// SPDX-License-Identifier: Apache-2.0
// browser.ts - the storages of a page by name, and the Web Lock that decides who owns one.
import { OctantError } from '../errors.js';
import type { BrowserStorage } from '../rpc.js';
import { openIdb } from './idb.js';
import { openMemory } from './memory.js';
import { openOpfs } from './opfs.js';
import type { Storage } from './storage.js';

const LOCK_ATTEMPTS_MAX = 40;
const LOCK_PAUSE_MS = 50; // a reloaded page's old worker keeps its lock for a moment

/** Ask once for a lock; the function that releases it, or null when another tab has it. */
function tryLock(name: string): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) {
        resolve(null);
        return undefined;
      }
      return new Promise<void>((release) => resolve(() => release()));
    }).catch(reject);
  });
}

async function takeLock(name: string): Promise<() => void> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt++) {
    const release = await tryLock(name);
    if (release !== null) return release;
    await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
  }
  throw new OctantError('LOCKED', `${name}: open in another tab or worker`);
}

/** Open a storage as its only owner, until it is shut down. */
async function openOwned(lock: string, open: () => Promise<Storage>): Promise<Storage> {
  const release = await takeLock(lock);
  try {
    const storage = await open();
    const shutdown = storage.shutdown.bind(storage);
    storage.shutdown = async () => {
      try {
        await shutdown();
      } finally {
        release();
      }
    };
    return storage;
  } catch (thrown) {
    release();
    throw thrown;
  }
}

/** What a session calls to open its storage. */
export function openBrowserStorage(kind: BrowserStorage, name: string): () => Promise<Storage> {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) {
    throw new OctantError('BAD_INPUT', `"${name}" can't name a database: expected 1 to 64 of ` +
      '[A-Za-z0-9._-]');
  }
  if (kind === 'opfs') return () => openOwned(`octant:opfs:${name}`, () => openOpfs(name));
  if (kind === 'indexeddb') return () => openOwned(`octant:idb:${name}`, () => openIdb(name));
  if (kind !== 'memory') throw new OctantError('BAD_INPUT', `no storage "${kind}" in a browser`);
  const memory = openMemory();
  return async () => memory;
}
