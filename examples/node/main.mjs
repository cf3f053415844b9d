// SPDX-License-Identifier: Apache-2.0
// main.mjs - a database in a directory, in this process: `node examples/node/main.mjs [DIRECTORY]`.
import { open } from 'octant-db';

const db = await open({ storage: 'node', path: process.argv[2] ?? 'octant-data' });
if (!(await db.collectionExists('cities')).exists) {
  await db.createCollection('cities', { vectors: { size: 2, distance: 'Cosine' } });
  await db.createPayloadIndex('cities', { field_name: 'country', field_schema: 'keyword' });
}
await db.upsert('cities', {
  points: [
    { id: 1, vector: [0.9, 0.1], payload: { name: 'Berlin', country: 'DE' } },
    { id: 2, vector: [0.2, 0.8], payload: { name: 'Lagos', country: 'NG' } },
    { id: 2n ** 63n, vector: [0.8, 0.3], payload: { name: 'Bonn', country: 'DE' } },
  ],
});
const { points } = await db.query('cities', {
  query: [1, 0],
  filter: { must: [{ key: 'country', match: { value: 'DE' } }] },
  limit: 2,
  with_payload: true,
});
for (const { id, score, payload } of points) console.log(id, score.toFixed(3), payload.name);
await db.close();
