/* SPDX-License-Identifier: Apache-2.0
 *
 * quant.c - how fast quantized codes are made, scanned and walked, and how much of the truth they
 * find, with and without rescoring.
 *
 *     quant VECTORS.f32 QUERIES.f32 TRUTH.i32 COUNT DIM [kind ...]
 *
 * VECTORS and QUERIES are raw little-endian float rows, of unit length (Cosine); TRUTH has 100 ids
 * a query. Kinds: those of the table below; none means all. One graph (m 16, ef_construct 100) is
 * built; every kind walks on it. Prints one JSON object per line. Times are CPU time of the thread;
 * a search line is the best of three rounds. Needs COUNT * DIM * 4 bytes of memory, and as much for
 * codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "common.h"
#include "index/flat.h"
#include "index/hnsw.h"
#include "index/quant.h"
#include "relaxed.h"
#include "simd/kernels.h"

enum { TRUTH_IDS = 100, LIMIT = 10, ROUNDS = 3 };

static const struct {
    const char *name;
    oct_quant_params params;
} kinds[] = {
    { "scalar", { .kind = OCT_QUANTIZATION_SCALAR, .quantile = 1.0f } },
    { "scalar.99", { .kind = OCT_QUANTIZATION_SCALAR, .quantile = 0.99f } },
    { "turbo4", { .kind = OCT_QUANTIZATION_TURBO, .bits = OCT_TURBO_BITS4 } },
    { "turbo2", { .kind = OCT_QUANTIZATION_TURBO, .bits = OCT_TURBO_BITS2 } },
    { "turbo1.5", { .kind = OCT_QUANTIZATION_TURBO, .bits = OCT_TURBO_BITS1_5 } },
    { "turbo1", { .kind = OCT_QUANTIZATION_TURBO, .bits = OCT_TURBO_BITS1 } },
    { "product.x4", { .kind = OCT_QUANTIZATION_PRODUCT, .compression = 4 } },
    { "product.x8", { .kind = OCT_QUANTIZATION_PRODUCT, .compression = 8 } },
    { "product.x16", { .kind = OCT_QUANTIZATION_PRODUCT, .compression = 16 } },
    { "product.x32", { .kind = OCT_QUANTIZATION_PRODUCT, .compression = 32 } },
    { "binary", { .kind = OCT_QUANTIZATION_BINARY } },
    { "binary-q4",
      { .kind = OCT_QUANTIZATION_BINARY, .query_encoding = OCT_QUERY_ENCODING_SCALAR4BITS } },
    { "binary-q8",
      { .kind = OCT_QUANTIZATION_BINARY, .query_encoding = OCT_QUERY_ENCODING_SCALAR8BITS } },
    { "binary1.5-q4",
      { .kind = OCT_QUANTIZATION_BINARY,
        .encoding = OCT_BINARY_ONE_AND_HALF_BITS,
        .query_encoding = OCT_QUERY_ENCODING_SCALAR4BITS } },
    { "binary2", { .kind = OCT_QUANTIZATION_BINARY, .encoding = OCT_BINARY_TWO_BITS } },
    { "binary2-q4",
      { .kind = OCT_QUANTIZATION_BINARY,
        .encoding = OCT_BINARY_TWO_BITS,
        .query_encoding = OCT_QUERY_ENCODING_SCALAR4BITS } },
};

typedef struct data {
    const float *queries;
    const int32_t *truth;
    size_t query_count;
    oct_flat flat;
} data;

/* One way to search. */
typedef struct way {
    bool walk, rescore;
    uint32_t ef;
    float oversampling;
} way;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t monotonic_ns(void *self)
{
    UNUSED(self);
    return (uint64_t)(seconds() * 1e9);
}

/* ---- bytes of the graph ------------------------------------------------------------------ */

typedef struct bytes_sink {
    uint8_t *at;
    size_t bytes, capacity;
} bytes_sink;

static oct_status append(void *self, const void *source, size_t bytes, oct_error *error)
{
    bytes_sink *sink = self;
    UNUSED(error);
    if (sink->bytes + bytes > sink->capacity) die("the graph is larger than it said");
    memcpy(sink->at + sink->bytes, source, bytes);
    sink->bytes += bytes;
    return OCT_OK;
}

static bytes_sink build_graph(const oct_host *host, const oct_flat *flat)
{
    const oct_hnsw_params params = { .m = 16, .ef_construct = 100, .seed = 1, .codes = true };
    oct_hnsw_builder *builder;
    oct_hnsw *graph;
    oct_error error;
    bool done = false;
    if (oct_hnsw_builder_create(host, flat, &params, NULL, &builder, &error) != OCT_OK ||
        oct_hnsw_build_step(builder, UINT64_MAX, &done, &error) != OCT_OK || !done)
        die(error.message);
    oct_hnsw_builder_finish(builder, &graph);
    oct_hnsw_builder_destroy(builder);
    bytes_sink sink = { .capacity = ((size_t)oct_hnsw_bytes(graph) + 63) / 64 * 64 };
    sink.at = aligned_alloc(64, sink.capacity);
    const oct_hnsw_sink to = { append, &sink };
    if (!sink.at || oct_hnsw_write_bare(graph, &to, &error) != OCT_OK) die("no graph");
    oct_hnsw_destroy(graph);
    return sink;
}

/* ---- searches ----------------------------------------------------------------------------- */

static void search(const data *d, const oct_hnsw *graph, const way *w, oct_hnsw_scratch *scratch,
                   oct_arena *arena, const float *vector, oct_topk *best)
{
    oct_error error;
    oct_status status;
    if (w->walk) {
        const oct_hnsw_query query = {
            .vector = vector, .ef = w->ef, .oversampling = w->oversampling, .rescore = w->rescore
        };
        status = oct_hnsw_search(graph, &query, scratch, best, &error);
    } else {
        const oct_quant_request request = { .vector = vector,
                                            .rescore = w->rescore,
                                            .oversampling = w->oversampling };
        status = oct_quant_scan(&d->flat, &request, arena, best, &error);
        oct_arena_reset(arena);
    }
    if (status != OCT_OK) die(error.message);
}

static void measure(const data *d, const oct_hnsw *graph, const way *w, const char *kind,
                    oct_hnsw_scratch *scratch)
{
    const oct_alloc alloc = { NULL, resize };
    double best_time = 1e9;
    uint64_t found = 0;
    oct_arena arena;
    size_t count = w->walk ? d->query_count : MIN(d->query_count, (size_t)200);
    oct_arena_init(&arena, &alloc, 0);
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds();
        found = 0;
        for (size_t q = 0; q < count; q++) {
            oct_hit hits[LIMIT];
            oct_topk best;
            oct_topk_init(&best, hits, LIMIT);
            search(d, graph, w, scratch, &arena, d->queries + q * d->flat.dim, &best);
            for (uint32_t a = 0; a < best.count; a++)
                for (int b = 0; b < LIMIT; b++)
                    found += (int32_t)hits[a].offset == d->truth[q * TRUTH_IDS + (size_t)b];
        }
        best_time = MIN(best_time, seconds() - start);
    }
    printf("{\"kind\":\"%s\",\"way\":\"%s\",\"rescore\":%s,\"ef\":%u,\"oversampling\":%g,"
           "\"recall\":%.4f,\"queries_per_second\":%.0f}\n",
           kind, w->walk ? "walk" : "scan", w->rescore ? "true" : "false", w->ef,
           (double)w->oversampling, (double)found / (double)(count * LIMIT),
           (double)count / best_time);
    fflush(stdout);
}

static void measure_kind(data *d, const oct_host *host, const bytes_sink *bytes, size_t kind)
{
    static const way ways[] = {
        { false, false, 0, 0 },  { false, true, 0, 4 },   { false, true, 0, 12 },
        { true, false, 64, 0 },  { true, false, 128, 0 }, { true, true, 32, 0 },
        { true, true, 64, 0 },   { true, true, 128, 0 },  { true, true, 256, 0 },
        { true, true, 128, 12 }, { true, true, 400, 20 },
    };
    oct_error error;
    oct_quant_builder *builder;
    oct_hnsw_scratch *scratch;
    oct_hnsw *graph;
    double start = seconds();
    if (oct_quant_builder_create(host, &d->flat, &kinds[kind].params, &builder, &error) != OCT_OK)
        die(error.message);
    while (!oct_quant_build_step(builder, UINT64_MAX))
        continue;
    oct_quant *quant = oct_quant_builder_finish(builder);
    oct_quant_builder_destroy(builder);
    printf("{\"kind\":\"%s\",\"row_bytes\":%u,\"seconds_to_code\":%.3f}\n", kinds[kind].name,
           oct_quant_row_bytes(quant), seconds() - start);
    d->flat.quant = quant;
    if (oct_hnsw_open(host->alloc, &d->flat, bytes->at, bytes->bytes, &graph, &error) != OCT_OK ||
        oct_hnsw_scratch_create(host->alloc, &scratch, &error) != OCT_OK)
        die(error.message);
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++)
        measure(d, graph, &ways[i], kinds[kind].name, scratch);
    oct_hnsw_scratch_destroy(scratch);
    oct_hnsw_destroy(graph);
    oct_quant_destroy(quant);
    d->flat.quant = NULL;
}

int main(int argc, char **argv)
{
    if (argc < 6) die("usage: quant VECTORS.f32 QUERIES.f32 TRUTH.i32 COUNT DIM [kind ...]");
    const oct_alloc alloc = { NULL, resize };
    const oct_host host = { .alloc = &alloc, .monotonic_ns = monotonic_ns };
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10);
    uint32_t dim = (uint32_t)strtoul(argv[5], NULL, 10);
    size_t bytes;
    data d = { .flat = { .kernels = bench_kernels(),
                         .count = count,
                         .dim = dim,
                         .metric = OCT_METRIC_COSINE } };
    if (!d.flat.kernels) die("OCT_ISA names no instruction set of this machine");
    d.flat.rows = read_file(argv[1], (size_t)count * dim * sizeof(float), &bytes);
    d.queries = read_file(argv[2], dim * sizeof(float), &bytes);
    d.query_count = bytes / (dim * sizeof(float));
    d.truth = read_file(argv[3], d.query_count * TRUTH_IDS * sizeof(int32_t), &bytes);
    bytes_sink graph = build_graph(&host, &d.flat);
    printf("{\"isa\":\"%s\",\"points\":%u,\"graph_bytes\":%zu}\n", d.flat.kernels->name, count,
           graph.bytes);
    for (size_t kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
        bool wanted = argc == 6;
        for (int i = 6; i < argc; i++)
            wanted = wanted || strcmp(argv[i], kinds[kind].name) == 0;
        if (wanted) measure_kind(&d, &host, &graph, kind);
    }
    return 0;
}
