// SPDX-License-Identifier: Apache-2.0
// files.ts - names, handles and locks for storages that have no file system of their own: memory,
// IndexedDB and the pool of OPFS. The bytes of each file are a Content, which is all that differs;
// a storage that must know when names change extends FilesStorage.
import { OctantError } from '../errors.js';
import { missing, OPEN, type Storage } from './storage.js';

/** The bytes of one file. */
export interface Content {
  size(): number;
  read(offset: number, target: Uint8Array): number;
  /** Beyond the end the gap reads as zeros. */
  write(offset: number, source: Uint8Array): void;
  truncate(bytes: number): void;
  sync(): void;
  /** The file has neither a name nor an opener any more. */
  discard(): void;
}

interface Entry<C extends Content> {
  content: C;
  openers: number;
  named: boolean;
  locked: boolean;
}

interface Handle<C extends Content> {
  entry: Entry<C>;
  exclusive: boolean;
}

/** A table of names over contents of one kind. */
export class Files<C extends Content> {
  readonly #create: (path: string) => C;
  readonly #renamed: () => void;
  readonly #entries = new Map<string, Entry<C>>();
  readonly #handles = new Map<number, Handle<C>>();
  #next = 1;

  /** `create` makes the content of a new file; `renamed` hears that a name came, went or moved. */
  constructor(create: (path: string) => C, renamed: () => void) {
    this.#create = create;
    this.#renamed = renamed;
  }

  /** Name a content that was found when the storage was opened. */
  adopt(path: string, content: C): void {
    this.#entries.set(path, { content, openers: 0, named: true, locked: false });
  }

  /** Every name with its content. */
  *named(): Iterable<[string, C]> {
    for (const [path, entry] of this.#entries) yield [path, entry.content];
  }

  /** The number of files that have a name or an opener. */
  get count(): number {
    const open = new Set([...this.#handles.values()].map((handle) => handle.entry));
    for (const entry of this.#entries.values()) open.add(entry);
    return open.size;
  }

  #isDirectory(path: string): boolean {
    for (const name of this.#entries.keys()) if (name.startsWith(`${path}/`)) return true;
    return false;
  }

  /** Throws IO when `path` can't be a file because of what else there is. */
  #checkPlace(path: string): void {
    const slash = path.indexOf('/');
    const parentIsFile = slash > 0 && this.#entries.has(path.slice(0, slash));
    if (!parentIsFile && !this.#isDirectory(path)) return;
    throw new OctantError('IO', `${path}: a file is in the place of a directory, or the reverse`);
  }

  #make(path: string, flags: number): Entry<C> {
    if ((flags & OPEN.CREATE) === 0) throw missing(path);
    this.#checkPlace(path);
    const entry = { content: this.#create(path), openers: 0, named: true, locked: false };
    this.#entries.set(path, entry);
    this.#renamed();
    return entry;
  }

  open(path: string, flags: number): number {
    const entry = this.#entries.get(path) ?? this.#make(path, flags);
    const exclusive = (flags & OPEN.EXCLUSIVE) !== 0;
    if (exclusive && entry.locked) {
      throw new OctantError('LOCKED', `${path}: locked by another opener`);
    }
    if ((flags & OPEN.TRUNCATE) !== 0) entry.content.truncate(0);
    if (exclusive) entry.locked = true;
    entry.openers++;
    this.#handles.set(this.#next, { entry, exclusive });
    return this.#next++;
  }

  close(number: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return;
    this.#handles.delete(number);
    if (handle.exclusive) handle.entry.locked = false;
    handle.entry.openers--;
    this.#discardUnused(handle.entry);
  }

  /** Close every handle: their opener is gone. */
  closeAll(): void {
    for (const number of [...this.#handles.keys()]) this.close(number);
  }

  #discardUnused(entry: Entry<C>): void {
    if (!entry.named && entry.openers === 0) entry.content.discard();
  }

  /** The content behind a handle. */
  content(number: number): C {
    const handle = this.#handles.get(number);
    if (handle === undefined) throw new OctantError('IO', `file ${number} is not open`);
    return handle.entry.content;
  }

  remove(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) throw missing(path);
    this.#unname(path, entry);
    this.#renamed();
  }

  #unname(path: string, entry: Entry<C>): void {
    this.#entries.delete(path);
    entry.named = false;
    this.#discardUnused(entry);
  }

  rename(from: string, to: string): void {
    const entry = this.#entries.get(from);
    if (entry === undefined) throw missing(from);
    if (from === to) return;
    this.#checkPlace(to);
    const replaced = this.#entries.get(to);
    if (replaced !== undefined) this.#unname(to, replaced);
    this.#entries.delete(from);
    this.#entries.set(to, entry);
    this.#renamed();
  }

  list(directory: string): string[] {
    const prefix = directory === '' ? '' : `${directory}/`;
    const names = new Set<string>();
    for (const path of this.#entries.keys()) {
      if (!path.startsWith(prefix)) continue;
      const [first, second] = path.slice(prefix.length).split('/');
      names.add(second === undefined ? first! : `${first}/`);
    }
    return [...names];
  }
}

/** The calls of a Storage that are about files, over a table of them. */
export abstract class FilesStorage<C extends Content> implements Storage {
  protected readonly files = new Files<C>((path) => this.create(path),
    () => { this.renamed = true; });
  /** Did a name come, go or move since this was last made false? */
  protected renamed = false;
  abstract readonly caps: number;
  abstract readonly dirty: boolean;
  abstract readonly starved: boolean;

  /** The content of a new file. */
  protected abstract create(path: string): C;
  abstract prepare(): Promise<void>;
  abstract commit(): Promise<void>;
  abstract shutdown(): Promise<void>;

  open(path: string, flags: number): number {
    return this.files.open(path, flags);
  }

  close(handle: number): void {
    this.files.close(handle);
  }

  size(handle: number): number {
    return this.files.content(handle).size();
  }

  read(handle: number, offset: number, target: Uint8Array): number {
    return this.files.content(handle).read(offset, target);
  }

  write(handle: number, offset: number, source: Uint8Array): void {
    this.files.content(handle).write(offset, source);
  }

  truncate(handle: number, bytes: number): void {
    this.files.content(handle).truncate(bytes);
  }

  sync(handle: number): void {
    this.files.content(handle).sync();
  }

  remove(path: string): void {
    this.files.remove(path);
  }

  rename(from: string, to: string): void {
    this.files.rename(from, to);
  }

  list(directory: string): string[] {
    return this.files.list(directory);
  }
}
