/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse_format.h - the fixed parts of an inverted index, for the files that write and read it.
 * Private to core/index. What follows them: head of sparse.c. */
#ifndef OCTANT_INDEX_SPARSE_FORMAT_H
#define OCTANT_INDEX_SPARSE_FORMAT_H

#include "base/check.h"

enum {
    SPARSE_SHARD_POINTS = 1 << 16, /* an offset inside one is two bytes */
    SPARSE_CODES = 256
};

typedef struct sparse_header {
    uint32_t version; /* 0 */
    uint32_t shards;
    uint64_t zero;
} sparse_header;

/* One per shard, behind the header. */
typedef struct sparse_shard_header {
    uint64_t postings;
    uint32_t dimensions;
    uint32_t zero;
} sparse_shard_header;

STATIC_ASSERT(sizeof(sparse_header) == 16, "the header is 16 bytes");
STATIC_ASSERT(sizeof(sparse_shard_header) == 16, "a shard's header is 16 bytes");

/* No value of code c is above this, and, with c - 1, none below: evaluated as a search does. */
static inline float sparse_bound(float lowest, float step, uint32_t code)
{
    return lowest + step * (float)(code + 1);
}

#endif
