/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a search of quantized multivectors gives the estimates that the codes of single rows add up
 * to, exact similarities when it rescores, only what is allowed, and nearly all that exact search
 * finds.
 * Method: clustered rows in groups of 1 to 9 for a point, some points without any; for every kind
 * of codes and every metric. The truth of estimates is one code at a time; that of similarities is
 * oct_multi_scan. */
#include "index/multi.h"
#include "unit/quant_support.h"

enum { POINTS = 700, DIM = 48, ROWS_MAX = 9, SHOWN = 10, WORDS = (POINTS + 63) / 64 };

/* Many rows of a query: more than are prepared at once. */
static const uint32_t query_rows[] = { 1, 2, 5, 17, 90 };

typedef struct multi_world {
    world rows;
    uint64_t ends[POINTS], present[WORDS];
    oct_flat flat;
    oct_arena work;
} multi_world;

static multi_world *open_world(oct_metric metric)
{
    multi_world *w = calloc(1, sizeof *w);
    if (!w) abort();
    w->rows = world_create(metric, POINTS * ROWS_MAX, DIM, 0);
    uint32_t rows = 0;
    for (uint32_t i = 0; i < POINTS; i++) {
        if (test_random_below(10) > 0) {
            oct_bits_set(w->present, i);
            rows += 1 + test_random_below(ROWS_MAX);
        }
        w->ends[i] = rows;
    }
    w->rows.flat.count = rows;
    w->flat = w->rows.flat;
    w->flat.count = POINTS;
    w->flat.present = w->present;
    w->flat.ends = w->ends;
    oct_arena_init(&w->work, &test_alloc, 0);
    return w;
}

static void close_world(multi_world *w)
{
    oct_arena_reset(&w->work);
    world_destroy(&w->rows);
    free(w);
}

/* The estimates of all points, one code at a time. */
static void estimate(const multi_world *w, const oct_multi_query *query, float sums[POINTS])
{
    memset(sums, 0, POINTS * sizeof *sums);
    for (uint32_t q = 0; q < query->rows; q++) {
        void *code = prepared(w->flat.quant, query->values + (size_t)q * DIM);
        for (uint32_t i = 0, row = 0; i < POINTS; i++) {
            float best = -INFINITY;
            for (; row < w->ends[i]; row++) {
                int32_t score;
                oct_quant_score(w->flat.quant, code, &row, 1, &score);
                best = fmaxf(best, oct_quant_similarity(w->flat.quant, code, score));
            }
            sums[i] += best;
        }
        free(code);
    }
}

static uint32_t scan_codes(multi_world *w, const oct_multi_request *request, oct_hit *hits,
                           uint32_t limit)
{
    oct_topk best;
    oct_topk_init(&best, hits, limit);
    oct_status status = oct_multi_scan_codes(&w->flat, request, &w->work, &best, NULL);
    oct_arena_reset(&w->work);
    if (status != OCT_OK) return UINT32_MAX;
    return oct_topk_finish(&best);
}

static uint32_t scan_rows(multi_world *w, const oct_multi_request *request, oct_hit *hits,
                          uint32_t limit)
{
    oct_topk best;
    oct_topk_init(&best, hits, limit);
    if (oct_multi_scan(&w->flat, &request->query, &request->limits, &best, NULL) != OCT_OK)
        return UINT32_MAX;
    return oct_topk_finish(&best);
}

static void check_estimates(multi_world *w, oct_multi_request request)
{
    static oct_hit hits[POINTS];
    static float sums[POINTS];
    uint32_t wanted = 0, count;
    request.rescore = false;
    estimate(w, &request.query, sums);
    for (uint32_t i = 0; i < POINTS; i++)
        wanted += oct_bits_get(w->present, i) && oct_bits_get(request.limits.allowed, i);
    count = scan_codes(w, &request, hits, POINTS);
    CHECK_EQ_U64(count, wanted);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(oct_bits_get(w->present, hits[i].offset));
        CHECK(oct_bits_get(request.limits.allowed, hits[i].offset));
        CHECK(memcmp(&hits[i].score, &sums[hits[i].offset], sizeof(float)) == 0);
    }
}

/* How many of the best are found when all or some are rescored; every score is the exact one. */
static uint32_t count_found(multi_world *w, oct_multi_request request, float oversampling)
{
    static oct_hit truth[POINTS], hits[SHOWN];
    uint32_t found = 0, all = scan_rows(w, &request, truth, POINTS);
    request.rescore = true;
    request.oversampling = oversampling;
    uint32_t count = scan_codes(w, &request, hits, SHOWN);
    CHECK_OR(0, all != UINT32_MAX && count == MIN(all, (uint32_t)SHOWN));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < all && truth[at].offset != hits[i].offset)
            at++;
        CHECK_OR(0, at < all && memcmp(&truth[at].score, &hits[i].score, sizeof(float)) == 0);
        found += at < SHOWN;
    }
    return found;
}

static void check_kind(multi_world *w, const variant *kind)
{
    oct_host host = fixture_host(&test_alloc);
    oct_quant *quant;
    uint32_t found = 0, asked = 0;
    CHECK(build_codes(&host, &w->rows.flat, &kind->params, UINT64_MAX, &quant, NULL) == OCT_OK);
    w->flat.quant = quant;
    for (size_t q = 0; q < ARRAY_COUNT(query_rows); q++) {
        uint64_t allowed[WORDS] = { 0 };
        uint32_t share = test_random_below(3);
        for (uint32_t i = 0; i < POINTS; i++)
            if (test_random_below(3) >= share) oct_bits_set(allowed, i);
        uint32_t first = test_random_below(w->rows.query_count - query_rows[q] + 1);
        const oct_multi_request request = {
            .query = { .values = w->rows.queries + (size_t)first * DIM, .rows = query_rows[q] },
            .limits = { .allowed = allowed }
        };
        check_estimates(w, request);
        CHECK_EQ_U64(count_found(w, request, 1000), SHOWN);
        found += count_found(w, request, 8);
        asked += SHOWN;
    }
    printf("    %-20s %u of %u\n", kind->name, found, asked);
    CHECK(found * 100 >= asked * 70);
    oct_quant_destroy(quant);
}

static void check_metric(oct_metric metric)
{
    multi_world *w = open_world(metric);
    for (size_t i = 0; i < ARRAY_COUNT(variants); i++)
        check_kind(w, &variants[i]);
    close_world(w);
}

TEST(cosine)
{
    check_metric(OCT_METRIC_COSINE);
}
TEST(euclid)
{
    check_metric(OCT_METRIC_EUCLID);
}
TEST(dot)
{
    check_metric(OCT_METRIC_DOT);
}
TEST(manhattan)
{
    check_metric(OCT_METRIC_MANHATTAN);
}

static bool give_up(void *arg)
{
    return --*(int *)arg < 0;
}

TEST(a_scan_can_be_cancelled)
{
    multi_world *w = open_world(OCT_METRIC_DOT);
    const oct_quant_params params = { .kind = OCT_QUANTIZATION_SCALAR, .quantile = 1 };
    oct_host host = fixture_host(&test_alloc);
    oct_quant *quant;
    oct_hit hits[SHOWN];
    oct_topk best;
    int patience = 2;
    CHECK(build_codes(&host, &w->rows.flat, &params, UINT64_MAX, &quant, NULL) == OCT_OK);
    w->flat.quant = quant;
    const oct_multi_request request = { .query = { .values = w->rows.queries, .rows = 3 },
                                        .limits = { .cancelled = give_up,
                                                    .cancelled_arg = &patience } };
    oct_topk_init(&best, hits, SHOWN);
    CHECK(oct_multi_scan_codes(&w->flat, &request, &w->work, &best, NULL) == OCT_CANCELLED);
    oct_quant_destroy(quant);
    close_world(w);
}

/* Points without a row: codes of nothing are built, opened and scanned. */
TEST(no_rows_at_all)
{
    const oct_quant_params params = { .kind = OCT_QUANTIZATION_BINARY };
    oct_host host = fixture_host(&test_alloc);
    const uint64_t none[1] = { 0 }, ends[3] = { 0 };
    const float query[4] = { 1, 2, 3, 4 };
    oct_flat flat = { .kernels = oct_kernels_select(NULL), .rows = query, .dim = 4 };
    oct_quant *built, *opened;
    oct_hit hits[SHOWN];
    oct_topk best;
    oct_arena work;
    CHECK(build_codes(&host, &flat, &params, UINT64_MAX, &built, NULL) == OCT_OK);
    bytes_sink bytes = codes_bytes(built);
    CHECK(oct_quant_open(&test_alloc, &flat, bytes.at, bytes.bytes, &opened, NULL) == OCT_OK);
    flat.count = 3;
    flat.present = none;
    flat.quant = opened;
    flat.ends = ends;
    const oct_multi_request request = { .query = { .values = query, .rows = 1 }, .rescore = true };
    oct_arena_init(&work, &test_alloc, 0);
    oct_topk_init(&best, hits, SHOWN);
    CHECK(oct_multi_scan_codes(&flat, &request, &work, &best, NULL) == OCT_OK);
    CHECK_EQ_U64(best.count, 0);
    oct_arena_reset(&work);
    oct_quant_destroy(opened);
    oct_quant_destroy(built);
    free(bytes.at);
}

TEST_MAIN(cosine, euclid, dot, manhattan, a_scan_can_be_cancelled, no_rows_at_all)
