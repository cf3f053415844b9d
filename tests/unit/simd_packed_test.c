/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the kernels of quantized rows (bytes, bits, packed values) are exact on every instruction
 * set, for every length they may be given, and read nothing behind it.
 * Method: all runnable tables against plain loops, in buffers that end where the row ends; then a
 * hash over fixed inputs that must equal a constant on every target. */
#include "base/hash.h"
#include "simd/kernels.h"
#include "test.h"

enum { LENGTH_MAX = 512, PLANES_MAX = 8, TABLES_MAX = OCT_KERNELS_MAX };

static uint8_t *random_bytes(size_t count, uint8_t mask)
{
    uint8_t *bytes = malloc(count);
    if (!bytes) abort();
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(test_random() >> 32) & mask;
    return bytes;
}

static int32_t plain_l1(const uint8_t *a, const uint8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += abs((int)a[i] - (int)b[i]);
    return sum;
}

static int32_t plain_hamming(const uint8_t *planes, const uint8_t *row, size_t n, uint32_t count)
{
    int32_t sum = 0;
    for (uint32_t p = 0; p < count; p++)
        for (size_t bit = 0; bit < 8 * n; bit++) {
            int differs = (planes[p * n + bit / 8] ^ row[bit / 8]) >> (bit % 8) & 1;
            sum += differs << p;
        }
    return sum;
}

static int32_t plain_packed(const uint8_t *a, const uint8_t *row, size_t n,
                            const oct_packing *packing)
{
    int32_t sum = 0;
    uint32_t fields = 8 / packing->bits;
    for (size_t i = 0; i < n * fields; i++) {
        uint32_t place = row[i % n] >> (i / n * packing->bits) & ((1u << packing->bits) - 1);
        sum += a[i] * packing->table[place];
    }
    return sum;
}

static oct_packing random_packing(uint32_t bits)
{
    oct_packing packing = { .bits = bits };
    for (int i = 0; i < 16; i++)
        packing.table[i] = (int8_t)(test_random() >> 40);
    return packing;
}

/* All kernels of all tables on one length. */
static void check_length(const oct_kernels *const *tables, size_t count, size_t n)
{
    uint8_t *planes = random_bytes(PLANES_MAX * n, 255);
    uint8_t *row = random_bytes(n, 255);
    for (size_t t = 0; t < count; t++) {
        const oct_kernels *kernels = tables[t];
        CHECK_EQ_I64(kernels->l1_u8(planes, row, n), plain_l1(planes, row, n));
        for (uint32_t p = 1; p <= PLANES_MAX; p++)
            CHECK_EQ_I64(kernels->hamming(planes, row, n, p), plain_hamming(planes, row, n, p));
        for (uint32_t bits = 1; bits <= 4; bits *= 2) {
            oct_packing packing = random_packing(bits);
            uint8_t *query = random_bytes(n * 8 / bits, 127); /* ends where the kernel must */
            int32_t got = kernels->dot_packed(query, row, n, &packing);
            int32_t wanted = plain_packed(query, row, n, &packing);
            free(query);
            CHECK_EQ_I64(got, wanted);
        }
    }
    free(row);
    free(planes);
}

TEST(every_table_is_exact_for_every_length)
{
    const oct_kernels *tables[TABLES_MAX];
    size_t count = oct_kernels_list(tables, TABLES_MAX);
    for (size_t n = OCT_PACKED_ALIGN; n <= LENGTH_MAX; n += OCT_PACKED_ALIGN)
        check_length(tables, count, n);
    CHECK(count > 0);
}

/* The largest rows there can be: no sum leaves int32. */
TEST(largest_sums_fit)
{
    enum { BYTES = 65536 };
    const oct_kernels *tables[TABLES_MAX];
    size_t count = oct_kernels_list(tables, TABLES_MAX);
    oct_packing packing = { .bits = 4 };
    uint8_t *a = malloc(2 * BYTES), *zeros = calloc(BYTES, 1), *ones = malloc(BYTES);
    if (!a || !zeros || !ones) abort();
    memset(a, 127, 2 * BYTES);
    memset(ones, 255, BYTES);
    memset(packing.table, -128, sizeof packing.table);
    for (size_t t = 0; t < count; t++) {
        CHECK_EQ_I64(tables[t]->l1_u8(zeros, ones, BYTES), 255 * BYTES);
        CHECK_EQ_I64(tables[t]->hamming(zeros, ones, BYTES / 8, 1), BYTES);
        CHECK_EQ_I64(tables[t]->dot_packed(a, ones, BYTES / 2, &packing), -127 * 128 * BYTES);
    }
    free(ones);
    free(zeros);
    free(a);
}

TEST(targets_agree)
{
    const oct_kernels *tables[TABLES_MAX];
    size_t count = oct_kernels_list(tables, TABLES_MAX);
    for (size_t t = 0; t < count; t++) {
        uint64_t hash = 0;
        test_random_state = 7; /* whatever the seed */
        for (size_t n = OCT_PACKED_ALIGN; n <= 256; n += OCT_PACKED_ALIGN) {
            uint8_t *a = random_bytes(8 * n, 127), *row = random_bytes(n, 255);
            oct_packing packing = random_packing(2);
            hash = oct_hash_u64(hash, (uint64_t)tables[t]->l1_u8(a, row, n));
            hash = oct_hash_u64(hash, (uint64_t)tables[t]->hamming(a, row, n, 4));
            hash = oct_hash_u64(hash, (uint64_t)tables[t]->dot_packed(a, row, n, &packing));
            free(row);
            free(a);
        }
        CHECK_EQ_U64(hash, UINT64_C(0xb5ac2174da817fe9));
    }
}

TEST_MAIN(every_table_is_exact_for_every_length, largest_sums_fit, targets_agree)
