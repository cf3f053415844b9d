/* SPDX-License-Identifier: Apache-2.0 */
/* multi_support.h - what the tests of graphs over multivectors share: clustered multivectors, and
 * recall against an exact scan. */
#ifndef OCT_TEST_MULTI_SUPPORT_H
#define OCT_TEST_MULTI_SUPPORT_H

#include "index/multi.h"
#include "unit/hnsw_fixture.h"

enum { MULTI_QUERIES = 50, MULTI_ASKED = 4, TOPIC_CENTRES = 5, POINTS_PER_TOPIC = 25 };

typedef struct multi_world {
    float *rows, *queries; /* queries [MULTI_QUERIES][MULTI_ASKED][dim] */
    uint64_t *ends, *present;
    oct_flat flat;
} multi_world;

/* A row of a point about `topic`: near one of its centres, or now and then of another's. */
static inline void multi_row(float *row, const float *centres, uint32_t topics, uint32_t topic,
                             const oct_flat *flat)
{
    if (test_random_below(5) == 0) topic = test_random_below(topics);
    uint32_t centre = topic * TOPIC_CENTRES + test_random_below(TOPIC_CENTRES);
    world_vector(row, centres + (size_t)centre * flat->dim, flat->dim, flat->metric);
}

/* `count` points of 1 to `most` rows; about one in ten has none. Uses the test's random stream. */
static inline multi_world multi_create(oct_metric metric, uint32_t count, uint32_t dim,
                                       uint32_t most)
{
    multi_world w = { .flat = { .kernels = oct_kernels_select(NULL),
                                .count = count,
                                .dim = dim,
                                .metric = metric } };
    uint32_t topics = count / POINTS_PER_TOPIC + 1, rows = 0;
    float *centres = malloc((size_t)topics * TOPIC_CENTRES * dim * sizeof *centres);
    w.ends = malloc(count * sizeof *w.ends);
    w.present = calloc(oct_bits_words(count) + 1, sizeof *w.present);
    w.rows = malloc((size_t)count * most * dim * sizeof *w.rows);
    w.queries = malloc((size_t)MULTI_QUERIES * MULTI_ASKED * dim * sizeof *w.queries);
    if (!centres || !w.ends || !w.present || !w.rows || !w.queries) abort();
    for (uint32_t i = 0; i < topics * TOPIC_CENTRES * dim; i++)
        centres[i] = test_random_float() * 0.5f;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t topic = test_random_below(topics), own = 1 + test_random_below(most);
        if (test_random_below(10) == 0) own = 0;
        if (own > 0) oct_bits_set(w.present, i);
        for (uint32_t r = 0; r < own; r++)
            multi_row(w.rows + (size_t)rows++ * dim, centres, topics, topic, &w.flat);
        w.ends[i] = rows;
    }
    for (uint32_t i = 0; i < MULTI_QUERIES; i++) {
        uint32_t topic = test_random_below(topics);
        for (uint32_t r = 0; r < MULTI_ASKED; r++)
            multi_row(w.queries + (size_t)(i * MULTI_ASKED + r) * dim, centres, topics, topic,
                      &w.flat);
    }
    free(centres);
    w.flat.rows = w.rows;
    w.flat.ends = w.ends;
    w.flat.present = w.present;
    return w;
}

static inline void multi_destroy(multi_world *w)
{
    free(w->rows);
    free(w->queries);
    free(w->ends);
    free(w->present);
}

/* Share of the true 10 nearest among those `ask` allows; -1 when a search fails or a hit is given
 * twice, or is absent, not allowed or has another score than the exact one. */
static inline double multi_recall(const multi_world *w, const oct_hnsw *graph, oct_hnsw_query ask)
{
    oct_hnsw_scratch *scratch;
    uint32_t found = 0, wanted = 0;
    bool good = oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK;
    for (uint32_t i = 0; i < MULTI_QUERIES && good; i++) {
        oct_hit hits[LIMIT], truth[LIMIT];
        oct_topk best, exact;
        oct_flat_buffer buffer = { .bytes = 0 };
        const oct_flat_limits limits = { .allowed = ask.allowed };
        const oct_multi_query query = { .values =
                                            w->queries + (size_t)i * MULTI_ASKED * w->flat.dim,
                                        .rows = MULTI_ASKED };
        ask.vector = query.values;
        ask.rows = query.rows;
        oct_topk_init(&best, hits, LIMIT);
        oct_topk_init(&exact, truth, LIMIT);
        good = oct_hnsw_search(graph, &ask, scratch, &best, NULL) == OCT_OK &&
               oct_multi_scan(&w->flat, &query, &limits, &exact, NULL) == OCT_OK;
        oct_topk_finish(&best);
        wanted += oct_topk_finish(&exact);
        for (uint32_t a = 0; a < best.count && good; a++) {
            float score = 0;
            good = oct_flat_has(&w->flat, hits[a].offset) &&
                   (!ask.allowed || oct_bits_get(ask.allowed, hits[a].offset)) &&
                   oct_multi_score(&w->flat, &query, hits[a].offset, &buffer, &score, NULL) ==
                       OCT_OK &&
                   score == hits[a].score && (a == 0 || oct_hit_before(hits[a - 1], hits[a]));
            for (uint32_t b = 0; b < exact.count; b++)
                found += hits[a].offset == truth[b].offset;
        }
    }
    oct_hnsw_scratch_destroy(scratch);
    return good ? (double)found / (double)(wanted ? wanted : 1) : -1;
}

#endif
