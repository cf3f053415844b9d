/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_insert.c - new points enter the graph, a batch at a time.
 *
 * A batch has as many points as the graph, but at most 2 % of all (the schedule of ParlayANN,
 * capped: letting batches double to the end cost recall .035). Then:
 *
 *   1. search, in parallel: each point walks the graph as it was before the batch and chooses its
 *      own links, which wait beside the graph (so the graph stays whole and can be saved);
 *   2. collect: own links move into the graph; each makes an edge back to its source. The edges are
 *      counted and scattered, which sorts them by row, those of one row by source - points of a
 *      batch come in offset order and the sort is stable;
 *   3. apply, in parallel: each row takes all its new links at once, and is pruned at most once.
 *
 * No step depends on which thread came first, so the graph is the same on one thread and on
 * sixteen. Locks per node, as in hnswlib, would be as fast and give another graph each time. */
#include <string.h>

#include "base/bits.h"
#include "index/hnsw_build.h"

/* The level of a point whose place in upper_points is `upper`. */
static uint32_t level_of(const oct_hnsw *graph, uint32_t upper)
{
    return upper == HNSW_NONE ? 0 : oct_hnsw_upper_level(graph, upper);
}

/* ---- begin ------------------------------------------------------------------------------ */

uint32_t oct_hnsw_batch_size(const oct_hnsw_builder *builder, uint32_t inserted, uint32_t first)
{
    return MIN(MIN(MAX(inserted, 1u), builder->batch_max), builder->pending_count - first);
}

/* Choose the points of the next batch. */
void oct_hnsw_batch_begin(oct_hnsw_builder *builder)
{
    builder->batch_count =
        oct_hnsw_batch_size(builder, builder->graph->header.inserted, builder->pending_done);
    builder->batch_rows[0] = 0;
    builder->edge_count = 0;
    builder->phase = HNSW_BEGIN;
}

/* Give its points their rows. */
static oct_status lay_out(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        uint32_t offset = builder->pending[builder->pending_done + i];
        builder->batch_rows[i + 1] =
            builder->batch_rows[i] + 1 + level_of(graph, oct_hnsw_upper_find(graph, offset));
    }
    ASSERT(builder->batch_rows[end] <= builder->own_rows_max);
    return OCT_OK;
}

/* ---- search ----------------------------------------------------------------------------- */

/* Find and choose the links of batch point i on all levels that it and the graph have. */
void oct_hnsw_batch_search(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t i)
{
    const oct_hnsw *graph = builder->graph;
    oct_hnsw_scratch *scratch = worker->scratch;
    uint32_t m = graph->header.m;
    uint32_t offset = builder->pending[builder->pending_done + i];
    uint32_t row = builder->batch_rows[i];
    uint32_t rows = builder->batch_rows[i + 1] - row;
    uint32_t *nodes = builder->own_nodes + (size_t)row * m;
    memset(nodes, 0xff, (size_t)rows * m * sizeof *nodes);
    if (graph->header.levels == 0) return; /* the very first point */

    hnsw_target target = oct_hnsw_target(graph, offset);
    uint32_t level = MIN(rows, graph->header.levels) - 1;
    uint32_t node = oct_hnsw_descend(graph, target, scratch, level);
    for (;; level--) {
        oct_hnsw_walk(graph, target, scratch, level, node, graph->header.ef_construct);
        memcpy(worker->keys, scratch->pool, scratch->pool_count * sizeof *worker->keys);
        size_t at = (size_t)(row + level) * m;
        hnsw_place place = { .offset = offset, .level = level, .max = m };
        oct_hnsw_select(graph, worker, place, scratch->pool_count, builder->own_nodes + at,
                        builder->own_scores + at);
        if (level == 0) return;
        node = oct_hnsw_key_node(scratch->pool[0]);
        if (level == 1) node = graph->upper_points[node];
    }
}

/* ---- collect ---------------------------------------------------------------------------- */

/* Own links of one row into the graph, and an edge for each. */
static void collect_row(oct_hnsw_builder *builder, uint32_t own_row, uint32_t node, uint32_t level)
{
    const oct_hnsw *graph = builder->graph;
    uint32_t m = graph->header.m;
    const uint32_t *nodes = builder->own_nodes + (size_t)own_row * m;
    const int32_t *scores = builder->own_scores + (size_t)own_row * m;
    memcpy(oct_hnsw_build_row(builder, node, level), nodes, m * sizeof *nodes);
    for (uint32_t i = 0; i < m && nodes[i] != HNSW_NONE; i++) {
        uint32_t row = nodes[i];
        if (level > 0) row = graph->header.count + graph->upper_starts[nodes[i]] + level - 1;
        builder->edges[builder->edge_count++] =
            (hnsw_edge){ .row = row, .source = node, .score = scores[i] };
    }
}

static oct_status collect(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        uint32_t offset = builder->pending[builder->pending_done + i];
        uint32_t row = builder->batch_rows[i];
        uint32_t levels = builder->batch_rows[i + 1] - row;
        uint32_t upper = levels > 1 ? oct_hnsw_upper_find(graph, offset) : HNSW_NONE;
        for (uint32_t level = 0; level < levels; level++)
            collect_row(builder, row + level, level == 0 ? offset : upper, level);
    }
    return OCT_OK;
}

/* The bits of an edge's row that are sorted by. */
static uint32_t digit(const oct_hnsw_builder *builder, const hnsw_edge *edge)
{
    return (edge->row >> builder->shift) & ((1u << HNSW_RADIX_BITS) - 1);
}

/* A pass of a stable radix sort: how many edges have each digit, ... */
static oct_status count_digits(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                               oct_error *error)
{
    UNUSED(error);
    for (uint32_t i = first; i < end; i++)
        builder->places[digit(builder, &builder->edges[i])]++;
    return OCT_OK;
}

/* ... where the first of them goes, ... */
static void place_digits(oct_hnsw_builder *builder)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(builder->places); i++) {
        uint32_t count = builder->places[i];
        builder->places[i] = sum;
        sum += count;
    }
}

/* ... and all move there. */
static oct_status scatter(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        hnsw_edge edge = builder->edges[i];
        builder->edges_other[builder->places[digit(builder, &edge)]++] = edge;
    }
    return OCT_OK;
}

/* A pass ended: true when there is one more. */
static bool next_digit(oct_hnsw_builder *builder)
{
    const hnsw_header *header = &builder->graph->header;
    uint64_t rows = (uint64_t)header->count + header->upper_rows;
    hnsw_edge *sorted = builder->edges_other;
    builder->edges_other = builder->edges;
    builder->edges = sorted;
    builder->shift += HNSW_RADIX_BITS;
    return builder->shift < 32 && rows >> builder->shift;
}

static oct_status group(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        if (i == 0 || builder->edges[i].row != builder->edges[i - 1].row)
            builder->groups[builder->group_count++] = i;
    }
    builder->groups[builder->group_count] = builder->edge_count;
    return OCT_OK;
}

/* ---- apply ------------------------------------------------------------------------------ */

/* Whose row it is. */
static hnsw_place place_of(const oct_hnsw *graph, uint32_t row)
{
    uint32_t count = graph->header.count;
    if (row < count)
        return (hnsw_place){ .node = row, .offset = row, .level = 0, .max = graph->m0 };
    uint32_t upper_row = row - count;
    uint32_t low = 0;
    uint32_t high = graph->header.upper_count;
    while (high - low > 1) { /* the last node that starts at or before the row */
        uint32_t middle = low + (high - low) / 2;
        if (graph->upper_starts[middle] <= upper_row)
            low = middle;
        else
            high = middle;
    }
    return (hnsw_place){ .node = low,
                         .offset = graph->upper_points[low],
                         .level = upper_row - graph->upper_starts[low] + 1,
                         .max = graph->header.m };
}

/* Keys of the links a row has, seen from its owner. */
static void key_links(const oct_hnsw *graph, hnsw_worker *worker, hnsw_target target,
                      hnsw_place place, uint32_t length)
{
    oct_hnsw_scratch *scratch = worker->scratch;
    const uint32_t *row = oct_hnsw_row(graph, place.node, place.level);
    for (uint32_t i = 0; i < length; i++)
        scratch->offsets[i] = oct_hnsw_node_offset(graph, row[i], place.level);
    oct_hnsw_score(graph, target, scratch->offsets, length, scratch->scores);
    scratch->cost.walked += length;
    for (uint32_t i = 0; i < length; i++)
        worker->keys[i] = oct_hnsw_key(scratch->scores[i], row[i]);
}

/* Keys of new links: an edge was scored from its source, the key is to be seen from the owner. */
static void key_edges(const oct_hnsw_builder *builder, hnsw_worker *worker, hnsw_place place,
                      uint32_t first, uint32_t count, uint32_t length)
{
    const oct_hnsw *graph = builder->graph;
    for (uint32_t i = 0; i < count; i++) {
        const hnsw_edge *edge = builder->edges + first + i;
        uint32_t source = oct_hnsw_node_offset(graph, edge->source, place.level);
        int32_t score = oct_hnsw_score_turn(graph, edge->score, source, place.offset);
        worker->keys[length + i] = oct_hnsw_key(score, edge->source);
    }
}

void oct_hnsw_batch_apply(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t group)
{
    const oct_hnsw *graph = builder->graph;
    uint32_t first = builder->groups[group];
    uint32_t count = builder->groups[group + 1] - first;
    hnsw_place place = place_of(graph, builder->edges[first].row);
    uint32_t *row = oct_hnsw_build_row(builder, place.node, place.level);
    uint32_t length = oct_hnsw_row_length(row, place.max);
    if (length + count <= place.max) {
        for (uint32_t i = 0; i < count; i++)
            row[length + i] = builder->edges[first + i].source;
        return;
    }
    hnsw_target target = oct_hnsw_target(graph, place.offset);
    key_links(graph, worker, target, place, length);
    key_edges(builder, worker, place, first, count, length);
    oct_hnsw_sort_keys(worker->keys, length + count);
    oct_hnsw_select(graph, worker, place, length + count, row, NULL);
}

/* ---- end -------------------------------------------------------------------------------- */

static oct_status admit(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    oct_hnsw *graph = builder->graph;
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        uint32_t offset = builder->pending[builder->pending_done + i];
        uint32_t levels = builder->batch_rows[i + 1] - builder->batch_rows[i];
        oct_bits_set(builder->members, offset);
        if (levels <= graph->header.levels) continue;
        graph->header.levels = levels;
        graph->header.entry = offset;
        graph->entry_node = levels > 1 ? oct_hnsw_upper_find(graph, offset) : offset;
    }
    return OCT_OK;
}

/* ---- phases ----------------------------------------------------------------------------- */

hnsw_loop oct_hnsw_batch_loop(const oct_hnsw_builder *builder)
{
    switch (builder->phase) {
    case HNSW_BEGIN:
        return (hnsw_loop){ lay_out, builder->batch_count, 1 << 12 };
    case HNSW_COLLECT:
        return (hnsw_loop){ collect, builder->batch_count, 1 << 9 };
    case HNSW_COUNT:
        return (hnsw_loop){ count_digits, builder->edge_count, 1 << 16 };
    case HNSW_SCATTER:
        return (hnsw_loop){ scatter, builder->edge_count, 1 << 15 };
    case HNSW_GROUP:
        return (hnsw_loop){ group, builder->edge_count, 1 << 16 };
    case HNSW_END:
        return (hnsw_loop){ admit, builder->batch_count, 1 << 13 };
    default:
        return (hnsw_loop){ 0 };
    }
}

void oct_hnsw_batch_next(oct_hnsw_builder *builder)
{
    switch (builder->phase) {
    case HNSW_COLLECT:
        builder->shift = 0;
        memset(builder->places, 0, sizeof builder->places);
        break;
    case HNSW_COUNT:
        place_digits(builder);
        break;
    case HNSW_SCATTER:
        if (next_digit(builder)) {
            memset(builder->places, 0, sizeof builder->places);
            builder->phase = HNSW_COUNT;
            return;
        }
        builder->group_count = 0;
        builder->groups[0] = 0;
        break;
    case HNSW_END:
        builder->graph->header.inserted += builder->batch_count;
        builder->pending_done += builder->batch_count;
        return;
    default:
        break;
    }
    builder->phase++;
}
