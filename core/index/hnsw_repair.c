/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_repair.c - a new graph starts from an old one: after deletions and in merges.
 *
 * A point that lives on keeps its level and those links whose other end lives on. Where links were
 * lost, the row is chosen anew from what is left and the neighbours of the lost ones, as
 * FreshDiskANN does at consolidation: who was reached through a deleted point is now reached
 * directly. Every row is made from old rows only, so rows are made in parallel, in any order.
 *
 * The links themselves are not measured again: code space and codes are new (the quantiles of the
 * merged data may differ), but a link says only who is near. */
#include <string.h>

#include "base/bits.h"
#include "index/hnsw_build.h"

/* ---- rows ------------------------------------------------------------------------------- */

static uint32_t mapped(const oct_hnsw_builder *builder, uint32_t old_node, uint32_t level)
{
    return level == 0 ? builder->new_offsets[old_node] : builder->new_uppers[old_node];
}

/* Gather the links of an old row that live on and weren't met yet, from place `count` of the
 * scratch's nodes; their number then. */
static uint32_t gather_mapped(const oct_hnsw_builder *builder, oct_hnsw_scratch *scratch,
                              uint32_t old_node, uint32_t level, uint32_t count)
{
    const uint32_t *row = oct_hnsw_row(builder->old, old_node, level);
    uint32_t stride = oct_hnsw_row_stride(builder->old, level);
    for (uint32_t i = 0; i < stride && row[i] != HNSW_NONE; i++) {
        uint32_t node = mapped(builder, row[i], level);
        if (node == HNSW_NONE) continue;
        scratch->nodes[count] = node;
        count += oct_hnsw_visit(scratch, node);
    }
    return count;
}

/* Gather what the row keeps and, where it lost links, the neighbours of the lost. */
static uint32_t gather_candidates(const oct_hnsw_builder *builder, oct_hnsw_scratch *scratch,
                                  uint32_t old_node, hnsw_place place)
{
    const uint32_t *row = oct_hnsw_row(builder->old, old_node, place.level);
    uint32_t stride = oct_hnsw_row_stride(builder->old, place.level);
    (void)oct_hnsw_visit(scratch, place.node); /* so that it isn't its own candidate */
    uint32_t count = gather_mapped(builder, scratch, old_node, place.level, 0);
    for (uint32_t i = 0; i < stride && row[i] != HNSW_NONE; i++) {
        if (mapped(builder, row[i], place.level) != HNSW_NONE) continue;
        if (count >= HNSW_REPAIR_CANDIDATES_MAX) break;
        count = gather_mapped(builder, scratch, row[i], place.level, count);
    }
    oct_hnsw_forget_visits(scratch);
    return count;
}

static bool lost_links(const oct_hnsw_builder *builder, uint32_t old_node, uint32_t level)
{
    const uint32_t *row = oct_hnsw_row(builder->old, old_node, level);
    uint32_t stride = oct_hnsw_row_stride(builder->old, level);
    for (uint32_t i = 0; i < stride && row[i] != HNSW_NONE; i++) {
        if (mapped(builder, row[i], level) == HNSW_NONE) return true;
    }
    return false;
}

static void adopt_row(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t old_node,
                      hnsw_place place)
{
    const oct_hnsw *graph = builder->graph;
    oct_hnsw_scratch *scratch = worker->scratch;
    uint32_t *row = oct_hnsw_build_row(builder, place.node, place.level);
    uint32_t count = gather_candidates(builder, scratch, old_node, place);
    if (!lost_links(builder, old_node, place.level)) {
        memcpy(row, scratch->nodes, count * sizeof *row);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        scratch->offsets[i] = oct_hnsw_node_offset(graph, scratch->nodes[i], place.level);
    hnsw_target target = oct_hnsw_target(graph, place.offset);
    oct_hnsw_score(graph, target, scratch->offsets, count, scratch->scores);
    scratch->cost.walked += count;
    for (uint32_t i = 0; i < count; i++)
        worker->keys[i] = oct_hnsw_key(scratch->scores[i], scratch->nodes[i]);
    oct_hnsw_sort_keys(worker->keys, count);
    place.least = oct_hnsw_row_length(oct_hnsw_row(builder->old, old_node, place.level), place.max);
    oct_hnsw_select(graph, worker, place, count, row, NULL);
}

/* All rows of the point at `offset`, when the old graph had it. */
void oct_hnsw_adopt(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t offset)
{
    const oct_hnsw *graph = builder->graph;
    uint32_t old = builder->old_offsets[offset];
    if (old == HNSW_NONE) return;
    hnsw_place place = { .node = offset, .offset = offset, .level = 0, .max = graph->m0 };
    adopt_row(builder, worker, old, place);
    uint32_t old_upper = oct_hnsw_upper_find(builder->old, old);
    if (old_upper == HNSW_NONE) return;
    place.node = oct_hnsw_upper_find(graph, offset);
    place.max = graph->header.m;
    uint32_t level = oct_hnsw_upper_level(builder->old, old_upper);
    for (place.level = 1; place.level <= level; place.level++)
        adopt_row(builder, worker, old_upper, place);
}

/* ---- finish ----------------------------------------------------------------------------- */

/* The entry of what was adopted: the first point on the highest level. */
void oct_hnsw_adopt_finish(oct_hnsw_builder *builder)
{
    oct_hnsw *graph = builder->graph;
    hnsw_header *header = &graph->header;
    if (header->inserted == 0) return;
    uint32_t first = 0;
    while (!oct_bits_get(builder->members, first))
        first++;
    header->levels = 1;
    header->entry = first;
    graph->entry_node = first;
    for (uint32_t node = 0; node < header->upper_count; node++) {
        uint32_t offset = graph->upper_points[node];
        uint32_t levels = 1 + oct_hnsw_upper_level(graph, node);
        if (levels <= header->levels || !oct_bits_get(builder->members, offset)) continue;
        header->levels = levels;
        header->entry = offset;
        graph->entry_node = node;
    }
}
