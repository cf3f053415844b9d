/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: writers, readers and maintenance at the same time never show half a change, never a point
 * twice, and lose nothing; under ThreadSanitizer, without a race.
 * Method: each writer owns a range of ids and writes points whose payload repeats their vector;
 * readers check every point they see against that, that a page has no id twice, and that the
 * queries of a batch, which run on threads of their own, see the same state; a maintenance thread
 * seals and merges all the while (segments of 24 points), another makes and drops a payload index,
 * and a third changes the settings that graphs and codes are built by. At the end every writer's
 * last state is compared, and again after a reopen.
 * Sparse vectors apart, in memory segments of many blocks: each write of a writer replaces all of
 * its points, so that readers must find every point, and those of one writer in the same state. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/model.h"
#include "unit/test.h"
#include "unit/threads.h"

enum { SPARSE_IDS = 50, SPARSE_WRITERS = 2, SPARSE_ROUNDS = 150, SPARSE_BODY = 8192 };

enum {
    WRITERS = 4,
    READERS = 2,
    IDS = 40,
    THREADS = WRITERS + READERS + 3,
    ROUNDS = 2000,
    TEXT = 16384
};

#define BATCHED "{\"query\":[1,1],\"limit\":30,\"with_vector\":true,\"with_payload\":true}"

typedef struct shared {
    sim_world world;
    oct_atomic_u64 writers_left;
    oct_atomic_u64 bad;     /* wrong answers seen */
    oct_atomic_u64 pages;   /* pages read while writers ran */
    oct_atomic_u64 indexes; /* made while writers ran */
    oct_atomic_u64 updates; /* of the settings, meanwhile */
    int last[WRITERS][IDS]; /* value of each id, -1 = deleted; each writer its own row */
} shared;

typedef struct worker {
    shared *all;
    uint32_t number;
    uint64_t random;
} worker;

/* The tests' hostile heap is for one thread. */
static void *resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (new_bytes) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static uint32_t below(worker *self, uint32_t limit)
{
    self->random = self->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(self->random >> 33) % limit;
}

static int call(oct_db *db, const char *verb, const char *path, const char *body, char *answer)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(db, &request, &reply);
    int http = reply.http_status;
    size_t bytes = reply.body_bytes < TEXT - 1 ? reply.body_bytes : TEXT - 1;
    if (answer) {
        memcpy(answer, reply.body, bytes);
        answer[bytes] = '\0';
    }
    oct_reply_free(db, &reply);
    return http;
}

static void write_once(worker *self, int round)
{
    shared *all = self->all;
    char body[512];
    uint32_t at = below(self, IDS);
    uint32_t id = self->number * IDS + at;
    bool drop = below(self, 5) == 0;
    if (drop) {
        snprintf(body, sizeof body, "{\"points\":[%u]}", id);
        all->last[self->number][at] = -1;
    } else {
        snprintf(body, sizeof body,
                 "{\"points\":[{\"id\":%u,\"vector\":[%d,1],\"payload\":{\"n\":%d}}]}", id, round,
                 round);
        all->last[self->number][at] = round;
    }
    int http =
        drop ? call(all->world.db, "POST", "/collections/c/points/delete?wait=true", body, NULL)
             : call(all->world.db, "PUT", "/collections/c/points?wait=true", body, NULL);
    if (http != 200) oct_atomic_add(&all->bad, 1);
}

static void *run_writer(void *arg)
{
    worker *self = arg;
    for (int round = 0; round < ROUNDS; round++)
        write_once(self, round);
    oct_atomic_subtract(&self->all->writers_left, 1);
    return NULL;
}

/* Every point of a page: its vector repeats its payload, and no id comes twice. */
static void check_page(shared *all, const char *page)
{
    bool seen[WRITERS * IDS] = { false };
    for (const char *at = strstr(page, "{\"id\":"); at; at = strstr(at + 1, "{\"id\":")) {
        unsigned id = 0;
        int n = -2;
        float vector = -3;
        const char *payload = strstr(at, "\"n\":"), *row = strstr(at, "\"vector\":[");
        if (sscanf(at, "{\"id\":%u", &id) != 1 || id >= WRITERS * IDS || seen[id] || !payload ||
            !row || sscanf(payload, "\"n\":%d", &n) != 1 ||
            sscanf(row, "\"vector\":[%f", &vector) != 1 || (int)vector != n)
            oct_atomic_add(&all->bad, 1);
        else
            seen[id] = true;
    }
}

/* The same query several times in one batch: are all answers the same? */
static void read_batch(shared *all, char *answer)
{
    static const char body[] = "{\"searches\":[" BATCHED "," BATCHED "," BATCHED "]}";
    int http = call(all->world.db, "POST", "/collections/c/points/query/batch", body, answer);
    const char *first = strstr(answer, "{\"points\":");
    const char *second = first ? strstr(first + 1, "{\"points\":") : NULL;
    const char *third = second ? strstr(second + 1, "{\"points\":") : NULL;
    bool same = http == 200 && third && third - second == second - first &&
                memcmp(first, second, (size_t)(second - first)) == 0 &&
                memcmp(second, third, (size_t)(third - second) - 1) == 0;
    if (!same) oct_atomic_add(&all->bad, 1);
    oct_atomic_add(&all->pages, 3);
}

static void *run_reader(void *arg)
{
    worker *self = arg;
    shared *all = self->all;
    char *page = malloc(TEXT);
    const char *scroll = "{\"limit\":200,\"with_vector\":true}";
    const char *query =
        "{\"query\":[1,1],\"limit\":200,\"with_vector\":true,\"with_payload\":true}";
    while (oct_atomic_load(&all->writers_left) > 0) {
        uint32_t way = below(self, 3);
        if (way == 0) {
            read_batch(all, page);
            continue;
        }
        bool scrolling = way == 1;
        int http = call(all->world.db, "POST",
                        scrolling ? "/collections/c/points/scroll" : "/collections/c/points/query",
                        scrolling ? scroll : query, page);
        if (http != 200) oct_atomic_add(&all->bad, 1);
        check_page(all, page);
        oct_atomic_add(&all->pages, 1);
    }
    free(page);
    return NULL;
}

static void *run_maintenance(void *arg)
{
    worker *self = arg;
    while (oct_atomic_load(&self->all->writers_left) > 0) {
        bool more = false;
        if (oct_maintain(self->all->world.db, 1, &more, NULL) != OCT_OK)
            oct_atomic_add(&self->all->bad, 1);
    }
    return NULL;
}

static void *run_indexer(void *arg)
{
    worker *self = arg;
    shared *all = self->all;
    static const char index[] = "{\"field_name\":\"n\",\"field_schema\":\"integer\"}";
    while (oct_atomic_load(&all->writers_left) > 0) {
        if (call(all->world.db, "PUT", "/collections/c/index?wait=true", index, NULL) != 200 ||
            call(all->world.db, "DELETE", "/collections/c/index/n?wait=true", "", NULL) != 200)
            oct_atomic_add(&all->bad, 1);
        oct_atomic_add(&all->indexes, 1);
    }
    return NULL;
}

static void *run_updater(void *arg)
{
    worker *self = arg;
    shared *all = self->all;
    static const char *const codes[] = { "\"Disabled\"", "{\"scalar\":{\"type\":\"int8\"}}",
                                         "{\"binary\":{}}" };
    char body[256], answer[TEXT], want[32];
    for (unsigned i = 0; oct_atomic_load(&all->writers_left) > 0; i++) {
        snprintf(body, sizeof body,
                 "{\"hnsw_config\":{\"m\":%u},\"quantization_config\":%s,"
                 "\"optimizers_config\":{\"indexing_threshold\":1},\"metadata\":{\"i\":%u}}",
                 2 + i % 3, codes[i % 3], i);
        snprintf(want, sizeof want, "\"metadata\":{\"i\":%u}", i);
        if (call(all->world.db, "PATCH", "/collections/c", body, NULL) != 200 ||
            call(all->world.db, "GET", "/collections/c", "", answer) != 200 ||
            !strstr(answer, want))
            oct_atomic_add(&all->bad, 1);
        oct_atomic_add(&all->updates, 1);
    }
    return NULL;
}

/* Is every id as its writer left it? */
static bool all_there(shared *all)
{
    char path[64], answer[TEXT], want[32];
    for (uint32_t i = 0; i < WRITERS * IDS; i++) {
        int last = all->last[i / IDS][i % IDS];
        snprintf(path, sizeof path, "/collections/c/points/%u", i);
        snprintf(want, sizeof want, "\"n\":%d}", last);
        int http = call(all->world.db, "GET", path, "", answer);
        if (last < 0 ? http != 404 : http != 200 || !strstr(answer, want)) return false;
    }
    return true;
}

TEST(writers_readers_and_maintenance_together)
{
    static shared all;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    oct_vfs *vfs = NULL;
    const oct_alloc *alloc = &(oct_alloc){ .resize = resize };
    CHECK(oct_vfs_memory_create(alloc, &vfs, NULL) == OCT_OK);
    sim_init(&all.world, alloc, vfs);
    all.world.host.parallel = test_parallel;
    all.world.host.parallel_width = 2;
    CHECK(sim_open(&all.world, NULL) == OCT_OK);
    CHECK(call(all.world.db, "PUT", "/collections/c",
               "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}", NULL) == 200);
    for (uint32_t i = 0; i < WRITERS * IDS; i++)
        all.last[i / IDS][i % IDS] = -1;
    oct_atomic_store(&all.writers_left, WRITERS);
    static void *(*const others[])(void *) = { run_maintenance, run_indexer, run_updater };
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){ &all, i, test_seed + i };
        CHECK(pthread_create(&threads[i], NULL,
                             i < WRITERS             ? run_writer
                             : i < WRITERS + READERS ? run_reader
                                                     : others[i - WRITERS - READERS],
                             &workers[i]) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("  %u writes, %u pages, %u indexes, %u updates\n", WRITERS * ROUNDS,
           (unsigned)oct_atomic_load(&all.pages), (unsigned)oct_atomic_load(&all.indexes),
           (unsigned)oct_atomic_load(&all.updates));
    CHECK(oct_atomic_load(&all.indexes) > 0 && oct_atomic_load(&all.updates) > 0);
    CHECK(oct_atomic_load(&all.bad) == 0);
    CHECK(all_there(&all));
    sim_close(&all.world);
    CHECK(sim_open(&all.world, NULL) == OCT_OK);
    CHECK(all_there(&all));
    sim_close(&all.world);
    oct_vfs_memory_destroy(vfs);
}

/* ---- sparse vectors ------------------------------------------------------------------------ */

/* All points of a writer anew; a point's value for dimension 7 is the round. */
static void write_sparse(worker *self, int round)
{
    char body[SPARSE_BODY];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"points\":[");
    for (uint32_t i = 0; i < SPARSE_IDS; i++)
        at += (size_t)snprintf(body + at, sizeof body - at,
                               "%s{\"id\":%u,\"vector\":{\"s\":{\"indices\":[7,%u],"
                               "\"values\":[%d,1]}},\"payload\":{\"n\":%d}}",
                               i ? "," : "", self->number * SPARSE_IDS + i, 100 + below(self, 900),
                               round, round);
    snprintf(body + at, sizeof body - at, "]}");
    if (call(self->all->world.db, "PUT", "/collections/s/points?wait=true", body, NULL) != 200)
        oct_atomic_add(&self->all->bad, 1);
}

static void *run_sparse_writer(void *arg)
{
    worker *self = arg;
    for (int round = 2; round < SPARSE_ROUNDS; round++)
        write_sparse(self, round);
    oct_atomic_subtract(&self->all->writers_left, 1);
    return NULL;
}

/* Is every point in the answer, with the score its payload says, and as its neighbours? */
static bool sparse_page_is_right(const char *page)
{
    bool seen[SPARSE_WRITERS * SPARSE_IDS] = { false };
    int states[SPARSE_WRITERS] = { 0 };
    uint32_t count = 0;
    for (const char *at = strstr(page, "{\"id\":"); at; at = strstr(at + 1, "{\"id\":")) {
        unsigned id = 0;
        int n = -2;
        float score = -3;
        const char *payload = strstr(at, "\"n\":"), *shown = strstr(at, "\"score\":");
        if (sscanf(at, "{\"id\":%u", &id) != 1 || id >= SPARSE_WRITERS * SPARSE_IDS || seen[id] ||
            !payload || !shown || sscanf(payload, "\"n\":%d", &n) != 1 ||
            sscanf(shown, "\"score\":%f", &score) != 1 || (int)score != n)
            return false;
        int *state = &states[id / SPARSE_IDS];
        if (*state == 0) *state = n;
        if (*state != n) return false;
        seen[id] = true;
        count++;
    }
    return count == SPARSE_WRITERS * SPARSE_IDS;
}

static void *run_sparse_reader(void *arg)
{
    worker *self = arg;
    char *page = malloc(TEXT);
    const char *query = "{\"query\":{\"indices\":[7],\"values\":[1]},\"using\":\"s\",\"limit\":200,"
                        "\"with_payload\":true}";
    while (oct_atomic_load(&self->all->writers_left) > 0) {
        int http = call(self->all->world.db, "POST", "/collections/s/points/query", query, page);
        if (http != 200 || !sparse_page_is_right(page)) oct_atomic_add(&self->all->bad, 1);
        oct_atomic_add(&self->all->pages, 1);
    }
    free(page);
    return NULL;
}

TEST(sparse_points_are_found_while_they_change)
{
    enum { HANDS = SPARSE_WRITERS + READERS + 1 };
    static shared all;
    pthread_t threads[HANDS];
    worker workers[HANDS];
    oct_vfs *vfs = NULL;
    const oct_alloc *alloc = &(oct_alloc){ .resize = resize };
    CHECK(oct_vfs_memory_create(alloc, &vfs, NULL) == OCT_OK);
    sim_init(&all.world, alloc, vfs);
    all.world.options.appendable_points_max = 2000;
    CHECK(sim_open(&all.world, NULL) == OCT_OK);
    CHECK(call(all.world.db, "PUT", "/collections/s", "{\"sparse_vectors\":{\"s\":{}}}", NULL) ==
          200);
    oct_atomic_store(&all.writers_left, SPARSE_WRITERS);
    for (uint32_t i = 0; i < HANDS; i++) {
        workers[i] = (worker){ &all, i, test_seed + i };
        if (i < SPARSE_WRITERS) write_sparse(&workers[i], 1);
    }
    for (uint32_t i = 0; i < HANDS; i++)
        CHECK(pthread_create(&threads[i], NULL,
                             i < SPARSE_WRITERS             ? run_sparse_writer
                             : i < SPARSE_WRITERS + READERS ? run_sparse_reader
                                                            : run_maintenance,
                             &workers[i]) == 0);
    for (uint32_t i = 0; i < HANDS; i++)
        pthread_join(threads[i], NULL);
    printf("  %u pages\n", (unsigned)oct_atomic_load(&all.pages));
    CHECK(oct_atomic_load(&all.bad) == 0);
    sim_close(&all.world);
    oct_vfs_memory_destroy(vfs);
}

TEST_MAIN(writers_readers_and_maintenance_together, sparse_points_are_found_while_they_change)
