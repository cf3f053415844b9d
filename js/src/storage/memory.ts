// SPDX-License-Identifier: Apache-2.0
// memory.ts - files in the memory of this program: for tests, for what need not last, and the
// bytes below idb.ts.
import { CAP, type Storage } from './storage.js';
import { Files, type Content } from './files.js';

const FIRST_BYTES = 4096;

/** Bytes that grow by doubling. `touched` hears of each range whose content may have changed. */
export class MemoryContent implements Content {
  #bytes = new Uint8Array(0);
  #size = 0;

  /** The current content, for reading; invalid after the next change. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  size(): number {
    return this.#size;
  }

  read(offset: number, target: Uint8Array): number {
    const found = this.#bytes.subarray(Math.min(offset, this.#size),
      Math.min(offset + target.length, this.#size));
    target.set(found);
    return found.length;
  }

  write(offset: number, source: Uint8Array): void {
    const size = this.#size;
    if (offset + source.length > size) this.truncate(offset + source.length);
    this.#bytes.set(source, offset);
    this.touched(Math.min(offset, size), offset + source.length);
  }

  truncate(bytes: number): void {
    if (bytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(bytes, 2 * this.#bytes.length, FIRST_BYTES));
      grown.set(this.view());
      this.#bytes = grown;
    }
    const size = this.#size;
    this.#bytes.fill(0, Math.min(bytes, size), size);
    this.#size = bytes;
    this.touched(Math.min(bytes, size), Math.max(bytes, size));
  }

  protected touched(_from: number, _to: number): void {}

  sync(): void {}

  discard(): void {}
}

/** Files that are gone with the page or the process. */
export function openMemory(): Storage {
  const files = new Files(() => new MemoryContent(), () => {});
  return {
    caps: CAP.WRITE | CAP.RENAME | CAP.LOCK,
    dirty: false,
    starved: false,
    open: (path, flags) => files.open(path, flags),
    close: (handle) => files.close(handle),
    size: (handle) => files.content(handle).size(),
    read: (handle, offset, target) => files.content(handle).read(offset, target),
    write: (handle, offset, source) => files.content(handle).write(offset, source),
    truncate: (handle, bytes) => files.content(handle).truncate(bytes),
    sync: () => {},
    remove: (path) => files.remove(path),
    rename: (from, to) => files.rename(from, to),
    list: (directory) => files.list(directory),
    prepare: async () => {},
    commit: async () => {},
    shutdown: async () => files.closeAll(),
  };
}
