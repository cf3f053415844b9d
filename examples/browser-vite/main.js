// SPDX-License-Identifier: Apache-2.0
// main.js - a database that stays in this browser: `npx vite examples/browser-vite`.
import { open } from 'octant-db';

const db = await open({ storage: 'opfs', name: 'example' });
if (!(await db.collectionExists('cities')).exists) {
  await db.createCollection('cities', { vectors: { size: 2, distance: 'Cosine' } });
}
await db.upsert('cities', {
  points: [
    { id: 1, vector: new Float32Array([0.9, 0.1]), payload: { name: 'Berlin' } },
    { id: 2, vector: new Float32Array([0.2, 0.8]), payload: { name: 'Lagos' } },
  ],
});
const { points } = await db.query('cities', { query: new Float32Array([0.1, 0.9]), limit: 2 });
document.querySelector('output').textContent = `nearest: ${points.map(({ id }) => id).join(', ')}`;
await db.close();
