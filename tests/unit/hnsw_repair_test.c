/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a graph made from an old one - after deletions, in a merge, from nothing or of nothing - is
 * sound and as good as one built anew; wrong mappings are refused.
 * Method: random deletions and additions, recall beside that of a fresh build; the identity must
 * give the old bytes back. */
#include "unit/hnsw_fixture.h"

#include "unit/base_heap.h"

enum { DIM = 72, MOST = 3000 };

/* Rows of `w` in a new order of offsets: survivors first in order, then `added` others. */
static oct_flat make_flat(const world *w, const uint32_t *order, uint32_t count, float *rows)
{
    for (uint32_t i = 0; i < count; i++)
        memcpy(rows + (size_t)i * DIM, w->rows + (size_t)order[i] * DIM, DIM * sizeof(float));
    oct_flat flat = w->flat;
    flat.rows = rows;
    flat.count = count;
    flat.present = NULL;
    return flat;
}

TEST(identity_gives_the_same_bytes)
{
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++) {
        world w = world_create((oct_metric)metric, 700, DIM, 5);
        uint32_t mapping[700];
        for (uint32_t i = 0; i < 700; i++)
            mapping[i] = i;
        oct_hnsw *first = build_plain(&w.flat, NULL);
        const oct_hnsw_reuse reuse = { .graph = first, .new_offsets = mapping };
        oct_hnsw *second = build_plain(&w.flat, &reuse);
        CHECK(same_bytes(first, second));
        oct_hnsw_destroy(first);
        oct_hnsw_destroy(second);
        world_destroy(&w);
    }
}

/* Build over the first `old_count` points of a world, delete one in `one_in`, add the rest. */
static void check_change(oct_metric metric, uint32_t old_count, uint32_t one_in, uint32_t count)
{
    static uint32_t mapping[MOST], order[MOST];
    static float rows[MOST * DIM];
    world w = world_create(metric, count, DIM, 0);
    oct_flat old_flat = w.flat;
    old_flat.count = old_count;
    oct_hnsw *old = build_plain(&old_flat, NULL);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < old_count; i++) {
        mapping[i] = OCT_HNSW_GONE;
        if (one_in && test_random_below(one_in) == 0) continue;
        order[kept] = i;
        mapping[i] = kept++;
    }
    uint32_t all = kept;
    for (uint32_t i = old_count; i < count; i++)
        order[all++] = i;

    world changed = w;
    changed.flat = make_flat(&w, order, all, rows);
    const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
    oct_hnsw *graph = build_plain(&changed.flat, &reuse);
    oct_hnsw *fresh = build_plain(&changed.flat, NULL);
    CHECK(graph_is_sound(graph));
    CHECK_EQ_U64(oct_hnsw_point_count(graph), all);
    double recall = recall_of(&changed, graph, 40, NULL);
    double anew = recall_of(&changed, fresh, 40, NULL);
    if (recall < anew - 0.02)
        printf("%u - 1/%u + %u: %.3f, anew %.3f\n", old_count, one_in, count - old_count, recall,
               anew);
    CHECK(recall >= anew - 0.02);

    /* Cut into steps and run by other workers: the same graph. */
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_builder *builder;
    CHECK(oct_hnsw_builder_create(&host, &changed.flat, &fixture_params, &reuse, &builder, NULL) ==
          OCT_OK);
    for (bool done = false; !done;)
        CHECK(oct_hnsw_build_step(builder, 1, &done, NULL) == OCT_OK);
    oct_hnsw *cut;
    oct_hnsw_builder_finish(builder, &cut);
    oct_hnsw_builder_destroy(builder);
    CHECK(same_bytes(graph, cut));
    oct_hnsw_destroy(cut);
    oct_hnsw_destroy(fresh);
    oct_hnsw_destroy(graph);
    oct_hnsw_destroy(old);
    world_destroy(&w);
}

TEST(deletions_are_repaired)
{
    check_change(OCT_METRIC_COSINE, 2000, 10, 2000);
    check_change(OCT_METRIC_EUCLID, 2000, 4, 2000);
    check_change(OCT_METRIC_MANHATTAN, 1000, 2, 1000);
}

TEST(merges_insert_the_rest)
{
    check_change(OCT_METRIC_COSINE, 2000, 0, 3000);
    check_change(OCT_METRIC_DOT, 2000, 5, 3000);
    check_change(OCT_METRIC_COSINE, 20, 3, 1000);
}

TEST(whole_clusters_may_go)
{
    /* All points of some regions: whoever linked only there has to be connected again. */
    world w = world_create(OCT_METRIC_EUCLID, 1500, DIM, 0);
    static uint32_t mapping[MOST], order[MOST];
    static float rows[MOST * DIM];
    oct_hnsw *old = build_plain(&w.flat, NULL);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 1500; i++) {
        bool gone = w.rows[(size_t)i * DIM] > 0.0f || w.rows[(size_t)i * DIM + 1] > 0.1f;
        mapping[i] = gone ? OCT_HNSW_GONE : kept;
        if (!gone) order[kept++] = i;
    }
    CHECK(kept > 100 && kept < 1000);
    world changed = w;
    changed.flat = make_flat(&w, order, kept, rows);
    const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
    oct_hnsw *graph = build_plain(&changed.flat, &reuse);
    CHECK(graph_is_sound(graph));
    CHECK(recall_of(&changed, graph, 60, NULL) >= 0.95);
    oct_hnsw_destroy(graph);
    oct_hnsw_destroy(old);
    world_destroy(&w);
}

TEST(nothing_may_live_on)
{
    world w = world_create(OCT_METRIC_COSINE, 300, DIM, 0);
    uint32_t mapping[300];
    memset(mapping, 0xff, sizeof mapping);
    oct_hnsw *old = build_plain(&w.flat, NULL);
    const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
    oct_hnsw *graph = build_plain(&w.flat, &reuse);
    CHECK(same_bytes(old, graph)); /* all points are new ones */
    oct_hnsw_destroy(graph);
    oct_flat empty = w.flat;
    empty.count = 0;
    graph = build_plain(&empty, &reuse);
    CHECK_EQ_U64(oct_hnsw_point_count(graph), 0);
    const oct_hnsw_reuse from_empty = { .graph = graph, .new_offsets = mapping };
    oct_hnsw *full = build_plain(&w.flat, &from_empty);
    CHECK(same_bytes(old, full));
    oct_hnsw_destroy(full);
    oct_hnsw_destroy(graph);
    oct_hnsw_destroy(old);
    world_destroy(&w);
}

TEST(wrong_mappings_are_refused)
{
    world w = world_create(OCT_METRIC_COSINE, 100, DIM, 0);
    oct_hnsw *old = build_plain(&w.flat, NULL);
    uint32_t mapping[100];
    for (int i = 0; i < 4; i++) {
        for (uint32_t j = 0; j < 100; j++)
            mapping[j] = j;
        oct_host host = fixture_host(heap_start());
        oct_hnsw_params params = fixture_params;
        oct_flat flat = w.flat;
        uint64_t present[2] = { UINT64_MAX - 32, UINT64_MAX };
        if (i == 0) mapping[5] = 100;       /* out of range */
        if (i == 1) mapping[5] = 6;         /* twice */
        if (i == 2) flat.present = present; /* 5 is absent */
        if (i == 3) params.m = 9;
        const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
        oct_hnsw *graph;
        CHECK(build_graph(&host, &flat, &params, &reuse, &graph, NULL) == OCT_VALIDATION);
        CHECK(heap_is_empty());
    }
    oct_hnsw_destroy(old);
    world_destroy(&w);
}

TEST(every_allocation_may_fail)
{
    world w = world_create(OCT_METRIC_COSINE, 200, DIM, 0);
    uint32_t mapping[200];
    for (uint32_t i = 0; i < 200; i++)
        mapping[i] = i % 3 ? i : OCT_HNSW_GONE;
    oct_hnsw *old = build_plain(&w.flat, NULL);
    const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_host host = fixture_host(&heap_counting.alloc);
        oct_hnsw *graph;
        oct_status status = build_graph(&host, &w.flat, &fixture_params, &reuse, &graph, NULL);
        CHECK(status == OCT_OK || (heap_failed() && status == OCT_NOMEM));
        oct_hnsw_destroy(graph);
        CHECK(heap_is_empty());
    }
    oct_hnsw_destroy(old);
    world_destroy(&w);
}

TEST_MAIN(identity_gives_the_same_bytes, deletions_are_repaired, merges_insert_the_rest,
          whole_clusters_may_go, nothing_may_live_on, wrong_mappings_are_refused,
          every_allocation_may_fail)
