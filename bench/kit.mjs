// SPDX-License-Identifier: Apache-2.0
// kit.mjs - what all benchmarks of this folder share: running programs, medians, and the rows they
// report. A row is one JSON line on standard output:
//
//   name, target    what was measured, and where: an instruction set, "native", "wasm128", "REST"
//   data            dimensions or data set
//   value, unit     the median over the rounds; times and bytes want to be small, rates large
//   rounds          how many rounds the median is of
//   peer, ratio     what it is compared with in the same run, and value / the peer's value
//   goal, met       the limit the project set itself for the ratio or, without a peer, the value
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';

export const rows = [];

export function report(row) {
  const whole = { ...row };
  if (row.peerValue !== undefined) {
    whole.ratio = row.value / row.peerValue;
    delete whole.peerValue;
  }
  if (row.goal !== undefined) {
    const judged = whole.ratio ?? row.value;
    whole.met = row.atLeast ? judged >= row.goal : judged <= row.goal;
    delete whole.atLeast;
  }
  for (const key of ['value', 'ratio']) {
    if (whole[key] !== undefined) whole[key] = Number(whole[key].toPrecision(4));
  }
  rows.push(whole);
  console.log(JSON.stringify(whole));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Standard output of a program. What it says on standard error is shown. */
export function output(program, words, environment = {}) {
  return execFileSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...environment } });
}

/** The JSON lines a program prints. */
export function lines(program, words, environment) {
  return output(program, words, environment).trim().split('\n').map((line) => JSON.parse(line));
}

/** Several values under one key, as rounds bring them in. */
export class Samples {
  #values = new Map();

  add(key, value) {
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  keys() { return [...this.#values.keys()]; }

  has(key) { return this.#values.has(key); }

  median(key) {
    if (!this.has(key)) throw new Error(`nothing was measured for ${key}`);
    return median(this.#values.get(key));
  }
}

export const say = (text) => console.error(text);

/** The rows as a table for people. */
export function table() {
  const heads = ['what', 'target', 'data', 'value', 'peer', 'ratio', 'goal'];
  const shown = rows.map((row) => [row.name, row.target, row.data, `${row.value} ${row.unit}`,
    row.peer ?? '', row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.goal === undefined ? '' : `${row.goal} ${row.met ? 'met' : 'MISSED'}`]);
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...shown.map((row) => row[i].length)));
  return [heads, widths.map((width) => '-'.repeat(width)), ...shown]
    .map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd()).join('\n');
}

/** A port nobody listens on now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
