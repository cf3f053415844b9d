/* SPDX-License-Identifier: Apache-2.0
 *
 * topk.c - a bounded heap of the best k hits.
 *
 * The worst kept hit is at the root, so a newcomer is compared with one element and usually
 * turned away at once. Sifting moves a hole instead of swapping. The order is total (score, then
 * offset), hence the result does not depend on the order of arrival. A sorted array was
 * rejected: it wins below k = 16 only, and k is the user's. */
#include "base/topk.h"

void oct_topk_init(oct_topk *topk, oct_hit *hits, uint32_t limit)
{
    ASSERT(limit >= 1);
    *topk = (oct_topk){ .hits = hits, .count = 0, .limit = limit };
}

/* Put `hit` into the heap of `count` entries whose root is a hole. */
static void sift_down(oct_hit *hits, uint32_t count, oct_hit hit)
{
    size_t hole = 0;
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= count) break;
        if (child + 1 < count && oct_hit_before(hits[child], hits[child + 1])) child++;
        if (!oct_hit_before(hit, hits[child])) break;
        hits[hole] = hits[child];
        hole = child;
    }
    hits[hole] = hit;
}

/* Put `hit` into the heap whose new last entry, `hole`, is free. */
static void sift_up(oct_hit *hits, size_t hole, oct_hit hit)
{
    while (hole > 0) {
        size_t parent = (hole - 1) / 2;
        if (!oct_hit_before(hits[parent], hit)) break;
        hits[hole] = hits[parent];
        hole = parent;
    }
    hits[hole] = hit;
}

bool oct_topk_push(oct_topk *topk, oct_hit hit)
{
    ASSERT(hit.score == hit.score); /* a NaN would break the order */
    if (topk->count < topk->limit) {
        sift_up(topk->hits, topk->count++, hit);
        return true;
    }
    if (!oct_hit_before(hit, topk->hits[0])) return false;
    sift_down(topk->hits, topk->count, hit);
    return true;
}

uint32_t oct_topk_finish(oct_topk *topk)
{
    /* Heap sort: the worst goes to the end, the heap shrinks by one. */
    for (uint32_t left = topk->count; left > 1; left--) {
        oct_hit worst = topk->hits[0];
        sift_down(topk->hits, left - 1, topk->hits[left - 1]);
        topk->hits[left - 1] = worst;
    }
    return topk->count;
}
