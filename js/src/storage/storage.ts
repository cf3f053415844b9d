// SPDX-License-Identifier: Apache-2.0
// storage.ts - what a place for files must offer: the contract of core/include/octant/vfs.h in
// TypeScript. The file methods are synchronous, because the core never waits; what can only be
// done asynchronously happens in prepare() before a call and in commit() after it.
import { OctantError } from '../errors.js';

/** What a storage can do (enum oct_vfs_caps). */
export const CAP = { WRITE: 1, VIEW: 2, RENAME: 4, LOCK: 8, DEFERRED: 16 } as const;

/** How a file is opened (enum oct_open_flags). */
export const OPEN = { READ: 1, WRITE: 2, CREATE: 4, TRUNCATE: 8, EXCLUSIVE: 16 } as const;

export const PATH_BYTES_MAX = 200;

/**
 * A place for files. Paths and flags were checked, no range is empty, and nobody writes to a file
 * it opened for reading: bridge.ts and wasm/vfs_js.c saw to that. Failures are thrown as
 * OctantError with the status vfs.h names, or as whatever the platform throws.
 */
export interface Storage {
  readonly caps: number;
  /** Are there changes that commit() must make durable? */
  readonly dirty: boolean;
  /** Did a call fail with LIMIT only because prepare() had not got enough ready? */
  readonly starved: boolean;
  /** The number by which the file is called from now on, >= 0. */
  open(path: string, flags: number): number;
  close(handle: number): void;
  size(handle: number): number;
  /** How many bytes there were: fewer than asked for only at the end of the file. */
  read(handle: number, offset: number, target: Uint8Array): number;
  write(handle: number, offset: number, source: Uint8Array): void;
  truncate(handle: number, bytes: number): void;
  sync(handle: number): void;
  remove(path: string): void;
  rename(from: string, to: string): void;
  /** Names in a directory; in "" also the directories, with a slash at the end. */
  list(directory: string): string[];
  /** Get ready for a call. */
  prepare(): Promise<void>;
  /** Make what the last call did durable. After a rejection nothing is promised: reopen. */
  commit(): Promise<void>;
  /** Let go of everything, open files too. The bytes stay. */
  shutdown(): Promise<void>;
}

/** The error of a file that is not there. */
export function missing(path: string): OctantError {
  return new OctantError('NOT_FOUND', `${path}: no such file`);
}

const COMPONENT = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/;

/** Throws BAD_INPUT unless this is one name or two joined by a slash. */
export function checkPath(path: string): void {
  const parts = path.split('/');
  const good = parts.length <= 2 && parts.every((part) => COMPONENT.test(part));
  if (good && path.length <= PATH_BYTES_MAX) return;
  throw new OctantError('BAD_INPUT', `"${path.slice(0, 400)}" is not a storage path: expected ` +
    `one or two names of [A-Za-z0-9._-] joined by "/", at most ${PATH_BYTES_MAX} bytes`);
}

/** Throws BAD_INPUT unless this is "" or one name. */
export function checkDirectory(directory: string): void {
  if (directory === '' || COMPONENT.test(directory)) return;
  throw new OctantError('BAD_INPUT', `"${directory}" is not a storage directory`);
}

/** Throws BAD_INPUT for flags that contradict each other or mean nothing. */
export function checkFlags(path: string, flags: number): void {
  const changes = (flags & (OPEN.CREATE | OPEN.TRUNCATE)) !== 0;
  const access = (flags & (OPEN.READ | OPEN.WRITE)) !== 0;
  if (access && flags < 32 && (!changes || (flags & OPEN.WRITE) !== 0)) return;
  throw new OctantError('BAD_INPUT', `${path}: open flags ${flags}: expected READ or WRITE, and ` +
    'WRITE with CREATE and TRUNCATE');
}
