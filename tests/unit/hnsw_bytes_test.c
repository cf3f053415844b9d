/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a graph opened from its bytes answers as the one that was written; bytes changed in any way
 * are refused, or give a graph that never leaves its memory.
 * Method: flip bits in every region, first as a torn disk would (the checksum shows it), then as an
 * attacker would, with the checksum put right. Run under AddressSanitizer to see reads outside. */
#include "index/hnsw_graph.h"
#include "unit/hnsw_fixture.h"

enum { COUNT = 260 };

static const uint32_t dims[] = { 9, 70 }; /* codes of 7 bits and packed ones */

/* A buffer of exactly these bytes, so that the sanitizer sees the first byte behind them. */
static uint8_t *exact_copy(const bytes_sink *bytes, size_t length)
{
    void *at = NULL;
    if (posix_memalign(&at, HNSW_ALIGN_BYTES, length ? length : 1) != 0) abort();
    memcpy(at, bytes->at, length);
    return at;
}

static void correct_crc(uint8_t *at, size_t end)
{
    hnsw_header header;
    memcpy(&header, at, sizeof header);
    header.crc = oct_hnsw_crc(&header, at, end);
    memcpy(at, &header, sizeof header);
}

/* Search an opened graph in every way; hits must be points of the world. */
static bool search_stays_inside(const world *w, const oct_hnsw *graph)
{
    uint64_t few[COUNT / 64 + 1] = { 0 };
    for (uint32_t i = 0; i < COUNT; i += 5)
        oct_bits_set(few, i);
    oct_hnsw_query ask = { .way = OCT_HNSW_WALK_ALLOWED, .ef = 30, .allowed = few };
    ask.allowed_count = COUNT / 5;
    return recall_of(w, graph, 30, NULL) >= 0 && recall_of(w, graph, COUNT, few) >= 0 &&
           recall_asking(w, graph, ask) >= 0;
}

TEST(opened_graph_equals_the_written_one)
{
    for (uint32_t i = 0; i < 2 * OCT_METRIC_COUNT; i++) {
        world w = world_create((oct_metric)(i / 2), COUNT, dims[i % 2], 6);
        oct_hnsw *graph = build_plain(&w.flat, NULL);
        bytes_sink bytes = graph_bytes(graph);
        CHECK_EQ_U64(bytes.bytes, oct_hnsw_bytes(graph));
        uint8_t *at = exact_copy(&bytes, bytes.bytes);
        oct_hnsw *opened;
        CHECK(oct_hnsw_open(&test_alloc, &w.flat, at, bytes.bytes, &opened, NULL) == OCT_OK);
        CHECK(same_bytes(graph, opened));
        CHECK(graph_is_sound(opened));
        CHECK(recall_of(&w, opened, 20, NULL) == recall_of(&w, graph, 20, NULL));
        CHECK_EQ_U64(oct_hnsw_point_count(opened), world_present_count(&w));
        oct_hnsw_destroy(opened);
        oct_hnsw_destroy(graph);
        free(at);
        free(bytes.at);
        world_destroy(&w);
    }
}

TEST(every_flipped_bit_before_the_codes_is_noticed)
{
    world w = world_create(OCT_METRIC_COSINE, COUNT, dims[1], 6);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = graph_bytes(graph);
    uint8_t *at = exact_copy(&bytes, bytes.bytes);
    for (size_t i = 0; i < graph->layout.bias; i++) {
        uint8_t bit = (uint8_t)(1u << test_random_below(8));
        oct_hnsw *opened;
        oct_error error = { 0 };
        at[i] ^= bit;
        CHECK(oct_hnsw_open(&test_alloc, &w.flat, at, bytes.bytes, &opened, &error) == OCT_CORRUPT);
        CHECK(opened == NULL && error.message[0] != '\0');
        at[i] ^= bit;
    }
    oct_hnsw_destroy(graph);
    free(at);
    free(bytes.at);
    world_destroy(&w);
}

TEST(every_cut_is_noticed)
{
    world w = world_create(OCT_METRIC_EUCLID, COUNT, dims[1], 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    bytes_sink bytes = graph_bytes(graph);
    for (size_t length = 0; length < bytes.bytes; length += length < 200 ? 1 : 777) {
        uint8_t *at = exact_copy(&bytes, length);
        oct_hnsw *opened;
        CHECK(oct_hnsw_open(&test_alloc, &w.flat, at, length, &opened, NULL) == OCT_CORRUPT);
        free(at);
    }
    oct_hnsw_destroy(graph);
    free(bytes.at);
    world_destroy(&w);
}

/* Which form a finished graph has, and that its checks know whose code is whose. */
TEST(codes_are_packed_where_it_pays)
{
    static const struct {
        oct_metric metric;
        uint32_t count, dim;
        bool packed;
    } shapes[] = {
        { OCT_METRIC_COSINE, COUNT, 65, true },     { OCT_METRIC_COSINE, COUNT, 64, false },
        { OCT_METRIC_COSINE, COUNT, 300, true },    { OCT_METRIC_EUCLID, COUNT, 65, true },
        { OCT_METRIC_MANHATTAN, COUNT, 65, false }, { OCT_METRIC_COSINE, 63, 128, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        uint8_t memory[512];
        world w = world_create(shapes[i].metric, shapes[i].count, shapes[i].dim, 0);
        oct_hnsw *graph = build_plain(&w.flat, NULL);
        bool codes = shapes[i].metric != OCT_METRIC_MANHATTAN;
        CHECK(oct_hnsw_is_packed(graph) == shapes[i].packed);
        CHECK(oct_hnsw_check_code(graph, 7, oct_flat_row(&w.flat, 7), memory));
        CHECK(oct_hnsw_check_code(graph, 7, oct_flat_row(&w.flat, 8), memory) == !codes);
        oct_hnsw_destroy(graph);
        world_destroy(&w);
    }
}

/* Where 4 bits would lose too much: products with rows of different lengths, and dimensions far
 * wider than the others. */
TEST(codes_are_not_packed_where_it_costs)
{
    for (uint32_t kind = 0; kind < 4; kind++) {
        oct_metric metric = kind < 2 ? OCT_METRIC_DOT : OCT_METRIC_COSINE;
        world w = world_create(metric, COUNT, 128, 6);
        for (uint32_t i = 0; i < COUNT; i++) {
            float *row = w.rows + (size_t)i * 128;
            if (kind == 1) row[0] *= 1.5f; /* not that they'd differ by it */
            oct_metric_preprocess(w.flat.kernels, OCT_METRIC_COSINE, row, 128);
            for (uint32_t d = 0; d < 128; d++) {
                if (kind == 0) row[d] *= 1 + (float)(i % 10) * 0.1f;
                if (kind == 3 && d % 16 == 0) row[d] *= 20;
            }
        }
        oct_hnsw *graph = build_plain(&w.flat, NULL);
        CHECK(oct_hnsw_is_packed(graph) == (kind == 1 || kind == 2));
        oct_hnsw_destroy(graph);
        world_destroy(&w);
    }
}

/* Change bytes between `from` and `to`, put the checksum right, open and search. */
static void attack(const world *w, const bytes_sink *bytes, size_t from, size_t to, size_t covered)
{
    uint32_t opened_count = 0;
    for (int round = 0; round < 400; round++) {
        uint8_t *at = exact_copy(bytes, bytes->bytes);
        uint32_t changes = 1 + test_random_below(3);
        for (uint32_t i = 0; i < changes; i++) {
            size_t word = from + 4 * (size_t)test_random_below((uint32_t)((to - from) / 4));
            uint32_t values[] = { 0,
                                  1,
                                  UINT32_MAX,
                                  COUNT,
                                  COUNT - 1,
                                  UINT32_C(0x80000000),
                                  test_random_below(COUNT),
                                  test_random_below(40),
                                  (uint32_t)test_random() };
            uint32_t value = values[test_random_below(ARRAY_COUNT(values))];
            memcpy(at + word, &value, sizeof value);
        }
        correct_crc(at, covered);
        oct_hnsw *opened;
        oct_status status = oct_hnsw_open(&test_alloc, &w->flat, at, bytes->bytes, &opened, NULL);
        CHECK(status == OCT_OK || status == OCT_CORRUPT);
        if (status == OCT_OK) {
            CHECK(search_stays_inside(w, opened));
            opened_count++;
        }
        oct_hnsw_destroy(opened);
        free(at);
    }
    CHECK(opened_count > 0); /* else nothing was shown: some values change nothing */
}

TEST(attackers_stay_inside)
{
    for (uint32_t round = 0; round < 6; round++) {
        static const oct_metric metrics[] = { OCT_METRIC_COSINE, OCT_METRIC_EUCLID,
                                              OCT_METRIC_MANHATTAN };
        world w = world_create(metrics[round % 3], COUNT, dims[round / 3], 6);
        oct_hnsw *graph = build_plain(&w.flat, NULL);
        bytes_sink bytes = graph_bytes(graph);
        hnsw_layout layout = graph->layout;
        attack(&w, &bytes, 0, sizeof(hnsw_header), layout.bias);
        attack(&w, &bytes, layout.upper_points, layout.upper_links, layout.bias);
        attack(&w, &bytes, layout.upper_links, layout.links, layout.bias);
        attack(&w, &bytes, layout.links, layout.bias, layout.bias);
        if (layout.end > layout.bias) attack(&w, &bytes, layout.bias, layout.end, layout.bias);
        oct_hnsw_destroy(graph);
        free(bytes.at);
        world_destroy(&w);
    }
}

/* The same for checkpoints: what is restored can be built to its end. */
TEST(attackers_of_checkpoints_stay_inside)
{
    world w = world_create(OCT_METRIC_COSINE, COUNT, dims[1], 6);
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw_builder *builder;
    CHECK(oct_hnsw_builder_create(&host, &w.flat, &fixture_params, NULL, &builder, NULL) == OCT_OK);
    uint32_t inserted = 0;
    uint32_t total;
    bool done = false;
    while (inserted < COUNT / 2 || !oct_hnsw_builder_at_rest(builder)) {
        CHECK(oct_hnsw_build_step(builder, 1, &done, NULL) == OCT_OK);
        oct_hnsw_builder_progress(builder, &inserted, &total);
    }
    bytes_sink bytes = { 0 };
    const oct_hnsw_sink sink = { sink_append, &bytes };
    CHECK(oct_hnsw_builder_save(builder, &sink, NULL) == OCT_OK);
    oct_hnsw_builder_destroy(builder);
    uint32_t finished = 0;
    for (int round = 0; round < 300; round++) {
        uint8_t *at = exact_copy(&bytes, bytes.bytes);
        size_t word = 4 * (size_t)test_random_below((uint32_t)(bytes.bytes / 4));
        uint32_t value = test_random_below(2) ? test_random_below(COUNT) : (uint32_t)test_random();
        memcpy(at + word, &value, sizeof value);
        correct_crc(at, bytes.bytes);
        const bytes_sink damaged = { .at = at, .bytes = bytes.bytes };
        oct_status status =
            restore_build(&host, &w.flat, &fixture_params, &damaged, &builder, NULL);
        free(at);
        CHECK(status == OCT_OK || status == OCT_CORRUPT);
        if (status != OCT_OK) continue;
        CHECK(oct_hnsw_build_step(builder, UINT64_MAX, &done, NULL) == OCT_OK);
        oct_hnsw *graph;
        oct_hnsw_builder_finish(builder, &graph);
        oct_hnsw_builder_destroy(builder);
        CHECK(search_stays_inside(&w, graph));
        oct_hnsw_destroy(graph);
        finished++;
    }
    CHECK(finished > 0);
    free(bytes.at);
    world_destroy(&w);
}

TEST_MAIN(opened_graph_equals_the_written_one, every_flipped_bit_before_the_codes_is_noticed,
          every_cut_is_noticed, codes_are_packed_where_it_pays, codes_are_not_packed_where_it_costs,
          attackers_stay_inside, attackers_of_checkpoints_stay_inside)
