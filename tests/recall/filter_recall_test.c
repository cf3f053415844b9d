/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: filtered queries through the whole database find at least .98 of what an exact scan finds,
 * whatever the filter, with each way to index it: no links within payload blocks, links for all
 * indexes, for tenants only, and nothing but such links; as well after a third of the points was
 * deleted and others came.
 * Method: 6,000 clustered vectors of 24 dimensions with values that select a half to a hundredth of
 * them, one of them following the clusters, one against; a full-scan threshold so low that walks
 * decide. The truth is the same query with exact. Prints the table it measured. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octant/octant.h"
#include "unit/test.h"

enum { DIM = 24, COUNT = 6000, QUERIES = 60, LIMIT = 10, CENTRES = 40, BATCH = 500 };

typedef struct world {
    oct_vfs *vfs;
    oct_db *db;
    float vectors[COUNT * DIM];
    float queries[QUERIES * DIM];
    uint32_t centre[COUNT];
    char body[1 << 18], answer[1 << 14];
} world;

/* ---- host ------------------------------------------------------------------------------- */

static void *plain_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (new_bytes > 0) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static const oct_alloc plain_alloc = { .resize = plain_resize };

static uint64_t ticks; /* a clock of its own */

static uint64_t tick(void *self)
{
    (void)self;
    return ticks += 1000000;
}

static oct_status entropy(void *self, void *target, size_t bytes, oct_error *error)
{
    (void)self;
    (void)error;
    memset(target, 7, bytes);
    return OCT_OK;
}

/* ---- calls ------------------------------------------------------------------------------ */

/* The answer is in w->answer, "" (and a failed test) unless it is a success. */
static void ask(world *w, const char *verb, const char *path, const float *floats, size_t count)
{
    oct_reply reply;
    const oct_call_request request = { .verb = verb,
                                       .path = { path, strlen(path) },
                                       .body = { w->body, strlen(w->body) },
                                       .floats = floats,
                                       .float_count = count };
    oct_call(w->db, &request, &reply);
    snprintf(w->answer, sizeof w->answer, "%.*s", (int)reply.body_bytes, reply.body);
    if (reply.http_status != 200) {
        test_fail(__FILE__, __LINE__, w->answer);
        w->answer[0] = 0;
    }
    oct_reply_free(w->db, &reply);
}

static void tell(world *w, const char *verb, const char *path)
{
    ask(w, verb, path, w->vectors, COUNT * DIM);
}

static void maintain(world *w)
{
    oct_error error = { .message = "" };
    bool more = true;
    while (more && !test_failed)
        if (oct_maintain(w->db, 1000, &more, &error) != OCT_OK)
            test_fail(__FILE__, __LINE__, error.message);
}

/* ---- data ------------------------------------------------------------------------------- */

static void fill_near(float *row, const float *centre)
{
    for (uint32_t d = 0; d < DIM; d++)
        row[d] = centre[d] + (test_random_float() + test_random_float()) * 0.5f;
}

static void make_vectors(world *w)
{
    static float centres[CENTRES * DIM];
    for (uint32_t i = 0; i < CENTRES * DIM; i++)
        centres[i] = test_random_float() * 0.5f;
    for (uint32_t i = 0; i < COUNT; i++) {
        w->centre[i] = test_random_below(CENTRES);
        fill_near(w->vectors + (size_t)i * DIM, centres + (size_t)w->centre[i] * DIM);
    }
    for (uint32_t i = 0; i < QUERIES; i++)
        fill_near(w->queries + (size_t)i * DIM, centres + (size_t)test_random_below(CENTRES) * DIM);
}

static void upsert(world *w, uint32_t first, uint32_t end, uint32_t step)
{
    while (first < end) {
        size_t at = (size_t)sprintf(w->body, "{\"points\":[");
        for (uint32_t n = 0; n < BATCH && first < end; n++, first += step)
            at += (size_t)sprintf(
                w->body + at,
                "%s{\"id\":%" PRIu32 ",\"vector\":{\"$f32\":[%" PRIu32 ",%d]},\"payload\":{"
                "\"half\":%s,\"tenth\":\"t%" PRIu32 "\",\"hundredth\":%" PRIu32
                ",\"score\":%" PRIu32 ",\"group\":\"g%" PRIu32 "\"}}",
                n ? "," : "", first, first * DIM, DIM, first % 2 ? "true" : "false", first / 2 % 10,
                first / 3 % 100, first * 7 % 1000, w->centre[first] % 8);
        sprintf(w->body + at, "]}");
        tell(w, "PUT", "/collections/c/points?wait=true");
    }
}

static void open_world(world *w, const char *hnsw, const char *tenth)
{
    static const char *const fields[][2] = { { "half", "\"bool\"" },
                                             { "hundredth", "\"integer\"" },
                                             { "score", "\"integer\"" },
                                             { "group", "\"keyword\"" } };
    oct_error error = { .message = "" };
    if (oct_vfs_memory_create(&plain_alloc, &w->vfs, &error) != OCT_OK) abort();
    const oct_host host = { .alloc = &plain_alloc,
                            .vfs = w->vfs,
                            .unix_ms = tick,
                            .monotonic_ns = tick,
                            .entropy = entropy,
                            .parallel_width = 1 };
    const oct_open_options options = { .wal_sync = OCT_WAL_SYNC_NONE,
                                       .appendable_points_max = 1000 };
    if (oct_open(&host, &options, &w->db, &error) != OCT_OK) abort();
    sprintf(w->body,
            "{\"vectors\":{\"size\":%d,\"distance\":\"Cosine\"},\"hnsw_config\":{"
            "\"full_scan_threshold\":10,%s},\"optimizers_config\":{\"indexing_threshold\":20,"
            "\"default_segment_number\":1}}",
            DIM, hnsw);
    tell(w, "PUT", "/collections/c");
    sprintf(w->body, "{\"field_name\":\"tenth\",\"field_schema\":%s}", tenth);
    tell(w, "PUT", "/collections/c/index?wait=true");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        sprintf(w->body, "{\"field_name\":\"%s\",\"field_schema\":%s}", fields[i][0], fields[i][1]);
        tell(w, "PUT", "/collections/c/index?wait=true");
    }
}

static void close_world(world *w)
{
    oct_close(w->db);
    oct_vfs_memory_destroy(w->vfs);
}

/* ---- recall ----------------------------------------------------------------------------- */

/* Ids of the answer to query q; how many. */
static uint32_t find(world *w, uint32_t q, const char *filter, const char *params,
                     uint64_t ids[LIMIT])
{
    uint32_t count = 0;
    sprintf(w->body, "{\"query\":{\"$f32\":[%" PRIu32 ",%d]},\"limit\":%d,\"params\":{%s}%s%s}",
            q * DIM, DIM, LIMIT, params, *filter ? ",\"filter\":" : "", filter);
    ask(w, "POST", "/collections/c/points/query", w->queries, QUERIES * DIM);
    const char *at = strstr(w->answer, "\"id\":");
    for (; at && count < LIMIT; at = strstr(at + 5, "\"id\":"))
        ids[count++] = strtoull(at + 5, NULL, 10);
    return count;
}

static double recall_of(world *w, const char *filter, const char *params)
{
    uint32_t found = 0, wanted = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        uint64_t truth[LIMIT], ids[LIMIT];
        uint32_t true_count = find(w, q, filter, "\"exact\":true", truth);
        uint32_t count = find(w, q, filter, params, ids);
        wanted += true_count;
        for (uint32_t i = 0; i < true_count; i++)
            for (uint32_t j = 0; j < count; j++)
                found += ids[j] == truth[i];
    }
    return wanted ? (double)found / (double)wanted : 0;
}

static void check_all(world *w, const char *name)
{
    static const char *const filters[] = {
        "",
        "{\"must\":[{\"key\":\"half\",\"match\":{\"value\":true}}]}",
        "{\"must\":[{\"key\":\"tenth\",\"match\":{\"value\":\"t3\"}}]}",
        "{\"must\":[{\"key\":\"hundredth\",\"match\":{\"value\":42}}]}",
        "{\"must\":[{\"key\":\"group\",\"match\":{\"value\":\"g5\"}}]}",
        "{\"must_not\":[{\"key\":\"group\",\"match\":{\"value\":\"g5\"}}]}",
        "{\"must\":[{\"key\":\"score\",\"range\":{\"gte\":100,\"lt\":400}}]}",
        ("{\"must\":[{\"key\":\"tenth\",\"match\":{\"any\":[\"t1\",\"t2\"]}},"
         "{\"key\":\"half\",\"match\":{\"value\":false}}]}"),
    };
    static const char *const params[] = {
        "\"hnsw_ef\":64",
        "\"hnsw_ef\":64,\"acorn\":{\"enable\":true,\"max_selectivity\":1.0}",
    };
    for (size_t f = 0; f < sizeof filters / sizeof *filters; f++)
        for (size_t p = 0; p < sizeof params / sizeof *params; p++) {
            double recall = recall_of(w, filters[f], params[p]);
            printf("  %-20s recall %.4f %s %s\n", name, recall, p ? "acorn" : "", filters[f]);
            CHECK(recall >= 0.98);
        }
}

static void hear(void *arg, const char *line)
{
    (void)arg;
    printf("  %s\n", line);
}

/* Every file is in order, and nearly all points are in graphs: else there is nothing to see. */
static void check_sound(world *w)
{
    oct_error error = { .message = "" };
    if (oct_check(w->db, hear, NULL, &error) != OCT_OK)
        test_fail(__FILE__, __LINE__, error.message);
    w->body[0] = 0;
    ask(w, "GET", "/collections/c", NULL, 0);
    const char *indexed = strstr(w->answer, "\"indexed_vectors_count\":");
    if (!indexed || strtoull(indexed + 24, NULL, 10) < COUNT / 2)
        test_fail(__FILE__, __LINE__, w->answer);
}

static void check_config(const char *name, const char *hnsw, const char *tenth)
{
    static world w;
    make_vectors(&w);
    open_world(&w, hnsw, tenth);
    upsert(&w, 0, COUNT - 500, 1);
    maintain(&w);
    check_sound(&w);
    check_all(&w, name);
    for (uint32_t i = 0; i < 3; i++) { /* about a third goes, some of it comes back */
        sprintf(w.body,
                "{\"filter\":{\"must\":[{\"key\":\"hundredth\",\"range\":{\"gte\":%" PRIu32
                ",\"lt\":%" PRIu32 "}}]}}",
                10 + 30 * i, 20 + 30 * i);
        tell(&w, "POST", "/collections/c/points/delete?wait=true");
    }
    upsert(&w, 0, COUNT - 500, 7);
    upsert(&w, COUNT - 500, COUNT, 1);
    maintain(&w);
    check_sound(&w);
    check_all(&w, name);
    close_world(&w);
}

TEST(filters_without_block_links)
{
    check_config("plain", "\"m\":16", "\"keyword\"");
}

TEST(filters_with_block_links)
{
    check_config("payload_m 8", "\"payload_m\":8", "\"keyword\"");
}

TEST(filters_with_links_of_tenants)
{
    check_config("tenth is tenant", "\"m\":16", "{\"type\":\"keyword\",\"is_tenant\":true}");
}

TEST(filters_without_a_whole_graph)
{
    check_config("m 0, payload_m 12", "\"m\":0,\"payload_m\":12", "\"keyword\"");
}

TEST_MAIN(filters_without_block_links, filters_with_block_links, filters_with_links_of_tenants,
          filters_without_a_whole_graph)
