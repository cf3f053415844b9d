// SPDX-License-Identifier: Apache-2.0
// support.mjs - what the tests of js/ share.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where CMake's preset wasm leaves the contract's module. */
export const CONFORMANCE = process.env.OCTANT_CONFORMANCE
  ?? new URL('../../build/wasm/wasm/', import.meta.url).pathname;

let loaded;

/** The module of the storage contract: the function that makes an instance, and compiled wasm. */
export async function conformanceModule() {
  const glue = pathToFileURL(join(CONFORMANCE, 'octant-conformance.mjs')).href;
  loaded ??= {
    createModule: (await import(glue)).default,
    wasm: await WebAssembly.compile(readFileSync(join(CONFORMANCE, 'octant-conformance.wasm'))),
  };
  return loaded;
}

/** An empty directory that is gone after the test. */
export function temporaryDirectory(t) {
  const directory = mkdtempSync(join(tmpdir(), 'octant-js-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A generator of numbers in [-1, 1), the same for the same seed. */
export function seededNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
