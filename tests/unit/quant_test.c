/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: quantized codes of every kind and metric do what quant.h says: the same bytes however they
 * are built, the same scores on every instruction set, estimates near the truth, exact answers when
 * rescored, walks of graphs over them, and no harm from any bytes.
 * Method: the list of variants (quant_support.h) over random worlds; hashes that must equal
 * constants compare targets that never run in one process. */
#include "quant_support.h"

enum { POINTS = 900 };

static const oct_metric all_metrics[] = { OCT_METRIC_COSINE, OCT_METRIC_EUCLID, OCT_METRIC_DOT,
                                          OCT_METRIC_MANHATTAN };

/* Call `check` with every variant, metric and an own world. */
static void for_all(uint32_t points, uint32_t dim, void (*check)(world *w, const variant *v))
{
    for (size_t i = 0; i < ARRAY_COUNT(variants) && !test_failed; i++)
        for (size_t m = 0; m < ARRAY_COUNT(all_metrics) && !test_failed; m++) {
            world w = world_create(all_metrics[m], points, dim, 7);
            check(&w, &variants[i]);
            if (test_failed) printf("  %s, metric %zu\n", variants[i].name, m);
            world_destroy(&w);
        }
}

/* ---- building --------------------------------------------------------------------------- */

/* Runs the tasks backwards, as threads might. */
static void backwards(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task), void *arg)
{
    UNUSED(self);
    for (uint32_t task = tasks; task > 0; task--)
        run(arg, task - 1);
}

static void check_equal_builds(world *w, const variant *v)
{
    oct_host hosts[] = { fixture_host(&test_alloc), fixture_host(&test_alloc) };
    const uint64_t budgets[] = { UINT64_MAX, 1 };
    bytes_sink first = { 0 };
    hosts[1].parallel = backwards;
    hosts[1].parallel_width = 3;
    for (size_t h = 0; h < ARRAY_COUNT(hosts); h++)
        for (size_t b = 0; b < ARRAY_COUNT(budgets); b++) {
            oct_quant *quant;
            CHECK(build_codes(&hosts[h], &w->flat, &v->params, budgets[b], &quant, NULL) == OCT_OK);
            bytes_sink bytes = codes_bytes(quant);
            oct_quant_destroy(quant);
            if (!first.at) {
                first = bytes;
                continue;
            }
            CHECK(bytes.bytes == first.bytes && memcmp(bytes.at, first.at, bytes.bytes) == 0);
            free(bytes.at);
        }
    free(first.at);
}

TEST(cuts_and_threads_change_no_byte)
{
    for_all(700, 12, check_equal_builds);
}

static void check_no_points(world *w, const variant *v)
{
    oct_quant *quant = attach_codes(w, &v->params);
    CHECK(scan_recall(w, true, 0, NULL) >= 0);
    CHECK(scan_recall(w, false, 0, NULL) >= 0);
    oct_quant_destroy(quant);
}

static void check_few_points(world *w, const variant *v)
{
    memset(w->present, 0, oct_bits_words(w->flat.count) * sizeof *w->present);
    check_no_points(w, v);
    oct_bits_set(w->present, 1);
    check_no_points(w, v);
    oct_bits_set(w->present, 2);
    check_no_points(w, v);
    w->flat.count = 0;
    check_no_points(w, v);
}

TEST(few_points_or_none_are_coded)
{
    for_all(3, 5, check_few_points);
}

/* All components equal, zeros, and the largest numbers there are. */
static void check_odd_values(world *w, const variant *v)
{
    static const float values[] = { 0.0f, 1e-30f, 1.0f, 3e38f, -3e38f };
    if (w->flat.metric == OCT_METRIC_COSINE) return; /* lengths of one only */
    for (size_t a = 0; a < ARRAY_COUNT(values); a++) {
        for (size_t i = 0; i < (size_t)w->flat.count * w->flat.dim; i++)
            w->rows[i] = values[a] * (i % 2 ? 1.0f : 0.5f);
        for (size_t i = 0; i < (size_t)w->query_count * w->flat.dim; i++)
            w->queries[i] = values[(a + i) % ARRAY_COUNT(values)];
        check_no_points(w, v);
    }
}

TEST(odd_numbers_are_coded)
{
    for_all(40, 7, check_odd_values);
}

static void check_nomem(world *w, const variant *v)
{
    oct_counting_alloc counting;
    oct_host host = fixture_host(&counting.alloc);
    oct_status status = OCT_NOMEM;
    for (uint64_t n = 1; status != OCT_OK && n < 100; n++) {
        oct_quant *quant = NULL;
        oct_counting_alloc_init(&counting, &test_alloc, 0);
        counting.fail_at = n;
        status = build_codes(&host, &w->flat, &v->params, UINT64_MAX, &quant, NULL);
        CHECK(status == OCT_OK || status == OCT_NOMEM);
        oct_quant_destroy(quant);
        CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
    }
    CHECK(status == OCT_OK);
}

TEST(every_allocation_may_fail)
{
    for_all(20, 3, check_nomem);
}

/* ---- scores ----------------------------------------------------------------------------- */

/* Every table gives the same scores, alone and four at a time. */
static void check_tables(world *w, const variant *v)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    oct_quant *quant = attach_codes(w, &v->params);
    bytes_sink bytes = codes_bytes(quant);
    void *first = prepared(quant, w->queries);
    for (size_t t = 0; t < count; t++) {
        oct_flat flat = w->flat;
        oct_quant *opened;
        flat.kernels = tables[t];
        CHECK(oct_quant_open(&test_alloc, &flat, bytes.at, bytes.bytes, &opened, NULL) == OCT_OK);
        void *query = prepared(opened, w->queries);
        for (uint32_t i = 0; i + 7 < flat.count; i += 7) {
            uint32_t offsets[7];
            int32_t scores[7], alone;
            for (uint32_t j = 0; j < 7; j++)
                offsets[j] = (i + j * 31) % flat.count;
            oct_quant_prefetch(opened, offsets, 7);
            oct_quant_score(opened, query, offsets, 7, scores);
            for (uint32_t j = 0; j < 7; j++) {
                oct_quant_score(quant, first, offsets + j, 1, &alone);
                CHECK_EQ_I64(scores[j], alone);
            }
        }
        free(query);
        oct_quant_destroy(opened);
    }
    free(first);
    free(bytes.at);
    oct_quant_destroy(quant);
}

TEST(tables_agree)
{
    for_all(200, 70, check_tables);
}

/* Root mean square error of estimates, against the spread of the similarities. */
static void check_estimates(world *w, const variant *v)
{
    double errors = 0, sum = 0, squares = 0, count = 0;
    oct_quant *quant = attach_codes(w, &v->params);
    for (uint32_t q = 0; q < w->query_count; q++) {
        const float *vector = w->queries + (size_t)q * w->flat.dim;
        void *query = prepared(quant, vector);
        bool first = true;
        int32_t last = 0;
        float last_similarity = 0;
        for (uint32_t i = q % 3; i < w->flat.count; i += 3) {
            if (!oct_flat_has(&w->flat, i)) continue;
            int32_t score;
            oct_quant_score(quant, query, &i, 1, &score);
            float estimate = oct_quant_similarity(quant, query, score);
            double truth = (double)oct_flat_score(&w->flat, vector, i);
            errors += ((double)estimate - truth) * ((double)estimate - truth);
            sum += truth;
            squares += truth * truth;
            if (!first)
                CHECK(score > last ? estimate >= last_similarity : estimate <= last_similarity);
            first = false;
            last = score;
            last_similarity = estimate;
            count++;
        }
        free(query);
    }
    double spread = sqrt(squares / count - sum / count * (sum / count));
    double error = sqrt(errors / count) / spread;
    printf("  %-20s metric %d: error %.4f of the spread\n", v->name, (int)w->flat.metric, error);
    CHECK(error <= v->error);
    oct_quant_destroy(quant);
}

TEST(estimates_are_near)
{
    for_all(POINTS, 96, check_estimates);
}

/* The bound that follows from half a step on each side, for whole-range scalar codes. */
TEST(scalar_estimates_keep_their_bound)
{
    for (size_t m = 0; m < ARRAY_COUNT(all_metrics); m++) {
        world w = world_create(all_metrics[m], 300, 50, 0);
        bool product = w.flat.metric == OCT_METRIC_COSINE || w.flat.metric == OCT_METRIC_DOT;
        oct_quant *quant = attach_codes(&w, &variants[0].params);
        double step = (double)quant->header.values[0];
        for (uint32_t q = 0; q < 20 && product; q++) {
            const float *vector = w.queries + (size_t)q * w.flat.dim;
            void *query = prepared(quant, vector);
            double most = 0, sum = 0;
            for (uint32_t d = 0; d < w.flat.dim; d++) {
                most = fmax(most, fabs((double)vector[d]));
                sum += fabs((double)vector[d]);
            }
            double half_row = step / 2, half_query = most / 63 / 2;
            for (uint32_t i = 0; i < w.flat.count; i++) {
                int32_t score;
                oct_quant_score(quant, query, &i, 1, &score);
                double bound = sum * half_row + w.flat.dim * half_row * half_query + 1e-6;
                for (uint32_t d = 0; d < w.flat.dim; d++)
                    bound += half_query * fabs((double)oct_flat_row(&w.flat, i)[d] -
                                               (double)quant->header.values[1]);
                double error = (double)oct_quant_similarity(quant, query, score) -
                               (double)oct_flat_score(&w.flat, vector, i);
                CHECK(fabs(error) <= bound);
            }
            free(query);
        }
        oct_quant_destroy(quant);
        world_destroy(&w);
    }
}

/* ---- answers ---------------------------------------------------------------------------- */

static void check_scans(world *w, const variant *v)
{
    uint64_t *allowed = calloc(oct_bits_words(w->flat.count), sizeof *allowed);
    if (!allowed) abort();
    for (uint32_t i = 0; i < w->flat.count; i += 3)
        oct_bits_set(allowed, i);
    oct_quant *quant = attach_codes(w, &v->params);
    double all = (double)w->flat.count;
    CHECK(scan_recall(w, false, 0, NULL) > 0);
    CHECK(scan_recall(w, false, 0, allowed) > 0);
    /* All points rescored is exact search. */
    CHECK(scan_recall(w, true, (float)all, NULL) >= 1.0);
    CHECK(scan_recall(w, true, (float)all, allowed) >= 1.0);
    oct_quant_destroy(quant);
    free(allowed);
}

TEST(scans_answer_as_asked)
{
    for_all(500, 64, check_scans);
}

/* A walk over codes: rescored hits are exact, estimates those of their scores, and a walk that
 * ignores the codes is that of a graph without any. */
static void check_walks(world *w, const variant *v)
{
    oct_hnsw *plain = build_plain(&w->flat, NULL), *graph;
    bytes_sink bytes = { 0 };
    const oct_hnsw_sink sink = { sink_append, &bytes };
    CHECK(plain != NULL);
    CHECK(oct_hnsw_write_bare(plain, &sink, NULL) == OCT_OK);
    CHECK(bytes.bytes <= oct_hnsw_bytes(plain));
    oct_quant *quant = attach_codes(w, &v->params);
    CHECK(oct_hnsw_open(&test_alloc, &w->flat, bytes.at, bytes.bytes, &graph, NULL) == OCT_OK);
    const oct_hnsw_query rescored = { .ef = 100, .rescore = true, .oversampling = 10 };
    const oct_hnsw_query ignoring = { .ef = 100, .ignore_codes = true };
    double recall = recall_asking(w, graph, rescored);
    CHECK(recall >= v->rescored - 0.08);
    CHECK(recall_asking(w, graph, ignoring) >= 0.95);
    oct_hnsw_scratch *scratch;
    CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
    for (uint32_t q = 0; q < w->query_count; q++) {
        const float *vector = w->queries + (size_t)q * w->flat.dim;
        void *query = prepared(quant, vector);
        oct_hit hits[LIMIT];
        oct_topk best;
        const oct_hnsw_query ask = { .vector = vector, .ef = 40 };
        oct_topk_init(&best, hits, LIMIT);
        CHECK(oct_hnsw_search(graph, &ask, scratch, &best, NULL) == OCT_OK);
        for (uint32_t i = 0; i < best.count; i++) {
            int32_t score;
            oct_quant_score(quant, query, &hits[i].offset, 1, &score);
            float estimate = oct_quant_similarity(quant, query, score);
            CHECK(memcmp(&estimate, &hits[i].score, sizeof estimate) == 0);
        }
        free(query);
    }
    oct_hnsw_scratch_destroy(scratch);
    oct_hnsw_destroy(graph);
    oct_hnsw_destroy(plain);
    oct_quant_destroy(quant);
    free(bytes.at);
}

TEST(graphs_walk_on_codes)
{
    for_all(POINTS, 48, check_walks);
}

/* ---- bytes ------------------------------------------------------------------------------ */

/* Whatever the bytes, they are refused or searched without harm, and no similarity is NaN. */
static void check_hostile(world *w, const variant *v)
{
    oct_quant *quant = attach_codes(w, &v->params);
    bytes_sink bytes = codes_bytes(quant);
    oct_quant_destroy(quant);
    w->flat.quant = NULL;
    uint8_t *damaged = aligned_alloc(64, (bytes.bytes + 63) / 64 * 64);
    if (!damaged) abort();
    uint32_t opens = 0, refusals = 0;
    for (uint32_t round = 0; round < 200; round++) {
        oct_quant *opened;
        memcpy(damaged, bytes.at, bytes.bytes);
        size_t reach = round % 2 ? sizeof(quant_header) : bytes.bytes;
        for (uint32_t edits = 1 + test_random_below(3); edits > 0; edits--)
            damaged[test_random_below((uint32_t)reach)] = (uint8_t)(test_random() >> 32);
        size_t length = round % 10 ? bytes.bytes : test_random_below((uint32_t)bytes.bytes);
        oct_status status = oct_quant_open(&test_alloc, &w->flat, damaged, length, &opened, NULL);
        CHECK(status == OCT_OK || status == OCT_CORRUPT);
        refusals += status != OCT_OK;
        if (status != OCT_OK) continue;
        opens++;
        void *query = prepared(opened, w->queries);
        for (uint32_t i = 0; i < w->flat.count; i++) {
            int32_t score;
            oct_quant_score(opened, query, &i, 1, &score);
            CHECK(!isnan(oct_quant_similarity(opened, query, score)));
        }
        free(query);
        oct_quant_destroy(opened);
    }
    CHECK(opens > 0 && refusals > 0);
    free(damaged);
    free(bytes.at);
}

TEST(any_bytes_are_harmless)
{
    for_all(60, 20, check_hostile);
}

/* Codes and scores of a fixed world, as every target must make them. */
TEST(targets_agree)
{
    static const uint64_t expected[] = {
        UINT64_C(0xbe954c4e67c9181b), UINT64_C(0xe31baa33518be95c), UINT64_C(0x418d0c4b0d860919),
        UINT64_C(0xbda84770c97f9f59), UINT64_C(0xd046250e3914b94f), UINT64_C(0xaa63b53e32dbc6c3),
        UINT64_C(0x1888cf50b1d9270c), UINT64_C(0x01e3bd38c5c80c91), UINT64_C(0x809fcab0a8a92314),
        UINT64_C(0x39cf33f9b2ce220d), UINT64_C(0xde2d9f8b0a06008a), UINT64_C(0x0e53e18ff4902f92),
        UINT64_C(0x4e4f9d4ee6a03748), UINT64_C(0xa241c5c7baf398bc), UINT64_C(0x84b5917b2fd17c9d),
    };
    STATIC_ASSERT(ARRAY_COUNT(expected) == ARRAY_COUNT(variants), "one for each");
    bool same = true;
    for (size_t i = 0; i < ARRAY_COUNT(variants); i++) {
        uint64_t hash = 0;
        for (size_t m = 0; m < ARRAY_COUNT(all_metrics); m++) {
            test_random_state = 11; /* whatever the seed */
            world w = world_create(all_metrics[m], 300, 40, 9);
            oct_quant *quant = attach_codes(&w, &variants[i].params);
            bytes_sink bytes = codes_bytes(quant);
            hash = oct_hash_u64(hash, oct_crc32c(0, bytes.at, bytes.bytes));
            for (uint32_t q = 0; q < w.query_count; q++) {
                void *query = prepared(quant, w.queries + (size_t)q * w.flat.dim);
                uint32_t offset = q * 3 % w.flat.count;
                int32_t score;
                oct_quant_score(quant, query, &offset, 1, &score);
                float estimate = oct_quant_similarity(quant, query, score);
                uint32_t bits;
                memcpy(&bits, &estimate, sizeof bits);
                hash = oct_hash_u64(hash, (uint64_t)(uint32_t)score << 32 | bits);
                free(query);
            }
            free(bytes.at);
            oct_quant_destroy(quant);
            world_destroy(&w);
        }
        if (hash != expected[i]) printf("  %-20s 0x%016" PRIx64 "\n", variants[i].name, hash);
        same = same && hash == expected[i];
    }
    CHECK(same);
}

TEST_MAIN(cuts_and_threads_change_no_byte, few_points_or_none_are_coded, odd_numbers_are_coded,
          every_allocation_may_fail, tables_agree, estimates_are_near,
          scalar_estimates_keep_their_bound, scans_answer_as_asked, graphs_walk_on_codes,
          any_bytes_are_harmless, targets_agree)
