// SPDX-License-Identifier: Apache-2.0
// search.ts - typed searches: vectors go in and ids and scores come out as numbers, so that nothing
// of them is ever text. The layout of both blocks is that of oct_w_search in wasm/exports.c.
import { textAt } from './bridge.js';
import { statusName, type StatusName } from './errors.js';
import type { OctantModule } from './octant.mjs';
import type { PointId, VectorHits } from './types.js';

/** A search as it travels to the core. */
export interface SearchCall {
  collection: string;
  /** Vector name, '' for the unnamed one. */
  using: string;
  /** `count` vectors of `size` numbers, one after the other. */
  vectors: Float32Array;
  count: number;
  size: number;
  limit: number;
  /** 0: the collection's. */
  hnswEf: number;
  exact: boolean;
  /** The rest of a query as JSON, or ''. */
  options: string;
}

/** What came of it: hits, or why there are none. */
export type SearchOutcome = { status: 'OK'; hits: VectorHits }
  | { status: Exclude<StatusName, 'OK'>; message: string };

const SEARCH_WORDS = 8;
const HIT_WORDS = 6;
const encoder = new TextEncoder();

const hex = (word: number): string => word.toString(16).padStart(8, '0');

function uuidOf(words: Uint32Array, at: number): string {
  const [a, b, c, d] = [3, 2, 1, 0].map((part) => hex(words[at + part]!)) as
    [string, string, string, string];
  return `${a}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${d}`;
}

/** The id whose words begin at `at`. */
function idAt(words: Uint32Array, at: number): PointId {
  if (words[at] !== 0) return uuidOf(words, at + 1);
  const number = words[at + 2]! * 2 ** 32 + words[at + 1]!;
  if (Number.isSafeInteger(number)) return number;
  return (BigInt(words[at + 2]!) << 32n) | BigInt(words[at + 1]!);
}

function readHits(words: Uint32Array, count: number, limit: number): VectorHits {
  const starts = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) starts[i + 1] = starts[i]! + words[i]!;
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const scores = new Float32Array(starts[count]!);
  const ids: PointId[] = [];
  for (let i = 0; i < count; i++) {
    for (let hit = 0; hit < words[i]!; hit++) {
      const at = count + (i * limit + hit) * HIT_WORDS;
      scores[ids.length] = floats[at]!;
      ids.push(idAt(words, at + 1));
    }
  }
  return { ids, scores, starts };
}

/** Write the request to `block`, whose memory is there. */
function writeCall(memory: WebAssembly.Memory, block: number, call: SearchCall,
  texts: Uint8Array[]): void {
  const { vectors } = call;
  new Uint32Array(memory.buffer, block, SEARCH_WORDS).set([call.count, call.size, call.limit,
    call.hnswEf, Number(call.exact), ...texts.map((text) => text.length)]);
  new Float32Array(memory.buffer, block + 4 * SEARCH_WORDS, vectors.length).set(vectors);
  let at = block + 4 * (SEARCH_WORDS + vectors.length);
  for (const text of texts) {
    new Uint8Array(memory.buffer, at, text.length).set(text);
    at += text.length;
  }
}

/** Search the database at address `database`. */
export function search(wasm: OctantModule, database: number, call: SearchCall): SearchOutcome {
  const { count, limit } = call;
  const texts = [call.collection, call.using, call.options].map((text) => encoder.encode(text));
  const textBytes = texts.reduce((sum, text) => sum + text.length, 0);
  const callBytes = (4 * (SEARCH_WORDS + call.vectors.length) + textBytes + 3) & ~3;
  const hitWords = count * (1 + limit * HIT_WORDS);
  const block = wasm._oct_w_alloc(callBytes + 4 * hitWords) >>> 0;
  if (block === 0) return { status: 'NOMEM', message: `no memory for ${hitWords} words of hits` };
  writeCall(wasm.wasmMemory, block, call, texts);
  const hitsAt = block + callBytes;
  const status = statusName(wasm._oct_w_search(database, block, hitsAt));
  const outcome: SearchOutcome = status === 'OK'
    ? { status, hits: readHits(new Uint32Array(wasm.wasmMemory.buffer, hitsAt, hitWords), count,
      limit) }
    : { status, message: textAt(wasm.wasmMemory, wasm._oct_w_message(database)) };
  wasm._oct_w_free(block);
  return outcome;
}
