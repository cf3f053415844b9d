/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a call of maintenance does a bounded amount of work, however large the collection.
 * Method: segments of 20,000 points in all are sealed and merged with the smallest budget, on a
 * clock that counts looks at it, so that every call ends at the first look. Calls are counted by
 * the place where they begin. For each place it is known how much there is to do in all, and stated
 * how much a call may do: so there must be as many calls as the one makes of the other. A place
 * where all is done at once has one call. Distances are counted in each call, too. */
#include <stdio.h>
#include <string.h>

#include "sim/model.h"
#include "sim/steps.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum {
    POINTS = 20000,
    SEGMENT = 5000,
    DIM = 16,
    M = 8,
    BLOCKS = 4,
    BATCH = 1000,
    PLACES_MAX = 64,
    DISTANCES_MAX = 8 * 2000 /* in one call: eight points are inserted, or some rows repaired */
};

/* What there is to do at a place in all, and how much of it a call may do. */
typedef struct bound {
    const char *place;
    uint64_t all, most;
} bound;

enum { ROW = DIM * 4, LINKS = 2 * M * 4, CODE = 64 };

static const bound bounds[] = {
    { "seal ids", POINTS, 128 },
    { "seal payloads", POINTS, 128 },
    { "seal vectors", POINTS, 128 },
    { "merge ids", POINTS, 128 },
    { "merge versions", POINTS, 128 },
    { "merge ends", POINTS, 128 },
    { "merge payloads", POINTS, 128 },
    { "merge vectors", POINTS, 128 },
    /* Rows are gathered, the block is cleared, a sample is looked at in 8 passes, rows are coded.
     */
    { "merge quant", POINTS / 128 + POINTS / 256 + 8 * (POINTS * DIM >> 17), 1 },
    { "merge graph.rows", POINTS, 128 },
    { "merge graph.levels", POINTS, 8192 },
    { "merge graph.clear", POINTS *(LINKS + CODE), 256 << 10 },
    { "merge graph.uppers", POINTS, 8192 },
    { "merge graph.fit", 3 * POINTS, 32768 },
    { "merge graph.encode", POINTS, 1024 },
    { "merge graph.search", POINTS, 8 },
    { "merge graph.collect", POINTS, 512 },
    { "merge graph.connect", POINTS, 1024 },
    { "merge graph.sum", POINTS *LINKS, 256 << 10 },
    { "merge graph.write", POINTS *LINKS, 256 << 10 },
    /* Of each block rows are copied, inserted, and their links kept; then all are joined: measured,
     * filled in, made distinct. */
    { "merge links", POINTS / 128 + POINTS / 8 + 4 * (POINTS / 512), 1 },
    { "merge finish", POINTS *(LINKS + 32), 512 << 10 },
};

typedef struct place {
    char name[STEPS_NAME_BYTES];
    uint64_t calls;
} place;

static place places[PLACES_MAX];
static uint32_t place_count;
static sim_world world;
static oct_collection *collection;
static oct_error error;

static uint64_t *calls_of(const char *name)
{
    uint32_t i = 0;
    while (i < place_count && strcmp(places[i].name, name) != 0)
        i++;
    CHECK_OR(&places[0].calls, i < PLACES_MAX);
    if (i == place_count)
        (void)snprintf(places[place_count++].name, sizeof places[i].name, "%s", name);
    return &places[i].calls;
}

static bool step(uint64_t *distances)
{
    char name[STEPS_NAME_BYTES];
    bool more = false;
    steps_name(collection, name);
    const oct_build *build = collection->merge.build;
    uint64_t before = build ? oct_build_distances(build) : 0;
    CHECK_OR(false, oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    ++*calls_of(name);
    bool same = build && build == collection->merge.build;
    *distances = same ? oct_build_distances(build) - before : 0;
    return more;
}

static void put(uint32_t first)
{
    static char body[BATCH * 128];
    static float rows[BATCH * DIM];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"points\":[");
    for (uint32_t i = 0; i < BATCH; i++) {
        for (uint32_t d = 0; d < DIM; d++)
            rows[i * DIM + d] = (float)test_random_below(1000) - 500;
        at += (size_t)snprintf(body + at, sizeof body - at,
                               "%s{\"id\":%u,\"vector\":{\"$f32\":[%u,%d]},"
                               "\"payload\":{\"w\":\"v%u\"}}",
                               i ? "," : "", first + i, i * DIM, DIM, (first + i) % BLOCKS);
    }
    (void)snprintf(body + at, sizeof body - at, "]}");
    CHECK(steps_call(world.db, "PUT", "/collections/c/points?wait=true", body, rows, BATCH * DIM));
}

TEST(a_call_does_a_bounded_amount_of_work)
{
    oct_vfs *vfs = NULL;
    uint64_t distances = 0, most = 0;
    CHECK(oct_vfs_memory_create(heap_start(), &vfs, NULL) == OCT_OK);
    sim_init(&world, &heap, vfs);
    world.options.appendable_points_max = SEGMENT;
    world.options.checkpoint_ms = UINT32_MAX;
    CHECK(sim_open(&world, &error) == OCT_OK);
    CHECK(steps_call(world.db, "PUT", "/collections/c",
                     "{\"vectors\":{\"size\":16,\"distance\":\"Cosine\"},"
                     "\"hnsw_config\":{\"m\":8,\"ef_construct\":20,\"payload_m\":4,"
                     "\"full_scan_threshold\":10},"
                     "\"quantization_config\":{\"scalar\":{\"type\":\"int8\",\"quantile\":0.99}},"
                     "\"optimizers_config\":{\"indexing_threshold\":800}}",
                     NULL, 0));
    CHECK(steps_call(world.db, "PUT", "/collections/c/index?wait=true",
                     "{\"field_name\":\"w\",\"field_schema\":\"keyword\"}", NULL, 0));
    CHECK(oct_db_pin(world.db, OCT_STR("c"), &collection, &error) == OCT_OK);
    for (uint32_t first = 0; first < POINTS; first += BATCH) {
        put(first);
        while (collection->rotation)
            (void)step(&distances);
    }
    while (!test_failed && step(&distances))
        most = MAX(most, distances);
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++) {
        const bound *b = &bounds[i];
        uint64_t calls = *calls_of(b->place), least = b->all / b->most;
        if (calls < least)
            printf("  %s: %u calls, expected at least %u\n", b->place, (unsigned)calls,
                   (unsigned)least);
        CHECK(calls >= least);
    }
    printf("  at most %u distances in a call\n", (unsigned)most);
    CHECK(most > 0 && most <= DISTANCES_MAX);
    oct_db_unpin(collection);
    sim_close(&world);
    oct_vfs_memory_destroy(vfs);
    CHECK(heap_is_empty());
}

TEST_MAIN(a_call_does_a_bounded_amount_of_work)
