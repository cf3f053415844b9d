// SPDX-License-Identifier: Apache-2.0
// wasm_page.mjs - a contender in a page: what wasm_worker.mjs is in Node. wasm_browser.mjs calls
// the two functions it leaves in `window`. Pages have no clock of CPU time, so it is wall time.
import { Contender } from './wasm_contender.mjs';

const bytesOf = async (url) => (await fetch(url)).arrayBuffer();
const peers = (path) => new URL(`/peers/${path}`, location.href).href;

async function create(name, { count, dim, query_count }) {
  const vectors = new Float32Array(await bytesOf(`/first/${4 * count * dim}/vectors.f32`));
  const queries = new Float32Array(await bytesOf(`/first/${4 * query_count * dim}/queries.f32`));
  const truth = new Int32Array(await bytesOf('/truth'));
  const { open } = name.startsWith('octant') ? await import('/octant/index.js') : {};
  return Contender.create(name, { vectors, count, dim,
    octant: (more) => open({ storage: 'memory', ...more }),
    load: (path) => import(peers(path)), read: (path) => bytesOf(peers(path)) },
  { queries, truth, cpu: () => performance.now() });
}

let contender;
window.begin = async (name, options) => { contender = await create(name, options); };
window.ask = async ({ kind, ...members }) =>
  (kind === 'build' ? contender.build() : contender.pass(members));
window.ready = true;
