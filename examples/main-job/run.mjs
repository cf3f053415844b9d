// SPDX-License-Identifier: Apache-2.0
// run.mjs - the main job, end to end: `npm start`.
//
// Builds the native program, the npm package and the WASI program; imports 10,000 real sentence
// embeddings (../data) with the native one; then asks 100 questions, without and with filters,
// through every door, on the files that the native program wrote. Ids and scores must be equal, to
// the bit: one difference and the exit code is 1.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PROGRAM, openBrowser, openNative, openNode, openWasi } from './doors.mjs';
import { rowsOf } from './half.mjs';
import { COLLECTION, INDEXES, KINDS, LIMIT, SIZE, VECTORS, questions } from './job.mjs';

const DIRECTORY = 'build/main-job';
const DATA = 'examples/data';
const POINTS = 10000;
const SHOWN = [0, 1, 9];

const STEPS = [
  ['tools and libraries', 'bash tools/setup.sh core wasm js browser python'],
  ['native program', 'cmake --preset release && cmake --build --preset release --target octant'],
  ['npm package', 'cmake --preset wasm && '
    + 'cmake --build --preset wasm --target octant-wasm && npm run --silent build:js'],
  ['WASI program', 'cmake --preset wasi && cmake --build --preset wasi --target octant-wasi'],
];

/** Name, where its data is, how it is opened. */
const DOORS = [
  ['native', 'the directory', openNative],
  ['Node (wasm)', 'the same directory', openNode],
  ['WASI (wasmtime)', 'the same directory', openWasi],
  ['Chromium (wasm)', 'imported into OPFS', openBrowser],
];

function build([name, command], number) {
  const path = `build/logs/main-job-${number + 1}.log`;
  mkdirSync('build/logs', { recursive: true });
  const log = openSync(path, 'w');
  const started = Date.now();
  const { status } = spawnSync('bash', ['-c', `. tools/env.sh && ${command}`],
    { stdio: ['ignore', log, log] });
  closeSync(log);
  if (status !== 0) {
    console.error(readFileSync(path, 'utf8').split('\n').slice(-60).join('\n'));
    throw new Error(`${name}: the build failed; all of it is in ${path}`);
  }
  console.log(`built ${name} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Run the native program; its standard output. */
function octant(...words) {
  const run = spawnSync(PROGRAM, [...words, '--data', DIRECTORY], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`octant ${words[0]}: ${run.stdout}${run.stderr}`);
  return run.stdout;
}

const call = (...words) => JSON.parse(octant('call', ...words)).result;

/** A collection is ready when every vector stands in a graph. */
function expectIndexed(where, { status, points_count, indexed_vectors_count }) {
  const found = `${status}, ${points_count} points, ${indexed_vectors_count} indexed`;
  const expected = `green, ${POINTS} points, ${POINTS} indexed`;
  if (found !== expected) throw new Error(`${where}: ${found}; expected ${expected}`);
}

function importPoints() {
  rmSync(DIRECTORY, { recursive: true, force: true });
  call('PUT', `/collections/${COLLECTION}`, JSON.stringify({ vectors: VECTORS }));
  for (const [field_name, field_schema] of INDEXES) {
    call('PUT', `/collections/${COLLECTION}/index?wait=true`,
      JSON.stringify({ field_name, field_schema }));
  }
  const report = octant('import', `${DATA}/vectors.f16`, '--payload', `${DATA}/payload.jsonl`,
    '--collection', COLLECTION);
  expectIndexed('after the import', call('GET', `/collections/${COLLECTION}`));
  console.log(report.trimEnd());
}

/** A few questions as a person would read them. */
async function show(door, texts, vectors) {
  for (const at of SHOWN) {
    const body = { query: [...vectors[at]], limit: 3, with_payload: ['name', 'registry'] };
    console.log(`\n  ${texts[at].slice(0, 96)}`);
    for (const { score, payload } of await door.query(body)) {
      console.log(`    ${score.toFixed(4)}  ${payload.name} (${payload.registry})`);
    }
  }
}

const bits = (score) => new Int32Array(Float32Array.of(score).buffer)[0];
const words = (answer) => answer.map(({ id, score }) => `${id}:${bits(score)}`).join(' ');

/** The questions whose answers differ. */
function differences(one, other) {
  return one.map((_, i) => i).filter((i) => words(one[i]) !== words(other[i]));
}

/** The share of the exact answers that was found, for each kind of question. */
function recalls(answers, exact) {
  const per = exact.length / KINDS.length;
  return KINDS.map((_, kind) => {
    let found = 0;
    let all = 0;
    for (let i = kind * per; i < (kind + 1) * per; i++) {
      const ids = new Set(answers[i].map(({ id }) => id));
      found += exact[i].filter(({ id }) => ids.has(id)).length;
      all += exact[i].length;
    }
    return found / all;
  });
}

function printTable(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i])).join('  '));
}

/** Ask through one door; the first one also answers exactly and shows a few answers. */
async function visit([name, , open], vectors, texts, seen) {
  const door = await open(DIRECTORY);
  try {
    if (door.loaded) expectIndexed(name, door.loaded);
    if (seen.exact === null) {
      seen.exact = (await door.askAll(questions(vectors, { exact: true }))).answers;
      await show(door, texts, vectors);
    }
    return await door.askAll(questions(vectors));
  } finally {
    await door.close();
  }
}

async function main() {
  STEPS.forEach(build);
  importPoints();
  const file = readFileSync(`${DATA}/queries.f16`);
  const vectors = rowsOf(file.buffer.slice(file.byteOffset, file.byteOffset + file.length), SIZE);
  const texts = readFileSync(`${DATA}/queries.jsonl`, 'utf8').trimEnd().split('\n')
    .map((line) => JSON.parse(line).text);
  const seen = { exact: null };
  const results = [];
  for (const door of DOORS) results.push(await visit(door, vectors, texts, seen));

  console.log(`\nrecall@${LIMIT} against the exact answers, and the time a question took, one after`
    + ' the other, with\nmaking and reading its JSON:\n');
  printTable([
    ['door', 'data', 'questions', 'time each', ...KINDS.map(([name]) => name)],
    ...DOORS.map(([name, data], i) => [name, data, String(results[i].answers.length),
      `${results[i].milliseconds.toFixed(2)} ms`,
      ...recalls(results[i].answers, seen.exact).map((recall) => recall.toFixed(4))]),
  ]);
  let different = 0;
  for (let i = 1; i < DOORS.length; i++) {
    const found = differences(results[0].answers, results[i].answers);
    different += found.length;
    for (const at of found.slice(0, 3)) {
      console.error(`\nquestion ${at}, ${DOORS[0][0]}: ${words(results[0].answers[at])}`);
      console.error(`question ${at}, ${DOORS[i][0]}: ${words(results[i].answers[at])}`);
    }
  }
  console.log(different === 0
    ? `\nids and scores are equal in ${DOORS.length} doors: ${DOORS.map(([n]) => n).join(', ')}`
    : `\nanswers that differ from those of the native program: ${different}`);
  process.exitCode = different === 0 ? 0 : 1;
}

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
await main();
