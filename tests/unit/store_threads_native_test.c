/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: writers that arrive together share a sync; when a commit returns, its record is durable
 * whoever wrote it; a failure reaches every writer. And lazily verified blocks may be touched by
 * many threads. Method: eight threads append under one lock, as a collection does, and commit
 * outside it, over the power-cut recorder with a slow sync. Each notes how far the recorder was
 * when its commit returned; afterwards that cut, with everything unsynced lost, must hold its
 * record. Run under the thread sanitizer too. */
#include <time.h>

#include "base/sync.h"
#include "unit/store_fixture.h"
#include "vfs/vfs_crash.h"
#include "vfs/vfs_fault.h"

#define LOG     "c/1.log"
#define SEGMENT "c/1.seg"

enum { THREADS = 8, RECORDS = 60, SEGMENT_BYTES = 3 << 20 };

/* --- a storage whose sync takes as long as a disk's, and is counted --------------------------- */

typedef struct slow_vfs {
    oct_vfs vfs;
    const oct_vfs *below;
    oct_atomic_u64 syncs;
} slow_vfs;

static slow_vfs slow; /* the methods get the storage's own self, so there is one */

static oct_status slow_sync(void *self, oct_file *file, oct_error *error)
{
    const struct timespec disk = { .tv_nsec = 200000 };
    nanosleep(&disk, NULL);
    oct_atomic_add(&slow.syncs, 1);
    return slow.below->sync(self, file, error);
}

static void slow_init(const oct_vfs *below)
{
    slow.vfs = *below;
    slow.vfs.sync = slow_sync;
    slow.below = below;
    oct_atomic_store(&slow.syncs, 0);
}

/* --- writers ---------------------------------------------------------------------------------- */

typedef struct shared {
    oct_wal *wal;
    oct_mutex lock; /* the collection's writer lock */
    oct_vfs_crash *crash;
    uint64_t durable_at[THREADS * RECORDS + 1]; /* by sequence, each written by one thread */
    oct_atomic_u64 refused;
    oct_atomic_u64 wrong;
} shared;

static void *write_records(void *arg)
{
    shared *all = arg;
    for (uint32_t i = 0; i < RECORDS; i++) {
        oct_mutex_lock(&all->lock);
        oct_status status = wal_put(all->wal, NULL);
        uint64_t sequence = oct_wal_last_sequence(all->wal);
        oct_mutex_unlock(&all->lock);
        if (status == OCT_OK) status = oct_wal_commit(all->wal, sequence, NULL);
        if (status != OCT_OK) {
            oct_atomic_add(&all->refused, 1);
            continue;
        }
        if (oct_wal_synced_sequence(all->wal) < sequence) oct_atomic_add(&all->wrong, 1);
        if (all->crash) all->durable_at[sequence] = oct_vfs_crash_operations(all->crash);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *arg), void *arg)
{
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run, arg) == 0);
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* The newest record on the disk that a cut leaves when all that is unsynced is lost. */
static uint64_t survivors(const fixture *world, oct_vfs_crash *crash, uint64_t cut)
{
    oct_vfs *disk;
    oct_wal *wal;
    replayed seen = { 0 };
    oct_wal_open_request request = { .path = LOG, .first_sequence = 1 };
    CHECK_OR(0, oct_vfs_crash_state(crash, cut, 0, &disk, NULL) == OCT_OK);
    CHECK_OR(0, wal_reopen(world, disk, request, &wal_reading, &wal, &seen, NULL) == OCT_OK);
    CHECK_OR(0, !seen.wrong);
    oct_wal_close(wal);
    oct_vfs_memory_destroy(disk);
    return seen.count;
}

TEST(commits_share_syncs_and_are_durable)
{
    fixture world;
    oct_vfs_crash *crash;
    static shared all;
    CHECK(fixture_init(&world));
    CHECK(oct_vfs_crash_create(&test_alloc, NULL, NULL, &crash, NULL) == OCT_OK);
    slow_init(oct_vfs_crash_vfs(crash));
    all = (shared){ .crash = crash };
    CHECK(oct_mutex_init(&all.lock) == OCT_OK);
    CHECK(oct_wal_create(world.alloc, &slow.vfs, LOG, 1, &wal_synced, &all.wal, NULL) == OCT_OK);
    oct_atomic_store(&slow.syncs, 0);
    run_threads(write_records, &all);
    uint64_t commits = oct_wal_last_sequence(all.wal);
    uint64_t syncs = oct_atomic_load(&slow.syncs);
    printf("  %" PRIu64 " commits, %" PRIu64 " syncs\n", commits, syncs);
    CHECK_EQ_U64(commits, THREADS * RECORDS);
    CHECK_EQ_U64(oct_atomic_load(&all.refused), 0);
    CHECK_EQ_U64(oct_atomic_load(&all.wrong), 0);
    CHECK(syncs < commits / 2);
    oct_wal_close(all.wal);
    for (uint64_t sequence = 1; sequence <= commits; sequence++)
        CHECK(survivors(&world, crash, all.durable_at[sequence]) >= sequence);
    oct_mutex_deinit(&all.lock);
    oct_vfs_crash_destroy(crash);
    CHECK(fixture_deinit(&world));
}

TEST(a_failed_sync_reaches_every_writer)
{
    for (uint64_t k = 1; k < 40; k += 3) {
        fixture world;
        oct_vfs_fault *fault;
        static shared all;
        CHECK(fixture_init(&world));
        CHECK(oct_vfs_fault_create(&test_alloc, world.vfs, &fault, NULL) == OCT_OK);
        slow_init(oct_vfs_fault_vfs(fault));
        all = (shared){ .crash = NULL };
        CHECK(oct_mutex_init(&all.lock) == OCT_OK);
        CHECK(oct_wal_create(world.alloc, &slow.vfs, LOG, 1, &wal_synced, &all.wal, NULL) ==
              OCT_OK);
        const oct_fault_plan plan = { .fail_at = k, .methods = OCT_FAULT_SYNC, .status = OCT_IO };
        oct_vfs_fault_plan(fault, &plan);
        run_threads(write_records, &all);
        CHECK(oct_wal_failed(all.wal));
        CHECK_EQ_U64(oct_atomic_load(&all.wrong), 0);
        uint64_t accepted = THREADS * RECORDS - oct_atomic_load(&all.refused);
        CHECK(accepted <= oct_wal_synced_sequence(all.wal));
        CHECK(oct_wal_synced_sequence(all.wal) < THREADS * RECORDS);
        oct_wal_close(all.wal);
        oct_mutex_deinit(&all.lock);
        oct_vfs_fault_destroy(fault);
        CHECK(fixture_deinit(&world));
    }
}

/* --- readers ---------------------------------------------------------------------------------- */

typedef struct touching {
    oct_container *container;
    const uint8_t *at;
    oct_atomic_u64 damaged;
    oct_atomic_u64 started;
} touching;

static void *touch_everywhere(void *arg)
{
    touching *all = arg;
    uint64_t state = oct_atomic_add(&all->started, 1);
    for (uint32_t i = 0; i < 2000; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t at = (size_t)((state >> 33) % (SEGMENT_BYTES - 100));
        if (oct_container_touch(all->container, all->at + at, 100, NULL) != OCT_OK)
            oct_atomic_add(&all->damaged, 1);
    }
    return NULL;
}

TEST(blocks_are_verified_by_many_threads)
{
    fixture world;
    oct_container_writer *writer;
    touching all = { .container = NULL };
    uint64_t bytes;
    size_t section;
    const void *at;
    uint8_t *content = malloc(SEGMENT_BYTES);
    CHECK(content);
    record_fill(1, content, SEGMENT_BYTES);
    CHECK(fixture_init(&world));
    CHECK(oct_container_create(world.alloc, world.vfs, SEGMENT, &writer, NULL) == OCT_OK);
    CHECK(oct_container_begin(writer, 1, 0, NULL) == OCT_OK);
    CHECK(oct_container_append(writer, content, SEGMENT_BYTES, NULL) == OCT_OK);
    CHECK(oct_container_finish(writer, &bytes, NULL) == OCT_OK);
    for (uint32_t damaged = 0; damaged < 2; damaged++) {
        CHECK(oct_container_open(world.alloc, world.vfs, SEGMENT, &all.container, NULL) == OCT_OK);
        CHECK(oct_container_load_lazy(all.container, 1, 0, &at, &section, NULL) == OCT_OK);
        all.at = at;
        oct_atomic_store(&all.damaged, 0);
        run_threads(touch_everywhere, &all);
        CHECK((oct_atomic_load(&all.damaged) > 0) == (damaged > 0));
        oct_container_close(all.container);
        CHECK(file_patch(world.vfs, SEGMENT, 1000000, "damage", 6));
    }
    free(content);
    CHECK(fixture_deinit(&world));
}

TEST_MAIN(commits_share_syncs_and_are_durable, a_failed_sync_reaches_every_writer,
          blocks_are_verified_by_many_threads)
