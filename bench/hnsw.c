/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw.c - how fast the graph is built and searched, and how much of the truth it finds.
 *
 *     hnsw VECTORS.f32 QUERIES.f32 TRUTH.i32 COUNT DIM [name=value ...]
 *
 * VECTORS and QUERIES are raw little-endian float rows, of unit length (Cosine); TRUTH has 100 ids
 * a query (-1 pads). Options: m=16 efc=100 width=1 codes=1 metric=0 budget_ms=0 repeats=3
 * oversampling=0, delete=N (afterwards repair the graph with every N-th point gone) and
 * filter=MODULUS:REST (allow those offsets only; the truth is then computed).
 *
 * Prints one JSON object per line: a build, then a line per ef. Times are CPU time of the process
 * for builds and of the thread for searches (under Node of the process), because other jobs run
 * beside; a search line is the best of `repeats`. `bytes` is the size of the graph, `peak_bytes`
 * the most memory building held, both without the vectors.
 *
 * When COUNT is less than the rows of TRUTH were made for, give "-" as TRUTH: it is computed. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "common.h"
#include "index/flat.h"
#include "index/hnsw.h"
#include "query/plan.h"
#include "relaxed.h"
#include "simd/kernels.h"

enum { TRUTH_IDS = 100, LIMIT = 10, THREADS_MAX = 16 };

typedef struct options {
    uint32_t m, efc, width, codes, metric, budget_ms, repeats, delete;
    float oversampling;
    uint32_t modulus, rest; /* filter: offset % modulus == rest */
} options;

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#if defined(__EMSCRIPTEN__)
/* Emscripten's CPU clocks stand still, but Node knows what the process used, V8's helpers too. */
#include <emscripten/em_js.h>
EM_JS(double, node_cpu_us, (void), {
    const used = process.cpuUsage();
    return used.user + used.system;
})
static double cpu_seconds(clockid_t clock)
{
    UNUSED(clock);
    return node_cpu_us() * 1e-6;
}
#else
static double cpu_seconds(clockid_t clock)
{
    return seconds(clock);
}
#endif

/* ---- host ------------------------------------------------------------------------------- */

/* Memory of the core: what it holds now and the most it ever held. */
typedef struct meter {
    atomic_size_t now, peak;
} meter;

static void *metered_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    meter *m = self;
    size_t now = atomic_fetch_add(&m->now, new_bytes - old_bytes) + new_bytes - old_bytes;
    size_t peak = atomic_load(&m->peak);
    while (now > peak && !atomic_compare_exchange_weak(&m->peak, &peak, now))
        continue;
    if (new_bytes == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_bytes);
}

static uint64_t monotonic_ns(void *self)
{
    UNUSED(self);
    return (uint64_t)(seconds(CLOCK_MONOTONIC) * 1e9);
}

/* A pool of width - 1 waiting threads; the caller is the last one. */
typedef struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t work, idle;
    void (*run)(void *arg, uint32_t task);
    void *arg;
    uint32_t next, tasks, running;
    bool end;
} pool;

static void pool_drain(pool *p)
{
    while (p->next < p->tasks) {
        uint32_t task = p->next++;
        p->running++;
        pthread_mutex_unlock(&p->mutex);
        p->run(p->arg, task);
        pthread_mutex_lock(&p->mutex);
        p->running--;
    }
    if (p->running == 0) pthread_cond_broadcast(&p->idle);
}

static void *pool_main(void *self)
{
    pool *p = self;
    pthread_mutex_lock(&p->mutex);
    while (!p->end) {
        pool_drain(p);
        if (!p->end && p->next >= p->tasks) pthread_cond_wait(&p->work, &p->mutex);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static void pool_parallel(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task),
                          void *arg)
{
    pool *p = self;
    pthread_mutex_lock(&p->mutex);
    p->run = run;
    p->arg = arg;
    p->next = 0;
    p->tasks = tasks;
    pthread_cond_broadcast(&p->work);
    pool_drain(p);
    while (p->running > 0)
        pthread_cond_wait(&p->idle, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- input ------------------------------------------------------------------------------ */

static options parse(int argc, char **argv)
{
    options o = { .m = 16, .efc = 100, .width = 1, .codes = 1, .repeats = 3 };
    struct {
        const char *name;
        uint32_t *value;
    } numbers[] = {
        { "m=", &o.m },           { "efc=", &o.efc },         { "width=", &o.width },
        { "codes=", &o.codes },   { "metric=", &o.metric },   { "budget_ms=", &o.budget_ms },
        { "delete=", &o.delete }, { "repeats=", &o.repeats },
    };
    for (int i = 6; i < argc; i++) {
        bool known = false;
        for (size_t j = 0; j < ARRAY_COUNT(numbers); j++) {
            size_t length = strlen(numbers[j].name);
            if (strncmp(argv[i], numbers[j].name, length) != 0) continue;
            *numbers[j].value = (uint32_t)strtoul(argv[i] + length, NULL, 10);
            known = true;
        }
        if (sscanf(argv[i], "oversampling=%f", &o.oversampling) == 1) known = true;
        if (sscanf(argv[i], "filter=%" SCNu32 ":%" SCNu32, &o.modulus, &o.rest) == 2) known = true;
        if (!known) die(argv[i]);
    }
    return o;
}

/* ---- measuring -------------------------------------------------------------------------- */

typedef struct bench {
    options o;
    oct_flat flat;
    const float *queries;
    uint32_t query_count;
    const int32_t *truth; /* [query_count][TRUTH_IDS] */
    uint64_t *allowed;
    uint32_t allowed_count;
} bench;

static oct_hnsw *build(const bench *b, const oct_host *host)
{
    oct_error error = { 0 };
    oct_hnsw_builder *builder;
    oct_hnsw *graph;
    const oct_hnsw_params params = {
        .m = b->o.m, .ef_construct = b->o.efc, .seed = 42, .codes = b->o.codes != 0
    };
    double wall = seconds(CLOCK_MONOTONIC);
    double cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (oct_hnsw_builder_create(host, &b->flat, &params, NULL, &builder, &error))
        die(error.message);
    uint64_t budget = b->o.budget_ms ? b->o.budget_ms * UINT64_C(1000000) : UINT64_MAX;
    double longest = 0;
    uint32_t steps = 0;
    for (bool done = false; !done; steps++) {
        double begin = seconds(CLOCK_MONOTONIC);
        if (oct_hnsw_build_step(builder, budget, &done, &error)) die(error.message);
        longest = MAX(longest, seconds(CLOCK_MONOTONIC) - begin);
    }
    oct_hnsw_builder_finish(builder, &graph);
    oct_hnsw_builder_destroy(builder);
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    oct_hnsw_report report;
    if (oct_hnsw_check(host->alloc, graph, &report, &error)) die(error.message);
    printf("{\"bench\":\"hnsw_build\",\"count\":%" PRIu32 ",\"dim\":%" PRIu32 ",\"m\":%" PRIu32
           ",\"ef_construct\":%" PRIu32 ",\"codes\":%" PRIu32 ",\"width\":%" PRIu32
           ",\"isa\":\"%s\",\"wall_s\":%.2f,\"cpu_s\":%.2f,\"steps\":%" PRIu32
           ",\"longest_step_ms\":%.1f,\"mean_links\":%.1f,\"unreachable\":%" PRIu32
           ",\"bytes\":%" PRIu64 ",\"peak_bytes\":%zu}\n",
           b->flat.count, b->flat.dim, b->o.m, b->o.efc, b->o.codes, b->o.width,
           b->flat.kernels->name, wall, cpu, steps, longest * 1e3,
           (double)report.links / (double)MAX(report.points, 1u), report.unreachable,
           oct_hnsw_bytes(graph), atomic_load(&((meter *)host->alloc->self)->peak));
    fflush(stdout);
    return graph;
}

/* Rebuild from the graph with every `delete`-th point gone: what a vacuum costs. */
static void repair(const bench *b, const oct_hnsw *graph, const oct_host *host)
{
    oct_error error = { 0 };
    uint32_t kept = 0;
    uint32_t *mapping = malloc(b->flat.count * sizeof *mapping);
    float *rows = malloc((size_t)b->flat.count * b->flat.dim * sizeof *rows);
    if (!mapping || !rows) die("out of memory");
    for (uint32_t i = 0; i < b->flat.count; i++) {
        mapping[i] = i % b->o.delete == 0 ? OCT_HNSW_GONE : kept;
        if (mapping[i] == OCT_HNSW_GONE) continue;
        memcpy(rows + (size_t)kept++ * b->flat.dim, oct_flat_row(&b->flat, i),
               b->flat.dim * sizeof *rows);
    }
    oct_flat flat = b->flat;
    flat.rows = rows;
    flat.count = kept;
    const oct_hnsw_reuse reuse = { .graph = graph, .new_offsets = mapping };
    const oct_hnsw_params params = oct_hnsw_graph_params(graph);
    oct_hnsw_builder *builder;
    oct_hnsw *repaired;
    oct_hnsw_report report;
    bool done;
    double cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (oct_hnsw_builder_create(host, &flat, &params, &reuse, &builder, &error)) die(error.message);
    if (oct_hnsw_build_step(builder, UINT64_MAX, &done, &error)) die(error.message);
    oct_hnsw_builder_finish(builder, &repaired);
    oct_hnsw_builder_destroy(builder);
    cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (oct_hnsw_check(host->alloc, repaired, &report, &error)) die(error.message);
    printf("{\"bench\":\"hnsw_repair\",\"count\":%" PRIu32 ",\"deleted\":%" PRIu32
           ",\"cpu_s\":%.2f,\"mean_links\":%.1f,\"unreachable\":%" PRIu32 "}\n",
           kept, b->flat.count - kept, cpu, (double)report.links / (double)MAX(kept, 1u),
           report.unreachable);
    fflush(stdout);
    oct_hnsw_destroy(repaired);
    free(rows);
    free(mapping);
}

static uint32_t hits_of(const bench *b, uint32_t query, const oct_hit *hits, uint32_t count,
                        uint32_t *wanted)
{
    const int32_t *truth = b->truth + (size_t)query * TRUTH_IDS;
    uint32_t found = 0;
    for (uint32_t t = 0; t < LIMIT && truth[t] >= 0; t++) {
        ++*wanted;
        for (uint32_t i = 0; i < count; i++)
            found += hits[i].offset == (uint32_t)truth[t];
    }
    return found;
}

/* The way the planner takes. */
static oct_hnsw_way way_of(const bench *b, const oct_hnsw *graph, uint32_t ef)
{
    const oct_plan_facts facts = { .has_graph = true,
                                   .has_codes = oct_hnsw_graph_params(graph).codes,
                                   .filtered = true,
                                   .selected = b->allowed_count,
                                   .points = oct_hnsw_point_count(graph),
                                   .wanted = LIMIT };
    switch (oct_plan_cheapest(&facts, ef)) {
    case OCT_PLAN_WALK_ALL:
        return OCT_HNSW_WALK_ALL;
    case OCT_PLAN_WALK_ALLOWED:
        return OCT_HNSW_WALK_ALLOWED;
    case OCT_PLAN_SKIP:
    case OCT_PLAN_SCAN:
    case OCT_PLAN_SCAN_CODES:
        break;
    }
    return OCT_HNSW_SCAN;
}

/* All queries once; the CPU seconds they took. */
static double run_queries(const bench *b, const oct_hnsw *graph, oct_hnsw_scratch *scratch,
                          uint32_t ef, double *recall, oct_hnsw_cost *cost)
{
    oct_error error = { 0 };
    uint32_t found = 0;
    uint32_t wanted = 0;
    *cost = (oct_hnsw_cost){ 0 };
    double begin = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < b->query_count; i++) {
        oct_hit hits[LIMIT];
        oct_topk best;
        oct_topk_init(&best, hits, LIMIT);
        const oct_hnsw_query query = { .way = b->allowed ? way_of(b, graph, ef) : OCT_HNSW_WALK_ALL,
                                       .vector = b->queries + (size_t)i * b->flat.dim,
                                       .ef = ef,
                                       .oversampling = b->o.oversampling,
                                       .allowed = b->allowed,
                                       .allowed_count = b->allowed_count };
        if (oct_hnsw_search(graph, &query, scratch, &best, &error)) die(error.message);
        uint32_t count = oct_topk_finish(&best);
        found += hits_of(b, i, hits, count, &wanted);
        oct_hnsw_cost one = oct_hnsw_scratch_cost(scratch);
        cost->walked += one.walked;
        cost->rescored += one.rescored;
        cost->expanded += one.expanded;
    }
    *recall = (double)found / (double)MAX(wanted, 1u);
    return cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static void search_all(const bench *b, const oct_hnsw *graph, const oct_alloc *alloc)
{
    static const uint32_t efs[] = { 10, 16, 24, 32, 40, 48, 64, 96, 128, 192, 256, 400 };
    oct_error error = { 0 };
    oct_hnsw_scratch *scratch;
    if (oct_hnsw_scratch_create(alloc, &scratch, &error)) die(error.message);
    for (size_t e = 0; e < ARRAY_COUNT(efs); e++) {
        double best = 1e30;
        double recall = 0;
        oct_hnsw_cost cost = { 0 };
        for (uint32_t r = 0; r < b->o.repeats; r++) {
            double took = run_queries(b, graph, scratch, efs[e], &recall, &cost);
            best = MIN(best, took);
        }
        double queries = b->query_count;
        printf("{\"bench\":\"hnsw_search\",\"ef\":%" PRIu32 ",\"filter_share\":%.4f,"
               "\"recall_at_10\":%.4f,\"qps_cpu\":%.0f,\"walked\":%.0f,\"expanded\":%.0f,"
               "\"rescored\":%.0f,\"ns_per_distance\":%.1f}\n",
               efs[e], b->allowed ? b->allowed_count / (double)b->flat.count : 1.0, recall,
               queries / best, (double)cost.walked / queries, (double)cost.expanded / queries,
               (double)cost.rescored / queries, best * 1e9 / (double)MAX(cost.walked, UINT64_C(1)));
        fflush(stdout);
    }
    oct_hnsw_scratch_destroy(scratch);
}

/* The truth by exact search, which is timed on the way. */
static int32_t *exact(const bench *b)
{
    oct_error error = { 0 };
    size_t ids = (size_t)b->query_count * TRUTH_IDS;
    int32_t *truth = malloc(ids * sizeof *truth);
    if (!truth) die("out of memory");
    const oct_flat_limits limits = { .allowed = b->allowed };
    double begin = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < b->query_count; i++) {
        oct_hit hits[TRUTH_IDS];
        oct_topk best;
        oct_topk_init(&best, hits, TRUTH_IDS);
        if (oct_flat_scan(&b->flat, b->queries + (size_t)i * b->flat.dim, &limits, &best, &error))
            die(error.message);
        uint32_t count = oct_topk_finish(&best);
        for (uint32_t t = 0; t < TRUTH_IDS; t++)
            truth[(size_t)i * TRUTH_IDS + t] = t < count ? (int32_t)hits[t].offset : -1;
    }
    double took = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    printf("{\"bench\":\"flat_scan\",\"count\":%" PRIu32 ",\"qps_cpu\":%.1f,\"ns_per_row\":%.1f}\n",
           b->flat.count, b->query_count / took,
           took * 1e9 / ((double)b->query_count * b->flat.count));
    return truth;
}

int main(int argc, char **argv)
{
    if (argc < 6) die("usage: VECTORS QUERIES TRUTH COUNT DIM [name=value ...]");
    bench b = { .o = parse(argc, argv) };
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10);
    uint32_t dim = (uint32_t)strtoul(argv[5], NULL, 10);
    size_t bytes;
    float *rows = read_file(argv[1], (size_t)count * dim * sizeof(float), &bytes);
    float *queries = read_file(argv[2], dim * sizeof(float), &bytes);
    b.query_count = (uint32_t)(bytes / (dim * sizeof(float)));
    b.queries = queries;
    b.flat = (oct_flat){ .kernels = bench_kernels(),
                         .rows = rows,
                         .count = count,
                         .dim = dim,
                         .metric = (oct_metric)b.o.metric };
    if (!b.flat.kernels) die("OCT_ISA names no table");

    static pool threads = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                            .work = PTHREAD_COND_INITIALIZER,
                            .idle = PTHREAD_COND_INITIALIZER };
    pthread_t ids[THREADS_MAX];
    for (uint32_t i = 1; i < MIN(b.o.width, (uint32_t)THREADS_MAX); i++) {
        if (pthread_create(&ids[i], NULL, pool_main, &threads)) die("cannot start a thread");
    }
    static meter memory;
    const oct_alloc alloc = { .self = &memory, .resize = metered_resize };
    const oct_host host = { .alloc = &alloc,
                            .self = &threads,
                            .monotonic_ns = monotonic_ns,
                            .parallel = pool_parallel,
                            .parallel_width = MIN(b.o.width, (uint32_t)THREADS_MAX) };

    if (b.o.modulus > 0) {
        b.allowed = calloc(oct_bits_words(count), sizeof *b.allowed);
        if (!b.allowed) die("out of memory");
        for (uint32_t i = b.o.rest; i < count; i += b.o.modulus)
            oct_bits_set(b.allowed, i);
        b.allowed_count = (uint32_t)oct_bits_count(b.allowed, oct_bits_words(count));
    }
    bool given = strcmp(argv[3], "-") != 0 && b.o.modulus == 0;
    size_t truth_bytes = (size_t)b.query_count * TRUTH_IDS * sizeof(int32_t);
    b.truth = given ? read_file(argv[3], truth_bytes, &bytes) : exact(&b);
    oct_hnsw *graph = build(&b, &host);
    search_all(&b, graph, &alloc);
    if (b.o.delete > 0) repair(&b, graph, &host);
    oct_hnsw_destroy(graph);
    return 0;
}
