/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: searches find what exact search finds, up to a stated share, for every metric, with and
 * without codes, filters and absent points; scores are exact; limits, cancelling and failures
 * behave as hnsw.h says.
 * Method: recall on clustered vectors against oct_flat_scan. recall_of also checks every hit. */
#include "unit/hnsw_fixture.h"

#include "unit/base_heap.h"

TEST(recall_is_high_for_every_metric)
{
    for (uint32_t metric = 0; metric < 2 * OCT_METRIC_COUNT; metric++) {
        world w = world_create((oct_metric)(metric % OCT_METRIC_COUNT), 3000,
                               metric < OCT_METRIC_COUNT ? 40 : 100, metric % 2 ? 8 : 0);
        for (int codes = 0; codes < 2; codes++) {
            oct_host host = fixture_host(&test_alloc);
            oct_hnsw_params params = fixture_params;
            params.codes = codes != 0;
            oct_hnsw *graph;
            CHECK(build_graph(&host, &w.flat, &params, NULL, &graph, NULL) == OCT_OK);
            CHECK(graph_is_sound(graph));
            CHECK(recall_of(&w, graph, 64, NULL) >= 0.97);
            CHECK(recall_of(&w, graph, 300, NULL) >= 0.995);
            oct_hnsw_destroy(graph);
        }
        world_destroy(&w);
    }
}

/* Allow about one in `one_in` points; with `region`, only those near the first row. */
static void allow(const world *w, uint64_t *allowed, uint32_t one_in, bool region)
{
    oct_hit hits[4000];
    oct_topk best;
    memset(allowed, 0, oct_bits_words(w->flat.count) * sizeof *allowed);
    if (!region) {
        for (uint32_t i = 0; i < w->flat.count; i++) {
            if (test_random_below(one_in) == 0) oct_bits_set(allowed, i);
        }
        return;
    }
    const oct_flat_limits limits = { 0 };
    oct_topk_init(&best, hits, w->flat.count / one_in);
    if (oct_flat_scan(&w->flat, w->rows, &limits, &best, NULL) != OCT_OK) abort();
    for (uint32_t i = 0; i < best.count; i++)
        oct_bits_set(allowed, hits[i].offset);
}

/* Each way on each filter; but walks get no filters that only a scan should answer. How many are
 * allowed may be an estimate: here it is far too large. */
static void check_filters(const world *w, const oct_hnsw *graph, uint32_t ef, oct_hnsw_way way,
                          double least)
{
    static const uint32_t shares[] = { 1, 2, 4, 10, 30 };
    uint64_t allowed[4000 / 64 + 1];
    for (size_t i = 0; i < ARRAY_COUNT(shares); i++) {
        if (way != OCT_HNSW_SCAN && shares[i] > 10) continue;
        for (int region = 0; region < 2; region++) {
            allow(w, allowed, shares[i], region != 0);
            double recall = recall_asking(
                w, graph,
                (oct_hnsw_query){
                    .way = way, .ef = ef, .allowed = allowed, .allowed_count = w->flat.count });
            if (recall < least)
                printf("ef %u, way %d, 1 in %u, region %d: %.3f\n", ef, (int)way, shares[i], region,
                       recall);
            CHECK(recall >= least);
        }
    }
}

TEST(recall_is_high_under_filters)
{
    world w = world_create(OCT_METRIC_COSINE, 4000, 32, 0);
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_params params = fixture_params;
    params.codes = false;
    oct_hnsw *coded = build_plain(&w.flat, NULL);
    oct_hnsw *floats;
    CHECK(build_graph(&host, &w.flat, &params, NULL, &floats, NULL) == OCT_OK);
    check_filters(&w, coded, 30, OCT_HNSW_SCAN, 0.999);
    check_filters(&w, coded, 26, OCT_HNSW_WALK_ALL, 0.8); /* finds too little: walks again */
    check_filters(&w, floats, 11, OCT_HNSW_WALK_ALLOWED, 0.7);
    check_filters(&w, floats, 60, OCT_HNSW_WALK_ALL, 0.9);
    check_filters(&w, floats, 30, OCT_HNSW_SCAN, 1.0);
    oct_hnsw_destroy(coded);
    oct_hnsw_destroy(floats);
    world_destroy(&w);
}

TEST(filters_that_allow_nothing_or_all)
{
    uint64_t allowed[1000 / 64 + 1] = { 0 };
    world w = world_create(OCT_METRIC_DOT, 1000, 16, 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    CHECK(recall_of(&w, graph, 50, allowed) == 0.0); /* and no hit at all: recall_of checks them */
    oct_bits_set(allowed, 777);
    CHECK(recall_of(&w, graph, 50, allowed) == 1.0);
    memset(allowed, 0xff, sizeof allowed);
    CHECK(recall_of(&w, graph, 50, allowed) >= 0.99);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

TEST(limits_beyond_the_points)
{
    enum { COUNT = 70 };
    world w = world_create(OCT_METRIC_EUCLID, COUNT, 8, 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    oct_hnsw_scratch *scratch;
    CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
    oct_hit hits[500];
    oct_topk best;
    oct_topk_init(&best, hits, 500);
    const oct_hnsw_query query = { .vector = w.queries, .ef = 1 };
    CHECK(oct_hnsw_search(graph, &query, scratch, &best, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_topk_finish(&best), COUNT);
    oct_topk_init(&best, hits, 1);
    CHECK(oct_hnsw_search(graph, &query, scratch, &best, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_topk_finish(&best), 1);
    oct_hnsw_cost cost = oct_hnsw_scratch_cost(scratch);
    CHECK(cost.walked > 0 && cost.rescored >= 1 && cost.expanded >= 1);
    oct_hnsw_scratch_destroy(scratch);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

TEST(equal_scores_come_in_offset_order)
{
    world w = world_create(OCT_METRIC_COSINE, 300, 16, 0);
    for (uint32_t i = 0; i < 300; i += 10) /* 30 copies of one vector */
        memcpy(w.rows + i * 16, w.rows, 16 * sizeof(float));
    memcpy(w.queries, w.rows, 16 * sizeof(float));
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    oct_hnsw_scratch *scratch;
    CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
    oct_hit hits[LIMIT];
    oct_topk best;
    oct_topk_init(&best, hits, LIMIT);
    const oct_hnsw_query query = { .vector = w.queries, .ef = 100 };
    CHECK(oct_hnsw_search(graph, &query, scratch, &best, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_topk_finish(&best), LIMIT);
    for (uint32_t i = 0; i < LIMIT; i++)
        CHECK_EQ_U64(hits[i].offset, 10 * i);
    oct_hnsw_scratch_destroy(scratch);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

/* Search graph turn % 2 with the ef of this turn. */
static oct_status search_turn(oct_hnsw *graphs[2], const world *worlds[2], uint32_t turn,
                              oct_hnsw_scratch *scratch, oct_hit hits[LIMIT])
{
    oct_topk best;
    const oct_hnsw_query query = { .vector = worlds[turn % 2]->queries, .ef = 20 + 20 * turn };
    oct_topk_init(&best, hits, LIMIT);
    oct_status status = oct_hnsw_search(graphs[turn % 2], &query, scratch, &best, NULL);
    if (oct_topk_finish(&best) != LIMIT && status == OCT_OK) return OCT_CORRUPT;
    return status;
}

/* One scratch serves graphs of any size, and every failure to grow leaves it usable. */
TEST(scratches_grow_and_survive)
{
    enum { TURNS = 6 };
    world small = world_create(OCT_METRIC_COSINE, 60, 5, 0);
    world large = world_create(OCT_METRIC_EUCLID, 900, 130, 0);
    oct_hnsw *graphs[] = { build_plain(&small.flat, NULL), build_plain(&large.flat, NULL) };
    const world *worlds[] = { &small, &large };
    oct_hit truth[TURNS][LIMIT], hits[LIMIT];
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        oct_hnsw_scratch *scratch;
        CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
        CHECK(search_turn(graphs, worlds, turn, scratch, truth[turn]) == OCT_OK);
        oct_hnsw_scratch_destroy(scratch);
    }
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_hnsw_scratch *scratch;
        if (oct_hnsw_scratch_create(&heap_counting.alloc, &scratch, NULL) != OCT_OK) {
            CHECK(heap_failed() && heap_is_empty());
            continue;
        }
        for (uint32_t turn = 0; turn < TURNS; turn++) {
            oct_status status = search_turn(graphs, worlds, turn, scratch, hits);
            if (status == OCT_NOMEM) {
                CHECK(heap_failed());
                status = search_turn(graphs, worlds, turn, scratch, hits);
            }
            CHECK(status == OCT_OK);
            CHECK(memcmp(truth[turn], hits, sizeof hits) == 0);
        }
        oct_hnsw_scratch_destroy(scratch);
        CHECK(heap_is_empty());
    }
    for (int i = 0; i < 2; i++)
        oct_hnsw_destroy(graphs[i]);
    world_destroy(&small);
    world_destroy(&large);
}

static bool cancel_at_second_look(void *arg)
{
    uint32_t *looks = arg;
    return ++*looks == 2;
}

TEST(searches_can_be_cancelled)
{
    enum { COUNT = 6000 };
    world w = world_create(OCT_METRIC_COSINE, COUNT, 16, 0);
    uint64_t allowed[COUNT / 64 + 1] = { 0 };
    for (uint32_t i = 0; i < COUNT; i += 2)
        oct_bits_set(allowed, i);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    oct_hnsw_scratch *scratch;
    CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
    for (int way = 0; way < 3; way++) { /* no filter, a scan, a filtered walk */
        static const oct_hnsw_way ways[] = { OCT_HNSW_WALK_ALL, OCT_HNSW_SCAN,
                                             OCT_HNSW_WALK_ALLOWED };
        uint32_t looks = 0;
        oct_hit hits[LIMIT];
        oct_topk best;
        const oct_hnsw_query query = { .way = ways[way],
                                       .vector = w.queries,
                                       .ef = 2000,
                                       .allowed = way ? allowed : NULL,
                                       .allowed_count = COUNT / 2,
                                       .cancelled = cancel_at_second_look,
                                       .cancelled_arg = &looks };
        oct_topk_init(&best, hits, LIMIT);
        CHECK(oct_hnsw_search(graph, &query, scratch, &best, NULL) == OCT_CANCELLED);
        CHECK_EQ_U64(looks, 2);
        CHECK(oct_hnsw_scratch_cost(scratch).walked < 2500);
    }
    /* A cancelled walk leaves no marks behind. */
    oct_hit again[LIMIT], fresh[LIMIT];
    oct_hnsw *graphs[] = { graph, graph };
    const world *worlds[] = { &w, &w };
    CHECK(search_turn(graphs, worlds, 2, scratch, again) == OCT_OK);
    oct_hnsw_scratch_destroy(scratch);
    CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
    CHECK(search_turn(graphs, worlds, 2, scratch, fresh) == OCT_OK);
    CHECK(memcmp(again, fresh, sizeof fresh) == 0);
    oct_hnsw_scratch_destroy(scratch);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

static oct_status touch_never(void *arg, const void *at, size_t bytes, oct_error *error)
{
    UNUSED(arg);
    UNUSED(at);
    UNUSED(bytes);
    return oct_fail(error, OCT_CORRUPT, "rows: block 5 is damaged");
}

TEST(damaged_rows_fail_the_search_not_the_program)
{
    world w = world_create(OCT_METRIC_COSINE, 200, 16, 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = graph_bytes(graph);
    oct_hnsw_destroy(graph);
    w.flat.touch = touch_never;
    CHECK(oct_hnsw_open(&test_alloc, &w.flat, bytes.at, bytes.bytes, &graph, NULL) == OCT_OK);
    CHECK(recall_of(&w, graph, 20, NULL) == -1);
    oct_hnsw_destroy(graph);
    free(bytes.at);
    world_destroy(&w);
}

TEST_MAIN(recall_is_high_for_every_metric, recall_is_high_under_filters,
          filters_that_allow_nothing_or_all, limits_beyond_the_points,
          equal_scores_come_in_offset_order, scratches_grow_and_survive, searches_can_be_cancelled,
          damaged_rows_fail_the_search_not_the_program)
