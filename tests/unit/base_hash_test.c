/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: crc32c is the standard's at every length, alignment and split; hashes are the same bits
 * on every target and depend on the seed; the generator is splitmix64 and its ranges are uniform.
 * Method: known answers (crc: RFC 3720; SipHash-1-3: CPython's, whose hash() it is, with our key;
 * splitmix64: its authors'), a bit-by-bit crc, distribution counts. */
#include "base/hash.h"

#include "base/check.h"

#include "test.h"

static uint32_t crc_bit_by_bit(uint32_t crc, const uint8_t *at, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

TEST(crc_known_answers)
{
    uint8_t bytes[32] = { 0 };
    CHECK_EQ_U64(oct_crc32c(0, "123456789", 9), 0xE3069283);
    CHECK_EQ_U64(oct_crc32c(0, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    CHECK_EQ_U64(oct_crc32c(0, bytes, 32), 0x62A8AB43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQ_U64(oct_crc32c(0, bytes, 32), 0x46DD794E);
    CHECK_EQ_U64(oct_crc32c(0, bytes, 0), 0);
    CHECK_EQ_U64(oct_crc32c(77, bytes, 0), 77);
}

TEST(crc_equals_bit_by_bit)
{
    uint8_t bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)test_random();
    for (int i = 0; i < 3000; i++) {
        size_t from = test_random_below(16);
        size_t length = test_random_below(sizeof bytes - 16);
        size_t split = test_random_below((uint32_t)length + 1);
        uint32_t expected = crc_bit_by_bit(0, bytes + from, length);
        CHECK_EQ_U64(oct_crc32c(0, bytes + from, length), expected);
        uint32_t half = oct_crc32c(0, bytes + from, split);
        CHECK_EQ_U64(oct_crc32c(half, bytes + from + split, length - split), expected);
    }
    /* Each table entry is looked up for each byte of a word. */
    for (size_t place = 0; place < 8; place++) {
        for (int value = 0; value < 256; value++) {
            uint8_t word[8] = { 0 };
            word[place] = (uint8_t)value;
            CHECK_EQ_U64(oct_crc32c(0, word, 8), crc_bit_by_bit(0, word, 8));
        }
    }
}

TEST(hash_bytes_known_answers)
{
    static const struct {
        uint64_t seed;
        size_t bytes;
        uint64_t hash;
    } known[] = {
        { 0, 0, UINT64_C(0x1653806f2353e1d6) },
        { 0, 1, UINT64_C(0x8d0be5549ad65dcd) },
        { 0, 7, UINT64_C(0xcdbc0410a35ffad1) },
        { 0, 8, UINT64_C(0x89c6a2168c8b2506) },
        { 0, 9, UINT64_C(0x24c821a21d696fa4) },
        { 0, 16, UINT64_C(0x3f431788373fc8f9) },
        { 0, 63, UINT64_C(0x06c3d1c2e382fc5a) },
        { 42, 0, UINT64_C(0x58b211152e4d3c64) },
        { 42, 9, UINT64_C(0x5603ebc3a41c32e6) },
        { 42, 63, UINT64_C(0x6a59f9e1488b5d2a) },
        { UINT64_MAX, 8, UINT64_C(0x025a384d995990d2) },
        { UINT64_MAX, 1, UINT64_C(0xcc4b19017856ad28) },
        { UINT64_MAX, 63, UINT64_C(0xa647e0dc5ff52d03) },
    };
    uint8_t bytes[64];
    for (int i = 0; i < 64; i++)
        bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        CHECK_EQ_U64(oct_hash_bytes(known[i].seed, bytes, known[i].bytes), known[i].hash);
}

TEST(hash_bytes_at_any_alignment)
{
    uint8_t bytes[80];
    for (size_t length = 0; length <= 64; length++) {
        uint8_t text[64];
        for (size_t i = 0; i < length; i++)
            text[i] = (uint8_t)test_random();
        uint64_t expected = oct_hash_bytes(3, text, length);
        for (size_t from = 0; from < 16; from++) {
            memcpy(bytes + from, text, length);
            CHECK_EQ_U64(oct_hash_bytes(3, bytes + from, length), expected);
        }
        if (length == 0) continue;
        text[test_random_below((uint32_t)length)] ^= 1;
        CHECK(oct_hash_bytes(3, text, length) != expected);
        CHECK(oct_hash_bytes(4, bytes, length) != expected);
    }
    CHECK_EQ_U64(oct_hash_bytes(0, NULL, 0), UINT64_C(0x1653806f2353e1d6));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

TEST(hash_u64_is_a_bijection_that_avalanches)
{
    enum { VALUES = 20000 };
    static uint64_t hashes[VALUES];
    for (uint64_t i = 0; i < VALUES; i++)
        hashes[i] = oct_hash_u64(7, i << (i % 40));
    qsort(hashes, VALUES, sizeof hashes[0], by_value);
    uint64_t same = 0;
    for (size_t i = 1; i < VALUES; i++)
        same += hashes[i] == hashes[i - 1];
    /* The inputs i << (i % 40) repeat a value only where the hash repeats too. */
    static uint64_t inputs[VALUES];
    for (uint64_t i = 0; i < VALUES; i++)
        inputs[i] = i << (i % 40);
    qsort(inputs, VALUES, sizeof inputs[0], by_value);
    for (size_t i = 1; i < VALUES; i++)
        same -= inputs[i] == inputs[i - 1];
    CHECK_EQ_U64(same, 0);
    /* Flipping any bit of value or seed flips each output bit about every second time. */
    for (int bit = 0; bit < 128; bit++) {
        int flips[64] = { 0 };
        for (int i = 0; i < 400; i++) {
            uint64_t seed = test_random();
            uint64_t value = test_random();
            uint64_t other = bit < 64 ? oct_hash_u64(seed, value ^ UINT64_C(1) << bit)
                                      : oct_hash_u64(seed ^ UINT64_C(1) << (bit - 64), value);
            uint64_t changed = oct_hash_u64(seed, value) ^ other;
            for (int j = 0; j < 64; j++)
                flips[j] += (int)(changed >> j & 1);
        }
        for (int j = 0; j < 64; j++)
            CHECK(flips[j] > 120 && flips[j] < 280);
    }
}

TEST(rng_is_splitmix64)
{
    oct_rng rng = oct_rng_seeded(0);
    CHECK_EQ_U64(oct_rng_next(&rng), UINT64_C(0xe220a8397b1dcdaf));
    CHECK_EQ_U64(oct_rng_next(&rng), UINT64_C(0x6e789e6aa1b965f4));
    CHECK_EQ_U64(oct_rng_next(&rng), UINT64_C(0x06c45d188009454f));
}

TEST(ranges_are_uniform)
{
    enum { DRAWS = 60000 };
    oct_rng rng = oct_rng_seeded(test_random());
    for (uint64_t limit = 1; limit <= 12; limit++) {
        uint64_t seen[12] = { 0 };
        for (int i = 0; i < DRAWS; i++) {
            uint64_t value = oct_rng_below(&rng, limit);
            CHECK(value < limit);
            seen[value]++;
        }
        uint64_t expected = DRAWS / limit;
        for (uint64_t i = 0; i < limit; i++)
            CHECK(seen[i] > expected * 9 / 10 && seen[i] < expected * 11 / 10 + 2);
    }
    /* A limit of 3/4 of 2^64: a plain modulo would give the lower third twice as often. */
    uint64_t large = UINT64_C(3) << 62;
    int low = 0;
    for (int i = 0; i < DRAWS; i++)
        low += oct_rng_below(&rng, large) < large / 3;
    CHECK(low > DRAWS / 3 * 9 / 10 && low < DRAWS / 3 * 11 / 10);
    CHECK(oct_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

TEST(floats_are_in_the_unit_interval)
{
    oct_rng rng = oct_rng_seeded(test_random());
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        float value = oct_rng_float(&rng);
        CHECK(value >= 0.0f && value < 1.0f);
        CHECK(value * 16777216.0f == (float)(uint32_t)(value * 16777216.0f));
        sum += (double)value;
    }
    CHECK(sum > 49000 && sum < 51000);
}

TEST_MAIN(crc_known_answers, crc_equals_bit_by_bit, hash_bytes_known_answers,
          hash_bytes_at_any_alignment, hash_u64_is_a_bijection_that_avalanches, rng_is_splitmix64,
          ranges_are_uniform, floats_are_in_the_unit_interval)
