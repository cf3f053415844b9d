// SPDX-License-Identifier: Apache-2.0
// core.ts - load the module and marshal one call. All of it synchronous but loading.
import createModule, { type OctantModule } from './octant.mjs';
import { createBridge, textAt, type Log } from './bridge.js';
import { offerRelaxed, type RelaxedSimd } from './relaxed.js';
import { OctantError, statusName, type StatusName } from './errors.js';
import { createSearch, type SearchCall, type SearchOutcome } from './search.js';
import type { Storage } from './storage/storage.js';

/** How the database is opened; all optional (struct oct_open_options). */
export interface CoreOptions {
  readOnly?: boolean;
  /** Beyond this the database answers NOMEM instead of growing. */
  memoryBytesMax?: number;
  /** Points kept in memory before they are sealed into a file. */
  appendablePointsMax?: number;
  /** Kernels with relaxed SIMD, about half as fast again, with the same answers: true (where the
   * engine has it) unless said otherwise. */
  relaxedSimd?: RelaxedSimd;
}

export interface Reply {
  status: StatusName;
  http: number;
  contentType: string;
  text: string;
}

/** A database that lives in one instance of the module. */
export interface Core {
  /** The name of the kernels in use: "wasm128" or "wasm-relaxed". */
  kernels: string;
  call(verb: string, path: string, body: string, floats: Float32Array | null): Reply;
  search(call: SearchCall): SearchOutcome;
  /** Housekeeping for about that long; whether there is more to do now. */
  maintain(budgetMs: number): boolean;
  close(): void;
}

const FLAG_READ_ONLY = 1; // OCT_W_READ_ONLY of wasm/exports.c

/** Where the module lies unless the caller says so: bundlers look for exactly this expression. */
export const defaultWasmUrl = (): URL => new URL('./octant.wasm', import.meta.url);

/** Compile what is at a URL. Servers that do not know the type of .wasm files are forgiven. */
export async function fetchModule(url: URL | string): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new OctantError('IO', `${url}: HTTP ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

async function instantiate(module: WebAssembly.Module, storage: Storage, log: Log) {
  let loaded: OctantModule | undefined;
  const bridge = createBridge(storage, () => loaded!.wasmMemory, log);
  let failed: (reason: unknown) => void;
  const failure = new Promise<never>((_, reject) => { failed = reject; });
  loaded = await Promise.race([failure, createModule({
    bridge,
    instantiateWasm(imports, receive) {
      WebAssembly.instantiate(module, imports)
        .then((instance) => receive(instance, module), (reason) => failed(reason));
      return {};
    },
  })]);
  return loaded;
}

/** Open the database in `storage`. */
export async function openCore(module: WebAssembly.Module, storage: Storage, log: Log,
  options: CoreOptions): Promise<Core> {
  const wasm = await instantiate(module, storage, log);
  const database = wasm._oct_w_create();
  if (database === 0) throw new OctantError('NOMEM', 'no memory to open the database');
  await offerRelaxed(wasm, database, options.relaxedSimd ?? true);
  const message = () => textAt(wasm.wasmMemory, wasm._oct_w_message(database));
  const status = wasm._oct_w_open(database, storage.caps, options.readOnly ? FLAG_READ_ONLY : 0,
    options.memoryBytesMax ?? 0, options.appendablePointsMax ?? 0, 0);
  if (status !== 0) {
    const error = new OctantError(statusName(status), message());
    wasm._oct_w_close(database);
    throw error;
  }
  return {
    kernels: textAt(wasm.wasmMemory, wasm._oct_w_kernels(database)),
    call: (verb, path, body, floats) => call(wasm, database, verb, path, body, floats),
    search: createSearch(wasm, database),
    maintain(budgetMs) {
      const result = wasm._oct_w_maintain(database, budgetMs);
      if (result !== 0) throw new OctantError(statusName(result), message());
      return wasm._oct_w_more(database) !== 0;
    },
    close: () => wasm._oct_w_close(database),
  };
}

function call(wasm: OctantModule, database: number, verb: string, path: string, body: string,
  floats: Float32Array | null): Reply {
  const encoder = new TextEncoder();
  const head = encoder.encode(`${verb}\0`);
  const parts = [head, encoder.encode(path), encoder.encode(body)] as const;
  const floatCount = floats?.length ?? 0;
  const bytes = parts.reduce((sum, part) => sum + part.length, 4 * floatCount);
  const block = wasm._oct_w_alloc(bytes) >>> 0; // an address is unsigned
  if (block === 0) throw new OctantError('NOMEM', `no memory for a request of ${bytes} bytes`);
  if (floats !== null) new Float32Array(wasm.wasmMemory.buffer, block, floatCount).set(floats);
  let at = block + 4 * floatCount;
  for (const part of parts) {
    new Uint8Array(wasm.wasmMemory.buffer, at, part.length).set(part);
    at += part.length;
  }
  const status = wasm._oct_w_call(database, block, floatCount, head.length, parts[1].length,
    parts[2].length);
  wasm._oct_w_free(block);
  return takeReply(wasm, database, statusName(status));
}

/** Copy the reply out of the module's memory and free it there. */
function takeReply(wasm: OctantModule, database: number, status: StatusName): Reply {
  const body = new Uint8Array(wasm.wasmMemory.buffer, wasm._oct_w_reply_body(database) >>> 0,
    wasm._oct_w_reply_body_bytes(database) >>> 0);
  const reply = {
    status,
    http: wasm._oct_w_reply_http(database),
    contentType: textAt(wasm.wasmMemory, wasm._oct_w_reply_content_type(database)),
    text: new TextDecoder().decode(body),
  };
  wasm._oct_w_reply_free(database);
  return reply;
}
