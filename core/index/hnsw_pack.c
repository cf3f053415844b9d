/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_pack.c - codes of 4 bits in the place of those of 7, when a graph is whole.
 *
 * Walks wait for memory, so half the bytes are worth more than what the coarser codes cost in
 * points looked at. Links are chosen by 7 bits all the same: they are chosen once.
 *
 * Whether 4 bits do is measured on a sample, in integers, so all targets agree (simd/codes.h says
 * what they are). 40,000 rows, M 16, ef_construct 100; points looked at for recall@10 .95 and .99
 * as multiples of those with 7 bits, and the share of the variance that is lost:
 *
 *     sentence embeddings, 384 dimensions, Cosine             .99   .99    .014   packed
 *     their first 96 dimensions, Cosine                      1.01   .99    .012   packed
 *     the same 384, a mean of its own for each               .99   .98    .015   packed
 *     the same 128, all shifted by three deviations          1.05  1.04    .014   packed
 *     absolute values of 384, Cosine                         1.07    -     .021   packed
 *     whole numbers >= 0 like those of SIFT, 128, Euclid     1.04  1.03    .031   packed
 *     384, lengths spread by a third, Euclid                  .99    -     .020   packed
 *     the same, Dot: recall at ef 400 falls by .3             -     -      .020   not
 *     4 of 384 dimensions 8 times as wide, Cosine (recall -.16) -   -      .103   not
 *
 * Rejected: v = byte >> 3, which is half of the range where numbers are of one sign (recall -.04),
 * and doesn't put back what is known of what it loses (recall -.03 where all are shifted). */
#include "base/bits.h"
#include "index/hnsw_build.h"

enum {
    SAMPLE_POINTS = 512,
    POINTS_MIN = 64,       /* graphs of fewer points are in cache anyway */
    ROUND_VALUES = 1 << 18 /* packed in a round: half a millisecond */
};

/* Point k of SAMPLE_POINTS, evenly spaced; NULL when it has no vector. */
static const uint8_t *sample(const oct_hnsw *graph, uint32_t k)
{
    uint32_t offset = (uint32_t)((uint64_t)k * graph->header.count / SAMPLE_POINTS);
    if (!oct_flat_has(&graph->flat, offset)) return NULL;
    return graph->codes + (size_t)offset * graph->header.row_bytes;
}

/* Shorter rows, and enough points to say so? Codes of multivectors were not tried. */
static bool wants(const oct_hnsw_builder *builder)
{
    const oct_hnsw *graph = builder->graph;
    return oct_hnsw_has_codes(graph) && !graph->flat.ends && builder->total >= POINTS_MIN &&
           oct_codes_packed_bytes(builder->dim) < graph->space.row_bytes;
}

/* The mean code of dimensions. */
static oct_status find_middles(oct_hnsw_builder *builder, uint32_t first, uint32_t end,
                               oct_error *error)
{
    UNUSED(error);
    for (uint32_t i = first; i < end; i++) {
        uint32_t sum = 0;
        uint32_t count = 0;
        for (uint32_t k = 0; k < SAMPLE_POINTS; k++) {
            const uint8_t *row = sample(builder->graph, k);
            sum += row ? row[i] : 0;
            count += row != NULL;
        }
        builder->middles[i] = (uint8_t)(count ? (sum + count / 2) / count : 0);
    }
    return OCT_OK;
}

/* Products with rows of different lengths don't say who is near, which is what packing bets on. */
static uint32_t find_step(const oct_hnsw_builder *builder)
{
    uint32_t differences[256] = { 0 };
    uint32_t shortest = UINT32_MAX;
    uint32_t longest = 0;
    for (uint32_t k = 0; k < SAMPLE_POINTS; k++) {
        const uint8_t *row = sample(builder->graph, k);
        uint32_t squares = 0;
        if (!row) continue;
        for (uint32_t i = 0; i < builder->dim; i++) {
            squares += (uint32_t)((row[i] - 64) * (row[i] - 64));
            differences[128 + row[i] - builder->middles[i]]++;
        }
        shortest = MIN(shortest, squares);
        longest = MAX(longest, squares);
    }
    bool lengths_differ = longest - MIN(shortest, longest) > longest / 4;
    bool product = builder->graph->flat.metric == OCT_METRIC_DOT;
    return product && lengths_differ ? 0 : oct_codes_fit_packing(differences);
}

/* In place: what is written ends before what is still to be read begins. */
static oct_status pack(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error)
{
    const oct_hnsw *graph = builder->graph;
    uint8_t *codes = builder->block + graph->layout.codes;
    size_t bytes = oct_codes_packed_bytes(builder->dim);
    UNUSED(error);
    if (first == 0 && wants(builder)) {
        builder->packing.middles = builder->middles;
        builder->packing.step = find_step(builder);
    }
    if (builder->packing.step == 0) return OCT_OK;
    for (size_t at = first; at < end; at++) {
        int32_t bias = oct_codes_pack(&graph->space, &builder->packing,
                                      codes + at * graph->header.row_bytes, codes + at * bytes);
        memcpy(builder->block + graph->layout.bias + at * sizeof bias, &bias, sizeof bias);
    }
    return OCT_OK;
}

hnsw_loop oct_hnsw_pack_loop(const oct_hnsw_builder *builder)
{
    if (!wants(builder)) return (hnsw_loop){ pack, 0, 1 };
    if (builder->phase == HNSW_MIDDLES) return (hnsw_loop){ find_middles, builder->dim, 32 };
    bool stops = builder->next > 0 && builder->packing.step == 0;
    return (hnsw_loop){ pack, stops ? 0 : builder->count, MAX(ROUND_VALUES / builder->dim, 1u) };
}

void oct_hnsw_pack_finish(oct_hnsw_builder *builder)
{
    oct_hnsw *graph = builder->graph;
    hnsw_header *header = &graph->header;
    if (builder->packing.step == 0) return;
    header->flags |= HNSW_FLAG_PACKED;
    header->row_bytes = (uint32_t)oct_codes_packed_bytes(builder->dim);
    header->step = builder->packing.step;
    oct_status status = oct_hnsw_layout(header, &graph->layout, NULL);
    ASSERT(status == OCT_OK && graph->layout.end <= graph->owned_bytes); /* less than it was */
    uint8_t *middles = builder->block + graph->layout.middles;
    memset(middles, 0, graph->layout.end - graph->layout.middles);
    memcpy(middles, builder->middles, builder->dim);
}
