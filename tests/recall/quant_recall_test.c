/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the share of true neighbours found by quantized codes stays above a table of thresholds,
 * for every kind of codes and metric, by scan and by walk, with and without rescoring.
 * Method: 6,000 clustered vectors of 96 dimensions; with OCTANT_DATA set to a folder holding
 * vectors.f32 and queries.f32 (384 dimensions, unit length), also the first 20,000 rows of those.
 * The truth is exact search. Prints the table it measured. */
#include "unit/quant_support.h"

static const oct_hnsw_params usual = { .m = 16, .ef_construct = 100, .seed = 42, .codes = true };

/* The graph over the codes of w->flat.quant, borrowing `bytes`. */
static oct_hnsw *build_bare(const world *w, bytes_sink *bytes)
{
    oct_host host = fixture_host(&test_alloc);
    const oct_hnsw_sink sink = { sink_append, bytes };
    oct_hnsw *built, *opened;
    *bytes = (bytes_sink){ 0 };
    if (build_graph(&host, &w->flat, &usual, NULL, &built, NULL) != OCT_OK) abort();
    if (oct_hnsw_write_bare(built, &sink, NULL) != OCT_OK) abort();
    oct_hnsw_destroy(built);
    if (oct_hnsw_open(&test_alloc, &w->flat, bytes->at, bytes->bytes, &opened, NULL) != OCT_OK)
        abort();
    return opened;
}

static bool reaches(const char *what, double recall, double least)
{
    printf("    %-26s recall %.4f  at least %.3f\n", what, recall, least);
    return recall >= least;
}

static void check_variant(world *w, const variant *v, double plain, double rescored)
{
    bytes_sink bytes;
    oct_quant *quant = attach_codes(w, &v->params);
    oct_hnsw *graph = build_bare(w, &bytes);
    const oct_hnsw_query walk = { .ef = 96, .rescore = true, .oversampling = 4 };
    printf("  %s\n", v->name);
    CHECK(reaches("scan", scan_recall(w, false, 0, NULL), plain));
    CHECK(reaches("scan, rescored", scan_recall(w, true, 4, NULL), rescored));
    CHECK(reaches("walk, rescored", recall_asking(w, graph, walk), rescored - 0.02));
    oct_hnsw_destroy(graph);
    oct_quant_destroy(quant);
    free(bytes.at);
}

TEST(clustered_vectors_by_kind)
{
    static const char *const names[] = { "cosine", "euclid", "dot", "manhattan" };
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++) {
        world_spread = 0.5f;
        world w = world_create((oct_metric)metric, 6000, 96, 0);
        printf("%s\n", names[metric]);
        for (size_t i = 0; i < ARRAY_COUNT(variants); i++)
            check_variant(&w, &variants[i], variants[i].plain, variants[i].rescored);
        world_destroy(&w);
    }
}

static float *read_floats(const char *folder, const char *name, size_t floats)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    float *at = malloc(floats * sizeof *at);
    if (!file || !at || fread(at, sizeof *at, floats, file) != floats) {
        printf("cannot read %zu floats from %s\n", floats, path);
        abort();
    }
    fclose(file);
    return at;
}

TEST(real_vectors_when_there_are_any)
{
    enum { COUNT = 20000, DIM = 384, QUERIES = 200 };
    const char *folder = getenv("OCTANT_DATA");
    if (!folder) {
        printf("  OCTANT_DATA is not set: only the clustered vectors were measured\n");
        return;
    }
    world w = { .query_count = QUERIES };
    w.rows = read_floats(folder, "vectors.f32", (size_t)COUNT * DIM);
    w.queries = read_floats(folder, "queries.f32", (size_t)QUERIES * DIM);
    w.flat = (oct_flat){ .kernels = oct_kernels_select(NULL),
                         .rows = w.rows,
                         .count = COUNT,
                         .dim = DIM,
                         .metric = OCT_METRIC_COSINE };
    for (size_t i = 0; i < ARRAY_COUNT(variants); i++)
        check_variant(&w, &variants[i], variants[i].plain, variants[i].rescored);
    world_destroy(&w);
}

TEST_MAIN(clustered_vectors_by_kind, real_vectors_when_there_are_any)
