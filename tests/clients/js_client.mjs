// SPDX-License-Identifier: Apache-2.0
// js_client.mjs - does the official JavaScript client work against `octant serve`?
//
// Goal: every operation we have, called the way users call it, gives exactly what Qdrant gives.
// Method: the server of tests/run/doors/rest.mjs over an empty directory; each test has a
// collection of its own with four points whose scores (Dot) are whole numbers, so that answers can
// be compared exactly.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QdrantClient } from '@qdrant/js-client-rest';
import { open } from '../run/doors/rest.mjs';

const equal = assert.deepStrictEqual;
const UUID = '550e8400-e29b-41d4-a716-446655440000';
const POINTS = [
  { id: 1, vector: [1, 0, 0], payload: { city: 'Berlin', price: 10 } },
  { id: 2, vector: [2, 1, 0], payload: { city: 'London', price: 20 } },
  { id: 3, vector: [3, 0, 1], payload: { city: 'Berlin', price: 30 } },
  { id: UUID, vector: [4, 2, 2], payload: { city: 'Paris', tags: ['a', 'b'] } },
];
const matches = (key, value) => ({ key, match: { value } });
const BERLIN = { must: [matches('city', 'Berlin')] };
const ids = (points) => points.map((point) => point.id);
const scores = (points) => points.map((point) => [point.id, point.score]);

/** A collection with the four points. */
async function fill(client, name) {
  equal(await client.createCollection(name, { vectors: { size: 3, distance: 'Dot' } }), true);
  const done = await client.upsert(name, { wait: true, points: POINTS });
  equal(done.status, 'completed');
}

async function payload(client, name, id) {
  return (await client.retrieve(name, { ids: [id] }))[0].payload;
}

/** The call fails with this HTTP status and an error that contains `text`. */
async function refused(status, text, call) {
  await assert.rejects(call, (error) => {
    equal(error.status, status);
    assert.ok(JSON.stringify(error.data).includes(text), JSON.stringify(error.data));
    return true;
  });
}

const TESTS = {
  async collections_live_and_die(client, name) {
    equal(await client.collectionExists(name), { exists: false });
    await fill(client, name);
    equal(await client.collectionExists(name), { exists: true });
    const { collections } = await client.getCollections();
    assert.ok(collections.some((each) => each.name === name));
    const collection = await client.getCollection(name);
    equal(collection.points_count, 4);
    equal(collection.config.params.vectors, { size: 3, distance: 'Dot' });
    await refused(409, 'already exists',
      () => client.createCollection(name, { vectors: { size: 3, distance: 'Dot' } }));
    equal(await client.deleteCollection(name), true);
    equal(await client.collectionExists(name), { exists: false });
    await refused(404, "doesn't exist", () => client.getCollection(name));
  },

  async settings_change(client, name) {
    await fill(client, name);
    equal(await client.updateCollection(name, {
      vectors: { '': { hnsw_config: { m: 6 }, on_disk: true } }, hnsw_config: { ef_construct: 77 },
      quantization_config: { scalar: { type: 'int8', always_ram: true } },
      optimizers_config: { indexing_threshold: 123 }, params: { on_disk_payload: false } }), true);
    const { config } = await client.getCollection(name);
    equal(config.params.vectors,
      { size: 3, distance: 'Dot', hnsw_config: { m: 6 }, on_disk: true });
    equal(config.params.on_disk_payload, false);
    equal([config.hnsw_config.ef_construct, config.optimizer_config.indexing_threshold], [77, 123]);
    equal(config.quantization_config, { scalar: { type: 'int8', always_ram: true } });
    equal(await client.updateCollection(name, { quantization_config: 'Disabled' }), true);
    equal((await client.getCollection(name)).config.quantization_config, null);
    await refused(400, 'Not existing vector name error: x',
      () => client.updateCollection(name, { vectors: { x: {} } }));
    equal(await client.count(name), { count: 4 });
  },

  async upserts_take_lists_and_batches(client, name) {
    await fill(client, name);
    const batch = { ids: [3, 5], vectors: [[9, 9, 9], [5, 5, 5]], payloads: [{ n: 3 }, { n: 5 }] };
    await client.upsert(name, { wait: true, batch });
    equal(await client.count(name), { count: 5 });
    const found = await client.retrieve(name, { ids: [5, 3, 77], with_vector: true });
    const sorted = found.sort((a, b) => a.id - b.id);
    equal(sorted, [
      { id: 3, payload: { n: 3 }, vector: [9, 9, 9] },
      { id: 5, payload: { n: 5 }, vector: [5, 5, 5] },
    ]);
    await refused(400, 'expected dim: 3, got 2',
      () => client.upsert(name, { points: [{ id: 1, vector: [1, 2] }] }));
  },

  async queries_rank_and_filter(client, name) {
    await fill(client, name);
    const all = await client.query(name, { query: [1, 0, 0], with_payload: true, limit: 3 });
    equal(scores(all.points), [[UUID, 4], [3, 3], [2, 2]]);
    equal(all.points[1].payload, POINTS[2].payload);
    const some = await client.query(name, { query: [1, 0, 0], filter: BERLIN, with_vector: true });
    equal(some.points.map((p) => [p.id, p.score, p.vector]),
      [[3, 3, [3, 0, 1]], [1, 1, [1, 0, 0]]]);
    const cheap = { must: [{ key: 'price', range: { lt: 25 } }], must_not: [{ has_id: [1] }] };
    equal(ids((await client.query(name, { query: [0, 1, 0], filter: cheap })).points), [2]);
    const cut = await client.query(name, { query: [1, 0, 0], score_threshold: 2.5, offset: 1 });
    equal(ids(cut.points), [3]);
  },

  async queries_by_id_leave_that_point_out(client, name) {
    await fill(client, name);
    equal(scores((await client.query(name, { query: 2 })).points), [[UUID, 10], [3, 6], [1, 2]]);
    equal(ids((await client.query(name, { query: UUID, limit: 1 })).points), [3]);
  },

  async scroll_pages_in_order_of_ids(client, name) {
    await fill(client, name);
    const first = await client.scroll(name, { limit: 2, with_payload: ['city'] });
    equal(first.points, [
      { id: 1, payload: { city: 'Berlin' } },
      { id: 2, payload: { city: 'London' } },
    ]);
    equal(first.next_page_offset, 3);
    const offset = first.next_page_offset;
    const second = await client.scroll(name, { limit: 2, offset, with_payload: false });
    equal(second.points, [{ id: 3 }, { id: UUID }]);
    equal(second.next_page_offset, null);
  },

  async counts_are_exact(client, name) {
    await fill(client, name);
    const should = [matches('city', 'Paris'), matches('tags', 'b'), matches('price', 20)];
    equal(await client.count(name, { filter: { should }, exact: true }), { count: 2 });
    const must = [{ is_empty: { key: 'price' } }];
    equal(await client.count(name, { filter: { must }, exact: true }), { count: 1 });
  },

  async payload_indexes_do_not_change_answers(client, name) {
    await fill(client, name);
    const query = { query: [1, 0, 0], filter: BERLIN };
    const before = await client.query(name, query);
    await client.createPayloadIndex(name,
      { wait: true, field_name: 'city', field_schema: 'keyword' });
    await client.createPayloadIndex(name,
      { wait: true, field_name: 'price', field_schema: 'integer' });
    equal((await client.getCollection(name)).payload_schema, {
      city: { data_type: 'keyword', points: 4 },
      price: { data_type: 'integer', points: 3 },
    });
    equal(await client.query(name, query), before);
    await client.deletePayloadIndex(name, 'city', { wait: true });
    equal(Object.keys((await client.getCollection(name)).payload_schema), ['price']);
    equal(await client.query(name, query), before);
  },

  async payloads_are_set_overwritten_deleted_cleared(client, name) {
    await fill(client, name);
    await client.setPayload(name, { wait: true, payload: { stars: 5 }, points: [1] });
    equal(await payload(client, name, 1), { city: 'Berlin', price: 10, stars: 5 });
    const country = { country: { code: 'de' } };
    await client.setPayload(name, { wait: true, payload: country, filter: BERLIN });
    equal(await payload(client, name, 3), { city: 'Berlin', price: 30, ...country });
    await client.overwritePayload(name, { wait: true, payload: { only: null }, points: [2] });
    equal(await payload(client, name, 2), { only: null });
    const keys = ['price', 'country.code'];
    await client.deletePayload(name, { wait: true, keys, points: [3] });
    equal(await payload(client, name, 3), { city: 'Berlin', country: {} });
    await client.clearPayload(name, { wait: true, points: [UUID] });
    equal(await payload(client, name, UUID), {});
  },

  async named_vectors_are_updated_and_deleted(client, name) {
    const params = { size: 2, distance: 'Dot' };
    await client.createCollection(name, { vectors: { a: params, b: params } });
    const points = [1, 2].map((id) => ({ id, vector: { a: [id, 0], b: [0, id] } }));
    await client.upsert(name, { wait: true, points });
    await client.updateVectors(name, { wait: true, points: [{ id: 1, vector: { a: [7, 7] } }] });
    const one = await client.retrieve(name, { ids: [1], with_vector: true });
    equal(one[0].vector, { a: [7, 7], b: [0, 1] });
    await client.deleteVectors(name, { wait: true, points: [2], vector: ['b'] });
    const two = await client.retrieve(name, { ids: [2], with_vector: true });
    equal(two[0].vector, { a: [2, 0] });
    equal(ids((await client.query(name, { query: [0, 1], using: 'b' })).points), [1]);
  },

  async points_are_deleted(client, name) {
    await fill(client, name);
    await client.delete(name, { wait: true, points: [1, UUID] });
    equal(ids((await client.scroll(name)).points), [2, 3]);
    await client.delete(name, { wait: true, filter: { must: [matches('price', 20)] } });
    equal(ids((await client.scroll(name)).points), [3]);
    equal(ids((await client.query(name, { query: [1, 1, 1] })).points), [3]);
  },
};

const directory = mkdtempSync(join(tmpdir(), 'octant-js-'));
const server = await open(directory);
let failed = 0;
try {
  const client = new QdrantClient({ url: `http://127.0.0.1:${server.port}` });
  for (const [name, test] of Object.entries(TESTS)) {
    try {
      await test(client, name);
    } catch (error) {
      failed++;
      console.log(`FAILED ${name}\n${error.stack}`);
    }
  }
} finally {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
}
console.log(`${Object.keys(TESTS).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
