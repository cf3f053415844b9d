/* SPDX-License-Identifier: Apache-2.0
 *
 * multi.c - multivectors: what the graph costs to build, and queries per second and recall of a
 * walk beside those of scans.
 *
 *     multi COUNT DIM ROWS [name=value ...]
 *
 * Points have ROWS rows on average (half to one and a half times as many), queries `asked`.
 * Options: asked=ROWS m=16 efc=100 codes=1 metric=0 queries=200 codes_scan=1.
 *
 * The vectors are made here, seeded, in the likeness of token embeddings: a point is about one of
 * COUNT / 50 topics; a row is a word, one of the topic's 40 but in `strays` (25) of 100 cases,
 * pulled to the topic (`pull` hundredths, 50) and with noise of its own. So are a query's rows. All
 * of unit length.
 *
 * Prints one JSON object per line: the build, the scans of rows and of 7-bit codes (the answer of
 * the former is the truth), then a line per ef. Times are CPU time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "common.h"
#include "index/hnsw.h"
#include "index/multi.h"
#include "simd/metric.h"

enum { LIMIT = 10, WORDS = 4000, TOPIC_WORDS = 40, POINTS_PER_TOPIC = 50 };

typedef struct options {
    uint32_t count, dim, rows, asked, m, efc, codes, metric, queries, codes_scan, pull, strays;
} options;

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t monotonic_ns(void *self)
{
    UNUSED(self);
    return (uint64_t)(cpu_seconds() * 1e9);
}

/* ---- vectors ---------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t end)
{
    random_state++;
    return (uint32_t)(oct_hash_u64(7, random_state) % end);
}

/* About normal, of variance 1. */
static float random_normal(void)
{
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)random_below(1 << 20) / (1 << 20) - 0.5f;
    return sum * sqrtf(3.0f);
}

static float *random_vectors(uint32_t count, uint32_t dim)
{
    float *vectors = malloc((size_t)count * dim * sizeof *vectors);
    if (!vectors) die("no memory");
    for (size_t i = 0; i < (size_t)count * dim; i++)
        vectors[i] = random_normal();
    return vectors;
}

typedef struct language {
    float *words, *topics; /* [WORDS][dim], [topic_count][dim] */
    uint32_t *topic_words; /* [topic_count][TOPIC_WORDS] */
    uint32_t topic_count;
} language;

static language make_language(const options *o)
{
    language l = { .topic_count = o->count / POINTS_PER_TOPIC + 1 };
    l.words = random_vectors(WORDS, o->dim);
    l.topics = random_vectors(l.topic_count, o->dim);
    l.topic_words = malloc((size_t)l.topic_count * TOPIC_WORDS * sizeof *l.topic_words);
    if (!l.topic_words) die("no memory");
    for (uint32_t i = 0; i < l.topic_count * TOPIC_WORDS; i++)
        l.topic_words[i] = random_below(WORDS);
    return l;
}

static void make_rows(const options *o, const language *l, uint32_t rows, float *out)
{
    const oct_kernels *kernels = oct_kernels_select(NULL);
    uint32_t topic = random_below(l->topic_count);
    for (uint32_t i = 0; i < rows; i++, out += o->dim) {
        uint32_t word = l->topic_words[topic * TOPIC_WORDS + random_below(TOPIC_WORDS)];
        if (random_below(100) < o->strays) word = random_below(WORDS);
        for (uint32_t d = 0; d < o->dim; d++)
            out[d] = l->words[(size_t)word * o->dim + d] +
                     (float)o->pull * 0.01f * l->topics[(size_t)topic * o->dim + d] +
                     0.6f * random_normal();
        oct_metric_preprocess(kernels, OCT_METRIC_COSINE, out, o->dim);
    }
}

/* ---- measuring -------------------------------------------------------------------------- */

typedef struct bench {
    options o;
    oct_host host;
    oct_flat flat;
    float *queries; /* [queries][asked][dim] */
    oct_hit *truth; /* [queries][LIMIT] */
} bench;

static bench make_bench(const options *o)
{
    bench b = { .o = *o };
    language l = make_language(o);
    uint64_t *ends = malloc(o->count * sizeof *ends), rows = 0;
    if (!ends) die("no memory");
    for (uint32_t i = 0; i < o->count; i++)
        ends[i] = rows += MAX(o->rows / 2 + random_below(o->rows + 1), 1u);
    float *values = malloc(rows * o->dim * sizeof *values);
    b.queries = malloc((size_t)o->queries * o->asked * o->dim * sizeof *b.queries);
    b.truth = malloc((size_t)o->queries * LIMIT * sizeof *b.truth);
    if (!values || !b.queries || !b.truth) die("no memory");
    for (uint32_t i = 0; i < o->count; i++) {
        uint64_t first = i ? ends[i - 1] : 0;
        make_rows(o, &l, (uint32_t)(ends[i] - first), values + first * o->dim);
    }
    for (uint32_t i = 0; i < o->queries; i++)
        make_rows(o, &l, o->asked, b.queries + (size_t)i * o->asked * o->dim);
    free(l.words);
    free(l.topics);
    free(l.topic_words);
    b.flat = (oct_flat){ .kernels = oct_kernels_select(NULL),
                         .rows = values,
                         .ends = ends,
                         .count = o->count,
                         .dim = o->dim,
                         .metric = (oct_metric)o->metric };
    return b;
}

static const float *query_at(const bench *b, uint32_t i)
{
    return b->queries + (size_t)i * b->o.asked * b->o.dim;
}

static double scan_rows(const bench *b)
{
    oct_error error = { 0 };
    double begin = cpu_seconds();
    for (uint32_t i = 0; i < b->o.queries; i++) {
        oct_topk best;
        oct_topk_init(&best, b->truth + i * LIMIT, LIMIT);
        const oct_multi_query query = { .values = query_at(b, i), .rows = b->o.asked };
        const oct_flat_limits limits = { .allowed = NULL };
        if (oct_multi_scan(&b->flat, &query, &limits, &best, &error)) die(error.message);
        (void)oct_topk_finish(&best); /* LIMIT of them */
    }
    return b->o.queries / (cpu_seconds() - begin);
}

static oct_hnsw *build(const bench *b)
{
    oct_error error = { 0 };
    oct_hnsw_builder *builder;
    oct_hnsw *graph;
    oct_hnsw_report report;
    const oct_hnsw_params params = {
        .m = b->o.m, .ef_construct = b->o.efc, .seed = 42, .codes = b->o.codes != 0
    };
    double begin = cpu_seconds(), longest = 0;
    uint32_t steps = 0;
    if (oct_hnsw_builder_create(&b->host, &b->flat, &params, NULL, &builder, &error))
        die(error.message);
    for (bool done = false; !done; steps++) {
        double step = cpu_seconds();
        if (oct_hnsw_build_step(builder, 1000000, &done, &error)) die(error.message);
        longest = MAX(longest, cpu_seconds() - step);
    }
    uint64_t distances = oct_hnsw_builder_distances(builder);
    oct_hnsw_builder_finish(builder, &graph);
    oct_hnsw_builder_destroy(builder);
    double cpu = cpu_seconds() - begin;
    if (oct_hnsw_check(b->host.alloc, graph, &report, &error)) die(error.message);
    printf("{\"bench\":\"multi_build\",\"count\":%" PRIu32 ",\"dim\":%" PRIu32 ",\"rows\":%" PRIu32
           ",\"asked\":%" PRIu32 ",\"codes\":%" PRIu32 ",\"isa\":\"%s\",\"cpu_s\":%.2f"
           ",\"distances_a_point\":%.0f,\"longest_step_ms\":%.1f,\"mean_links\":%.1f"
           ",\"unreachable\":%" PRIu32 ",\"bytes\":%" PRIu64 "}\n",
           b->o.count, b->o.dim, b->o.rows, b->o.asked, b->o.codes, b->flat.kernels->name, cpu,
           (double)distances / b->o.count, longest * 1e3, (double)report.links / report.points,
           report.unreachable, oct_hnsw_bytes(graph));
    return graph;
}

static double search(const bench *b, const oct_hnsw *graph, oct_hnsw_query query, double *recall,
                     double *walked)
{
    oct_error error = { 0 };
    oct_hnsw_scratch *scratch;
    uint32_t found = 0;
    uint64_t distances = 0;
    if (oct_hnsw_scratch_create(b->host.alloc, &scratch, &error)) die(error.message);
    double begin = cpu_seconds();
    for (uint32_t i = 0; i < b->o.queries; i++) {
        oct_hit hits[LIMIT];
        oct_topk best;
        query.vector = query_at(b, i);
        query.rows = b->o.asked;
        oct_topk_init(&best, hits, LIMIT);
        if (oct_hnsw_search(graph, &query, scratch, &best, &error)) die(error.message);
        for (uint32_t h = 0; h < best.count; h++)
            for (uint32_t t = 0; t < LIMIT; t++)
                found += hits[h].offset == b->truth[i * LIMIT + t].offset;
        distances += oct_hnsw_scratch_cost(scratch).walked;
    }
    double rate = b->o.queries / (cpu_seconds() - begin);
    oct_hnsw_scratch_destroy(scratch);
    *recall = (double)found / (double)(b->o.queries * LIMIT);
    *walked = (double)distances / b->o.queries;
    return rate;
}

static options parse(int argc, char **argv)
{
    if (argc < 4) die("COUNT DIM ROWS [name=value ...]");
    options o = { .count = (uint32_t)strtoul(argv[1], NULL, 10),
                  .dim = (uint32_t)strtoul(argv[2], NULL, 10),
                  .rows = (uint32_t)strtoul(argv[3], NULL, 10),
                  .m = 16,
                  .efc = 100,
                  .codes = 1,
                  .queries = 200,
                  .codes_scan = 1,
                  .pull = 50,
                  .strays = 25 };
    o.asked = o.rows;
    const struct {
        const char *name;
        uint32_t *value;
    } numbers[] = {
        { "asked=", &o.asked },           { "m=", &o.m },           { "efc=", &o.efc },
        { "codes=", &o.codes },           { "metric=", &o.metric }, { "queries=", &o.queries },
        { "codes_scan=", &o.codes_scan }, { "pull=", &o.pull },     { "strays=", &o.strays }
    };
    for (int i = 4; i < argc; i++) {
        bool known = false;
        for (size_t j = 0; j < ARRAY_COUNT(numbers); j++) {
            size_t length = strlen(numbers[j].name);
            if (strncmp(argv[i], numbers[j].name, length) != 0) continue;
            *numbers[j].value = (uint32_t)strtoul(argv[i] + length, NULL, 10);
            known = true;
        }
        if (!known) die(argv[i]);
    }
    return o;
}

int main(int argc, char **argv)
{
    static const uint32_t efs[] = { 16, 32, 64, 100, 128, 200, 400 };
    options o = parse(argc, argv);
    bench b = make_bench(&o);
    const oct_alloc alloc = { .resize = resize };
    double recall, walked, rate;
    b.host = (oct_host){ .alloc = &alloc, .monotonic_ns = monotonic_ns };
    printf("{\"bench\":\"multi_scan\",\"by\":\"rows\",\"per_s\":%.1f}\n", scan_rows(&b));
    fflush(stdout);
    oct_hnsw *graph = build(&b);
    if (o.codes && o.codes_scan) {
        const oct_hnsw_query scan = { .way = OCT_HNSW_SCAN, .allowed_count = o.count };
        rate = search(&b, graph, scan, &recall, &walked);
        printf("{\"bench\":\"multi_scan\",\"by\":\"codes\",\"per_s\":%.1f,\"recall\":%.3f}\n", rate,
               recall);
    }
    for (size_t i = 0; i < ARRAY_COUNT(efs); i++) {
        rate = search(&b, graph, (oct_hnsw_query){ .ef = efs[i] }, &recall, &walked);
        printf("{\"bench\":\"multi_walk\",\"ef\":%" PRIu32 ",\"per_s\":%.1f,\"recall\":%.3f"
               ",\"walked\":%.0f}\n",
               efs[i], rate, recall, walked);
        fflush(stdout);
    }
    oct_hnsw_destroy(graph);
    free(b.queries);
    free(b.truth);
    return 0;
}
