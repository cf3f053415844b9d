// SPDX-License-Identifier: Apache-2.0
// Goal: kernels with relaxed SIMD change no answer, are used where the engine has them and only
// when they are right, and can be forbidden.
// Method: the same searches with and without them, here and on the modern Node, which has them; and
// kernels that answer 0, of a module put together here, which must be refused and said so.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { open } from '../../js/dist/node.js';
import { answersOf } from './relaxed_answers.mjs';

const bytes = readFileSync(new URL('../../js/dist/octant-relaxed.wasm', import.meta.url));
const BEST = WebAssembly.validate(bytes) ? 'wasm-relaxed' : 'wasm128';

/** A module with the exports of octant-relaxed.wasm; `result` is what its dots return. */
function wrongKernels(result) {
  const text = (name) => [name.length, ...Buffer.from(name)];
  const section = (id, ...items) => [id, items.flat().length, ...items.flat()];
  const [i32, end] = [0x7f, 0x0b];
  return new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, 3, [0x60, 3, i32, i32, i32, 1, i32], [0x60, 4, i32, i32, i32, i32, 0],
      [0x60, 4, i32, i32, i32, i32, 1, i32]),
    ...section(2, 1, text('env'), text('memory'), 2, 0, 0),
    ...section(3, 4, 0, 1, 2, 1),
    ...section(7, 4, text('dot_u7i8'), 0, 0, text('dot_u7i8_x4'), 0, 1, text('dot_packed'), 0, 2,
      text('dot_u7u4_x4'), 0, 3),
    ...section(10, 4, [4, 0, 0x41, result, end], [2, 0, end], [4, 0, 0x41, result, end],
      [2, 0, end])]));
}

test('answers are the same with and without, and the name tells which', async () => {
  const without = await answersOf(open, { relaxedSimd: false });
  const best = await answersOf(open, {});
  assert.equal(without.kernels, 'wasm128');
  assert.equal(best.kernels, BEST);
  assert.equal(best.answers, without.answers);
});

test('the modern Node has them and answers as this one', async () => {
  const program = new URL('./relaxed_answers.mjs', import.meta.url).pathname;
  const { best, without } = JSON.parse(execFileSync(process.env.OCTANT_NODE, [program]));
  assert.equal(best.kernels, 'wasm-relaxed');
  assert.equal(without.kernels, 'wasm128');
  assert.equal(best.answers, without.answers);
  assert.equal(best.answers, (await answersOf(open, {})).answers);
});

test('kernels that answer wrongly are refused, with a warning', async () => {
  const warnings = [];
  const log = (level, message) => { if (level === 'warn') warnings.push(message); };
  const { kernels, answers } = await answersOf(open, { relaxedSimd: wrongKernels(0), log });
  assert.equal(kernels, 'wasm128');
  assert.deepEqual(warnings, ["the host's kernels give wrong answers and aren't used"]);
  assert.equal(answers, (await answersOf(open, { relaxedSimd: false })).answers);
});
