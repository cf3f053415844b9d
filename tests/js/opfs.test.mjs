// SPDX-License-Identifier: Apache-2.0
// Goal: a medium so full that not even an empty file can be made leaves what is there usable, also
// after a reopen. (The rest of OPFS: tests/browser.)
// Method: an origin private file system in memory, which can refuse new files.
import assert from 'node:assert/strict';
import test from 'node:test';
import { openOpfs } from '../../js/dist/storage/opfs.js';

const RWC = 1 | 2 | 4; // read, write, create

function accessTo(file) {
  return {
    read(target, { at }) {
      const found = file.bytes.subarray(at, at + target.length);
      target.set(found);
      return found.length;
    },
    write(source, { at }) {
      if (at + source.length > file.bytes.length) this.truncate(at + source.length);
      file.bytes.set(source, at);
      return source.length;
    },
    getSize: () => file.bytes.length,
    truncate(bytes) {
      const grown = new Uint8Array(bytes);
      grown.set(file.bytes.subarray(0, bytes));
      file.bytes = grown;
    },
    flush() {},
    close() {},
  };
}

/** The root directory; while `medium.full` it takes no new file. */
function fileSystem(medium) {
  const files = new Map();
  const directory = {
    keys: async function* keys() { yield* [...files.keys()]; },
    async getFileHandle(name) {
      if (!files.has(name) && medium.full) throw new DOMException('full', 'QuotaExceededError');
      const file = files.get(name) ?? { bytes: new Uint8Array(0) };
      files.set(name, file);
      return { createSyncAccessHandle: async () => accessTo(file) };
    },
    async removeEntry(name) { files.delete(name); },
  };
  return { getDirectoryHandle: async () => directory };
}

/** Make files until no more can be made; why not, and how many there were. */
async function useUp(storage, name) {
  for (let made = 0; ; made++) {
    await storage.prepare();
    try {
      storage.sync(storage.open(`${name}${made}`, RWC));
    } catch (thrown) {
      return { status: thrown.status, starved: storage.starved, made };
    }
  }
}

test('a medium that takes no new file leaves the others usable', async () => {
  const medium = { full: false };
  const root = fileSystem(medium);
  Object.defineProperty(globalThis, 'navigator',
    { value: { storage: { getDirectory: async () => root } }, configurable: true });
  let storage = await openOpfs('t');
  await storage.prepare();
  const handle = storage.open('kept', RWC);
  storage.write(handle, 0, Uint8Array.of(1, 2, 3));
  storage.sync(handle);
  medium.full = true;
  const first = await useUp(storage, 'more');
  assert.deepEqual(first, { status: 'NO_SPACE', starved: false, made: 3 });
  await storage.shutdown();

  storage = await openOpfs('t');
  await storage.prepare();
  const bytes = new Uint8Array(3);
  assert.equal(storage.read(storage.open('kept', 1), 0, bytes), 3);
  assert.deepEqual([...bytes], [1, 2, 3]);
  storage.remove('more0'); // as deletes end in, sooner or later
  assert.equal((await useUp(storage, 'else')).made, 1);
  medium.full = false;
  await storage.prepare();
  storage.open('again', RWC);
  await storage.shutdown();
});
