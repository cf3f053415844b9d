// SPDX-License-Identifier: Apache-2.0
// worker.ts - the worker: owns the module and the storage, answers one page. Requests are done one
// at a time by the session, in the order they came.
import { defaultWasmUrl, fetchModule } from './core.js';
import { toOctantError } from './errors.js';
import { openBrowserStorage } from './storage/browser.js';
import { Session } from './session.js';
import type { Request, Response, WorkerOptions } from './rpc.js';
import type { Reply } from './core.js';
import type { SearchOutcome } from './search.js';

let session: Session | null = null;

async function open({ storage, name, wasm, ...options }: WorkerOptions): Promise<string> {
  const module = wasm instanceof WebAssembly.Module
    ? wasm : await fetchModule(wasm ?? defaultWasmUrl());
  session = await Session.open({
    ...options, module, storage: openBrowserStorage(storage, name),
    log: (level, message) => console[level](`octant: ${message}`),
  });
  return session.kernels;
}

async function answer(request: Request): Promise<Reply | SearchOutcome | string | null> {
  if (request.kind === 'open') return open(request.options);
  if (session === null) throw new Error('the database is not open');
  if (request.kind === 'call') {
    return session.call(request.verb, request.path, request.body, request.floats);
  }
  if (request.kind === 'search') return session.search(request.call);
  await (request.kind === 'maintain' ? session.maintain() : session.close());
  return null;
}

addEventListener('message', async ({ data }: MessageEvent<Request>) => {
  let response: Response;
  try {
    response = { id: data.id, reply: await answer(data) };
  } catch (thrown) {
    const { status, message } = toOctantError(thrown);
    response = { id: data.id, failed: { status, message } };
  }
  postMessage(response);
});
