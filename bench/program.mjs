// SPDX-License-Identifier: Apache-2.0
// program.mjs - what people run: `octant import`, searches over the REST API of `octant serve`, and
// the size of what a page downloads.
import { readFileSync, readdirSync, rmSync, mkdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { Samples, freePort, median, output, report, say } from './kit.mjs';

const LIMIT = 10;
const REST_MS = 2000; // of one measurement
const CONNECTIONS = 4;
const SIZE_GOAL_KB = 200;

function importOnce(octant, directory, data) {
  rmSync(directory, { recursive: true, force: true });
  const said = output(octant, ['import', data.source, '--collection', 'c', '--data', directory,
    '--vector-size', String(data.size), '--payload', data.payload]);
  const [, points, seconds] = said.match(/imported (\d+) points in ([\d.]+) s/);
  const [, indexing] = said.match(/indexed in ([\d.]+) s/);
  if (Number(points) !== data.count) throw new Error(`${points} points came in: ${said}`);
  return { seconds: Number(seconds), indexing: Number(indexing) };
}

/** Times the whole program: starting, reading the files, durable writes, the graph. */
export function imports(octant, directory, data, rounds) {
  const samples = new Samples();
  mkdirSync(directory, { recursive: true });
  for (let round = 0; round < rounds; round++) {
    say(`import, round ${round + 1} of ${rounds}`);
    const begin = performance.now();
    const { indexing } = importOnce(octant, directory, data);
    const whole = (performance.now() - begin) / 1000;
    samples.add('loaded', data.count / (whole - indexing));
    samples.add('ready', data.count / whole);
  }
  const row = { target: 'octant import', data: data.name, unit: 'points/s', rounds };
  report({ ...row, name: 'import, durable', value: samples.median('loaded') });
  report({ ...row, name: 'import, durable and indexed', value: samples.median('ready') });
}

/** One search over a kept connection; the ids found. */
function search(agent, port, body) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json',
      'content-length': Buffer.byteLength(body) };
    const path = '/collections/c/points/query';
    const outgoing = request({ agent, host: '127.0.0.1', port, method: 'POST', path, headers },
      (incoming) => {
        const chunks = [];
        incoming.on('data', (chunk) => chunks.push(chunk));
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          if (incoming.statusCode === 200) resolve(JSON.parse(text).result.points.map((p) => p.id));
          else reject(new Error(`HTTP ${incoming.statusCode}: ${text}`));
        });
      });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Bodies sent over `connections` at once until the time is up; answers per second. */
async function rate(port, bodies, connections) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const end = performance.now() + REST_MS;
  let answered = 0;
  const client = async (first) => {
    for (let i = first; performance.now() < end; i++) {
      await search(agent, port, bodies[i % bodies.length]);
      answered++;
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: connections }, (_, i) => client(i * 7)));
  const seconds = (performance.now() - begin) / 1000;
  agent.destroy();
  return answered / seconds;
}

async function recall(port, queries) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let found = 0;
  for (const query of queries) {
    const body = { query, limit: LIMIT };
    const got = await search(agent, port, JSON.stringify(body));
    const want = await search(agent, port, JSON.stringify({ ...body, params: { exact: true } }));
    found += want.filter((id) => got.includes(id)).length;
  }
  agent.destroy();
  return found / (LIMIT * queries.length);
}

async function started(octant, directory, port) {
  const child = spawn(octant, ['serve', '--data', directory, '--port', String(port)],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve); // the line that says it is ready
    child.once('exit', (code) => reject(new Error(`octant serve ended with ${code}`)));
  });
  return child;
}

/** Searches the database that the import left, with the default parameters. */
export async function rest(octant, directory, data, queries, rounds) {
  const port = await freePort();
  const child = await started(octant, directory, port);
  const bodies = queries.map((query) => JSON.stringify({ query, limit: LIMIT }));
  try {
    const found = await recall(port, queries);
    for (const connections of [1, CONNECTIONS]) {
      say(`REST, ${connections} connections`);
      const rates = [];
      for (let round = 0; round < rounds; round++)
        rates.push(await rate(port, bodies, connections));
      report({ name: `REST queries, ${connections} connection${connections > 1 ? 's' : ''}`,
        target: 'octant serve', data: `${data.name}, recall@10 ${found.toFixed(3)}`, unit: '/s',
        value: median(rates), rounds });
    }
  } finally {
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill('SIGTERM');
    await gone;
  }
}

/** The module and the JavaScript a browser loads, each file gzipped as a server would send it. The
 * kernels with relaxed SIMD are in the JavaScript. */
export function size(dist) {
  const files = readdirSync(dist, { recursive: true })
    .filter((name) => /\.(wasm|m?js)$/.test(name) && !/(^|\/)node(_fs)?\.js$|relaxed\.wasm$/
      .test(name));
  if (!files.includes('octant.wasm')) throw new Error(`${dist}/octant.wasm is missing`);
  const bytes = files.reduce((sum, name) =>
    sum + gzipSync(readFileSync(`${dist}/${name}`), { level: 9 }).length, 0);
  report({ name: 'wasm module and JavaScript, gzipped', target: 'js/dist', unit: 'KB', rounds: 1,
    data: `${files.length} files`, value: bytes / 1000, goal: SIZE_GOAL_KB });
}
