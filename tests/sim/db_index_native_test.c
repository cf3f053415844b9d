/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: making a payload index holds up no writer: the collection's writer lock is free while
 * indexes are built, and what happens meanwhile (a seal, a merge, another schema) is in the result.
 * Method: the allocator looks at the lock each time the request takes memory, and at chosen moments
 * makes changes of its own in the middle of the request, which a held lock would not let through.
 * Then the counts of filters are compared with those without any index. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/collection.h"
#include "sim/model.h"
#include "unit/test.h"

enum { POINTS = 3000, TEXT = 4096, HELD_MAX = 200, VALUES = 7 };

static sim_world world;
static oct_collection *collection;

/* What the allocator does while `watching`. */
static bool watching;
static uint64_t free_calls, held_calls; /* with the writer lock free and held */
static uint64_t act_at;                 /* at this call with the lock free: act; 0 = never */
static void (*act)(void);

static bool writer_is_held(void)
{
    if (pthread_mutex_trylock(&collection->writer) != 0) return true;
    pthread_mutex_unlock(&collection->writer);
    return false;
}

static void watch(void)
{
    if (writer_is_held()) {
        held_calls++;
        return;
    }
    if (++free_calls != act_at) return;
    watching = false;
    act();
    watching = true;
}

static void *resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (watching && new_bytes) watch();
    if (new_bytes) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static int call(const char *verb, const char *path, const char *body, char *answer)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(world.db, &request, &reply);
    int http = reply.http_status;
    size_t bytes = reply.body_bytes < TEXT - 1 ? reply.body_bytes : TEXT - 1;
    if (answer) {
        memcpy(answer, reply.body, bytes);
        answer[bytes] = '\0';
    }
    oct_reply_free(world.db, &reply);
    return http;
}

static void put(uint32_t id, uint32_t n)
{
    char body[256];
    snprintf(body, sizeof body,
             "{\"points\":[{\"id\":%u,\"vector\":[1,1],\"payload\":{\"n\":%u,\"w\":\"v%u\"}}]}", id,
             n % VALUES, n % 5);
    CHECK(call("PUT", "/collections/c/points?wait=true", body, NULL) == 200);
}

static unsigned count_of(const char *condition)
{
    char body[256], answer[TEXT];
    unsigned count = 0;
    snprintf(body, sizeof body, "{\"filter\":{\"must\":[%s]}}", condition);
    CHECK_OR(0, call("POST", "/collections/c/points/count", body, answer) == 200);
    const char *at = strstr(answer, "\"count\":");
    CHECK_OR(0, at && sscanf(at, "\"count\":%u", &count) == 1);
    return count;
}

static void settle(void)
{
    CHECK(sim_settle(&world, 1000, NULL) == OCT_OK);
}

static void change_points(void)
{
    for (uint32_t i = 0; i < 20; i++)
        put(i, 3);
    CHECK(call("POST", "/collections/c/points/delete?wait=true", "{\"points\":[30,31,32]}", NULL) ==
          200);
}

/* Enough points for a seal, which then is merged with the segments that are being indexed. */
static void seal_and_merge(void)
{
    for (uint32_t i = 0; i < 1200; i++)
        put(POINTS + i, i);
    settle();
}

static void make_other_index(void)
{
    CHECK(call("PUT", "/collections/c/index?wait=true",
               "{\"field_name\":\"w\",\"field_schema\":\"keyword\"}", NULL) == 200);
}

/* Make the index of n, acting at the given share of the calls, in percent. */
static void make_index(void (*what)(void), uint64_t calls, uint64_t percent)
{
    act = what;
    act_at = what ? 1 + calls * percent / 100 : 0;
    free_calls = held_calls = 0;
    watching = true;
    int http = call("PUT", "/collections/c/index?wait=true",
                    "{\"field_name\":\"n\",\"field_schema\":\"integer\"}", NULL);
    watching = false;
    CHECK(http == 200);
    CHECK(held_calls <= HELD_MAX); /* however many points there are */
}

/* Is the field indexed, with all points at least? (Dead ones count until they are gone.) */
static bool has_index(const char *field, unsigned points)
{
    char answer[TEXT], name[64];
    unsigned found = 0;
    CHECK_OR(false, call("GET", "/collections/c", "", answer) == 200);
    snprintf(name, sizeof name, "\"%s\":{", field);
    const char *at = strstr(answer, "\"payload_schema\":");
    at = at ? strstr(at, name) : NULL;
    at = at ? strstr(at, "\"points\":") : NULL;
    return at && sscanf(at, "\"points\":%u", &found) == 1 && found >= points;
}

static void open_world(void)
{
    CHECK(sim_open(&world, NULL) == OCT_OK);
    CHECK(oct_db_pin(world.db, OCT_STR("c"), &collection, NULL) == OCT_OK);
}

static void close_world(void)
{
    oct_db_unpin(collection);
    sim_close(&world);
}

/* How many points have each value of n. */
static void read_counts(unsigned counts[VALUES])
{
    for (unsigned n = 0; n < VALUES; n++) {
        char condition[128];
        snprintf(condition, sizeof condition, "{\"key\":\"n\",\"match\":{\"value\":%u}}", n);
        counts[n] = count_of(condition);
    }
}

/* The index is there, also after a reopening, and says what the payloads say. */
static void check_index(uint32_t points)
{
    unsigned before[VALUES], after[VALUES], plain[VALUES], sum = 0;
    CHECK(has_index("n", points));
    read_counts(before);
    close_world();
    open_world();
    CHECK(has_index("n", points));
    read_counts(after);
    CHECK(call("DELETE", "/collections/c/index/n?wait=true", "", NULL) == 200);
    read_counts(plain);
    CHECK(memcmp(before, plain, sizeof plain) == 0);
    CHECK(memcmp(after, plain, sizeof plain) == 0);
    for (unsigned n = 0; n < VALUES; n++)
        sum += plain[n];
    CHECK_EQ_U64(sum, points);
}

static uint64_t start(oct_vfs *vfs, const oct_alloc *alloc)
{
    watching = false;
    sim_init(&world, alloc, vfs);
    world.options.appendable_points_max = 1000;
    CHECK_OR(0, sim_open(&world, NULL) == OCT_OK);
    CHECK_OR(0, call("PUT", "/collections/c", "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}",
                     NULL) == 200);
    sim_close(&world);
    open_world();
    for (uint32_t i = 0; i < POINTS; i++)
        put(i, i);
    settle();
    make_index(NULL, 0, 0);
    uint64_t calls = free_calls;
    CHECK_OR(0, call("DELETE", "/collections/c/index/n?wait=true", "", NULL) == 200);
    return calls;
}

static const struct {
    const char *name;
    void (*run)(void);
    uint32_t points; /* afterwards */
} acts[] = {
    { "points change", change_points, POINTS - 3 },
    { "a seal and a merge", seal_and_merge, POINTS + 1200 },
    { "another index", make_other_index, POINTS },
};

TEST(writers_go_on_while_an_index_is_built)
{
    const oct_alloc *alloc = &(oct_alloc){ .resize = resize };
    for (uint32_t a = 0; a < ARRAY_COUNT(acts); a++) {
        for (uint64_t percent = 0; percent < 100; percent += 24) {
            oct_vfs *vfs = NULL;
            CHECK(oct_vfs_memory_create(alloc, &vfs, NULL) == OCT_OK);
            uint64_t calls = start(vfs, alloc);
            make_index(acts[a].run, calls, percent);
            CHECK(!test_failed);
            settle();
            check_index(acts[a].points);
            if (percent == 0)
                printf("  %s: %" PRIu64 " allocations beside writers, %" PRIu64 " before them\n",
                       acts[a].name, free_calls, held_calls);
            close_world();
            oct_vfs_memory_destroy(vfs);
        }
    }
}

TEST_MAIN(writers_go_on_while_an_index_is_built)
