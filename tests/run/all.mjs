// SPDX-License-Identifier: Apache-2.0
// all.mjs - run the test suites one after the other: `npm test`, or with NAME... only those.
//
// A suite is a shell command with a name and the question it answers; SUITES is the whole list. A
// new suite is one line there, added together with its files: a suite whose files are missing
// fails, none is ever left out. Every suite prints lines "N passed, N failed", which are summed
// (the programs ctest ran are counted where they print none, as fuzzers do); a suite that exits
// with an error without having counted a failure counts as one, and so does one that counted
// nothing at all. Its output goes to build/logs/NAME.log, the end of it also to the screen when it
// fails.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Configure, build and test one CMake preset; `areas` are folders of tests/, with | between. */
const preset = (name, areas) =>
  `cmake --preset ${name} && cmake --build --preset ${name} -j 2 && ` +
  `ctest --preset ${name} --verbose -R '^(${areas})/'`;

/** Build the npm package, and the storage contract for its tests. */
const BUILD_JS = 'cmake --preset wasm && ' +
  'cmake --build --preset wasm -j 2 --target octant-wasm octant-conformance && npm run build:js';

/** Build the native program. */
const BUILD_PROGRAM = 'cmake --preset release && ' +
  'cmake --build --preset release -j 2 --target octant';

const SUITES = [
  ['tidy', 'python3 tests/tidy.py', 'are the rules of the code base kept?'],
  ['tidy-self', 'python3 tests/tidy.py --self-test', 'does each of those rules fire?'],
  ['format', 'node tests/run/format.mjs', 'is C laid out as .clang-format says?'],
  ['unit', preset('release', 'unit|vfs'), 'does each module do what its header says? (gcc)'],
  ['unit-asan', preset('asan', 'unit|vfs'), 'and without a memory error? (clang-19)'],
  ['tsan', 'cmake --preset tsan && cmake --build --preset tsan -j 2 && ' +
    "TSAN_OPTIONS=halt_on_error=1 ctest --preset tsan --verbose -R 'threads|kill'",
    'and without a race? (clang-19)'],
  ['unit-wasi', preset('wasi', 'unit|vfs'), 'and on wasm32 with WASI? (wasmtime)'],
  ['unit-wasm', preset('wasm', 'unit'), 'and as Emscripten builds it? (Node)'],
  ['unit-neon', 'cmake --preset neon && cmake --build --preset neon -j 2 && ' +
    'ctest --preset neon --verbose', 'are scores and graphs the same bits on aarch64? (qemu)'],
  ['python-client', '"$OCTANT_PYTHON" tests/clients/python_client.py', 'does qdrant-client work?'],
  ['library', 'cmake --preset release && cmake --build --preset release -j 2 --target ' +
    'octant-shared && "$OCTANT_PYTHON" tests/clients/library.py', 'does liboctant.so work alone?'],
  ['js-client', 'node tests/clients/js_client.mjs', 'does @qdrant/js-client-rest work?'],
  ['program', 'node tests/clients/program.mjs', 'do commands and HTTP server keep their word?'],
  ['js', `${BUILD_JS} && node --test --test-reporter=./tests/js/reporter.mjs tests/js/`,
    'does the npm package do what it says? (Node)'],
  ['cases', 'cmake --preset wasi && cmake --build --preset wasi -j 2 --target octant-wasi && ' +
    `${BUILD_PROGRAM} && ${BUILD_JS} && node tests/run/cases.mjs`,
    'is behaviour the same through every door?'],
  ['owners', `${BUILD_PROGRAM} && ${BUILD_JS} && node tests/run/owners.mjs`,
    'has a directory one owner, the program or Node?'],
  ['sim', preset('release', 'sim|oom'),
    'is every acknowledged point there after any crash or fault, and when memory runs out?'],
  ['sim-asan', 'cmake --preset asan && cmake --build --preset asan -j 2 && ' +
    "ctest --preset asan --verbose -R '^(oom/|sim/db_(model|fault|kill))'",
    'and without a memory error?'],
  ['recall', preset('release', 'recall'), 'does approximate search find enough?'],
  ['fuzz', 'cmake --preset fuzz -DOCT_FUZZ_SECONDS=60 && cmake --build --preset fuzz -j 2 && ' +
    'ctest --preset fuzz --verbose -j 2', 'can bytes from outside break it? (60 s a target)'],
  ['browser', `${BUILD_JS} && node tests/browser/run.mjs`, 'and in a real browser? (Chromium)'],
  ['examples', 'node examples/main-job/run.mjs && ' +
    'node examples/node/main.mjs build/example-node && echo "2 passed, 0 failed"',
    'do npm start and the Node example work?'],
];

/** Run one suite; its counts and how long it took. */
function run([name, command]) {
  const path = `build/logs/${name}.log`;
  const log = openSync(path, 'w');
  const started = Date.now();
  const shell = `. tools/env.sh && ${command}`;
  const { status } = spawnSync('bash', ['-c', shell], { stdio: ['ignore', log, log] });
  closeSync(log);
  const text = readFileSync(path, 'utf8');
  let passed = 0;
  let failed = 0;
  for (const count of text.matchAll(/(\d+) passed, (\d+) failed/g)) {
    passed += Number(count[1]);
    failed += Number(count[2]);
  }
  const programs = text.match(/ (\d+) tests failed out of (\d+)/);
  if (programs && passed + failed === 0) {
    failed = Number(programs[1]);
    passed = Number(programs[2]) - failed;
  }
  if (failed === 0 && (status !== 0 || passed === 0)) failed = 1;
  if (failed > 0) console.log(text.split('\n').slice(-120).join('\n'));
  return { passed, failed, minutes: (Date.now() - started) / 60000 };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !SUITES.some((suite) => suite[0] === name));
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(', ')}; there are ${SUITES.map((s) => s[0]).join(', ')}`);
  process.exit(2);
}
process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
mkdirSync('build/logs', { recursive: true });

const total = { passed: 0, failed: 0 };
for (const suite of SUITES.filter((each) => wanted.length === 0 || wanted.includes(each[0]))) {
  console.log(`${suite[0]}: ${suite[2]}`);
  const { passed, failed, minutes } = run(suite);
  const verdict = failed === 0 ? `${passed} ok` : `${failed} FAILED, ${passed} ok`;
  console.log(`${suite[0]}: ${verdict}, ${minutes.toFixed(1)} min`);
  total.passed += passed;
  total.failed += failed;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
