/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the share of true neighbours that graph search finds stays above a table of thresholds, per
 * metric, with and without codes, per filter share, and after a third of the points was deleted.
 * Method: 6,000 clustered vectors of 96 dimensions; with OCTANT_DATA set to a folder holding
 * vectors.f32 and queries.f32 (384 dimensions, unit length), also the first 20,000 rows of those.
 * The truth is exact search. Prints the table it measured. */
#include "unit/hnsw_fixture.h"

static const oct_hnsw_params usual = { .m = 16, .ef_construct = 100, .seed = 42, .codes = true };

/* Clusters that overlap: most neighbours of a point are in other ones. */
static world hard_world(oct_metric metric)
{
    world_spread = 0.5f;
    return world_create(metric, 6000, 96, 0);
}

static oct_hnsw *build_usual(const world *w, bool codes, const oct_hnsw_reuse *reuse)
{
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_params params = usual;
    params.codes = codes;
    oct_hnsw *graph;
    if (build_graph(&host, &w->flat, &params, reuse, &graph, NULL) != OCT_OK) abort();
    return graph;
}

static bool reaches(const char *what, uint32_t ef, double recall, double least)
{
    printf("  %-28s ef %3u  recall %.4f  at least %.3f\n", what, ef, recall, least);
    return recall >= least;
}

static void check_metric(const world *w, const char *name, const double least[3])
{
    static const uint32_t efs[] = { 32, 64, 128 };
    for (int codes = 1; codes >= 0; codes--) {
        char what[64];
        snprintf(what, sizeof what, "%s, %s", name, codes ? "codes" : "floats");
        oct_hnsw *graph = build_usual(w, codes != 0, NULL);
        CHECK(graph_is_sound(graph));
        for (size_t e = 0; e < ARRAY_COUNT(efs); e++)
            CHECK(reaches(what, efs[e], recall_of(w, graph, efs[e], NULL), least[e]));
        oct_hnsw_destroy(graph);
    }
}

TEST(clustered_vectors_by_metric)
{
    static const char *const names[] = { "cosine", "euclid", "dot", "manhattan" };
    static const double least[OCT_METRIC_COUNT][3] = {
        { 0.95, 0.975, 0.99 }, { 0.95, 0.975, 0.99 }, { 0.95, 0.975, 0.99 }, { 0.90, 0.96, 0.98 }
    };
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++) {
        world w = hard_world((oct_metric)metric);
        check_metric(&w, names[metric], least[metric]);
        world_destroy(&w);
    }
}

static void check_filters(const world *w, double least)
{
    static const uint32_t shares[] = { 2, 5, 20, 100 };
    uint64_t *allowed = calloc(oct_bits_words(w->flat.count), sizeof *allowed);
    if (!allowed) abort();
    for (int codes = 1; codes >= 0; codes--) {
        oct_hnsw *graph = build_usual(w, codes != 0, NULL);
        for (size_t i = 0; i < ARRAY_COUNT(shares); i++) {
            char what[64];
            snprintf(what, sizeof what, "1 in %u, %s", shares[i], codes ? "codes" : "floats");
            memset(allowed, 0, oct_bits_words(w->flat.count) * sizeof *allowed);
            for (uint32_t j = 0; j < w->flat.count; j++) {
                if (test_random_below(shares[i]) == 0) oct_bits_set(allowed, j);
            }
            CHECK(reaches(what, 64, recall_of(w, graph, 64, allowed), least));
        }
        oct_hnsw_destroy(graph);
    }
    free(allowed);
}

TEST(clustered_vectors_under_filters)
{
    world w = hard_world(OCT_METRIC_COSINE);
    check_filters(&w, 0.98);
    world_destroy(&w);
}

/* Delete every third point: the graph that is repaired must be as good as one built anew. */
static void check_deletions(world *w, double least)
{
    uint32_t count = w->flat.count;
    uint32_t dim = w->flat.dim;
    uint32_t *mapping = malloc(count * sizeof *mapping);
    if (!mapping) abort();
    oct_hnsw *old = build_usual(w, true, NULL);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        mapping[i] = i % 3 == 1 ? OCT_HNSW_GONE : kept;
        if (i % 3 == 1) continue;
        memmove(w->rows + (size_t)kept++ * dim, w->rows + (size_t)i * dim, dim * sizeof(float));
    }
    w->flat.count = kept;
    const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
    oct_hnsw *repaired = build_usual(w, true, &reuse);
    oct_hnsw *anew = build_usual(w, true, NULL);
    double fresh = recall_of(w, anew, 64, NULL);
    CHECK(graph_is_sound(repaired));
    CHECK(reaches("built anew", 64, fresh, least));
    CHECK(reaches("repaired", 64, recall_of(w, repaired, 64, NULL), fresh - 0.01));
    oct_hnsw_destroy(anew);
    oct_hnsw_destroy(repaired);
    oct_hnsw_destroy(old);
    free(mapping);
}

TEST(clustered_vectors_after_deletions)
{
    world w = hard_world(OCT_METRIC_COSINE);
    check_deletions(&w, 0.98);
    world_destroy(&w);
}

/* ---- real vectors ----------------------------------------------------------------------- */

static float *read_rows(const char *folder, const char *name, uint32_t count, uint32_t dim)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    size_t values = (size_t)count * dim;
    float *rows = malloc(values * sizeof *rows);
    FILE *file = fopen(path, "rb");
    if (!rows || !file || fread(rows, sizeof *rows, values, file) != values) {
        printf("cannot read %s\n", path);
        abort();
    }
    fclose(file);
    return rows;
}

TEST(real_vectors_when_given)
{
    enum { COUNT = 20000, QUERIES = 500, DIM = 384 };
    static const double least[] = { 0.91, 0.96, 0.985 };
    const char *folder = getenv("OCTANT_DATA");
    if (!folder) {
        printf("  OCTANT_DATA is not set: made-up vectors only\n");
        return;
    }
    world w = { .rows = read_rows(folder, "vectors.f32", COUNT, DIM),
                .queries = read_rows(folder, "queries.f32", QUERIES, DIM),
                .query_count = QUERIES };
    w.flat = (oct_flat){ .kernels = oct_kernels_select(NULL),
                         .rows = w.rows,
                         .count = COUNT,
                         .dim = DIM,
                         .metric = OCT_METRIC_COSINE };
    check_metric(&w, "real, cosine", least);
    check_filters(&w, 0.96);
    check_deletions(&w, 0.96);
    world_destroy(&w);
}

TEST_MAIN(clustered_vectors_by_metric, clustered_vectors_under_filters,
          clustered_vectors_after_deletions, real_vectors_when_given)
