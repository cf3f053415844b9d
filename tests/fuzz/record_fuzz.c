/* SPDX-License-Identifier: Apache-2.0
 *
 * record_fuzz.c - libFuzzer target: any bytes as records of a collection's log, replayed.
 *
 * Once, a small database is made through the API: sealed segments, payload indexes, two vectors,
 * and some changes that are in the log only. The input is records, each u16 length and its bytes.
 * They are appended to that log as a writer would, with right checksums, and the database is
 * opened: recovery reads and applies them to a real collection. What opened is asked, sealed and
 * merged, checked, closed and opened again. Checked beyond memory safety: a collection with a bad
 * record says so (CORRUPT) and nothing else; what was accepted can be sealed, passes the check, and
 * opens again with as many points. */
#include "database_fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

enum { POINTS = 40, SEGMENT_POINTS = 16, MEMORY_MAX = 64 << 20 };

static fuzz_files files;
static const char *log_path; /* of the log that takes records */
static uint64_t log_first;

/* The status, and the number behind "count": (UINT64_MAX when there is none). */
static oct_status ask(oct_db *db, const char *verb, const char *path, const char *body,
                      uint64_t *count)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(db, &request, &reply);
    ASSERT(reply.body);
    if (count) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)MIN(reply.body_bytes, sizeof text), reply.body);
        const char *at = strstr(text, "\"count\":");
        *count = at ? strtoull(at + 8, NULL, 10) : UINT64_MAX;
    }
    oct_status status = reply.status;
    oct_reply_free(db, &reply);
    return status;
}

static void upsert(oct_db *db, uint32_t i)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"points\":[{\"id\":%u,\"vector\":{\"a\":[%u,%u,3,1]%s},\"payload\":"
             "{\"n\":%u,\"k\":\"w%u\"}}]}",
             i, i % 17, i % 5, i % 3 ? ",\"b\":[1,2]" : "", i % 9, i % 7);
    ASSERT(ask(db, "PUT", "/collections/c/points", body, NULL) == OCT_OK);
}

/* Is this the last log? */
static void look_for_log(const fuzz_copy *copy)
{
    const char *log = strstr(copy->path, "/log-");
    uint64_t first = log ? strtoull(log + 5, NULL, 16) : 0;
    if (first <= log_first) return;
    log_first = first;
    log_path = copy->path;
}

static void world_init(sim_world *sim, const oct_alloc *alloc, const oct_vfs *vfs)
{
    sim_init(sim, alloc, vfs);
    sim->options.appendable_points_max = SEGMENT_POINTS;
}

/* Make the database all inputs start from and keep its files. */
static void make_files(void)
{
    oct_vfs *vfs = NULL;
    sim_world sim;
    ASSERT(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
    world_init(&sim, &test_alloc, vfs);
    ASSERT(sim_open(&sim, NULL) == OCT_OK);
    ASSERT(ask(sim.db, "PUT", "/collections/c",
               "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Cosine\"},"
               "\"b\":{\"size\":2,\"distance\":\"Euclid\"},"
               "\"m\":{\"size\":2,\"distance\":\"Dot\",\"datatype\":\"uint8\","
               "\"multivector_config\":{\"comparator\":\"max_sim\"}}},"
               "\"sparse_vectors\":{\"s\":{}},\"hnsw_config\":{\"m\":4},"
               "\"optimizers_config\":{\"indexing_threshold\":1}}",
               NULL) == OCT_OK);
    for (uint32_t i = 0; i < POINTS; i++)
        upsert(sim.db, i);
    ASSERT(ask(sim.db, "PUT", "/collections/c/index",
               "{\"field_name\":\"n\",\"field_schema\":\"integer\"}", NULL) == OCT_OK);
    ASSERT(sim_settle(&sim, 1000, NULL) == OCT_OK);
    for (uint32_t i = POINTS; i < POINTS + 4; i++)
        upsert(sim.db, i);
    sim_close(&sim);
    fuzz_keep_files(&files, vfs);
    for (size_t i = 0; i < files.count; i++)
        look_for_log(&files.copies[i]);
    ASSERT(log_path);
    oct_vfs_memory_destroy(vfs);
}

static oct_status ignore_record(void *arg, uint64_t sequence, oct_str record, oct_error *error)
{
    UNUSED(arg), UNUSED(sequence), UNUSED(record), UNUSED(error);
    return OCT_OK;
}

/* Append the input's records to the log. */
static void append(const fuzz_world *world, const uint8_t *input, size_t bytes)
{
    oct_wal *wal;
    const oct_wal_options options = { .sync = true };
    const oct_wal_open_request request = { .path = log_path,
                                           .first_sequence = log_first,
                                           .replay = ignore_record };
    ASSERT(oct_wal_open(world->alloc, world->vfs, &request, &options, &wal, NULL) == OCT_OK);
    while (bytes >= 2) {
        size_t length = (size_t)input[0] | (size_t)input[1] << 8;
        length = MIN(length, bytes - 2);
        ASSERT(oct_wal_reserve(wal, length, false, NULL) == OCT_OK);
        oct_wal_append(wal, input + 2, length);
        input += 2 + length;
        bytes -= 2 + length;
    }
    ASSERT(oct_wal_commit(wal, oct_wal_last_sequence(wal), NULL) == OCT_OK);
    oct_wal_close(wal);
}

static void ask_all(oct_db *db)
{
    static const char *const queries[] = {
        "{\"query\":[1,2,3,4],\"using\":\"a\",\"limit\":20,\"with_payload\":true,"
        "\"with_vector\":true}",
        "{\"query\":[1,2],\"using\":\"b\",\"limit\":9,\"params\":{\"exact\":true}}",
        "{\"query\":7,\"using\":\"a\",\"filter\":{\"must\":{\"key\":\"n\",\"range\":{\"gt\":3}}}}",
        "{\"filter\":{\"should\":[{\"key\":\"k\",\"match\":{\"value\":\"w3\"}},"
        "{\"is_empty\":{\"key\":\"n\"}}]},\"limit\":100}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++)
        (void)ask(db, "POST", "/collections/c/points/query", queries[i], NULL);
    (void)ask(db, "POST", "/collections/c/points/scroll", "{\"limit\":200,\"with_vector\":true}",
              NULL);
    (void)ask(db, "GET", "/collections/c", "", NULL);
}

static void show_finding(void *arg, const char *line)
{
    snprintf(arg, sizeof((oct_error *)0)->message, "%s", line);
}

/* The collection opened: it is sound now, when all of it is sealed, and when it is opened again. */
static void use(sim_world *sim, uint64_t points)
{
    oct_error error = { .message = "" };
    uint64_t again = 0;
    ask_all(sim->db);
    oct_status status = sim_settle(sim, 1000, &error);
    if (status != OCT_OK) fprintf(stderr, "maintenance: %s\n", error.message);
    ASSERT(status == OCT_OK);
    ask_all(sim->db);
    status = oct_check(sim->db, show_finding, error.message, NULL);
    if (status != OCT_OK) fprintf(stderr, "check: %s\n", error.message);
    ASSERT(status == OCT_OK);
    sim_close(sim);
    ASSERT(sim_open(sim, NULL) == OCT_OK);
    ASSERT(ask(sim->db, "POST", "/collections/c/points/count", "{}", &again) == OCT_OK);
    ASSERT(again == points);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (files.count == 0) make_files();
    fuzz_world world;
    sim_world sim;
    oct_error error;
    uint64_t points = 0;
    fuzz_begin(&world, MEMORY_MAX / 2);
    for (size_t i = 0; i < files.count; i++)
        fuzz_file(world.vfs, files.copies[i].path, files.copies[i].content, files.copies[i].bytes);
    append(&world, input, bytes);
    world_init(&sim, world.alloc, world.vfs);
    ASSERT(sim_open(&sim, &error) == OCT_OK); /* the collection, if any, is damaged */
    oct_status status = ask(sim.db, "POST", "/collections/c/points/count", "{}", &points);
    ASSERT(status == OCT_OK || status == OCT_CORRUPT);
    if (status == OCT_OK) use(&sim, points);
    sim_close(&sim);
    fuzz_end(&world);
    return 0;
}
