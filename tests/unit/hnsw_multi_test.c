/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: graphs over multivectors are sound, the same bytes on every instruction set and however the
 * build was cut, find nearly all that a scan finds, with its scores, and can be saved, repaired,
 * quantized and filtered.
 * Method: clustered points of 1 to 9 rows, some without any, for every metric, with codes and
 * without; the truth is oct_multi_scan. Bytes are pinned too, for all targets to meet. */
#include "unit/multi_support.h"
#include "unit/quant_support.h"

enum { POINTS = 600, DIM = 24, ROWS_MAX = 9, EF = 40, WORDS = (POINTS + 63) / 64 };

static oct_hnsw *build_of(const oct_flat *flat, bool codes, const oct_hnsw_reuse *reuse)
{
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_params params = fixture_params;
    oct_hnsw *graph;
    oct_error error = { 0 };
    params.codes = codes;
    if (build_graph(&host, flat, &params, reuse, &graph, &error) != OCT_OK)
        test_fail(__FILE__, __LINE__, error.message);
    return graph;
}

/* Walks over all, over some, and a scan of some. */
static void check_searches(const multi_world *w, const oct_hnsw *graph, double least)
{
    uint64_t half[WORDS] = { 0 }, few[WORDS] = { 0 };
    for (uint32_t i = 0; i < POINTS; i++) {
        if (test_random_below(2)) oct_bits_set(half, i);
        if (test_random_below(8) == 0) oct_bits_set(few, i);
    }
    uint32_t halves = (uint32_t)oct_bits_count(half, WORDS);
    uint32_t fews = (uint32_t)oct_bits_count(few, WORDS);
    CHECK(multi_recall(w, graph, (oct_hnsw_query){ .ef = EF }) >= least);
    CHECK(multi_recall(w, graph,
                       (oct_hnsw_query){ .ef = EF, .allowed = half, .allowed_count = halves }) >=
          least);
    CHECK(multi_recall(w, graph,
                       (oct_hnsw_query){ .way = OCT_HNSW_WALK_ALLOWED,
                                         .ef = EF,
                                         .allowed = few,
                                         .allowed_count = fews }) >= least);
    CHECK(multi_recall(
              w, graph,
              (oct_hnsw_query){
                  .way = OCT_HNSW_SCAN, .ef = EF, .allowed = few, .allowed_count = fews }) >= 0.99);
}

static void check_reopened(const multi_world *w, const oct_hnsw *graph, double least)
{
    bytes_sink bytes = graph_bytes(graph);
    oct_hnsw *opened;
    oct_flat other = w->flat;
    CHECK(oct_hnsw_open(&test_alloc, &w->flat, bytes.at, bytes.bytes, &opened, NULL) == OCT_OK);
    CHECK(same_bytes(graph, opened));
    check_searches(w, opened, least);
    oct_hnsw_destroy(opened);
    other.ends = NULL;
    CHECK(oct_hnsw_open(&test_alloc, &other, bytes.at, bytes.bytes, &opened, NULL) == OCT_CORRUPT);
    uint64_t ends[POINTS];
    memcpy(ends, w->ends, sizeof ends);
    ends[POINTS - 1]++;
    other.ends = ends;
    CHECK(oct_hnsw_open(&test_alloc, &other, bytes.at, bytes.bytes, &opened, NULL) == OCT_CORRUPT);
    free(bytes.at);
}

static void check_codes_of(const multi_world *w, const oct_hnsw *graph)
{
    _Alignas(64) uint8_t memory[64];
    const float *row = w->rows + (size_t)17 * DIM;
    float other[DIM];
    memcpy(other, row, sizeof other);
    other[3] = -2 * other[3] - 1;
    CHECK(oct_hnsw_check_code(graph, 17, row, memory));
    CHECK(!oct_hnsw_check_code(graph, 17, other, memory));
}

TEST(every_metric_is_sound_and_found)
{
    for (uint32_t metric = 0; metric < OCT_METRIC_COUNT; metric++)
        for (int codes = 0; codes < 2; codes++) {
            multi_world w = multi_create((oct_metric)metric, POINTS, DIM, ROWS_MAX);
            oct_hnsw *graph = build_of(&w.flat, codes != 0, NULL);
            CHECK(graph && graph_is_sound(graph));
            CHECK_EQ_U64(oct_hnsw_point_count(graph), oct_bits_count(w.present, WORDS));
            check_searches(&w, graph, 0.93);
            check_reopened(&w, graph, 0.93);
            if (oct_hnsw_graph_params(graph).codes) check_codes_of(&w, graph);
            oct_hnsw_destroy(graph);
            multi_destroy(&w);
        }
}

static void check_pinned(oct_metric metric, bool codes, uint32_t pinned)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    test_random_state = 99; /* whatever the seed of this run: the checksum is of these vectors */
    multi_world w = multi_create(metric, 500, 37, 7);
    for (size_t i = 0; i < table_count; i++) {
        w.flat.kernels = tables[i];
        oct_hnsw *graph = build_of(&w.flat, codes, NULL);
        bytes_sink bytes = graph_bytes(graph);
        CHECK_EQ_U64(oct_crc32c(0, bytes.at, bytes.bytes), pinned);
        free(bytes.at);
        oct_hnsw_destroy(graph);
    }
    multi_destroy(&w);
}

TEST(bytes_are_the_same_everywhere)
{
    check_pinned(OCT_METRIC_COSINE, true, 0x6559b983);
    check_pinned(OCT_METRIC_EUCLID, true, 0xddf80ebe);
    check_pinned(OCT_METRIC_DOT, false, 0xd51804b4);
    check_pinned(OCT_METRIC_MANHATTAN, true, 0x4814bcdc);
}

/* Step by step, and once from a checkpoint, the bytes are those of one long step. */
TEST(a_cut_or_restored_build_ends_in_the_same_graph)
{
    multi_world w = multi_create(OCT_METRIC_COSINE, POINTS, DIM, ROWS_MAX);
    oct_hnsw *whole = build_of(&w.flat, true, NULL), *cut;
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_builder *builder, *restored;
    bytes_sink saved = { 0 };
    const oct_hnsw_sink sink = { sink_append, &saved };
    uint32_t steps = 0;
    CHECK(oct_hnsw_builder_create(&host, &w.flat, &fixture_params, NULL, &builder, NULL) == OCT_OK);
    for (bool done = false; !done; steps++) {
        CHECK(oct_hnsw_build_step(builder, 1, &done, NULL) == OCT_OK);
        if (steps < 200 || saved.bytes > 0 || !oct_hnsw_builder_at_rest(builder)) continue;
        CHECK(oct_hnsw_builder_save(builder, &sink, NULL) == OCT_OK);
        CHECK(oct_hnsw_builder_restore(&host, &w.flat, &fixture_params, saved.at, saved.bytes,
                                       &restored, NULL) == OCT_OK);
        oct_hnsw_builder_destroy(builder);
        builder = restored;
    }
    CHECK(steps > 300 && saved.bytes > 0);
    oct_hnsw_builder_finish(builder, &cut);
    CHECK(same_bytes(whole, cut));
    oct_hnsw_builder_destroy(builder);
    oct_hnsw_destroy(cut);
    oct_hnsw_destroy(whole);
    free(saved.at);
    multi_destroy(&w);
}

/* A third of the points goes, the rest moves together. */
TEST(a_repaired_graph_finds_as_much)
{
    multi_world w = multi_create(OCT_METRIC_EUCLID, POINTS, DIM, ROWS_MAX), rest = w;
    uint32_t mapping[POINTS], count = 0;
    uint64_t ends[POINTS], present[WORDS] = { 0 }, rows = 0;
    rest.rows = malloc((size_t)w.ends[POINTS - 1] * DIM * sizeof(float));
    CHECK(rest.rows);
    for (uint32_t i = 0; i < POINTS; i++) {
        size_t first;
        mapping[i] = i % 3 == 1 ? OCT_HNSW_GONE : count;
        if (mapping[i] == OCT_HNSW_GONE) continue;
        uint32_t own = oct_flat_rows_of(&w.flat, i, &first);
        memcpy(rest.rows + rows * DIM, w.rows + first * DIM, own * DIM * sizeof(float));
        if (own > 0) oct_bits_set(present, count);
        ends[count++] = rows += own;
    }
    rest.flat.count = count;
    rest.flat.rows = rest.rows;
    rest.flat.ends = ends;
    rest.flat.present = present;
    oct_hnsw *old = build_of(&w.flat, true, NULL);
    const oct_hnsw_reuse reuse = { .graph = old, .new_offsets = mapping };
    oct_hnsw *graph = build_of(&rest.flat, true, &reuse);
    CHECK(graph && graph_is_sound(graph));
    CHECK(multi_recall(&rest, graph, (oct_hnsw_query){ .ef = EF }) >= 0.93);
    oct_hnsw_destroy(graph);
    oct_hnsw_destroy(old);
    free(rest.rows);
    multi_destroy(&w);
}

/* Estimates are those of a scan of the codes. */
static void check_estimates(const multi_world *w, const oct_hnsw *graph)
{
    oct_hnsw_scratch *scratch;
    oct_arena work;
    oct_hit hits[LIMIT], truth[POINTS];
    oct_topk best, all;
    const oct_multi_request request = { .query = { .values = w->queries, .rows = MULTI_ASKED } };
    const oct_hnsw_query ask = { .ef = EF, .vector = w->queries, .rows = MULTI_ASKED };
    oct_arena_init(&work, &test_alloc, 0);
    oct_topk_init(&best, hits, LIMIT);
    oct_topk_init(&all, truth, POINTS);
    CHECK(oct_hnsw_scratch_create(&test_alloc, &scratch, NULL) == OCT_OK);
    CHECK(oct_hnsw_search(graph, &ask, scratch, &best, NULL) == OCT_OK);
    CHECK(oct_multi_scan_codes(&w->flat, &request, &work, &all, NULL) == OCT_OK);
    CHECK_EQ_U64(best.count, LIMIT);
    for (uint32_t i = 0; i < best.count; i++) {
        uint32_t at = 0;
        while (at < all.count && truth[at].offset != hits[i].offset)
            at++;
        CHECK(at < all.count && memcmp(&truth[at].score, &hits[i].score, sizeof(float)) == 0);
    }
    oct_hnsw_scratch_destroy(scratch);
    oct_arena_reset(&work);
}

TEST(quantized_codes_are_walked)
{
    multi_world w = multi_create(OCT_METRIC_COSINE, POINTS, DIM, ROWS_MAX);
    oct_hnsw *graph = build_of(&w.flat, true, NULL), *opened;
    bytes_sink bare = { 0 };
    const oct_hnsw_sink sink = { sink_append, &bare };
    CHECK(oct_hnsw_write_bare(graph, &sink, NULL) == OCT_OK);
    for (size_t i = 0; i < ARRAY_COUNT(variants); i++) {
        oct_host host = fixture_host(&test_alloc);
        oct_flat rows = w.flat;
        oct_quant *quant;
        rows.count = (uint32_t)oct_flat_row_count(&w.flat);
        rows.present = rows.ends = NULL;
        CHECK(build_codes(&host, &rows, &variants[i].params, UINT64_MAX, &quant, NULL) == OCT_OK);
        w.flat.quant = quant;
        CHECK(oct_hnsw_open(&test_alloc, &w.flat, bare.at, bare.bytes, &opened, NULL) == OCT_OK);
        check_estimates(&w, opened);
        double recall = multi_recall(
            &w, opened, (oct_hnsw_query){ .ef = EF, .rescore = true, .oversampling = 8 });
        double plain = multi_recall(&w, opened, (oct_hnsw_query){ .ef = EF, .ignore_codes = true });
        printf("    %-20s recall %.3f\n", variants[i].name, recall);
        CHECK(recall >= variants[i].rescored - 0.1);
        CHECK(plain >= 0.93);
        oct_hnsw_destroy(opened);
        oct_quant_destroy(quant);
        w.flat.quant = NULL;
    }
    oct_hnsw_destroy(graph);
    free(bare.at);
    multi_destroy(&w);
}

/* More rows than a build looks at. */
TEST(points_of_many_rows)
{
    multi_world w = multi_create(OCT_METRIC_DOT, 150, DIM, 200);
    for (int codes = 0; codes < 2; codes++) {
        oct_hnsw *graph = build_of(&w.flat, codes != 0, NULL);
        CHECK(graph && graph_is_sound(graph));
        CHECK(multi_recall(&w, graph, (oct_hnsw_query){ .ef = EF }) >= 0.93);
        CHECK(oct_hnsw_takes(graph, 1000));
        CHECK_EQ_U64(oct_hnsw_takes(graph, 1 << 20), codes == 0);
        oct_hnsw_destroy(graph);
    }
    multi_destroy(&w);
}

TEST(no_rows_at_all)
{
    const uint64_t none[1] = { 0 }, ends[3] = { 0 };
    const float row[4] = { 1, 2, 3, 4 };
    const oct_flat flat = { .kernels = oct_kernels_select(NULL),
                            .rows = row,
                            .present = none,
                            .ends = ends,
                            .count = 3,
                            .dim = 4 };
    oct_hnsw *graph = build_of(&flat, true, NULL);
    CHECK(graph && graph_is_sound(graph));
    CHECK_EQ_U64(oct_hnsw_point_count(graph), 0);
    oct_hnsw_destroy(graph);
}

TEST_MAIN(every_metric_is_sound_and_found, bytes_are_the_same_everywhere,
          a_cut_or_restored_build_ends_in_the_same_graph, a_repaired_graph_finds_as_much,
          quantized_codes_are_walked, points_of_many_rows, no_rows_at_all)
