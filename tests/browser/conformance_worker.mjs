// SPDX-License-Identifier: Apache-2.0
// conformance_worker.mjs - run the storage contract on a storage of the browser, in the worker
// that OPFS needs. Gets {kind, name}, answers {failed, lines} or {thrown}.
import { createBridge } from '/js/dist/bridge.js';
import { openBrowserStorage } from '/js/dist/storage/browser.js';
import { runConformance } from '/tests/js/conformance.mjs';
import createModule from '/conformance/octant-conformance.mjs';

/** A pool that never runs dry: the contract opens more new files in one go than the core does. */
const FILES_AT_ONCE = 16;

async function fill(storage) {
  for (let i = 0; i < FILES_AT_ONCE; i++) {
    try {
      const handles = Array.from({ length: FILES_AT_ONCE }, (_, n) => storage.open(`warm${n}`, 6));
      handles.forEach((handle) => storage.close(handle));
    } catch (error) {
      if (error.status !== 'LIMIT') throw error;
    }
    for (const name of storage.list('')) storage.remove(name);
    const handle = storage.open('warm', 6);
    storage.sync(handle);
    storage.close(handle);
    storage.remove('warm');
    await storage.prepare();
  }
}

addEventListener('message', async ({ data }) => {
  try {
    const storage = await openBrowserStorage(data.kind, data.name)();
    await storage.prepare();
    await fill(storage);
    const response = await fetch('/conformance/octant-conformance.wasm');
    const wasm = await WebAssembly.compile(await response.arrayBuffer());
    const result = await runConformance(createModule, wasm, createBridge, storage);
    if (storage.dirty) await storage.commit();
    await storage.shutdown();
    postMessage(result);
  } catch (thrown) {
    postMessage({ thrown: String(thrown?.stack ?? thrown) });
  }
});
