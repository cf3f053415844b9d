// SPDX-License-Identifier: Apache-2.0
// memory.mjs - how much memory an open collection takes, and what it answers with that.
//
//   node bench/memory.mjs --data FOLDER [--only CONFIG[,CONFIG...]] [--octant PROGRAM]
//                         [--work DIR] [--distance NAME] [--keep]
//   node bench/memory.mjs --data FOLDER --heap-mb 768 --only int8 [--open DIR]
//
// FOLDER has vectors.f32 and queries.f32 with headers beside them (.json: n, dim) and gt.i32, the
// exact 100 nearest of each query (else recall is not shown). For each configuration: import and
// index by the native program, whose peak is a row; then the resident memory of `octant serve`
// after opening, and after all queries were answered, with rescoring, as bytes a point over what
// f32 vectors, the links of a graph of M 16 and ids take (1,685 bytes at 384 dimensions).
//
// With --heap-mb the collection is opened by the npm package in this process instead, with a
// wasm memory of at most so many MB, and searched by searchVectors. --open takes a database
// that an earlier run with --keep left in its --work.
//
// The resident memory is what Linux counts (VmRSS): anonymous pages and touched pages of files.
import { spawn, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { freePort, report, say, table } from './kit.mjs';

const LIMIT = 10;
const LINK_BYTES = 141; // of a point in a graph of M 16, upper levels included
const ID_BYTES = 8;
const POLL_MS = 50;
const OVERSAMPLING = 16; // of binary codes
const EF = { f32: 128, bare: 128, int8: 128, binary: 256, cold: 128 };

const cold = { memory: 'cold' };
/** Vector, quantization_config, search params, goal over the unit. */
const CONFIGS = {
  f32: { goal: 1.35, says: 'f32 and the codes a graph is walked on' },
  bare: { hnsw: { inline_storage: false }, goal: 1.10, says: 'f32, a graph without codes' },
  cold: { vector: cold, says: 'f32 on disk, the codes a graph is walked on' },
  int8: { vector: cold, goal: 0.35, says: 'int8, originals on disk',
    quantization: { scalar: { type: 'int8', memory: 'pinned' } }, params: { rescore: true } },
  binary: { vector: cold, goal: 0.15,
    says: `binary, originals on disk, oversampling ${OVERSAMPLING}`,
    quantization: { binary: { memory: 'pinned', query_encoding: 'scalar8bits' } },
    params: { rescore: true, oversampling: OVERSAMPLING } },
};

function dataOf(folder) {
  const header = (name) => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'));
  const { n, dim } = header('vectors.f32');
  const queries = floats(readFileSync(`${folder}/queries.f32`));
  const exact = existsSync(`${folder}/gt.i32`) && readFileSync(`${folder}/gt.i32`);
  const truth = exact && new Int32Array(exact.buffer.slice(exact.byteOffset,
    exact.byteOffset + exact.length));
  return { vectors: `${folder}/vectors.f32`, count: n, dim, name: `${n} x ${dim}`,
    queries: Array.from({ length: queries.length / dim }, (_, i) =>
      queries.subarray(i * dim, (i + 1) * dim)),
    truth: truth && Array.from({ length: truth.length / 100 }, (_, i) =>
      truth.subarray(i * 100, i * 100 + LIMIT)) };
}

function floats(bytes) {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** A field of /proc/PID/status in bytes. */
function status(pid, field) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(text.match(new RegExp(`${field}:\\s+(\\d+) kB`))[1]);
}

/** Run to the end; the peak of its resident memory. */
function peakOf(program, words) {
  return new Promise((resolve, reject) => {
    let peak = 0;
    const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const look = () => {
      try { peak = Math.max(peak, status(child.pid, 'VmHWM')); } catch { /* it just ended */ }
    };
    const timer = setInterval(look, POLL_MS);
    child.once('error', reject);
    child.once('exit', (code) => {
      clearInterval(timer);
      if (code === 0) resolve(peak);
      else reject(new Error(`octant ${words[0]} ended with ${code}`));
    });
  });
}

function bodyOf(config, data, distance) {
  const body = { vectors: { size: data.dim, distance, ...config.vector } };
  if (config.hnsw) body.hnsw_config = config.hnsw;
  if (config.quantization) body.quantization_config = config.quantization;
  return JSON.stringify(body);
}

async function make(octant, directory, name, data, distance) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  execFileSync(octant, ['call', 'PUT', '/collections/c',
    bodyOf(CONFIGS[name], data, distance), '--data', directory], { stdio: 'ignore' });
  const begin = performance.now();
  const peak = await peakOf(octant, ['import', data.vectors, '--collection', 'c', '--data',
    directory]);
  const row = { target: name, data: data.name, rounds: 1 };
  report({ ...row, name: 'import and index, peak resident', value: peak / 2 ** 20, unit: 'MB' });
  const seconds = (performance.now() - begin) / 1000;
  report({ ...row, name: 'import and index', value: seconds, unit: 's' });
}

async function serve(octant, directory) {
  const port = await freePort();
  const child = spawn(octant, ['serve', '--data', directory, '--port', String(port)],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  await Promise.race([new Promise((resolve) => { child.stdout.once('data', resolve); }),
    ended.then((code) => { throw new Error(`octant serve ended with ${code}`); })]);
  const post = async (path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}/collections/c${path}`,
      { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body),
        headers: { 'content-type': 'application/json' } });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
    return (await answer.json()).result;
  };
  const stop = async () => { child.kill('SIGTERM'); await ended; };
  return { pid: child.pid, post, stop };
}

/** Ask `find(query)` for the ids nearest to each; queries a second, share found. */
async function ask(data, find) {
  let found = 0;
  const begin = performance.now();
  for (const [i, query] of data.queries.entries()) {
    const ids = await find(query);
    if (data.truth) found += data.truth[i].filter((id) => ids.includes(id)).length;
  }
  return { rate: data.queries.length / (performance.now() - begin) * 1000,
    recall: found / (LIMIT * data.queries.length) };
}

function reportAnswers(row, data, { rate, recall }) {
  report({ ...row, name: 'queries, one after another', value: rate, unit: '/s' });
  if (data.truth) report({ ...row, name: 'recall@10', value: recall, unit: '' });
}

async function native(octant, directory, name, data) {
  const { goal, params, says } = CONFIGS[name];
  const unit = 4 * data.dim + LINK_BYTES + ID_BYTES;
  const server = await serve(octant, directory);
  const row = { target: name, data: `${data.name}: ${says}`, rounds: 1 };
  const weigh = (when) => {
    const bytes = status(server.pid, 'VmRSS') / data.count;
    report({ ...row, name: `resident ${when}, bytes a point`, value: bytes, unit: 'B' });
    report({ ...row, name: `resident ${when}, over the unit`, value: bytes / unit, unit: '',
      goal });
  };
  try {
    const { status: color } = await server.post('');
    if (color !== 'green') say(`the collection is ${color}`);
    weigh('after opening');
    const find = async (query) => {
      const { points } = await server.post('/points/query', { query: [...query], limit: LIMIT,
        params: { hnsw_ef: EF[name], quantization: params } });
      return points.map((point) => point.id);
    };
    reportAnswers(row, data, await ask(data, find));
    weigh('after queries');
    const parts = await server.post('/memory').catch(() => undefined);
    if (parts) say(JSON.stringify(parts));
  } finally {
    await server.stop();
  }
}

/** Let no wasm memory grow beyond so many bytes; a function that says how far one grew. */
function limitMemory(most) {
  const { grow } = WebAssembly.Memory.prototype;
  let peak = 0;
  WebAssembly.Memory.prototype.grow = function limited(pages) {
    if (this.buffer.byteLength + pages * 65536 > most) throw new RangeError('memory is limited');
    const before = grow.call(this, pages);
    peak = Math.max(peak, this.buffer.byteLength);
    return before;
  };
  return () => peak;
}

/** The same through the npm package, in a wasm memory of at most so many MB. */
async function heap(directory, name, data, megabytes) {
  const { open } = await import('../js/dist/node.js');
  const row = { target: `${name}, Node`, data: data.name, rounds: 1 };
  const peak = limitMemory(megabytes * 2 ** 20);
  const begin = performance.now();
  const db = await open({ storage: 'node', path: directory });
  report({ ...row, name: 'open', value: (performance.now() - begin) / 1000, unit: 's' });
  const find = async (vectors) => {
    const { ids } = await db.searchVectors('c', { vectors, limit: LIMIT,
      params: { hnsw_ef: EF[name], quantization: CONFIGS[name].params } });
    return ids;
  };
  for (const when of ['first', 'second']) {
    const answers = await ask(data, find);
    reportAnswers({ ...row, data: `${data.name}, ${when} time` }, data, answers);
  }
  report({ ...row, name: 'wasm memory', value: peak() / 2 ** 20, unit: 'MB', goal: megabytes });
  await db.close();
}

async function main() {
  const { values } = parseArgs({ options: { data: { type: 'string' }, only: { type: 'string' },
    octant: { type: 'string', default: 'build/release/octant' },
    work: { type: 'string', default: 'build/bench-memory' }, open: { type: 'string' },
    distance: { type: 'string', default: 'Cosine' }, 'heap-mb': { type: 'string' },
    keep: { type: 'boolean', default: false } } });
  if (!values.data) throw new Error('--data FOLDER is missing');
  const data = dataOf(values.data);
  for (const name of values.only ? values.only.split(',') : Object.keys(CONFIGS)) {
    if (!CONFIGS[name]) throw new Error(`${name} is none of ${Object.keys(CONFIGS).join(', ')}`);
    const directory = values.open ?? `${values.work}/${name}`;
    say(`${name}: ${CONFIGS[name].says}`);
    if (!values.open) await make(values.octant, directory, name, data, values.distance);
    if (values['heap-mb']) await heap(directory, name, data, Number(values['heap-mb']));
    else await native(values.octant, directory, name, data);
    if (!values.keep && !values.open) rmSync(directory, { recursive: true, force: true });
  }
  say(`\n${table()}`);
}

main().catch((error) => {
  say(`memory: ${error.stack}`);
  process.exitCode = 1;
});
