// SPDX-License-Identifier: Apache-2.0
// page.mjs - the browser's door: imports examples/data into OPFS, and asks there (window.job).
import { open } from '/js/dist/index.js';
import { COLLECTION, INDEXES, SIZE, VECTORS, askAll } from './job.mjs';
import { rowsOf } from './half.mjs';

const BATCH = 1000;
const DATA = '/examples/data';

let client;

/** Import, and wait until the graph is built; the collection's description. */
async function load() {
  const vectors = rowsOf(await (await fetch(`${DATA}/vectors.f16`)).arrayBuffer(), SIZE);
  const lines = (await (await fetch(`${DATA}/payload.jsonl`)).text()).trimEnd().split('\n');
  const points = lines.map((line, i) => {
    const payload = JSON.parse(line);
    return { id: payload.id, vector: vectors[i], payload };
  });
  client = await open({ storage: 'opfs', name: 'main-job' });
  await client.createCollection(COLLECTION, { vectors: VECTORS });
  for (const [field_name, field_schema] of INDEXES) {
    await client.createPayloadIndex(COLLECTION, { field_name, field_schema });
  }
  for (let first = 0; first < points.length; first += BATCH) {
    await client.upsert(COLLECTION, { points: points.slice(first, first + BATCH) });
  }
  await client.maintain();
  return client.getCollection(COLLECTION);
}

const query = async (body) => (await client.query(COLLECTION, body)).points;

window.job = { load, askAll: (bodies) => askAll(query, bodies) };
