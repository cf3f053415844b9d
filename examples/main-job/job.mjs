// SPDX-License-Identifier: Apache-2.0
// job.mjs - what is the same behind every door, in Node and in the page: the collection, the
// questions, and how a list of them is asked and timed.

export const COLLECTION = 'packages';
export const SIZE = 384;
export const VECTORS = { size: SIZE, distance: 'Cosine' };
export const INDEXES = [['registry', 'keyword'], ['topic', 'keyword'], ['score', 'integer'],
  ['price', 'float']];
export const LIMIT = 10;

/** The kinds of questions: a name and the filter. */
export const KINDS = [
  ['no filter', undefined],
  ['registry = npm', { must: [{ key: 'registry', match: { value: 'npm' } }] }],
  ['topic = react', { must: [{ key: 'topic', match: { value: 'react' } }] }],
  ['score < 100', { must: [{ key: 'score', range: { lt: 100 } }] }],
];

/** Every query vector with every filter, as bodies of the request "query". */
export function questions(vectors, params) {
  return KINDS.flatMap(([, filter]) =>
    vectors.map((vector) => ({ query: [...vector], filter, params, limit: LIMIT })));
}

/** Ask one after the other; the ids and scores, and the milliseconds a question took. */
export async function askAll(query, bodies) {
  const answers = [];
  const started = performance.now();
  for (const body of bodies) {
    answers.push((await query(body)).map(({ id, score }) => ({ id: String(id), score })));
  }
  return { answers, milliseconds: (performance.now() - started) / bodies.length };
}
