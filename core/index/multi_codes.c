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
    const oct_multi *multi;
    const oct_multi_request *request;
    uint8_t *queries; /* [block] prepared rows of the query */
    size_t query_bytes;
    uint32_t block;    /* at most QUERIES_AT_ONCE */
    uint32_t prepared; /* of them */
    float *sums;       /* [count] */
} codes_scan;

static bool is_wanted(const codes_scan *s, uint32_t offset)
{
    const uint64_t *allowed = s->request->limits.allowed;
    return oct_flat_has(s->multi->flat, offset) && (!allowed || oct_bits_get(allowed, offset));
}

static oct_status begin(codes_scan *s, oct_arena *work, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = s->multi->flat;
    size_t bytes = oct_quant_query_bytes(flat->quant);
    s->query_bytes = (bytes + QUERY_ALIGN_BYTES - 1) / QUERY_ALIGN_BYTES * QUERY_ALIGN_BYTES;
    size_t most = MAX(QUERY_BYTES_MAX / s->query_bytes, (size_t)1);
    s->block = (uint32_t)MIN(MIN(most, (size_t)QUERIES_AT_ONCE), s->request->query.rows);
    TRY(oct_arena_array(work, s->block * s->query_bytes + QUERY_ALIGN_BYTES, 1, &s->queries,
                        error));
    s->queries += QUERY_ALIGN_BYTES - (uintptr_t)s->queries % QUERY_ALIGN_BYTES;
    TRY(oct_arena_array(work, flat->count, sizeof *s->sums, &s->sums, error));
    memset(s->sums, 0, flat->count * sizeof *s->sums);
done:
    return status;
}

static void prepare(codes_scan *s, uint32_t first)
{
    const oct_flat *flat = s->multi->flat;
    const oct_multi_query *query = &s->request->query;
    s->prepared = MIN(s->block, query->rows - first);
    for (uint32_t q = 0; q < s->prepared; q++)
        oct_quant_prepare(flat->quant, query->values + (size_t)(first + q) * flat->dim,
                          s->queries + q * s->query_bytes);
}

/* Add to a point's sum, for every prepared row, its best similarity to rows [row, row + rows). */
static void add_point(const codes_scan *s, uint32_t offset, uint32_t row, uint32_t rows)
{
    const oct_quant *quant = s->multi->flat->quant;
    int32_t best[QUERIES_AT_ONCE];
    for (uint32_t q = 0; q < s->prepared; q++)
        best[q] = INT32_MIN;
    for (uint32_t at = 0; at < rows; at += CODES_AT_ONCE) {
        uint32_t codes[CODES_AT_ONCE], count = MIN(rows - at, (uint32_t)CODES_AT_ONCE);
        int32_t scores[CODES_AT_ONCE];
        for (uint32_t i = 0; i < count; i++)
            codes[i] = row + at + i;
        for (uint32_t q = 0; q < s->prepared; q++) {
            oct_quant_score(quant, s->queries + q * s->query_bytes, codes, count, scores);
            for (uint32_t i = 0; i < count; i++)
                best[q] = MAX(best[q], scores[i]);
        }
    }
    for (uint32_t q = 0; q < s->prepared; q++)
        s->sums[offset] += oct_quant_similarity(quant, s->queries + q * s->query_bytes, best[q]);
}

/* One block of the query's rows over all points. */
static oct_status add_block(const codes_scan *s, oct_error *error)
{
    const oct_flat_limits *limits = &s->request->limits;
    uint64_t distances = 0;
    for (uint32_t i = 0; i < s->multi->flat->count; i++) {
        uint64_t first;
        if (!is_wanted(s, i)) continue;
        uint32_t rows = oct_multi_rows(s->multi, i, &first);
        add_point(s, i, (uint32_t)first, rows);
        distances += (uint64_t)rows * s->prepared;
        if (distances < CANCEL_DISTANCES) continue;
        distances = 0;
        if (limits->cancelled && limits->cancelled(limits->cancelled_arg))
            return oct_fail(error, OCT_CANCELLED, "search: cancelled while scanning codes");
    }
    return OCT_OK;
}

static void offer_sums(const codes_scan *s, oct_topk *best)
{
    for (uint32_t i = 0; i < s->multi->flat->count; i++) {
        if (!is_wanted(s, i)) continue;
        float sum = s->sums[i] == s->sums[i] ? s->sums[i] : -INFINITY;
        (void)oct_topk_push(best, (oct_hit){ sum, i }); /* it knows better */
    }
}

/* The best by code, with the similarities of their rows. */
static oct_status rescore(const codes_scan *s, oct_arena *work, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_flat *flat = s->multi->flat;
    oct_hit *hits;
    oct_topk by_code;
    oct_flat_buffer buffer = { .bytes = 0 };
    uint32_t limit = oct_quant_rescored(flat->quant, best->limit, s->request->oversampling);
    limit = MIN(limit, flat->count);
    TRY(oct_arena_array(work, limit, sizeof *hits, &hits, error));
    oct_topk_init(&by_code, hits, limit);
    offer_sums(s, &by_code);
    for (uint32_t i = 0; i < by_code.count; i++) {
        float score;
        TRY(oct_multi_score(s->multi, &s->request->query, hits[i].offset, &buffer, &score, error));
        (void)oct_topk_push(best, (oct_hit){ score, hits[i].offset }); /* it knows better */
    }
done:
    oct_flat_buffer_free(&buffer);
    return status;
}

oct_status oct_multi_scan_codes(const oct_multi *multi, const oct_multi_request *request,
                                oct_arena *work, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    codes_scan s = { .multi = multi, .request = request };
    if (multi->flat->count == 0) return OCT_OK;
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
