/* SPDX-License-Identifier: Apache-2.0
 *
 * field_sort.h - the two sorts that payload indexes and filters need. Both are stable, so their
 * result depends on the input only. */
#ifndef OCTANT_INDEX_FIELD_SORT_H
#define OCTANT_INDEX_FIELD_SORT_H

#include "base/check.h"

/* Is item `a` to come after item `b`? */
typedef bool (*oct_sort_after)(const void *arg, uint32_t a, uint32_t b);

/* Merge-sort the numbers indices[count]; `temp` has room for as many. O(count log count) calls. */
void oct_sort_indices(uint32_t *indices, uint32_t *temp, uint32_t count, oct_sort_after after,
                      const void *arg);

/* Pairs of a key and an offset, as two arrays. */
typedef struct oct_sort_pairs {
    uint64_t *keys;    /* [count] */
    uint32_t *offsets; /* [count] */
} oct_sort_pairs;

/* Radix-sort pairs by key. *temp has room for as many; the result may end up in *temp: both structs
 * are swapped then, so that *pairs always is the result. */
void oct_sort_pairs_by_key(oct_sort_pairs *pairs, oct_sort_pairs *temp, uint32_t count);

#endif
