/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the heap returns exactly what sorting everything would, in any order of arrival, and push
 * says truly whether the hit is among the best so far.
 * Method: random streams with many ties against a full sort; then the edges. */
#include "base/topk.h"

#include <math.h>

#include "test.h"

enum { STREAM = 300 };

static int best_first(const void *a, const void *b)
{
    const oct_hit *x = a;
    const oct_hit *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool same_hit(oct_hit a, oct_hit b)
{
    return a.score == b.score && a.offset == b.offset;
}

/* Is `hit` among the best `limit` of all[count]? */
static bool is_kept(const oct_hit *all, uint32_t count, oct_hit hit, uint32_t limit)
{
    uint32_t better = 0;
    for (uint32_t i = 0; i < count; i++)
        if (oct_hit_before(all[i], hit)) better++;
    return better < limit;
}

TEST(equals_a_full_sort)
{
    oct_hit all[STREAM], kept[STREAM];
    for (uint32_t limit = 1; limit <= STREAM + 23; limit += 23) {
        oct_topk topk;
        uint32_t room = MIN(limit, (uint32_t)STREAM);
        oct_topk_init(&topk, kept, limit);
        for (uint32_t i = 0; i < STREAM; i++) {
            float score = (float)test_random_below(20) - 10.0f;
            all[i] = (oct_hit){ .score = score, .offset = i * 7919 % STREAM };
            bool pushed = oct_topk_push(&topk, all[i]);
            CHECK(pushed == is_kept(all, i, all[i], limit));
            CHECK(topk.count == MIN(i + 1, limit));
        }
        qsort(all, STREAM, sizeof all[0], best_first);
        CHECK(oct_topk_finish(&topk) == room);
        for (uint32_t i = 0; i < room; i++)
            CHECK(same_hit(kept[i], all[i]));
    }
}

TEST(the_worst_is_at_the_root)
{
    oct_hit hits[10];
    oct_topk topk;
    oct_topk_init(&topk, hits, ARRAY_COUNT(hits));
    for (uint32_t i = 0; i < 500; i++) {
        oct_topk_push(&topk, (oct_hit){ test_random_float(), i });
        for (uint32_t j = 1; j < topk.count; j++)
            CHECK(!oct_hit_before(hits[0], hits[j]));
    }
}

TEST(edges)
{
    oct_hit hits[3];
    oct_topk topk;
    oct_topk_init(&topk, hits, 3);
    CHECK(oct_topk_finish(&topk) == 0);
    CHECK(oct_topk_push(&topk, (oct_hit){ -INFINITY, 5 }));
    CHECK(oct_topk_finish(&topk) == 1 && hits[0].offset == 5);
    oct_topk_init(&topk, hits, 3);
    CHECK(oct_topk_push(&topk, (oct_hit){ -INFINITY, 1 }));
    CHECK(oct_topk_push(&topk, (oct_hit){ INFINITY, 2 }));
    CHECK(oct_topk_push(&topk, (oct_hit){ -0.0f, 3 }));
    CHECK(oct_topk_push(&topk, (oct_hit){ 0.0f, 1 })); /* 0 and -0 tie: the offset decides */
    CHECK(!oct_topk_push(&topk, (oct_hit){ -INFINITY, 0 }));
    CHECK(oct_topk_finish(&topk) == 3);
    CHECK(hits[0].offset == 2 && hits[1].offset == 1 && hits[2].offset == 3);
    oct_topk_init(&topk, hits, 1);
    CHECK(oct_topk_push(&topk, (oct_hit){ 1.0f, 9 }));
    CHECK(!oct_topk_push(&topk, (oct_hit){ 1.0f, 9 }));
    CHECK(!oct_topk_push(&topk, (oct_hit){ 1.0f, UINT32_MAX }));
    CHECK(oct_topk_push(&topk, (oct_hit){ 1.0f, 8 }));
    CHECK(oct_topk_finish(&topk) == 1 && hits[0].offset == 8);
}

TEST_MAIN(equals_a_full_sort, the_worst_is_at_the_root, edges)
