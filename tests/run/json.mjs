// SPDX-License-Identifier: Apache-2.0
// json.mjs - JSON for tests: integers beyond 2^53 survive, and values are compared with patterns.

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const TAG = '$bigint:';

/** JSON.parse, but an integer a double can't hold becomes the string "$bigint:<digits>". */
export function parse(text) {
  const tagged = text.replace(TOKENS, (token) => {
    const exact = !/^-?\d+$/.test(token) || Number.isSafeInteger(Number(token));
    return exact ? token : `"${TAG}${token}"`;
  });
  return JSON.parse(tagged);
}

/** The text of a value of parse(). */
export function print(value) {
  return JSON.stringify(value).replace(/"\$bigint:(-?\d+)"/g, '$1');
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isInteger = (value) =>
  Number.isInteger(value) || (typeof value === 'string' && value.startsWith(TAG));

/** Distance up to which {"$near": x} accepts a number, relative to numbers above 1. */
const NEAR = 1e-6;

const PATTERNS = {
  $any: () => true,
  $integer: (_, actual) => isInteger(actual),
  $near: (x, actual) =>
    typeof actual === 'number' && Math.abs(actual - x) <= NEAR * Math.max(1, Math.abs(x)),
};

/** Compare the members of two objects; with `partly` members that are not expected may be there. */
function memberDifferences(expected, actual, path, partly) {
  if (!isObject(actual)) return [`${path}: ${print(actual ?? null)} is no object`];
  const names = new Set([...Object.keys(expected), ...(partly ? [] : Object.keys(actual))]);
  return [...names].flatMap((name) => {
    if (!(name in expected)) return [`${path}.${name} is not expected`];
    if (!(name in actual)) return [`${path}.${name} is missing`];
    return differences(expected[name], actual[name], `${path}.${name}`);
  });
}

function listDifferences(expected, actual, path) {
  if (!Array.isArray(actual)) return [`${path}: ${print(actual ?? null)} is no list`];
  if (actual.length !== expected.length) {
    return [`${path}: ${actual.length} items, expected ${expected.length}`];
  }
  return expected.flatMap((item, i) => differences(item, actual[i], `${path}[${i}]`));
}

/**
 * Where `actual` is not as expected, as lines; empty when it is. An expected object with one of
 * the members $any, $integer, $near or $has is a pattern (tests/cases/README.md).
 */
export function differences(expected, actual, path) {
  if (Array.isArray(expected)) return listDifferences(expected, actual, path);
  if (!isObject(expected)) {
    if (expected === actual) return [];
    return [`${path}: ${print(actual ?? null)}, expected ${print(expected)}`];
  }
  if ('$has' in expected) return memberDifferences(expected.$has, actual, path, true);
  for (const [name, holds] of Object.entries(PATTERNS)) {
    if (!(name in expected)) continue;
    if (holds(expected[name], actual)) return [];
    return [`${path}: ${print(actual ?? null)} is not ${print(expected)}`];
  }
  return memberDifferences(expected, actual, path, false);
}
