/* SPDX-License-Identifier: Apache-2.0
 *
 * types.h - plain values shared by every layer: strings, point ids, vectors, filters,
 * collection configuration, limits. Functions on them live in core/model. Words and meanings are
 * Qdrant's. */
#ifndef OCTANT_TYPES_H
#define OCTANT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits. Each has an error when it is reached. */
enum {
    OCT_COLLECTION_NAME_BYTES_MAX = 255,
    OCT_VECTOR_NAME_BYTES_MAX = 255,
    OCT_VECTOR_SIZE_MAX = 65536,     /* dimensions (Qdrant) */
    OCT_NAMED_VECTORS_MAX = 64,      /* per collection */
    OCT_VECTOR_VALUES_MAX = 1 << 20, /* of one multivector (all rows) or sparse vector */
    OCT_FIELD_KEY_BYTES_MAX = 1024,  /* payload key path */
    OCT_FIELD_INDEXES_MAX = 256,     /* per collection */
    OCT_FILTER_DEPTH_MAX = 50,
    OCT_FILTER_CONDITIONS_MAX = 10000,
    OCT_JSON_DEPTH_MAX = 64,
    OCT_METADATA_BYTES_MAX = 1 << 20, /* a collection's, as JSON text: part of its manifest */
    OCT_PAYLOAD_BYTES_MAX = 16 << 20, /* one point's payload as JSON text */
    OCT_BODY_BYTES_MAX = 32 << 20,    /* one request (Qdrant's service.max_request_size_mb) */
    OCT_LIMIT_MAX = 1 << 20, /* limit + offset of one query, after clamping to the points */
    OCT_HNSW_EF_MAX = 1 << 16
};

/* A byte string with a length; no NUL assumed. Borrowed: the comment at each use says from whom. */
typedef struct oct_str {
    const char *at;
    size_t bytes;
} oct_str;

#define OCT_STR(literal) ((oct_str){ "" literal, sizeof(literal) - 1 })

/* A point id: an unsigned 64-bit number, or a UUID as two big-endian halves.
 * Order: every number before every UUID, then by value (Qdrant's ExtendedPointId). */
typedef struct oct_point_id {
    uint64_t high; /* 0 for numbers */
    uint64_t low;
    bool is_uuid;
} oct_point_id;

/* Distances, in the order they are stored. Scores: see core/simd/metric.h. */
typedef enum oct_metric {
    OCT_METRIC_COSINE,
    OCT_METRIC_EUCLID,
    OCT_METRIC_DOT,
    OCT_METRIC_MANHATTAN,
    OCT_METRIC_COUNT
} oct_metric;

/* The forms of a vector: one row of numbers; several rows of the same length; numbers for some of
 * 2^32 dimensions. */
typedef enum oct_vector_kind {
    OCT_VECTOR_DENSE,
    OCT_VECTOR_MULTI,
    OCT_VECTOR_SPARSE
} oct_vector_kind;

/* One vector of a point: name "" is the unnamed (default) vector. */
typedef struct oct_named_vector {
    oct_str name;
    const float *values; /* [count]; of a multivector row after row */
    uint32_t count;      /* numbers: dense, the dimensions; multi, rows x dimensions */
    oct_vector_kind kind;
    uint32_t rows;           /* multi: >= 1, divides count */
    const uint32_t *indices; /* sparse: [count] dimensions, strictly ascending */
} oct_named_vector;

/* ---- filters ------------------------------------------------------------------------- */

typedef enum oct_scalar_kind {
    OCT_SCALAR_KEYWORD,
    OCT_SCALAR_INTEGER,
    OCT_SCALAR_BOOL
} oct_scalar_kind;

typedef struct oct_scalar {
    oct_scalar_kind kind;
    oct_str keyword; /* UTF-8 */
    int64_t integer; /* also 0/1 of a bool */
} oct_scalar;

typedef enum oct_condition_kind {
    OCT_CONDITION_MATCH_ANY,    /* a value of the field equals one of `values` (match value/any) */
    OCT_CONDITION_MATCH_EXCEPT, /* the field has a value that is none of `values` */
    OCT_CONDITION_RANGE,        /* a numeric value of the field lies in `range` */
    OCT_CONDITION_IS_EMPTY,     /* missing, null or [] */
    OCT_CONDITION_IS_NULL,      /* the field exists and is null (or an array holding a null) */
    OCT_CONDITION_HAS_ID,       /* the point's id is one of `ids` */
    OCT_CONDITION_FILTER        /* a nested filter */
} oct_condition_kind;

typedef struct oct_range { /* an absent bound is -INFINITY / +INFINITY with its flag false */
    double lower, upper;
    bool has_lower, has_upper;
    bool lower_open, upper_open; /* gt / lt: the bound itself is outside */
} oct_range;

typedef struct oct_filter oct_filter;

typedef struct oct_condition {
    oct_condition_kind kind;
    oct_str key;              /* payload key path, e.g. "a.b[].c" (MATCH, RANGE, IS_*) */
    const oct_scalar *values; /* [value_count] (MATCH_*) */
    const oct_point_id *ids;  /* [id_count] (HAS_ID) */
    const oct_filter *filter; /* (FILTER) */
    uint32_t value_count;
    uint32_t id_count;
    oct_range range;
} oct_condition;

typedef struct oct_conditions {
    const oct_condition *at;
    uint32_t count;
} oct_conditions;

/* A point passes when all of must, at least one of should (if any), none of must_not, and at
 * least min_should_count of min_should (if any) hold. An empty filter passes everything. */
struct oct_filter {
    oct_conditions must, should, must_not, min_should;
    uint32_t min_should_count;
};

/* ---- collection configuration -------------------------------------------------------- */

/* "Not set: the level above decides" (a vector's own value, then the collection's, then ours). */
#define OCT_UNSET UINT64_MAX
#define OCT_AUTO  (UINT64_MAX - 1)

typedef struct oct_hnsw_config {   /* each OCT_UNSET when not given */
    uint64_t m;                    /* links per point on upper levels; level 0 has 2m. Default 16 */
    uint64_t ef_construct;         /* default 100 */
    uint64_t full_scan_threshold;  /* KiB of vectors below which no graph is used. Default 10000 */
    uint64_t max_indexing_threads; /* default 0 = all */
    uint64_t on_disk;              /* 0, 1 */
    uint64_t memory;               /* oct_placement */
    uint64_t payload_m;
    uint64_t inline_storage; /* 0, 1: may a graph hold codes of its own? As if 1 when not given */
} oct_hnsw_config;

typedef enum oct_quantization_kind {
    OCT_QUANTIZATION_NONE, /* not given */
    OCT_QUANTIZATION_SCALAR,
    OCT_QUANTIZATION_PRODUCT,
    OCT_QUANTIZATION_BINARY,
    OCT_QUANTIZATION_TURBO,
    OCT_QUANTIZATION_COUNT
} oct_quantization_kind;

typedef enum oct_binary_encoding {
    OCT_BINARY_ONE_BIT,
    OCT_BINARY_TWO_BITS,
    OCT_BINARY_ONE_AND_HALF_BITS
} oct_binary_encoding;

typedef enum oct_query_encoding {
    OCT_QUERY_ENCODING_DEFAULT, /* as the stored codes */
    OCT_QUERY_ENCODING_BINARY,  /* the same */
    OCT_QUERY_ENCODING_SCALAR4BITS,
    OCT_QUERY_ENCODING_SCALAR8BITS
} oct_query_encoding;

typedef enum oct_turbo_bits {
    OCT_TURBO_BITS1,
    OCT_TURBO_BITS1_5,
    OCT_TURBO_BITS2,
    OCT_TURBO_BITS4
} oct_turbo_bits;

/* Where a part of a collection is kept while it is open. */
typedef enum oct_placement {
    OCT_PLACEMENT_COLD,   /* in its file, read when it is needed */
    OCT_PLACEMENT_CACHED, /* mapped where the storage can, else in memory */
    OCT_PLACEMENT_PINNED  /* in memory of its own */
} oct_placement;

/* How small codes of a vector are made. What was not given, or does not belong to the kind, is
 * OCT_UNSET (NaN). */
typedef struct oct_quantization_config {
    oct_quantization_kind kind;
    float quantile;          /* SCALAR: 0.5..1 of |x|; default 1, the whole range */
    uint64_t compression;    /* PRODUCT: 4, 8, 16, 32 or 64 */
    uint64_t encoding;       /* BINARY: oct_binary_encoding; default ONE_BIT */
    uint64_t query_encoding; /* BINARY: oct_query_encoding; default DEFAULT */
    uint64_t bits;           /* TURBO: oct_turbo_bits; default BITS4 */
    uint64_t always_ram;     /* 0, 1 */
    uint64_t memory;         /* oct_placement */
    bool disabled;           /* only in an update, with kind NONE: from now on there is none */
} oct_quantization_config;

/* What the numbers of a dense vector or multivector are rounded to when they come in, and what
 * sealed files hold. In memory and in the log they are floats; of turbo4 those of the rotated
 * vector. */
typedef enum oct_datatype {
    OCT_DATATYPE_FLOAT32,
    OCT_DATATYPE_FLOAT16, /* IEEE binary16, to nearest even; beyond its range the largest */
    OCT_DATATYPE_UINT8,   /* 0..255, the fraction cut off */
    OCT_DATATYPE_TURBO4,  /* 16 levels of the rotated vector, and its length (simd/turbo.h) */
    OCT_DATATYPE_COUNT
} oct_datatype;

/* Settings of a sparse vector. The index is always exact and in floats; what places or packs it is
 * kept to be shown again. */
typedef struct oct_sparse_params {
    bool has_index, has_modifier; /* given at creation */
    bool idf;                     /* modifier: weigh the query's dimensions by their rarity */
    uint64_t full_scan_threshold; /* OCT_UNSET when not given, as the rest */
    uint64_t on_disk;             /* 0, 1 */
    uint64_t memory;              /* oct_placement */
    uint64_t datatype;            /* oct_datatype */
} oct_sparse_params;

typedef struct oct_vector_params {
    oct_str name;         /* "" = the unnamed vector */
    uint32_t size;        /* dimensions of a row; sparse: 0 */
    oct_metric metric;    /* sparse: Dot */
    uint64_t on_disk;     /* 0, 1, OCT_UNSET */
    uint64_t memory;      /* oct_placement but PINNED, OCT_UNSET */
    oct_hnsw_config hnsw; /* overrides of the collection's */
    oct_vector_kind kind;
    oct_datatype datatype;
    bool has_datatype; /* given at creation, perhaps as the default */
    oct_sparse_params sparse;
    oct_quantization_config quantization; /* instead of the collection's */
} oct_vector_params;

typedef struct oct_optimizers_config { /* OCT_UNSET / NaN when not given */
    double deleted_threshold;          /* default 0.2 */
    uint64_t vacuum_min_vector_number; /* default 1000 */
    uint64_t default_segment_number;   /* default 0 */
    uint64_t max_segment_size;         /* KiB */
    uint64_t memmap_threshold;         /* KiB; accepted and echoed */
    uint64_t indexing_threshold;       /* KiB; default 10000; 0 turns graphs off */
    uint64_t flush_interval_sec;       /* default 5 */
    uint64_t max_optimization_threads; /* in an update also OCT_AUTO: unset again */
} oct_optimizers_config;

typedef enum oct_field_type {
    OCT_FIELD_KEYWORD,
    OCT_FIELD_INTEGER,
    OCT_FIELD_FLOAT,
    OCT_FIELD_BOOL,
    OCT_FIELD_TYPE_COUNT
} oct_field_type;

/* One payload index. `params` is the JSON object it was created with, "" for the string form. */
typedef struct oct_field_config {
    oct_str key;
    oct_field_type type;
    oct_str params;
} oct_field_config;

/* It also carries an update of one: then everything that is not given is unset (0 bytes, NONE), and
 * `vectors` are those that change, with their names and forms and nothing else that can't. */
typedef struct oct_collection_config {
    const oct_vector_params *vectors; /* [vector_count]: the sparse ones last, else by name */
    uint32_t vector_count;
    bool single_vector; /* given as one object (the unnamed vector), not as a map */
    oct_hnsw_config hnsw;
    oct_quantization_config quantization; /* of vectors that have none of their own */
    oct_optimizers_config optimizers;
    uint64_t wal_capacity_mb, wal_segments_ahead, wal_retain_closed;
    uint64_t shard_number, replication_factor, write_consistency_factor; /* echoed; one node */
    uint64_t read_fan_out_factor, read_fan_out_delay_ms; /* by updates only; echoed */
    uint64_t on_disk_payload;                            /* default 1 */
    uint64_t payload_memory;                             /* oct_placement but PINNED, OCT_UNSET */
    oct_str metadata;                                    /* JSON object or "" */
} oct_collection_config;

#endif
