/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the fault layer fails exactly the call it was told to, with exactly the side effect it
 * was told to have, and counts as it says; its small disk is full when it should be.
 * Method: one script of twelve calls, failed at every k with every effect, and what the storage
 * below then holds; the quota against sums made by hand. */
#include "octant/octant.h"
#include "test_alloc.h"
#include "unit/test.h"
#include "vfs_crash.h"
#include "vfs_fault.h"

enum { RWC = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE };

static oct_vfs *below_;
static oct_vfs_fault *fault_;
static const oct_vfs *vfs_;

static void begin(void)
{
    CHECK(oct_vfs_memory_create(&test_alloc, &below_, NULL) == OCT_OK);
    CHECK(oct_vfs_fault_create(&test_alloc, below_, &fault_, NULL) == OCT_OK);
    vfs_ = oct_vfs_fault_vfs(fault_);
}

static void end(void)
{
    oct_vfs_fault_destroy(fault_);
    oct_vfs_memory_destroy(below_);
}

/* The size of a file of the storage below, or -1. */
static int64_t size_below(const char *path)
{
    oct_file *file;
    uint64_t bytes = 0;
    if (below_->open(below_->self, path, OCT_OPEN_READ, &file, NULL) != OCT_OK) return -1;
    oct_status status = below_->size(below_->self, file, &bytes, NULL);
    below_->close(below_->self, file);
    return status == OCT_OK ? (int64_t)bytes : -2;
}

static void ignore_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

/* Every method once or twice, in the order of these names. */
static const char *const script_calls[] = { "open of d/a",     "write of d/a", "size of d/a",
                                            "read of d/a",     "sync of d/a",  "view of d/a",
                                            "truncate of d/a", "list of d",    "rename of d/a",
                                            "remove of d/b" };
enum { SCRIPT_CALLS = sizeof script_calls / sizeof script_calls[0] };

static oct_status script(const oct_vfs *vfs)
{
    static const char bytes[100] = "bytes";
    oct_status status = OCT_OK;
    oct_file *file = NULL;
    const void *view;
    uint64_t size;
    char found[100];
#define STEP(call)                                                                                 \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != OCT_OK) goto done;                                                           \
    } while (0)
    STEP(vfs->open(vfs->self, "d/a", RWC, &file, NULL));
    STEP(vfs->write(vfs->self, file, 0, bytes, sizeof bytes, NULL));
    STEP(vfs->size(vfs->self, file, &size, NULL));
    STEP(vfs->read(vfs->self, file, 0, found, sizeof found, NULL));
    STEP(vfs->sync(vfs->self, file, NULL));
    STEP(vfs->view(vfs->self, file, 0, 10, &view, NULL));
    vfs->unview(vfs->self, file, view, 10);
    STEP(vfs->truncate(vfs->self, file, 200, NULL));
    STEP(vfs->list(vfs->self, "d", ignore_name, NULL, NULL));
    STEP(vfs->rename(vfs->self, "d/a", "d/b", NULL));
    STEP(vfs->remove(vfs->self, "d/b", NULL));
#undef STEP
done:
    if (file) vfs->close(vfs->self, file);
    return status;
}

TEST(the_kth_call_fails_and_only_that)
{
    static const oct_status statuses[] = { OCT_IO, OCT_NO_SPACE, OCT_READONLY };
    for (size_t s = 0; s < 3; s++) {
        for (uint64_t k = 1; k <= SCRIPT_CALLS + 1; k++) {
            begin();
            oct_fault_plan plan = { .fail_at = k, .status = statuses[s] };
            oct_vfs_fault_plan(fault_, &plan);
            oct_status status = script(vfs_);
            bool there = k <= SCRIPT_CALLS;
            CHECK(status == (there ? statuses[s] : OCT_OK));
            CHECK_EQ_U64(oct_vfs_fault_calls(fault_), there ? k : SCRIPT_CALLS);
            CHECK_EQ_U64(oct_vfs_fault_failed(fault_), there ? 1 : 0);
            CHECK_EQ_STR(oct_vfs_fault_where(fault_), there ? script_calls[k - 1] : "");
            /* The next call works again; after a script without faults it is number k. */
            CHECK((vfs_->list(vfs_->self, "", ignore_name, NULL, NULL) == OCT_OK) == there);
            end();
        }
    }
}

TEST(from_then_on_means_until_the_plan_changes)
{
    begin();
    oct_fault_plan plan = { .fail_at = 3, .status = OCT_IO, .from_then_on = true };
    oct_vfs_fault_plan(fault_, &plan);
    CHECK(script(vfs_) == OCT_IO);
    for (int i = 0; i < 5; i++)
        CHECK(vfs_->list(vfs_->self, "", ignore_name, NULL, NULL) == OCT_IO);
    CHECK_EQ_U64(oct_vfs_fault_failed(fault_), 6);
    CHECK_EQ_STR(oct_vfs_fault_where(fault_), "size of d/a");
    oct_vfs_fault_plan(fault_, NULL);
    CHECK(script(vfs_) == OCT_OK);
    CHECK_EQ_U64(oct_vfs_fault_calls(fault_), SCRIPT_CALLS);
    CHECK_EQ_U64(oct_vfs_fault_failed(fault_), 0);
    end();
}

TEST(only_the_chosen_methods_count)
{
    begin();
    oct_fault_plan plan = { .fail_at = 1, .status = OCT_IO, .methods = OCT_FAULT_SYNC };
    oct_vfs_fault_plan(fault_, &plan);
    CHECK(script(vfs_) == OCT_IO);
    CHECK_EQ_U64(oct_vfs_fault_calls(fault_), 1);
    CHECK_EQ_STR(oct_vfs_fault_where(fault_), "sync of d/a");
    /* Changes: open with CREATE, write, sync, truncate, rename, remove; not a plain open. */
    plan = (oct_fault_plan){ .methods = OCT_FAULT_CHANGES };
    oct_vfs_fault_plan(fault_, &plan);
    CHECK(script(vfs_) == OCT_OK);
    CHECK_EQ_U64(oct_vfs_fault_calls(fault_), 6);
    oct_file *file;
    CHECK(vfs_->open(vfs_->self, "d/a", OCT_OPEN_READ, &file, NULL) == OCT_NOT_FOUND);
    CHECK_EQ_U64(oct_vfs_fault_calls(fault_), 6);
    end();
}

/* What a failing call leaves below, per method and effect. */
TEST(effects_are_as_told)
{
    for (int effect = OCT_FAULT_NOTHING; effect <= OCT_FAULT_ALL_DONE; effect++) {
        oct_fault_plan plan = { .fail_at = 1,
                                .status = OCT_IO,
                                .seed = test_random(),
                                .effect = (oct_fault_effect)effect };
        bool done = effect == OCT_FAULT_ALL_DONE;
        begin();
        plan.methods = OCT_FAULT_OPEN;
        oct_vfs_fault_plan(fault_, &plan);
        CHECK(script(vfs_) == OCT_IO);
        CHECK_EQ_I64(size_below("d/a"), done ? 0 : -1);
        plan.methods = OCT_FAULT_WRITE;
        oct_vfs_fault_plan(fault_, &plan);
        CHECK(script(vfs_) == OCT_IO);
        int64_t size = size_below("d/a");
        CHECK(effect == OCT_FAULT_NOTHING ? size == 0 : done ? size == 100 : size < 100);
        plan.methods = OCT_FAULT_TRUNCATE;
        oct_vfs_fault_plan(fault_, &plan);
        CHECK(script(vfs_) == OCT_IO);
        size = size_below("d/a");
        CHECK(effect == OCT_FAULT_NOTHING ? size == 100
              : done                      ? size == 200
                                          : size >= 100 && size < 200);
        plan.methods = OCT_FAULT_RENAME;
        oct_vfs_fault_plan(fault_, &plan);
        CHECK(script(vfs_) == OCT_IO);
        CHECK_EQ_I64(size_below("d/a"), done ? -1 : 200);
        CHECK_EQ_I64(size_below("d/b"), done ? 200 : -1);
        plan.methods = OCT_FAULT_REMOVE;
        oct_vfs_fault_plan(fault_, &plan);
        CHECK(script(vfs_) == OCT_IO);
        CHECK_EQ_I64(size_below("d/b"), done ? -1 : 200);
        end();
    }
}

/* Over many seeds a partial write of 4 bytes leaves every length below 4. */
TEST(partial_writes_have_any_length)
{
    unsigned lengths = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        oct_fault_plan plan = { .fail_at = 1,
                                .status = OCT_NO_SPACE,
                                .methods = OCT_FAULT_WRITE,
                                .effect = OCT_FAULT_PART,
                                .seed = seed };
        oct_file *file;
        begin();
        oct_vfs_fault_plan(fault_, &plan);
        CHECK(vfs_->open(vfs_->self, "a", RWC, &file, NULL) == OCT_OK);
        CHECK(vfs_->write(vfs_->self, file, 0, "text", 4, NULL) == OCT_NO_SPACE);
        vfs_->close(vfs_->self, file);
        int64_t size = size_below("a");
        CHECK(size >= 0 && size < 4);
        lengths |= 1u << size;
        end();
    }
    CHECK_EQ_U64(lengths, 15);
}

/* A sync that fails without reaching a crash layer leaves the bytes unsynced. */
TEST(a_failed_sync_over_the_crash_layer_keeps_nothing)
{
    oct_vfs_crash *crash;
    oct_vfs_fault *fault;
    oct_fault_plan plan = { .fail_at = 1, .status = OCT_IO, .methods = OCT_FAULT_SYNC };
    CHECK(oct_vfs_crash_create(&test_alloc, NULL, NULL, &crash, NULL) == OCT_OK);
    CHECK(oct_vfs_fault_create(&test_alloc, oct_vfs_crash_vfs(crash), &fault, NULL) == OCT_OK);
    oct_vfs_fault_plan(fault, &plan);
    CHECK(script(oct_vfs_fault_vfs(fault)) == OCT_IO);
    oct_vfs *disk;
    oct_file *file;
    CHECK(oct_vfs_crash_state(crash, oct_vfs_crash_operations(crash), 0, &disk, NULL) == OCT_OK);
    CHECK(disk->open(disk->self, "d/a", OCT_OPEN_READ, &file, NULL) == OCT_NOT_FOUND);
    oct_vfs_memory_destroy(disk);
    oct_vfs_fault_destroy(fault);
    oct_vfs_crash_destroy(crash);
}

static uint64_t used(void)
{
    uint64_t bytes;
    return oct_vfs_fault_used(fault_, &bytes, NULL) == OCT_OK ? bytes : UINT64_MAX;
}

TEST(a_small_disk_is_full_and_can_be_emptied)
{
    static const char bytes[1000] = "x";
    oct_file *a, *b;
    begin();
    oct_vfs_fault_quota(fault_, 1000);
    CHECK(vfs_->open(vfs_->self, "d/a", RWC, &a, NULL) == OCT_OK);
    CHECK(vfs_->open(vfs_->self, "b", RWC, &b, NULL) == OCT_OK);
    CHECK(vfs_->write(vfs_->self, a, 0, bytes, 600, NULL) == OCT_OK);
    CHECK_EQ_U64(used(), 600);
    CHECK(vfs_->write(vfs_->self, b, 0, bytes, 500, NULL) == OCT_NO_SPACE);
    CHECK_EQ_U64(used(), 1000); /* what fitted was written */
    CHECK_EQ_U64(oct_vfs_fault_failed(fault_), 1);
    CHECK(vfs_->write(vfs_->self, b, 400, bytes, 1, NULL) == OCT_NO_SPACE);
    CHECK(vfs_->write(vfs_->self, b, 900, bytes, 1, NULL) == OCT_NO_SPACE);
    CHECK(vfs_->write(vfs_->self, b, 100, bytes, 300, NULL) == OCT_OK); /* overwrites are free */
    CHECK(vfs_->truncate(vfs_->self, b, 401, NULL) == OCT_NO_SPACE);
    CHECK(vfs_->truncate(vfs_->self, b, 100, NULL) == OCT_OK);
    CHECK_EQ_U64(used(), 700);
    CHECK(vfs_->write(vfs_->self, b, 100, bytes, 300, NULL) == OCT_OK);
    CHECK(vfs_->write(vfs_->self, b, 400, bytes, 1, NULL) == OCT_NO_SPACE);
    vfs_->close(vfs_->self, a);
    CHECK(vfs_->remove(vfs_->self, "d/a", NULL) == OCT_OK);
    CHECK_EQ_U64(used(), 400);
    CHECK(vfs_->truncate(vfs_->self, b, 1000, NULL) == OCT_OK);
    CHECK(vfs_->write(vfs_->self, b, 1000, bytes, 1, NULL) == OCT_NO_SPACE);
    oct_vfs_fault_quota(fault_, 0);
    CHECK(vfs_->write(vfs_->self, b, 1000, bytes, 1, NULL) == OCT_OK);
    vfs_->close(vfs_->self, b);
    end();
}

TEST_MAIN(the_kth_call_fails_and_only_that, from_then_on_means_until_the_plan_changes,
          only_the_chosen_methods_count, effects_are_as_told, partial_writes_have_any_length,
          a_failed_sync_over_the_crash_layer_keeps_nothing, a_small_disk_is_full_and_can_be_emptied)
