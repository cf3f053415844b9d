/* SPDX-License-Identifier: Apache-2.0
 *
 * idset.h - posting lists: compressed sets of u32 point offsets, immutable once built, in one flat
 * byte string that is used in place in a file. Per 65,536-range either a sorted u16 array (<= 4096
 * members) or a 8 KiB bitset: Roaring's two basic containers, in our own layout (its byte layout
 * is at the head of idset.c). */
#ifndef OCTANT_BASE_IDSET_H
#define OCTANT_BASE_IDSET_H

#include "base/buf.h"
#include "base/check.h"

/* A validated set over borrowed bytes. */
typedef struct oct_idset {
    const uint8_t *at;
    size_t bytes;
    uint32_t count; /* members */
    uint32_t ranges;
} oct_idset;

/* Append the set of `count` ascending, distinct offsets to `buf`: a multiple of 8 bytes, whatever
 * buf held before. LIMIT, NOMEM: buf is unchanged. */
OCT_MUST_CHECK oct_status oct_idset_write(const uint32_t *sorted, uint32_t count, oct_buf *buf,
                                          oct_error *error);

/* Take hostile bytes as a set that borrows them; CORRUPT unless wholly well-formed with all
 * members < limit. Any alignment works. O(bytes). */
OCT_MUST_CHECK oct_status oct_idset_open(const uint8_t *at, size_t bytes, uint32_t limit,
                                         oct_idset *out, oct_error *error);

/* The same for bytes that oct_idset_open has accepted before: O(1). */
oct_idset oct_idset_again(const uint8_t *at, size_t bytes);

/* O(log members). */
bool oct_idset_contains(const oct_idset *set, uint32_t offset);
/* OR the set into a dense bitset that covers all its members. */
void oct_idset_or_into(const oct_idset *set, uint64_t *bits);
/* Write all members, ascending, to out[count]. */
void oct_idset_members(const oct_idset *set, uint32_t *out);

#endif
