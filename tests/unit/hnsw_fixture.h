/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_fixture.h - what the tests of flat.c and hnsw_*.c share: clustered vectors that are the same
 * on every target, a host, building and searching in one call, and recall against exact search. */
#ifndef OCT_TEST_HNSW_FIXTURE_H
#define OCT_TEST_HNSW_FIXTURE_H

#include "base/alloc.h"
#include "base/bits.h"
#include "base/hash.h"
#include "index/flat.h"
#include "index/hnsw.h"
#include "query/plan.h"
#include "simd/kernels.h"
#include "simd/metric.h"
#include "unit/test.h"
#include "vfs/test_alloc.h"

enum { LIMIT = 10 }; /* hits asked for */

/* ---- vectors ---------------------------------------------------------------------------- */

typedef struct world {
    float *rows;    /* [count][dim] */
    float *queries; /* [query_count][dim] */
    uint64_t *present;
    uint32_t query_count;
    oct_flat flat;
} world;

/* How far vectors lie from their centre; recall tests make it harder. */
static float world_spread = 0.25f;

/* One vector near its centre. */
static inline void world_vector(float *row, const float *centre, uint32_t dim, oct_metric metric)
{
    for (uint32_t d = 0; d < dim; d++)
        row[d] = centre[d] + (test_random_float() + test_random_float()) * world_spread;
    oct_metric_preprocess(oct_kernels_select("scalar"), metric, row, dim);
}

/* `count` vectors and 100 queries around count / 50 + 1 centres; about one in `absent` points has
 * no vector (0: all have). Uses the test's random stream. */
static inline world world_create(oct_metric metric, uint32_t count, uint32_t dim, uint32_t absent)
{
    world w = { .query_count = 100 };
    uint32_t clusters = count / 50 + 1;
    float *centres = malloc((size_t)clusters * dim * sizeof(float));
    w.rows = malloc(((size_t)count * dim + 1) * sizeof(float));
    w.queries = malloc((size_t)w.query_count * dim * sizeof(float));
    w.present = calloc(oct_bits_words(count) + 1, sizeof(uint64_t));
    if (!centres || !w.rows || !w.queries || !w.present) abort();
    for (uint32_t i = 0; i < clusters * dim; i++)
        centres[i] = test_random_float() * 0.5f;
    for (uint32_t i = 0; i < count; i++) {
        const float *centre = centres + (size_t)test_random_below(clusters) * dim;
        world_vector(w.rows + (size_t)i * dim, centre, dim, metric);
        if (absent == 0 || test_random_below(absent) != 0) oct_bits_set(w.present, i);
    }
    for (uint32_t i = 0; i < w.query_count; i++) {
        const float *centre = centres + (size_t)test_random_below(clusters) * dim;
        world_vector(w.queries + (size_t)i * dim, centre, dim, metric);
    }
    free(centres);
    w.flat = (oct_flat){ .kernels = oct_kernels_select(NULL),
                         .rows = w.rows,
                         .present = absent ? w.present : NULL,
                         .count = count,
                         .dim = dim,
                         .metric = metric };
    return w;
}

static inline void world_destroy(world *w)
{
    free(w->rows);
    free(w->queries);
    free(w->present);
}

static inline uint32_t world_present_count(const world *w)
{
    return (uint32_t)oct_bits_count(w->present, oct_bits_words(w->flat.count));
}

/* ---- host ------------------------------------------------------------------------------- */

static uint64_t fixture_ns; /* a clock that ticks a millisecond each time it is read */

static inline uint64_t fixture_clock(void *self)
{
    UNUSED(self);
    return fixture_ns += 1000000;
}

static inline oct_host fixture_host(const oct_alloc *alloc)
{
    return (oct_host){ .alloc = alloc, .monotonic_ns = fixture_clock };
}

/* ---- build ------------------------------------------------------------------------------ */

static const oct_hnsw_params fixture_params = {
    .m = 8, .ef_construct = 60, .seed = 7, .codes = true
};

static inline oct_status build_graph(const oct_host *host, const oct_flat *flat,
                                     const oct_hnsw_params *params, const oct_hnsw_reuse *reuse,
                                     oct_hnsw **out, oct_error *error)
{
    oct_hnsw_builder *builder;
    *out = NULL;
    oct_status status = oct_hnsw_builder_create(host, flat, params, reuse, &builder, error);
    if (status != OCT_OK) return status;
    bool done = false;
    status = oct_hnsw_build_step(builder, UINT64_MAX, &done, error);
    if (status == OCT_OK && done) oct_hnsw_builder_finish(builder, out);
    oct_hnsw_builder_destroy(builder);
    return status;
}

/* Build with default parameters and plain memory; NULL (and a failed test) when it fails. */
static inline oct_hnsw *build_plain(const oct_flat *flat, const oct_hnsw_reuse *reuse)
{
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw *graph;
    oct_error error = { 0 };
    if (build_graph(&host, flat, &fixture_params, reuse, &graph, &error) != OCT_OK)
        test_fail(__FILE__, __LINE__, error.message);
    return graph;
}

/* ---- bytes ------------------------------------------------------------------------------ */

typedef struct bytes_sink {
    uint8_t *at; /* aligned to 64 */
    size_t bytes, capacity;
} bytes_sink;

static inline oct_status sink_append(void *self, const void *source, size_t bytes, oct_error *error)
{
    bytes_sink *sink = self;
    if (sink->bytes + bytes > sink->capacity) {
        size_t capacity = (2 * (sink->bytes + bytes) + 63) / 64 * 64;
        uint8_t *at = aligned_alloc(64, capacity);
        if (!at) return oct_fail_nomem(error, "a test's bytes");
        if (sink->bytes > 0) memcpy(at, sink->at, sink->bytes);
        free(sink->at);
        sink->at = at;
        sink->capacity = capacity;
    }
    memcpy(sink->at + sink->bytes, source, bytes);
    sink->bytes += bytes;
    return OCT_OK;
}

static inline bytes_sink graph_bytes(const oct_hnsw *graph)
{
    bytes_sink bytes = { 0 };
    const oct_hnsw_sink sink = { sink_append, &bytes };
    if (oct_hnsw_write(graph, &sink, NULL) != OCT_OK) abort();
    return bytes;
}

static inline bool same_bytes(const oct_hnsw *a, const oct_hnsw *b)
{
    bytes_sink x = graph_bytes(a);
    bytes_sink y = graph_bytes(b);
    bool same = x.bytes == y.bytes && memcmp(x.at, y.at, x.bytes) == 0;
    free(x.at);
    free(y.at);
    return same;
}

/* ---- search ----------------------------------------------------------------------------- */

static inline bool graph_is_sound(const oct_hnsw *graph)
{
    oct_hnsw_report report;
    if (oct_hnsw_check(&test_alloc, graph, &report, NULL) != OCT_OK) return false;
    return report.unreachable == 0 && report.out_of_range == 0 && report.self_links == 0 &&
           report.repeated_links == 0 && report.wrong_levels == 0;
}

/* Share of the true 10 nearest (among those `ask` allows) found; -1 when a search fails, when a
 * score is not the exact one, or when a hit is absent, not allowed or given twice. */
static inline double recall_asking(const world *w, const oct_hnsw *graph, oct_hnsw_query ask)
{
    const uint64_t *allowed = ask.allowed;
    oct_hnsw_scratch *scratch;
    uint32_t found = 0;
    uint32_t wanted = 0;
    bool good = oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK;
    for (uint32_t i = 0; i < w->query_count && good; i++) {
        const float *vector = w->queries + (size_t)i * w->flat.dim;
        oct_hit hits[LIMIT], truth[LIMIT];
        oct_topk best, exact;
        oct_topk_init(&best, hits, LIMIT);
        oct_topk_init(&exact, truth, LIMIT);
        ask.vector = vector;
        const oct_flat_limits limits = { .allowed = allowed };
        good = oct_hnsw_search(graph, &ask, scratch, &best, NULL) == OCT_OK &&
               oct_flat_scan(&w->flat, vector, &limits, &exact, NULL) == OCT_OK;
        oct_topk_finish(&best);
        wanted += oct_topk_finish(&exact);
        for (uint32_t a = 0; a < best.count && good; a++) {
            good = hits[a].offset < w->flat.count && oct_flat_has(&w->flat, hits[a].offset) &&
                   (!allowed || oct_bits_get(allowed, hits[a].offset)) &&
                   hits[a].score == oct_flat_score(&w->flat, vector, hits[a].offset) &&
                   (a == 0 || oct_hit_before(hits[a - 1], hits[a]));
            for (uint32_t b = 0; b < exact.count; b++)
                found += hits[a].offset == truth[b].offset;
        }
    }
    oct_hnsw_scratch_destroy(scratch);
    return good ? (double)found / (double)(wanted ? wanted : 1) : -1;
}

/* With the way the planner takes. */
static inline double recall_of(const world *w, const oct_hnsw *graph, uint32_t ef,
                               const uint64_t *allowed)
{
    uint32_t count = 0;
    oct_hnsw_query ask = { .ef = ef, .allowed = allowed };
    if (!allowed) return recall_asking(w, graph, ask);
    count = (uint32_t)oct_bits_count(allowed, oct_bits_words(w->flat.count));
    const oct_plan_facts facts = { .has_graph = true,
                                   .has_codes = oct_hnsw_graph_params(graph).codes,
                                   .filtered = true,
                                   .selected = count,
                                   .points = oct_hnsw_point_count(graph),
                                   .wanted = LIMIT };
    oct_plan_way way = oct_plan_cheapest(&facts, ef);
    ask.allowed_count = count;
    ask.way = way == OCT_PLAN_WALK_ALL       ? OCT_HNSW_WALK_ALL
              : way == OCT_PLAN_WALK_ALLOWED ? OCT_HNSW_WALK_ALLOWED
                                             : OCT_HNSW_SCAN;
    return recall_asking(w, graph, ask);
}

/* Restore a builder, and go on until it needs the bytes no more. */
static inline oct_status restore_build(const oct_host *host, const oct_flat *flat,
                                       const oct_hnsw_params *params, const bytes_sink *bytes,
                                       oct_hnsw_builder **out, oct_error *error)
{
    bool done = false;
    oct_status status =
        oct_hnsw_builder_restore(host, flat, params, bytes->at, bytes->bytes, out, error);
    while (status == OCT_OK && oct_hnsw_builder_restoring(*out))
        status = oct_hnsw_build_step(*out, 1, &done, error);
    if (status == OCT_OK) return OCT_OK;
    oct_hnsw_builder_destroy(*out);
    *out = NULL;
    return status;
}

#endif
