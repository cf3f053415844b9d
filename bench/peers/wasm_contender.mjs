// SPDX-License-Identifier: Apache-2.0
// wasm_contender.mjs - one npm contender: building, and timed passes over the queries. Runs in a
// Node process or a page of its own; `cpu()` gives milliseconds, of CPU time where it can be told.
import { ADAPTERS, LIMIT } from './wasm_adapters.mjs';

const PASS_MS = 1500; // slow peers answer fewer queries in a pass, but at least:
const QUERIES_MIN = 30;

/** Share of the true nearest that were found. */
function recallOf(found, truth) {
  let hits = 0;
  let wanted = 0;
  found.forEach((ids, i) => {
    const true_ids = new Set(truth.subarray(i * LIMIT, (i + 1) * LIMIT));
    hits += Array.from(ids, Number).filter((id) => true_ids.has(id)).length;
    wanted += true_ids.size;
  });
  return hits / wanted;
}

export class Contender {
  #adapter;
  #all;
  #queries;
  #truth;
  #cpu;

  static async create(name, given, { queries, truth, cpu }) {
    const contender = new Contender();
    contender.#adapter = await ADAPTERS[name](given);
    contender.#truth = truth;
    contender.#cpu = cpu;
    contender.#all = queries;
    contender.#queries = Array.from({ length: queries.length / given.dim },
      (_, i) => queries.slice(i * given.dim, (i + 1) * given.dim));
    return contender;
  }

  async build() {
    const [cpu, wall] = [this.#cpu(), performance.now()];
    await this.#adapter.build();
    return { cpu_s: (this.#cpu() - cpu) / 1000, wall_s: (performance.now() - wall) / 1000,
      fixed: this.#adapter.setEf === undefined };
  }

  /** The loop that is timed, the same for all. */
  async #loop(queries) {
    const found = [];
    for (const query of queries) {
      const ids = this.#adapter.search(query);
      found.push(ids instanceof Promise ? await ids : ids);
    }
    return found;
  }

  async pass({ ef }) {
    await this.#adapter.setEf?.(ef);
    const started = performance.now();
    await this.#loop(this.#queries.slice(0, 3));
    const one = (performance.now() - started) / 3;
    const count = Math.min(this.#queries.length, Math.max(QUERIES_MIN, Math.floor(PASS_MS / one)));
    const [cpu, wall] = [this.#cpu(), performance.now()];
    const found = await this.#loop(this.#queries.slice(0, count));
    const row = { recall: recallOf(found, this.#truth), qps: count * 1000 / (this.#cpu() - cpu),
      wall_qps: count * 1000 / (performance.now() - wall), queries: count };
    if (this.#adapter.batch) row.batch_qps = await this.#batch();
    return row;
  }

  async #batch() {
    const cpu = this.#cpu();
    await this.#adapter.batch(this.#all);
    return this.#queries.length * 1000 / (this.#cpu() - cpu);
  }
}
