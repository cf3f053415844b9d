/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: running out of memory at any allocation is an answer (507), not a crash, a leak or a wrong
 * result, and the database goes on as if the call had never been made.
 * Method: one script covers every operation, opening, reopening and maintenance; it runs once for
 * each k with the k-th allocation refused. Exactly one step of each run may fail, with NOMEM; the
 * model says what must be there before the step is repeated, at once, and after. Then the same with
 * the allocations of the storage among those that fail. Where memory errors are looked for, which
 * takes seven times as long, each EVERYth k is tried; which ones, the seed says. */
#include "db/db.h"
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EVERY 5
#endif
#endif
#ifndef EVERY
#define EVERY 1
#endif

enum { CHANGES = 40, EXTRAS_EVERY = 16, REOPEN_EVERY = 23 };

typedef struct tally {
    uint64_t runs, refused_calls, refused_steps, refused_opens, unnoticed;
} tally;

static tally count;
static oct_counting_alloc storage; /* over the heap, or over the memory that runs out */
static model now;
static model_change change;

/* The reads of the API and the operations the model does not draw. */
static const struct {
    const char *verb, *path, *body;
} reads[] = {
    { "GET", "/", "" },
    { "GET", "/collections", "" },
    { "GET", "/collections/c0", "" },
    { "GET", "/collections/c0/exists", "" },
    { "GET", "/collections/c0/points/1", "" },
    { "POST", "/collections/c0/points", "{\"ids\":[1,2,3],\"with_vector\":true}" },
    { "POST", "/collections/c0/points/scroll", "{\"limit\":200,\"with_vector\":true}" },
    { "POST", "/collections/c0/points/count",
      "{\"filter\":{\"must\":[{\"key\":\"k0\",\"match\":"
      "{\"any\":[1,2,3]}}]}}" },
    { "POST", "/collections/c0/points/query/batch",
      "{\"searches\":[{\"query\":[1,2,3,4,5,6,7,8,8,7,6,5,4,3,2,1],\"using\":\"a\"},{}]}" },
    { "POST", "/collections/c0/points/query",
      "{\"query\":[1,2,3,4,5,6,7,8,8,7,6,5,4,3,2,1],\"using\":\"a\",\"limit\":5,"
      "\"with_payload\":true,\"filter\":{\"must_not\":[{\"key\":\"k3\",\"match\":"
      "{\"value\":\"v1\"}}]}}" },
    { "POST", "/collections/c0/points/search",
      "{\"vector\":{\"name\":\"b\",\"vector\":[1,2,3]},\"limit\":5}" },
};

/* Did this run's refused allocation happen during the step? */
static bool refused_since(uint64_t calls_before)
{
    return heap_counting.fail_at > calls_before && heap_failed();
}

/* Does only the storage hold memory? */
static bool nothing_is_left(void)
{
    return oct_atomic_load(&heap_counting.bytes) == oct_atomic_load(&storage.bytes);
}

static uint64_t calls(void)
{
    return oct_atomic_load(&heap_counting.calls);
}

static void check_same(sim_world *world, const char *when)
{
    static model copy;
    char why[256];
    oct_status status;
    copy = now;
    if (!model_matches(&copy, world, why, &status)) {
        if (status == OCT_NOMEM && heap_failed()) { /* the comparison itself met it */
            CHECK(model_matches(&copy, world, why, &status));
            return;
        }
        printf("k %" PRIu64 ", %s: %s\n", heap_counting.fail_at, when, why);
        CHECK(false);
    }
}

static void reopen(sim_world *world)
{
    oct_error error = { .message = "" };
    sim_close(world);
    CHECK(nothing_is_left());
    oct_status status = sim_open(world, &error);
    if (status != OCT_OK) {
        CHECK_EQ_U64(status, OCT_NOMEM);
        CHECK(heap_failed() && nothing_is_left());
        count.refused_opens++;
        CHECK(sim_open(world, &error) == OCT_OK);
    }
}

/* One call; when it is refused, nothing happened and the second attempt works. */
static void do_change(sim_world *world)
{
    model_next(&now, &change);
    uint64_t before = calls();
    oct_status status = sim_call(world, &change);
    if (status == OCT_NOMEM) {
        CHECK(refused_since(before));
        count.refused_calls++;
        check_same(world, "after a refused change");
        CHECK(!test_failed);
        status = sim_call(world, &change);
    } else if (refused_since(before)) {
        count.unnoticed++;
    }
    if (status != change.expected)
        printf("k %" PRIu64 ": %s %s %.300s\n", heap_counting.fail_at, change.verb, change.path,
               change.body);
    CHECK_EQ_U64(status, change.expected);
    if (status == OCT_OK) now = change.after;
    now.random = change.after.random;
}

static void do_reads(sim_world *world)
{
    for (size_t i = 0; i < ARRAY_COUNT(reads); i++) {
        oct_call_request request = { .verb = reads[i].verb,
                                     .path = { reads[i].path, strlen(reads[i].path) },
                                     .body = { reads[i].body, strlen(reads[i].body) } };
        oct_reply reply;
        uint64_t before = calls();
        oct_call(world->db, &request, &reply);
        oct_status status = reply.status;
        oct_reply_free(world->db, &reply);
        if (status != OCT_NOMEM) continue;
        CHECK(refused_since(before));
        count.refused_calls++;
        oct_call(world->db, &request, &reply);
        CHECK(reply.status != OCT_NOMEM);
        oct_reply_free(world->db, &reply);
    }
}

static void do_maintain(sim_world *world)
{
    bool more = true;
    for (uint32_t i = 0; i < 3; i++) {
        oct_error error = { .message = "" };
        uint64_t before = calls();
        oct_status status = oct_maintain(world->db, 0, &more, &error);
        if (status == OCT_OK) continue;
        if (status != OCT_NOMEM) printf("%s\n", error.message);
        CHECK_EQ_U64(status, OCT_NOMEM);
        CHECK(refused_since(before));
        count.refused_steps++;
        check_same(world, "after a refused step");
        CHECK(!test_failed);
        CHECK(oct_maintain(world->db, 0, &more, &error) == OCT_OK);
    }
}

static void script(sim_world *world)
{
    oct_error error = { .message = "" };
    oct_status status = sim_open(world, &error);
    if (status == OCT_NOMEM) {
        count.refused_opens++;
        CHECK(nothing_is_left());
        status = sim_open(world, &error);
    }
    CHECK_EQ_U64(status, OCT_OK);
    for (uint32_t i = 0; i < CHANGES; i++) {
        do_change(world);
        CHECK(!test_failed);
        do_maintain(world);
        CHECK(!test_failed);
        if (i % EXTRAS_EVERY == 9) do_reads(world);
        if (i % REOPEN_EVERY == 10) reopen(world);
        CHECK(!test_failed);
    }
    status = sim_settle(world, 1, &error);
    if (status == OCT_NOMEM) status = sim_settle(world, 1, &error);
    CHECK_EQ_U64(status, OCT_OK);
    check_same(world, "at the end");
    reopen(world);
    CHECK(!test_failed);
    check_same(world, "after opening again");
    sim_close(world);
    CHECK(nothing_is_left());
}

static void sweep(uint64_t seed, bool storage_too)
{
    for (uint64_t k = 1; heap_fail_at(k); k += k == 1 ? EVERY - seed % EVERY : EVERY) {
        oct_vfs *vfs;
        sim_world world;
        oct_counting_alloc_init(&storage, &heap_counting.alloc, 0);
        const oct_alloc *alloc = storage_too ? &storage.alloc : &heap;
        oct_status status = oct_vfs_memory_create(alloc, &vfs, NULL);
        if (status != OCT_OK) {
            CHECK(status == OCT_NOMEM && storage_too && heap_failed());
            CHECK(oct_vfs_memory_create(alloc, &vfs, NULL) == OCT_OK);
        }
        sim_init(&world, &heap_counting.alloc, vfs);
        sim_save_often(&world);
        world.options.appendable_points_max = 12;
        model_init(&now, seed);
        script(&world);
        if (test_failed) printf("k %" PRIu64 "\n", k);
        CHECK(!test_failed);
        oct_vfs_memory_destroy(vfs);
        count.runs++;
    }
}

static void run(uint64_t seed, bool storage_too)
{
    memset(&count, 0, sizeof count);
    sweep(seed, storage_too);
    printf("  %" PRIu64 " runs; refused: %" PRIu64 " calls, %" PRIu64 " steps, %" PRIu64
           " opens; %" PRIu64 " calls did without\n",
           count.runs, count.refused_calls, count.refused_steps, count.refused_opens,
           count.unnoticed);
    CHECK(count.refused_calls > 500 / EVERY && count.refused_steps > 100 / EVERY &&
          count.refused_opens > 50 / EVERY);
}

TEST(every_allocation_may_fail)
{
    run(test_seed, false);
}

TEST(and_those_of_the_storage)
{
    run(test_seed, true);
}

TEST_MAIN(every_allocation_may_fail, and_those_of_the_storage)
