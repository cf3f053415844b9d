/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse_format.h - the header of an inverted index, for the files that write and read it. Private
 * to core/index. What follows it: head of sparse.c. */
#ifndef OCTANT_INDEX_SPARSE_FORMAT_H
#define OCTANT_INDEX_SPARSE_FORMAT_H

#include "base/check.h"

typedef struct sparse_header {
    uint32_t version; /* 0 */
    uint32_t dimensions;
    uint64_t postings;
    uint64_t zero[6];
} sparse_header;

STATIC_ASSERT(sizeof(sparse_header) == 64, "the header is 64 bytes");

#endif
