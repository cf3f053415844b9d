/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse.h - search in the sparse vectors of one segment: an inverted index, and the dot product of
 * two sparse vectors. Design and bytes: head of sparse.c.
 *
 * A similarity is the sum of weight x value over the dimensions that query and point share, added
 * in the order of the dimensions, starting at 0. All ways to it keep that order, so they give the
 * same bits. Points with a similarity of 0 are no answers, as in Qdrant. */
#ifndef OCTANT_INDEX_SPARSE_H
#define OCTANT_INDEX_SPARSE_H

#include "base/arena.h"
#include "base/topk.h"
#include "octant/host.h"
#include "octant/types.h"

/* ---- dot products ----------------------------------------------------------------------- */

/* A query, prepared so that a point's dimensions are looked up one by one: cheaper than a merge of
 * the two, as most dimensions of a point are not the query's. A table by the low bits of dimensions
 * tells most of these apart without a hash or a branch. */
typedef struct oct_sparse_probe {
    const uint32_t *indices; /* [count] dimensions of the query, strictly ascending; borrowed */
    const float *weights;    /* [count] finite */
    uint32_t count;
    uint32_t shift;        /* of a hash, to a slot */
    const uint32_t *slots; /* [2^(32 - shift)]: place in indices plus 1, or 0 */
    uint32_t low_mask;
    const uint8_t *low;   /* [low_mask + 1]: 1 where a dimension of the query has these low bits */
    const uint32_t *last; /* [low_mask + 1]: the place of the last that has them */
} oct_sparse_probe;

/* NOMEM, LIMIT of the arena. */
OCT_MUST_CHECK oct_status oct_sparse_probe_create(oct_arena *arena, const uint32_t *indices,
                                                  const float *weights, uint32_t count,
                                                  oct_sparse_probe *out, oct_error *error);

/* The similarity to a point's vector; may be infinite, or NaN when infinities of both signs meet,
 * which is no answer either. */
float oct_sparse_probe_dot(const oct_sparse_probe *probe, const oct_named_vector *vector);

/* Add 1 to counts[place] for each dimension of the query, at `place`, that the vector has. */
void oct_sparse_probe_tally(const oct_sparse_probe *probe, const oct_named_vector *vector,
                            uint64_t *counts);

/* ---- the index -------------------------------------------------------------------------- */

/* The postings of a dimension are the points that have it, ascending, and a code for the value of
 * each, which bounds it. Points come in shards of 65,536. */
typedef struct oct_sparse_shard {
    uint32_t point_count;
    uint32_t dimension_count; /* that occur */
    const uint32_t *indices;  /* [dimension_count] strictly ascending */
    const uint64_t *ends;     /* [dimension_count] where the postings of each end */
    const float *lowest;      /* [dimension_count] of its values: no value is below ... */
    const float *steps;       /* ... and code c is of values up to lowest + (c + 1) * step */
    const uint16_t *offsets;  /* inside the shard */
    const uint8_t *codes;
} oct_sparse_shard;

typedef struct oct_sparse {
    uint32_t point_count; /* offsets are below */
    uint32_t shard_count;
    oct_sparse_shard *shards; /* [shard_count], owned; they borrow from the section */
} oct_sparse;

/* An index over a section's bytes (8-byte aligned, borrowed). Everything is checked that a search
 * relies on. CORRUPT, NOMEM. On failure nothing is left to close. */
OCT_MUST_CHECK oct_status oct_sparse_open(const oct_alloc *alloc, const void *at, size_t bytes,
                                          uint32_t point_count, oct_sparse *out, oct_error *error);
void oct_sparse_close(const oct_alloc *alloc, oct_sparse *sparse); /* all zero allowed */

/* Points among `alive` (bit per point; NULL = all) that have the dimension. */
uint64_t oct_sparse_count(const oct_sparse *sparse, uint32_t dimension, const uint64_t *alive);

/* Postings that a search for this query reads at most. */
uint64_t oct_sparse_postings(const oct_sparse *sparse, const oct_sparse_probe *probe);

typedef struct oct_sparse_query {
    const oct_sparse_probe *probe;
    const uint64_t *allowed; /* bit per point: may be returned; NULL = all */
    float floor;             /* similarities must be above; -INFINITY: any */
    /* The vector of a point (its values NULL: none), for those that may be among the best. */
    oct_status (*read)(void *self, uint32_t offset, oct_named_vector *out, oct_error *error);
    void *self;
} oct_sparse_query;

/* Offer the best points to `best` (empty at first), with exact similarities. `work` gives temporary
 * memory, left to its owner's reset. NOMEM, or what `read` answers; `best` then holds an undefined
 * part. */
OCT_MUST_CHECK oct_status oct_sparse_search(const oct_sparse *sparse, const oct_sparse_query *query,
                                            oct_arena *work, oct_topk *best, oct_error *error);

/* ---- build ------------------------------------------------------------------------------ */

/* Two passes over the points: oct_sparse_builder_count for each, oct_sparse_builder_arrange, then
 * oct_sparse_builder_add for each, then write. Memory: 8 bytes per value of all vectors. Offsets
 * ascend in both passes, and only points that have the vector are given. */
typedef struct oct_sparse_builder oct_sparse_builder;

OCT_MUST_CHECK oct_status oct_sparse_builder_create(const oct_alloc *alloc,
                                                    oct_sparse_builder **out, oct_error *error);
void oct_sparse_builder_destroy(oct_sparse_builder *builder); /* NULL allowed */
OCT_MUST_CHECK oct_status oct_sparse_builder_count(oct_sparse_builder *builder, uint32_t offset,
                                                   const oct_named_vector *vector,
                                                   oct_error *error);
/* point_count: of the segment. */
OCT_MUST_CHECK oct_status oct_sparse_builder_arrange(oct_sparse_builder *builder,
                                                     uint32_t point_count, oct_error *error);
/* The vectors are those counted. Borrows nothing. */
void oct_sparse_builder_add(oct_sparse_builder *builder, uint32_t offset,
                            const oct_named_vector *vector);
/* Hand the section's bytes to `append`, piece by piece. What append answers. */
OCT_MUST_CHECK oct_status oct_sparse_builder_write(
    const oct_sparse_builder *builder,
    oct_status (*append)(void *self, const void *source, size_t bytes, oct_error *error),
    void *self, oct_error *error);

#endif
