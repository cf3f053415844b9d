/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h - crc32c for files, a seeded 64-bit hash for maps and graph levels, and a seeded random
 * generator (splitmix64) for tests and sampling. Same bits on every target. */
#ifndef OCTANT_BASE_HASH_H
#define OCTANT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli) of `bytes`, continuing from `crc` (0 to start). */
uint32_t oct_crc32c(uint32_t crc, const void *at, size_t bytes);

/* Mix a 64-bit word with a seed; a bijection of `value` for a fixed seed. Not for keys that a
 * stranger chooses. */
uint64_t oct_hash_u64(uint64_t seed, uint64_t value);
/* A keyed hash (SipHash-1-3) of any bytes at any alignment: without the seed, collisions can't be
 * chosen. */
uint64_t oct_hash_bytes(uint64_t seed, const void *at, size_t bytes);

typedef struct oct_rng {
    uint64_t state;
} oct_rng;

static inline oct_rng oct_rng_seeded(uint64_t seed)
{
    return (oct_rng){ seed };
}
uint64_t oct_rng_next(oct_rng *rng);
/* Uniform in [0, limit); limit >= 1. */
uint64_t oct_rng_below(oct_rng *rng, uint64_t limit);
/* Uniform in [0, 1) with 24 bits. */
float oct_rng_float(oct_rng *rng);

#endif
