/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_build.c - building a graph: the phases, the threads, the budget.
 *
 *     encode    fit the code space, code every row
 *     adopt     rows of an old graph, if there is one                 hnsw_repair.c
 *     search    a batch of points finds its neighbours                hnsw_insert.c
 *     apply     ... and is linked; back to search until none is left  hnsw_insert.c
 *     connect   unreachable points get a link                         hnsw_connect.c
 *
 * A phase is a number of items, done in rounds; a round runs on all threads and is small, a
 * millisecond or two, when a budget is to be kept. Between rounds everything that is needed to go
 * on stands in the builder, so a step may stop there. What one item writes no other item of the
 * phase reads or writes, so neither the number of threads nor the cuts change the graph.
 *
 * Every byte a build needs is taken when the builder is created: a long build can't fail in its
 * last second for lack of memory. */
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/hash.h"
#include "index/hnsw_build.h"

enum {
    BATCHES_MIN = 50, /* a batch is at most one 50th of all points */
    CONNECT_ROUND_POINTS = 4096
};

/* ---- parameters ------------------------------------------------------------------------- */

uint32_t oct_hnsw_level(uint64_t seed, uint32_t m, uint32_t offset)
{
    /* A point has level l with probability m^-l: thresholds on a hash, divided by m each. */
    uint64_t hash = oct_hash_u64(seed, offset);
    uint64_t threshold = UINT64_MAX / MAX(m, 2u);
    uint32_t level = 0;
    while (level < OCT_HNSW_LEVELS_MAX && hash < threshold) {
        level++;
        threshold /= MAX(m, 2u);
    }
    return level;
}

oct_status oct_hnsw_header_init(const oct_flat *flat, const oct_hnsw_params *params,
                                hnsw_header *out, oct_error *error)
{
    oct_status status = OCT_OK;
    if (params->m < OCT_HNSW_M_MIN || params->m > OCT_HNSW_M_MAX)
        TRY(oct_fail(error, OCT_VALIDATION, "hnsw: m is %" PRIu32 ", expected %d to %d", params->m,
                     OCT_HNSW_M_MIN, OCT_HNSW_M_MAX));
    if (params->ef_construct < 1 || params->ef_construct > OCT_HNSW_EF_MAX)
        TRY(oct_fail(error, OCT_VALIDATION, "hnsw: ef_construct is %" PRIu32 ", expected 1 to %d",
                     params->ef_construct, OCT_HNSW_EF_MAX));
    if (flat->count > OCT_HNSW_POINTS_MAX)
        TRY(oct_fail(error, OCT_VALIDATION, "hnsw: %" PRIu32 " points, expected at most %d",
                     flat->count, OCT_HNSW_POINTS_MAX));
    bool codes = params->codes && oct_codes_supports(flat->metric);
    *out = (hnsw_header){ .magic = HNSW_MAGIC,
                          .version = HNSW_VERSION,
                          .count = flat->count,
                          .dim = flat->dim,
                          .metric = (uint32_t)flat->metric,
                          .flags = codes ? HNSW_FLAG_CODES : 0,
                          .m = params->m,
                          .ef_construct = params->ef_construct,
                          .seed = params->seed,
                          .mark = params->mark,
                          .row_bytes = codes ? (uint32_t)oct_codes_row_bytes(flat->dim) : 0 };
done:
    return status;
}

/* ---- create ----------------------------------------------------------------------------- */

/* An array of the builder that is freed with it. count 0 leaves NULL. */
static oct_status take(oct_hnsw_builder *builder, void *array_pointer, size_t count, size_t bytes,
                       oct_error *error)
{
    if (count == 0) return OCT_OK;
    return oct_array_resize(builder->alloc, array_pointer, 0, count, bytes, error);
}

oct_status oct_hnsw_builder_base(const oct_host *host, const oct_flat *flat,
                                 const hnsw_header *header, oct_hnsw_builder **out,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    oct_hnsw_builder *builder = oct_new_zeroed(host->alloc, sizeof *builder);
    if (!builder) return oct_fail_nomem(error, "a graph builder");
    builder->host = host;
    builder->alloc = host->alloc;
    builder->count = header->count;
    builder->m = header->m;
    builder->graph = oct_new_zeroed(host->alloc, sizeof *builder->graph);
    if (!builder->graph) TRY(oct_fail_nomem(error, "a graph builder"));
    builder->graph->alloc = host->alloc;
    builder->graph->flat = *flat;
    builder->graph->flat.quant = NULL; /* a build measures more exactly than they can */
    builder->graph->header = *header;
    TRY(take(builder, &builder->members, oct_bits_words(flat->count), sizeof(uint64_t), error));
    if (flat->count > 0)
        memset(builder->members, 0, oct_bits_words(flat->count) * sizeof(uint64_t));
    *out = builder;
    builder = NULL;
done:
    oct_hnsw_builder_destroy(builder);
    return status;
}

oct_status oct_hnsw_builder_block(oct_hnsw_builder *builder, oct_error *error)
{
    oct_hnsw *graph = builder->graph;
    oct_status status = OCT_OK;
    TRY(oct_hnsw_layout(&graph->header, &graph->layout, error));
    TRY(oct_hnsw_block_create(builder->alloc, graph->layout.end, &graph->owned, &graph->owned_bytes,
                              &builder->block, error));
    graph->block = builder->block;
    oct_hnsw_attach(graph);
    size_t upper_bytes = (size_t)graph->header.upper_rows * graph->header.m * sizeof(uint32_t);
    size_t bytes = (size_t)graph->header.count * graph->m0 * sizeof(uint32_t);
    memset(builder->block + graph->layout.upper_links, 0xff, upper_bytes);
    memset(builder->block + graph->layout.links, 0xff, bytes);
done:
    return status;
}

/* The level the point will have: its old one, or a new one. */
static uint32_t level_to_be(const oct_hnsw_builder *builder, const oct_hnsw_reuse *reuse,
                            uint32_t offset)
{
    const hnsw_header *header = &builder->graph->header;
    if (reuse && builder->old_offsets[offset] != HNSW_NONE) {
        uint32_t node = oct_hnsw_upper_find(reuse->graph, builder->old_offsets[offset]);
        return node == HNSW_NONE ? 0 : oct_hnsw_upper_level(reuse->graph, node);
    }
    return oct_hnsw_level(header->seed, header->m, offset);
}

/* Count (fill false) or list (fill true) the points above level 0. */
static void list_uppers(oct_hnsw_builder *builder, const oct_hnsw_reuse *reuse, bool fill)
{
    oct_hnsw *graph = builder->graph;
    uint32_t *points = NULL;
    uint32_t *starts = NULL;
    if (fill) {
        points = (uint32_t *)(void *)(builder->block + graph->layout.upper_points);
        starts = (uint32_t *)(void *)(builder->block + graph->layout.upper_starts);
    }
    uint32_t uppers = 0;
    uint32_t rows = 0;
    for (uint32_t offset = 0; offset < graph->header.count; offset++) {
        uint32_t level = 0;
        if (oct_flat_has(&graph->flat, offset)) level = level_to_be(builder, reuse, offset);
        if (level == 0) continue;
        if (fill) {
            points[uppers] = offset;
            starts[uppers] = rows;
        }
        uppers++;
        rows += level;
    }
    if (fill) starts[uppers] = rows;
    graph->header.upper_count = uppers;
    graph->header.upper_rows = rows;
}

/* Own rows of the largest batch: walks the schedule of all batches to come. */
static uint32_t plan_batches(const oct_hnsw_builder *builder)
{
    const oct_hnsw *graph = builder->graph;
    uint32_t most = 0;
    uint32_t upper = 0;
    uint32_t inserted = graph->header.inserted;
    for (uint32_t first = 0; first < builder->pending_count;) {
        uint32_t left = builder->pending_count - first;
        uint32_t count = MIN(MIN(MAX(inserted, 1u), builder->batch_max), left);
        uint32_t rows = count;
        for (uint32_t i = first; i < first + count; i++) {
            uint32_t offset = builder->pending[i];
            while (upper < graph->header.upper_count && graph->upper_points[upper] < offset)
                upper++;
            if (upper < graph->header.upper_count && graph->upper_points[upper] == offset)
                rows += oct_hnsw_upper_level(graph, upper);
        }
        most = MAX(most, rows);
        first += count;
        inserted += count;
    }
    return most;
}

static oct_status take_worker(oct_hnsw_builder *builder, hnsw_worker *worker, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    oct_status status = OCT_OK;
    uint32_t gather = graph->m0;
    if (builder->old) gather += HNSW_REPAIR_CANDIDATES_MAX;
    TRY(oct_hnsw_scratch_create(builder->alloc, &worker->scratch, error));
    TRY(oct_hnsw_scratch_prepare(worker->scratch, graph, graph->header.ef_construct, gather,
                                 error));
    TRY(take(builder, &worker->keys, builder->keys_capacity, sizeof *worker->keys, error));
    TRY(take(builder, &worker->chosen, graph->m0, sizeof *worker->chosen, error));
done:
    return status;
}

oct_status oct_hnsw_builder_plan(oct_hnsw_builder *builder, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    const oct_host *host = builder->host;
    oct_status status = OCT_OK;
    uint32_t count = graph->header.count;
    uint32_t m = graph->header.m;
    TRY(take(builder, &builder->pending, count, sizeof(uint32_t), error));
    for (uint32_t offset = 0; offset < count; offset++) {
        if (!oct_flat_has(&graph->flat, offset) || oct_bits_get(builder->members, offset)) continue;
        builder->pending[builder->pending_count++] = offset;
    }
    builder->total = graph->header.inserted + builder->pending_count;
    builder->batch_max = MAX(builder->total / BATCHES_MIN, 1u);
    builder->own_rows_max = plan_batches(builder);
    size_t own_links = 0;
    if (!oct_size_multiply(builder->own_rows_max, m, &own_links))
        TRY(oct_fail_nomem(error, "a graph builder"));
    TRY(take(builder, &builder->batch_rows, builder->batch_max + 1, sizeof(uint32_t), error));
    TRY(take(builder, &builder->own_nodes, own_links, sizeof(uint32_t), error));
    TRY(take(builder, &builder->own_scores, own_links, sizeof(int32_t), error));
    TRY(take(builder, &builder->edges, own_links, sizeof(hnsw_edge), error));
    TRY(take(builder, &builder->edges_other, own_links, sizeof(hnsw_edge), error));
    TRY(take(builder, &builder->groups, own_links + 1, sizeof(uint32_t), error));
    TRY(take(builder, &builder->reached, oct_bits_words(count), sizeof(uint64_t), error));
    TRY(take(builder, &builder->queue, count, sizeof(uint32_t), error));

    /* A pruned row has its links and at most one new one per point of the batch. */
    builder->keys_capacity = MAX(graph->header.ef_construct, graph->m0 + builder->batch_max);
    if (builder->old)
        builder->keys_capacity =
            MAX(builder->keys_capacity, graph->m0 + HNSW_REPAIR_CANDIDATES_MAX);
    builder->worker_count = 1;
    if (host->parallel && host->parallel_width > 1)
        builder->worker_count = MIN(host->parallel_width, (uint32_t)HNSW_WORKERS_MAX);
    for (uint32_t i = 0; i < builder->worker_count; i++)
        TRY(take_worker(builder, &builder->workers[i], error));
done:
    return status;
}

static oct_status check_reuse(const oct_flat *flat, const oct_hnsw_params *params,
                              const oct_hnsw_reuse *reuse, oct_error *error)
{
    const hnsw_header *old = &reuse->graph->header;
    if (old->m == params->m && old->dim == flat->dim && old->metric == (uint32_t)flat->metric)
        return OCT_OK;
    return oct_fail(error, OCT_VALIDATION,
                    "hnsw: the old graph has m %" PRIu32 ", expected %" PRIu32
                    ", and the same dimensions and metric",
                    old->m, params->m);
}

oct_status oct_hnsw_builder_create(const oct_host *host, const oct_flat *flat,
                                   const oct_hnsw_params *params, const oct_hnsw_reuse *reuse,
                                   oct_hnsw_builder **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_hnsw_builder *builder = NULL;
    hnsw_header header;
    *out = NULL;
    TRY(oct_hnsw_header_init(flat, params, &header, error));
    if (reuse) TRY(check_reuse(flat, params, reuse, error));
    TRY(oct_hnsw_builder_base(host, flat, &header, &builder, error));
    if (reuse) TRY(oct_hnsw_adopt_map(builder, reuse, error));
    list_uppers(builder, reuse, false);
    TRY(oct_hnsw_builder_block(builder, error));
    list_uppers(builder, reuse, true);
    if (reuse) TRY(oct_hnsw_adopt_plan(builder, reuse, error));
    TRY(oct_hnsw_builder_plan(builder, error));
    *out = builder;
    builder = NULL;
done:
    oct_hnsw_builder_destroy(builder);
    return status;
}

static void drop(oct_hnsw_builder *builder, void *array, size_t count, size_t bytes)
{
    oct_free(builder->alloc, array, count * bytes);
}

void oct_hnsw_builder_destroy(oct_hnsw_builder *builder)
{
    if (!builder) return;
    for (uint32_t i = 0; i < builder->worker_count; i++) {
        hnsw_worker *worker = &builder->workers[i];
        oct_hnsw_scratch_destroy(worker->scratch);
        drop(builder, worker->keys, builder->keys_capacity, sizeof *worker->keys);
        drop(builder, worker->chosen, (size_t)2 * builder->m, sizeof *worker->chosen);
    }
    size_t count = builder->count;
    size_t words = oct_bits_words(count);
    size_t own_links = (size_t)builder->own_rows_max * builder->m;
    drop(builder, builder->members, words, sizeof(uint64_t));
    drop(builder, builder->reached, words, sizeof(uint64_t));
    drop(builder, builder->pending, count, sizeof(uint32_t));
    drop(builder, builder->queue, count, sizeof(uint32_t));
    drop(builder, builder->batch_rows, (size_t)builder->batch_max + 1, sizeof(uint32_t));
    drop(builder, builder->own_nodes, own_links, sizeof(uint32_t));
    drop(builder, builder->own_scores, own_links, sizeof(int32_t));
    drop(builder, builder->edges, own_links, sizeof(hnsw_edge));
    drop(builder, builder->edges_other, own_links, sizeof(hnsw_edge));
    drop(builder, builder->groups, own_links + 1, sizeof(uint32_t));
    drop(builder, builder->old_offsets, count, sizeof(uint32_t));
    if (builder->old)
        drop(builder, builder->new_uppers, builder->old->header.upper_count, sizeof(uint32_t));
    oct_hnsw_destroy(builder->graph);
    oct_free(builder->alloc, builder, sizeof *builder);
}

/* ---- encode ----------------------------------------------------------------------------- */

typedef struct fit_source {
    const oct_flat *flat;
    oct_status status;
    oct_error *error;
} fit_source;

/* Row `index`, or the next one there is, or else the last one before. */
static const float *fit_vector(void *self, uint32_t index)
{
    fit_source *source = self;
    const oct_flat *flat = source->flat;
    uint32_t at = index;
    while (at < flat->count && !oct_flat_has(flat, at))
        at++;
    if (at == flat->count) {
        at = index;
        while (!oct_flat_has(flat, at))
            at--;
    }
    const float *row = oct_flat_row(flat, at);
    if (flat->touch && source->status == OCT_OK)
        source->status = flat->touch(flat->touch_arg, row, flat->dim * sizeof *row, source->error);
    return row;
}

/* A restored build has its code space already. */
static oct_status fit_codes(oct_hnsw_builder *builder, oct_error *error)
{
    oct_hnsw *graph = builder->graph;
    if (graph->space.row_bytes > 0) return OCT_OK;
    fit_source source = { .flat = &graph->flat, .error = error };
    const oct_codes_source vectors = { .vector = fit_vector,
                                       .self = &source,
                                       .count = builder->total > 0 ? graph->header.count : 0 };
    oct_codes_fit(&graph->space, graph->flat.metric, graph->flat.dim, &vectors);
    graph->header.scale = graph->space.scale;
    return source.status;
}

static void encode(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t offset)
{
    const oct_hnsw *graph = builder->graph;
    UNUSED(worker);
    if (!oct_flat_has(&graph->flat, offset)) return;
    uint8_t *row = builder->block + graph->layout.codes + (size_t)offset * graph->header.row_bytes;
    int32_t bias = oct_codes_encode(&graph->space, oct_flat_row(&graph->flat, offset), row);
    memcpy(builder->block + graph->layout.bias + offset * sizeof bias, &bias, sizeof bias);
}

/* ---- rounds ----------------------------------------------------------------------------- */

typedef struct phase_items {
    void (*run)(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t item);
    uint32_t count;
    uint32_t block; /* items taken at a time by a thread */
    uint32_t round; /* items per thread in a round under a budget: about a millisecond */
} phase_items;

static phase_items items_of(const oct_hnsw_builder *builder)
{
    uint32_t count = builder->graph->header.count;
    switch (builder->phase) {
    case HNSW_ENCODE:
        return (phase_items){ .run = encode, .count = count, .block = 64, .round = 1024 };
    case HNSW_ADOPT:
        return (phase_items){ .run = oct_hnsw_adopt, .count = count, .block = 16, .round = 64 };
    case HNSW_SEARCH:
        return (phase_items){
            .run = oct_hnsw_batch_search, .count = builder->batch_count, .block = 1, .round = 8
        };
    case HNSW_APPLY:
        return (phase_items){
            .run = oct_hnsw_batch_apply, .count = builder->group_count, .block = 16, .round = 64
        };
    case HNSW_CONNECT:
    case HNSW_DONE:
        break;
    }
    return (phase_items){ 0 };
}

/* One thread's part of a round. */
static void run_worker(void *arg, uint32_t task)
{
    oct_hnsw_builder *builder = arg;
    hnsw_worker *worker = &builder->workers[task];
    phase_items items = items_of(builder);
    uint64_t end = builder->round_end;
    for (;;) {
        uint64_t stop = oct_atomic_add(&builder->item, builder->round_block);
        uint64_t first = stop - builder->round_block;
        if (first >= end) return;
        for (uint64_t i = first; i < MIN(stop, end); i++)
            items.run(builder, worker, (uint32_t)i);
    }
}

static void run_round(oct_hnsw_builder *builder, phase_items items, bool hurry)
{
    uint32_t left = items.count - builder->next;
    uint32_t most = items.round * builder->worker_count;
    uint32_t count = hurry ? MIN(left, most) : left;
    builder->round_end = builder->next + count;
    builder->round_block = items.block;
    oct_atomic_store(&builder->item, builder->next);
    if (builder->worker_count > 1)
        builder->host->parallel(builder->host->self, builder->worker_count, run_worker, builder);
    else
        run_worker(builder, 0);
    builder->next = builder->round_end;
}

static oct_status touch_round(const oct_hnsw_builder *builder, phase_items items, bool hurry,
                              oct_error *error)
{
    const oct_flat *flat = &builder->graph->flat;
    uint32_t left = items.count - builder->next;
    uint32_t count = hurry ? MIN(left, items.round * builder->worker_count) : left;
    if (!flat->touch || count == 0) return OCT_OK;
    return flat->touch(flat->touch_arg, oct_flat_row(flat, builder->next),
                       (size_t)count * flat->dim * sizeof(float), error);
}

/* ---- phases ----------------------------------------------------------------------------- */

/* The next batch, or, when there is none, the last phase. */
static void begin_batch(oct_hnsw_builder *builder)
{
    if (builder->pending_done == builder->pending_count) {
        oct_hnsw_connect_begin(builder);
        builder->phase = HNSW_CONNECT;
        return;
    }
    oct_hnsw_batch_begin(builder);
    builder->phase = HNSW_SEARCH;
}

/* All items of the phase are done: go on to the next. */
static void end_phase(oct_hnsw_builder *builder)
{
    builder->next = 0;
    switch (builder->phase) {
    case HNSW_ENCODE:
        builder->phase = HNSW_ADOPT;
        if (!builder->old) begin_batch(builder);
        break;
    case HNSW_ADOPT:
        oct_hnsw_adopt_finish(builder);
        begin_batch(builder);
        break;
    case HNSW_SEARCH:
        oct_hnsw_batch_collect(builder);
        builder->phase = HNSW_APPLY;
        break;
    case HNSW_APPLY:
        oct_hnsw_batch_end(builder);
        begin_batch(builder);
        break;
    case HNSW_CONNECT:
        builder->phase = HNSW_DONE;
        break;
    case HNSW_DONE:
        break;
    }
}

static oct_status run_phase(oct_hnsw_builder *builder, bool hurry, oct_error *error)
{
    oct_status status = OCT_OK;
    if (builder->phase == HNSW_CONNECT) {
        uint32_t points = hurry ? CONNECT_ROUND_POINTS : UINT32_MAX;
        if (oct_hnsw_connect(builder, points)) end_phase(builder);
        return OCT_OK;
    }
    phase_items items = items_of(builder);
    bool codes = oct_hnsw_has_codes(builder->graph);
    if (builder->phase == HNSW_ENCODE) {
        if (builder->next == 0 && codes) TRY(fit_codes(builder, error));
        TRY(touch_round(builder, items, hurry, error));
    }
    if (builder->phase == HNSW_ENCODE && !codes)
        builder->next = items.count;
    else
        run_round(builder, items, hurry);
    if (builder->next == items.count) end_phase(builder);
done:
    return status;
}

oct_status oct_hnsw_build_step(oct_hnsw_builder *builder, uint64_t budget_ns, bool *done,
                               oct_error *error)
{
    const oct_host *host = builder->host;
    oct_status status = OCT_OK;
    bool hurry = budget_ns != UINT64_MAX;
    uint64_t begin = hurry ? host->monotonic_ns(host->self) : 0;
    while (builder->phase != HNSW_DONE) {
        TRY(run_phase(builder, hurry, error));
        if (hurry && host->monotonic_ns(host->self) - begin >= budget_ns) break;
    }
done:
    *done = builder->phase == HNSW_DONE;
    return status;
}

void oct_hnsw_builder_progress(const oct_hnsw_builder *builder, uint32_t *inserted, uint32_t *total)
{
    *inserted = builder->graph->header.inserted;
    *total = builder->total;
}

uint64_t oct_hnsw_builder_distances(const oct_hnsw_builder *builder)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < builder->worker_count; i++)
        if (builder->workers[i].scratch) sum += builder->workers[i].scratch->cost.walked;
    return sum;
}

void oct_hnsw_builder_finish(oct_hnsw_builder *builder, oct_hnsw **out)
{
    oct_hnsw *graph = builder->graph;
    ASSERT(builder->phase == HNSW_DONE);
    ASSERT(graph != NULL);
    graph->header.crc = oct_hnsw_crc(&graph->header, graph->block, graph->layout.bias);
    memcpy(builder->block, &graph->header, sizeof graph->header);
    builder->graph = NULL;
    *out = graph;
}
