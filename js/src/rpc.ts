// SPDX-License-Identifier: Apache-2.0
// rpc.ts - the protocol between a page and its worker: five requests, answered in order.
import type { CoreOptions, Reply } from './core.js';
import { OctantError, type StatusName } from './errors.js';
import type { SearchCall, SearchOutcome } from './search.js';
import type { Connection } from './session.js';

export type BrowserStorage = 'opfs' | 'indexeddb' | 'memory';

export interface WorkerOptions extends CoreOptions {
  storage: BrowserStorage;
  name: string;
  wasm: string | WebAssembly.Module | null;
}

export type Request =
  | { id: number; kind: 'open'; options: WorkerOptions }
  | { id: number; kind: 'call'; verb: string; path: string; body: string;
      floats: Float32Array | null }
  | { id: number; kind: 'search'; call: SearchCall }
  | { id: number; kind: 'maintain' }
  | { id: number; kind: 'close' };

type Answer = Reply | SearchOutcome | string | null; // call, search, open (kernels), the others

export type Response =
  | { id: number; reply: Answer }
  | { id: number; failed: { status: StatusName; message: string } };

type Body = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;

/** Open a database in `worker`, which is ended with the connection if `owned`. */
export async function connect(worker: Worker, owned: boolean,
  options: WorkerOptions): Promise<Connection> {
  const pending = new Map<number, { resolve: (reply: Answer) => void;
    reject: (error: OctantError) => void }>();
  let next = 1;
  let gone: OctantError | null = null;
  const settle = ({ data }: MessageEvent<Response>): void => {
    const waiting = pending.get(data.id);
    pending.delete(data.id);
    if ('failed' in data) {
      waiting?.reject(new OctantError(data.failed.status, data.failed.message));
    } else {
      waiting?.resolve(data.reply);
    }
  };
  const fail = (event: ErrorEvent | MessageEvent): void => {
    const text = 'message' in event ? event.message : 'a message could not be read';
    gone = new OctantError('UNAVAILABLE', `the worker failed: ${text}`);
    for (const { reject } of pending.values()) reject(gone);
    pending.clear();
  };
  worker.addEventListener('message', settle);
  worker.addEventListener('error', fail);
  worker.addEventListener('messageerror', fail);
  const ask = (body: Body): Promise<Answer> => new Promise((resolve, reject) => {
    if (gone !== null) return reject(gone);
    const id = next++;
    pending.set(id, { resolve, reject });
    worker.postMessage({ id, ...body });
  });
  const end = (): void => {
    gone ??= new OctantError('UNAVAILABLE', 'the database is closed');
    worker.removeEventListener('message', settle);
    worker.removeEventListener('error', fail);
    worker.removeEventListener('messageerror', fail);
    if (owned) worker.terminate();
  };
  let kernels: string;
  try {
    kernels = await ask({ kind: 'open', options }) as string;
  } catch (thrown) {
    end();
    throw thrown;
  }
  return {
    kernels,
    call: async (verb, path, body, floats) =>
      await ask({ kind: 'call', verb, path, body, floats }) as Reply,
    search: async (call) => await ask({ kind: 'search', call }) as SearchOutcome,
    maintain: async () => void await ask({ kind: 'maintain' }),
    async close() {
      if (gone !== null) return;
      await ask({ kind: 'close' }).finally(end);
    },
  };
}
