/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every storage keeps the contract of octant/vfs.h.
 * Method: the suite of conformance.c on memory, on files, and on both test layers, which must be
 * invisible while nothing fails; and a check that the suite does notice a storage that is wrong.
 * Also runs as a WASI program; files are made below the current directory. */
#include "conformance.h"

#include "octant/octant.h"
#include "test_alloc.h"
#include "test_directory.h"
#include "unit/test.h"
#include "vfs_crash.h"
#include "vfs_fault.h"

TEST(memory_conforms)
{
    oct_vfs *vfs;
    CHECK(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
    int bad = oct_vfs_conformance(vfs, NULL, "memory", NULL);
    oct_vfs_memory_destroy(vfs);
    CHECK(bad == 0);
}

TEST(posix_conforms)
{
    test_directory directory;
    oct_vfs *vfs, *second;
    CHECK(test_directory_make(&directory));
    CHECK(oct_vfs_posix_create(&test_alloc, directory.path, &vfs, NULL) == OCT_OK);
    CHECK(oct_vfs_posix_create(&test_alloc, directory.path, &second, NULL) == OCT_OK);
    int bad = oct_vfs_conformance(vfs, second, "posix", NULL);
    oct_vfs_posix_destroy(second);
    oct_vfs_posix_destroy(vfs);
    CHECK(test_directory_remove(&directory));
    CHECK(bad == 0);
}

TEST(fault_layer_without_faults_conforms)
{
    oct_vfs *below;
    oct_vfs_fault *fault;
    CHECK(oct_vfs_memory_create(&test_alloc, &below, NULL) == OCT_OK);
    CHECK(oct_vfs_fault_create(&test_alloc, below, &fault, NULL) == OCT_OK);
    int bad = oct_vfs_conformance(oct_vfs_fault_vfs(fault), NULL, "fault", NULL);
    oct_vfs_fault_quota(fault, 1 << 20);
    bad += oct_vfs_conformance(oct_vfs_fault_vfs(fault), NULL, "fault with room", NULL);
    oct_vfs_fault_destroy(fault);
    oct_vfs_memory_destroy(below);
    CHECK(bad == 0);
}

/* Without a crash it is storage in memory; and all its disks can be made, from any contents. */
TEST(crash_layer_without_a_crash_conforms)
{
    oct_vfs_crash *crash;
    CHECK(oct_vfs_crash_create(&test_alloc, NULL, NULL, &crash, NULL) == OCT_OK);
    int bad = oct_vfs_conformance(oct_vfs_crash_vfs(crash), NULL, "crash", NULL);
    CHECK(bad == 0);
    uint64_t last = oct_vfs_crash_operations(crash);
    CHECK(last > 100);
    for (uint64_t cut = 0; cut <= last; cut++) {
        uint64_t states;
        CHECK(oct_vfs_crash_states(crash, cut, &states, NULL) == OCT_OK);
        for (uint64_t state = 0; state < 3 && state < states; state++) {
            oct_vfs *disk;
            CHECK(oct_vfs_crash_state(crash, cut, state, &disk, NULL) == OCT_OK);
            oct_vfs_memory_destroy(disk);
        }
    }
    oct_vfs_crash_destroy(crash);
}

static void say_nothing(const char *line)
{
    (void)line;
}

/* A storage whose every write fails must not pass, nor one whose reads lie. */
TEST(the_suite_notices_a_broken_storage)
{
    static const uint32_t methods[] = { OCT_FAULT_OPEN,  OCT_FAULT_SIZE,     OCT_FAULT_READ,
                                        OCT_FAULT_WRITE, OCT_FAULT_TRUNCATE, OCT_FAULT_SYNC,
                                        OCT_FAULT_VIEW,  OCT_FAULT_REMOVE,   OCT_FAULT_RENAME,
                                        OCT_FAULT_LIST };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        oct_vfs *below;
        oct_vfs_fault *fault;
        CHECK(oct_vfs_memory_create(&test_alloc, &below, NULL) == OCT_OK);
        CHECK(oct_vfs_fault_create(&test_alloc, below, &fault, NULL) == OCT_OK);
        oct_fault_plan plan = {
            .fail_at = 1, .methods = methods[i], .status = OCT_IO, .from_then_on = true
        };
        oct_vfs_fault_plan(fault, &plan);
        int bad = oct_vfs_conformance(oct_vfs_fault_vfs(fault), NULL, "broken", say_nothing);
        oct_vfs_fault_destroy(fault);
        oct_vfs_memory_destroy(below);
        CHECK(bad > 0);
    }
}

/* Storages with one small lie each, made by exchanging one method of a good one. */
static const oct_vfs *honest;

static oct_status silent_short_read(void *self, oct_file *file, uint64_t offset, void *target,
                                    size_t bytes, oct_error *error)
{
    oct_status status = honest->read(self, file, offset, target, bytes, error);
    return status == OCT_CORRUPT ? OCT_OK : status;
}

static oct_status open_without_lock(void *self, const char *path, uint32_t flags, oct_file **out,
                                    oct_error *error)
{
    return honest->open(self, path, flags & ~(uint32_t)OCT_OPEN_EXCLUSIVE, out, error);
}

static oct_status truncate_only_growing(void *self, oct_file *file, uint64_t bytes,
                                        oct_error *error)
{
    uint64_t size;
    oct_status status = honest->size(self, file, &size, error);
    return status == OCT_OK && bytes > size ? honest->truncate(self, file, bytes, error) : status;
}

static oct_status forgiving_remove(void *self, const char *path, oct_error *error)
{
    oct_status status = honest->remove(self, path, error);
    return status == OCT_NOT_FOUND ? OCT_OK : status;
}

static oct_status list_without_root(void *self, const char *directory,
                                    void (*each)(void *arg, const char *name), void *arg,
                                    oct_error *error)
{
    return directory[0] ? honest->list(self, directory, each, arg, error) : OCT_OK;
}

TEST(the_suite_notices_small_lies)
{
    for (int lie = 0; lie < 5; lie++) {
        oct_vfs *vfs;
        CHECK(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
        oct_vfs liar = *vfs;
        honest = vfs;
        if (lie == 0) liar.read = silent_short_read;
        if (lie == 1) liar.open = open_without_lock;
        if (lie == 2) liar.truncate = truncate_only_growing;
        if (lie == 3) liar.remove = forgiving_remove;
        if (lie == 4) liar.list = list_without_root;
        int bad = oct_vfs_conformance(&liar, NULL, "liar", say_nothing);
        oct_vfs_memory_destroy(vfs);
        CHECK(bad > 0);
    }
}

TEST_MAIN(memory_conforms, posix_conforms, fault_layer_without_faults_conforms,
          crash_layer_without_a_crash_conforms, the_suite_notices_a_broken_storage,
          the_suite_notices_small_lies)
