// SPDX-License-Identifier: Apache-2.0
// conformance.mjs - run the storage contract of tests/vfs, compiled to wasm, on a storage written
// in JavaScript. Used by Node's tests and by the page of tests/browser.

/**
 * The lines the contract printed and how many checks failed. `createModule` and `wasm` (compiled)
 * are octant-conformance, `createBridge` is of js/dist/bridge.js.
 */
export async function runConformance(createModule, wasm, createBridge, storage) {
  const lines = [];
  let loaded;
  const bridge = createBridge(storage, () => loaded.wasmMemory, (_, line) => lines.push(line));
  loaded = await createModule({
    bridge,
    instantiateWasm(imports, receive) {
      WebAssembly.instantiate(wasm, imports).then((instance) => receive(instance, wasm));
      return {};
    },
  });
  return { failed: loaded._oct_t_conformance(storage.caps), lines };
}
