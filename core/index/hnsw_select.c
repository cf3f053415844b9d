/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_select.c - which candidates become links: the paper's Algorithm 4.
 *
 * Candidates are taken nearest first; one is chosen unless it is nearer to an already chosen one
 * than to the owner, for then the walk gets to it through that one. So links point in all
 * directions, and rows stay shorter than they may be - which leaves room to append before the next
 * pruning. Filling rows up with what was refused (the paper's keepPrunedConnections) was measured
 * and left out: at equal queries per second it found less (100k x 384: .951 against .956). Repaired
 * rows are filled up to the length they had, because no new points will lengthen them: recall after
 * deleting a third was .965 without, .976 with, .977 built anew.
 *
 * The walk score of (target a, point b) lacks a's bias (simd/codes.h), so it orders points for one
 * target but can't be compared across targets. Here the candidate is always the target, and its
 * score towards the owner is turned round to match. */
#include "base/alloc.h"
#include "base/bits.h"
#include "index/hnsw_build.h"

/* Shell's method with Ciura's gaps: rows have a few dozen keys, hubs up to thousands. */
void oct_hnsw_sort_keys(uint64_t *keys, uint32_t count)
{
    static const uint32_t gaps[] = { 3937, 1750, 701, 301, 132, 57, 23, 10, 4, 1 };
    for (size_t g = 0; g < ARRAY_COUNT(gaps); g++) {
        uint32_t gap = gaps[g];
        for (uint32_t i = gap; i < count; i++) {
            uint64_t key = keys[i];
            uint32_t hole = i;
            for (; hole >= gap && keys[hole - gap] < key; hole -= gap)
                keys[hole] = keys[hole - gap];
            keys[hole] = key;
        }
    }
}

/* Is the candidate nearer to one of the chosen than `score`, its similarity to the owner? Both
 * with the candidate as target. Four at a time, because most are refused by one of the first. */
static bool is_covered(const oct_hnsw *graph, const uint32_t *chosen, uint32_t chosen_count,
                       uint32_t candidate, int32_t score)
{
    hnsw_target target = oct_hnsw_target(graph, candidate);
    for (uint32_t first = 0; first < chosen_count; first += 4) {
        int32_t scores[4];
        uint32_t count = MIN(4u, chosen_count - first);
        oct_hnsw_score(graph, target, chosen + first, count, scores);
        for (uint32_t i = 0; i < count; i++) {
            if (scores[i] > score) return true;
        }
    }
    return false;
}

static bool row_has(const uint32_t *row, uint32_t length, uint32_t node)
{
    for (uint32_t i = 0; i < length; i++) {
        if (row[i] == node) return true;
    }
    return false;
}

void oct_hnsw_select(const oct_hnsw *graph, hnsw_worker *worker, hnsw_place place, uint32_t count,
                     uint32_t *row, int32_t *scores)
{
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count && chosen < place.max; i++) {
        uint32_t node = oct_hnsw_key_node(worker->keys[i]);
        int32_t score = oct_hnsw_key_score(worker->keys[i]);
        uint32_t offset = oct_hnsw_node_offset(graph, node, place.level);
        int32_t turned = oct_hnsw_score_turn(graph, score, place.offset, offset);
        if (is_covered(graph, worker->chosen, chosen, offset, turned)) continue;
        worker->chosen[chosen] = offset;
        row[chosen] = node;
        if (scores) scores[chosen] = score;
        chosen++;
    }
    for (uint32_t i = 0; i < count && chosen < place.least; i++) {
        uint32_t node = oct_hnsw_key_node(worker->keys[i]);
        if (!row_has(row, chosen, node)) row[chosen++] = node;
    }
    for (uint32_t i = chosen; i < place.max; i++)
        row[i] = HNSW_NONE;
}
