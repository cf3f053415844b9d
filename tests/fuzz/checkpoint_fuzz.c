/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_fuzz.c - libFuzzer target: a merge goes on from a damaged checkpoint.
 *
 * Once, a database with three segments, deaths, points that stand in two of them, two graphs, codes
 * and a payload index is made
 * through the API, and its merge is cut off behind a checkpoint: early, in the first graph, or
 * late, in the second. The input is edits to the checkpoint: one byte of flags, then edits
 * (database_fuzz.h). Flag 1 makes all checksums right afterwards, also those of the graphs so far,
 * so that the damage reaches the sources, the sets of points and the links. Flag 2 takes the late
 * one. Then the database is opened and maintained to the end.
 * Checked beyond memory safety: whatever a checkpoint says, the merge ends, all points are there
 * and no other ones, and queries are answered. Links that are possible are taken over, so a graph
 * may come out worse; then the check has to say so. */
#include "database_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

enum { FLAG_REPAIR = 1, FLAG_LATE = 2 };

enum {
    SEGMENT = 90, /* points of each */
    SEGMENTS = 3,
    AGAIN = 6, /* points of a segment that the next one has, too */
    DEAD = 5,
    LIVING = SEGMENTS * SEGMENT - (SEGMENTS - 1) * AGAIN - DEAD,
    SAVES = 3,   /* of the graph that is being built */
    SECTIONS = 3 /* of a checkpoint without graphs: its subject, the points of two sources */
};

#define OK   "\"status\":\"ok\""
#define SLOT FUZZ_COLLECTION "/checkpoint-"

static fuzz_files moments[2]; /* early, late */

static void put_points(oct_db *db, uint32_t first)
{
    static char body[SEGMENT * 128];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"points\":[");
    for (uint32_t i = first; i < first + SEGMENT; i++)
        at +=
            (size_t)snprintf(body + at, sizeof body - at,
                             "%s{\"id\":%u,\"vector\":{\"a\":[%u,%u,%u],\"b\":[%u,%u,1]},"
                             "\"payload\":{\"w\":\"v%u\"}}",
                             i > first ? "," : "", i, i % 31, i % 37, i % 7, i % 13, i % 11, i % 9);
    (void)snprintf(body + at, sizeof body - at, "]}");
    ASSERT(fuzz_ask(db, "PUT", "/collections/c/points", body, OK));
}

/* Sealed segments; of two some points are dead or newer in the next one. */
static void fill(oct_db *db)
{
    ASSERT(fuzz_ask(db, "PUT", "/collections/c",
                    "{\"vectors\":{\"a\":{\"size\":3,\"distance\":\"Euclid\"},"
                    "\"b\":{\"size\":3,\"distance\":\"Cosine\",\"quantization_config\":"
                    "{\"scalar\":{\"type\":\"int8\"}}}},"
                    "\"hnsw_config\":{\"m\":4,\"ef_construct\":12,\"full_scan_threshold\":10},"
                    "\"optimizers_config\":{\"indexing_threshold\":1}}",
                    OK));
    ASSERT(fuzz_ask(db, "PUT", "/collections/c/index",
                    "{\"field_name\":\"w\",\"field_schema\":\"keyword\"}", OK));
    for (uint32_t s = 0; s < SEGMENTS; s++)
        put_points(db, s * (SEGMENT - AGAIN));
    ASSERT(
        fuzz_ask(db, "POST", "/collections/c/points/delete", "{\"points\":[3,7,20,100,101]}", OK));
}

/* 0: there is no such file. */
static uint32_t sections_of(const oct_vfs *vfs, const char *path)
{
    oct_container_trailer trailer;
    oct_file *file;
    uint64_t bytes;
    if (vfs->open(vfs->self, path, OCT_OPEN_READ, &file, NULL) != OCT_OK) return 0;
    ASSERT(vfs->size(vfs->self, file, &bytes, NULL) == OCT_OK);
    ASSERT(vfs->read(vfs->self, file, bytes - sizeof trailer, &trailer, sizeof trailer, NULL) ==
           OCT_OK);
    vfs->close(vfs->self, file);
    return trailer.section_count;
}

/* Maintain in the smallest steps until the last of so many graphs was saved a few times. Each
 * checkpoint goes into the other file. */
static void save_merge(oct_db *db, const oct_vfs *vfs, uint32_t graphs)
{
    bool more = true;
    for (uint32_t save = 0, saved = 0; saved < SAVES; save++) {
        const char *path = save % 2 ? SLOT "1" : SLOT "0";
        while (sections_of(vfs, path) == 0)
            ASSERT(more && oct_maintain(db, 0, &more, NULL) == OCT_OK);
        saved += sections_of(vfs, path) == SECTIONS + graphs;
    }
}

/* Make the database that inputs start from and keep its files. */
static void make_files(bool late)
{
    oct_vfs *vfs = NULL;
    sim_world world;
    ASSERT(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
    sim_init(&world, &test_alloc, vfs);
    sim_save_often(&world);
    world.options.appendable_points_max = SEGMENT;
    ASSERT(sim_open(&world, NULL) == OCT_OK);
    fill(world.db);
    sim_close(&world);
    ASSERT(sim_open(&world, NULL) == OCT_OK);
    save_merge(world.db, vfs, 1 + late);
    sim_close(&world);
    fuzz_keep_files(&moments[late], vfs);
    oct_vfs_memory_destroy(vfs);
}

static void ask_all(oct_db *db)
{
    char count[32];
    snprintf(count, sizeof count, "\"count\":%d}", LIVING);
    ASSERT(fuzz_ask(db, "POST", "/collections/c/points/count", "{}", count));
    ASSERT(fuzz_ask(db, "POST", "/collections/c/points/query",
                    "{\"query\":[3,4,5],\"using\":\"a\",\"limit\":300}", OK));
    ASSERT(fuzz_ask(db, "POST", "/collections/c/points/query",
                    "{\"query\":120,\"using\":\"b\",\"filter\":{\"must\":{\"key\":\"w\","
                    "\"match\":{\"value\":\"v4\"}}}}",
                    OK));
}

static void ignore_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (bytes < 1) return 0;
    bool late = input[0] & FLAG_LATE;
    if (moments[late].count == 0) make_files(late);
    oct_error error = { .message = "" };
    fuzz_world world;
    sim_world sim;
    fuzz_begin(&world, 32 << 20);
    fuzz_lay_files(world.vfs, &moments[late], "/checkpoint-", input[0] & FLAG_REPAIR, input + 1,
                   bytes - 1);
    sim_init(&sim, world.alloc, world.vfs);
    sim.options.appendable_points_max = SEGMENT;
    ASSERT(sim_open(&sim, &error) == OCT_OK);
    ASSERT(sim_settle(&sim, 1000, &error) == OCT_OK);
    ask_all(sim.db);
    bool changed = bytes > FUZZ_EDIT_BYTES;
    oct_status status = oct_check(sim.db, ignore_line, NULL, &error);
    ASSERT(status == OCT_OK || (changed && status == OCT_CORRUPT && error.message[0]));
    sim_close(&sim);
    fuzz_end(&world);
    return 0;
}
