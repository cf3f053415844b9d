// SPDX-License-Identifier: Apache-2.0
// relaxed_answers.mjs - everything the kernels with relaxed SIMD take part in, as one text, for
// comparing it with and without them. Used by relaxed.test.mjs and in the browser; as a program it
// prints what a Node answers with what it has and without.
const SIZE = 100;
const POINTS = 2000;

const COLLECTIONS = {
  plain: {}, // a graph over its own 7-bit codes
  int8: { quantization_config: { scalar: { type: 'int8', quantile: 0.99 } } },
  turbo: { quantization_config: { turbo: { bits: 'bits4' } } },
};

/** The same vectors for the same seed, everywhere. */
function vectorsOf(seed, count) {
  let state = seed;
  return Array.from({ length: count }, () => Float32Array.from({ length: SIZE }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  }));
}

async function load(client, name, config) {
  await client.createCollection(name, { vectors: { size: SIZE, distance: 'Cosine' },
    hnsw_config: { m: 8, ef_construct: 40 },
    optimizers_config: { indexing_threshold: 10, default_segment_number: 1 },
    ...config });
  const points = vectorsOf(7, POINTS).map((vector, id) => ({ id, vector }));
  await client.upsert(name, { points });
  await client.maintain();
  const { indexed_vectors_count } = await client.getCollection(name);
  if (indexed_vectors_count !== POINTS) throw new Error(`${indexed_vectors_count} are indexed`);
}

/** The kernels a database of `open(options)` uses, and what it answers. */
export async function answersOf(open, options) {
  const client = await open({ storage: 'memory', appendablePointsMax: 500, ...options });
  const answers = [];
  for (const [name, config] of Object.entries(COLLECTIONS)) {
    await load(client, name, config);
    for (const vectors of vectorsOf(8, 20)) {
      const params = { hnsw_ef: 32, quantization: { rescore: false } };
      const { ids, scores } = await client.searchVectors(name, { vectors, limit: 10, params });
      answers.push([name, ids.join(), scores.join()].join(' '));
    }
  }
  const { kernels } = client;
  await client.close();
  return { kernels, answers: answers.join('\n') };
}

if (globalThis.process?.argv[1]?.endsWith('relaxed_answers.mjs')) {
  const { open } = await import('../../js/dist/node.js');
  console.log(JSON.stringify({ without: await answersOf(open, { relaxedSimd: false }),
    best: await answersOf(open, {}) }));
}
