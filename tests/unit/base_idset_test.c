/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a posting list holds exactly its members, byte for byte as its head comment says; damaged
 * bytes are refused or, when they happen to be a set, are one in every function.
 * Method: random sets of every density against a bitset; a set decoded by hand; every truncation,
 * every bit of a set flipped; an allocation-failure sweep. */
#include "base/idset.h"

#include "base/bits.h"
#include "base/endian.h"
#include "base_heap.h"
#include "test.h"

enum { LIMIT = 400000, WORDS = LIMIT / 64 };

static uint64_t model[WORDS];
static uint32_t sorted[LIMIT];
static uint32_t members[LIMIT];

/* Fill model and sorted; the number of members. Every range of 65536 has its own density. */
static uint32_t random_set(void)
{
    uint32_t count = 0;
    uint32_t one_in = 1;
    memset(model, 0, sizeof model);
    for (uint32_t i = 0; i < LIMIT; i++) {
        if (i % 65536 == 0) one_in = 1u << test_random_below(20);
        if (test_random_below(one_in) != 0) continue;
        oct_bits_set(model, i);
        sorted[count++] = i;
    }
    return count;
}

static void check_set(const oct_idset *set, uint32_t count)
{
    CHECK(set->count == count);
    oct_idset_members(set, members);
    CHECK(memcmp(members, sorted, count * sizeof sorted[0]) == 0);
    static uint64_t bits[WORDS];
    memset(bits, 0, sizeof bits);
    bits[WORDS - 1] = UINT64_C(1) << 63; /* what is there stays */
    oct_idset_or_into(set, bits);
    for (size_t i = 0; i + 1 < WORDS; i++)
        CHECK(bits[i] == model[i]);
    CHECK(bits[WORDS - 1] == (model[WORDS - 1] | UINT64_C(1) << 63));
    for (int i = 0; i < 2000; i++) {
        uint32_t offset = test_random_below(LIMIT);
        CHECK(oct_idset_contains(set, offset) == oct_bits_get(model, offset));
    }
    for (uint32_t i = 0; i < count; i += 1 + test_random_below(50))
        CHECK(oct_idset_contains(set, sorted[i]));
    CHECK(!oct_idset_contains(set, LIMIT));
    CHECK(!oct_idset_contains(set, UINT32_MAX));
}

TEST(random_sets_hold_their_members)
{
    for (int round = 0; round < 30; round++) {
        uint32_t count = random_set();
        oct_buf buf;
        oct_idset set;
        oct_error error;
        oct_buf_init(&buf, heap_start(), 1 << 20);
        size_t before = test_random_below(20);
        CHECK(oct_buf_append_zeros(&buf, before, &error) == OCT_OK);
        CHECK(oct_idset_write(sorted, count, &buf, &error) == OCT_OK);
        size_t bytes = buf.bytes - before;
        CHECK(bytes % 8 == 0);
        CHECK(bytes <= 8 + 7 * (8 + 8192));
        CHECK(oct_idset_open(buf.at + before, bytes, LIMIT, &set, &error) == OCT_OK);
        check_set(&set, count);
        if (count > 0) {
            uint32_t last = sorted[count - 1];
            CHECK(oct_idset_open(buf.at + before, bytes, last + 1, &set, &error) == OCT_OK);
            CHECK(oct_idset_open(buf.at + before, bytes, last, &set, &error) == OCT_CORRUPT);
            CHECK(set.at == NULL && set.count == 0);
        }
        oct_buf_deinit(&buf);
        CHECK(heap_is_empty());
    }
}

/* Around the size where an array becomes a bitset, and full ranges. */
TEST(every_size_of_a_range)
{
    static const uint32_t sizes[] = { 1, 2, 3, 4, 5, 4095, 4096, 4097, 65535, 65536 };
    for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
        uint32_t count = sizes[s];
        memset(model, 0, sizeof model);
        for (uint32_t i = 0; i < count; i++) {
            sorted[i] = 131072 + (count == 65536 ? i : i * (65536 / count));
            oct_bits_set(model, sorted[i]);
        }
        oct_buf buf;
        oct_idset set;
        oct_buf_init(&buf, heap_start(), 1 << 20);
        CHECK(oct_idset_write(sorted, count, &buf, NULL) == OCT_OK);
        size_t container = count > 4096 ? 8192 : (count * 2 + 7) / 8 * 8;
        CHECK(buf.bytes == 16 + container);
        CHECK(oct_idset_open(buf.at, buf.bytes, LIMIT, &set, NULL) == OCT_OK);
        check_set(&set, count);
        oct_buf_deinit(&buf);
    }
}

TEST(the_bytes_are_those_of_the_head_comment)
{
    const uint32_t few[] = { 3, 0xFFFF, 0x50000, 0x50001, 0xFFFFFFFE };
    const uint8_t expected[] = {
        5,    0,    0,    0,    3,  0, 0, 0, /* header */
        0,    0,    1,    0,    32, 0, 0, 0, /* range 0: two members at 32 */
        5,    0,    1,    0,    40, 0, 0, 0, /* range 5: two members at 40 */
        0xFF, 0xFF, 0,    0,    48, 0, 0, 0, /* range 65535: one member at 48 */
        3,    0,    0xFF, 0xFF, 0,  0, 0, 0, /* 3, 65535 */
        0,    0,    1,    0,    0,  0, 0, 0, /* 0, 1 */
        0xFE, 0xFF, 0,    0,    0,  0, 0, 0, /* 65534 */
    };
    oct_buf buf;
    oct_idset set;
    oct_buf_init(&buf, heap_start(), 1000);
    CHECK(oct_idset_write(few, 5, &buf, NULL) == OCT_OK);
    CHECK(buf.bytes == sizeof expected && memcmp(buf.at, expected, sizeof expected) == 0);
    CHECK(oct_idset_open(buf.at, buf.bytes, UINT32_MAX, &set, NULL) == OCT_OK);
    CHECK(oct_idset_contains(&set, 0xFFFFFFFE));
    CHECK(!oct_idset_contains(&set, 0xFFFFFFFF));
    oct_buf_clear(&buf);
    CHECK(oct_idset_write(NULL, 0, &buf, NULL) == OCT_OK);
    CHECK(buf.bytes == 8);
    CHECK(oct_idset_open(buf.at, 8, 0, &set, NULL) == OCT_OK);
    CHECK(set.count == 0 && !oct_idset_contains(&set, 0));
    oct_idset_members(&set, NULL);
    oct_idset_or_into(&set, NULL);
    oct_buf_deinit(&buf);
}

/* What opens must be usable: as many ascending members below the limit as it says. */
static void check_usable(const oct_idset *set)
{
    CHECK(set->count <= LIMIT);
    oct_idset_members(set, members);
    for (uint32_t i = 0; i < set->count; i++) {
        CHECK(members[i] < LIMIT);
        CHECK(i == 0 || members[i - 1] < members[i]);
        CHECK(oct_idset_contains(set, members[i]));
    }
    oct_idset_or_into(set, model);
}

static uint8_t *open_copy(const uint8_t *at, size_t bytes, oct_status *status, oct_idset *set)
{
    uint8_t *exact = malloc(bytes + !bytes); /* so that ASan sees a read behind it */
    CHECK_OR(NULL, exact != NULL);
    memcpy(exact, at, bytes);
    *status = oct_idset_open(exact, bytes, LIMIT, set, NULL);
    return exact;
}

TEST(truncated_and_longer_sets_are_corrupt)
{
    oct_buf buf;
    oct_idset set;
    oct_status status;
    uint32_t count = 0;
    oct_buf_init(&buf, heap_start(), 1 << 20);
    for (uint32_t i = 0; i < 6000; i++)
        sorted[count++] = i * 11;
    for (uint32_t i = 0; i < 10; i++)
        sorted[count++] = 200000 + i;
    CHECK(oct_idset_write(sorted, count, &buf, NULL) == OCT_OK);
    for (size_t bytes = 0; bytes < buf.bytes; bytes += 1 + bytes / 100) {
        uint8_t *copy = open_copy(buf.at, bytes, &status, &set);
        free(copy);
        CHECK(status == OCT_CORRUPT);
    }
    CHECK(oct_buf_append_zeros(&buf, 8, NULL) == OCT_OK);
    CHECK(oct_idset_open(buf.at, buf.bytes, LIMIT, &set, NULL) == OCT_CORRUPT);
    oct_buf_deinit(&buf);
}

/* Two flipped bits can make another valid set of the same size (a member moved): those must be
 * usable. One flipped bit outside an array's values can't. */
TEST(damaged_sets_are_refused_or_sets)
{
    uint32_t refused = 0;
    uint32_t opened = 0;
    for (int round = 0; round < 3000; round++) {
        oct_buf buf;
        oct_idset set;
        oct_status status;
        uint32_t count = 0;
        oct_buf_init(&buf, heap_start(), 1 << 20);
        for (uint32_t i = test_random_below(9000); i < LIMIT && count < 30;
             i += 1 + test_random_below(30000))
            sorted[count++] = i;
        CHECK(oct_idset_write(sorted, count, &buf, NULL) == OCT_OK);
        for (uint32_t flips = 1 + test_random_below(3); flips > 0; flips--) {
            uint32_t bit = test_random_below((uint32_t)buf.bytes * 8);
            buf.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        uint8_t *copy = open_copy(buf.at, buf.bytes, &status, &set);
        CHECK(status == OCT_OK || status == OCT_CORRUPT);
        if (status == OCT_OK) check_usable(&set);
        opened += status == OCT_OK;
        refused += status == OCT_CORRUPT;
        free(copy);
        oct_buf_deinit(&buf);
    }
    CHECK(opened > 100 && refused > 1000);
}

TEST(each_rule_is_checked)
{
    const uint32_t few[] = { 3, 9, 0x50000 };
    static const struct {
        size_t byte;
        uint8_t value;
    } damage[] = {
        { 0, 2 },   { 0, 4 },                            /* count */
        { 4, 1 },   { 4, 3 },   { 7, 0xFF },             /* ranges */
        { 8, 5 },   { 8, 6 },   { 16, 0 },               /* range order */
        { 10, 0 },  { 10, 4 },  { 11, 0x20 },            /* members of a range */
        { 12, 32 }, { 12, 16 }, { 20, 24 },   { 23, 1 }, /* container offsets */
        { 24, 9 },  { 24, 10 },                          /* ascending values */
        { 28, 1 },  { 31, 1 },  { 39, 1 }                /* padding */
    };
    for (size_t i = 0; i < ARRAY_COUNT(damage); i++) {
        oct_buf buf;
        oct_idset set;
        oct_error error;
        oct_buf_init(&buf, heap_start(), 1000);
        CHECK(oct_idset_write(few, 3, &buf, NULL) == OCT_OK);
        CHECK(buf.bytes == 40);
        CHECK(oct_idset_open(buf.at, buf.bytes, LIMIT, &set, &error) == OCT_OK);
        buf.at[damage[i].byte] = damage[i].value;
        CHECK(oct_idset_open(buf.at, buf.bytes, LIMIT, &set, &error) == OCT_CORRUPT);
        CHECK(memcmp(error.message, "posting list: ", 14) == 0);
        oct_buf_deinit(&buf);
    }
}

TEST(a_bitset_with_the_wrong_count_is_corrupt)
{
    oct_buf buf;
    oct_idset set;
    oct_buf_init(&buf, heap_start(), 1 << 20);
    for (uint32_t i = 0; i < 5000; i++)
        sorted[i] = i * 2;
    CHECK(oct_idset_write(sorted, 5000, &buf, NULL) == OCT_OK);
    CHECK(oct_idset_open(buf.at, buf.bytes, 9999, &set, NULL) == OCT_OK);
    CHECK(oct_idset_open(buf.at, buf.bytes, 9998, &set, NULL) == OCT_CORRUPT);
    buf.at[16] ^= 2;
    CHECK(oct_idset_open(buf.at, buf.bytes, LIMIT, &set, NULL) == OCT_CORRUPT);
    oct_buf_deinit(&buf);
}

TEST(every_allocation_may_fail)
{
    uint64_t runs = 0;
    uint32_t count = random_set();
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_buf buf;
        oct_buf_init(&buf, &heap_counting.alloc, 1 << 20);
        oct_status head = oct_buf_append_u8(&buf, 7, NULL);
        size_t before = buf.bytes;
        oct_status status = oct_idset_write(sorted, count, &buf, NULL);
        CHECK((status == OCT_NOMEM || head == OCT_NOMEM) == heap_failed());
        CHECK(status == OCT_OK || buf.bytes == before);
        oct_buf_deinit(&buf);
        CHECK(heap_is_empty());
        runs++;
    }
    CHECK(runs >= 3);
    oct_buf tight;
    oct_buf_init(&tight, heap_start(), 7);
    CHECK(oct_idset_write(NULL, 0, &tight, NULL) == OCT_LIMIT);
    CHECK(tight.bytes == 0);
    oct_buf_deinit(&tight);
}

TEST_MAIN(random_sets_hold_their_members, every_size_of_a_range,
          the_bytes_are_those_of_the_head_comment, truncated_and_longer_sets_are_corrupt,
          damaged_sets_are_refused_or_sets, each_rule_is_checked,
          a_bitset_with_the_wrong_count_is_corrupt, every_allocation_may_fail)
