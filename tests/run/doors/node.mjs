// SPDX-License-Identifier: Apache-2.0
// node.mjs - the door of the npm package in Node: the wasm module on a directory, in this process.
// Needs js/dist (npm run build:js, and CMake's preset wasm). The client would make text of values,
// but the corpus has texts, some of them no JSON at all: they go in just below it.
import { openConnection } from '../../../js/dist/node.js';

/** Integers beyond 2^53 come tagged for JavaScript; here they are digits again. */
export const untag = (text) => text.replace(/\{"\$int":"(-?\d+)"\}/g, '$1');

export async function open(directory, _storage, options = {}) {
  const connection = await openConnection({ storage: 'node', path: directory, ...options });
  return {
    async call(verb, path, body) {
      const reply = await connection.call(verb, path, body ?? '', null);
      return { http: reply.http, text: untag(reply.text) };
    },
    close: () => connection.close(),
  };
}
