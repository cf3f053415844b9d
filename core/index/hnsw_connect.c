/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_connect.c - no point is lost: whoever can't be walked to on level 0 gets a link.
 *
 * Pruning looks at one row at a time, so now and then every row that led to a point drops it. The
 * paper lives with that; here the build ends with a breadth-first search from the entry, and each
 * point it doesn't reach is linked from the nearest point found that has room in its row. When none
 * has, the nearest one gives up its last link, which moves into the new point's row, so that
 * nothing that was reached is lost. The search then goes on from the point: its whole island is
 * reached through it. Points are taken in offset order: the result is the same everywhere.
 *
 * oct_hnsw_check lives here too, because its heart is the same search. */
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "index/hnsw_build.h"

enum { CONNECT_POINTS = 256 /* connecting one takes as long as following the links of so many */ };

/* ---- the breadth-first search ------------------------------------------------------------ */

typedef struct flood {
    const oct_hnsw *graph;
    uint64_t *reached;
    uint32_t *queue; /* [count] */
    uint32_t head, tail;
} flood;

static void flood_reach(flood *f, uint32_t offset)
{
    if (oct_bits_get(f->reached, offset)) return;
    oct_bits_set(f->reached, offset);
    f->queue[f->tail++] = offset;
}

/* Follow the links of at most `points` points; how many were left of those. */
static uint32_t flood_run(flood *f, uint32_t points)
{
    for (; points > 0 && f->head < f->tail; points--) {
        const uint32_t *row = oct_hnsw_row(f->graph, f->queue[f->head++], 0);
        for (uint32_t i = 0; i < f->graph->m0 && row[i] != HNSW_NONE; i++)
            flood_reach(f, row[i]);
    }
    return points;
}

/* ---- connecting ------------------------------------------------------------------------- */

/* Link from -> to, which reaches `to` and loses nothing that was reached before. */
static void link_in(oct_hnsw_builder *builder, uint32_t from, uint32_t to)
{
    uint32_t m0 = builder->graph->m0;
    uint32_t *row = oct_hnsw_build_row(builder, from, 0);
    uint32_t length = oct_hnsw_row_length(row, m0);
    if (length < m0) {
        row[length] = to;
        return;
    }
    uint32_t moved = row[m0 - 1];
    row[m0 - 1] = to;
    uint32_t *other = oct_hnsw_build_row(builder, to, 0);
    uint32_t other_length = oct_hnsw_row_length(other, m0);
    for (uint32_t i = 0; i < other_length; i++) {
        if (other[i] == moved) return;
    }
    other[MIN(other_length, m0 - 1)] = moved;
}

static void connect_point(oct_hnsw_builder *builder, uint32_t offset)
{
    const oct_hnsw *graph = builder->graph;
    hnsw_worker *worker = &builder->workers[0];
    oct_hnsw_scratch *scratch = worker->scratch;
    hnsw_target target = oct_hnsw_target(graph, offset);
    /* Not from where a descent leads: that may be an island that isn't reached itself. */
    oct_hnsw_walk(graph, target, scratch, 0, graph->header.entry, graph->header.ef_construct);
    uint32_t *row = oct_hnsw_build_row(builder, offset, 0);
    if (row[0] == HNSW_NONE) {
        memcpy(worker->keys, scratch->pool, scratch->pool_count * sizeof *worker->keys);
        hnsw_place place = { .node = offset, .offset = offset, .level = 0, .max = graph->header.m };
        oct_hnsw_select(graph, worker, place, scratch->pool_count, row, NULL);
    }
    uint32_t from = oct_hnsw_key_node(scratch->pool[0]);
    for (uint32_t i = scratch->pool_count; i-- > 0;) {
        uint32_t node = oct_hnsw_key_node(scratch->pool[i]);
        const uint32_t *links = oct_hnsw_row(graph, node, 0);
        if (links[graph->m0 - 1] == HNSW_NONE) from = node;
    }
    link_in(builder, from, offset);
}

void oct_hnsw_connect_begin(oct_hnsw_builder *builder)
{
    size_t words = oct_bits_words(builder->graph->header.count);
    if (words > 0) memset(builder->reached, 0, words * sizeof *builder->reached);
    builder->queue_head = builder->queue_tail = 0;
    builder->next = 0;
    if (builder->graph->header.levels == 0) return;
    oct_bits_set(builder->reached, builder->graph->header.entry);
    builder->queue[builder->queue_tail++] = builder->graph->header.entry;
}

bool oct_hnsw_connect(oct_hnsw_builder *builder, uint32_t points)
{
    uint32_t count = builder->graph->header.count;
    flood f = { .graph = builder->graph,
                .reached = builder->reached,
                .queue = builder->queue,
                .head = builder->queue_head,
                .tail = builder->queue_tail };
    points = flood_run(&f, points);
    /* Only when the flood has ended is a point known to be out of reach. */
    for (; points > 0 && builder->next < count; builder->next++, points--) {
        uint32_t offset = builder->next;
        if (!oct_bits_get(builder->members, offset) || oct_bits_get(f.reached, offset)) continue;
        connect_point(builder, offset);
        points -= MIN(points, (uint32_t)CONNECT_POINTS);
        flood_reach(&f, offset);
        points = MIN(points, flood_run(&f, points));
        if (points == 0) break;
    }
    builder->queue_head = f.head;
    builder->queue_tail = f.tail;
    return builder->next == count && f.head == f.tail;
}

/* ---- inspection ------------------------------------------------------------------------- */

static void check_row(const oct_hnsw *graph, uint32_t node, uint32_t level, uint32_t *seen_by,
                      oct_hnsw_report *report)
{
    const uint32_t *row = oct_hnsw_row(graph, node, level);
    uint32_t stride = oct_hnsw_row_stride(graph, level);
    uint32_t limit = level == 0 ? graph->header.count : graph->header.upper_count;
    for (uint32_t i = 0; i < stride && row[i] != HNSW_NONE; i++) {
        if (level == 0) report->links++;
        if (row[i] >= limit ||
            !oct_flat_has(&graph->flat, oct_hnsw_node_offset(graph, row[i], level))) {
            report->out_of_range++;
            continue;
        }
        report->self_links += row[i] == node;
        report->repeated_links += seen_by[row[i]] == node;
        report->wrong_levels += level > 0 && oct_hnsw_upper_level(graph, row[i]) < level;
        seen_by[row[i]] = node;
    }
}

oct_status oct_hnsw_check(const oct_alloc *alloc, const oct_hnsw *graph, oct_hnsw_report *report,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    const hnsw_header *header = &graph->header;
    size_t words = oct_bits_words(header->count);
    uint64_t *reached = NULL;
    uint32_t *places = NULL; /* first who saw a link last, then the queue */
    *report = (oct_hnsw_report){ .points = header->inserted, .levels = header->levels };
    if (header->inserted == 0) return OCT_OK;
    TRY(oct_array_resize(alloc, &reached, 0, words, sizeof *reached, error));
    TRY(oct_array_resize(alloc, &places, 0, header->count, sizeof *places, error));

    memset(places, 0xff, header->count * sizeof *places);
    for (uint32_t offset = 0; offset < header->count; offset++)
        check_row(graph, offset, 0, places, report);
    for (uint32_t level = 1; level < header->levels; level++) {
        memset(places, 0xff, header->count * sizeof *places);
        for (uint32_t node = 0; node < header->upper_count; node++) {
            if (oct_hnsw_upper_level(graph, node) >= level)
                check_row(graph, node, level, places, report);
        }
    }

    if (report->out_of_range == 0) {
        memset(reached, 0, words * sizeof *reached);
        flood f = { .graph = graph, .reached = reached, .queue = places };
        flood_reach(&f, header->entry);
        (void)flood_run(&f, UINT32_MAX); /* to its end */
        report->unreachable = header->inserted - f.tail;
    }
done:
    oct_free(alloc, places, header->count * sizeof *places);
    oct_free(alloc, reached, words * sizeof *reached);
    return status;
}
