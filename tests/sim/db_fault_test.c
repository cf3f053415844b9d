/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: when any call of the storage fails, in any of the ways it may, the database answers that
 * failure, keeps what it acknowledged, heals without a restart once the storage does, and is the
 * same after one. A refused change is not there afterwards, unless taking it back failed too: then
 * the disk went on failing after it had taken the bytes (see may_remain). On a full disk a refused
 * change left no trace.
 * Method: one script of changes, maintenance and reopening runs once for each k and kind of
 * failure with the k-th call failing; the model says what may be there. Then the same on disks of
 * growing size. */
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"
#include "vfs/vfs_fault.h"

enum { CHANGES = 60, CHANGES_AFTER = 4, POINTS_MAX = 12, HEAL_TRIES = 20 };

typedef struct kind {
    const char *name;
    oct_fault_plan plan; /* without fail_at */
} kind;

static const kind kinds[] = {
    { "IO", { .status = OCT_IO } },
    { "IO, half done", { .status = OCT_IO, .effect = OCT_FAULT_PART, .seed = 7 } },
    { "IO, done", { .status = OCT_IO, .effect = OCT_FAULT_ALL_DONE } },
    { "IO from then on", { .status = OCT_IO, .from_then_on = true } },
    { "full", { .status = OCT_NO_SPACE, .methods = OCT_FAULT_CHANGES } },
    { "full from then on",
      { .status = OCT_NO_SPACE, .methods = OCT_FAULT_CHANGES, .from_then_on = true } },
    { "full, half done",
      { .status = OCT_NO_SPACE,
        .methods = OCT_FAULT_CHANGES,
        .effect = OCT_FAULT_PART,
        .seed = 3 } },
    { "full from then on, half done",
      { .status = OCT_NO_SPACE,
        .methods = OCT_FAULT_CHANGES,
        .effect = OCT_FAULT_PART,
        .from_then_on = true,
        .seed = 9 } },
};

typedef struct run_state {
    sim_world world;
    oct_vfs_fault *fault;
    const kind *how;
    model now;
    model_change change;
    bool in_doubt;                       /* change.after may be there instead of now */
    bool met;                            /* the failure has happened and was dealt with */
    char where[OCT_PATH_BYTES_MAX + 32]; /* the call that failed first */
} run_state;

typedef struct tally {
    uint64_t runs, changes, kept, opens, steps, unnoticed;
} tally;

static run_state run;
static tally count;

/* Is the database `now`, or the change in doubt? Errors of the storage are allowed while it
 * fails: then nothing is said. */
static void check_state(const char *when, bool failing)
{
    static model copy;
    char why[256], why_after[256] = "nothing in doubt";
    oct_status status;
    copy = run.now;
    if (model_matches(&copy, &run.world, why, &status)) return;
    if (status == run.how->plan.status && failing) return;
    if (run.in_doubt) {
        copy = run.change.after;
        if (model_matches(&copy, &run.world, why_after, &status)) return;
        if (status == run.how->plan.status && failing) return;
    }
    printf("%s, %s: %s; with the failed change: %s\n", run.where, when, why, why_after);
    CHECK(false);
}

/* May a refused change be there? Only where the storage went on failing, so that it could not be
 * taken back, and the bytes may have got there before or with the first call that failed: a sync,
 * the write of a registry's second copy, or a write that wrote a part (which may be all but zeros
 * that stood there already). */
static bool may_remain(void)
{
    const oct_fault_plan *plan = &run.how->plan;
    if (!plan->from_then_on) return false;
    if (strncmp(run.where, "sync of ", 8) == 0) return true;
    if (strncmp(run.where, "write of registry", 17) == 0) return true;
    return plan->effect == OCT_FAULT_PART && strncmp(run.where, "write of ", 9) == 0;
}

/* What is there decides the doubt. */
static void settle_doubt(void)
{
    static model copy;
    char why[256];
    oct_status status;
    if (!run.in_doubt) return;
    copy = run.now;
    bool refused = model_matches(&copy, &run.world, why, &status);
    copy = run.change.after;
    if (!refused && model_matches(&copy, &run.world, why, &status)) {
        uint64_t random = run.now.random;
        run.now = run.change.after;
        run.now.random = random;
        if (!may_remain())
            printf("%s: the refused %s %s is there\n", run.where, run.change.verb, run.change.path);
        CHECK(may_remain());
        count.kept++;
    }
    run.in_doubt = false;
}

static void heal(void)
{
    oct_error error = { .message = "" };
    oct_status status = OCT_IO;
    for (uint32_t i = 0; i < HEAL_TRIES && status != OCT_OK; i++) {
        bool more;
        status = oct_maintain(run.world.db, 0, &more, &error);
    }
    if (status != OCT_OK) printf("%s\n", error.message);
    CHECK_EQ_U64(status, OCT_OK);
}

static void open_again(void)
{
    oct_error error = { .message = "" };
    sim_close(&run.world);
    CHECK(heap_is_empty());
    oct_status status = sim_open(&run.world, &error);
    if (status != OCT_OK) printf("open: %s\n", error.message);
    CHECK_EQ_U64(status, OCT_OK);
}

/* After a step in which a call failed. */
static void deal_with_failure(void)
{
    if (run.met || oct_vfs_fault_failed(run.fault) == 0) return;
    run.met = true;
    (void)snprintf(run.where, sizeof run.where, "%s", oct_vfs_fault_where(run.fault));
    bool failing = run.how->plan.from_then_on;
    if (run.world.db) check_state("while it fails", true); /* it may need healing */
    CHECK(!test_failed);
    if (run.world.db && failing) {
        bool more;
        oct_error error = { .message = "" };
        oct_status status = oct_maintain(run.world.db, 0, &more, &error);
        CHECK(status == OCT_OK || status == run.how->plan.status);
        check_state("after maintenance that fails", true);
        CHECK(!test_failed);
        if (test_random_below(2)) sim_close(&run.world); /* half of them heal by a restart */
    }
    oct_vfs_fault_plan(run.fault, NULL);
    if (!run.world.db) {
        oct_error error = { .message = "" };
        if (sim_open(&run.world, &error) != OCT_OK) printf("open: %s\n", error.message);
        CHECK(run.world.db != NULL);
    } else {
        heal();
    }
    CHECK(!test_failed);
    check_state("after healing", false);
    CHECK(!test_failed);
    settle_doubt();
    open_again();
    CHECK(!test_failed);
    check_state("after opening again", false);
}

static void do_open(void)
{
    oct_error error = { .message = "" };
    oct_status status = sim_open(&run.world, &error);
    if (status != OCT_OK) {
        CHECK_EQ_U64(status, run.how->plan.status);
        CHECK(oct_vfs_fault_failed(run.fault) > 0 && heap_is_empty());
        count.opens++;
    }
    deal_with_failure();
}

static void do_change(void)
{
    model_next(&run.now, &run.change);
    oct_status status = sim_call(&run.world, &run.change);
    if (status == run.change.expected) {
        if (status == OCT_OK) run.now = run.change.after;
    } else {
        if (status != run.how->plan.status || run.met)
            printf("%s: %s %s: %d\n", oct_vfs_fault_where(run.fault), run.change.verb,
                   run.change.path, (int)status);
        CHECK_EQ_U64(status, run.how->plan.status);
        CHECK(!run.met && oct_vfs_fault_failed(run.fault) > 0);
        run.in_doubt = true;
        count.changes++;
    }
    deal_with_failure();
}

static void do_maintain(void)
{
    bool more;
    oct_error error = { .message = "" };
    oct_status status = oct_maintain(run.world.db, 0, &more, &error);
    if (status != OCT_OK) {
        if (status != run.how->plan.status || run.met)
            printf("%s: %s\n", oct_vfs_fault_where(run.fault), error.message);
        CHECK_EQ_U64(status, run.how->plan.status);
        CHECK(!run.met && oct_vfs_fault_failed(run.fault) > 0);
        count.steps++;
    }
    deal_with_failure();
}

static void script(void)
{
    oct_error error = { .message = "" };
    uint32_t left = CHANGES;
    do_open();
    for (uint32_t i = 0; i < left && !test_failed; i++) {
        do_change();
        for (uint32_t step = model_below(&run.now, 4); step > 0 && !test_failed; step--)
            do_maintain();
        if (i % 20 == 19 && !test_failed) {
            sim_close(&run.world);
            do_open();
        }
        if (run.met && left > i + CHANGES_AFTER) left = i + CHANGES_AFTER;
    }
    CHECK(!test_failed);
    if (!run.met) oct_vfs_fault_plan(run.fault, NULL);
    CHECK(sim_settle(&run.world, 1, &error) == OCT_OK);
    check_state("at the end", false);
    sim_close(&run.world);
    CHECK(heap_is_empty());
}

/* One run; false when its k was beyond the last call. */
static bool run_once(uint64_t seed, uint64_t k)
{
    oct_vfs *vfs;
    oct_fault_plan plan = run.how->plan;
    plan.fail_at = k;
    CHECK_OR(false, oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
    CHECK_OR(false, oct_vfs_fault_create(&heap, vfs, &run.fault, NULL) == OCT_OK);
    oct_vfs_fault_plan(run.fault, &plan);
    sim_init(&run.world, heap_start(), oct_vfs_fault_vfs(run.fault));
    sim_save_often(&run.world);
    run.world.options.appendable_points_max = POINTS_MAX;
    model_init(&run.now, seed);
    run.in_doubt = run.met = false;
    script();
    if (test_failed) printf("%s, k %" PRIu64 "\n", run.how->name, k);
    CHECK_OR(false, !test_failed);
    oct_vfs_fault_destroy(run.fault);
    oct_vfs_memory_destroy(vfs);
    count.runs++;
    return run.met;
}

TEST(every_call_of_the_storage_may_fail)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        uint64_t k = 1;
        run.how = &kinds[i];
        memset(&count, 0, sizeof count);
        while (run_once(test_seed, k))
            k++;
        printf("  %s: %" PRIu64 " runs; refused: %" PRIu64 " changes (%" PRIu64
               " were there all the same), %" PRIu64 " steps, %" PRIu64 " opens\n",
               run.how->name, count.runs, count.changes, count.kept, count.steps, count.opens);
        /* What fails once for want of space is done again with the space kept back for it. */
        bool retried = run.how->plan.status == OCT_NO_SPACE && !run.how->plan.from_then_on;
        CHECK(!test_failed && count.changes > 20 && (count.steps > 20) == !retried);
    }
}

/* ---- a full disk --------------------------------------------------------------------------- */

/* One change on a disk that may be full: done or without a trace. */
static bool try_change(void)
{
    model_next(&run.now, &run.change);
    oct_status status = sim_call(&run.world, &run.change);
    if (status == OCT_OK) run.now = run.change.after;
    if (status == run.change.expected) return true;
    CHECK_OR(false, status == OCT_NO_SPACE);
    count.changes++;
    return false;
}

static void fill_disk(void)
{
    for (uint32_t i = 0; i < 200; i++) {
        bool more;
        bool done = try_change();
        CHECK(!test_failed);
        oct_status status = oct_maintain(run.world.db, 0, &more, NULL);
        CHECK(status == OCT_OK || status == OCT_NO_SPACE);
        count.steps += status != OCT_OK;
        if (!done || status != OCT_OK || i % 16 == 0) check_state("on a full disk", false);
        CHECK(!test_failed);
    }
}

TEST(a_full_disk_loses_nothing_and_heals)
{
    static const kind full = { "quota", { .status = OCT_NO_SPACE } };
    memset(&count, 0, sizeof count);
    run.how = &full;
    for (uint64_t quota = 96 << 10; quota <= 576 << 10; quota += 6 << 10) {
        oct_vfs *vfs;
        oct_error error = { .message = "" };
        CHECK(oct_vfs_memory_create(&heap, &vfs, NULL) == OCT_OK);
        CHECK(oct_vfs_fault_create(&heap, vfs, &run.fault, NULL) == OCT_OK);
        sim_init(&run.world, heap_start(), oct_vfs_fault_vfs(run.fault));
        sim_save_often(&run.world);
        run.world.options.appendable_points_max = POINTS_MAX;
        model_init(&run.now, test_seed + quota);
        run.in_doubt = false;
        CHECK(sim_open(&run.world, &error) == OCT_OK);
        for (uint32_t round = 0; round < 3 && !test_failed; round++) {
            oct_vfs_fault_quota(run.fault, quota + (quota / 3) * round);
            fill_disk();
            CHECK(!test_failed);
            if (round == 2) break; /* the last time it heals in place */
            open_again();
            CHECK(!test_failed);
            check_state("after opening again on a full disk", false);
        }
        CHECK(!test_failed);
        oct_vfs_fault_quota(run.fault, 0);
        heal();
        CHECK(!test_failed);
        CHECK(sim_settle(&run.world, 1, &error) == OCT_OK);
        for (uint32_t i = 0; i < 20; i++)
            CHECK(try_change());
        open_again();
        check_state("with space again", false);
        sim_close(&run.world);
        CHECK(heap_is_empty());
        oct_vfs_fault_destroy(run.fault);
        oct_vfs_memory_destroy(vfs);
        count.runs++;
    }
    printf("  %" PRIu64 " disks; refused: %" PRIu64 " changes, %" PRIu64 " steps\n", count.runs,
           count.changes, count.steps);
    CHECK(count.changes > 1000);
}

TEST_MAIN(every_call_of_the_storage_may_fail, a_full_disk_loses_nothing_and_heals)
