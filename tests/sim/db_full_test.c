/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a full disk heals by deletes alone: they are accepted, what they free comes back through
 * maintenance, and writes work again in the open database, again and again.
 * Method: on disks of several sizes, points are added until the disk refuses them for good, then
 * the oldest or random ones are deleted in small steps with maintenance between, until additions
 * are accepted again; twenty times on one open database, then it is opened once more. Counts and
 * points are compared on the way. Nobody but the database uses the disk. */
#include <stdarg.h>

#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"
#include "vfs/vfs_fault.h"

enum {
    DIMENSION = 32,
    IDS = 60000,
    BATCH = 8,
    ROUNDS = 20,
    REFUSALS = 6, /* in a row, with maintenance between: the disk is full */
    DELETE_BATCH = 16,
    SETTLE_STEPS = 40 /* of maintenance after each step, at most */
};

typedef struct shop {
    sim_world world;
    oct_vfs_fault *fault;
    uint8_t version[IDS]; /* 0: not there */
    uint32_t first, next; /* ids ever used are below next; those below first are gone */
    uint32_t alive;
    uint64_t additions, refused, deletes, refused_deletes, healings, deleted_before_healing;
    bool random_deletes;
} shop;

static shop now;
static char body[16384];

static void put(const char *format, ...)
{
    size_t at = strlen(body);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(body + at, sizeof body - at, format, args);
    va_end(args);
}

static oct_status ask(const char *verb, const char *path, oct_reply *reply)
{
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(now.world.db, &request, reply);
    return reply->status;
}

/* Is `text` somewhere in the reply? Its body has no NUL at its end. */
static bool has(const oct_reply *reply, const char *text)
{
    size_t bytes = strlen(text);
    for (size_t at = 0; reply->body && at + bytes <= reply->body_bytes; at++)
        if (memcmp(reply->body + at, text, bytes) == 0) return true;
    return false;
}

static oct_status tell(const char *verb, const char *path)
{
    oct_reply reply;
    oct_status status = ask(verb, path, &reply);
    oct_reply_free(now.world.db, &reply);
    return status;
}

/* Until nothing is left to do; NO_SPACE is a reason to stop, nothing else is. */
static void settle(void)
{
    bool more = true;
    for (uint32_t i = 0; i < SETTLE_STEPS && more; i++) {
        oct_error error = { .message = "" };
        oct_status status = oct_maintain(now.world.db, 0, &more, &error);
        if (status != OCT_OK && status != OCT_NO_SPACE) printf("maintain: %s\n", error.message);
        CHECK(status == OCT_OK || status == OCT_NO_SPACE);
    }
}

static void check_count(void)
{
    oct_reply reply;
    char expected[64];
    body[0] = '\0';
    put("{}");
    CHECK(ask("POST", "/collections/c/points/count", &reply) == OCT_OK);
    (void)snprintf(expected, sizeof expected, "{\"count\":%u}", now.alive);
    bool right = has(&reply, expected);
    if (!right) printf("expected %s: %.*s\n", expected, (int)reply.body_bytes, reply.body);
    oct_reply_free(now.world.db, &reply);
    CHECK(right);
}

/* Ten points by id, there with their version or not there. */
static void check_some(void)
{
    for (uint32_t i = 0; i < 10 && now.next > 0; i++) {
        oct_reply reply;
        char path[64], expected[32];
        uint32_t id = test_random_below(now.next);
        body[0] = '\0';
        (void)snprintf(path, sizeof path, "/collections/c/points/%u", id);
        oct_status status = ask("GET", path, &reply);
        (void)snprintf(expected, sizeof expected, "\"v\":%u,", now.version[id]);
        bool right =
            now.version[id] ? status == OCT_OK && has(&reply, expected) : status == OCT_NOT_FOUND;
        if (!right) printf("point %u, %s: %.*s\n", id, expected, (int)reply.body_bytes, reply.body);
        oct_reply_free(now.world.db, &reply);
        CHECK(right);
    }
}

/* Add BATCH points; false when the disk refused. */
static bool add(void)
{
    uint8_t version = (uint8_t)(1 + test_random_below(250));
    body[0] = '\0';
    put("{\"points\":[");
    for (uint32_t i = 0; i < BATCH; i++) {
        put("%s{\"id\":%u,\"payload\":{\"v\":%u,\"k\":\"word %u\"},\"vector\":[", i ? "," : "",
            now.next + i, version, test_random_below(1000));
        for (uint32_t d = 0; d < DIMENSION; d++)
            put("%s%u", d ? "," : "", test_random_below(100));
        put("]}");
    }
    put("]}");
    oct_status status = tell("PUT", "/collections/c/points");
    if (status == OCT_NO_SPACE) now.refused++;
    if (status == OCT_NO_SPACE) return false;
    CHECK_OR(false, status == OCT_OK);
    for (uint32_t i = 0; i < BATCH; i++)
        now.version[now.next + i] = version;
    now.next += BATCH;
    now.alive += BATCH;
    now.additions++;
    return true;
}

static void fill(void)
{
    uint32_t refusals = 0;
    while (refusals < REFUSALS) {
        CHECK(now.next + BATCH < IDS);
        bool added = add();
        CHECK(!test_failed);
        refusals = added ? 0 : refusals + 1;
        settle();
        CHECK(!test_failed);
    }
    check_count();
    check_some();
}

/* Delete some; a refusal is allowed only until maintenance has run. */
static void delete_some(void)
{
    uint32_t chosen[DELETE_BATCH], count = 0;
    while (now.first < now.next && !now.version[now.first])
        now.first++;
    for (uint32_t id = now.first; count < DELETE_BATCH && id < now.next; id++)
        if (now.version[id] && (!now.random_deletes || test_random_below(8) == 0))
            chosen[count++] = id;
    body[0] = '\0';
    put("{\"points\":[");
    for (uint32_t i = 0; i < count; i++)
        put("%s%u", i ? "," : "", chosen[i]);
    put("]}");
    oct_status status = tell("POST", "/collections/c/points/delete");
    if (status == OCT_NO_SPACE) {
        now.refused_deletes++;
        settle();
        status = tell("POST", "/collections/c/points/delete");
    }
    CHECK_EQ_U64(status, OCT_OK);
    for (uint32_t i = 0; i < count; i++)
        now.version[chosen[i]] = 0;
    now.alive -= count;
    now.deletes++;
}

/* Delete until an addition is accepted, at the latest when a half of the points is gone. */
static void heal(void)
{
    uint32_t before = now.alive;
    for (;;) {
        delete_some();
        CHECK(!test_failed);
        settle();
        check_count();
        CHECK(!test_failed);
        if (add()) break;
        CHECK(!test_failed);
        if (now.alive <= before / 2) printf("%u of %u points left\n", now.alive, before);
        CHECK(now.alive > before / 2);
    }
    now.deleted_before_healing += before + BATCH - now.alive;
    now.healings++;
    check_some();
}

static void run(uint64_t quota, uint32_t segment_points, bool random_deletes)
{
    oct_vfs *vfs;
    oct_error error = { .message = "" };
    memset(&now, 0, sizeof now);
    now.random_deletes = random_deletes;
    CHECK(oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
    CHECK(oct_vfs_fault_create(&heap, vfs, &now.fault, NULL) == OCT_OK);
    oct_vfs_fault_quota(now.fault, quota);
    sim_init(&now.world, heap_start(), oct_vfs_fault_vfs(now.fault));
    sim_save_often(&now.world);
    now.world.options.appendable_points_max = segment_points;
    CHECK(sim_open(&now.world, &error) == OCT_OK);
    body[0] = '\0';
    put("{\"vectors\":{\"size\":%d,\"distance\":\"Dot\"}}", DIMENSION);
    CHECK(tell("PUT", "/collections/c") == OCT_OK);
    body[0] = '\0';
    put("{\"field_name\":\"v\",\"field_schema\":\"integer\"}");
    CHECK(tell("PUT", "/collections/c/index") == OCT_OK);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        fill();
        CHECK(!test_failed);
        heal();
        if (test_failed) printf("round %u\n", round);
        CHECK(!test_failed);
    }
    sim_close(&now.world);
    CHECK(sim_open(&now.world, &error) == OCT_OK);
    check_count();
    heal();
    sim_close(&now.world);
    CHECK(heap_is_empty());
    oct_vfs_fault_destroy(now.fault);
    oct_vfs_memory_destroy(vfs);
    printf("  %" PRIu64 " KiB, segments of %u: %" PRIu64 " additions, %" PRIu64 " refused; %" PRIu64
           " deletes, %" PRIu64 " refused once; healed %" PRIu64 " times, after %" PRIu64
           " points on average; %u left\n",
           quota >> 10, segment_points, now.additions, now.refused, now.deletes,
           now.refused_deletes, now.healings, now.deleted_before_healing / now.healings, now.alive);
}

TEST(deleting_the_oldest_heals_a_full_disk)
{
    for (uint64_t quota = 512 << 10; quota <= 2048 << 10; quota += 512 << 10) {
        run(quota, 200, false);
        CHECK(!test_failed);
    }
}

TEST(deleting_any_heals_a_full_disk)
{
    for (uint64_t quota = 700 << 10; quota <= 2100 << 10; quota += 700 << 10) {
        run(quota, 500, true);
        CHECK(!test_failed);
    }
}

TEST_MAIN(deleting_the_oldest_heals_a_full_disk, deleting_any_heals_a_full_disk)
