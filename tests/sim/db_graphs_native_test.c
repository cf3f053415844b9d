/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: inserts into an indexed collection and deletes from it don't build its graph anew, cost it
 * no recall, and leave a sound graph of the same bytes on any number of threads, for every kind of
 * quantization.
 * Method: 10,000 points are indexed, 500 of them deleted and 1,300 added; the merge that follows is
 * compared, in distances and recall, with a collection that was given the points that are left at
 * once. Then rounds of random inserts, replacements and deletes, each maintained to the end: the
 * graph's invariants hold after each, and the files on 1, 2 and 4 threads are the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "db/collection.h"
#include "model/config.h"
#include "model/point_id.h"
#include "sim/model.h"
#include "unit/test.h"
#include "unit/threads.h"

enum {
    DIM = 32,
    BATCH = 100,
    POINTS = 10000,
    ADDED = 1300, /* more than an eighth of the graph: time for a merge */
    DELETED = 500,
    QUERIES = 200,
    LIMIT = 10,
    ROUNDS = 8,
    ROUND_IDS = 1200
};

static const struct {
    const char *name, *text;
} kinds[] = {
    { "no codes", "" },
    { "scalar", ",\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}" },
    { "product", ",\"quantization_config\":{\"product\":{\"compression\":\"x4\"}}" },
    { "binary", ",\"quantization_config\":{\"binary\":{}}" },
    { "turbo", ",\"quantization_config\":{\"turbo\":{}}" },
};

static sim_world world;
static oct_vfs *vfs;
static oct_collection *collection;
static oct_arena arena;
static oct_error error;

static void *resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (new_bytes) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static const oct_alloc plain = { .resize = resize };

/* Points lie around a few centres, as real ones do. The same for the same number. */
static void vector_of(uint64_t number, float out[DIM])
{
    uint64_t centre = oct_hash_u64(1, number) % 40;
    for (uint32_t i = 0; i < DIM; i++) {
        uint64_t near = oct_hash_u64(2, number * DIM + i), far = oct_hash_u64(3, centre * DIM + i);
        out[i] = (float)(far >> 40) / (1 << 23) + (float)(near >> 40) / (1 << 24) - 1.5f;
    }
}

/* ---- the collection ------------------------------------------------------------------- */

static void open_world(uint32_t segment, uint32_t width)
{
    sim_init(&world, &plain, vfs);
    world.options.appendable_points_max = segment;
    world.host.parallel = test_parallel;
    world.host.parallel_width = width;
    CHECK(sim_open(&world, &error) == OCT_OK);
    CHECK(oct_db_pin(world.db, OCT_STR("c"), &collection, &error) == OCT_OK);
    oct_arena_init(&arena, oct_db_alloc(world.db), 0);
}

static void close_world(void)
{
    oct_arena_reset(&arena);
    oct_db_unpin(collection);
    sim_close(&world);
}

static void create(const char *quantization, uint32_t segment, uint32_t width)
{
    char text[512];
    const oct_json *body;
    oct_collection_config config;
    CHECK(oct_vfs_memory_create(&plain, &vfs, &error) == OCT_OK);
    (void)snprintf(text, sizeof text,
                   "{\"vectors\":{\"size\":%d,\"distance\":\"Cosine\"%s},"
                   "\"hnsw_config\":{\"full_scan_threshold\":10},"
                   "\"optimizers_config\":{\"indexing_threshold\":10}}",
                   DIM, quantization);
    sim_init(&world, &plain, vfs);
    CHECK(sim_open(&world, &error) == OCT_OK);
    oct_arena_init(&arena, oct_db_alloc(world.db), 0);
    CHECK(oct_json_parse(&arena, oct_str_of(text), &body, &error) == OCT_OK);
    CHECK(oct_config_parse(&arena, body, &config, &error) == OCT_OK);
    CHECK(oct_db_create_collection(world.db, OCT_STR("c"), &config, &error) == OCT_OK);
    oct_arena_reset(&arena);
    sim_close(&world);
    open_world(segment, width);
}

static void destroy(void)
{
    close_world();
    oct_vfs_memory_destroy(vfs);
}

/* Points first, first + step, ... with the vectors of their number in `edition`. */
static void put(uint32_t first, uint32_t step, uint32_t count, uint32_t edition)
{
    static float values[BATCH][DIM];
    static oct_named_vector vectors[BATCH];
    static oct_point points[BATCH];
    oct_write_result result;
    for (uint32_t done = 0; done < count;) {
        uint32_t batch = count - done < BATCH ? count - done : BATCH;
        for (uint32_t i = 0; i < batch; i++) {
            uint32_t id = first + step * (done + i);
            vector_of(id + edition * UINT64_C(1000000), values[i]);
            vectors[i] =
                (oct_named_vector){ .name = OCT_STR(""), .values = values[i], .count = DIM };
            points[i] =
                (oct_point){ .id = oct_point_id_of(id), .vectors = &vectors[i], .vector_count = 1 };
        }
        const oct_write write = { .kind = OCT_WRITE_UPSERT,
                                  .points = points,
                                  .point_count = batch };
        CHECK(oct_collection_write(collection, &arena, &write, &result, &error) == OCT_OK);
        oct_arena_reset(&arena);
        done += batch;
    }
}

static void drop(uint32_t first, uint32_t step, uint32_t count)
{
    oct_write_result result;
    for (uint32_t i = 0; i < count; i++) {
        const oct_point_id id = oct_point_id_of(first + step * i);
        const oct_write write = { .kind = OCT_WRITE_DELETE,
                                  .selector = { .ids = &id, .id_count = 1 } };
        CHECK(oct_collection_write(collection, &arena, &write, &result, &error) == OCT_OK);
        oct_arena_reset(&arena);
    }
}

/* Maintain to the end; distances of the last merge. */
static uint64_t settle(void)
{
    uint64_t distances = 0;
    bool more = true;
    while (more) {
        CHECK_OR(0, oct_maintain(world.db, 0, &more, &error) == OCT_OK);
        if (collection->merge.build) distances = oct_build_distances(collection->merge.build);
    }
    return distances;
}

/* ---- what is looked at ---------------------------------------------------------------- */

/* Every graph is sound; how many points are in graphs. */
static uint32_t check_graphs(void)
{
    uint32_t points = 0;
    oct_view *view = oct_collection_view(collection);
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_sealed *sealed = view->entries[i].sealed;
        oct_hnsw_report report;
        if (!sealed || !sealed->vectors[0].graph) continue;
        CHECK_OR(0, oct_hnsw_check(&plain, sealed->vectors[0].graph, &report, &error) == OCT_OK);
        CHECK_OR(0, report.points == sealed->count && report.unreachable == 0);
        CHECK_OR(0, report.out_of_range + report.self_links + report.repeated_links == 0);
        CHECK_OR(0, report.wrong_levels == 0);
        CHECK_OR(0, report.links <= (uint64_t)report.points * 32); /* twice m */
        points += report.points;
    }
    oct_view_unpin(view);
    return points;
}

/* Of 1: what searches of the graphs alone find of the exact answers. */
static double recall(void)
{
    uint32_t found = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        float vector[DIM];
        oct_found exact, walked;
        vector_of(UINT64_C(900000000) + q, vector);
        oct_query query = { .kind = OCT_QUERY_VECTOR,
                            .vector = vector,
                            .vector_count = DIM,
                            .exact = true,
                            .limit = LIMIT };
        query.hnsw_ef = 16; /* narrow, so that the graph counts */
        CHECK_OR(0, oct_collection_query(collection, &arena, &query, &exact, &error) == OCT_OK);
        query.exact = false;
        CHECK_OR(0, oct_collection_query(collection, &arena, &query, &walked, &error) == OCT_OK);
        CHECK_OR(0, exact.count == LIMIT);
        for (uint32_t i = 0; i < exact.count; i++)
            for (uint32_t j = 0; j < walked.count; j++)
                found += oct_point_id_equal(exact.points[i].id, walked.points[j].id);
        oct_arena_reset(&arena);
    }
    return (double)found / (QUERIES * LIMIT);
}

TEST(inserts_and_deletes_go_into_the_graph_there_is)
{
    for (uint32_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        create(kinds[k].text, POINTS, 1);
        put(0, 1, POINTS, 0);
        uint64_t first = settle();
        CHECK_EQ_U64(check_graphs(), POINTS);
        close_world();
        open_world(ADDED, 1);
        drop(0, POINTS / DELETED, DELETED);
        put(POINTS, 1, ADDED, 0);
        uint64_t merged = settle();
        CHECK_EQ_U64(check_graphs(), POINTS - DELETED + ADDED);
        double after = recall();
        destroy();

        create(kinds[k].text, POINTS - DELETED + ADDED, 1);
        uint32_t step = POINTS / DELETED;
        for (uint32_t id = 1; id < step; id++)
            put(id, step, DELETED, 0);
        put(POINTS, 1, ADDED, 0);
        uint64_t anew = settle();
        CHECK_EQ_U64(check_graphs(), POINTS - DELETED + ADDED);
        double fresh = recall();
        destroy();
        printf("  %s: first graph %" PRIu64 " distances, merge %" PRIu64 ", anew %" PRIu64
               "; recall %.4f, anew %.4f\n",
               kinds[k].name, first, merged, anew, after, fresh);
        CHECK(merged > 0 && merged * 3 < anew);
        CHECK(after >= fresh - .005);
    }
}

/* ---- steps ---------------------------------------------------------------------------- */

static const oct_vfs *below;
static uint64_t written, written_most; /* since the last look at the clock; the most of any */

static oct_status counted_write(void *self, oct_file *file, uint64_t offset, const void *source,
                                size_t bytes, oct_error *problem)
{
    written += bytes;
    return below->write(self, file, offset, source, bytes, problem);
}

static uint64_t counting_ns(void *self)
{
    written_most = written > written_most ? written : written_most;
    written = 0;
    return oct_atomic_add(&((sim_world *)self)->clock, 1000);
}

TEST(a_graph_is_written_in_pieces)
{
    oct_vfs counting;
    create("", POINTS, 1);
    put(0, 1, POINTS, 0);
    close_world();
    below = vfs;
    counting = *vfs;
    counting.write = counted_write;
    sim_init(&world, &plain, &counting);
    world.host.monotonic_ns = counting_ns;
    world.options.appendable_points_max = POINTS;
    CHECK(sim_open(&world, &error) == OCT_OK);
    CHECK(oct_db_pin(world.db, OCT_STR("c"), &collection, &error) == OCT_OK);
    oct_arena_init(&arena, oct_db_alloc(world.db), 0);
    (void)settle();
    CHECK_EQ_U64(check_graphs(), POINTS);
    printf("  at most %" PRIu64 " bytes between two looks at the clock\n", written_most);
    CHECK(written_most <= 2 * OCT_HNSW_PIECE_BYTES); /* of more than a million in the graph */
    destroy();
}

/* ---- random changes ------------------------------------------------------------------- */

/* A sum over the bytes of all sealed files, in the order of their numbers. */
static uint32_t sum_files(void)
{
    uint32_t sum = 0;
    oct_view *view = oct_collection_view(collection);
    for (uint32_t i = 0; i < view->count; i++) {
        oct_file *file;
        uint64_t bytes = 0;
        if (!view->entries[i].sealed) continue;
        const char *path = view->entries[i].sealed->path;
        CHECK_OR(0, vfs->open(vfs->self, path, OCT_OPEN_READ, &file, &error) == OCT_OK);
        CHECK_OR(0, vfs->size(vfs->self, file, &bytes, &error) == OCT_OK);
        uint8_t *copy = malloc((size_t)bytes);
        CHECK_OR(0, copy && vfs->read(vfs->self, file, 0, copy, (size_t)bytes, &error) == OCT_OK);
        sum = oct_crc32c(sum, copy, (size_t)bytes);
        free(copy);
        vfs->close(vfs->self, file);
    }
    oct_view_unpin(view);
    return sum;
}

/* The same changes for the same seed, whatever the number of threads. */
static void change_at_random(uint64_t seed, uint32_t sums[ROUNDS], uint32_t *indexed)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t draw = oct_hash_u64(seed, round);
        uint32_t first = (uint32_t)(draw % ROUND_IDS), step = 1 + (uint32_t)(draw >> 20) % 5;
        put(first, step, 150 + (uint32_t)(draw >> 32) % 300, round);
        drop((uint32_t)(draw >> 40) % ROUND_IDS, 3, 20 + (uint32_t)(draw >> 50) % 150);
        (void)settle();
        *indexed += check_graphs();
        CHECK(!test_failed);
        sums[round] = sum_files();
    }
}

TEST(graphs_stay_sound_and_the_same_on_any_number_of_threads)
{
    static const uint32_t widths[] = { 1, 2, 4 };
    for (uint32_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        uint32_t sums[ARRAY_COUNT(widths)][ROUNDS], indexed = 0;
        for (uint32_t w = 0; w < ARRAY_COUNT(widths); w++) {
            create(kinds[k].text, 200, widths[w]);
            change_at_random(test_seed + k, sums[w], &indexed);
            CHECK(!test_failed);
            CHECK(memcmp(sums[w], sums[0], sizeof sums[0]) == 0);
            destroy();
        }
        CHECK(indexed > ROUNDS * 200);
    }
}

TEST_MAIN(inserts_and_deletes_go_into_the_graph_there_is, a_graph_is_written_in_pieces,
          graphs_stay_sound_and_the_same_on_any_number_of_threads)
