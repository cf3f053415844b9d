/* SPDX-License-Identifier: Apache-2.0
 *
 * rank.h - the best k points of a whole view: by similarity, equal ones by id.
 *
 * All segments offer to one ranking, so there is no merge step. A scroll is the same with all
 * similarities equal. base/topk.h is not enough here: its ties go by offset, which is the order
 * of ids only within one sealed segment. */
#ifndef OCTANT_QUERY_RANK_H
#define OCTANT_QUERY_RANK_H

#include "base/arena.h"
#include "base/check.h"
#include "octant/types.h"
#include "segment/view.h"

typedef struct oct_ranked {
    float score; /* similarity: higher is better, whatever the metric */
    oct_location at;
    oct_point_id id;
} oct_ranked;

typedef struct oct_rank {
    oct_ranked *items; /* [count], a heap with the worst at items[0] */
    uint32_t count;
    uint32_t limit;
} oct_rank;

/* Start empty with room for `limit` points (0 allowed: keeps none). NOMEM, LIMIT of the arena. */
OCT_MUST_CHECK oct_status oct_rank_create(oct_arena *arena, uint32_t limit, oct_rank *out,
                                          oct_error *error);

/* Would a point of this similarity, whatever its id, be among the best so far? */
static inline bool oct_rank_may_take(const oct_rank *rank, float score)
{
    return rank->count < rank->limit || (rank->limit > 0 && score >= rank->items[0].score);
}

/* Offer a point (each id once); true when it is among the best so far. O(log limit). */
bool oct_rank_push(oct_rank *rank, oct_ranked item);

/* Sort best first; how many there are. Ends the pushing. */
uint32_t oct_rank_finish(oct_rank *rank);

#endif
