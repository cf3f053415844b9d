// SPDX-License-Identifier: Apache-2.0
// wasm_worker.mjs - a contender in a Node process: `node wasm_worker.mjs NAME OPTIONS`, requests
// and replies through the channel of child_process.fork.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Contender } from './wasm_contender.mjs';

const [, , name, text] = process.argv;
const options = JSON.parse(text);
/** The first `count` 32-bit numbers of a file. */
function bytesOf(path, count) {
  const bytes = new Uint8Array(4 * count);
  const file = openSync(path);
  if (readSync(file, bytes) !== bytes.length) throw new Error(`${path} is too short`);
  closeSync(file);
  return bytes.buffer;
}

function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const rss = () => {
  globalThis.gc();
  return process.memoryUsage().rss / 2 ** 20;
};

const { count, dim, query_count } = options;
const vectors = new Float32Array(bytesOf(join(options.data, 'vectors.f32'), count * dim));
const queries = new Float32Array(bytesOf(join(options.data, 'queries.f32'), query_count * dim));
const truth = new Int32Array(bytesOf(options.truth, query_count * 10));
const { open } = name.startsWith('octant') ? await import('../../js/dist/node.js') : {};
const before = rss();
const contender = await Contender.create(name, { vectors, count, dim,
  octant: (more) => open({ storage: 'memory', ...more }),
  load: (path) => import(pathToFileURL(join(options.peers, path)).href),
  read: (path) => readFileSync(join(options.peers, path)) }, { queries, truth, cpu });

process.on('message', async ({ kind, ...members }) => {
  try {
    const reply = await (kind === 'build' ? contender.build() : contender.pass(members));
    if (kind === 'build') reply.memory_mb = rss() - before;
    process.send(reply);
  } catch (thrown) {
    process.send({ failed: String(thrown).slice(0, 300) });
  }
});
process.send({ ready: true });
