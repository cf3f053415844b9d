// SPDX-License-Identifier: Apache-2.0
// run.mjs - all benchmarks by one command: `npm run bench`.
//
//   node bench/run.mjs [--quick] [--rounds N] [--build DIR] [--only PART[,PART...]]
//
// Builds what it needs, then prints one JSON line per result to standard output (the form is in
// kit.mjs) and, at the end, a table to standard error. PARTs: kernels, graph, import, rest, size.
//
// Data: the 100,000 sentence embeddings of $OCTANT_DATA/minilm (vectors.f32, queries.f32,
// payload.jsonl), or with --quick the 10,000 of examples/data, which takes less than two minutes.
// A missed goal is shown, not an error: the machine may be busy. What cannot run is an error.
import { spawnSync, execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync }
  from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rowsOf } from '../examples/main-job/half.mjs';
import { graph, kernels } from './index.mjs';
import { say, table } from './kit.mjs';
import { imports, rest, size } from './program.mjs';

const SIZE = 384; // dimensions of both data sets
const REST_QUERIES = 100;
const PARTS = ['kernels', 'graph', 'import', 'rest', 'size'];
const ROUNDS = { quick: 3, full: 3 };

const WASM_LINK = '-sNODERAWFS=1 -sEXIT_RUNTIME=1 -sALLOW_MEMORY_GROWTH=1 -sMAXIMUM_MEMORY=4GB '
  + '-sALLOW_TABLE_GROWTH=1';

/** What each part needs built; {} stands for the build directory. */
const STEPS = [
  [PARTS, 'tools', 'bash tools/setup.sh core wasm js bench'],
  [['kernels', 'graph', 'import', 'rest'], 'native', 'cmake --preset release -B {}/release && '
    + 'cmake --build {}/release --target bench-kernels bench-hnsw octant'],
  [['kernels', 'graph'], 'wasm', 'cmake --preset wasm -B {}/bench-wasm -DOCT_TESTS=OFF '
    + `-DOCT_BENCH=ON -DCMAKE_EXECUTABLE_SUFFIX_C=.cjs -DCMAKE_EXE_LINKER_FLAGS='${WASM_LINK}' && `
    + 'cmake --build {}/bench-wasm --target bench-kernels bench-hnsw octant-relaxed'],
  [['size'], 'package', 'cmake --preset wasm -B {}/wasm && '
    + 'cmake --build {}/wasm --target octant-wasm && npm run --silent build:js'],
];

function build(directory, parts) {
  mkdirSync(`${directory}/logs`, { recursive: true });
  for (const [users, name, command] of STEPS) {
    if (!users.some((part) => parts.includes(part))) continue;
    say(`building: ${name}`);
    const path = `${directory}/logs/bench-${name}.log`;
    const log = openSync(path, 'w');
    const script = `. tools/env.sh && ${command.replaceAll('{}', `'${directory}'`)}`;
    const { status } = spawnSync('bash', ['-c', script], { stdio: ['ignore', log, log] });
    closeSync(log);
    if (status === 0) continue;
    say(readFileSync(path, 'utf8').split('\n').slice(-40).join('\n'));
    throw new Error(`${name}: the build failed; all of it is in ${path}`);
  }
}

function programs(directory) {
  const tools = execFileSync('bash',
    ['-c', '. tools/env.sh && printf "%s\\n%s" "$OCTANT_NODE" "$OCTANT_PYTHON"'],
    { encoding: 'utf8' });
  const [node, python] = tools.split('\n');
  return { node, python, octant: `${directory}/release/octant` };
}

/** The 16-bit rows of a file as 32-bit ones in another. */
function widen(from, to) {
  const bytes = readFileSync(from);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  writeFileSync(to, Buffer.concat(rowsOf(buffer, SIZE).map((row) => Buffer.from(row.buffer))));
}

function quickData(directory) {
  const [vectors, queries] = ['vectors', 'queries'].map((name) => `${directory}/${name}.f32`);
  mkdirSync(directory, { recursive: true });
  widen('examples/data/vectors.f16', vectors);
  widen('examples/data/queries.f16', queries);
  return { vectors, queries, source: 'examples/data/vectors.f16',
    payload: 'examples/data/payload.jsonl' };
}

function fullData() {
  const folder = `${process.env.OCTANT_DATA ?? ''}/minilm`;
  if (!process.env.OCTANT_DATA || !existsSync(folder))
    throw new Error('OCTANT_DATA must name the folder that holds minilm/, or say --quick');
  return { vectors: `${folder}/vectors.f32`, queries: `${folder}/queries.f32`,
    source: `${folder}/vectors.f32`, payload: `${folder}/payload.jsonl` };
}

function choose(quick, directory) {
  const files = quick ? quickData(directory) : fullData();
  const count = statSync(files.vectors).size / (4 * SIZE);
  return { ...files, size: SIZE, count, name: `${count} x ${SIZE}` };
}

function queriesOf({ queries }) {
  const bytes = readFileSync(queries);
  return Array.from({ length: Math.min(REST_QUERIES, bytes.length / (4 * SIZE)) }, (_, row) =>
    Array.from({ length: SIZE }, (__, i) => bytes.readFloatLE(4 * (row * SIZE + i))));
}

async function main() {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)));
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false },
    rounds: { type: 'string' }, build: { type: 'string', default: 'build' },
    only: { type: 'string' } } });
  const parts = values.only ? values.only.split(',') : PARTS;
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown) throw new Error(`${unknown} is no part; there are ${PARTS.join(', ')}`);
  const rounds = Number(values.rounds ?? (values.quick ? ROUNDS.quick : ROUNDS.full));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds wants a number from 1 on');
  const data = choose(values.quick, `${values.build}/bench-data`);
  build(values.build, parts);
  const { node, python, octant } = programs(values.build);
  const at = (name) => ({ node, native: `${values.build}/release/bench-${name}`,
    wasm: `${values.build}/bench-wasm/bench-${name}.cjs`, relaxed: 'js/dist/octant-relaxed.wasm' });
  const database = `${values.build}/bench-db`;
  if (parts.includes('kernels')) kernels(at('kernels'));
  if (parts.includes('graph'))
    graph({ ...at('hnsw'), python, peer: 'bench/hnsw_peer.py' }, data, rounds);
  if (parts.includes('import') || parts.includes('rest'))
    imports(octant, database, data, parts.includes('import') ? rounds : 1);
  if (parts.includes('rest')) await rest(octant, database, data, queriesOf(data), rounds);
  if (parts.includes('size')) size('js/dist');
  say(`\n${table()}`);
}

main().catch((error) => {
  say(`bench: ${error.message}`);
  process.exitCode = 1;
});
