// SPDX-License-Identifier: Apache-2.0
// octant.d.mts - what core.ts uses of octant.mjs, the glue that Emscripten writes to dist/.

type Receive = (instance: WebAssembly.Instance, module: WebAssembly.Module) => void;

export interface ModuleOptions {
  bridge: object;
  instantiateWasm(imports: WebAssembly.Imports, receive: Receive): object;
}

export interface OctantModule {
  wasmMemory: WebAssembly.Memory;
  wasmTable: WebAssembly.Table;
  _oct_w_alloc(bytes: number): number;
  _oct_w_free(block: number): void;
  _oct_w_create(): number;
  _oct_w_offer(w: number, firstPlace: number): void;
  _oct_w_kernels(w: number): number;
  _oct_w_open(w: number, caps: number, flags: number, memoryBytesMax: number,
    appendablePointsMax: number, sliceMs: number): number;
  _oct_w_call(w: number, block: number, floats: number, verbBytes: number, pathBytes: number,
    bodyBytes: number): number;
  _oct_w_reply_http(w: number): number;
  _oct_w_reply_content_type(w: number): number;
  _oct_w_reply_body(w: number): number;
  _oct_w_reply_body_bytes(w: number): number;
  _oct_w_reply_free(w: number): void;
  _oct_w_search(w: number, block: number, hits: number): number;
  _oct_w_maintain(w: number, budgetMs: number): number;
  _oct_w_more(w: number): number;
  _oct_w_message(w: number): number;
  _oct_w_close(w: number): void;
  _oct_w_version(): number;
  _oct_w_status_text(status: number): number;
}

export default function createModule(options: ModuleOptions): Promise<OctantModule>;
