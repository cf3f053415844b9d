// SPDX-License-Identifier: Apache-2.0
// idb.ts - files in memory whose changed blocks one IndexedDB transaction writes after each call.
//
// Object store "files": path -> { id, size }. Object store "blocks": [id, index] -> bytes of one
// block; a block that is missing reads as zeros. All changes of a request become one transaction
// with durability "strict", so after a crash either all of them are there or none, and a reply is
// given only after its "complete". The files of a database must fit in memory; larger ones belong
// in OPFS.
import { OctantError } from '../errors.js';
import { FilesStorage } from './files.js';
import { MemoryContent } from './memory.js';
import { CAP, type Storage } from './storage.js';

const BLOCK_BYTES = 16384; // a small write costs one block; a large file few thousand records
const STORES = ['files', 'blocks'];

interface FileRecord {
  id: number;
  size: number;
}

/** Bytes in memory that know which of their blocks changed since the last commit. */
class BlockContent extends MemoryContent {
  readonly id: number;
  readonly dirty = new Set<number>();
  readonly #removed: (id: number) => void;
  changed = true;

  constructor(id: number, removed: (id: number) => void) {
    super();
    this.id = id;
    this.#removed = removed;
  }

  protected override touched(from: number, to: number): void {
    this.changed = true;
    for (let i = Math.floor(from / BLOCK_BYTES); i * BLOCK_BYTES < to; i++) this.dirty.add(i);
  }

  override discard(): void {
    this.#removed(this.id);
  }

  settle(): void {
    this.dirty.clear();
    this.changed = false;
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ??
      new OctantError('IO', 'the IndexedDB transaction was aborted'));
  });
}

function connect(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(`octant-${name}`, 1);
  request.onupgradeneeded = () => {
    for (const store of STORES) request.result.createObjectStore(store);
  };
  request.onblocked = () => {}; // there is only version 1
  return done(request);
}

/** The range of all blocks of a file from the given one on. */
const blocksFrom = (id: number, index: number) => IDBKeyRange.bound([id, index], [id, Infinity]);

class IdbStorage extends FilesStorage<BlockContent> {
  readonly caps = CAP.WRITE | CAP.RENAME | CAP.LOCK | CAP.DEFERRED;
  readonly starved = false;
  readonly #database: IDBDatabase;
  readonly #removedIds = new Set<number>();
  #storedPaths = new Set<string>();
  #nextId = 1;

  constructor(database: IDBDatabase) {
    super();
    this.#database = database;
    database.onversionchange = () => database.close(); // somebody deletes it: let them
  }

  protected override create(): BlockContent {
    return this.#make(this.#nextId++);
  }

  #make(id: number): BlockContent {
    return new BlockContent(id, (removed) => this.#removedIds.add(removed));
  }

  /** Read everything. */
  async load(): Promise<void> {
    const transaction = this.#database.transaction(STORES, 'readonly');
    const files = transaction.objectStore('files');
    const [paths, records] = await Promise.all([done(files.getAllKeys()),
      done(files.getAll() as IDBRequest<FileRecord[]>)]);
    const blocks = transaction.objectStore('blocks');
    await Promise.all(paths.map(async (path, i) => {
      const { id, size } = records[i]!;
      const range = blocksFrom(id, 0);
      const [keys, values] = await Promise.all([done(blocks.getAllKeys(range)),
        done(blocks.getAll(range) as IDBRequest<Uint8Array[]>)]);
      const content = this.#make(id);
      content.truncate(size);
      keys.forEach((key, k) => {
        const offset = (key as [number, number])[1] * BLOCK_BYTES;
        if (offset < size) content.write(offset, values[k]!.subarray(0, size - offset));
      });
      content.settle();
      this.files.adopt(String(path), content);
      this.#nextId = Math.max(this.#nextId, id + 1);
    }));
    this.#storedPaths = new Set(paths.map(String));
  }

  get dirty(): boolean {
    if (this.renamed || this.#removedIds.size > 0) return true;
    for (const [, content] of this.files.named()) if (content.changed) return true;
    return false;
  }

  async commit(): Promise<void> {
    const transaction = this.#database.transaction(STORES, 'readwrite', { durability: 'strict' });
    const finished = completed(transaction);
    const paths = new Set([...this.files.named()].map(([path]) => path));
    try {
      this.#putChanges(transaction, paths);
    } catch (thrown) {
      transaction.abort(); // left alone, it would make durable what it has got so far
      await finished.catch(() => {});
      throw thrown;
    }
    await finished;
    for (const [, content] of this.files.named()) content.settle();
    this.#storedPaths = paths;
    this.#removedIds.clear();
    this.renamed = false;
  }

  #putChanges(transaction: IDBTransaction, paths: Set<string>): void {
    const files = transaction.objectStore('files');
    const blocks = transaction.objectStore('blocks');
    for (const [path, content] of this.files.named()) {
      if (content.changed) this.#putBlocks(blocks, content);
      if (content.changed || this.renamed) {
        files.put({ id: content.id, size: content.size() } satisfies FileRecord, path);
      }
    }
    for (const path of this.#storedPaths) if (!paths.has(path)) files.delete(path);
    for (const id of this.#removedIds) blocks.delete(blocksFrom(id, 0));
  }

  #putBlocks(blocks: IDBObjectStore, content: BlockContent): void {
    const bytes = content.view();
    const count = Math.ceil(bytes.length / BLOCK_BYTES);
    blocks.delete(blocksFrom(content.id, count));
    for (const index of content.dirty) {
      if (index >= count) continue;
      // A copy: cloning a view would store the whole buffer below it.
      blocks.put(bytes.slice(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES), [content.id, index]);
    }
  }

  async prepare(): Promise<void> {}

  async shutdown(): Promise<void> {
    this.files.closeAll();
    this.#database.close();
  }
}

/** Open the IndexedDB database "octant-NAME". */
export async function openIdb(name: string): Promise<Storage> {
  const storage = new IdbStorage(await connect(name));
  await storage.load();
  return storage;
}
