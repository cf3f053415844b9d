/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the graph is the same on one thread and on several, however they take turns, and several
 * threads may search one graph at a time.
 * Method: real threads; run under ThreadSanitizer to see races that happen to do no harm. */
#include "unit/multi_support.h"
#include "unit/threads.h"

enum { WIDTH = TEST_THREADS_MAX };

static oct_hnsw *build_wide(const world *w, const oct_hnsw_reuse *reuse, uint32_t width)
{
    oct_host host = fixture_host(&test_alloc);
    host.parallel = test_parallel;
    host.parallel_width = width;
    oct_hnsw *graph;
    if (build_graph(&host, &w->flat, &fixture_params, reuse, &graph, NULL) != OCT_OK) abort();
    return graph;
}

TEST(threads_do_not_change_the_graph)
{
    static const oct_metric metrics[] = { OCT_METRIC_COSINE, OCT_METRIC_MANHATTAN };
    for (size_t i = 0; i < ARRAY_COUNT(metrics); i++) {
        world w = world_create(metrics[i], 2500, i ? 32 : 72, 10);
        uint32_t mapping[2500];
        for (uint32_t j = 0; j < 2500; j++)
            mapping[j] = j % 7 ? j : OCT_HNSW_GONE;
        oct_hnsw *one = build_wide(&w, NULL, 1);
        const oct_hnsw_reuse reuse = { .graph = one, .new_offsets = mapping };
        oct_hnsw *repaired = build_wide(&w, &reuse, 1);
        for (uint32_t width = 2; width <= WIDTH; width++) {
            oct_hnsw *many = build_wide(&w, NULL, width);
            CHECK(same_bytes(one, many));
            oct_hnsw_destroy(many);
            many = build_wide(&w, &reuse, width);
            CHECK(same_bytes(repaired, many));
            oct_hnsw_destroy(many);
        }
        oct_hnsw_destroy(repaired);
        oct_hnsw_destroy(one);
        world_destroy(&w);
    }
}

TEST(threads_do_not_change_a_graph_of_multivectors)
{
    multi_world m = multi_create(OCT_METRIC_COSINE, 900, 24, 9);
    const world w = { .flat = m.flat };
    oct_hnsw *one = build_wide(&w, NULL, 1);
    for (uint32_t width = 2; width <= WIDTH; width++) {
        oct_hnsw *many = build_wide(&w, NULL, width);
        CHECK(same_bytes(one, many));
        oct_hnsw_destroy(many);
    }
    oct_hnsw_destroy(one);
    multi_destroy(&m);
}

typedef struct searcher {
    const world *w;
    const oct_hnsw *graph;
    double recall[WIDTH];
} searcher;

static void search_all(void *arg, uint32_t number)
{
    searcher *s = arg;
    s->recall[number] = recall_of(s->w, s->graph, 50, NULL);
}

TEST(threads_share_a_graph)
{
    world w = world_create(OCT_METRIC_COSINE, 2000, 32, 0);
    oct_hnsw *graph = build_wide(&w, NULL, 2);
    searcher s = { .w = &w, .graph = graph };
    test_parallel(NULL, WIDTH, search_all, &s);
    for (int i = 0; i < WIDTH; i++)
        CHECK(s.recall[i] == s.recall[0] && s.recall[i] > 0.9);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

TEST_MAIN(threads_do_not_change_the_graph, threads_do_not_change_a_graph_of_multivectors,
          threads_share_a_graph)
