/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_prepare.c - what a build does before its first point is coded: it takes its memory, and sees
 * which points there are, on which levels, and which of them an old graph had.
 *
 * Each phase is a loop over points, or pieces of the block, that can be left after any of them
 * (hnsw_build.c). What a phase needs is taken when it begins, at sizes that the ones before found.
 *
 *     forget, map       which old point each new one was: only with an old graph
 *     levels            points above level 0 are counted; then the block's size is known
 *     clear, uppers     the block is filled: no links; the points above level 0
 *     old uppers,       what becomes of the old ones, and who is in the graph already: only with
 *     members           an old graph
 *     pending, batches  the points to be inserted, and the largest batch of them */
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/hash.h"
#include "index/hnsw_build.h"

enum {
    BATCHES_MIN = 50,      /* a batch is at most one 50th of all points */
    CLEAR_BYTES = 64 << 10 /* the block is cleared by pieces of so much */
};

/* An array of the builder that is freed with it. count 0 leaves NULL. */
static oct_status take(oct_hnsw_builder *builder, void *array_pointer, size_t count, size_t bytes,
                       oct_error *error)
{
    if (count == 0) return OCT_OK;
    return oct_array_resize(builder->alloc, array_pointer, 0, count, bytes, error);
}

/* ---- an old graph ------------------------------------------------------------------------ */

static oct_status forget(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    UNUSED(error);
    if (first < end) memset(builder->old_offsets + first, 0xff, (end - first) * sizeof(uint32_t));
    return OCT_OK;
}

/* Which old point each new one was. */
static oct_status map(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    const oct_flat *flat = &builder->graph->flat;
    for (uint32_t old = first; old < end; old++) {
        uint32_t offset = builder->new_offsets[old];
        if (offset == OCT_HNSW_GONE || !oct_flat_has(&builder->old->flat, old)) continue;
        if (offset >= flat->count || builder->old_offsets[offset] != HNSW_NONE ||
            !oct_flat_has(flat, offset))
            return oct_fail(error, OCT_VALIDATION,
                            "hnsw: point %" PRIu32 " of the old graph can't become point %" PRIu32,
                            old, offset);
        builder->old_offsets[offset] = old;
    }
    return OCT_OK;
}

/* What the upper points of the old graph are now. */
static oct_status map_uppers(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                             oct_error *error)
{
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        uint32_t offset = builder->new_offsets[builder->old->upper_points[i]]; /* checked by map */
        builder->new_uppers[i] =
            offset == OCT_HNSW_GONE ? HNSW_NONE : oct_hnsw_upper_find(builder->graph, offset);
    }
    return OCT_OK;
}

static oct_status list_members(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                               oct_error *error)
{
    UNUSED(error);
    for (uint32_t offset = first; offset < end; offset++) {
        if (builder->old_offsets[offset] == HNSW_NONE) continue;
        oct_bits_set(builder->members, offset);
        builder->graph->header.inserted++;
    }
    return OCT_OK;
}

/* ---- levels and the block ---------------------------------------------------------------- */

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

/* The level the point will have: its old one, or a new one. */
static uint32_t level_to_be(const oct_hnsw_builder *builder, uint32_t offset)
{
    const oct_hnsw *old = builder->old;
    const hnsw_header *header = &builder->graph->header;
    if (!oct_flat_has(&builder->graph->flat, offset)) return 0;
    if (!old || builder->old_offsets[offset] == HNSW_NONE)
        return oct_hnsw_level(header->seed, header->m, offset);
    uint32_t node = oct_hnsw_upper_find(old, builder->old_offsets[offset]);
    return node == HNSW_NONE ? 0 : oct_hnsw_upper_level(old, node);
}

static oct_status count_levels(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                               oct_error *error)
{
    hnsw_header *header = &builder->graph->header;
    UNUSED(error);
    for (uint32_t offset = first; offset < end; offset++) {
        uint32_t level = level_to_be(builder, offset);
        header->upper_count += level > 0;
        header->upper_rows += level;
    }
    return OCT_OK;
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
done:
    return status;
}

/* Fill what of [from, to) lies in [first, end) of the block. */
static void fill(oct_hnsw_builder *builder, size_t first, size_t end, size_t from, size_t to,
                 int byte)
{
    first = MAX(first, from);
    end = MIN(end, to);
    if (first < end) memset(builder->block + first, byte, end - first);
}

/* Pieces of the block: all zeros, but rows of links are empty. */
static oct_status clear(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    const hnsw_layout *layout = &builder->graph->layout;
    const hnsw_header *header = &builder->graph->header;
    size_t upper_bytes = (size_t)header->upper_rows * header->m * sizeof(uint32_t);
    size_t link_bytes = (size_t)header->count * builder->graph->m0 * sizeof(uint32_t);
    size_t from = (size_t)first * CLEAR_BYTES, to = (size_t)end * CLEAR_BYTES;
    UNUSED(error);
    fill(builder, from, to, 0, layout->end, 0);
    fill(builder, from, to, layout->upper_links, layout->upper_links + upper_bytes, 0xff);
    fill(builder, from, to, layout->links, layout->links + link_bytes, 0xff);
    return OCT_OK;
}

/* List the points above level 0. */
static oct_status list_uppers(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                              oct_error *error)
{
    const hnsw_layout *layout = &builder->graph->layout;
    uint32_t *points = (uint32_t *)(void *)(builder->block + layout->upper_points);
    uint32_t *starts = (uint32_t *)(void *)(builder->block + layout->upper_starts);
    UNUSED(error);
    for (uint32_t offset = first; offset < end; offset++) {
        uint32_t level = level_to_be(builder, offset), at = builder->uppers_listed;
        if (level == 0) continue;
        points[at] = offset;
        starts[at + 1] = starts[at] + level;
        builder->uppers_listed++;
    }
    return OCT_OK;
}

/* ---- points to be inserted --------------------------------------------------------------- */

static oct_status list_pending(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                               oct_error *error)
{
    UNUSED(error);
    for (uint32_t offset = first; offset < end; offset++) {
        if (!oct_flat_has(&builder->graph->flat, offset) || oct_bits_get(builder->members, offset))
            continue;
        builder->pending[builder->pending_count++] = offset;
    }
    return OCT_OK;
}

/* Own rows of the largest batch: walks the schedule of all batches to come. */
static oct_status plan_batches(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                               oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    hnsw_plan *plan = &builder->plan;
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        uint32_t offset = builder->pending[i], uppers = graph->header.upper_count;
        if (i == plan->batch_end) {
            plan->batch_end += oct_hnsw_batch_size(builder, graph->header.inserted + i, i);
            plan->rows = 0;
        }
        while (plan->upper < uppers && graph->upper_points[plan->upper] < offset)
            plan->upper++;
        plan->rows++;
        if (plan->upper < uppers && graph->upper_points[plan->upper] == offset)
            plan->rows += oct_hnsw_upper_level(graph, plan->upper);
        builder->own_rows_max = MAX(builder->own_rows_max, plan->rows);
    }
    return OCT_OK;
}

static oct_status take_worker(oct_hnsw_builder *builder, hnsw_worker *worker, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    oct_status status = OCT_OK;
    uint32_t gather = graph->m0;
    if (builder->old) gather += HNSW_REPAIR_CANDIDATES_MAX;
    TRY(oct_hnsw_scratch_create(builder->alloc, &worker->scratch, error));
    TRY(oct_hnsw_scratch_prepare(worker->scratch, graph, graph->header.ef_construct, gather, 0,
                                 error));
    TRY(take(builder, &worker->keys, builder->keys_capacity, sizeof *worker->keys, error));
    TRY(take(builder, &worker->chosen, graph->m0, sizeof *worker->chosen, error));
done:
    return status;
}

/* The memory that inserting the points needs. */
static oct_status take_rest(oct_hnsw_builder *builder, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    const oct_host *host = builder->host;
    oct_status status = OCT_OK;
    uint32_t count = graph->header.count;
    size_t own_links = 0;
    if (!oct_size_multiply(builder->own_rows_max, graph->header.m, &own_links))
        TRY(oct_fail_nomem(error, "a graph builder"));
    TRY(take(builder, &builder->batch_rows, builder->batch_max + 1, sizeof(uint32_t), error));
    TRY(take(builder, &builder->own_nodes, own_links, sizeof(uint32_t), error));
    TRY(take(builder, &builder->own_scores, own_links, sizeof(int32_t), error));
    TRY(take(builder, &builder->edges, own_links, sizeof(hnsw_edge), error));
    TRY(take(builder, &builder->edges_other, own_links, sizeof(hnsw_edge), error));
    TRY(take(builder, &builder->groups, own_links + 1, sizeof(uint32_t), error));
    TRY(take(builder, &builder->reached, oct_bits_words(count), sizeof(uint64_t), error));
    TRY(take(builder, &builder->queue, count, sizeof(uint32_t), error));
    TRY(take(builder, &builder->middles, builder->dim, 1, error));

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

/* ---- phases ------------------------------------------------------------------------------ */

hnsw_loop oct_hnsw_prepare_loop(const oct_hnsw_builder *builder)
{
    const oct_hnsw *old = builder->old;
    uint32_t count = builder->graph->header.count, adopted = old ? count : 0;
    switch (builder->phase) {
    case HNSW_FORGET:
        return (hnsw_loop){ forget, adopted, 1 << 17 };
    case HNSW_MAP:
        return (hnsw_loop){ map, adopted ? old->header.count : 0, 1 << 14 };
    case HNSW_LEVELS:
        return (hnsw_loop){ count_levels, count, 1 << 13 };
    case HNSW_CLEAR:
        return (hnsw_loop){ clear, (uint32_t)((builder->graph->layout.end - 1) / CLEAR_BYTES + 1),
                            4 };
    case HNSW_UPPERS:
        return (hnsw_loop){ list_uppers, count, 1 << 13 };
    case HNSW_OLD_UPPERS:
        return (hnsw_loop){ map_uppers, adopted ? old->header.upper_count : 0, 1 << 11 };
    case HNSW_MEMBERS:
        return (hnsw_loop){ list_members, adopted, 1 << 15 };
    case HNSW_PENDING:
        return (hnsw_loop){ list_pending, count, 1 << 15 };
    case HNSW_BATCHES:
        return (hnsw_loop){ plan_batches, builder->pending_count, 1 << 14 };
    default:
        return (hnsw_loop){ 0 };
    }
}

oct_status oct_hnsw_prepare_next(oct_hnsw_builder *builder, oct_error *error)
{
    const oct_hnsw *old = builder->old;
    uint32_t count = builder->graph->header.count;
    oct_status status = OCT_OK;
    switch (builder->phase) {
    case HNSW_LEVELS:
        TRY(oct_hnsw_builder_block(builder, error));
        break;
    case HNSW_UPPERS:
        if (old && count > 0)
            TRY(take(builder, &builder->new_uppers, old->header.upper_count, sizeof(uint32_t),
                     error));
        break;
    case HNSW_MEMBERS:
        TRY(take(builder, &builder->pending, count, sizeof(uint32_t), error));
        break;
    case HNSW_PENDING:
        ASSERT(builder->total == builder->graph->header.inserted + builder->pending_count);
        builder->batch_max = MAX(builder->total / BATCHES_MIN, 1u);
        break;
    case HNSW_BATCHES:
        TRY(take_rest(builder, error));
        break;
    default:
        break;
    }
    builder->phase =
        builder->phase == HNSW_CLEAR && builder->part ? HNSW_PART_COPY : builder->phase + 1;
done:
    return status;
}

oct_status oct_hnsw_prepare_begin(oct_hnsw_builder *builder, const oct_hnsw_reuse *reuse,
                                  oct_error *error)
{
    builder->phase = HNSW_FORGET;
    if (!reuse) return OCT_OK;
    builder->old = reuse->graph;
    builder->new_offsets = reuse->new_offsets;
    return take(builder, &builder->old_offsets, builder->graph->header.count, sizeof(uint32_t),
                error);
}
