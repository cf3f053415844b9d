/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed.h - the immutable segment: one container file of points, their vectors, payloads, graphs
 * and payload indexes.
 *
 * Points are in id order, so a point's offset is found by binary search, scrolling is a walk, and
 * "smaller offset first" is "smaller id first". Which of them live is not its business (view.h).
 * Sections and their rules: head of sealed.c. */
#ifndef OCTANT_SEGMENT_SEALED_H
#define OCTANT_SEGMENT_SEALED_H

#include "base/arena.h"
#include "base/check.h"
#include "base/sync.h"
#include "index/field.h"
#include "index/flat.h"
#include "index/hnsw.h"
#include "index/multi.h"
#include "index/quant.h"
#include "index/sparse.h"
#include "octant/host.h"
#include "octant/types.h"
#include "store/container.h"

/* Sections of the file, by kind; the index is that of the vector or field. */
enum oct_section {
    OCT_SECTION_META = 1,    /* counts, vector names, field keys */
    OCT_SECTION_ID_LOW,      /* u64 per point */
    OCT_SECTION_ID_HIGH,     /* u64 per UUID point */
    OCT_SECTION_VERSIONS,    /* u64 per point */
    OCT_SECTION_PAYLOAD_END, /* u64 per point: where its payload ends */
    OCT_SECTION_PAYLOADS,    /* JSON texts, one after another */
    OCT_SECTION_VECTORS,     /* f32 rows of one vector */
    OCT_SECTION_PRESENT,     /* bit per point: has it; missing when all have */
    OCT_SECTION_GRAPH,       /* of one vector; missing when it was not indexed */
    OCT_SECTION_FIELD,       /* one payload index */
    OCT_SECTION_LINKS,       /* of one vector, within payload blocks; beside its graph */
    OCT_SECTION_QUANT,       /* codes of one vector; missing when it is not quantized */
    OCT_SECTION_ENDS,        /* u64 per point: where its rows or values of one vector end */
    OCT_SECTION_SPARSE       /* the inverted index of one sparse vector */
};

typedef struct oct_sealed_vector {
    oct_vector_params params; /* name (into the meta section), form, size, metric, datatype */
    oct_flat flat; /* flat.quant is `quant`. Multivectors: rows of all points, but count and present
                    * are of points; sparse vectors: only count and present */
    oct_quant *quant;        /* NULL: not quantized */
    oct_hnsw *graph;         /* NULL: search it exactly */
    const uint64_t *ends;    /* multi: [count] rows; sparse: [count] values */
    const uint32_t *values;  /* sparse: per point its dimensions, then its values (f32) */
    uint32_t filled;         /* sparse: points that have a value */
    oct_section_place place; /* of the rows, which may stay on disk (flat.read); not if sparse */
    uint32_t placed;         /* what the config it was opened with keeps where (sealed.c) */
    oct_sparse sparse;
} oct_sealed_vector;

typedef struct oct_sealed_field {
    oct_str key; /* into the meta section */
    oct_field_type type;
    oct_field index;
} oct_sealed_field;

typedef struct oct_sealed {
    const oct_host *host;
    oct_atomic_u64 references;
    oct_atomic_u64 doomed; /* 1: remove the file with the last reference */
    char path[OCT_PATH_BYTES_MAX + 1];
    uint64_t file; /* its number: unique in the collection, never used again */
    oct_container *container;
    uint32_t count;
    uint32_t number_count; /* ids [0, number_count) are numbers, the rest UUIDs */
    const uint64_t *low;
    const uint64_t *high; /* [count - number_count] */
    /* NULL when they stay on disk (sealed_cold.c); then the places are set. */
    const uint64_t *versions;
    const uint64_t *payload_ends;
    const char *payloads;
    uint64_t payload_bytes;
    oct_section_place versions_place, ends_place, payloads_place;
    struct oct_sealed_window *window; /* set when payloads are read from disk */
    bool payloads_left;               /* in the file */
    oct_sealed_vector *vectors;       /* [vector_count], as in the collection's config */
    uint32_t vector_count;
    oct_sealed_field *fields; /* [field_count] */
    uint32_t field_count;
    uint32_t open_stage, open_item; /* while it is opened: what comes next, of which vector */
} oct_sealed;

/* Open file `number` of `directory` for a collection of this config, which says what of it is held
 * in memory. Everything but vectors, payloads and what else stays on disk is verified here, those
 * when they are first read. CORRUPT says what is wrong. */
typedef struct oct_sealed_open_request {
    const oct_host *host; /* outlives the segment, as do kernels */
    const oct_kernels *kernels;
    const oct_collection_config *config;
    const char *directory;
    uint64_t number;
} oct_sealed_open_request;
OCT_MUST_CHECK oct_status oct_sealed_open(const oct_sealed_open_request *request, oct_sealed **out,
                                          oct_error *error);
/* The same in steps of a fraction of a millisecond, but for the checks of ids and ends, a
 * nanosecond a point, and of links within blocks. Begin gives a segment that is good for nothing
 * but further steps, with the same request, and to be unpinned; when one is *done, it is open. */
OCT_MUST_CHECK oct_status oct_sealed_open_begin(const oct_sealed_open_request *request,
                                                oct_sealed **out, oct_error *error);
OCT_MUST_CHECK oct_status oct_sealed_open_step(oct_sealed *segment,
                                               const oct_sealed_open_request *request, bool *done,
                                               oct_error *error);
void oct_sealed_pin(oct_sealed *segment);
void oct_sealed_unpin(oct_sealed *segment); /* NULL allowed */
/* Remove the file once nobody uses it. */
void oct_sealed_doom(oct_sealed *segment);

/* Are its parts held where `config` wants them, or would they be elsewhere if it were opened for
 * that? */
bool oct_sealed_is_placed(const oct_sealed *segment, const oct_collection_config *config);

/* "directory/s-<number>"; path has room for OCT_PATH_BYTES_MAX and a NUL. */
void oct_sealed_path(char *path, const char *directory, uint64_t number);

/* Metric, form and datatype of a vector as the meta section has them. */
uint32_t oct_sealed_form(const oct_vector_params *params);

oct_point_id oct_sealed_id(const oct_sealed *segment, uint32_t offset);
/* The offset of an id, or UINT32_MAX. */
uint32_t oct_sealed_find(const oct_sealed *segment, oct_point_id id);
/* The first offset whose id is not before `id`; count when there is none. */
uint32_t oct_sealed_lower_bound(const oct_sealed *segment, oct_point_id id);
OCT_MUST_CHECK oct_status oct_sealed_version(const oct_sealed *segment, uint32_t offset,
                                             uint64_t *out, oct_error *error);
/* The payload text ("" = none), verified; borrowed from the file, or read into the arena. CORRUPT,
 * NOMEM, LIMIT, IO. */
OCT_MUST_CHECK oct_status oct_sealed_payload(const oct_sealed *segment, uint32_t offset,
                                             oct_arena *arena, oct_str *out, oct_error *error);
OCT_MUST_CHECK oct_status oct_sealed_payload_bytes(const oct_sealed *segment, uint32_t offset,
                                                   uint64_t *out, oct_error *error);
/* Vector v of a point, verified; its values are NULL when it has none. Borrowed from the file, or
 * read or decoded into the arena where it is on disk or not float32. CORRUPT, NOMEM, LIMIT, IO. */
OCT_MUST_CHECK oct_status oct_sealed_vector_at(const oct_sealed *segment, uint32_t offset,
                                               uint32_t v, oct_arena *arena, oct_named_vector *out,
                                               oct_error *error);

/* The same for who goes over all points once: rows are not looked at through a view, whose pages
 * would count as memory of the process. */
OCT_MUST_CHECK oct_status oct_sealed_vector_read(const oct_sealed *segment, uint32_t offset,
                                                 uint32_t v, oct_arena *arena,
                                                 oct_named_vector *out, oct_error *error);

/* Read all points and compare with what was made of them: quantized codes and the codes of graphs,
 * links within payload blocks, sparse indexes, payload indexes; the graphs are examined too.
 * CORRUPT says what is wrong, NOMEM. What opening has checked is taken for granted. */
OCT_MUST_CHECK oct_status oct_sealed_verify(const oct_sealed *segment, oct_error *error);

/* ---- the open payload indexes of a segment, for one schema --------------------------- */

/* Bytes of an index that the file does not have, built in memory; shared. */
typedef struct oct_index_bytes {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    uint64_t *at;
    size_t words;
} oct_index_bytes;

typedef struct oct_fields_item {
    oct_str key; /* copied */
    oct_field_type type;
    oct_field index;
    oct_index_bytes *owned; /* NULL: the bytes are the file's */
} oct_fields_item;

typedef struct oct_fields {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    size_t bytes; /* of this allocation */
    uint32_t count;
    oct_fields_item items[];
} oct_fields;

typedef struct oct_fields_request {
    const oct_field_config *schema; /* [count] */
    uint32_t count;
    const oct_fields *from, *more; /* indexes of this segment there are already; NULL allowed */
} oct_fields_request;

/* Open one index per field of the schema: taken from `from`, `more` or the file, else built from
 * the payloads, which takes time. CORRUPT, NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_fields_create(const oct_sealed *segment,
                                            const oct_fields_request *request, oct_fields **out,
                                            oct_error *error);
/* Would that build nothing? */
bool oct_fields_are_there(const oct_sealed *segment, const oct_fields_request *request);
/* Parse all payloads and add them to a builder (NULL: parse only). CORRUPT, NOMEM. */
OCT_MUST_CHECK oct_status oct_fields_add(const oct_sealed *segment, oct_field_builder *builder,
                                         oct_error *error);
/* The bytes of an index over the segment's payloads; *out is to be freed, whatever is answered.
 * CORRUPT, NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_fields_build(const oct_sealed *segment, oct_field_type type,
                                           oct_str key, oct_buf *out, oct_error *error);
oct_fields *oct_fields_pin(oct_fields *fields); /* NULL gives NULL */
void oct_fields_unpin(oct_fields *fields);
const oct_field *oct_fields_find(const oct_fields *fields, oct_str key);

#endif
