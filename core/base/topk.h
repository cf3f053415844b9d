/* SPDX-License-Identifier: Apache-2.0
 *
 * topk.h - the best k of a stream of hits, with a total order. */
#ifndef OCTANT_BASE_TOPK_H
#define OCTANT_BASE_TOPK_H

#include "base/check.h"

typedef struct oct_hit {
    float score;     /* similarity: higher is better, whatever the metric */
    uint32_t offset; /* point offset inside its segment */
} oct_hit;

typedef struct oct_topk {
    oct_hit *hits; /* [count], a heap with the worst hit at hits[0]; memory is borrowed */
    uint32_t count;
    uint32_t limit;
} oct_topk;

/* Is a before b? Higher score first; equal scores: smaller offset first. */
static inline bool oct_hit_before(oct_hit a, oct_hit b)
{
    return a.score > b.score || (a.score == b.score && a.offset < b.offset);
}

/* Start an empty top-k in caller memory `hits`, which must hold `limit` >= 1 entries and outlive
 * it. Never fails, never allocates. */
void oct_topk_init(oct_topk *topk, oct_hit *hits, uint32_t limit);

/* Offer one hit; true when it is among the best so far. NaN scores are a bug (asserted).
 * O(log limit). */
bool oct_topk_push(oct_topk *topk, oct_hit hit);

/* Sort the hits best-first in place and return how many there are. Ends the pushing. */
uint32_t oct_topk_finish(oct_topk *topk);

#endif
