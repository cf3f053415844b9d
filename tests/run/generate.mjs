// SPDX-License-Identifier: Apache-2.0
// generate.mjs - the points of a step with `generate` (tests/cases/README.md): the body of an
// upsert, made by a rule from whole numbers, so that it is always the same text.

/** Whole numbers below a limit, from a seed: a linear congruential generator, its upper bits. */
function createRandom(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % limit;
  };
}

/** Sixteenths: short as text and exact as floats. */
const row = (random, size) => Array.from({ length: size }, () => (random(255) - 127) / 16);

function sparse(random, { dimensions, values }) {
  const indices = new Set();
  while (indices.size < values) indices.add(random(dimensions));
  const ascending = [...indices].sort((a, b) => a - b);
  return { indices: ascending, values: ascending.map(() => (1 + random(64)) / 16) };
}

function vector(random, form) {
  if (form.dimensions !== undefined) return sparse(random, form);
  if (form.rows === undefined) return row(random, form.size);
  return Array.from({ length: 1 + random(form.rows) }, () => row(random, form.size));
}

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));

/** The body that upserts the points first, first + step, ...; `count` of them. */
export function generate({ seed, first, step = 1, count, vectors, payload }) {
  const random = createRandom(seed);
  const points = Array.from({ length: count }, (_, i) => ({
    id: first + i * step,
    vector: mapValues(vectors, (form) => vector(random, form)),
    payload: mapValues(payload, ({ below, words }) =>
      words === undefined ? random(below) : words[random(words.length)]),
  }));
  return { points };
}
