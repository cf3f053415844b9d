/* SPDX-License-Identifier: Apache-2.0
 *
 * multi_codes.c - max_sim over quantized codes: a scan, and the best of it scored again.
 *
 * The query's rows are prepared a block at a time, so that even a query of thousands of rows with
 * large tables takes little memory; every block passes over all points and adds to their sums. A
 * point's codes are scored by all rows of a block while they are in the cache. Among the codes of
 * one point scores are compared as they are; only the best one is turned into a similarity, which
 * loses nothing, since similarities never fall when scores rise. Sums are those of floats, in the
 * order of the query's rows, as with the rows themselves. */
#include <math.h>
#include <string.h>

#include "index/multi.h"
#include "index/quant.h"

enum {
    CODES_AT_ONCE = 64,
    QUERIES_AT_ONCE = 64,
    QUERY_BYTES_MAX = 1 << 18, /* of a block's prepared rows, when there are several */
    QUERY_ALIGN_BYTES = 64,
    CANCEL_DISTANCES = 1024 /* distances between two looks at `cancelled` */
};

typedef struct codes_scan {
    const oct_flat *flat;
    const oct_multi_request *request;
    uint8_t *queries;  /* [block] prepared rows of the query */
    uint32_t block;    /* at most QUERIES_AT_ONCE */
    uint32_t prepared; /* of them */
    float *sums;       /* [count] */
} codes_scan;

size_t oct_multi_prepared_bytes(const oct_quant *quant)
{
    size_t bytes = oct_quant_query_bytes(quant);
    return (bytes + QUERY_ALIGN_BYTES - 1) / QUERY_ALIGN_BYTES * QUERY_ALIGN_BYTES;
}

void oct_multi_prepare(const oct_flat *flat, const float *values, uint32_t rows, uint8_t *prepared)
{
    size_t bytes = oct_multi_prepared_bytes(flat->quant);
    for (uint32_t q = 0; q < rows; q++)
        oct_quant_prepare(flat->quant, values + (size_t)q * flat->dim, prepared + q * bytes);
}

/* The same of at most QUERIES_AT_ONCE prepared rows. */
static float add_block_of(const oct_flat *flat, const uint8_t *prepared, uint32_t rows,
                          uint32_t offset, float sum)
{
    size_t first, bytes = oct_multi_prepared_bytes(flat->quant);
    uint32_t codes_count = oct_flat_rows_of(flat, offset, &first);
    int32_t best[QUERIES_AT_ONCE];
    for (uint32_t q = 0; q < rows; q++)
        best[q] = INT32_MIN;
    for (uint32_t at = 0; at < codes_count; at += CODES_AT_ONCE) {
        uint32_t codes[CODES_AT_ONCE], count = MIN(codes_count - at, (uint32_t)CODES_AT_ONCE);
        int32_t scores[CODES_AT_ONCE];
        for (uint32_t i = 0; i < count; i++)
            codes[i] = (uint32_t)first + at + i;
        for (uint32_t q = 0; q < rows; q++) {
            oct_quant_score(flat->quant, prepared + q * bytes, codes, count, scores);
            for (uint32_t i = 0; i < count; i++)
                best[q] = MAX(best[q], scores[i]);
        }
    }
    for (uint32_t q = 0; q < rows; q++)
        sum += oct_quant_similarity(flat->quant, prepared + q * bytes, best[q]);
    return sum;
}

float oct_multi_add_codes(const oct_flat *flat, const uint8_t *prepared, uint32_t rows,
                          uint32_t offset, float sum)
{
    size_t bytes = oct_multi_prepared_bytes(flat->quant);
    for (uint32_t q = 0; q < rows; q += QUERIES_AT_ONCE)
        sum = add_block_of(flat, prepared + q * bytes, MIN(rows - q, (uint32_t)QUERIES_AT_ONCE),
                           offset, sum);
    return sum;
}

/* ---- a scan ----------------------------------------------------------------------------- */

static bool is_wanted(const codes_scan *s, uint32_t offset)
{
    const uint64_t *allowed = s->request->limits.allowed;
    return oct_flat_has(s->flat, offset) && (!allowed || oct_bits_get(allowed, offset));
}

static oct_status begin(codes_scan *s, oct_arena *work, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = s->flat;
    size_t bytes = oct_multi_prepared_bytes(flat->quant);
    size_t most = MAX(QUERY_BYTES_MAX / bytes, (size_t)1);
    s->block = (uint32_t)MIN(MIN(most, (size_t)QUERIES_AT_ONCE), s->request->query.rows);
    TRY(oct_arena_array(work, s->block * bytes + QUERY_ALIGN_BYTES, 1, &s->queries, error));
    s->queries += QUERY_ALIGN_BYTES - (uintptr_t)s->queries % QUERY_ALIGN_BYTES;
    TRY(oct_arena_array(work, flat->count, sizeof *s->sums, &s->sums, error));
    memset(s->sums, 0, flat->count * sizeof *s->sums);
done:
    return status;
}

static void prepare(codes_scan *s, uint32_t first)
{
    const oct_multi_query *query = &s->request->query;
    s->prepared = MIN(s->block, query->rows - first);
    oct_multi_prepare(s->flat, query->values + (size_t)first * s->flat->dim, s->prepared,
                      s->queries);
}

/* One block of the query's rows over all points. */
static oct_status add_block(const codes_scan *s, oct_error *error)
{
    const oct_flat_limits *limits = &s->request->limits;
    uint64_t distances = 0;
    for (uint32_t i = 0; i < s->flat->count; i++) {
        size_t first;
        if (!is_wanted(s, i)) continue;
        s->sums[i] = oct_multi_add_codes(s->flat, s->queries, s->prepared, i, s->sums[i]);
        distances += (uint64_t)oct_flat_rows_of(s->flat, i, &first) * s->prepared;
        if (distances < CANCEL_DISTANCES) continue;
        distances = 0;
        if (limits->cancelled && limits->cancelled(limits->cancelled_arg))
            return oct_fail(error, OCT_CANCELLED, "search: cancelled while scanning codes");
    }
    return OCT_OK;
}

static void offer_sums(const codes_scan *s, oct_topk *best)
{
    for (uint32_t i = 0; i < s->flat->count; i++) {
        if (!is_wanted(s, i)) continue;
        float sum = s->sums[i] == s->sums[i] ? s->sums[i] : -INFINITY;
        (void)oct_topk_push(best, (oct_hit){ sum, i }); /* it knows better */
    }
}

/* The best by code, with the similarities of their rows. */
static oct_status rescore(const codes_scan *s, oct_arena *work, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = s->flat;
    oct_hit *hits;
    uint32_t *offsets;
    oct_topk by_code;
    uint32_t limit = oct_quant_rescored(flat->quant, best->limit, s->request->oversampling);
    limit = MIN(limit, flat->count);
    TRY(oct_arena_array(work, limit, sizeof *hits, &hits, error));
    TRY(oct_arena_array(work, limit, sizeof *offsets, &offsets, error));
    oct_topk_init(&by_code, hits, limit);
    offer_sums(s, &by_code);
    for (uint32_t i = 0; i < by_code.count; i++)
        offsets[i] = hits[i].offset;
    TRY(oct_multi_scan_list(flat, &s->request->query, offsets, by_code.count, best, error));
done:
    return status;
}

oct_status oct_multi_scan_codes(const oct_flat *flat, const oct_multi_request *request,
                                oct_arena *work, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    codes_scan s = { .flat = flat, .request = request };
    if (flat->count == 0) return OCT_OK;
    TRY(begin(&s, work, error));
    for (uint32_t first = 0; first < request->query.rows; first += s.block) {
        prepare(&s, first);
        TRY(add_block(&s, error));
    }
    if (request->rescore)
        TRY(rescore(&s, work, best, error));
    else
        offer_sums(&s, best);
done:
    return status;
}
