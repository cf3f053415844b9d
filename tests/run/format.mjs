// SPDX-License-Identifier: Apache-2.0
// format.mjs - is every C file laid out as clang-format does it? `node tests/run/format.mjs`
//
//   --fix    lay out those that are not
//
// The files are those git has or would take. Versions of clang-format differ in what they make of
// one .clang-format, so only $OCTANT_CLANG_FORMAT (tools/env.sh) counts.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDERS = ['core', 'server', 'wasi', 'wasm', 'tests', 'bench'];
const PROGRAM = process.env.OCTANT_CLANG_FORMAT ?? 'clang-format';
const BYTES_MAX = 16 << 20;

const run = (program, ...words) =>
  execFileSync(program, words, { encoding: 'utf8', maxBuffer: BYTES_MAX });

/** The number of the first line that differs. */
function firstDifference(before, after) {
  const lines = after.split('\n');
  return 1 + before.split('\n').findIndex((line, i) => line !== lines[i]);
}

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const listed = run('git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '--',
  ...FOLDERS);
const files = listed.split('\0').filter((path) => /\.[ch]$/.test(path) && existsSync(path));
let passed = 0;
let failed = 0;
for (const file of files) {
  const before = readFileSync(file, 'utf8');
  const after = run(PROGRAM, '--style=file', file);
  if (before === after) {
    passed++;
  } else if (process.argv[2] === '--fix') {
    writeFileSync(file, after);
    passed++;
  } else {
    failed++;
    console.log(`${file}:${firstDifference(before, after)}: not as clang-format lays it out`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
