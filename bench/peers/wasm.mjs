#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// wasm.mjs - Octant's npm package and its peers from npm, in Node or Chromium, on the same vectors,
// in the same run; and native Octant with its AVX2 kernels, for what WebAssembly costs.
//
//     "$OCTANT_NODE" bench/peers/wasm.mjs --data FOLDER [--points N] [--peers a,b] [--rounds N]
//                                         [--browser]
//
// As native.py, which see: a process for each, contenders in turns, medians of CPU time, one query
// a call. Octant is called through searchVectors, the typed method of the package, in memory; the
// native side is octant-avx2 of native.py, called from Python. Peers without an ef have one point.
// With --browser all but the native side run in Chromium (wasm_browser.mjs), by wall time. Writes
// wasm.jsonl and wasm.md, or browser.*, to build/bench. Needs: setup.sh wasm js bench;
// octant-shared of preset release, octant-wasm of preset wasm, npm run build:js.
import { execFileSync, fork, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ADAPTERS } from './wasm_adapters.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '../..');
const EFS = [10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 400];
const RECALLS = [0.95, 0.99];
const ENOUGH = 0.995;
const NATIVE = 'native avx2';
const started = performance.now();

function say(text) {
  console.error(`[${((performance.now() - started) / 1000).toFixed(0)} s] ${text}`);
}

function readOptions() {
  const { values } = parseArgs({ options: {
    data: { type: 'string' }, points: { type: 'string', default: '20000' },
    peers: { type: 'string', default: Object.keys(ADAPTERS).join(',') },
    rounds: { type: 'string', default: '5' },
    browser: { type: 'boolean', default: false },
    out: { type: 'string', default: join(ROOT, 'build/bench') },
    library: { type: 'string', default: join(ROOT, 'build/release/liboctant.so') },
  } });
  if (values.data === undefined) throw new Error('--data FOLDER is missing');
  const names = [...new Set(['octant', ...values.peers.split(',')])];
  const unknown = names.find((name) => !(name in ADAPTERS));
  if (unknown) throw new Error(`no peer named ${unknown}; there are ${Object.keys(ADAPTERS)}`);
  return { ...values, points: Number(values.points), rounds: Number(values.rounds), names };
}

// ---- workers ---------------------------------------------------------------------------------

/** Requests one at a time; a process that ends fails them. */
function workerOf(child, send, onReply) {
  let settle = null;
  let gone = null;
  const reply = (value) => { settle?.(value); settle = null; };
  onReply(reply);
  child.on('exit', (code, signal) => {
    gone = { failed: `the process ended with ${code ?? signal}` };
    reply(gone);
  });
  return {
    ask: (kind, members = {}) => new Promise((resolve) => {
      if (gone !== null) return resolve(gone);
      settle = resolve;
      if (kind !== null) send({ kind, ...members });
    }),
    end: () => child.kill(),
  };
}

async function startNode(name, options) {
  const child = fork(join(HERE, 'wasm_worker.mjs'), [name, JSON.stringify(options)],
    { execArgv: ['--expose-gc', '--no-warnings'], execPath: process.execPath,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const worker = workerOf(child, (request) => child.send(request),
    (reply) => child.on('message', reply));
  const first = await worker.ask(null);
  if (first.failed) say(`${name}: ${first.failed}`);
  return worker;
}

function startNative(options, directory) {
  const child = spawn(process.env.OCTANT_PYTHON, [join(HERE, 'worker.py'), 'octant-avx2',
    JSON.stringify({ ...options, threads: 1 }), join(directory, 'native')],
  { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, OPENBLAS_NUM_THREADS: '1' } });
  const send = (request) => child.stdin.write(`${JSON.stringify(
    request.kind === 'pass' ? { ...request, mode: '' } : request)}\n`);
  return workerOf(child, send, (reply) => createInterface({ input: child.stdout })
    .on('line', (line) => reply(JSON.parse(line))));
}

// ---- measuring -------------------------------------------------------------------------------

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/** Curves by name: { ef, recall, qps, wall_qps }, medians over the rounds, in turns. */
async function measure(contenders, rounds) {
  const taken = new Map(contenders.map(({ name }) => [name, new Map()]));
  const done = new Set();
  for (let round = 0; round <= rounds; round++) { // the first warms up and finds out the recalls
    for (const ef of EFS) {
      for (const { name, worker, fixed } of round % 2 ? contenders : contenders.toReversed()) {
        const rows = taken.get(name);
        if (round === 0 ? done.has(name) : !rows.has(ef)) continue;
        const row = await worker.ask('pass', { ef });
        if (row.failed) {
          say(`${name}: ${row.failed}`);
          done.add(name);
        } else if (round === 0) {
          rows.set(ef, []);
          if (row.recall >= ENOUGH || fixed) done.add(name);
        } else {
          rows.get(ef).push(row);
        }
      }
    }
    say(`round ${round} of ${rounds} done`);
  }
  return new Map([...taken].map(([name, rows]) => [name, [...rows].filter(([, each]) => each.length)
    .map(([ef, each]) => ({ ef, ...Object.fromEntries(['recall', 'qps', 'wall_qps', 'batch_qps']
      .filter((key) => key in each[0])
      .map((key) => [key, median(each.map((row) => row[key]))])) }))]));
}

/** Queries a second at a recall; `bound` when the smallest ef has more. */
function atRecall(curve, recall, key = 'qps') {
  const index = curve.findIndex((row) => row.recall >= recall);
  if (index < 0) return null;
  if (index === 0) return { qps: curve[0][key], bound: true };
  const [below, above] = [curve[index - 1], curve[index]];
  const share = (recall - below.recall) / (above.recall - below.recall);
  return { qps: below[key] ** (1 - share) * above[key] ** share, bound: false };
}

const show = (figure) => figure === null ? '–'
  : `${figure.bound ? '>' : ''}${figure.qps.toFixed(0)}`;

function tableOf(curves, builds) {
  const lines = ['| | build, CPU s | memory, MB | q/s at .95 | at .99 | Octant over it .95 | .99 |',
    '|---|---|---|---|---|---|---|'];
  const figures = new Map([...curves].map(([name, curve]) =>
    [name, RECALLS.map((recall) => atRecall(curve, recall))]));
  const ours = figures.get('octant');
  const order = [...figures].sort(([, [a]], [, [b]]) => (b?.qps ?? 0) - (a?.qps ?? 0));
  for (const [name, found] of order) {
    const build = builds.get(name);
    const memory = name === NATIVE ? build.anonymous_mb + build.mapped_mb : build.memory_mb;
    const ratios = found.map((figure, i) => figure && ours[i]
      ? (ours[i].qps / figure.qps).toFixed(2) : '–');
    lines.push(`| ${name} | ${build.cpu_s.toFixed(1)} | ${memory?.toFixed(0) ?? '–'} | ` +
      `${found.map(show).join(' | ')} | ${ratios.join(' | ')} |`);
  }
  const batch = RECALLS.map((recall) => show(atRecall(curves.get('octant'), recall, 'batch_qps')));
  lines.push('',
    `Octant, all queries in one searchVectors: q/s at .95 ${batch[0]}, at .99 ${batch[1]}`,
    `build: Octant in wasm over native avx2: ` +
    (builds.get('octant').cpu_s / builds.get(NATIVE).cpu_s).toFixed(2));
  return `${lines.join('\n')}\n`;
}

// ---- the run ---------------------------------------------------------------------------------

async function buildAll(options, directory, start) {
  const contenders = [];
  const builds = new Map();
  for (const name of [NATIVE, ...options.names]) {
    say(`build ${name} ...`);
    const worker = name === NATIVE ? startNative(options, directory)
      : await start(name);
    const row = await worker.ask('build');
    say(`build ${name}: ${JSON.stringify(row)}`);
    builds.set(name, row);
    if (row.failed === undefined) contenders.push({ name, worker, fixed: row.fixed });
  }
  return { contenders, builds };
}

async function main() {
  const given = readOptions();
  mkdirSync(given.out, { recursive: true });
  const directory = mkdtempSync(join(given.out, 'wasm-'));
  const python = process.env.OCTANT_PYTHON;
  const query_count = readFileSync(join(given.data, 'queries.f32')).length
    / 4 / JSON.parse(readFileSync(join(given.data, 'queries.f32.json'), 'utf8')).dim;
  const told = JSON.parse(execFileSync(python, [join(HERE, 'common.py'), JSON.stringify(
    { data: given.data, points: given.points, queries: query_count, directory })]));
  const options = { ...given, ...told, queries: query_count, query_count,
    peers: join(process.env.OCTANT_PEERS, 'node_modules') };
  const browser = given.browser
    ? await (await import('./wasm_browser.mjs')).startBrowser(options, say) : null;
  const { contenders, builds } = await buildAll(options, directory,
    browser?.start ?? ((name) => startNode(name, options)));
  const kind = given.browser ? 'browser' : 'wasm';
  try {
    const curves = await measure(contenders, given.rounds);
    const rows = [...builds].map(([peer, row]) => ({ bench: 'wasm_build', peer, ...row }));
    for (const [peer, curve] of curves) {
      rows.push(...curve.map((row) => ({ bench: 'wasm_search', peer, ...row })));
    }
    const text = tableOf(curves, builds);
    writeFileSync(join(given.out, `${kind}.jsonl`),
      rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    writeFileSync(join(given.out, `${kind}.md`), text);
    console.log(text);
  } finally {
    for (const { worker } of contenders) worker.end();
    await browser?.close();
    rmSync(directory, { recursive: true });
  }
  return [...builds.values()].some(({ failed }) => failed) ? 1 : 0;
}

process.exit(await main());
