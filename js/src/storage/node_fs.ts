// SPDX-License-Identifier: Apache-2.0
// node_fs.ts - the files of a directory through Node's synchronous fs: the same directory, names
// and bytes as those of the native program.
//
// Owner: an exclusive open leaves a small file ".node-NAME.pid" beside the file, which says which
// process holds it; one whose process is gone (or is another one by now: on Linux its start time
// tells) is taken over. That keeps Node's processes apart everywhere. The native program looks for
// a flock instead, which Node can't take itself; flock(1) takes it for us, on our open file. Where
// that can't be (macOS, Windows, Deno) we only refuse what the native program holds, as Linux's
// /proc/locks tells: do not start the native program there on a directory that Node has open.
//
// Names last once their directory is synced; a handle's sync does that when a name has changed
// since the last one.
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { OctantError, type StatusName } from '../errors.js';
import { CAP, missing, OPEN, type Storage } from './storage.js';

const PID_FILE_PREFIX = '.node-';
const TAKE_ATTEMPTS_MAX = 100;
const TAKE_PAUSE_MS = 10; // a killed owner needs a moment to let go
const EXITING = 4; // PF_EXITING of Linux

interface Handle {
  descriptor: number;
  path: string;
  namesSynced: number;
  failed: boolean;
  pidFile: string | null;
}

const STATUS_OF: Record<string, StatusName> = {
  ENOENT: 'NOT_FOUND', ENOSPC: 'NO_SPACE', EDQUOT: 'NO_SPACE', EFBIG: 'NO_SPACE',
  EROFS: 'READONLY', ENOMEM: 'NOMEM',
};

const codeOf = (thrown: unknown): string => (thrown as NodeJS.ErrnoException).code ?? '';

/** Run `action`; what it throws becomes an OctantError about `path`. */
function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof OctantError) throw thrown;
    const status = STATUS_OF[codeOf(thrown)] ?? 'IO';
    throw new OctantError(status, `${path}: ${(thrown as Error).message}`);
  }
}

/** The names in a directory; none when it is missing or no directory. */
function entries(directory: string): fs.Dirent[] {
  try {
    return fs.readdirSync(directory, { withFileTypes: true });
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(thrown))) return [];
    throw thrown;
  }
}

/** What Linux says of a process; null where that can't be told. `start` is in ticks. */
function processState(pid: number): { state: string; exiting: boolean; start: string } | null {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const exiting = (Number(words[6]) & EXITING) !== 0;
    return { state: words[0] ?? '', exiting, start: words[19] ?? '' };
  } catch {
    return null;
  }
}

/** Is the process that wrote "pid start" still there? A dead one its parent forgot is gone. */
function ownerOf(text: string): 'living' | 'dying' | 'gone' {
  const [pid, start] = text.trim().split(' ');
  if (!/^\d+$/.test(pid ?? '')) return 'gone';
  try {
    process.kill(Number(pid), 0);
  } catch (thrown) {
    if (codeOf(thrown) === 'ESRCH') return 'gone'; // else it is there but not ours
  }
  const now = processState(Number(pid));
  if (now === null) return 'living';
  const other = start !== undefined && start !== now.start;
  if (other || now.state === 'Z' || now.state === 'X') return 'gone';
  return now.exiting ? 'dying' : 'living';
}

const pause = (): void =>
  void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TAKE_PAUSE_MS);

function readIfThere(path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

/** Does a process hold a flock on this file? Only Linux can tell. */
function flocked(path: string): boolean {
  let locks = '';
  try {
    locks = fs.readFileSync('/proc/locks', 'utf8');
  } catch {
    return false; // no Linux
  }
  const inode = String(fs.statSync(path, { bigint: true }).ino);
  return locks.split('\n').some((line) => {
    const words = line.split(/\s+/);
    return words[1] === 'FLOCK' && words[5]?.split(':')[2] === inode;
  });
}

/** Run flock(1) on an open file; null where it is missing, forbidden or would get another file. */
function runFlock(descriptor: number): SpawnSyncReturns<Buffer> | null {
  if (process.versions['deno'] !== undefined) return null; // commands inherit no open file there
  try {
    const ended = spawnSync('flock', ['-n', '0'], { stdio: [descriptor, 'ignore', 'ignore'] });
    return ended.error === undefined ? ended : null;
  } catch {
    return null; // Node's permissions may forbid it
  }
}

/**
 * Take a flock on an open file; false when another program holds one, null without flock(1). The
 * command locks the open file that it inherits, which is ours: so the lock stays when the command
 * ends, and goes when we close the file or die.
 */
function takeFlock(descriptor: number): boolean | null {
  const ended = runFlock(descriptor);
  if (ended === null) return null;
  if (ended.status === 0) return true;
  if (ended.status === 1) return false;
  throw new OctantError('IO', `flock(1) ended with ${ended.status ?? ended.signal}`);
}

/** Move a dead owner's file away; put it back if it turns out to be another one by now. */
function takeAway(pidFile: string, seen: string, own: string): void {
  const aside = `${pidFile}.${own.replace(' ', '-')}.old`;
  try {
    fs.renameSync(pidFile, aside);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return;
    throw thrown;
  }
  if (readIfThere(aside) !== seen) fs.linkSync(aside, pidFile);
  fs.unlinkSync(aside);
}

const locked = (path: string, who: string) =>
  new OctantError('LOCKED', `${path}: locked by ${who}`);

/** Leave the file that says that this process owns `path`; where it is. */
function leavePidFile(root: string, path: string): string {
  const pidFile = join(root, `${PID_FILE_PREFIX}${path.replace('/', '-')}.pid`);
  const own = `${process.pid} ${processState(process.pid)?.start ?? ''}`.trim();
  const fresh = `${pidFile}.${process.pid}-${Math.random().toString(36).slice(2)}.new`;
  fs.writeFileSync(fresh, own);
  try {
    for (let i = 0; i < TAKE_ATTEMPTS_MAX; i++) {
      try {
        fs.linkSync(fresh, pidFile); // appears with its content, or not at all
        return pidFile;
      } catch (thrown) {
        if (codeOf(thrown) !== 'EEXIST') throw thrown;
      }
      const seen = readIfThere(pidFile);
      if (seen === null) continue;
      const owner = ownerOf(seen);
      if (owner === 'living') throw locked(path, `process ${seen.split(' ')[0]} (${pidFile})`);
      if (owner === 'gone') takeAway(pidFile, seen, own);
      else pause();
    }
    throw locked(path, 'others who keep trying too');
  } finally {
    fs.unlinkSync(fresh);
  }
}

/** Become the owner of the open file `full`; the path of the file that says so. */
function takeOwnership(root: string, path: string, full: string, descriptor: number): string {
  const pidFile = leavePidFile(root, path);
  try {
    const taken = takeFlock(descriptor) ?? !flocked(full);
    if (!taken) throw locked(path, 'another program');
    return pidFile;
  } catch (thrown) {
    fs.rmSync(pidFile, { force: true });
    throw thrown;
  }
}

class NodeStorage implements Storage {
  readonly caps = CAP.WRITE | CAP.RENAME | CAP.LOCK;
  readonly dirty = false;
  readonly starved = false;
  readonly #root: string;
  readonly #handles = new Map<number, Handle>();
  #next = 1;
  #nameChanges = 1;

  constructor(root: string) {
    this.#root = root;
    fs.mkdirSync(root, { recursive: true });
  }

  #full(path: string): string {
    return join(this.#root, path);
  }

  #parent(path: string): string | null {
    const slash = path.indexOf('/');
    return slash > 0 ? path.slice(0, slash) : null;
  }

  #makeParent(path: string): void {
    const parent = this.#parent(path);
    if (parent === null) return;
    try {
      fs.mkdirSync(this.#full(parent));
    } catch (thrown) {
      if (codeOf(thrown) !== 'EEXIST') throw thrown;
    }
  }

  #dropEmptyParent(path: string): void {
    const parent = this.#parent(path);
    if (parent === null) return;
    try {
      fs.rmdirSync(this.#full(parent));
    } catch (thrown) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(codeOf(thrown))) throw thrown;
    }
  }

  /** What is at a path; symbolic links are not followed. */
  #stat(path: string): fs.Stats | null {
    try {
      return fs.lstatSync(this.#full(path));
    } catch (thrown) {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(thrown))) return null;
      throw thrown;
    }
  }

  open(path: string, flags: number): number {
    return attempt(path, () => this.#open(path, flags));
  }

  #open(path: string, flags: number): number {
    const there = this.#stat(path);
    const create = (flags & OPEN.CREATE) !== 0;
    if (!create && !there?.isFile()) throw missing(path);
    if (there !== null && !there.isFile()) throw new OctantError('IO', `${path}: is no file`);
    if (create) this.#makeParent(path);
    const write = (flags & OPEN.WRITE) !== 0;
    const mode = (write ? fs.constants.O_RDWR : fs.constants.O_RDONLY) |
      fs.constants.O_NOFOLLOW | (create ? fs.constants.O_CREAT : 0);
    const descriptor = fs.openSync(this.#full(path), mode, 0o640);
    if (there === null) this.#nameChanges++;
    try {
      const pidFile = (flags & OPEN.EXCLUSIVE) !== 0
        ? takeOwnership(this.#root, path, this.#full(path), descriptor) : null;
      if ((flags & OPEN.TRUNCATE) !== 0) fs.ftruncateSync(descriptor, 0);
      this.#handles.set(this.#next, { descriptor, path, namesSynced: 0, failed: false, pidFile });
    } catch (thrown) {
      fs.closeSync(descriptor);
      throw thrown;
    }
    return this.#next++;
  }

  #handle(number: number): Handle {
    const handle = this.#handles.get(number);
    if (handle === undefined) throw new OctantError('IO', `file ${number} is not open`);
    return handle;
  }

  close(number: number): void {
    const handle = this.#handle(number);
    this.#handles.delete(number);
    fs.closeSync(handle.descriptor);
    if (handle.pidFile !== null) fs.rmSync(handle.pidFile, { force: true });
  }

  size(number: number): number {
    const handle = this.#handle(number);
    return attempt(handle.path, () => fs.fstatSync(handle.descriptor).size);
  }

  read(number: number, offset: number, target: Uint8Array): number {
    const handle = this.#handle(number);
    let done = 0;
    while (done < target.length) {
      const got = attempt(handle.path, () =>
        fs.readSync(handle.descriptor, target, done, target.length - done, offset + done));
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  write(number: number, offset: number, source: Uint8Array): void {
    const handle = this.#handle(number);
    for (let done = 0; done < source.length;) {
      done += attempt(handle.path, () =>
        fs.writeSync(handle.descriptor, source, done, source.length - done, offset + done));
    }
  }

  truncate(number: number, bytes: number): void {
    const handle = this.#handle(number);
    attempt(handle.path, () => fs.ftruncateSync(handle.descriptor, bytes));
  }

  sync(number: number): void {
    const handle = this.#handle(number);
    if (handle.failed) throw new OctantError('IO', `${handle.path}: an earlier sync failed`);
    try {
      attempt(handle.path, () => fs.fsyncSync(handle.descriptor));
      attempt(handle.path, () => this.#syncNames(handle));
    } catch (thrown) {
      handle.failed = true; // the system may have dropped what it could not write
      throw thrown;
    }
  }

  #syncNames(handle: Handle): void {
    if (handle.namesSynced === this.#nameChanges || process.platform === 'win32') return;
    const parent = this.#parent(handle.path);
    for (const directory of parent === null ? [''] : [parent, '']) {
      if (!fs.existsSync(this.#full(directory))) continue; // its last file was removed
      const descriptor = fs.openSync(this.#full(directory), 'r');
      try {
        fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    }
    handle.namesSynced = this.#nameChanges;
  }

  remove(path: string): void {
    attempt(path, () => {
      if (!this.#stat(path)?.isFile()) throw missing(path);
      fs.unlinkSync(this.#full(path));
      this.#nameChanges++;
      this.#releaseRemoved(path);
      this.#dropEmptyParent(path);
    });
  }

  /** A removed file's lock says nothing about a new file of that name. */
  #releaseRemoved(path: string): void {
    for (const handle of this.#handles.values()) {
      if (handle.path !== path || handle.pidFile === null) continue;
      fs.rmSync(handle.pidFile, { force: true });
      handle.pidFile = null;
    }
  }

  rename(from: string, to: string): void {
    attempt(from, () => {
      if (!this.#stat(from)?.isFile()) throw missing(from);
      if (from === to) return;
      const target = this.#stat(to);
      if (target !== null && !target.isFile()) throw new OctantError('IO', `${to}: is no file`);
      const parent = this.#parent(to);
      if (parent !== null && this.#stat(parent)?.isFile()) {
        throw new OctantError('IO', `${to}: a file is in the place of its directory`);
      }
      this.#makeParent(to);
      fs.renameSync(this.#full(from), this.#full(to));
      this.#nameChanges++;
      this.#dropEmptyParent(from);
    });
  }

  list(directory: string): string[] {
    return attempt(directory, () => entries(this.#full(directory))
      .filter((entry) => !entry.name.startsWith(PID_FILE_PREFIX))
      .filter((entry) => entry.isFile() || (directory === '' && entry.isDirectory()))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)));
  }

  async prepare(): Promise<void> {}

  async commit(): Promise<void> {}

  async shutdown(): Promise<void> {
    for (const number of [...this.#handles.keys()]) this.close(number);
  }
}

/** Files below the directory `root`, which is made when missing. */
export function openNode(root: string): Storage {
  return attempt(root, () => new NodeStorage(root));
}
