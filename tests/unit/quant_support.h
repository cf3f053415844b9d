/* SPDX-License-Identifier: Apache-2.0 */
/* quant_support.h - what the tests of quantized codes share: the list of all kinds of codes with
 * what is expected of each, building, and scanning. */
#ifndef OCT_TEST_QUANT_SUPPORT_H
#define OCT_TEST_QUANT_SUPPORT_H

#include <math.h>

#include "index/quant_codes.h"
#include "unit/hnsw_fixture.h"

/* One way to quantize, and what it reaches in the hard worlds of recall/quant_recall_test.c,
 * whatever the metric: recall of 10 by scan, without and with rescoring (4 times oversampled). */
typedef struct variant {
    const char *name;
    oct_quant_params params;
    double error; /* of estimates: root mean square, against the spread of similarities */
    double plain, rescored;
} variant;

#define BINARY(form, query)                                                                        \
    .kind = OCT_QUANTIZATION_BINARY, .encoding = OCT_BINARY_##form,                                \
    .query_encoding = OCT_QUERY_ENCODING_##query

#define TURBO(b)   .kind = OCT_QUANTIZATION_TURBO, .bits = OCT_TURBO_##b
#define PRODUCT(x) .kind = OCT_QUANTIZATION_PRODUCT, .compression = x

static const variant variants[] = {
    { "scalar", { .kind = OCT_QUANTIZATION_SCALAR, .quantile = 1.0f }, 0.02, 0.97, 0.99 },
    { "scalar .99", { .kind = OCT_QUANTIZATION_SCALAR, .quantile = 0.99f }, 0.05, 0.94, 0.99 },
    { "binary", { BINARY(ONE_BIT, DEFAULT) }, 0.9, 0.28, 0.55 },
    { "binary, query 8", { BINARY(ONE_BIT, SCALAR8BITS) }, 0.9, 0.37, 0.72 },
    { "binary 1.5", { BINARY(ONE_AND_HALF_BITS, BINARY) }, 0.9, 0.24, 0.50 },
    { "binary 1.5, query 4", { BINARY(ONE_AND_HALF_BITS, SCALAR4BITS) }, 0.9, 0.31, 0.59 },
    { "binary 2", { BINARY(TWO_BITS, DEFAULT) }, 0.9, 0.33, 0.65 },
    { "binary 2, query 4", { BINARY(TWO_BITS, SCALAR4BITS) }, 0.9, 0.42, 0.77 },
    { "binary 2, query 8", { BINARY(TWO_BITS, SCALAR8BITS) }, 0.9, 0.42, 0.79 },
    { "turbo 4", { TURBO(BITS4) }, 0.25, 0.70, 0.97 },
    { "turbo 2", { TURBO(BITS2) }, 0.3, 0.60, 0.93 },
    { "turbo 1.5", { TURBO(BITS1_5) }, 0.4, 0.47, 0.85 },
    { "turbo 1", { TURBO(BITS1) }, 0.5, 0.41, 0.76 },
    { "product x8", { PRODUCT(8) }, 0.1, 0.84, 0.98 },
    { "product x32", { PRODUCT(32) }, 0.5, 0.38, 0.70 },
};

static inline oct_status build_codes(const oct_host *host, const oct_flat *flat,
                                     const oct_quant_params *params, uint64_t budget_ns,
                                     oct_quant **out, oct_error *error)
{
    oct_quant_builder *builder;
    *out = NULL;
    oct_status status = oct_quant_builder_create(host, flat, params, &builder, error);
    if (status != OCT_OK) return status;
    while (!oct_quant_build_step(builder, budget_ns))
        continue;
    *out = oct_quant_builder_finish(builder);
    oct_quant_builder_destroy(builder);
    return OCT_OK;
}

/* Build with plain memory and attach to the world. */
static inline oct_quant *attach_codes(world *w, const oct_quant_params *params)
{
    oct_host host = fixture_host(&test_alloc);
    oct_quant *quant;
    if (build_codes(&host, &w->flat, params, UINT64_MAX, &quant, NULL) != OCT_OK) abort();
    w->flat.quant = quant;
    return quant;
}

static inline bytes_sink codes_bytes(const oct_quant *quant)
{
    bytes_sink bytes = { 0 };
    const oct_hnsw_sink sink = { sink_append, &bytes };
    if (oct_quant_write(quant, &sink, NULL) != OCT_OK) abort();
    return bytes;
}

/* A prepared query in memory of its own. */
static inline void *prepared(const oct_quant *quant, const float *vector)
{
    void *query = aligned_alloc(64, (oct_quant_query_bytes(quant) + 63) / 64 * 64);
    if (!query) abort();
    oct_quant_prepare(quant, vector, query);
    return query;
}

/* Share of the true 10 nearest that scans find; -1 when one fails, when a rescored similarity is
 * not the exact one, or when an estimate is not that of its score. */
static inline double scan_recall(const world *w, bool rescore, float oversampling,
                                 const uint64_t *allowed)
{
    const oct_flat *flat = &w->flat;
    oct_arena work;
    uint32_t found = 0, wanted = 0;
    bool good = true;
    oct_arena_init(&work, &test_alloc, 0);
    for (uint32_t i = 0; i < w->query_count && good; i++) {
        const float *vector = w->queries + (size_t)i * flat->dim;
        oct_hit hits[LIMIT], truth[LIMIT];
        oct_topk best, exact;
        oct_topk_init(&best, hits, LIMIT);
        oct_topk_init(&exact, truth, LIMIT);
        const oct_quant_request request = { .vector = vector,
                                            .rescore = rescore,
                                            .oversampling = oversampling,
                                            .limits = { .allowed = allowed } };
        good = oct_quant_scan(flat, &request, &work, &best, NULL) == OCT_OK &&
               oct_flat_scan(flat, vector, &request.limits, &exact, NULL) == OCT_OK;
        oct_topk_finish(&best);
        wanted += oct_topk_finish(&exact);
        void *query = prepared(flat->quant, vector);
        for (uint32_t a = 0; a < best.count && good; a++) {
            uint32_t offset = hits[a].offset;
            int32_t score;
            oct_quant_score(flat->quant, query, &offset, 1, &score);
            float expected = rescore ? oct_flat_score(flat, vector, offset)
                                     : oct_quant_similarity(flat->quant, query, score);
            good = oct_flat_has(flat, offset) && (!allowed || oct_bits_get(allowed, offset)) &&
                   memcmp(&hits[a].score, &expected, sizeof expected) == 0;
            for (uint32_t b = 0; b < exact.count; b++)
                found += offset == truth[b].offset;
        }
        free(query);
        oct_arena_reset(&work);
    }
    return good ? (double)found / (double)(wanted ? wanted : 1) : -1;
}

#endif
