// SPDX-License-Identifier: Apache-2.0
// index.ts - the package in a browser: a database in OPFS, in IndexedDB or in memory, which lives
// in a worker of its own.
import { OctantClient } from './client.js';
import type { CoreOptions } from './core.js';
import { connect, type BrowserStorage } from './rpc.js';
import type { Connection } from './session.js';

export { OctantClient } from './client.js';
export { OctantError, type StatusName } from './errors.js';
export type * from './types.js';

export interface OpenOptions extends CoreOptions {
  /** Where it is kept: OPFS for anything large, IndexedDB where there is none. */
  storage: BrowserStorage;
  /** Databases of one name are one database: 1 to 64 of [A-Za-z0-9._-]. */
  name?: string;
  /** A worker that runs octant-db/worker, instead of one made here. Yours to terminate. */
  worker?: Worker;
  /** Where octant.wasm is, when the bundler can't know. */
  wasmUrl?: string | URL;
  /** The compiled octant.wasm. */
  wasmModule?: WebAssembly.Module;
}

/** The database below a client: requests and replies as text. */
export async function openConnection(options: OpenOptions): Promise<Connection> {
  const { storage, name = 'default', worker, wasmUrl, wasmModule, ...core } = options;
  const wasm = wasmModule ?? (wasmUrl === undefined ? null : new URL(wasmUrl, location.href).href);
  const own = worker === undefined;
  const used = worker
    ?? new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'octant' });
  return connect(used, own, { storage, name, wasm, ...core });
}

/**
 * Open a database, which is made when there is none. One tab has it at a time: in another this
 * rejects with LOCKED.
 */
export async function open(options: OpenOptions): Promise<OctantClient> {
  return new OctantClient(await openConnection(options));
}
