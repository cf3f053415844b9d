/* SPDX-License-Identifier: Apache-2.0
 *
 * request.h - every operation as a typed request and a typed response. All doors decode into these
 * and encode from these; nothing between knows text. Memory: requests and responses live in one
 * arena per call; strings may point into the request's text. */
#ifndef OCTANT_REQUEST_H
#define OCTANT_REQUEST_H

#include "octant/status.h"
#include "octant/types.h"

/* ---- parts --------------------------------------------------------------------------- */

/* Which points: ids, or all that pass a filter. */
typedef struct oct_points_selector {
    const oct_point_id *ids; /* [id_count] */
    uint32_t id_count;
    const oct_filter *filter; /* NULL: by ids */
} oct_points_selector;

typedef enum oct_select_mode {
    OCT_SELECT_NONE,
    OCT_SELECT_ALL,
    OCT_SELECT_INCLUDE,
    OCT_SELECT_EXCLUDE /* payloads only */
} oct_select_mode;

/* with_payload (key paths) or with_vector (vector names). */
typedef struct oct_selector {
    oct_select_mode mode;
    const oct_str *keys; /* [key_count] */
    uint32_t key_count;
} oct_selector;

typedef struct oct_point {
    oct_point_id id;
    const oct_named_vector *vectors; /* [vector_count] */
    uint32_t vector_count;
    oct_str payload; /* minified JSON object, "" = none */
} oct_point;

/* ---- writes -------------------------------------------------------------------------- */

typedef enum oct_write_kind {
    OCT_WRITE_UPSERT,
    OCT_WRITE_DELETE,
    OCT_WRITE_SET_PAYLOAD,
    OCT_WRITE_OVERWRITE_PAYLOAD,
    OCT_WRITE_DELETE_PAYLOAD,
    OCT_WRITE_CLEAR_PAYLOAD,
    OCT_WRITE_UPDATE_VECTORS,
    OCT_WRITE_DELETE_VECTORS,
    OCT_WRITE_CREATE_INDEX,
    OCT_WRITE_DELETE_INDEX
} oct_write_kind;

typedef enum oct_update_mode {
    OCT_UPDATE_UPSERT,
    OCT_UPDATE_INSERT_ONLY,
    OCT_UPDATE_UPDATE_ONLY
} oct_update_mode;

typedef struct oct_write {
    oct_write_kind kind;
    bool wait; /* reply "completed" instead of "acknowledged"; both are durable */
    /* UPSERT, UPDATE_VECTORS (payload unused) */
    const oct_point *points; /* [point_count] */
    uint32_t point_count;
    oct_update_mode update_mode;
    const oct_filter *update_filter; /* NULL: unconditional */
    /* DELETE, *_PAYLOAD, DELETE_VECTORS */
    oct_points_selector selector;
    oct_str payload;     /* SET/OVERWRITE_PAYLOAD: minified JSON object */
    oct_str payload_key; /* SET_PAYLOAD: merge below this path; "" = top */
    const oct_str *keys; /* DELETE_PAYLOAD: key paths; DELETE_VECTORS: vector names */
    uint32_t key_count;
    /* CREATE_INDEX (all), DELETE_INDEX (key) */
    oct_field_config field;
} oct_write;

typedef struct oct_write_result {
    uint64_t operation_id; /* the sequence of the change */
    bool completed;
} oct_write_result;

/* ---- reads --------------------------------------------------------------------------- */

typedef enum oct_query_kind {
    OCT_QUERY_NONE, /* scroll by id */
    OCT_QUERY_VECTOR,
    OCT_QUERY_POINT /* the vector of a stored point, which is left out of the answer */
} oct_query_kind;

/* Search parameter `acorn`: walk over selected points only, looking through the others, when a
 * filter selects at most max_selectivity of the points. */
typedef struct oct_acorn {
    bool enable;
    bool has_max_selectivity;
    double max_selectivity; /* 0..1; 0.4 when not given */
} oct_acorn;

/* How a quantized vector is searched (API: params.quantization). */
typedef struct oct_quantization_search {
    bool ignore;         /* search the originals */
    bool has_rescore;    /* false: the kind of the codes decides */
    bool rescore;        /* score the best by code again on the originals */
    double oversampling; /* >= 1: so many times limit are rescored; 0 = not given */
} oct_quantization_search;

typedef struct oct_query {
    oct_query_kind kind;
    const float *vector; /* [vector_count], as oct_named_vector has its values */
    uint32_t vector_count;
    oct_vector_kind vector_kind;
    uint32_t vector_rows;           /* multi */
    const uint32_t *vector_indices; /* sparse */
    oct_point_id point;
    oct_str using_vector;     /* vector name; "" = unnamed */
    const oct_filter *filter; /* NULL = all */
    uint64_t hnsw_ef;         /* OCT_UNSET */
    bool exact;
    bool indexed_only;
    oct_acorn acorn;
    oct_quantization_search quantization;
    bool has_score_threshold;
    float score_threshold;
    uint64_t limit; /* >= 1 */
    uint64_t offset;
    oct_selector with_payload;
    oct_selector with_vector;
} oct_query;

typedef struct oct_scroll {
    const oct_filter *filter; /* NULL = all */
    bool has_offset;
    oct_point_id offset; /* first id wanted */
    uint64_t limit;      /* >= 1 */
    oct_selector with_payload;
    oct_selector with_vector;
} oct_scroll;

typedef struct oct_count {
    const oct_filter *filter;
    bool exact;
} oct_count;

typedef struct oct_retrieve {
    const oct_point_id *ids;
    uint32_t id_count;
    oct_selector with_payload;
    oct_selector with_vector;
} oct_retrieve;

/* A point as an answer. payload.at NULL = not asked for; "" with at != NULL can't occur: an empty
 * payload is "{}". vectors NULL = not asked for. */
typedef struct oct_found_point {
    oct_point_id id;
    uint64_t version; /* sequence of its last change */
    float score;      /* as Qdrant shows it; queries only */
    oct_str payload;  /* JSON object text */
    const oct_named_vector *vectors;
    uint32_t vector_count;
} oct_found_point;

typedef struct oct_found {
    const oct_found_point *points; /* [count], best first (queries), by id (scroll), as asked */
    uint32_t count;
    bool has_next; /* scroll: `next` is the id to go on with */
    oct_point_id next;
} oct_found;

/* ---- collections --------------------------------------------------------------------- */

typedef enum oct_collection_status {
    OCT_COLLECTION_GREEN,
    OCT_COLLECTION_YELLOW, /* maintenance has work to do */
    OCT_COLLECTION_RED     /* damaged or failed: `problem` says why */
} oct_collection_status;

typedef struct oct_field_info {
    oct_field_config config;
    uint64_t points; /* that have a value */
} oct_field_info;

typedef struct oct_collection_info {
    oct_collection_status status;
    oct_str problem;
    uint64_t points_count;
    uint64_t indexed_vectors_count;
    uint64_t segments_count;
    const oct_collection_config *config;
    const oct_field_info *fields; /* [field_count] */
    uint32_t field_count;
} oct_collection_info;

/* What a part of a collection takes. */
typedef struct oct_memory_usage {
    uint64_t disk_bytes;
    uint64_t ram_bytes;    /* memory of its own */
    uint64_t cached_bytes; /* of files viewed, by 64 KiB: looked at since opening */
    uint64_t
        expected_cache_bytes; /* of files viewed: all that is best kept in the system's cache */
} oct_memory_usage;

typedef struct oct_vector_memory {
    oct_str name;
    bool sparse, has_quantized;
    oct_memory_usage storage, index, quantized;
} oct_vector_memory;

typedef struct oct_field_memory {
    oct_str key;
    oct_memory_usage usage;
} oct_field_memory;

/* A collection by part; `total` is the sum of the others. */
typedef struct oct_memory_report {
    oct_memory_usage total;
    const oct_vector_memory *vectors; /* [vector_count], the sparse ones last */
    uint32_t vector_count;
    oct_memory_usage payload;
    const oct_field_memory *fields; /* [field_count] payload indexes */
    uint32_t field_count;
    oct_memory_usage ids;             /* with versions and what else belongs to no other part */
    oct_memory_usage memory_segments; /* points that are not in a file yet, vectors and all */
    oct_memory_usage log;
} oct_memory_report;

#endif
