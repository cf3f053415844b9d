/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the inverted index finds what scoring every point finds, to the last bit, with any filter,
 * floor and limit; and no bytes make it read outside them.
 * Method: random vectors beside an array, over several blocks and shards of points; values are
 * whole numbers in some of the runs (ties), of both signs or positive only. */
#include "index/sparse.h"

#include <math.h>

#include "base/bits.h"
#include "test.h"
#include "unit/base_heap.h"
#include "vfs/test_alloc.h"

enum { POINTS = 70000, VALUES_MAX = 24, LIMIT_MAX = 50 };

typedef struct kept {
    uint32_t count;
    uint32_t indices[VALUES_MAX];
    float values[VALUES_MAX];
} kept;

static kept points[POINTS];
static uint8_t *section;
static size_t section_bytes;
static oct_error error;

typedef struct kind {
    uint32_t points, dimensions, rounds;
    bool whole, positive;
} kind;

/* ---- making ------------------------------------------------------------------------------- */

static float random_value(const kind *of)
{
    float value = of->whole ? (float)test_random_below(5) - 2.0f : 10.0f * test_random_float();
    if (of->positive) value = fabsf(value) + 0.125f;
    return value;
}

/* Few dimensions are common, as in texts. */
static uint32_t random_dimension(const kind *of)
{
    uint32_t below = 1 + test_random_below(of->dimensions);
    return test_random_below(below) * 97;
}

static void random_vector(const kind *of, uint32_t values, kept *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < values; i++) {
        uint32_t dimension = random_dimension(of), at = out->count;
        while (at > 0 && out->indices[at - 1] > dimension)
            at--;
        if (at > 0 && out->indices[at - 1] == dimension) continue;
        memmove(out->indices + at + 1, out->indices + at, (out->count - at) * sizeof(uint32_t));
        out->indices[at] = dimension;
        out->values[out->count++] = random_value(of);
    }
}

static oct_named_vector as_vector(const kept *from)
{
    return (oct_named_vector){ .values = from->values,
                               .count = from->count,
                               .kind = OCT_VECTOR_SPARSE,
                               .indices = from->indices };
}

static oct_status append(void *self, const void *source, size_t bytes, oct_error *unused)
{
    UNUSED(self);
    UNUSED(unused);
    section = realloc(section, section_bytes + bytes + 1);
    if (!section) abort();
    if (bytes) memcpy(section + section_bytes, source, bytes);
    section_bytes += bytes;
    return OCT_OK;
}

static oct_status build(const oct_alloc *alloc, uint32_t count)
{
    oct_status status = OCT_OK;
    oct_sparse_builder *builder = NULL;
    section_bytes = 0;
    TRY(oct_sparse_builder_create(alloc, &builder, &error));
    for (uint32_t i = 0; i < count; i++) {
        const oct_named_vector vector = as_vector(&points[i]);
        TRY(oct_sparse_builder_count(builder, i, &vector, &error));
    }
    TRY(oct_sparse_builder_arrange(builder, count, &error));
    for (uint32_t i = 0; i < count; i++) {
        const oct_named_vector vector = as_vector(&points[i]);
        oct_sparse_builder_add(builder, i, &vector);
    }
    TRY(oct_sparse_builder_write(builder, append, NULL, &error));
done:
    oct_sparse_builder_destroy(builder);
    return status;
}

static oct_status open_section(uint32_t count, oct_sparse *out)
{
    return oct_sparse_open(&test_alloc, section, section_bytes, count, out, &error);
}

static void make_points(const kind *of)
{
    for (uint32_t i = 0; i < of->points; i++)
        random_vector(of, test_random_below(VALUES_MAX), &points[i]);
}

/* ---- comparing ---------------------------------------------------------------------------- */

static float dot(const kept *query, const kept *point)
{
    float sum = 0;
    for (uint32_t i = 0; i < query->count; i++)
        for (uint32_t j = 0; j < point->count; j++)
            if (query->indices[i] == point->indices[j]) sum += query->values[i] * point->values[j];
    return sum;
}

static oct_status read_point(void *self, uint32_t offset, oct_named_vector *out, oct_error *unused)
{
    UNUSED(self);
    UNUSED(unused);
    *out = as_vector(&points[offset]);
    return OCT_OK;
}

static bool search_is_right(const oct_sparse *sparse, const kept *query, const uint64_t *allowed,
                            float floor)
{
    oct_hit wanted[LIMIT_MAX], hits[LIMIT_MAX];
    oct_topk best, found;
    uint32_t limit = 1 + test_random_below(LIMIT_MAX);
    oct_arena arena;
    oct_sparse_probe probe;
    oct_topk_init(&best, wanted, limit);
    oct_topk_init(&found, hits, limit);
    for (uint32_t i = 0; i < sparse->point_count; i++) {
        float score = dot(query, &points[i]);
        if (score == 0.0f || !(score > floor) || (allowed && !oct_bits_get(allowed, i))) continue;
        (void)oct_topk_push(&best, (oct_hit){ score, i }); /* it knows better */
    }
    oct_arena_init(&arena, heap_start(), 0);
    CHECK_OR(false, oct_sparse_probe_create(&arena, query->indices, query->values, query->count,
                                            &probe, &error) == OCT_OK);
    const oct_sparse_query asked = { &probe, allowed, floor, read_point, NULL };
    CHECK_OR(false, oct_sparse_search(sparse, &asked, &arena, &found, &error) == OCT_OK);
    oct_arena_reset(&arena);
    CHECK_OR(false, heap_is_empty());
    uint32_t count = oct_topk_finish(&best);
    CHECK_OR(false, oct_topk_finish(&found) == count);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OR(false, hits[i].offset == wanted[i].offset);
        CHECK_OR(false, memcmp(&hits[i].score, &wanted[i].score, sizeof(float)) == 0);
    }
    return true;
}

static void compare(const kind *of)
{
    static uint64_t allowed[POINTS / 64 + 1];
    oct_sparse sparse;
    make_points(of);
    CHECK(build(heap_start(), of->points) == OCT_OK);
    CHECK(heap_is_empty());
    CHECK(open_section(of->points, &sparse) == OCT_OK);
    for (uint32_t round = 0; round < of->rounds; round++) {
        kept query;
        uint32_t share = test_random_below(4);
        random_vector(of, 1 + test_random_below(VALUES_MAX - 1), &query);
        for (size_t i = 0; i < ARRAY_COUNT(allowed); i++) {
            allowed[i] = UINT64_MAX;
            for (uint32_t k = 0; k < share; k++)
                allowed[i] &= test_random();
        }
        float floor = test_random_below(3) ? -INFINITY : 20.0f * test_random_float();
        CHECK(search_is_right(&sparse, &query, share ? allowed : NULL, floor));
    }
    oct_sparse_close(&test_alloc, &sparse);
}

TEST(searches_find_what_every_point_tells)
{
    static const kind kinds[] = {
        { POINTS, 300, 8, false, true }, { POINTS, 300, 8, false, false },
        { 9000, 300, 60, true, true },   { 9000, 20, 60, true, false },
        { 64, 10, 60, true, false },     { 1, 3, 60, false, false },
        { 8193, 5000, 60, false, true }, { 0, 1, 9, false, false },
        { 20000, 2, 60, false, true },   { 9000, 300, 60, false, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        compare(&kinds[i]);
}

TEST(dimensions_are_counted)
{
    const kind of = { 3000, 50, 0, false, false };
    oct_sparse sparse;
    static uint64_t alive[3000 / 64 + 1];
    make_points(&of);
    CHECK(build(heap_start(), of.points) == OCT_OK);
    CHECK(open_section(of.points, &sparse) == OCT_OK);
    for (size_t i = 0; i < ARRAY_COUNT(alive); i++)
        alive[i] = test_random();
    for (uint32_t d = 0; d < 60; d++) {
        uint64_t all = 0, living = 0;
        for (uint32_t i = 0; i < of.points; i++)
            for (uint32_t j = 0; j < points[i].count; j++) {
                if (points[i].indices[j] != d * 97) continue;
                all++;
                living += oct_bits_get(alive, i) ? 1 : 0;
            }
        CHECK_EQ_U64(oct_sparse_count(&sparse, d * 97, NULL), all);
        CHECK_EQ_U64(oct_sparse_count(&sparse, d * 97, alive), living);
    }
    oct_sparse_close(&test_alloc, &sparse);
}

/* ---- dot products ------------------------------------------------------------------------- */

enum { LONG_MAX_VALUES = 2000 };

typedef struct long_vector {
    uint32_t count;
    uint32_t indices[LONG_MAX_VALUES];
    float values[LONG_MAX_VALUES];
} long_vector;

/* `count` dimensions, multiples of `stride`, at most `gap` of them apart. */
static void long_random_vector(uint32_t count, uint32_t stride, uint32_t gap, long_vector *out)
{
    uint32_t number = test_random_below(gap);
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        out->indices[i] = number * stride;
        out->values[i] = 10.0f * test_random_float();
        number += 1 + test_random_below(gap);
    }
}

/* By a merge; also which dimensions of the query the point has. */
static float merged_dot(const long_vector *query, const long_vector *point, uint64_t *counts)
{
    float sum = 0;
    for (uint32_t i = 0, j = 0; i < query->count && j < point->count;) {
        uint32_t of_query = query->indices[i], of_point = point->indices[j];
        if (of_query == of_point) {
            sum += query->values[i] * point->values[j];
            counts[i]++;
        }
        i += of_query <= of_point;
        j += of_point <= of_query;
    }
    return sum;
}

static bool dots_are_right(const long_vector *query, uint32_t stride, uint32_t gap)
{
    static long_vector point;
    static uint64_t wanted[LONG_MAX_VALUES], counts[LONG_MAX_VALUES];
    oct_arena arena;
    oct_sparse_probe probe;
    memset(wanted, 0, sizeof wanted);
    memset(counts, 0, sizeof counts);
    oct_arena_init(&arena, heap_start(), 0);
    CHECK_OR(false, oct_sparse_probe_create(&arena, query->indices, query->values, query->count,
                                            &probe, &error) == OCT_OK);
    for (uint32_t round = 0; round < 50; round++) {
        long_random_vector(test_random_below(round % 2 ? 20 : LONG_MAX_VALUES + 1), stride, gap,
                           &point);
        const oct_named_vector vector = { .values = point.values,
                                          .count = point.count,
                                          .kind = OCT_VECTOR_SPARSE,
                                          .indices = point.indices };
        float found = oct_sparse_probe_dot(&probe, &vector);
        float merged = merged_dot(query, &point, wanted);
        oct_sparse_probe_tally(&probe, &vector, counts);
        CHECK_OR(false, memcmp(&found, &merged, sizeof found) == 0);
    }
    oct_arena_reset(&arena);
    CHECK_OR(false, heap_is_empty());
    CHECK_OR(false, memcmp(counts, wanted, sizeof counts) == 0);
    return true;
}

/* Vectors longer than what is looked at at once, long queries and empty ones, and dimensions that
 * differ in their high bits alone. */
TEST(dots_have_the_bits_of_a_merge)
{
    static const uint32_t strides[] = { 1, 97, 1024, 4096, 65536, 1048576 };
    static long_vector query;
    for (size_t s = 0; s < ARRAY_COUNT(strides); s++) {
        for (uint32_t round = 0; round < 30; round++) {
            uint32_t gap = 1 + test_random_below(strides[s] < 65536 ? 20 : 2);
            uint32_t count = test_random_below(round % 2 ? 40 : LONG_MAX_VALUES + 1);
            long_random_vector(count, strides[s], gap, &query);
            CHECK(dots_are_right(&query, strides[s], gap));
        }
    }
}

/* Infinite sums and sums of opposite infinities. */
TEST(sums_may_overflow)
{
    oct_sparse sparse;
    const float huge = 3e38f;
    points[0] = (kept){ 2, { 0, 97 }, { huge, huge } };
    points[1] = (kept){ 2, { 0, 97 }, { huge, -huge } };
    points[2] = (kept){ 1, { 0 }, { 1.0f } };
    CHECK(build(heap_start(), 3) == OCT_OK);
    CHECK(open_section(3, &sparse) == OCT_OK);
    const kept query = { 2, { 0, 97 }, { huge, huge } };
    for (uint32_t i = 0; i < 20; i++)
        CHECK(search_is_right(&sparse, &query, NULL, -INFINITY));
    oct_sparse_close(&test_alloc, &sparse);
}

TEST(damaged_bytes_are_refused_or_harmless)
{
    const kind of = { 300, 30, 0, false, false };
    uint32_t refused = 0;
    make_points(&of);
    CHECK(build(heap_start(), of.points) == OCT_OK);
    for (uint32_t round = 0; round < 20000; round++) {
        size_t cut = section_bytes;
        if (test_random_below(50) == 0) cut = test_random_below((uint32_t)section_bytes);
        uint8_t *copy = malloc(cut + 1);
        if (!copy) abort();
        memcpy(copy, section, cut);
        size_t near = test_random_below(2) ? 200 : cut;
        for (uint32_t i = test_random_below(3); i < 3 && cut; i++)
            copy[test_random_below((uint32_t)MIN(near, cut))] = (uint8_t)test_random();
        oct_sparse sparse;
        if (oct_sparse_open(&test_alloc, copy, cut, of.points, &sparse, &error) == OCT_OK) {
            kept query;
            oct_hit hits[5];
            oct_topk best;
            oct_arena arena;
            oct_sparse_probe probe;
            random_vector(&of, 10, &query);
            oct_arena_init(&arena, heap_start(), 0);
            CHECK(oct_sparse_probe_create(&arena, query.indices, query.values, query.count, &probe,
                                          &error) == OCT_OK);
            const oct_sparse_query asked = { &probe, NULL, -INFINITY, read_point, NULL };
            oct_topk_init(&best, hits, 5);
            CHECK(oct_sparse_search(&sparse, &asked, &arena, &best, &error) == OCT_OK);
            oct_arena_reset(&arena);
            oct_sparse_close(&test_alloc, &sparse);
        } else {
            refused++;
        }
        free(copy);
    }
    CHECK(refused > 5000);
}

TEST(every_allocation_may_fail)
{
    const kind of = { 500, 30, 0, false, false };
    uint64_t k = 1;
    make_points(&of);
    for (; heap_fail_at(k); k++) {
        oct_status status = build(&heap_counting.alloc, of.points);
        CHECK_EQ_U64(status, heap_failed() ? OCT_NOMEM : OCT_OK);
        CHECK(heap_is_empty());
    }
    CHECK(k > 8);
}

TEST_MAIN(searches_find_what_every_point_tells, dimensions_are_counted,
          dots_have_the_bits_of_a_merge, sums_may_overflow, damaged_bytes_are_refused_or_harmless,
          every_allocation_may_fail)
