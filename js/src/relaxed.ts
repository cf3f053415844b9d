// SPDX-License-Identifier: Apache-2.0
// relaxed.ts - kernels with relaxed SIMD, where the engine has it: a module of one kilobyte that
// works in the memory of the first (core/simd/kernels_relaxed.c). Its bytes stand in JavaScript:
// there is nothing more to fetch, to bundle or to miss. They are the question, too: an engine that
// doesn't know the instructions finds them invalid. The core compares answers before it takes them.
import hex from './octant-relaxed.mjs';
import type { OctantModule } from './octant.mjs';

const KERNELS = [ // in the order of oct_w_offer
  'dot_u7i8', 'dot_u7i8_x4', 'dot_packed', 'dot_u7u4_x4'] as const;

/** true: where the engine has it. Hosts that can't compile get the compiled octant-relaxed.wasm. */
export type RelaxedSimd = boolean | WebAssembly.Module;

async function compile(): Promise<WebAssembly.Module | null> {
  const bytes = Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));
  try {
    return WebAssembly.validate(bytes) ? await WebAssembly.compile(bytes) : null;
  } catch {
    return null; // compiling is forbidden here
  }
}

let compiled: ReturnType<typeof compile> | undefined;

/** Offer the kernels to the database at that address, which isn't open yet. */
export async function offerRelaxed(wasm: OctantModule, database: number,
  wanted: RelaxedSimd): Promise<void> {
  const module = typeof wanted === 'boolean' ? wanted && await (compiled ??= compile()) : wanted;
  if (!module) return;
  const { exports } = await WebAssembly.instantiate(module, { env: { memory: wasm.wasmMemory } });
  const first = wasm.wasmTable.grow(KERNELS.length);
  KERNELS.forEach((name, i) => wasm.wasmTable.set(first + i, exports[name]));
  wasm._oct_w_offer(database, first);
}
