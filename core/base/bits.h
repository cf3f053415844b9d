/* SPDX-License-Identifier: Apache-2.0
 *
 * bits.h - a dense bitset over caller memory of oct_bits_words(count) words. */
#ifndef OCTANT_BASE_BITS_H
#define OCTANT_BASE_BITS_H

#include "base/check.h"

static inline size_t oct_bits_words(size_t count)
{
    return count / 64 + (count % 64 != 0);
}

static inline bool oct_bits_get(const uint64_t *bits, size_t index)
{
    return (bits[index / 64] >> (index % 64)) & 1;
}
static inline void oct_bits_set(uint64_t *bits, size_t index)
{
    bits[index / 64] |= UINT64_C(1) << (index % 64);
}
static inline void oct_bits_clear(uint64_t *bits, size_t index)
{
    bits[index / 64] &= ~(UINT64_C(1) << (index % 64));
}
static inline size_t oct_bits_count(const uint64_t *bits, size_t words)
{
    size_t count = 0;
    for (size_t i = 0; i < words; i++)
        count += (size_t)__builtin_popcountll(bits[i]);
    return count;
}

#endif
