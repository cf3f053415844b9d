/* SPDX-License-Identifier: Apache-2.0
 *
 * memory_sparse.h - sparse vectors of a memory segment, inverted block by block: what a query needs
 * of OCT_SPARSE_BLOCK_SLOTS slots at once. Design: head of memory_sparse.c.
 *
 * A block is made when its last slot is published, and never changes. Slots that have none (the
 * newest ones; there was no memory) are compared with the query one by one, with the same bits. */
#ifndef OCTANT_SEGMENT_MEMORY_SPARSE_H
#define OCTANT_SEGMENT_MEMORY_SPARSE_H

#include "index/sparse.h"
#include "segment/memory.h"

enum { OCT_SPARSE_BLOCK_WORDS = OCT_SPARSE_BLOCK_SLOTS / 64 };

/* Of sparse vector v in the slots from `first` on, a multiple of OCT_SPARSE_BLOCK_SLOTS. NULL where
 * a block would be of no use, or there is no memory for it. *bytes: what it takes. */
oct_sparse_block *oct_sparse_block_create(const oct_memory_segment *segment, uint32_t first,
                                          uint32_t v, size_t *bytes);
void oct_sparse_block_destroy(const oct_alloc *alloc, oct_sparse_block *block); /* NULL allowed */

/* Is looking up the query in the block less work than looking at its points one by one? */
bool oct_sparse_block_pays(const oct_sparse_block *block, const oct_sparse_probe *probe);

/* The similarity of each slot, those of oct_sparse_probe_dot to the bit; 0 without a vector. */
void oct_sparse_block_sum(const oct_sparse_block *block, const oct_sparse_probe *probe,
                          float sums[OCT_SPARSE_BLOCK_SLOTS]);

/* Of the slots in `alive` (a bit each; NULL: all), add to *points those that have a value, and to
 * counts[place] those that have the query's dimension at `place`. */
void oct_sparse_block_tally(const oct_sparse_block *block, const oct_sparse_probe *probe,
                            const uint64_t *alive, uint64_t *points, uint64_t *counts);

#endif
