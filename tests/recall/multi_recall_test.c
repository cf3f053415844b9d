/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a graph over multivectors finds at least .95 of the true neighbours at the default width,
 * whatever the metric, without a filter and with one.
 * Method: 2,500 clustered points of 1 to 12 rows x 32 dimensions, queries of 4 rows. The truth is a
 * scan. Prints the table it measured. */
#include "unit/multi_support.h"

enum { POINTS = 2500, DIM = 32, ROWS_MAX = 12, EF = 100 };

static void check(const multi_world *w, const char *name)
{
    oct_host host = fixture_host(&test_alloc);
    const oct_hnsw_params params = { .m = 16, .ef_construct = 100, .seed = 42, .codes = true };
    uint64_t tenth[POINTS / 64 + 1] = { 0 };
    oct_hnsw *graph;
    for (uint32_t i = 3; i < POINTS; i += 10)
        oct_bits_set(tenth, i);
    CHECK(build_graph(&host, &w->flat, &params, NULL, &graph, NULL) == OCT_OK);
    double all = multi_recall(w, graph, (oct_hnsw_query){ .ef = EF });
    double some = multi_recall(w, graph,
                               (oct_hnsw_query){ .way = OCT_HNSW_WALK_ALLOWED,
                                                 .ef = EF,
                                                 .allowed = tenth,
                                                 .allowed_count = POINTS / 10 });
    printf("  %-10s recall %.4f, of a tenth %.4f\n", name, all, some);
    CHECK(all >= 0.95);
    CHECK(some >= 0.95);
    oct_hnsw_destroy(graph);
}

TEST(clustered_multivectors_by_metric)
{
    static const char *const names[] = { "cosine", "euclid", "dot", "manhattan" };
    world_spread = 0.35f;
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++) {
        multi_world w = multi_create((oct_metric)metric, POINTS, DIM, ROWS_MAX);
        check(&w, names[metric]);
        multi_destroy(&w);
    }
}

TEST_MAIN(clustered_multivectors_by_metric)
