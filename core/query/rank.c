/* SPDX-License-Identifier: Apache-2.0
 *
 * rank.c - a bounded binary heap, worst at the top; sorted in place at the end. Ids are unique
 * within a view, so (similarity, id) is a total order and the result depends on nothing else. */
#include "query/rank.h"

#include "model/point_id.h"

static bool before(const oct_ranked *a, const oct_ranked *b)
{
    if (a->score > b->score) return true;
    if (a->score < b->score) return false;
    return oct_point_id_compare(a->id, b->id) < 0;
}

/* Put `item` where it belongs at or below `hole`, among the first `count`. */
static void sift_down(oct_ranked *items, uint32_t count, uint32_t hole, oct_ranked item)
{
    for (;;) {
        uint32_t child = 2 * hole + 1;
        if (child >= count) break;
        if (child + 1 < count && before(&items[child], &items[child + 1])) child++;
        if (!before(&item, &items[child])) break;
        items[hole] = items[child];
        hole = child;
    }
    items[hole] = item;
}

oct_status oct_rank_create(oct_arena *arena, uint32_t limit, oct_rank *out, oct_error *error)
{
    *out = (oct_rank){ .limit = limit };
    STATIC_ASSERT(OCT_LIMIT_MAX < UINT32_MAX / 2, "2 * hole + 1 can't overflow");
    ASSERT(limit < UINT32_MAX / 2);
    return oct_arena_array(arena, limit, sizeof *out->items, &out->items, error);
}

bool oct_rank_push(oct_rank *rank, oct_ranked item)
{
    oct_ranked *items = rank->items;
    ASSERT_HOT(item.score == item.score);
    if (rank->count == rank->limit) {
        if (rank->limit == 0 || !before(&item, &items[0])) return false;
        sift_down(items, rank->count, 0, item);
        return true;
    }
    uint32_t hole = rank->count++;
    while (hole > 0 && before(&items[(hole - 1) / 2], &item)) {
        items[hole] = items[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    items[hole] = item;
    return true;
}

uint32_t oct_rank_finish(oct_rank *rank)
{
    for (uint32_t left = rank->count; left > 1; left--) {
        oct_ranked last = rank->items[left - 1];
        rank->items[left - 1] = rank->items[0];
        sift_down(rank->items, left - 1, 0, last);
    }
    return rank->count;
}
