/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: exact search returns what scoring and sorting everything would, for every metric, with
 * absent and forbidden points, over all points and over lists; it touches rows before it reads
 * them, and stops when cancelled or when a touch fails.
 * Method: random worlds against a loop over oct_metric_similarity and a full sort. */
#include "unit/hnsw_fixture.h"

static int best_first(const void *a, const void *b)
{
    const oct_hit *x = a;
    const oct_hit *y = b;
    return oct_hit_before(*x, *y) ? -1 : oct_hit_before(*y, *x);
}

/* All present points of `offsets` [count] that `allowed` permits, best first. */
static uint32_t sort_all(const world *w, const float *query, const uint32_t *offsets,
                         uint32_t count, const uint64_t *allowed, oct_hit *out)
{
    uint32_t hits = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = offsets[i];
        if (!oct_flat_has(&w->flat, at) || (allowed && !oct_bits_get(allowed, at))) continue;
        float score = oct_metric_similarity(w->flat.kernels, w->flat.metric, query,
                                            w->rows + (size_t)at * w->flat.dim, w->flat.dim);
        out[hits++] = (oct_hit){ .score = score, .offset = at };
    }
    qsort(out, hits, sizeof *out, best_first);
    return hits;
}

static void check_world(oct_metric metric, uint32_t count, uint32_t dim, uint32_t absent)
{
    enum { MOST = 400 };
    world w = world_create(metric, count, dim, absent);
    /* Repeated rows make ties. */
    for (uint32_t i = 1; i < count; i += 7)
        memcpy(w.rows + (size_t)i * dim, w.rows, dim * sizeof(float));
    uint64_t allowed[MOST / 64 + 1] = { 0 };
    uint32_t all[MOST], some[MOST];
    uint32_t some_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        all[i] = i;
        if (test_random_below(3)) oct_bits_set(allowed, i);
        if (test_random_below(2)) some[some_count++] = i;
    }
    for (uint32_t limit = 1; limit <= count + 1; limit += 1 + count / 5) {
        for (int filtered = 0; filtered < 2; filtered++) {
            oct_hit hits[MOST + 1], truth[MOST];
            oct_topk best;
            const oct_flat_limits limits = { .allowed = filtered ? allowed : NULL };
            oct_topk_init(&best, hits, limit);
            CHECK(oct_flat_scan(&w.flat, w.queries, &limits, &best, NULL) == OCT_OK);
            uint32_t expected = sort_all(&w, w.queries, all, count, limits.allowed, truth);
            CHECK(oct_topk_finish(&best) == MIN(expected, limit));
            CHECK(memcmp(hits, truth, best.count * sizeof *hits) == 0);

            oct_topk_init(&best, hits, limit);
            CHECK(oct_flat_scan_list(&w.flat, w.queries, some, some_count, &limits, &best, NULL) ==
                  OCT_OK);
            expected = sort_all(&w, w.queries, some, some_count, limits.allowed, truth);
            CHECK(oct_topk_finish(&best) == MIN(expected, limit));
            CHECK(memcmp(hits, truth, best.count * sizeof *hits) == 0);
        }
    }
    world_destroy(&w);
}

TEST(scan_equals_full_sort)
{
    static const uint32_t counts[] = { 1, 3, 63, 64, 65, 200, 399 };
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++) {
        for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
            check_world((oct_metric)metric, counts[i], 1 + test_random_below(70), 0);
            check_world((oct_metric)metric, counts[i], 1 + test_random_below(70), 3);
        }
    }
}

TEST(scan_of_nothing_finds_nothing)
{
    world w = world_create(OCT_METRIC_DOT, 0, 4, 0);
    oct_hit hits[LIMIT];
    oct_topk best;
    const oct_flat_limits limits = { 0 };
    oct_topk_init(&best, hits, LIMIT);
    CHECK(oct_flat_scan(&w.flat, w.queries, &limits, &best, NULL) == OCT_OK);
    CHECK(oct_flat_scan_list(&w.flat, w.queries, NULL, 0, &limits, &best, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_topk_finish(&best), 0);
    world_destroy(&w);
}

/* Remembers which bytes were touched; fails from the given call on. */
typedef struct toucher {
    const uint8_t *rows;
    uint8_t *touched; /* [bytes] */
    size_t bytes;
    uint32_t calls, fail_at; /* 0 = never */
} toucher;

static oct_status touch(void *arg, const void *at, size_t bytes, oct_error *error)
{
    toucher *t = arg;
    if (++t->calls == t->fail_at) return oct_fail(error, OCT_CORRUPT, "rows: block 3 is damaged");
    size_t from = (size_t)((const uint8_t *)at - t->rows);
    if (from + bytes > t->bytes) return oct_fail(error, OCT_LIMIT, "touched outside the rows");
    memset(t->touched + from, 1, bytes);
    return OCT_OK;
}

TEST(rows_are_touched_before_they_are_read)
{
    enum { COUNT = 300, DIM = 5, ROW = DIM * sizeof(float) };
    world w = world_create(OCT_METRIC_EUCLID, COUNT, DIM, 2);
    static uint8_t touched[COUNT * ROW];
    toucher t = { .rows = (const uint8_t *)w.rows, .touched = touched, .bytes = sizeof touched };
    w.flat.touch = touch;
    w.flat.touch_arg = &t;
    oct_hit hits[LIMIT];
    oct_topk best;
    const oct_flat_limits limits = { 0 };
    oct_error error = { 0 };
    oct_topk_init(&best, hits, LIMIT);
    CHECK(oct_flat_scan(&w.flat, w.queries, &limits, &best, &error) == OCT_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        bool whole = true;
        for (size_t b = 0; b < ROW; b++)
            whole = whole && touched[i * ROW + b];
        CHECK(whole || !oct_flat_has(&w.flat, i));
    }
    t.fail_at = t.calls + 2;
    CHECK(oct_flat_scan(&w.flat, w.queries, &limits, &best, &error) == OCT_CORRUPT);
    CHECK_EQ_STR(error.message, "rows: block 3 is damaged");

    memset(touched, 0, sizeof touched);
    uint32_t list[] = { 7, 70, 250 };
    t.fail_at = 0;
    for (size_t i = 0; i < ARRAY_COUNT(list); i++)
        oct_bits_set(w.present, list[i]);
    CHECK(oct_flat_scan_list(&w.flat, w.queries, list, 3, &limits, &best, &error) == OCT_OK);
    size_t bytes = 0;
    for (size_t b = 0; b < sizeof touched; b++)
        bytes += touched[b];
    CHECK_EQ_U64(bytes, 3 * ROW);
    t.fail_at = t.calls + 1;
    CHECK(oct_flat_scan_list(&w.flat, w.queries, list, 3, &limits, &best, &error) == OCT_CORRUPT);
    world_destroy(&w);
}

static bool cancel_at_second_look(void *arg)
{
    uint32_t *looks = arg;
    return ++*looks == 2;
}

TEST(scan_can_be_cancelled)
{
    world w = world_create(OCT_METRIC_COSINE, 5000, 3, 0);
    uint32_t looks = 0;
    const oct_flat_limits limits = { .cancelled = cancel_at_second_look, .cancelled_arg = &looks };
    oct_hit hits[LIMIT];
    oct_topk best;
    oct_error error = { 0 };
    oct_topk_init(&best, hits, LIMIT);
    CHECK(oct_flat_scan(&w.flat, w.queries, &limits, &best, &error) == OCT_CANCELLED);
    CHECK_EQ_U64(looks, 2);
    world_destroy(&w);
}

TEST_MAIN(scan_equals_full_sort, scan_of_nothing_finds_nothing,
          rows_are_touched_before_they_are_read, scan_can_be_cancelled)
