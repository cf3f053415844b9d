// SPDX-License-Identifier: Apache-2.0
// Goal: the client does what the official one does, on memory and on a directory.
// Method: every method once, with results checked against brute force over seeded vectors; then
// ids beyond 2^53, floats of the bulk lane, errors, reopening, an owner, a killed process.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { open } from '../../js/dist/node.js';
import { QdrantClient } from '@qdrant/js-client-rest';
import { seededNumbers, temporaryDirectory } from './support.mjs';

const SIZE = 16;
const BIG = 2n ** 63n + 11n;
const SEED = 20261121;

const STORAGES = {
  memory: () => ({ storage: 'memory' }),
  node: (t) => ({ storage: 'node', path: temporaryDirectory(t) }),
};

function makePoints(count) {
  const number = seededNumbers(SEED);
  return Array.from({ length: count }, (_, id) => ({
    id, vector: Float32Array.from({ length: SIZE }, number),
    payload: { colour: ['red', 'green', 'blue'][id % 3], rank: id },
  }));
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** Ids of the best points, by looking at all. */
function bruteForce(points, vector, limit, keep = () => true) {
  return points.filter(keep).map(({ id, vector: v }) => ({ id, score: dot(v, vector) }))
    .sort((a, b) => b.score - a.score || a.id - b.id).slice(0, limit).map(({ id }) => id);
}

const ids = (found) => found.map(({ id }) => id);

for (const [name, storage] of Object.entries(STORAGES)) {
  test(`${name}: collections, points, queries, payloads`, async (t) => {
    const client = await open(storage(t));
    t.after(() => client.close());
    assert.match((await client.versionInfo()).version, /^\d+\.\d+\.\d+/);
    const vectors = { size: SIZE, distance: 'Dot' };
    assert.equal(await client.createCollection('c', { vectors }), true);
    assert.deepEqual(await client.collectionExists('c'), { exists: true });
    assert.deepEqual(await client.getCollections(), { collections: [{ name: 'c' }] });

    const points = makePoints(500);
    assert.equal((await client.upsert('c', { points })).status, 'completed');
    assert.equal((await client.getCollection('c')).points_count, 500);
    const memory = await client.getCollectionMemory('c');
    assert.deepEqual(memory.vectors.map((part) => part.name), ['']);
    assert.ok(memory.total.ram_bytes > 500 * SIZE * 4 && memory.other.log.disk_bytes > 0);
    const [{ vector }] = points;
    assert.deepEqual(ids((await client.query('c', { query: vector, limit: 7 })).points),
      bruteForce(points, vector, 7));
    assert.deepEqual((await client.queryBatch('c', { searches: [{ query: vector, limit: 7 }] })),
      [await client.query('c', { query: vector, limit: 7 })]);
    assert.deepEqual(ids(await client.search('c', { vector: [...vector], limit: 7 })),
      bruteForce(points, vector, 7));

    await client.createPayloadIndex('c', { field_name: 'colour', field_schema: 'keyword' });
    const filter = { must: [{ key: 'colour', match: { value: 'blue' } }] };
    assert.deepEqual(ids((await client.query('c', { query: vector, filter, limit: 9 })).points),
      bruteForce(points, vector, 9, (point) => point.payload.colour === 'blue'));
    assert.deepEqual(await client.count('c', { filter }), { count: 166 });
    await client.deletePayloadIndex('c', 'colour');
    assert.deepEqual(await client.count('c', { filter }), { count: 166 });

    const page = await client.scroll('c', { limit: 3, offset: 100, with_vector: true });
    assert.deepEqual(ids(page.points), [100, 101, 102]);
    assert.equal(page.next_page_offset, 103);
    assert.deepEqual(page.points[0].vector.map(Math.fround), [...points[100].vector]);

    await client.setPayload('c', { points: [1], payload: { more: [1, null] } });
    await client.deletePayload('c', { points: [1], keys: ['rank'] });
    await client.overwritePayload('c', { points: [2], payload: { only: true } });
    await client.clearPayload('c', { points: [3] });
    const changed = await client.retrieve('c', { ids: [1, 2, 3], with_payload: true });
    assert.deepEqual(changed.map(({ payload }) => payload ?? {}),
      [{ colour: 'green', more: [1, null] }, { only: true }, {}]);
    await client.delete('c', { filter });
    await client.delete('c', { points: [1] });
    // Of 166 blue points, point 2 no longer was; point 1 was green.
    assert.equal((await client.count('c')).count, 500 - 165 - 1);
    await client.maintain();
    assert.equal((await client.count('c')).count, 500 - 165 - 1);
    assert.equal(await client.deleteCollection('c'), true);
    assert.deepEqual(await client.getCollections(), { collections: [] });
  });

  test(`${name}: settings change`, async (t) => {
    const client = await open(storage(t));
    t.after(() => client.close());
    await client.createCollection('s', { vectors: { size: 2, distance: 'Dot' } });
    await client.upsert('s', { points: [{ id: 1, vector: [1, 2] }] });
    const changed = await client.updateCollection('s', { timeout: 5, hnsw_config: { m: 5 },
      vectors: { '': { on_disk: true } }, metadata: { a: 2n ** 60n },
      quantization_config: { scalar: { type: 'int8' } } });
    assert.equal(changed, true);
    assert.equal(await client.updateCollection('s', { quantization_config: 'Disabled' }), true);
    await client.maintain();
    const { config, status } = await client.getCollection('s');
    assert.equal(status, 'green');
    assert.equal(config.hnsw_config.m, 5);
    assert.deepEqual(config.params.vectors, { size: 2, distance: 'Dot', on_disk: true });
    assert.deepEqual([config.quantization_config, config.metadata], [null, { a: 2n ** 60n }]);
    await assert.rejects(client.updateCollection('s', { vectors: { x: {} } }),
      { status: 'BAD_INPUT', message: /Not existing vector name error: x/ });
    await assert.rejects(client.updateCollection('none'), { status: 'NOT_FOUND' });
    assert.deepEqual(ids(await client.retrieve('s', { ids: [1] })), [1]);
  });

  test(`${name}: named vectors change and go`, async (t) => {
    const client = await open(storage(t));
    t.after(() => client.close());
    const params = { size: 2, distance: 'Euclid' };
    await client.createCollection('n', { vectors: { a: params, b: params } });
    const vector = { a: new Float32Array([1, 2]), b: [3, 4] };
    await client.upsert('n', { points: [{ id: 1, vector }] });
    await client.updateVectors('n', { points: [{ id: 1, vector: { b: Float32Array.of(5, 6) } }] });
    await client.deleteVectors('n', { points: [1], vector: ['a'] });
    const [point] = await client.retrieve('n', { ids: [1], with_vector: true });
    assert.deepEqual(point.vector, { b: [5, 6] });
  });

  test(`${name}: integers of 64 bits are exact`, async (t) => {
    const client = await open(storage(t));
    t.after(() => client.close());
    await client.createCollection('big', { vectors: { size: 1, distance: 'Dot' } });
    const payload = { exact: 2n ** 62n + 1n, shape: { $int: '5' }, floats: Float32Array.of(1, 2) };
    await client.upsert('big', { points: [{ id: BIG, vector: [1], payload }] });
    const [point] = (await client.scroll('big')).points;
    assert.equal(point.id, BIG);
    assert.deepEqual(point.payload, { ...payload, floats: [1, 2] });
    assert.deepEqual(ids(await client.retrieve('big', { ids: [BIG] })), [BIG]);
    assert.equal((await client.count('big', { filter: { must: { has_id: [BIG] } } })).count, 1);
    await client.delete('big', { points: [BIG] });
    assert.equal((await client.count('big')).count, 0);
  });

  test(`${name}: failures are OctantErrors and change nothing`, async (t) => {
    const client = await open(storage(t));
    t.after(() => client.close());
    const failing = (action, status, message) =>
      assert.rejects(action, { name: 'OctantError', status, message });
    await failing(client.getCollection('none'), 'NOT_FOUND', /none/);
    await client.createCollection('c', { vectors: { size: 2, distance: 'Dot' } });
    const again = client.createCollection('c', { vectors: { size: 2, distance: 'Dot' } });
    await failing(again, 'CONFLICT', /already exists/);
    const wrong = client.upsert('c', { points: [{ id: 1, vector: new Float32Array(3) }] });
    await failing(wrong, 'BAD_INPUT', /dimension/i);
    await failing(client.upsert('c', { points: [{ id: -1, vector: [1, 2] }] }), 'BAD_INPUT', /-1/);
    assert.equal((await client.count('c')).count, 0);
    await client.close();
    await failing(client.count('c'), 'UNAVAILABLE', /closed/);
  });
}

test('a directory has everything after close and reopen, and one owner', async (t) => {
  const options = { storage: 'node', path: temporaryDirectory(t) };
  const points = makePoints(300);
  const first = await open(options);
  await first.createCollection('c', { vectors: { size: SIZE, distance: 'Dot' } });
  await first.upsert('c', { points });
  await assert.rejects(open(options), { status: 'LOCKED' });
  await first[Symbol.asyncDispose]();
  const client = await open(options);
  t.after(() => client.close());
  assert.equal((await client.count('c')).count, 300);
  const query = points[7].vector;
  assert.deepEqual(ids((await client.query('c', { query, limit: 5 })).points),
    bruteForce(points, query, 5));
});

const PACKAGE = new URL('../../js/dist/node.js', import.meta.url).href;
const WRITER = `
  import { open } from ${JSON.stringify(PACKAGE)};
  const client = await open({ storage: 'node', path: process.argv[1] });
  await client.createCollection('c', { vectors: { size: 4, distance: 'Dot' } });
  for (let id = 0; ; id++) {
    await client.upsert('c', { points: [{ id, vector: [id, 1, 2, 3] }] });
    process.stdout.write(id + '\\n');
  }`;

test('a process killed while it writes loses nothing it acknowledged', async (t) => {
  const path = temporaryDirectory(t);
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, path],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  let acknowledged = -1;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = Number(line);
    if (acknowledged === 200) child.kill('SIGKILL');
  }
  assert.ok(acknowledged >= 200);
  const client = await open({ storage: 'node', path });
  t.after(() => client.close());
  const { count } = await client.count('c');
  assert.ok(count === acknowledged + 1 || count === acknowledged + 2, `${count} points`);
});

test('the example prints what is near', (t) => {
  const example = new URL('../../examples/node/main.mjs', import.meta.url).pathname;
  const directory = temporaryDirectory(t);
  for (const run of ['new', 'reopened']) {
    const { stdout, stderr } = spawnSync(process.execPath, [example, directory],
      { encoding: 'utf8' });
    const expected = '1 0.994 Berlin\n9223372036854775808n 0.936 Bonn\n';
    assert.equal(stdout, expected, `${run}: ${stderr}`);
  }
});

test('every method is one of the official client, with its name', async (t) => {
  const client = await open({ storage: 'memory' });
  t.after(() => client.close());
  // `search` was the official client's until its server deprecated it.
  const own = ['constructor', 'request', 'maintain', 'close', 'search', 'searchVectors',
    'kernels', 'getCollectionMemory'];
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(client));
  for (const method of methods.filter((each) => !own.includes(each))) {
    assert.equal(typeof QdrantClient.prototype[method], 'function', method);
  }
});

test('typed searches answer what query answers', async (t) => {
  const client = await open({ storage: 'memory' });
  t.after(() => client.close());
  await client.createCollection('c', { vectors: { v: { size: SIZE, distance: 'Cosine' } } });
  const points = makePoints(300).map((point, i) => ({ ...point, vector: { v: point.vector },
    id: [i, BIG + BigInt(i), `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`][i % 3] }));
  await client.upsert('c', { points });
  await client.maintain();
  const number = seededNumbers(SEED + 1);
  const vectors = Float32Array.from({ length: 4 * SIZE }, number);
  const variants = [{}, { limit: 3 }, { params: { exact: true } }, { params: { hnsw_ef: 4 } },
    { filter: { must: [{ key: 'colour', match: { value: 'red' } }] } },
    { filter: { must_not: [{ has_id: [BIG + 1n] }] }, offset: 2 }, { score_threshold: 0.3 }];
  for (const args of variants) {
    const hits = await client.searchVectors('c', { vectors, size: SIZE, using: 'v', ...args });
    assert.equal(hits.starts.length, 5);
    for (let i = 0; i < 4; i++) {
      const { points: expected } = await client.query('c',
        { query: vectors.slice(i * SIZE, (i + 1) * SIZE), using: 'v', ...args });
      const [from, to] = [hits.starts[i], hits.starts[i + 1]];
      assert.deepEqual(hits.ids.slice(from, to), ids(expected));
      assert.deepEqual([...hits.scores.slice(from, to)], expected.map(({ score }) =>
        Math.fround(score)));
    }
  }
  const one = await client.searchVectors('c', { vectors: vectors.slice(0, SIZE), using: 'v' });
  assert.equal(one.ids.length, 10);
  await assert.rejects(client.searchVectors('d', { vectors }), { status: 'NOT_FOUND',
    message: "Not found: Collection `d` doesn't exist!" });
  await assert.rejects(client.searchVectors('c', { vectors, using: 'v' }), { status: 'BAD_INPUT',
    message: `Wrong input: Vector dimension error: expected dim: ${SIZE}, got ${4 * SIZE}` });
  await assert.rejects(client.searchVectors('c', { vectors, using: 'v', size: 5 }),
    { status: 'BAD_INPUT' });
  const wide = 100000; // as many numbers, and hits in whose place an address of 32 bits ends
  await assert.rejects(client.searchVectors('c', { vectors: new Float32Array(wide), using: 'v',
    limit: Math.ceil((2 ** 32 - 4 * wide) / 24) }), { status: 'NOMEM', message: /words of hits/ });
  await assert.rejects(client.searchVectors('c', { vectors, using: 'v', size: SIZE, limit: 0 }),
    { status: 'VALIDATION' });
  await assert.rejects(client.searchVectors('c', { vectors, using: 'v', size: SIZE,
    params: { hnsw_ef: 0 } }), { status: 'VALIDATION' });
  assert.equal((await client.count('c')).count, 300); // nothing of it made the session go
});

test('sparse vectors, multivectors and datatypes', async (t) => {
  const client = await open({ storage: 'memory' });
  t.after(() => client.close());
  await client.createCollection('c', {
    vectors: {
      rows: { size: 2, distance: 'Dot', multivector_config: { comparator: 'max_sim' } },
      half: { size: 2, distance: 'Dot', datatype: 'float16' },
    },
    sparse_vectors: { words: { modifier: 'idf' }, plain: {} },
  });
  const plain = { indices: Uint32Array.of(7, 1), values: Float32Array.of(0.5, 2) };
  await client.upsert('c', { points: [
    { id: 1, vector: { plain, rows: [Float32Array.of(1, 0), Float32Array.of(0, 1)] } },
    { id: 2, vector: { plain: { indices: [1], values: [1] }, rows: [[3, 3]], half: [0.1, 1] } },
  ] });
  const [first, second] = await client.retrieve('c', { ids: [1, 2], with_vector: true });
  assert.deepEqual(first.vector, { plain: { indices: [1, 7], values: [2, 0.5] },
    rows: [[1, 0], [0, 1]] });
  assert.deepEqual(second.vector.half, [0.099975586, 1]);
  const sparse = await client.query('c', { query: { indices: [1], values: [3] }, using: 'plain' });
  assert.deepEqual(sparse.points.map(({ id, score }) => [id, score]), [[1, 6], [2, 3]]);
  const multi = await client.query('c', { using: 'rows',
    query: [Float32Array.of(1, 0), Float32Array.of(0, 2)] });
  assert.deepEqual(multi.points.map(({ id, score }) => [id, score]), [[2, 9], [1, 3]]);
  const older = await client.search('c', { limit: 1,
    vector: { name: 'plain', vector: { indices: [7], values: [2] } } });
  assert.deepEqual(older.map(({ id, score }) => [id, score]), [[1, 1]]);
});
