/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a block of a memory segment gives the similarities of its points to the last bit, and
 * counts them right; there is one exactly where it was promised; without memory there is none, and
 * nothing else changes.
 * Method: random points, some without the vector or without values, written in requests of any
 * size, some taken back; dimensions that are few, many, or all in one bucket of the hash. */
#include "segment/memory_sparse.h"

#include <string.h>

#include "base/bits.h"
#include "segment/layout.h"
#include "test.h"
#include "unit/base_heap.h"

enum { SLOTS = 2600, VALUES_MAX = 40, BLOCK = OCT_SPARSE_BLOCK_SLOTS };

/* A dense one, and two that are sparse. */
static const oct_vector_params vectors[] = {
    { { "d", 1 }, .size = 3, .metric = OCT_METRIC_DOT },
    { { "s", 1 }, .metric = OCT_METRIC_DOT, .kind = OCT_VECTOR_SPARSE },
    { { "t", 1 }, .metric = OCT_METRIC_DOT, .kind = OCT_VECTOR_SPARSE },
};
static const oct_collection_config config = { .vectors = vectors, .vector_count = 3 };
static oct_error error;

typedef struct sparse_vector {
    uint32_t count;
    uint32_t indices[VALUES_MAX];
    float values[VALUES_MAX];
} sparse_vector;

/* ---- making ------------------------------------------------------------------------------- */

/* 0: few; 1: any; 2: those whose hashes have the same high bits. */
static uint32_t random_dimension(uint32_t kind)
{
    if (kind == 1) return (uint32_t)test_random();
    uint32_t place = test_random_below(60);
    const uint32_t inverse = UINT32_C(0x0E8B2F51); /* of the hash's factor */
    return kind == 0 ? place * 3 : place * inverse;
}

static void random_vector(uint32_t kind, uint32_t most, sparse_vector *out)
{
    out->count = 0;
    for (uint32_t i = test_random_below(most + 1); i > 0; i--) {
        uint32_t dimension = random_dimension(kind), at = out->count;
        while (at > 0 && out->indices[at - 1] > dimension)
            at--;
        if (at > 0 && out->indices[at - 1] == dimension) continue;
        memmove(out->indices + at + 1, out->indices + at, (out->count - at) * sizeof(uint32_t));
        out->indices[at] = dimension;
        out->count++;
    }
    for (uint32_t i = 0; i < out->count; i++)
        out->values[i] = test_random_float() * 10.0f - 5.0f;
}

static oct_status stage(oct_memory_segment *segment, uint32_t kind)
{
    float words[3 + 2 * (1 + 2 * VALUES_MAX)], *end = words;
    sparse_vector vector;
    uint64_t present = test_random_below(8);
    for (uint32_t v = 0; v < 3; v++) {
        random_vector(kind, VALUES_MAX, &vector);
        oct_named_vector now = { .values = vector.values,
                                 .count = v ? vector.count : 3,
                                 .kind = vectors[v].kind,
                                 .indices = vector.indices };
        memset(vector.values + vector.count, 0, (VALUES_MAX - vector.count) * sizeof(float));
        if (present >> v & 1) end = oct_layout_put(&now, end);
    }
    const oct_slot slot = { .id = { 0, segment->staged, false },
                            .present = present,
                            .vectors = words,
                            .payload = { "", 0 } };
    return oct_memory_stage(segment, &slot, &error);
}

/* One request: slots staged, and published or taken back. */
static oct_status write_some(oct_memory_segment *segment, uint32_t count, uint32_t kind)
{
    oct_status status = OCT_OK;
    uint32_t from = segment->staged;
    while (segment->staged < from + count)
        TRY(stage(segment, kind));
    if (test_random_below(4) == 0) {
        oct_memory_unstage(segment, from);
        return OCT_OK;
    }
    TRY(oct_memory_prepare(segment, from, &error));
    oct_memory_publish(segment, from);
done:
    if (status != OCT_OK) oct_memory_unstage(segment, from);
    return status;
}

/* ---- comparing ---------------------------------------------------------------------------- */

/* The slow meaning: over the point's dimensions in their order. */
static float dot(const sparse_vector *query, const oct_named_vector *point)
{
    float sum = 0;
    for (uint32_t i = 0; i < point->count; i++)
        for (uint32_t j = 0; j < query->count; j++)
            if (query->indices[j] == point->indices[i]) sum += query->values[j] * point->values[i];
    return sum;
}

static oct_named_vector vector_at(const oct_memory_segment *segment, uint32_t slot, uint32_t v)
{
    const float *at = oct_memory_vector(segment, oct_memory_slot(segment, slot), v);
    return at ? oct_layout_vector(&vectors[v], at) : (oct_named_vector){ .count = 0 };
}

static bool block_is_right(const oct_memory_segment *segment, uint32_t first, uint32_t v,
                           const sparse_vector *query)
{
    const oct_sparse_block *block = oct_memory_block(segment, first, v);
    float sums[BLOCK];
    uint64_t alive[OCT_SPARSE_BLOCK_WORDS], counts[2][VALUES_MAX] = { { 0 } };
    uint64_t points = 0, want_points = 0;
    bool all = test_random_below(2);
    oct_arena arena;
    oct_sparse_probe probe;
    CHECK_OR(false, block != NULL);
    oct_arena_init(&arena, &heap, 0);
    CHECK_OR(false, oct_sparse_probe_create(&arena, query->indices, query->values, query->count,
                                            &probe, &error) == OCT_OK);
    for (uint32_t w = 0; w < OCT_SPARSE_BLOCK_WORDS; w++)
        alive[w] = all ? UINT64_MAX : test_random();
    oct_sparse_block_sum(block, &probe, sums);
    oct_sparse_block_tally(block, &probe, all ? NULL : alive, &points, counts[0]);
    for (uint32_t i = 0; i < BLOCK; i++) {
        const oct_named_vector vector = vector_at(segment, first + i, v);
        float want = dot(query, &vector);
        CHECK_OR(false, memcmp(&sums[i], &want, sizeof want) == 0);
        if (!oct_bits_get(alive, i)) continue;
        want_points += vector.count > 0;
        oct_sparse_probe_tally(&probe, &vector, counts[1]);
    }
    CHECK_OR(false, points == want_points);
    CHECK_OR(false, memcmp(counts[0], counts[1], sizeof counts[0]) == 0);
    oct_arena_reset(&arena);
    return true;
}

/* Every complete block is there and right, and no other, nor one of a vector that is dense. */
static void compare(const oct_memory_segment *segment, uint32_t kind)
{
    sparse_vector query;
    for (uint32_t first = 0; first + BLOCK <= segment->staged; first += BLOCK) {
        CHECK(!oct_memory_block(segment, first, 0));
        for (uint32_t v = 1; v < 3; v++) {
            random_vector(kind, VALUES_MAX, &query);
            CHECK(block_is_right(segment, first, v, &query));
        }
    }
    uint32_t rest = segment->staged - segment->staged % BLOCK;
    if (rest < segment->staged)
        for (uint32_t v = 0; v < 3; v++)
            CHECK(!oct_memory_block(segment, rest, v));
}

TEST(blocks_give_the_bits_of_every_point)
{
    for (uint32_t round = 0; round < 12; round++) {
        oct_memory_segment *segment;
        uint32_t kind = round % 3, most = round < 6 ? 900 : 20;
        CHECK(oct_memory_segment_create(heap_start(), &config, 1, &segment, &error) == OCT_OK);
        uint64_t bytes = segment->block_bytes, others = oct_memory_bytes(segment);
        CHECK(bytes == 0);
        while (segment->staged < SLOTS)
            CHECK(write_some(segment, test_random_below(most + 1), kind) == OCT_OK);
        compare(segment, kind);
        CHECK(segment->block_bytes > 8 * (uint64_t)SLOTS && oct_memory_bytes(segment) > others);
        CHECK(oct_atomic_load(&heap_counting.bytes) > segment->block_bytes);
        oct_memory_segment_unpin(segment);
        CHECK(heap_is_empty());
    }
}

/* A query that would look at most of a block's postings several times is better off without. */
TEST(blocks_pay_where_they_save_work)
{
    oct_memory_segment *segment;
    oct_arena arena;
    oct_sparse_probe probe;
    sparse_vector query = { .count = 1, .values = { 1.0f } };
    CHECK(oct_memory_segment_create(heap_start(), &config, 1, &segment, &error) == OCT_OK);
    while (segment->staged < BLOCK)
        CHECK(write_some(segment, BLOCK, 2) == OCT_OK);
    const oct_sparse_block *block = oct_memory_block(segment, 0, 1);
    oct_arena_init(&arena, heap_start(), 0);
    CHECK(oct_sparse_probe_create(&arena, query.indices, query.values, 1, &probe, &error) ==
          OCT_OK);
    CHECK(!oct_sparse_block_pays(block, &probe)); /* all dimensions are in the bucket of 0 */
    query.indices[0] = UINT32_MAX / 3;
    CHECK(oct_sparse_probe_create(&arena, query.indices, query.values, 1, &probe, &error) ==
          OCT_OK);
    CHECK(oct_sparse_block_pays(block, &probe));
    oct_arena_reset(&arena);
    oct_memory_segment_unpin(segment);
}

/* Whatever allocation fails: what was accepted is there, and has its blocks or not. */
TEST(blocks_are_done_without)
{
    uint32_t missing = 0;
    uint64_t k = 1;
    for (; heap_fail_at(k); k++) {
        oct_memory_segment *segment;
        test_random_state = test_seed; /* the same run each time */
        if (oct_memory_segment_create(&heap_counting.alloc, &config, 1, &segment, &error)) {
            CHECK(heap_failed());
            continue;
        }
        while (segment->staged < 2 * BLOCK)
            if (write_some(segment, 60, 0) != OCT_OK) CHECK(heap_failed());
        for (uint32_t v = 1; v < 3; v++)
            for (uint32_t first = 0; first < 2 * BLOCK; first += BLOCK)
                missing += !oct_memory_block(segment, first, v);
        oct_memory_segment_unpin(segment);
        CHECK(heap_is_empty());
    }
    CHECK_EQ_U64(missing, 4); /* each once */
}

TEST_MAIN(blocks_give_the_bits_of_every_point, blocks_pay_where_they_save_work,
          blocks_are_done_without)
