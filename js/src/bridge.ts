// SPDX-License-Identifier: Apache-2.0
// bridge.ts - the imports of the module: numbers from wasm/vfs_js.c become paths and views of its
// memory, exceptions become negative numbers. Views are made anew for each call, because memory
// that grows leaves the old ones empty.
import { statusNumber, toOctantError } from './errors.js';
import { checkDirectory, checkFlags, checkPath, type Storage } from './storage/storage.js';

const LOG_NAMES = ['debug', 'info', 'warn', 'error'] as const;
const ENTROPY_BYTES_MAX = 65536; // of one crypto.getRandomValues

export type LogLevel = (typeof LOG_NAMES)[number];
export type Log = (level: LogLevel, message: string) => void;

/** The object the linked imports call (wasm/vfs_js.lib.js). */
export type Bridge = ReturnType<typeof createBridge>;

/** The text at an address that ends with a NUL. Addresses above 2 GiB come as negative numbers. */
export function textAt(memory: WebAssembly.Memory, at: number): string {
  const bytes = new Uint8Array(memory.buffer);
  return new TextDecoder().decode(bytes.subarray(at >>> 0, bytes.indexOf(0, at >>> 0)));
}

/** Imports over `storage`. `memory` is asked for on every call: it does not exist yet. */
export function createBridge(storage: Storage, memory: () => WebAssembly.Memory, log: Log) {
  let message = '';
  let names: string[] = [];
  const view = (at: number, bytes: number) => new Uint8Array(memory().buffer, at >>> 0, bytes);
  const text = (at: number, bytes: number) => new TextDecoder().decode(view(at, bytes));
  const path = (at: number, bytes: number) => {
    const found = text(at, bytes);
    checkPath(found);
    return found;
  };
  const attempt = (action: () => number | void): number => {
    try {
      return action() ?? 0;
    } catch (thrown) {
      const error = toOctantError(thrown);
      message = error.message;
      return -statusNumber(error.status);
    }
  };
  const put = (value: string, target: number, capacity: number): void => {
    const bytes = new TextEncoder().encode(value).subarray(0, capacity - 1);
    const place = view(target, bytes.length + 1);
    place.set(bytes);
    place[bytes.length] = 0;
  };
  return {
    open: (at: number, bytes: number, flags: number) => attempt(() => {
      const name = path(at, bytes);
      checkFlags(name, flags);
      return storage.open(name, flags);
    }),
    close: (handle: number) => void attempt(() => storage.close(handle)),
    size: (handle: number) => attempt(() => storage.size(handle)),
    read: (handle: number, offset: number, target: number, bytes: number) =>
      attempt(() => storage.read(handle, offset, view(target, bytes))),
    write: (handle: number, offset: number, source: number, bytes: number) =>
      attempt(() => storage.write(handle, offset, view(source, bytes))),
    truncate: (handle: number, bytes: number) => attempt(() => storage.truncate(handle, bytes)),
    sync: (handle: number) => attempt(() => storage.sync(handle)),
    remove: (at: number, bytes: number) => attempt(() => storage.remove(path(at, bytes))),
    rename: (from: number, fromBytes: number, to: number, toBytes: number) =>
      attempt(() => storage.rename(path(from, fromBytes), path(to, toBytes))),
    list: (at: number, bytes: number) => attempt(() => {
      const directory = text(at, bytes);
      checkDirectory(directory);
      names = storage.list(directory);
      return names.length;
    }),
    listName: (index: number, target: number, capacity: number) =>
      put(names[index] ?? '', target, capacity),
    message: (target: number, capacity: number) => put(message, target, capacity),
    unixMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    entropy: (target: number, bytes: number) => attempt(() => {
      for (let done = 0; done < bytes; done += ENTROPY_BYTES_MAX) {
        crypto.getRandomValues(view(target + done, Math.min(ENTROPY_BYTES_MAX, bytes - done)));
      }
    }),
    log: (level: number, at: number) => log(LOG_NAMES[level] ?? 'info', textAt(memory(), at)),
  };
}
