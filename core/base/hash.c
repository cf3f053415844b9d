/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.c - seeded hashes and a seeded generator, the same bits on every target.
 *
 * oct_hash_u64 is two rounds of the splitmix64 finaliser with the seed added before each: one
 * round is a fixed permutation after the first addition, so inputs that collide in the low bits
 * could be found without knowing the seed. It is used where a bijection is wanted (graph levels,
 * sampling). oct_hash_bytes is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF") with the 64-bit seed stretched to its 128-bit key: keys come from strangers, and the
 * faster multiply hashes have published collisions that hold for every seed. */
#include "base/hash.h"

#include "base/check.h"
#include "base/endian.h"

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15) /* 2^64 / golden ratio, odd: splitmix64's increment */

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

uint64_t oct_hash_u64(uint64_t seed, uint64_t value)
{
    return mix(mix(value + seed + GOLDEN) + (seed ^ GOLDEN));
}

static uint64_t rotate_left(uint64_t value, unsigned by)
{
    return (value << by) | (value >> (64 - by));
}

typedef struct sip_state {
    uint64_t v0, v1, v2, v3;
} sip_state;

static inline void sip_round(sip_state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_word(sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t oct_hash_bytes(uint64_t seed, const void *at, size_t bytes)
{
    const uint8_t *byte = at;
    uint64_t second = mix(seed + GOLDEN); /* the other half of the key */
    /* The four constants are the paper's: "somepseudorandomlygeneratedbytes". */
    sip_state s = {
        .v0 = seed ^ UINT64_C(0x736F6D6570736575),
        .v1 = second ^ UINT64_C(0x646F72616E646F6D),
        .v2 = seed ^ UINT64_C(0x6C7967656E657261),
        .v3 = second ^ UINT64_C(0x7465646279746573),
    };
    size_t left = bytes;
    for (; left >= 8; left -= 8, byte += 8)
        sip_word(&s, oct_load_u64(byte));
    uint64_t last = (uint64_t)bytes << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)byte[i] << (8 * i);
    sip_word(&s, last);
    s.v2 ^= 0xFF;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t oct_rng_next(oct_rng *rng)
{
    rng->state += GOLDEN;
    return mix(rng->state);
}

uint64_t oct_rng_below(oct_rng *rng, uint64_t limit)
{
    ASSERT(limit >= 1);
    /* Throw away the incomplete last stretch of multiples, so that every remainder is equally
     * likely; 2^64 mod limit values are below `skip`. */
    uint64_t skip = (0 - limit) % limit;
    for (;;) {
        uint64_t value = oct_rng_next(rng);
        if (value >= skip) return value % limit;
    }
}

float oct_rng_float(oct_rng *rng)
{
    return (float)(oct_rng_next(rng) >> 40) * (1.0f / 16777216.0f);
}
