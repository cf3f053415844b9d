// SPDX-License-Identifier: Apache-2.0
// types.ts - shapes of arguments and results: Qdrant's, with bigint ids and Float32Array vectors.

/** A number (bigint beyond 2^53) or a UUID. */
export type PointId = number | bigint | string;
/** A Float32Array is handed over as it is, without becoming text. */
export type DenseVector = number[] | Float32Array;
/** Values of some dimensions, in any order. */
export interface SparseVector {
  indices: number[] | Uint32Array;
  values: DenseVector;
}
/** Rows of the same length. */
export type MultiVector = DenseVector[];
export type Vector = DenseVector | MultiVector | SparseVector;
export type VectorStruct = DenseVector | MultiVector | Record<string, Vector>;
export type Payload = Record<string, unknown>;
export type Distance = 'Cosine' | 'Euclid' | 'Dot' | 'Manhattan';
export type Datatype = 'float32' | 'float16' | 'uint8' | 'turbo4';

/** Where a part of a collection is kept while it is open. */
export type Memory = 'cold' | 'cached' | 'pinned';

export interface VectorParams {
  size: number;
  distance: Distance;
  on_disk?: boolean;
  memory?: 'cold' | 'cached';
  hnsw_config?: Record<string, unknown>;
  datatype?: Datatype;
  multivector_config?: { comparator: 'max_sim' };
}

export interface SparseVectorParams {
  index?: {
    full_scan_threshold?: number;
    on_disk?: boolean;
    memory?: Memory;
    datatype?: Datatype;
  };
  modifier?: 'none' | 'idf';
}

export interface CreateCollection {
  vectors?: VectorParams | Record<string, VectorParams>;
  sparse_vectors?: Record<string, SparseVectorParams>;
  hnsw_config?: Record<string, unknown>;
  optimizers_config?: Record<string, unknown>;
  wal_config?: Record<string, unknown>;
  on_disk_payload?: boolean;
  payload?: { memory?: 'cold' | 'cached' };
  metadata?: Record<string, unknown>;
  timeout?: number;
}

export interface UpdateCollection {
  vectors?: Record<string, {
    hnsw_config?: Record<string, unknown>;
    quantization_config?: Record<string, unknown> | 'Disabled';
    on_disk?: boolean;
    memory?: 'cold' | 'cached';
  }>;
  sparse_vectors?: Record<string, SparseVectorParams>;
  hnsw_config?: Record<string, unknown>;
  quantization_config?: Record<string, unknown> | 'Disabled';
  optimizers_config?: Record<string, unknown>;
  params?: {
    replication_factor?: number;
    write_consistency_factor?: number;
    read_fan_out_factor?: number;
    read_fan_out_delay_ms?: number;
    on_disk_payload?: boolean;
    payload?: { memory?: 'cold' | 'cached' };
  };
  /** Members are merged; a null removes one. */
  metadata?: Record<string, unknown>;
  timeout?: number;
}

type Value = string | number | bigint | boolean;

export type Condition =
  | { key: string; match: { value: Value } | { any: Value[] } | { except: Value[] } }
  | { key: string; range: { gt?: number; gte?: number; lt?: number; lte?: number } }
  | { is_empty: { key: string } }
  | { is_null: { key: string } }
  | { has_id: PointId[] }
  | Filter;

export interface Filter {
  must?: Condition | Condition[] | null;
  should?: Condition | Condition[] | null;
  must_not?: Condition | Condition[] | null;
  min_should?: { conditions: Condition[]; min_count: number } | null;
}

export interface PointStruct {
  id: PointId;
  vector: VectorStruct;
  payload?: Payload | null;
}

export interface Batch {
  ids: PointId[];
  vectors: DenseVector[] | MultiVector[] | Record<string, Vector[]>;
  payloads?: (Payload | null)[];
}

/** How a write is to be done. Here every write waits until it is durable. */
export interface WriteOptions {
  wait?: boolean;
  ordering?: 'weak' | 'medium' | 'strong';
  timeout?: number;
}

export interface ReadOptions {
  consistency?: number | 'majority' | 'quorum' | 'all';
  timeout?: number;
}

export type WithPayload = boolean | string[] | { include: string[] } | { exclude: string[] };
export type WithVector = boolean | string[];
export type PointsSelector = { points: PointId[] } | { filter: Filter };
export type PayloadTarget = { points?: PointId[]; filter?: Filter };

export interface SearchParams {
  hnsw_ef?: number;
  exact?: boolean;
  indexed_only?: boolean;
}

export interface Selection {
  filter?: Filter | null;
  params?: SearchParams | null;
  limit?: number;
  offset?: number;
  with_payload?: WithPayload;
  with_vector?: WithVector;
  score_threshold?: number;
}

export interface QueryRequest extends Selection {
  query?: Vector | PointId | { nearest: Vector | PointId };
  using?: string;
}

export interface SearchRequest extends Selection {
  vector: DenseVector | { name: string; vector: DenseVector | SparseVector };
}

/** A search of one or several vectors at once, by numbers. */
export interface VectorSearch {
  /** One vector after the other. */
  vectors: Float32Array;
  /** Numbers in each vector; all of them are one vector unless it is given. */
  size?: number;
  using?: string;
  filter?: Filter | null;
  params?: SearchParams | null;
  /** Hits per vector, 10 unless given. */
  limit?: number;
  offset?: number;
  score_threshold?: number;
}

/** Hits of vector i are at starts[i] up to starts[i + 1] of ids and scores, best first. */
export interface VectorHits {
  ids: PointId[];
  scores: Float32Array;
  starts: Uint32Array;
}

export interface ScrollRequest {
  filter?: Filter | null;
  limit?: number;
  offset?: PointId | null;
  with_payload?: WithPayload;
  with_vector?: WithVector;
}

/** A vector as it was found. */
export type FoundVector = number[] | number[][] | { indices: number[]; values: number[] };

/** A point as it was found. */
export interface Found {
  id: PointId;
  payload?: Payload | null;
  vector?: number[] | number[][] | Record<string, FoundVector> | null;
}

export interface ScoredPoint extends Found {
  version: number;
  score: number;
}

export interface UpdateResult {
  operation_id?: number | null;
  status: 'completed' | 'acknowledged';
}

export interface CollectionInfo {
  status: 'green' | 'yellow' | 'grey' | 'red';
  points_count?: number | null;
  indexed_vectors_count?: number | null;
  segments_count: number;
  config: Record<string, unknown>;
  payload_schema: Record<string, unknown>;
  [other: string]: unknown;
}

export interface MemoryUsage {
  disk_bytes: number;
  ram_bytes: number;
  cached_bytes: number;
  expected_cache_bytes: number;
}

export interface CollectionMemory {
  total: MemoryUsage;
  vectors: { name: string; storage: MemoryUsage; index: MemoryUsage; quantized?: MemoryUsage }[];
  sparse_vectors: { name: string; storage: MemoryUsage; index: MemoryUsage }[];
  payload: MemoryUsage;
  payload_index: { name: string; usage: MemoryUsage }[];
  other: { id_tracker: MemoryUsage; memory_segments: MemoryUsage; log: MemoryUsage };
}

export interface VersionInfo {
  title: string;
  version: string;
  commit?: string | null;
}
