/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_walk.c - best-first search inside one graph: the inner loop of both search and build.
 *
 * The paper keeps two heaps, candidates and results. Here both are one array of keys, best first,
 * each with a bit that says its links were followed: the next candidate is the first key without
 * it, the worst result is the last key, and the walk ends when the cursor runs off the end. A key
 * is one 64-bit word (score and node), so an insertion is a branch-free bisection and a memmove of
 * a few hundred bytes, and those of one step are merged in together; measured, that beats heaps up
 * to ef of several hundred.
 *
 * What limits a walk is waiting for memory, so the loop first gathers all unvisited neighbours,
 * asks for all their lines at once, and then scores them four at a time. The links of the point
 * that will most likely be next are asked for meanwhile.
 *
 * Patience. Most queries have found their best long before the cursor reaches the end, few only
 * then. So a search, unlike a build, gives the walk a wider array and ends it when the best places
 * (those that will be scored again) have not changed while some more points were followed: the
 * distances saved on easy queries are spent on hard ones. Measured in bench/README.md.
 *
 * Scores are int32 throughout: code scores by nature, float similarities through an order-keeping
 * map of their bits. So the walk is the same code for both, and the same on every target. */
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/prefetch.h"
#include "index/hnsw_graph.h"
#include "index/multi.h"

enum {
    AHEAD_BYTES = 2048,      /* of one row asked for; the hardware follows from there */
    LINKS_AHEAD_BYTES = 128, /* of one row of links */
    POLL_DISTANCES = 1000
};

/* ---- scratch ---------------------------------------------------------------------------- */

oct_status oct_hnsw_scratch_create(const oct_alloc *alloc, oct_hnsw_scratch **out, oct_error *error)
{
    *out = oct_new_zeroed(alloc, sizeof **out);
    if (!*out) return oct_fail_nomem(error, "a search scratch");
    (*out)->alloc = alloc;
    (*out)->pace.patience = UINT32_MAX;
    return OCT_OK;
}

void oct_hnsw_scratch_destroy(oct_hnsw_scratch *scratch)
{
    if (!scratch) return;
    oct_free(scratch->alloc, scratch->memory, scratch->memory_bytes);
    oct_free(scratch->alloc, scratch, sizeof *scratch);
}

oct_hnsw_cost oct_hnsw_scratch_cost(const oct_hnsw_scratch *scratch)
{
    return scratch->cost;
}

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + HNSW_ALIGN_BYTES - 1) & ~(uint64_t)(HNSW_ALIGN_BYTES - 1);
}

/* Give each array its place in `memory`, all of them aligned; the bytes they take together. With
 * memory NULL only the size counts. */
static uint64_t carve(oct_hnsw_scratch *scratch, uint8_t *memory)
{
    const uint64_t sizes[] = {
        aligned(scratch->words * (uint64_t)sizeof *scratch->visited),
        aligned((scratch->words + UINT64_C(1)) * sizeof *scratch->touched),
        aligned(scratch->ef * (uint64_t)sizeof *scratch->pool),
        aligned(scratch->ef * (uint64_t)sizeof *scratch->fresh),
        aligned(scratch->gather * (uint64_t)sizeof *scratch->nodes),
        aligned(scratch->gather * (uint64_t)sizeof *scratch->offsets),
        aligned(scratch->gather * (uint64_t)sizeof *scratch->scores),
        aligned(scratch->code_bytes),
    };
    uint8_t *places[ARRAY_COUNT(sizes)] = { NULL };
    uint64_t bytes = 0;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        if (memory) places[i] = memory + bytes;
        bytes += sizes[i];
    }
    if (!memory) return bytes;
    scratch->visited = (uint64_t *)(void *)places[0];
    scratch->touched = (uint32_t *)(void *)places[1];
    scratch->pool = (uint64_t *)(void *)places[2];
    scratch->fresh = (uint64_t *)(void *)places[3];
    scratch->nodes = (uint32_t *)(void *)places[4];
    scratch->offsets = (uint32_t *)(void *)places[5];
    scratch->scores = (int32_t *)(void *)places[6];
    scratch->code = places[7];
    return bytes;
}

size_t oct_hnsw_query_bytes(const oct_hnsw *graph)
{
    return graph->flat.quant ? oct_multi_prepared_bytes(graph->flat.quant)
                             : (size_t)graph->header.row_bytes << oct_hnsw_is_packed(graph);
}

oct_status oct_hnsw_scratch_prepare(oct_hnsw_scratch *scratch, const oct_hnsw *graph, uint32_t ef,
                                    uint32_t gather, uint32_t rows, oct_error *error)
{
    oct_hnsw_scratch larger = *scratch;
    larger.words = MAX(scratch->words, oct_bits_words(graph->header.count));
    larger.ef = MAX(scratch->ef, ef);
    larger.gather = MAX(scratch->gather, gather);
    size_t code_bytes = 0;
    if (!oct_size_multiply(rows, oct_hnsw_query_bytes(graph), &code_bytes))
        return oct_fail_nomem(error, "the rows of a query");
    larger.code_bytes = MAX(scratch->code_bytes, code_bytes);
    if (larger.words == scratch->words && larger.ef == scratch->ef &&
        larger.gather == scratch->gather && larger.code_bytes == scratch->code_bytes)
        return OCT_OK;
    uint64_t bytes = carve(&larger, NULL) + HNSW_ALIGN_BYTES;
    uint8_t *memory = bytes <= SIZE_MAX ? oct_new_zeroed(scratch->alloc, (size_t)bytes) : NULL;
    if (!memory) return oct_fail_nomem(error, "the working memory of a graph search");
    carve(&larger, memory + (HNSW_ALIGN_BYTES - (uintptr_t)memory % HNSW_ALIGN_BYTES));
    larger.memory = memory;
    larger.memory_bytes = (size_t)bytes;
    oct_free(scratch->alloc, scratch->memory, scratch->memory_bytes);
    *scratch = larger;
    return OCT_OK;
}

/* ---- scores ----------------------------------------------------------------------------- */

void oct_hnsw_prefetch(const oct_hnsw *graph, const uint32_t *offsets, uint32_t count)
{
    bool codes = oct_hnsw_has_codes(graph);
    if (graph->flat.ends) return; /* several rows: the hardware sees where they go */
    if (graph->flat.quant) {
        oct_quant_prefetch(graph->flat.quant, offsets, count);
        return;
    }
    if (!codes && graph->flat.read) return;
    size_t stride = codes ? graph->header.row_bytes : oct_flat_row_bytes(&graph->flat);
    size_t ahead = MIN(stride, (size_t)AHEAD_BYTES);
    const uint8_t *rows = codes ? graph->codes : oct_flat_stored(&graph->flat, 0);
    for (uint32_t i = 0; i < count; i++)
        oct_prefetch(rows + offsets[i] * stride, ahead);
}

/* A bias out of a damaged file may be anything; a wrong score is harmless, an overflow is not. */
static int32_t add_wrapping(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static void score_codes(const oct_hnsw *graph, const uint8_t *code, const uint32_t *offsets,
                        uint32_t count, int32_t *scores)
{
    const oct_kernels *kernels = graph->flat.kernels;
    bool packed = oct_hnsw_is_packed(graph);
    size_t bytes = graph->header.row_bytes;
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const int8_t *rows[4];
        for (uint32_t j = 0; j < 4; j++)
            rows[j] = (const int8_t *)graph->codes + offsets[i + j] * bytes;
        (packed ? kernels->dot_u7u4_x4 : kernels->dot_u7i8_x4)(code, rows, bytes, scores + i);
        for (uint32_t j = 0; j < 4; j++)
            scores[i + j] = add_wrapping(scores[i + j], graph->bias[offsets[i + j]]);
    }
    for (; i < count; i++) {
        const int8_t *row = (const int8_t *)graph->codes + offsets[i] * bytes;
        int32_t dot = (packed ? kernels->dot_u7u4 : kernels->dot_u7i8)(code, row, bytes);
        scores[i] = add_wrapping(dot, graph->bias[offsets[i]]);
    }
}

static void score_read(const oct_hnsw *graph, hnsw_target target, const uint32_t *offsets,
                       uint32_t count, int32_t *scores)
{
    hnsw_reads *reads = target.reads;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = NULL;
        scores[i] = INT32_MIN;
        if (reads->status == OCT_OK)
            reads->status =
                oct_flat_get(&graph->flat, offsets[i], 1, &reads->buffer, &row, reads->error);
        if (reads->status == OCT_OK)
            scores[i] =
                oct_hnsw_score_pack(oct_flat_score_stored(&graph->flat, target.vector, row));
    }
}

static void score_rows(const oct_flat *flat, const float *vector, const uint32_t *offsets,
                       uint32_t count, int32_t *scores)
{
    uint32_t i = 0;
    for (; oct_flat_scores_fours(flat) && i + 4 <= count; i += 4) {
        float four[4];
        oct_flat_score_four(flat, vector, offsets + i, four);
        for (uint32_t j = 0; j < 4; j++)
            scores[i + j] = oct_hnsw_score_pack(four[j]);
    }
    for (; i < count; i++)
        scores[i] = oct_hnsw_score_pack(oct_flat_score(flat, vector, offsets[i]));
}

void oct_hnsw_score(const oct_hnsw *graph, hnsw_target target, const uint32_t *offsets,
                    uint32_t count, int32_t *scores)
{
    if (graph->flat.ends) {
        oct_hnsw_score_multi(graph, target, offsets, count, scores);
        return;
    }
    if (graph->flat.quant) {
        oct_quant_score(graph->flat.quant, target.code, offsets, count, scores);
        return;
    }
    if (oct_hnsw_has_codes(graph)) {
        score_codes(graph, target.code, offsets, count, scores);
        return;
    }
    if (target.reads) {
        score_read(graph, target, offsets, count, scores);
        return;
    }
    score_rows(&graph->flat, target.vector, offsets, count, scores);
}

/* ---- the walk --------------------------------------------------------------------------- */

bool oct_hnsw_cancelled(oct_hnsw_scratch *scratch)
{
    if (!scratch->cancelled || scratch->cost.walked < scratch->next_poll) return false;
    scratch->next_poll = scratch->cost.walked + POLL_DISTANCES;
    return scratch->cancelled(scratch->cancelled_arg);
}

void oct_hnsw_forget_visits(oct_hnsw_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->touched_count; i++)
        scratch->visited[scratch->touched[i]] = 0;
    scratch->touched_count = 0;
}

/* How many of the `count` keys, best first, are better than `key`. */
static uint32_t keys_before(const uint64_t *keys, uint32_t count, uint64_t key)
{
    const uint64_t *base = keys;
    if (count == 0) return 0;
    while (count > 1) {
        uint32_t half = count / 2;
        base += base[half - 1] > key ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - keys) + (*base > key);
}

/* Ask for the links of a node of level 0. */
static void prefetch_links(const oct_hnsw *graph, uint32_t node)
{
    const uint32_t *row = oct_hnsw_row(graph, node, 0);
    oct_prefetch(row, MIN(graph->m0 * sizeof *row, (size_t)LINKS_AHEAD_BYTES));
}

/* Which of `count` scores are not below the pool's worst, into scratch->offsets; how many. Without
 * a branch, because nothing foretells it. */
static uint32_t pass(const oct_hnsw_scratch *scratch, uint32_t count, uint32_t ef)
{
    uint32_t *places = scratch->offsets;
    uint32_t passing = 0;
    int32_t worst = INT32_MIN;
    if (scratch->pool_count == ef) worst = oct_hnsw_key_score(scratch->pool[ef - 1]);
    for (uint32_t i = 0; i < count; i++) {
        places[passing] = i;
        passing += scratch->scores[i] >= worst;
    }
    return passing;
}

/* Put a key among the `fresh` ones, best first, when the pool may take it; how many there are. */
static uint32_t choose(oct_hnsw_scratch *scratch, uint32_t fresh, uint64_t key, uint32_t ef)
{
    uint64_t *keys = scratch->fresh;
    if (scratch->pool_count == ef && key < scratch->pool[ef - 1]) return fresh;
    if (fresh == ef && key < keys[ef - 1]) return fresh;
    uint32_t place = fresh < ef ? fresh++ : ef - 1;
    for (; place > 0 && keys[place - 1] < key; place--)
        keys[place] = keys[place - 1];
    keys[place] = key;
    return fresh;
}

/* Merge the fresh keys into the pool, from its end, so that each key of it moves once at most, and
 * keep the best `ef`. The place of the best fresh key. */
static uint32_t merge(oct_hnsw_scratch *scratch, uint32_t fresh, uint32_t ef)
{
    uint64_t *pool = scratch->pool;
    const uint64_t *keys = scratch->fresh;
    uint32_t size = scratch->pool_count;
    while (size + fresh > ef) { /* the worst of both */
        if (size == 0 || (fresh > 0 && keys[fresh - 1] < pool[size - 1]))
            fresh--;
        else
            size--;
    }
    if (fresh == 0) return UINT32_MAX;
    scratch->pool_count = size + fresh;
    uint32_t place = size;
    for (; fresh > 0; fresh--) {
        uint32_t end = place;
        place = keys_before(pool, end, keys[fresh - 1]);
        memmove(pool + place + fresh, pool + place, (end - place) * sizeof *pool);
        pool[place + fresh - 1] = keys[fresh - 1];
    }
    return place;
}

uint32_t oct_hnsw_admit(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                        uint32_t level, uint32_t count, uint32_t ef)
{
    const uint32_t *offsets = scratch->nodes;
    if (level > 0) {
        for (uint32_t i = 0; i < count; i++)
            scratch->offsets[i] = graph->upper_points[scratch->nodes[i]];
        offsets = scratch->offsets;
    }
    oct_hnsw_score(graph, target, offsets, count, scratch->scores);
    scratch->cost.walked += count;

    uint32_t passing = pass(scratch, count, ef);
    uint32_t fresh = 0;
    for (uint32_t k = 0; k < passing; k++) {
        uint32_t i = scratch->offsets[k];
        fresh = choose(scratch, fresh, oct_hnsw_key(scratch->scores[i], scratch->nodes[i]), ef);
    }
    uint32_t first = merge(scratch, fresh, ef);
    if (level == 0 && fresh > 0) prefetch_links(graph, oct_hnsw_key_node(scratch->fresh[0]));
    return MIN(first, scratch->pool_count);
}

/* Gather the neighbours of `node` not met before. */
static uint32_t gather(const oct_hnsw *graph, oct_hnsw_scratch *scratch, uint32_t node,
                       uint32_t level)
{
    const uint32_t *row = oct_hnsw_row(graph, node, level);
    uint32_t stride = oct_hnsw_row_stride(graph, level);
    uint32_t count = 0;
    for (uint32_t i = 0; i < stride && row[i] != HNSW_NONE; i++) {
        scratch->nodes[count] = row[i];
        count += oct_hnsw_visit(scratch, row[i]);
    }
    return count;
}

/* Start with a node and, on level 0, the entry: from there every point can be reached, so that a
 * walk with room for all finds all. */
static void begin(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                  uint32_t level, uint32_t start, uint32_t ef)
{
    uint32_t starts = oct_hnsw_visit(scratch, start);
    scratch->pool_count = 0;
    scratch->nodes[0] = start;
    scratch->nodes[1] = graph->header.entry;
    if (level == 0) starts += oct_hnsw_visit(scratch, graph->header.entry);
    (void)oct_hnsw_admit(graph, target, scratch, level, starts, ef); /* the cursor is at 0 */
}

bool oct_hnsw_walk(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                   uint32_t level, uint32_t start, uint32_t ef)
{
    ASSERT_HOT(scratch->ef >= ef);
    const hnsw_pace pace = scratch->pace;
    uint64_t *pool = scratch->pool;
    uint32_t cursor = 0;
    uint32_t calm = 0; /* points followed since one bettered the best */
    bool stopped = false;
    begin(graph, target, scratch, level, start, ef);
    while (cursor < scratch->pool_count && calm < pace.patience && !stopped) {
        if (pool[cursor] & 1) {
            cursor++;
            continue;
        }
        pool[cursor] |= 1;
        uint32_t count = gather(graph, scratch, oct_hnsw_key_node(pool[cursor]), level);
        if (level == 0) {
            oct_hnsw_prefetch(graph, scratch->nodes, count);
            if (cursor + 1 < scratch->pool_count)
                prefetch_links(graph, oct_hnsw_key_node(pool[cursor + 1]));
        }
        uint32_t changed = oct_hnsw_admit(graph, target, scratch, level, count, ef);
        cursor = MIN(changed, cursor + 1);
        calm = changed < pace.best ? 0 : calm + 1;
        scratch->cost.expanded += level == 0;
        stopped = oct_hnsw_cancelled(scratch);
    }
    oct_hnsw_forget_visits(scratch);
    return !stopped;
}

/* The best key among the links of `node` and the key it has itself. */
static uint64_t best_neighbour(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                               uint64_t key, uint32_t level)
{
    const uint32_t *row = oct_hnsw_row(graph, oct_hnsw_key_node(key), level);
    uint32_t count = 0;
    for (; count < graph->header.m && row[count] != HNSW_NONE; count++)
        scratch->offsets[count] = graph->upper_points[row[count]];
    oct_hnsw_prefetch(graph, scratch->offsets, count);
    oct_hnsw_score(graph, target, scratch->offsets, count, scratch->scores);
    scratch->cost.walked += count;
    for (uint32_t i = 0; i < count; i++)
        key = MAX(key, oct_hnsw_key(scratch->scores[i], row[i]));
    return key;
}

uint32_t oct_hnsw_descend(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                          uint32_t level)
{
    ASSERT_HOT(graph->header.levels > 0);
    uint32_t top = graph->header.levels - 1;
    if (level >= top) return graph->entry_node;
    int32_t score;
    oct_hnsw_score(graph, target, &graph->header.entry, 1, &score);
    scratch->cost.walked++;
    uint64_t key = oct_hnsw_key(score, graph->entry_node);
    for (uint32_t at = top; at > level; at--) {
        uint64_t better = best_neighbour(graph, target, scratch, key, at);
        while (better > key) {
            key = better;
            better = best_neighbour(graph, target, scratch, key, at);
        }
    }
    uint32_t node = oct_hnsw_key_node(key);
    return level == 0 ? graph->upper_points[node] : node;
}
