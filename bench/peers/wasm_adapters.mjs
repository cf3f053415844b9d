// SPDX-License-Identifier: Apache-2.0
// wasm_adapters.mjs - Octant's npm package and each npm peer behind one face.
//
// An adapter is made by create({ vectors, count, dim, load, read }) and has
//
//     build()          insert `count` vectors (id i at i * dim), index them, wait for it
//     setEf(ef)        absent when the peer has none: then only one point of a curve exists
//     search(query)    the ids of the LIMIT nearest, or a promise of them
//     batch(queries)   many at once, one after the other in an array: Octant only
//
// `load(path)` imports a module of the peers' folder, `read(path)` gives bytes of it, or a promise.
// M 16, ef_construct 100, cosine (the vectors have unit length).
export const LIMIT = 10;
const M = 16;
const EF_CONSTRUCT = 100;
const BATCH = 500;

const row = (vectors, dim, i) => vectors.subarray(i * dim, (i + 1) * dim);

/** [first, last) of each batch. */
function* batches(count, size = BATCH) {
  for (let first = 0; first < count; first += size) yield [first, Math.min(first + size, count)];
}

const range = (first, last) => Array.from({ length: last - first }, (_, i) => first + i);

async function octant({ vectors, count, dim, octant: open }) {
  const client = await open();
  let hnsw_ef = 64;
  return {
    async build() {
      await client.createCollection('c', { vectors: { size: dim, distance: 'Cosine' },
        hnsw_config: { m: M, ef_construct: EF_CONSTRUCT },
        optimizers_config: { default_segment_number: 1, indexing_threshold: 100,
          max_segment_size: 100000000 } });
      for (const [first, last] of batches(count)) {
        const ids = range(first, last);
        await client.upsert('c', { batch: { ids, vectors: ids.map((i) => row(vectors, dim, i)) } });
      }
      await client.maintain();
    },
    setEf: (ef) => { hnsw_ef = ef; },
    search: async (query) => (await client.searchVectors('c',
      { vectors: query, limit: LIMIT, params: { hnsw_ef } })).ids,
    batch: (queries) => client.searchVectors('c',
      { vectors: queries, size: dim, limit: LIMIT, params: { hnsw_ef } }),
  };
}

async function hnswlib({ vectors, count, dim, load }) {
  // It was made for browsers and looks for these when it is loaded.
  globalThis.window ??= globalThis;
  globalThis.self ??= globalThis;
  globalThis.location ??= { href: 'file:///', pathname: '/' };
  globalThis.document ??= { currentScript: null, baseURI: 'file:///', location: globalThis.location,
    createElement: () => ({}) };
  const library = await (await load('hnswlib-wasm/dist/hnswlib.js')).loadHnswlib();
  const index = new library.HierarchicalNSW('cosine', dim, '');
  return {
    build() {
      index.initIndex(count, M, EF_CONSTRUCT, 100);
      for (const [first, last] of batches(count)) {
        const ids = range(first, last);
        index.addPoints(ids.map((i) => row(vectors, dim, i)), ids, false);
      }
    },
    setEf: (ef) => index.setEfSearch(ef),
    search: (query) => index.searchKnn(query, LIMIT, undefined).neighbors,
  };
}

async function edgevec({ vectors, count, dim, load, read }) {
  const module = await load('edgevec/edgevec.js');
  await module.default({ module_or_path: await read('edgevec/edgevec_bg.wasm') });
  const config = new module.EdgeVecConfig(dim);
  config.metric = 'l2'; // the same order for unit vectors; its 'cosine' answers the furthest
  config.m = M;
  config.m0 = 2 * M;
  config.ef_construction = EF_CONSTRUCT;
  const index = new module.EdgeVec(config);
  return {
    build() {
      for (const [first, last] of batches(count)) {
        index.insertBatchFlat(vectors.subarray(first * dim, last * dim), last - first);
      }
    },
    search: (query) => index.search(query, LIMIT).map(({ id }) => id - 1),
  };
}

async function mememo({ vectors, count, dim, load }) {
  const { HNSW } = await load('mememo/dist/index.es.js');
  const index = new HNSW({ distanceFunction: 'cosine-normalized', m: M,
    efConstruction: EF_CONSTRUCT, useIndexedDB: false });
  let ef = 64;
  return {
    async build() {
      for (const [first, last] of batches(count)) {
        const ids = range(first, last);
        await index.bulkInsert(ids.map(String), ids.map((i) => [...row(vectors, dim, i)]));
      }
    },
    setEf: (value) => { ef = value; },
    search: async (query) => (await index.query([...query], LIMIT, ef)).keys.map(Number),
  };
}

async function pgvector({ vectors, count, dim, load }) {
  const { PGlite } = await load('@electric-sql/pglite/dist/index.js');
  const { vector } = await load('@electric-sql/pglite-pgvector/dist/index.js');
  const db = await PGlite.create({ extensions: { vector } });
  const text = (values) => `[${values.join(',')}]`;
  return {
    async build() {
      await db.exec('create extension vector');
      await db.exec(`create table t (id int primary key, v vector(${dim}))`);
      await db.exec("set maintenance_work_mem = '512MB'"); // the graph must fit, or it is slower
      for (const [first, last] of batches(count, 200)) {
        const rows = range(first, last).map((i) => `(${i},'${text(row(vectors, dim, i))}')`);
        await db.exec(`insert into t values ${rows.join(',')}`);
      }
      await db.exec('create index on t using hnsw (v vector_cosine_ops) ' +
        `with (m = ${M}, ef_construction = ${EF_CONSTRUCT})`);
      await db.exec('analyze t');
    },
    setEf: (ef) => db.exec(`set hnsw.ef_search = ${ef}`),
    search: async (query) => (await db.query(
      `select id from t order by v <=> $1 limit ${LIMIT}`, [text(query)])).rows.map(({ id }) => id),
  };
}

async function orama({ vectors, count, dim, load }) {
  const { create, insert, search } = await load('@orama/orama/dist/esm/index.js');
  const db = create({ schema: { id: 'string', v: `vector[${dim}]` } });
  return {
    async build() {
      for (let i = 0; i < count; i++) {
        await insert(db, { id: `i${i}`, v: [...row(vectors, dim, i)] });
      }
    },
    search: async (query) => (await search(db, { mode: 'vector', limit: LIMIT, similarity: 0,
      vector: { value: [...query], property: 'v' }, includeVectors: false }))
      .hits.map(({ id }) => Number(id.slice(1))),
  };
}

/** scan: 'vector_full_scan', or 'vector_quantize_scan' over bytes it prepares. */
const sqlite = (scan) => async ({ vectors, count, dim, load }) => {
  const entry = typeof process === 'undefined' ? 'index.mjs' : 'node.mjs';
  const sqlite3 = await (await load(`@sqliteai/sqlite-wasm/${entry}`)).default();
  const db = new sqlite3.oo1.DB(':memory:', 'c');
  const bytes = (values) => new Uint8Array(values.slice().buffer);
  return {
    build() {
      db.exec('create table t (id integer primary key, v blob); begin');
      const insert = db.prepare('insert into t (id, v) values (?, ?)');
      for (let i = 0; i < count; i++) {
        insert.bind(1, i).bind(2, bytes(row(vectors, dim, i))).step();
        insert.reset();
      }
      insert.finalize();
      db.exec('commit');
      db.exec(`select vector_init('t', 'v', 'type=FLOAT32,dimension=${dim},distance=COSINE')`);
      if (scan !== 'vector_quantize_scan') return;
      db.exec("select vector_quantize('t', 'v'); select vector_quantize_preload('t', 'v')");
    },
    search: (query) => db.exec({ sql: `select rowid from ${scan}('t', 'v', ?, ${LIMIT})`,
      bind: [bytes(query)], rowMode: 0, returnValue: 'resultRows' }),
  };
};

/** The same without relaxed SIMD. */
const octantSimd128 = (given) =>
  octant({ ...given, octant: () => given.octant({ relaxedSimd: false }) });

export const ADAPTERS = {
  octant, 'octant-simd128': octantSimd128, 'hnswlib-wasm': hnswlib, edgevec, mememo,
  'pglite-pgvector': pgvector, orama,
  'sqlite-vector': sqlite('vector_full_scan'), 'sqlite-vector-i8': sqlite('vector_quantize_scan'),
};
