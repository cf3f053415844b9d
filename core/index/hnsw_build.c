/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_build.c - building a graph: the phases, the threads, the budget.
 *
 *     prepare   take memory; who is to be inserted, on which levels   hnsw_prepare.c
 *     encode    fit the code space, code every row
 *     adopt     rows of an old graph, if there is one                 hnsw_repair.c
 *     search    a batch of points finds its neighbours                hnsw_insert.c
 *     apply     ... and is linked; back to search until none is left  hnsw_insert.c
 *     connect   unreachable points get a link                         hnsw_connect.c
 *     pack      codes of 4 bits, where these do for walks             hnsw_pack.c
 *     sum       the checksum of the links
 *
 * Each of these is some phases, and a phase is a number of items, done in rounds. Where the work
 * is, a round runs on all threads; what lies between is loops on one. A round is small, less than a
 * millisecond, when a budget is to be kept. Between rounds everything that is needed to go on
 * stands in the builder, so a step may stop there. What one item writes no other item of a phase on
 * threads reads or writes, so neither the number of threads nor the cuts change the graph.
 *
 * Every byte a build needs is taken before the first point is inserted: a long build can't fail in
 * its last second for lack of memory. */
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/hash.h"
#include "index/hnsw_build.h"

enum {
    CONNECT_ROUND_POINTS = 1024,
    SUM_BYTES = 64 << 10,    /* summed between two looks at the clock: four times so much */
    ROUND_NUMBERS = 1 << 22, /* multiplied in a round: about half a millisecond */
    WALK_FACTOR = 16         /* a walk scores so many points for each of its width */
};

/* ---- parameters ------------------------------------------------------------------------- */

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
    if (oct_flat_row_count(flat) > UINT32_MAX)
        TRY(oct_fail(error, OCT_VALIDATION, "hnsw: %" PRIu64 " rows, expected at most 2^32 - 1",
                     oct_flat_row_count(flat)));
    bool codes = params->codes && oct_codes_supports(flat->metric);
    *out = (hnsw_header){ .magic = HNSW_MAGIC,
                          .version = HNSW_VERSION,
                          .count = flat->count,
                          .dim = flat->dim,
                          .metric = (uint32_t)flat->metric,
                          .flags = codes ? HNSW_FLAG_CODES : 0,
                          .rows = flat->ends ? (uint32_t)oct_flat_row_count(flat) : 0,
                          .m = params->m,
                          .ef_construct = params->ef_construct,
                          .seed = params->seed,
                          .mark = params->mark,
                          .row_bytes = codes ? (uint32_t)oct_codes_row_bytes(flat->dim) : 0 };
    if (flat->ends) out->flags |= HNSW_FLAG_MULTI;
done:
    return status;
}

/* ---- create ----------------------------------------------------------------------------- */

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
    builder->total = flat->count;
    if (flat->present)
        builder->total = (uint32_t)oct_bits_count(flat->present, oct_bits_words(flat->count));
    builder->m = header->m;
    builder->dim = header->dim;
    builder->graph = oct_new_zeroed(host->alloc, sizeof *builder->graph);
    if (!builder->graph) TRY(oct_fail_nomem(error, "a graph builder"));
    builder->graph->alloc = host->alloc;
    builder->graph->flat = *flat;
    builder->graph->flat.quant = NULL; /* a build measures more exactly than they can */
    builder->graph->header = *header;
    if (flat->count > 0)
        TRY(oct_array_resize(builder->alloc, &builder->members, 0, oct_bits_words(flat->count),
                             sizeof(uint64_t), error));
    if (flat->count > 0)
        memset(builder->members, 0, oct_bits_words(flat->count) * sizeof(uint64_t));
    *out = builder;
    builder = NULL;
done:
    oct_hnsw_builder_destroy(builder);
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
    TRY(oct_hnsw_prepare_begin(builder, reuse, error));
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
    drop(builder, builder->middles, builder->dim, 1);
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

/* Row `index`, or the next one there is, or else the last one before. Multivectors have no row that
 * isn't there. */
static const float *fit_vector(void *self, uint32_t index)
{
    oct_hnsw_builder *builder = self;
    const oct_flat *flat = &builder->graph->flat;
    uint32_t at = index;
    while (!flat->ends && at < flat->count && !oct_flat_has(flat, at))
        at++;
    if (!flat->ends && at == flat->count) {
        at = index;
        while (!oct_flat_has(flat, at))
            at--;
    }
    const float *row = oct_flat_row(flat, at);
    if (flat->touch && builder->fit_status == OCT_OK)
        builder->fit_status =
            flat->touch(flat->touch_arg, row, flat->dim * sizeof *row, builder->fit_error);
    return row;
}

/* A restored build has its code space already, and one of floats needs none. */
static bool needs_fit(const oct_hnsw_builder *builder)
{
    return oct_hnsw_has_codes(builder->graph) && builder->graph->space.row_bytes == 0;
}

static void fit_begin(oct_hnsw_builder *builder)
{
    const oct_hnsw *graph = builder->graph;
    uint64_t rows = oct_flat_row_count(&graph->flat); /* below 2^32, says the header */
    if (!needs_fit(builder)) return;
    const oct_codes_source vectors = { .vector = fit_vector,
                                       .self = builder,
                                       .count = builder->total > 0 ? (uint32_t)rows : 0 };
    builder->fit_items = oct_codes_fit_begin(&builder->fitting, graph->flat.dim, &vectors);
}

static oct_status fit(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    builder->fit_error = error;
    for (uint32_t i = first; i < end; i++)
        oct_codes_fit_look(&builder->fitting, i);
    return builder->fit_status;
}

static void fit_end(oct_hnsw_builder *builder)
{
    oct_hnsw *graph = builder->graph;
    if (!needs_fit(builder)) return;
    oct_codes_fit_end(&builder->fitting, graph->flat.metric, &graph->space);
    graph->header.scale = graph->space.scale;
}

static void encode(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t offset)
{
    const oct_hnsw *graph = builder->graph;
    UNUSED(worker);
    if (!oct_flat_has(&graph->flat, offset)) return;
    size_t row, bytes = graph->header.row_bytes;
    uint32_t rows = oct_flat_rows_of(&graph->flat, offset, &row);
    for (size_t end = row + rows; row < end; row++) {
        const float *vector = graph->flat.rows + row * graph->flat.dim;
        uint8_t *code = builder->block + graph->layout.codes + row * bytes;
        int32_t bias = oct_codes_encode(&graph->space, vector, code);
        memcpy(builder->block + graph->layout.bias + row * sizeof bias, &bias, sizeof bias);
    }
}

/* ---- rounds ----------------------------------------------------------------------------- */

/* A phase of items that all threads share. */
typedef struct phase_items {
    void (*run)(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t item);
    uint32_t count;
    uint32_t block; /* items taken at a time by a thread */
    uint32_t round; /* items per thread in a round under a budget: about a millisecond */
} phase_items;

/* How many items make a round, when each costs about `numbers` multiplications. */
static uint32_t round_of(uint64_t numbers, uint32_t most)
{
    return (uint32_t)MAX(MIN(ROUND_NUMBERS / MAX(numbers, 1u), (uint64_t)most), 1u);
}

static phase_items items_of(const oct_hnsw_builder *builder)
{
    const hnsw_header *header = &builder->graph->header;
    uint64_t rows = MAX(header->rows / MAX(builder->total, 1u), 1u); /* of a point, on average */
    uint64_t point = header->dim * rows, compared = MIN(rows, (uint64_t)HNSW_BUILD_ROWS_MAX);
    uint64_t distance = header->dim * compared * compared, row_of_links = distance * header->m;
    switch (builder->phase) {
    case HNSW_ENCODE:
        return (phase_items){
            .run = encode, .count = header->count, .block = 64, .round = round_of(point * 8, 1024)
        };
    case HNSW_ADOPT:
        return (phase_items){ .run = oct_hnsw_adopt,
                              .count = header->count,
                              .block = 16,
                              .round = round_of(row_of_links * 32, 16) };
    case HNSW_SEARCH:
        return (phase_items){ .run = oct_hnsw_batch_search,
                              .count = builder->batch_count,
                              .block = 1,
                              .round = round_of(distance * header->ef_construct * WALK_FACTOR, 8) };
    case HNSW_APPLY:
        return (phase_items){ .run = oct_hnsw_batch_apply,
                              .count = builder->group_count,
                              .block = 16,
                              .round = round_of(row_of_links * 8, 64) };
    default:
        return (phase_items){ 0 };
    }
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
    size_t first, last;
    (void)oct_flat_rows_of(flat, builder->next, &first);
    uint32_t rows = oct_flat_rows_of(flat, builder->next + count - 1, &last);
    return oct_flat_touch(flat, first, last + rows - first, error);
}

/* ---- phases ----------------------------------------------------------------------------- */

/* Pieces of the links, and what stands before them. */
static oct_status sum(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    hnsw_header *header = &builder->graph->header;
    size_t links = builder->graph->layout.bias;
    size_t from = (size_t)first * SUM_BYTES, to = MIN((size_t)end * SUM_BYTES, links);
    UNUSED(error);
    if (first == 0) header->crc = oct_hnsw_header_crc(header);
    from = MAX(from, sizeof *header);
    header->crc = oct_crc32c(header->crc, builder->block + from, to - from);
    return OCT_OK;
}

/* The loop of the phase at hand; run is NULL when it is one of items for all threads. */
static hnsw_loop loop_of(const oct_hnsw_builder *builder)
{
    size_t links = builder->graph->layout.bias;
    switch (builder->phase) {
    case HNSW_FIT:
        return (hnsw_loop){ fit, builder->fit_items,
                            round_of((uint64_t)builder->graph->header.dim * 8, 1024) };
    case HNSW_SUM:
        return (hnsw_loop){ sum, (uint32_t)((links - 1) / SUM_BYTES + 1), 4 };
    case HNSW_BEGIN:
    case HNSW_COLLECT:
    case HNSW_COUNT:
    case HNSW_SCATTER:
    case HNSW_GROUP:
    case HNSW_END:
        return oct_hnsw_batch_loop(builder);
    case HNSW_MIDDLES:
    case HNSW_PACK:
        return oct_hnsw_pack_loop(builder);
    case HNSW_PART_COPY:
    case HNSW_PART_AUDIT:
        return oct_hnsw_restore_loop(builder);
    default:
        return oct_hnsw_prepare_loop(builder);
    }
}

/* The next batch, or, when there is none, the last phases. */
static void begin_batch(oct_hnsw_builder *builder)
{
    if (builder->pending_done == builder->pending_count) {
        oct_hnsw_connect_begin(builder);
        builder->phase = HNSW_CONNECT;
        return;
    }
    oct_hnsw_batch_begin(builder);
}

/* All items of the phase are done: go on to the next. */
static oct_status end_phase(oct_hnsw_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    hnsw_phase ended = builder->phase;
    builder->next = 0;
    if (ended >= HNSW_PART_COPY) return oct_hnsw_restore_next(builder, error);
    if (ended <= HNSW_BATCHES) {
        TRY(oct_hnsw_prepare_next(builder, error));
        if (ended == HNSW_BATCHES) fit_begin(builder);
    } else if (ended == HNSW_FIT) {
        fit_end(builder);
        builder->phase = HNSW_ENCODE;
    } else if (ended == HNSW_ENCODE && builder->old) {
        builder->phase = HNSW_ADOPT;
    } else if (ended >= HNSW_BEGIN && ended < HNSW_END) {
        oct_hnsw_batch_next(builder);
    } else if (ended >= HNSW_CONNECT) {
        if (ended == HNSW_PACK) oct_hnsw_pack_finish(builder);
        builder->phase++;
    } else { /* encode, adopt, or the end of a batch */
        if (ended == HNSW_ADOPT) oct_hnsw_adopt_finish(builder);
        if (ended == HNSW_END) oct_hnsw_batch_next(builder);
        begin_batch(builder);
    }
done:
    return status;
}

static oct_status run_loop(oct_hnsw_builder *builder, hnsw_loop loop, bool hurry, oct_error *error)
{
    uint32_t left = loop.count - builder->next;
    uint32_t end = builder->next + (hurry ? MIN(left, loop.round) : left);
    oct_status status = loop.run(builder, builder->next, end, error);
    builder->next = end;
    return status;
}

static oct_status run_phase(oct_hnsw_builder *builder, bool hurry, oct_error *error)
{
    oct_status status = OCT_OK;
    hnsw_loop loop = loop_of(builder);
    phase_items items = items_of(builder);
    if (builder->phase == HNSW_CONNECT) {
        uint32_t points = hurry ? CONNECT_ROUND_POINTS : UINT32_MAX;
        if (oct_hnsw_connect(builder, points)) TRY(end_phase(builder, error));
        return OCT_OK;
    }
    if (loop.run) {
        TRY(run_loop(builder, loop, hurry, error));
        items.count = loop_of(builder).count; /* none are left of an audit or a failed packing */
    } else if (builder->phase == HNSW_ENCODE && !oct_hnsw_has_codes(builder->graph)) {
        TRY(touch_round(builder, items, false, error));
        builder->next = items.count;
    } else {
        if (builder->phase == HNSW_ENCODE) TRY(touch_round(builder, items, hurry, error));
        run_round(builder, items, hurry);
    }
    if (builder->next >= items.count) TRY(end_phase(builder, error));
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
    memcpy(builder->block, &graph->header, sizeof graph->header);
    builder->graph = NULL;
    *out = graph;
}
