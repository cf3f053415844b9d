// SPDX-License-Identifier: Apache-2.0
// opfs.ts - files of the origin private file system, through synchronous access handles.
//
// Only opening such a handle is asynchronous, so the handles of all files are opened beforehand,
// and those of a few empty ones: the directory "octant-NAME" is a pool of files "N.pool", and the
// file "map" says which path each of them is now. prepare() tops the pool up between calls.
//
// The map has two slots of SLOT_BYTES, written in turn: u32 magic, u32 sequence, u32 length, u32
// checksum of sequence and text, then JSON {path: N}. The valid slot with the higher sequence
// counts. So changing names is atomic. Names are written with the next sync of any file; until
// then a removed file keeps its bytes, because after a crash its old name may be back.
import { OctantError, toOctantError } from '../errors.js';
import { FilesStorage, type Content } from './files.js';
import { CAP, type Storage } from './storage.js';

const SPARE_FILES = 4;
const SPARE_FILES_MAX = 16; // more are deleted
const FILES_MAX = 240; // one browser engine allows about 252 handles
const SLOT_BYTES = 65536;
const HEADER_BYTES = 16;
const MAGIC = 0x4d54434f;
const OPEN_ATTEMPTS_MAX = 40;
const OPEN_PAUSE_MS = 50; // a killed page's handles are released a moment later

/** Synchronous access to a file, as workers have it. */
interface AccessHandle {
  read(target: Uint8Array, options: { at: number }): number;
  write(source: Uint8Array, options: { at: number }): number;
  getSize(): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

type WorkerFileHandle = FileSystemFileHandle & {
  createSyncAccessHandle?: () => Promise<AccessHandle>;
};

/** Writing less than asked for is how some browsers say that the quota is used up. */
function writeAll(handle: AccessHandle, source: Uint8Array, at: number): void {
  const written = handle.write(source, { at });
  if (written === source.length) return;
  throw new OctantError('NO_SPACE', `only ${written} of ${source.length} bytes were written`);
}

/** A file of the pool that has a name or an opener. */
class PoolContent implements Content {
  readonly number: number;
  readonly handle: AccessHandle;
  readonly #storage: OpfsStorage;

  constructor(storage: OpfsStorage, number: number, handle: AccessHandle) {
    this.#storage = storage;
    this.number = number;
    this.handle = handle;
  }

  size(): number {
    return this.handle.getSize();
  }

  read(offset: number, target: Uint8Array): number {
    if (offset >= this.handle.getSize()) return 0;
    return this.handle.read(target, { at: offset });
  }

  write(offset: number, source: Uint8Array): void {
    if (offset > this.handle.getSize()) this.handle.truncate(offset);
    writeAll(this.handle, source, offset);
  }

  truncate(bytes: number): void {
    this.handle.truncate(bytes);
  }

  sync(): void {
    this.handle.flush();
    this.#storage.syncNames();
  }

  discard(): void {
    this.#storage.release(this);
  }
}

/** FNV-1a over the bytes; enough to tell a torn slot. */
function checksum(sequence: number, bytes: Uint8Array): number {
  let hash = Math.imul(0x811c9dc5 ^ sequence, 0x01000193);
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

interface Slot {
  sequence: number;
  names: Record<string, number>;
}

function readSlot(map: AccessHandle, index: number): Slot | null {
  const bytes = new Uint8Array(SLOT_BYTES);
  map.read(bytes, { at: index * SLOT_BYTES });
  const header = new DataView(bytes.buffer);
  const sequence = header.getUint32(4, true);
  const length = header.getUint32(8, true);
  if (header.getUint32(0, true) !== MAGIC || length > SLOT_BYTES - HEADER_BYTES) return null;
  const text = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  if (checksum(sequence, text) !== header.getUint32(12, true)) return null;
  return { sequence, names: JSON.parse(new TextDecoder().decode(text)) };
}

function writeSlot(map: AccessHandle, { sequence, names }: Slot): void {
  const text = new TextEncoder().encode(JSON.stringify(names));
  if (text.length > SLOT_BYTES - HEADER_BYTES) {
    throw new OctantError('LIMIT', `the names of all files take more than ${SLOT_BYTES} bytes`);
  }
  const bytes = new Uint8Array(HEADER_BYTES + text.length);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, MAGIC, true);
  header.setUint32(4, sequence, true);
  header.setUint32(8, text.length, true);
  header.setUint32(12, checksum(sequence, text), true);
  bytes.set(text, HEADER_BYTES);
  writeAll(map, bytes, (sequence % 2) * SLOT_BYTES);
  map.flush();
}

class OpfsStorage extends FilesStorage<PoolContent> {
  readonly caps = CAP.WRITE | CAP.RENAME | CAP.LOCK;
  readonly dirty = false;
  readonly #directory: FileSystemDirectoryHandle;
  readonly #map: AccessHandle;
  readonly #spare: PoolContent[] = [];
  readonly #released: PoolContent[] = []; // may become spare once the map no longer names them
  readonly #all = new Set<PoolContent>();
  #sequence = 0;
  #wanted: number;
  #nextNumber = 1;
  #full: OctantError | null = null; // why there is no more in the pool
  starved = false;

  constructor(directory: FileSystemDirectoryHandle, map: AccessHandle, spareFiles: number) {
    super();
    this.#wanted = spareFiles;
    this.#directory = directory;
    this.#map = map;
  }

  /** Read the map and open every file it names; what else is in the pool becomes spare. */
  async load(): Promise<void> {
    const numbers: number[] = [];
    const names = (this.#directory as unknown as { keys(): AsyncIterable<string> }).keys();
    for await (const name of names) {
      const match = /^(\d+)\.pool$/.exec(name);
      if (match !== null) numbers.push(Number(match[1]));
    }
    this.#nextNumber = Math.max(0, ...numbers) + 1;
    const pool = new Map<number, PoolContent>();
    for (const number of numbers) pool.set(number, await this.#openFile(number));
    const slot = this.#newestSlot();
    this.#sequence = slot.sequence;
    for (const [path, number] of Object.entries(slot.names)) {
      const content = pool.get(number);
      if (content === undefined) {
        throw new OctantError('CORRUPT', `map: ${path} is in ${number}.pool, which is missing`);
      }
      pool.delete(number);
      this.files.adopt(path, content);
    }
    this.#spare.push(...pool.values());
    if (slot.sequence === 0) this.#writeMap();
  }

  #newestSlot(): Slot {
    const slots = [readSlot(this.#map, 0), readSlot(this.#map, 1)].filter((slot) => slot !== null);
    slots.sort((a, b) => b.sequence - a.sequence);
    if (slots[0] !== undefined) return slots[0];
    // Its very first writing may have been cut short: then no file was ever used.
    if ([...this.#all].every((content) => content.size() === 0)) return { sequence: 0, names: {} };
    throw new OctantError('CORRUPT', 'map: neither slot is valid, but there are files');
  }

  async #openFile(number: number): Promise<PoolContent> {
    const handle = await openHandle(this.#directory, `${number}.pool`);
    const content = new PoolContent(this, number, handle);
    this.#all.add(content);
    return content;
  }

  async prepare(): Promise<void> {
    this.starved = false;
    this.#full = null;
    while (this.#spare.length < this.#wanted && this.#all.size < FILES_MAX && !this.#full) {
      try {
        this.#spare.push(await this.#openFile(this.#nextNumber++));
      } catch (thrown) { // what needs no new file can go on: reads, and deletes, which heal this
        this.#full = toOctantError(thrown);
        if (this.#full.status !== 'NO_SPACE') throw thrown;
      }
    }
    while (this.#spare.length > Math.max(SPARE_FILES_MAX, this.#wanted)) {
      const content = this.#spare.pop()!;
      this.#all.delete(content);
      content.handle.close();
      await this.#directory.removeEntry(`${content.number}.pool`);
    }
  }

  /** An empty file of the pool for a new path. */
  protected override create(path: string): PoolContent {
    // Names may always become durable early, and what they gave up is free then.
    if (this.#spare.length === 0 && this.#released.length > 0) this.#writeMap();
    const content = this.#spare.pop();
    if (content === undefined) {
      if (this.#full) throw this.#full;
      this.starved = this.#all.size < FILES_MAX;
      if (this.#wanted < SPARE_FILES_MAX) this.#wanted *= 2;
      throw new OctantError('LIMIT', `${path}: no file is ready in the pool of ${this.#all.size}`);
    }
    content.truncate(0);
    return content;
  }

  release(content: PoolContent): void {
    this.#released.push(content);
  }

  syncNames(): void {
    if (this.renamed) this.#writeMap();
  }

  #writeMap(): void {
    const names: Record<string, number> = {};
    for (const [path, content] of this.files.named()) names[path] = content.number;
    writeSlot(this.#map, { sequence: this.#sequence + 1, names });
    this.#sequence++;
    this.renamed = false;
    this.#spare.push(...this.#released.splice(0));
  }

  async commit(): Promise<void> {}

  async shutdown(): Promise<void> {
    for (const content of this.#all) content.handle.close();
    this.#map.close();
  }
}

/** Open (and make) a file of `directory`; waits a little for one that is still held. */
async function openHandle(directory: FileSystemDirectoryHandle,
  name: string): Promise<AccessHandle> {
  const file: WorkerFileHandle = await directory.getFileHandle(name, { create: true });
  if (file.createSyncAccessHandle === undefined) {
    throw new OctantError('UNSUPPORTED', 'OPFS needs a dedicated worker of a browser that has it');
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await file.createSyncAccessHandle();
    } catch (thrown) {
      const held = (thrown as Error).name === 'NoModificationAllowedError';
      if (!held || attempt === OPEN_ATTEMPTS_MAX) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, OPEN_PAUSE_MS));
    }
  }
}

/**
 * Open the directory "octant-NAME" of the origin private file system. `spareFiles` is how many
 * new files a call can make before it is repeated with more.
 */
export async function openOpfs(name: string, spareFiles = SPARE_FILES): Promise<Storage> {
  const root = await navigator.storage.getDirectory();
  const directory = await root.getDirectoryHandle(`octant-${name}`, { create: true });
  const storage = new OpfsStorage(directory, await openHandle(directory, 'map'), spareFiles);
  try {
    await storage.load();
  } catch (thrown) {
    await storage.shutdown();
    throw thrown;
  }
  return storage;
}
