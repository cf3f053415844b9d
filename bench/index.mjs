// SPDX-License-Identifier: Apache-2.0
// index.mjs - the kernels (kernels.c) and the graph (hnsw.c), native and as wasm under Node, beside
// their peers. In every round each contender runs once, so that a noisy neighbour hits all.
import { Samples, lines, report, say } from './kit.mjs';

const KERNEL_ROUNDS = 3; // of the program, which is itself a median of INNER_ROUNDS
const INNER_ROUNDS = 11;

/** Goals for the f32 dot product, over the time of the plain AVX2+FMA kernel and of native avx2. */
const AVX2_GOAL = 1.15;
const WASM_GOAL = 2.5;
/** Goals for graphs in wasm beside native avx2: queries a second at least, building at most. */
const QUERY_GOALS = { wasm128: 0.45, 'wasm-relaxed': 0.6 };
const BUILD_GOAL = 2.5;
/** The operations of octant-relaxed.wasm. */
const RELAXED = ['dot_u7i8', 'dot_u7i8_x4', 'dot_u7u4_x4'];

export function kernels({ native, wasm, node, relaxed }) {
  const samples = new Samples();
  say('kernels');
  for (let round = 0; round < KERNEL_ROUNDS; round++) {
    const measured = [
      ...lines(native, [String(INNER_ROUNDS)]),
      // Without V8's quick first compiler: steady speed is wanted, whenever an operation's turn is.
      ...lines(node, ['--no-liftoff', wasm, String(INNER_ROUNDS)], { OCT_RELAXED: relaxed })
        .filter((line) => line.isa === 'wasm128'
          || line.isa === 'wasm-relaxed' && RELAXED.includes(line.operation)),
    ];
    for (const line of measured)
      samples.add(`${line.dimension}/${line.operation}/${line.isa}`, line.ns);
  }
  for (const key of samples.keys()) reportKernel(samples, key);
}

function reportKernel(samples, key) {
  const [dimension, operation, isa] = key.split('/');
  const row = { name: operation, target: isa, data: `${dimension} dims`, unit: 'ns',
    value: samples.median(key), rounds: KERNEL_ROUNDS * INNER_ROUNDS };
  const reference = `${dimension}/${operation}/reference`;
  const avx2 = `${dimension}/${operation}/avx2`;
  if (isa === 'reference' && operation.endsWith('_x4')) return; // it is the one-pair kernel again
  const isDot = operation === 'dot_f32' || operation === 'dot_f32_x4';
  if (isa.startsWith('wasm') && samples.has(avx2)) {
    Object.assign(row, { peer: 'native avx2', peerValue: samples.median(avx2) });
    if (isDot) row.goal = WASM_GOAL;
  } else if (isa !== 'reference' && samples.has(reference)) {
    Object.assign(row, { peer: 'AVX2+FMA, one pair', peerValue: samples.median(reference) });
    if (isDot && isa === 'avx2') row.goal = AVX2_GOAL;
  }
  report(row);
}

/** Queries a second where recall@10 reaches `recall`, between the two measured points around it. */
function rateAt(searches, recall) {
  const points = searches.map((line) => [line.recall_at_10, line.qps_cpu])
    .sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const above = points.findIndex(([at]) => at >= recall);
  if (above < 0) return undefined;
  if (above === 0) return points[0][1];
  const [[r0, q0], [r1, q1]] = [points[above - 1], points[above]];
  return q0 + (q1 - q0) * (recall - r0) / (r1 - r0);
}

/** Name, unit, and how to read it from the lines one program printed. */
const MEASURES = [
  ['graph build', 's CPU', (all) => all.find((line) => line.bench === 'hnsw_build').cpu_s],
  ['graph build, peak memory without vectors', 'MB',
    (all) => all.find((line) => line.bench === 'hnsw_build').peak_bytes / 1e6],
  ['queries at recall@10 .95', '/s',
    (all) => rateAt(all.filter((line) => line.bench === 'hnsw_search'), 0.95)],
  ['queries at recall@10 .99', '/s',
    (all) => rateAt(all.filter((line) => line.bench === 'hnsw_search'), 0.99)],
  ['exact scan, queries', '/s', (all) => all.find((line) => line.bench === 'flat_scan')?.qps_cpu],
];

export function graph({ native, wasm, node, python, peer, relaxed }, data, rounds) {
  const files = [data.vectors, data.queries];
  const shape = [String(data.count), String(data.size)];
  const ours = [...files, '-', ...shape];
  const contenders = [
    ['native', native, ours, {}],
    ['native avx2', native, ours, { OCT_ISA: 'avx2' }],
    ['wasm128', node, [wasm, ...ours], {}],
    ['wasm-relaxed', node, [wasm, ...ours], { OCT_RELAXED: relaxed }],
    ['hnswlib', python, [peer, ...files, ...shape], {}],
  ];
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    for (const [name, program, words, environment] of contenders) {
      say(`graph, round ${round + 1} of ${rounds}: ${name}`);
      const all = lines(program, words, environment);
      for (const [measure, , read] of MEASURES) {
        const value = read(all);
        if (value !== undefined) samples.add(`${measure}/${name}`, value);
      }
    }
  }
  for (const [measure, unit] of MEASURES) {
    for (const [name] of contenders) {
      if (samples.has(`${measure}/${name}`))
        reportGraph(samples, { measure, unit, name }, data, rounds);
    }
  }
}

function reportGraph(samples, { measure, unit, name }, data, rounds) {
  const row = { name: measure, target: name, data: data.name, unit, rounds,
    value: samples.median(`${measure}/${name}`) };
  const peer = name.startsWith('wasm') ? 'native avx2' : 'hnswlib';
  if (name !== 'hnswlib' && samples.has(`${measure}/${peer}`))
    Object.assign(row, { peer, peerValue: samples.median(`${measure}/${peer}`) });
  if (name in QUERY_GOALS && measure.startsWith('queries'))
    Object.assign(row, { goal: QUERY_GOALS[name], atLeast: true });
  if (name in QUERY_GOALS && measure === 'graph build') row.goal = BUILD_GOAL;
  report(row);
}
