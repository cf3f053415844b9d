// SPDX-License-Identifier: Apache-2.0
// client.ts - the methods of the official client (@qdrant/js-client-rest), by the same names, with
// the same arguments and results, over a database in this program.
import { OctantError } from './errors.js';
import { decode, encode } from './json.js';
import type { Reply } from './core.js';
import type { Connection } from './session.js';
import type * as T from './types.js';

const QUERY_NAMES = ['wait', 'ordering', 'timeout', 'consistency'] as const;

const collectionPath = (name: string) => `/collections/${encodeURIComponent(name)}`;

/** Split arguments into the query string and the body. */
function split(path: string, args: object, wait: boolean): { path: string; body: object } {
  const body: Record<string, unknown> = { ...args };
  const query = new URLSearchParams(wait ? { wait: 'true' } : {});
  for (const name of QUERY_NAMES) {
    if (body[name] !== undefined) query.set(name, String(body[name]));
    delete body[name];
  }
  const text = query.toString();
  return { path: text === '' ? path : `${path}?${text}`, body };
}

const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 32;

/** What of a search is not typed, as JSON. */
function optionsOf({ filter, score_threshold, offset, params }: T.VectorSearch): string {
  const { hnsw_ef, exact, ...others } = params ?? {};
  const more: Record<string, unknown> = others;
  if (hnsw_ef !== undefined && !isCount(hnsw_ef)) more.hnsw_ef = hnsw_ef; // to be refused there
  const hasParams = Object.keys(more).length > 0;
  if (!filter && score_threshold === undefined && !offset && !hasParams) return '';
  return encode({ filter, score_threshold, offset, params: more }).text;
}

export class OctantClient {
  readonly #connection: Connection;

  /** Use open() of the package. */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The kernels that compute distances: "wasm-relaxed" where the engine has relaxed SIMD. */
  get kernels(): string {
    return this.#connection.kernels;
  }

  /** Send a request as Qdrant's REST API has it; the reply is whatever it is, errors too. */
  async request(verb: string, path: string, body?: unknown): Promise<Reply> {
    const { text, floats } = body === undefined ? { text: '', floats: null } : encode(body);
    return this.#connection.call(verb, path, text, floats);
  }

  async #result<R>(verb: string, path: string, body?: unknown): Promise<R> {
    const reply = await this.request(verb, path, body);
    const value = reply.text === '' ? {} : decode(reply.text) as
      { result?: R; status?: { error?: string } };
    if (reply.status === 'OK') return value.result as R;
    throw new OctantError(reply.status, value.status?.error ?? `HTTP ${reply.http}`);
  }

  #write<R>(verb: string, name: string, tail: string, args: object): Promise<R> {
    const { path, body } = split(`${collectionPath(name)}${tail}`, args, true);
    return this.#result(verb, path, body);
  }

  #read<R>(name: string, tail: string, args: object): Promise<R> {
    const { path, body } = split(`${collectionPath(name)}${tail}`, args, false);
    return this.#result('POST', path, body);
  }

  /** Name and version of this database and the Qdrant version whose API it speaks. */
  async versionInfo(): Promise<T.VersionInfo> {
    return decode((await this.request('GET', '/')).text) as T.VersionInfo;
  }

  getCollections(): Promise<{ collections: { name: string }[] }> {
    return this.#result('GET', '/collections');
  }

  getCollection(collection_name: string): Promise<T.CollectionInfo> {
    return this.#result('GET', collectionPath(collection_name));
  }

  /** What the collection holds, by part. Not in the official client. */
  getCollectionMemory(collection_name: string): Promise<T.CollectionMemory> {
    return this.#result('GET', `${collectionPath(collection_name)}/memory`);
  }

  collectionExists(collection_name: string): Promise<{ exists: boolean }> {
    return this.#result('GET', `${collectionPath(collection_name)}/exists`);
  }

  createCollection(collection_name: string, args: T.CreateCollection): Promise<boolean> {
    const { path, body } = split(collectionPath(collection_name), args, false);
    return this.#result('PUT', path, body);
  }

  /** Change settings; what is not given stays. What no longer fits is built anew later. */
  updateCollection(collection_name: string, args: T.UpdateCollection = {}): Promise<boolean> {
    const { path, body } = split(collectionPath(collection_name), args, false);
    return this.#result('PATCH', path, body);
  }

  deleteCollection(collection_name: string, args: { timeout?: number } = {}): Promise<boolean> {
    return this.#result('DELETE', split(collectionPath(collection_name), args, false).path);
  }

  upsert(collection_name: string,
    args: T.WriteOptions & ({ points: T.PointStruct[] } | { batch: T.Batch }),
  ): Promise<T.UpdateResult> {
    return this.#write('PUT', collection_name, '/points', args);
  }

  delete(collection_name: string, args: T.WriteOptions & T.PointsSelector,
  ): Promise<T.UpdateResult> {
    return this.#write('POST', collection_name, '/points/delete', args);
  }

  updateVectors(collection_name: string,
    args: T.WriteOptions & { points: { id: T.PointId; vector: T.VectorStruct }[] },
  ): Promise<T.UpdateResult> {
    return this.#write('PUT', collection_name, '/points/vectors', args);
  }

  deleteVectors(collection_name: string,
    args: T.WriteOptions & T.PayloadTarget & { vector: string[] }): Promise<T.UpdateResult> {
    return this.#write('POST', collection_name, '/points/vectors/delete', args);
  }

  setPayload(collection_name: string,
    args: T.WriteOptions & T.PayloadTarget & { payload: T.Payload; key?: string },
  ): Promise<T.UpdateResult> {
    return this.#write('POST', collection_name, '/points/payload', args);
  }

  overwritePayload(collection_name: string,
    args: T.WriteOptions & T.PayloadTarget & { payload: T.Payload; key?: string },
  ): Promise<T.UpdateResult> {
    return this.#write('PUT', collection_name, '/points/payload', args);
  }

  deletePayload(collection_name: string,
    args: T.WriteOptions & T.PayloadTarget & { keys: string[] }): Promise<T.UpdateResult> {
    return this.#write('POST', collection_name, '/points/payload/delete', args);
  }

  clearPayload(collection_name: string, args: T.WriteOptions & T.PointsSelector,
  ): Promise<T.UpdateResult> {
    return this.#write('POST', collection_name, '/points/payload/clear', args);
  }

  createPayloadIndex(collection_name: string,
    args: T.WriteOptions & { field_name: string; field_schema?: string | object },
  ): Promise<T.UpdateResult> {
    return this.#write('PUT', collection_name, '/index', args);
  }

  deletePayloadIndex(collection_name: string, field_name: string, args: T.WriteOptions = {},
  ): Promise<T.UpdateResult> {
    const tail = `${collectionPath(collection_name)}/index/${encodeURIComponent(field_name)}`;
    return this.#result('DELETE', split(tail, args, true).path);
  }

  query(collection_name: string, args: T.QueryRequest & T.ReadOptions = {},
  ): Promise<{ points: T.ScoredPoint[] }> {
    return this.#read(collection_name, '/points/query', args);
  }

  /** Several queries over one state of the collection; answers in their order. */
  queryBatch(collection_name: string, args: { searches: T.QueryRequest[] } & T.ReadOptions,
  ): Promise<{ points: T.ScoredPoint[] }[]> {
    return this.#read(collection_name, '/points/query/batch', args);
  }

  search(collection_name: string, args: T.SearchRequest & T.ReadOptions,
  ): Promise<T.ScoredPoint[]> {
    return this.#read(collection_name, '/points/search', args);
  }

  /**
   * Ids and scores of the nearest points, for one or several vectors: the results of query(), but
   * nothing of it becomes text on the way, which is what takes most of a short query's time.
   */
  async searchVectors(collection_name: string, args: T.VectorSearch): Promise<T.VectorHits> {
    const { vectors, size = vectors.length, using = '', limit = 10, params } = args;
    const count = size > 0 ? vectors.length / size : 0;
    if (!Number.isInteger(count)) {
      throw new OctantError('BAD_INPUT',
        `vectors: ${vectors.length} numbers are not vectors of ${size}`);
    }
    if (!isCount(limit)) {
      throw new OctantError('VALIDATION', `limit: value ${limit} invalid, must be 1 or larger`);
    }
    const hnswEf = isCount(params?.hnsw_ef) ? params.hnsw_ef : 0;
    const outcome = await this.#connection.search({ collection: collection_name, using, vectors,
      count, size, limit, hnswEf, exact: params?.exact ?? false, options: optionsOf(args) });
    if (outcome.status === 'OK') return outcome.hits;
    throw new OctantError(outcome.status, outcome.message);
  }

  scroll(collection_name: string, args: T.ScrollRequest & T.ReadOptions = {},
  ): Promise<{ points: T.Found[]; next_page_offset?: T.PointId | null }> {
    return this.#read(collection_name, '/points/scroll', args);
  }

  retrieve(collection_name: string, args: T.ReadOptions &
    { ids: T.PointId[]; with_payload?: T.WithPayload; with_vector?: T.WithVector },
  ): Promise<T.Found[]> {
    return this.#read(collection_name, '/points', args);
  }

  count(collection_name: string,
    args: T.ReadOptions & { filter?: T.Filter | null; exact?: boolean } = {},
  ): Promise<{ count: number }> {
    return this.#read(collection_name, '/points/count', args);
  }

  /** Do all housekeeping that is due (sealing, indexing, merging) now instead of when idle. */
  maintain(): Promise<void> {
    return this.#connection.maintain();
  }

  /** Close the database. What was acknowledged is durable with or without it. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
