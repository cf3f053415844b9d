/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_links.h - more links for one vector field of one segment: within blocks, which are sets of
 * points that filters often ask for (the points with one value of an indexed payload field).
 *
 * A walk that keeps only selected points goes from one to the next through the points between
 * them. Where a filter selects a block, the block's own graph is the better guide: a walk over it
 * costs what a walk without a filter costs. Design and bytes: head of hnsw_links.c.
 *
 * Life: create a builder over the rows, step until done, write; later open from the section and
 * give the links to the graph of the same rows. */
#ifndef OCTANT_INDEX_HNSW_LINKS_H
#define OCTANT_INDEX_HNSW_LINKS_H

#include "index/hnsw.h"

typedef struct oct_hnsw_block {
    const uint32_t *offsets; /* [count], ascending; absent points are passed over */
    uint32_t count;
} oct_hnsw_block;

typedef struct oct_hnsw_links_builder oct_hnsw_links_builder;

/* Start; `flat` is copied, `blocks` [block_count] borrowed until destroy, as is what they and
 * `flat` point to. `params` are those of each block's graph. NOMEM. */
OCT_MUST_CHECK oct_status oct_hnsw_links_create(const oct_host *host, const oct_flat *flat,
                                                const oct_hnsw_params *params,
                                                const oct_hnsw_block *blocks, uint32_t block_count,
                                                oct_hnsw_links_builder **out, oct_error *error);
void oct_hnsw_links_destroy(oct_hnsw_links_builder *builder); /* NULL allowed */
/* Work for about budget_ns; *done when all is built. The links depend on the rows, the parameters
 * and the blocks with their order, on nothing else. NOMEM, LIMIT beyond 2^32 links, VALIDATION as
 * oct_hnsw_builder_create; the builder can then only be destroyed. */
OCT_MUST_CHECK oct_status oct_hnsw_links_step(oct_hnsw_links_builder *builder, uint64_t budget_ns,
                                              bool *done, oct_error *error);
/* Write the next piece of the section of a done builder (asserted); *done when it was the last. */
OCT_MUST_CHECK oct_status oct_hnsw_links_write_piece(oct_hnsw_links_builder *builder,
                                                     const oct_hnsw_sink *sink, bool *done,
                                                     oct_error *error);

/* Give the section's links to the graph of the same points, which borrows the bytes (4-aligned).
 * CORRUPT unless all links go to points that are there. O(bytes), no allocation. */
OCT_MUST_CHECK oct_status oct_hnsw_links_open(oct_hnsw *graph, const void *at, size_t bytes,
                                              oct_error *error);

/* The mark of the parameters that the links were built with; 0 when there is no section. */
uint32_t oct_hnsw_links_built_for(const oct_hnsw *graph);

/* How many such links there are, and which of them go from a point of a block to another one of it:
 * those are set in `marks` (bit per link), unless they repeat one of the same point. `block` is bit
 * per point, `offsets` [count] the same. */
uint32_t oct_hnsw_links_count(const oct_hnsw *graph);
void oct_hnsw_links_mark(const oct_hnsw *graph, const uint64_t *block, const uint32_t *offsets,
                         uint32_t count, uint64_t *marks);

bool oct_hnsw_has_block_links(const oct_hnsw *graph);
/* Do the points of `allowed` link among themselves, as those of a block do? Looks at a few of
 * them, the same ones every time. False when the graph has no such links. */
bool oct_hnsw_is_linked(const oct_hnsw *graph, const uint64_t *allowed);

#endif
