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

/** The module's memory as words and as floats. Made anew only when it has moved. */
interface Views {
  buffer: ArrayBufferLike;
  words: Uint32Array;
  floats: Float32Array;
  bytes: Uint8Array;
}

function viewsOf(buffer: ArrayBufferLike): Views {
  const words = new Uint32Array(buffer);
  return { buffer, words, floats: new Float32Array(buffer), bytes: new Uint8Array(buffer) };
}

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

/** The hits whose counts begin at the word `start`. */
function readHits({ words, floats }: Views, start: number, count: number,
  limit: number): VectorHits {
  const starts = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) starts[i + 1] = starts[i]! + words[start + i]!;
  const scores = new Float32Array(starts[count]!);
  const ids: PointId[] = [];
  for (let i = 0; i < count; i++) {
    for (let hit = 0; hit < words[start + i]!; hit++) {
      const at = start + count + (i * limit + hit) * HIT_WORDS;
      scores[ids.length] = floats[at]!;
      ids.push(idAt(words, at + 1));
    }
  }
  return { ids, scores, starts };
}

/** The texts of a call, encoded; those of the last call are kept, as most calls repeat them. */
function createTexts(): (call: SearchCall) => Uint8Array[] {
  let last: string[] = [];
  let texts: Uint8Array[] = [];
  return ({ collection, using, options }) => {
    if (last[0] !== collection || last[1] !== using || last[2] !== options) {
      last = [collection, using, options];
      texts = last.map((text) => encoder.encode(text));
    }
    return texts;
  };
}

/** Write the request to the word `at` on, where there is room for it. */
function writeCall({ words, floats, bytes }: Views, at: number, call: SearchCall,
  texts: Uint8Array[]): void {
  words[at] = call.count;
  words[at + 1] = call.size;
  words[at + 2] = call.limit;
  words[at + 3] = call.hnswEf;
  words[at + 4] = Number(call.exact);
  floats.set(call.vectors, at + SEARCH_WORDS);
  let target = 4 * (at + SEARCH_WORDS + call.vectors.length);
  texts.forEach((text, i) => {
    words[at + 5 + i] = text.length;
    bytes.set(text, target);
    target += text.length;
  });
}

/** A function that searches the database at address `database`. */
export function createSearch(wasm: OctantModule,
  database: number): (call: SearchCall) => SearchOutcome {
  const textsOf = createTexts();
  let views = viewsOf(wasm.wasmMemory.buffer);
  const current = (): Views => {
    const { buffer } = wasm.wasmMemory;
    return buffer === views.buffer ? views : views = viewsOf(buffer);
  };
  return (call) => {
    const texts = textsOf(call);
    const textBytes = texts.reduce((sum, text) => sum + text.length, 0);
    const callWords = SEARCH_WORDS + call.vectors.length + ((textBytes + 3) >> 2);
    const hitWords = call.count * (1 + call.limit * HIT_WORDS);
    const bytes = 4 * (callWords + hitWords);
    const block = bytes < 2 ** 32 ? wasm._oct_w_alloc(bytes) >>> 0 : 0; // else it would wrap
    if (block === 0) return { status: 'NOMEM', message: `no memory for ${hitWords} words of hits` };
    writeCall(current(), block >>> 2, call, texts);
    const status = statusName(wasm._oct_w_search(database, block, block + 4 * callWords));
    const outcome: SearchOutcome = status === 'OK'
      ? { status, hits: readHits(current(), (block >>> 2) + callWords, call.count, call.limit) }
      : { status, message: textAt(wasm.wasmMemory, wasm._oct_w_message(database)) };
    wasm._oct_w_free(block);
    return outcome;
  };
}
