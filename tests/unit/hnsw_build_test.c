/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a graph depends on its vectors and parameters and on nothing else, is sound for every shape
 * of input, can be saved and continued at any rest, and survives the failure of any allocation.
 * Method: bytes of graphs compared with each other and with pinned checksums, which gcc, clang,
 * every instruction set, wasm and WASI must all meet. */
#include "unit/hnsw_fixture.h"

#include "unit/base_heap.h"

static uint32_t crc_of(const oct_hnsw *graph)
{
    bytes_sink bytes = graph_bytes(graph);
    uint32_t crc = oct_crc32c(0, bytes.at, bytes.bytes);
    free(bytes.at);
    return crc;
}

/* ---- the same bytes --------------------------------------------------------------------- */

static void check_pinned(oct_metric metric, uint32_t dim, bool codes, uint32_t pinned)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t table_count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    test_random_state = 99; /* whatever the seed of this run: the checksum is of these vectors */
    world w = world_create(metric, 1200, dim, 9);
    for (size_t i = 0; i < table_count; i++) {
        oct_host host = fixture_host(&test_alloc);
        oct_hnsw_params params = fixture_params;
        params.codes = codes;
        oct_hnsw *graph;
        w.flat.kernels = tables[i];
        CHECK(build_graph(&host, &w.flat, &params, NULL, &graph, NULL) == OCT_OK);
        CHECK_EQ_U64(crc_of(graph), pinned);
        CHECK(graph_is_sound(graph));
        oct_hnsw_destroy(graph);
    }
    world_destroy(&w);
}

TEST(bytes_are_the_same_everywhere)
{
    check_pinned(OCT_METRIC_COSINE, 37, true, 0xd7ece59c);
    check_pinned(OCT_METRIC_EUCLID, 37, true, 0x3501806d);
    check_pinned(OCT_METRIC_DOT, 37, true, 0x4798734f);
    check_pinned(OCT_METRIC_MANHATTAN, 37, true, 0xefd7d429);
    check_pinned(OCT_METRIC_EUCLID, 37, false, 0x97da5e4);
    check_pinned(OCT_METRIC_COSINE, 130, true, 0xf4fdb58c); /* packed, as the next */
    check_pinned(OCT_METRIC_EUCLID, 70, true, 0xe4f4dfb0);
}

/* Tasks in falling order, as if the last thread were always the first. */
static void backwards(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task), void *arg)
{
    UNUSED(self);
    while (tasks-- > 0)
        run(arg, tasks);
}

TEST(cuts_and_widths_do_not_matter)
{
    world w = world_create(OCT_METRIC_COSINE, 1500, 72, 0);
    oct_hnsw *whole = build_plain(&w.flat, NULL);
    for (uint32_t width = 1; width <= 4; width += 3) {
        oct_host host = fixture_host(&test_alloc);
        host.parallel = backwards;
        host.parallel_width = width;
        oct_hnsw_builder *builder;
        CHECK(oct_hnsw_builder_create(&host, &w.flat, &fixture_params, NULL, &builder, NULL) ==
              OCT_OK);
        uint32_t steps = 0;
        uint32_t before = 0;
        bool done = false;
        while (!done) {
            CHECK(oct_hnsw_build_step(builder, 1, &done, NULL) == OCT_OK); /* one round a step */
            uint32_t inserted, total;
            oct_hnsw_builder_progress(builder, &inserted, &total);
            CHECK(inserted >= before && inserted <= total && total == 1500);
            before = inserted;
            steps++;
        }
        CHECK(steps > 100);
        CHECK(before == 1500);
        oct_hnsw *cut;
        oct_hnsw_builder_finish(builder, &cut);
        oct_hnsw_builder_destroy(builder);
        CHECK(same_bytes(whole, cut));
        oct_hnsw_destroy(cut);
    }
    oct_hnsw_destroy(whole);
    world_destroy(&w);
}

/* ---- shapes ----------------------------------------------------------------------------- */

static void check_shape(world *w, const oct_hnsw_params *params, uint32_t present)
{
    oct_host host = fixture_host(&test_alloc);
    oct_hnsw *graph;
    CHECK(build_graph(&host, &w->flat, params, NULL, &graph, NULL) == OCT_OK);
    CHECK(graph_is_sound(graph));
    CHECK_EQ_U64(oct_hnsw_point_count(graph), present);
    /* Walking with room for all must find everything: the graph is connected. */
    double recall = recall_asking(
        w, graph,
        (oct_hnsw_query){ .ef = w->flat.count + 1, .oversampling = (float)w->flat.count });
    CHECK(recall == 1.0 || (present == 0 && recall == 0.0));
    oct_hnsw_destroy(graph);
}

TEST(every_shape_is_sound)
{
    static const uint32_t counts[] = { 0, 1, 2, 3, 5, 17, 64, 65, 300 };
    static const oct_hnsw_params shapes[] = {
        { .m = 1, .ef_construct = 1, .seed = 1, .codes = true },
        { .m = 1, .ef_construct = 10, .seed = 2, .codes = false },
        { .m = 2, .ef_construct = 4, .seed = 3, .codes = true },
        { .m = 5, .ef_construct = 2, .seed = 4, .codes = true },
        { .m = 100, .ef_construct = 200, .seed = 5, .codes = true },
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(shapes); j++) {
            oct_metric metric = (oct_metric)test_random_below(OCT_METRIC_COUNT);
            world w = world_create(metric, counts[i], 1 + test_random_below(70),
                                   test_random_below(2) ? 3 : 0);
            check_shape(&w, &shapes[j], world_present_count(&w));
            world_destroy(&w);
        }
    }
}

TEST(a_graph_of_absent_points_is_empty)
{
    world w = world_create(OCT_METRIC_COSINE, 100, 8, 1); /* one in one is absent */
    CHECK_EQ_U64(world_present_count(&w), 0);
    check_shape(&w, &fixture_params, 0);
    world_destroy(&w);
}

TEST(equal_vectors_stay_connected)
{
    /* The worst case of neighbour selection: nobody is nearer than anybody. */
    world w = world_create(OCT_METRIC_EUCLID, 500, 16, 0);
    for (uint32_t i = 1; i < 500; i++)
        memcpy(w.rows + i * 16, w.rows, 16 * sizeof(float));
    check_shape(&w, &fixture_params, 500);
    memset(w.rows, 0, 500 * 16 * sizeof(float));
    check_shape(&w, &fixture_params, 500);
    world_destroy(&w);
}

TEST(levels_thin_out_by_m)
{
    world w = world_create(OCT_METRIC_DOT, 4000, 4, 0);
    oct_hnsw *graph = build_plain(&w.flat, NULL);
    oct_hnsw_report report;
    CHECK(oct_hnsw_check(&test_alloc, graph, &report, NULL) == OCT_OK);
    CHECK(report.levels >= 3 && report.levels <= 7); /* log of 4000 to base 8 is 4 */
    CHECK(report.links > 4000 * 2 && report.links <= 4000 * 16);
    oct_hnsw_params params = oct_hnsw_graph_params(graph);
    CHECK(params.m == 8 && params.ef_construct == 60 && params.seed == 7 && params.codes);
    oct_hnsw_destroy(graph);
    world_destroy(&w);
}

TEST(parameters_out_of_range_are_refused)
{
    static const oct_hnsw_params wrong[] = {
        { .m = 0, .ef_construct = 10 },
        { .m = OCT_HNSW_M_MAX + 1, .ef_construct = 10 },
        { .m = 8, .ef_construct = 0 },
        { .m = 8, .ef_construct = OCT_HNSW_EF_MAX + 1 },
    };
    world w = world_create(OCT_METRIC_DOT, 10, 4, 0);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        oct_host host = fixture_host(heap_start());
        oct_hnsw *graph;
        oct_error error = { 0 };
        CHECK(build_graph(&host, &w.flat, &wrong[i], NULL, &graph, &error) == OCT_VALIDATION);
        CHECK(strstr(error.message, "expected") != NULL);
        CHECK(heap_is_empty());
    }
    world_destroy(&w);
}

/* ---- checkpoints ------------------------------------------------------------------------ */

/* Save at every rest from step `first` on, go on in a new builder from the bytes each time. */
static oct_hnsw *build_with_restarts(const world *w, const oct_hnsw_params *params, uint32_t stride)
{
    oct_host host = fixture_host(heap_start());
    oct_hnsw_builder *builder;
    oct_status status = oct_hnsw_builder_create(&host, &w->flat, params, NULL, &builder, NULL);
    CHECK_OR(NULL, status == OCT_OK);
    bool done = false;
    uint32_t restarts = 0;
    for (uint32_t step = 0; !done; step++) {
        CHECK_OR(NULL, oct_hnsw_build_step(builder, 1, &done, NULL) == OCT_OK);
        if (step % stride || !oct_hnsw_builder_at_rest(builder)) continue;
        uint32_t inserted, total, again;
        oct_hnsw_builder_progress(builder, &inserted, &total);
        bytes_sink bytes = { 0 };
        const oct_hnsw_sink sink = { sink_append, &bytes };
        CHECK_OR(NULL, oct_hnsw_builder_save(builder, &sink, NULL) == OCT_OK);
        oct_hnsw_builder_destroy(builder);
        oct_error error = { 0 };
        if (restore_build(&host, &w->flat, params, &bytes, &builder, &error) != OCT_OK)
            test_fail(__FILE__, __LINE__, error.message);
        free(bytes.at);
        CHECK_OR(NULL, !test_failed);
        oct_hnsw_builder_progress(builder, &again, &total);
        CHECK_OR(NULL, again == inserted);
        done = false;
        restarts++;
        stride = stride * 3 / 2 + 1; /* so that the loop comes to an end: each restart redoes */
    }
    CHECK_OR(NULL, restarts >= 3);
    oct_hnsw *graph;
    oct_hnsw_builder_finish(builder, &graph);
    oct_hnsw_builder_destroy(builder);
    return graph;
}

TEST(a_restored_build_ends_in_the_same_graph)
{
    static const oct_metric metrics[] = { OCT_METRIC_COSINE, OCT_METRIC_MANHATTAN,
                                          OCT_METRIC_EUCLID };
    for (size_t i = 0; i < ARRAY_COUNT(metrics); i++) {
        world w = world_create(metrics[i], 900, i < 2 ? 20 : 70, 5); /* the last: packed */
        oct_hnsw *straight = build_plain(&w.flat, NULL);
        oct_hnsw *halting = build_with_restarts(&w, &fixture_params, 2);
        CHECK(halting != NULL && same_bytes(straight, halting));
        oct_hnsw_destroy(straight);
        oct_hnsw_destroy(halting);
        CHECK(heap_is_empty());
        world_destroy(&w);
    }
}

TEST(a_checkpoint_of_another_build_is_refused)
{
    world w = world_create(OCT_METRIC_COSINE, 200, 70, 0);
    oct_host host = fixture_host(heap_start());
    oct_hnsw_builder *builder;
    CHECK(oct_hnsw_builder_create(&host, &w.flat, &fixture_params, NULL, &builder, NULL) == OCT_OK);
    bool done = false;
    CHECK(oct_hnsw_build_step(builder, UINT64_MAX, &done, NULL) == OCT_OK);
    bytes_sink bytes = { 0 };
    const oct_hnsw_sink sink = { sink_append, &bytes };
    CHECK(oct_hnsw_builder_save(builder, &sink, NULL) == OCT_OK);
    oct_hnsw_builder_destroy(builder);
    for (int i = 0; i < 5; i++) {
        oct_hnsw_params other = fixture_params;
        oct_flat flat = w.flat;
        if (i == 0) other.m = 9;
        if (i == 1) other.seed = 8;
        if (i == 2) other.ef_construct = 61;
        if (i == 3) other.codes = false;
        if (i == 4) flat.count = 199;
        CHECK(restore_build(&host, &flat, &other, &bytes, &builder, NULL) == OCT_CORRUPT);
        CHECK(builder == NULL);
    }
    /* A checkpoint is not a graph. */
    oct_hnsw *graph;
    CHECK(oct_hnsw_open(&test_alloc, &w.flat, bytes.at, bytes.bytes, &graph, NULL) == OCT_CORRUPT);
    free(bytes.at);
    CHECK(heap_is_empty());
    world_destroy(&w);
}

/* ---- failures --------------------------------------------------------------------------- */

TEST(every_allocation_may_fail)
{
    world w = world_create(OCT_METRIC_EUCLID, 150, 70, 4);
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_host host = fixture_host(&heap_counting.alloc);
        oct_hnsw *graph;
        oct_error error = { 0 };
        oct_status status = build_graph(&host, &w.flat, &fixture_params, NULL, &graph, &error);
        CHECK(status == OCT_OK || (heap_failed() && status == OCT_NOMEM && graph == NULL));
        CHECK(status == OCT_OK || strstr(error.message, "memory") != NULL);
        oct_hnsw_destroy(graph);
        CHECK(heap_is_empty());
    }
    world_destroy(&w);
}

static oct_status touch_twice(void *arg, const void *at, size_t bytes, oct_error *error)
{
    uint32_t *calls = arg;
    UNUSED(at);
    UNUSED(bytes);
    if (++*calls > 2) return oct_fail(error, OCT_CORRUPT, "rows: block 9 is damaged");
    return OCT_OK;
}

TEST(damaged_rows_end_the_build)
{
    world w = world_create(OCT_METRIC_COSINE, 300, 10, 0);
    uint32_t calls = 0;
    w.flat.touch = touch_twice;
    w.flat.touch_arg = &calls;
    oct_host host = fixture_host(heap_start());
    oct_hnsw *graph;
    oct_error error = { 0 };
    CHECK(build_graph(&host, &w.flat, &fixture_params, NULL, &graph, &error) == OCT_CORRUPT);
    CHECK_EQ_STR(error.message, "rows: block 9 is damaged");
    CHECK(graph == NULL);
    CHECK(heap_is_empty());
    world_destroy(&w);
}

TEST_MAIN(bytes_are_the_same_everywhere, cuts_and_widths_do_not_matter, every_shape_is_sound,
          a_graph_of_absent_points_is_empty, equal_vectors_stay_connected, levels_thin_out_by_m,
          parameters_out_of_range_are_refused, a_restored_build_ends_in_the_same_graph,
          a_checkpoint_of_another_build_is_refused, every_allocation_may_fail,
          damaged_rows_end_the_build)
