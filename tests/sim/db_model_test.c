/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: whatever is done to a database in whatever order, it answers as an array would.
 * Method: thousands of random changes over storage in memory, with segments of 24 points, so that
 * rotation, sealing, merging, vacuum and graphs happen all the time, half done and interrupted by
 * reopening; compared with the model again and again. Seeds differ in the size of segments and in
 * what the storage can do (no views, no locks). */
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum { SEEDS = 16, CHANGES = 5000 };

typedef struct tally {
    uint64_t changes, refused, compared, reopened, steps;
} tally;

static bool compare(model *now, sim_world *world, tally *count)
{
    char why[256];
    oct_status status;
    bool same = model_matches(now, world, why, &status);
    if (!same) printf("change %" PRIu64 ", status %d: %s\n", count->changes, (int)status, why);
    count->compared++;
    return same;
}

/* What happens between two changes. */
static void housekeeping(model *now, sim_world *world, tally *count, oct_error *error)
{
    bool more = false;
    uint32_t dice = model_below(now, 100);
    if (dice < 60) {
        CHECK(oct_maintain(world->db, 0, &more, error) == OCT_OK);
        count->steps++;
    } else if (dice == 60) {
        CHECK(sim_settle(world, 1, error) == OCT_OK);
    } else if (dice < 63) {
        sim_close(world);
        CHECK(sim_open(world, error) == OCT_OK);
        CHECK(compare(now, world, count));
        count->reopened++;
    }
    if (model_below(now, 10) == 0) CHECK(compare(now, world, count));
}

static void count_findings(void *arg, const char *line)
{
    UNUSED(arg);
    if (test_failed) printf("%s\n", line);
}

static void run(uint64_t seed, tally *count)
{
    static model now;
    static model_change change;
    oct_vfs *vfs;
    sim_world world;
    oct_error error = { .message = "" };
    CHECK(oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
    oct_vfs poorer = *vfs;
    if (seed % 3 == 0) poorer.caps &= ~(uint32_t)(OCT_CAP_VIEW | OCT_CAP_LOCK);
    sim_init(&world, heap_start(), &poorer);
    sim_save_often(&world);
    world.options.appendable_points_max = 16 + (uint32_t)(seed % 4) * 16;
    model_init(&now, seed);
    CHECK(sim_open(&world, &error) == OCT_OK);
    for (uint32_t i = 0; i < CHANGES; i++) {
        model_next(&now, &change);
        oct_status status = sim_call(&world, &change);
        if (status != change.expected)
            printf("seed %" PRIu64 ": %s %s %s\n", seed, change.verb, change.path, change.body);
        CHECK_EQ_U64(status, change.expected);
        count->changes++;
        count->refused += status != OCT_OK;
        if (status == OCT_OK) now = change.after;
        housekeeping(&now, &world, count, &error);
        if (test_failed)
            printf("after seed %" PRIu64 ": %s %s: %s\n", seed, change.verb, change.path,
                   error.message);
        CHECK(!test_failed);
    }
    CHECK(sim_settle(&world, 1, &error) == OCT_OK);
    CHECK(compare(&now, &world, count));
    CHECK(oct_check(world.db, count_findings, NULL, &error) == OCT_OK);
    sim_close(&world);
    CHECK(heap_is_empty());
    oct_vfs_memory_destroy(vfs);
}

TEST(the_database_is_the_model)
{
    tally count = { .changes = 0 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(test_seed + seed, &count);
    printf("  %" PRIu64 " changes (%" PRIu64 " refused), %" PRIu64 " comparisons, %" PRIu64
           " reopenings, %" PRIu64 " steps\n",
           count.changes, count.refused, count.compared, count.reopened, count.steps);
    CHECK(count.refused < count.changes / 4 && count.reopened > 50);
}

TEST_MAIN(the_database_is_the_model)
