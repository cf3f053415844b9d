/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: graphs over float16 and uint8 vectors find what they should, and answer with exactly the
 * scores of the exact search, before and after a restart.
 * Method: one collection with a vector per datatype and metric; the points are sealed and indexed;
 * every query is asked twice, exactly and of what is indexed only. A multivector, which never has a
 * graph, must be searched then too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "db/db.h"
#include "model/config.h"
#include "model/point_id.h"
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum { POINTS = 3000, DIM = 24, QUERIES = 40, LIMIT = 10, BATCH = 100 };

static const char *const names[] = { "hc", "he", "hm", "mm", "uc", "ud", "ue" };
enum { NAMES = 7, LEAST_PERCENT = 95 };

static const char config_text[] =
    "{\"vectors\":{"
    "\"hc\":{\"size\":24,\"distance\":\"Cosine\",\"datatype\":\"float16\"},"
    "\"he\":{\"size\":24,\"distance\":\"Euclid\",\"datatype\":\"float16\"},"
    "\"hm\":{\"size\":24,\"distance\":\"Manhattan\",\"datatype\":\"float16\"},"
    "\"mm\":{\"size\":24,\"distance\":\"Dot\",\"multivector_config\":"
    "{\"comparator\":\"max_sim\"}},"
    "\"uc\":{\"size\":24,\"distance\":\"Cosine\",\"datatype\":\"uint8\"},"
    "\"ud\":{\"size\":24,\"distance\":\"Dot\",\"datatype\":\"uint8\"},"
    "\"ue\":{\"size\":24,\"distance\":\"Euclid\",\"datatype\":\"uint8\"}},"
    "\"hnsw_config\":{\"full_scan_threshold\":10},"
    "\"optimizers_config\":{\"indexing_threshold\":10}}";

static sim_world world;
static oct_collection *collection;
static oct_arena arena;
static oct_error error;

/* Points lie around a few centres, as real ones do. */
static void random_vector(float out[DIM])
{
    uint64_t centre = test_random_below(30) * UINT64_C(0x9E3779B97F4A7C15);
    for (uint32_t i = 0; i < DIM; i++) {
        centre = centre * UINT64_C(6364136223846793005) + 1442695040888963407;
        out[i] = (float)(centre >> 57) + 60.0f * (test_random_float() + 1.0f);
    }
}

static void fill(void)
{
    static float values[BATCH][NAMES][DIM];
    static oct_named_vector vectors[BATCH][NAMES];
    static oct_point points[BATCH];
    oct_write_result result;
    for (uint32_t first = 0; first < POINTS; first += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            for (uint32_t v = 0; v < NAMES; v++) {
                random_vector(values[i][v]);
                vectors[i][v] = (oct_named_vector){ .name = oct_str_of(names[v]),
                                                    .values = values[i][v],
                                                    .count = DIM };
            }
            points[i] = (oct_point){ .id = oct_point_id_of(first + i),
                                     .vectors = vectors[i],
                                     .vector_count = NAMES };
        }
        const oct_write write = { .kind = OCT_WRITE_UPSERT,
                                  .points = points,
                                  .point_count = BATCH };
        CHECK(oct_collection_write(collection, &arena, &write, &result, &error) == OCT_OK);
        oct_arena_reset(&arena);
    }
}

/* How many of the exact answer the graph finds. */
static uint32_t compare(const char *name)
{
    float vector[DIM];
    oct_found exact, walked;
    uint32_t found = 0;
    random_vector(vector);
    oct_query query = { .kind = OCT_QUERY_VECTOR,
                        .vector = vector,
                        .vector_count = DIM,
                        .using_vector = oct_str_of(name),
                        .hnsw_ef = 128,
                        .exact = true,
                        .limit = LIMIT };
    CHECK_OR(0, oct_collection_query(collection, &arena, &query, &exact, &error) == OCT_OK);
    query.exact = false;
    query.indexed_only = true;
    CHECK_OR(0, oct_collection_query(collection, &arena, &query, &walked, &error) == OCT_OK);
    CHECK_OR(0, exact.count == LIMIT && walked.count == LIMIT);
    for (uint32_t i = 0; i < LIMIT; i++)
        for (uint32_t j = 0; j < LIMIT; j++) {
            const oct_found_point *a = &exact.points[i], *b = &walked.points[j];
            if (!oct_point_id_equal(a->id, b->id)) continue;
            CHECK_OR(0, memcmp(&a->score, &b->score, sizeof a->score) == 0);
            found++;
        }
    return found;
}

static void open_world(void)
{
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

static void create(oct_vfs *vfs)
{
    const oct_json *body;
    oct_collection_config config;
    sim_init(&world, &heap_counting.alloc, vfs);
    world.options.appendable_points_max = 1000; /* three segments, then one */
    CHECK(sim_open(&world, &error) == OCT_OK);
    oct_arena_init(&arena, oct_db_alloc(world.db), 0);
    CHECK(oct_json_parse(&arena, oct_str_of(config_text), &body, &error) == OCT_OK);
    CHECK(oct_config_parse(&arena, body, &config, &error) == OCT_OK);
    CHECK(oct_db_create_collection(world.db, OCT_STR("c"), &config, &error) == OCT_OK);
    oct_arena_reset(&arena);
    sim_close(&world);
}

static void compare_all(void)
{
    oct_collection_info info;
    CHECK(oct_collection_describe(collection, &arena, &info, &error) == OCT_OK);
    CHECK(info.indexed_vectors_count >= POINTS); /* there are graphs to walk on */
    for (uint32_t v = 0; v < NAMES; v++) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < QUERIES; i++) {
            found += compare(names[v]);
            oct_arena_reset(&arena);
        }
        if (found * 100 < LEAST_PERCENT * QUERIES * LIMIT)
            printf("  %s: %u of %u\n", names[v], found, QUERIES * LIMIT);
        CHECK(found * 100 >= LEAST_PERCENT * QUERIES * LIMIT);
    }
}

TEST(graphs_over_compact_rows)
{
    oct_vfs *vfs = NULL;
    CHECK(oct_vfs_memory_create(heap_start(), &vfs, &error) == OCT_OK);
    create(vfs);
    open_world();
    fill();
    CHECK(sim_settle(&world, 1000, &error) == OCT_OK);
    compare_all();
    close_world();
    open_world();
    compare_all();
    close_world();
    oct_vfs_memory_destroy(vfs);
    CHECK(heap_is_empty());
}

TEST_MAIN(graphs_over_compact_rows)
