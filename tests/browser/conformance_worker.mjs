// SPDX-License-Identifier: Apache-2.0
// conformance_worker.mjs - run the storage contract on a storage of the browser, in the worker
// that OPFS needs. Gets {kind, name}, answers {failed, lines} or {thrown}.
import { createBridge } from '/js/dist/bridge.js';
import { openBrowserStorage } from '/js/dist/storage/browser.js';
import { openOpfs } from '/js/dist/storage/opfs.js';
import { runConformance } from '/tests/js/conformance.mjs';
import createModule from '/conformance/octant-conformance.mjs';

/** The contract makes and removes many files in one go, between which no pool can be topped up. */
const SPARE_FILES = 32;

const open = (kind, name) =>
  (kind === 'opfs' ? openOpfs(name, SPARE_FILES) : openBrowserStorage(kind, name)());

addEventListener('message', async ({ data }) => {
  try {
    const storage = await open(data.kind, data.name);
    await storage.prepare();
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
