// SPDX-License-Identifier: Apache-2.0
// node.ts - the package in Node, Bun and Deno: a database in a directory or in memory, in the
// thread that opens it.
import { readFile } from 'node:fs/promises';
import { OctantClient } from './client.js';
import { defaultWasmUrl, type CoreOptions } from './core.js';
import { OctantError } from './errors.js';
import type { Log } from './bridge.js';
import { Session, type Connection } from './session.js';
import { openMemory } from './storage/memory.js';
import { openNode } from './storage/node_fs.js';
import type { Storage } from './storage/storage.js';

export { OctantClient } from './client.js';
export { OctantError, type StatusName } from './errors.js';
export type * from './types.js';

export type OpenOptions = CoreOptions & {
  /** The compiled octant.wasm, instead of the one of the package. */
  wasmModule?: WebAssembly.Module;
  log?: Log;
} & ({ storage: 'node'; path: string } | { storage: 'memory' });

/** What an operator must see, unless the caller takes the log. */
const warn: Log = (level, message) => {
  if (level === 'warn' || level === 'error') console.warn(`octant: ${message}`);
};

let compiled: Promise<WebAssembly.Module> | undefined;

/** The module of the package, compiled once. */
function packageModule(): Promise<WebAssembly.Module> {
  compiled ??= readFile(defaultWasmUrl()).then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

function storageOf(options: OpenOptions): () => Promise<Storage> {
  if (options.storage === 'node') {
    const { path } = options;
    return async () => openNode(path);
  }
  if (options.storage === 'memory') {
    const memory = openMemory();
    return async () => memory;
  }
  throw new OctantError('BAD_INPUT', 'storage is "node" or "memory" here');
}

/** The database below a client: requests and replies as text. */
export async function openConnection(options: OpenOptions): Promise<Connection> {
  const storage = storageOf(options);
  const module = options.wasmModule ?? await packageModule();
  return Session.open({ log: warn, ...options, module, storage });
}

/**
 * Open a database, which is made when there is none. The directory is that of the native program.
 * One process has it at a time: in another this rejects with LOCKED.
 */
export async function open(options: OpenOptions): Promise<OctantClient> {
  return new OctantClient(await openConnection(options));
}
