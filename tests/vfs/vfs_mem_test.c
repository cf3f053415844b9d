/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: beyond the contract (conformance_test.c), storage in memory keeps views in place while
 * files grow, gives all memory back, and survives every failing allocation unchanged.
 * Method: views held over much growth and compared; a counting allocator; the k-th allocation
 * failing for every k. Then several threads at once, on memory and on files, as the contract
 * allows them (run this under the thread sanitizer). */
#include <string.h>

#include "base/alloc.h"
#include "octant/octant.h"
#include "test_alloc.h"
#include "test_directory.h"
#include "unit/test.h"

enum { RWC = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE };

TEST(views_stay_in_place_while_the_file_grows)
{
    enum { VIEWS = 40, STEP = 777 };
    const void *views[VIEWS];
    oct_counting_alloc counting;
    oct_vfs *vfs;
    oct_file *file;
    unsigned char piece[STEP];
    oct_counting_alloc_init(&counting, &test_alloc, 0);
    CHECK(oct_vfs_memory_create(&counting.alloc, &vfs, NULL) == OCT_OK);
    CHECK(vfs->open(vfs->self, "a", RWC, &file, NULL) == OCT_OK);
    for (size_t i = 0; i < VIEWS; i++) {
        memset(piece, (int)i, sizeof piece);
        CHECK(vfs->write(vfs->self, file, i * STEP, piece, STEP, NULL) == OCT_OK);
        CHECK(vfs->view(vfs->self, file, 0, (i + 1) * STEP, &views[i], NULL) == OCT_OK);
    }
    for (size_t i = 0; i < VIEWS; i++)
        for (size_t at = 0; at < (i + 1) * STEP; at++)
            CHECK(((const unsigned char *)views[i])[at] == at / STEP);
    CHECK(vfs->remove(vfs->self, "a", NULL) == OCT_OK);
    for (size_t i = 0; i < VIEWS; i++) {
        size_t which = (i * 7) % VIEWS; /* in another order than they were made */
        vfs->unview(vfs->self, file, views[which], (which + 1) * STEP);
    }
    vfs->close(vfs->self, file);
    oct_vfs_memory_destroy(vfs);
    CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
}

TEST(an_emptied_file_gives_its_memory_back)
{
    static char bytes[100000];
    oct_counting_alloc counting;
    oct_vfs *vfs;
    oct_file *file;
    oct_counting_alloc_init(&counting, &test_alloc, 0);
    CHECK(oct_vfs_memory_create(&counting.alloc, &vfs, NULL) == OCT_OK);
    CHECK(vfs->open(vfs->self, "a", RWC, &file, NULL) == OCT_OK);
    uint64_t empty = oct_atomic_load(&counting.bytes);
    CHECK(vfs->write(vfs->self, file, 0, bytes, sizeof bytes, NULL) == OCT_OK);
    CHECK(oct_atomic_load(&counting.bytes) >= empty + sizeof bytes);
    CHECK(oct_atomic_load(&counting.bytes) < empty + sizeof bytes + 1000); /* and not much more */
    CHECK(vfs->truncate(vfs->self, file, 0, NULL) == OCT_OK);
    CHECK_EQ_U64(oct_atomic_load(&counting.bytes), empty);
    vfs->close(vfs->self, file);
    oct_vfs_memory_destroy(vfs);
}

/* A little of everything, on whatever memory there is; the first failure ends it. */
static oct_status script(const oct_alloc *alloc, bool *intact)
{
    static char bytes[5000], found[5000];
    oct_status status = OCT_OK;
    oct_vfs *vfs = NULL;
    oct_file *file = NULL;
    const void *view = NULL;
    uint64_t size = 0;
    TRY(oct_vfs_memory_create(alloc, &vfs, NULL));
    TRY(vfs->open(vfs->self, "d/a", RWC, &file, NULL));
    memset(bytes, 'x', sizeof bytes);
    TRY(vfs->write(vfs->self, file, 0, bytes, 1000, NULL));
    size = 1000;
    TRY(vfs->view(vfs->self, file, 0, 1000, &view, NULL));
    TRY(vfs->write(vfs->self, file, 1000, bytes, 4000, NULL));
    size = 5000;
    TRY(vfs->truncate(vfs->self, file, 100000, NULL));
    size = 100000;
    TRY(vfs->rename(vfs->self, "d/a", "d/b", NULL));
done:
    if (view) vfs->unview(vfs->self, file, view, 1000);
    if (file) {
        uint64_t now;
        size_t part = size < sizeof found ? (size_t)size : sizeof found;
        *intact = vfs->size(vfs->self, file, &now, NULL) == OCT_OK && now == size &&
                  vfs->read(vfs->self, file, 0, found, part, NULL) == OCT_OK &&
                  memcmp(found, bytes, part) == 0;
        vfs->close(vfs->self, file);
    }
    if (vfs) oct_vfs_memory_destroy(vfs);
    return status;
}

TEST(any_allocation_may_fail_and_changes_nothing)
{
    unsigned failed = 0;
    for (uint64_t k = 1;; k++) {
        oct_counting_alloc counting;
        bool intact = true;
        oct_counting_alloc_init(&counting, &test_alloc, 0);
        counting.fail_at = k;
        counting.fail_after = true;
        oct_status status = script(&counting.alloc, &intact);
        CHECK(intact);
        CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
        if (status == OCT_OK) break;
        CHECK(status == OCT_NOMEM);
        failed++;
    }
    CHECK(failed >= 6);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 200, SHARED_BYTES = 5000 };

typedef struct vfs_worker {
    const oct_vfs *vfs;
    oct_file *shared;
    unsigned number;
    bool good;
} vfs_worker;

static bool shared_is_whole(const vfs_worker *worker)
{
    unsigned char found[SHARED_BYTES];
    const oct_vfs *vfs = worker->vfs;
    uint64_t bytes;
    bool good = vfs->size(vfs->self, worker->shared, &bytes, NULL) == OCT_OK &&
                bytes == SHARED_BYTES &&
                vfs->read(vfs->self, worker->shared, 0, found, SHARED_BYTES, NULL) == OCT_OK;
    for (size_t i = 0; good && i < SHARED_BYTES; i++)
        good = found[i] == (unsigned char)i;
    if (!good || !(vfs->caps & OCT_CAP_VIEW)) return good;
    const void *view;
    if (vfs->view(vfs->self, worker->shared, 64, 128, &view, NULL) != OCT_OK) return false;
    good = memcmp(view, found + 64, 128) == 0;
    vfs->unview(vfs->self, worker->shared, view, 128);
    return good;
}

static void ignore_name(void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

/* Make, write, sync, rename and remove own files in a directory that all share and that vanishes
 * with its last file, while everybody reads one file. */
static void *work(void *arg)
{
    vfs_worker *worker = arg;
    const oct_vfs *vfs = worker->vfs;
    char path[] = "busy/own0", other[] = "busy/new0";
    path[8] = other[8] = (char)('0' + worker->number);
    worker->good = true;
    for (int round = 0; round < ROUNDS && worker->good; round++) {
        oct_file *file;
        bool good = vfs->open(vfs->self, path, RWC, &file, NULL) == OCT_OK;
        if (good) {
            good = vfs->write(vfs->self, file, 0, path, sizeof path, NULL) == OCT_OK &&
                   vfs->write(vfs->self, file, 3000, path, sizeof path, NULL) == OCT_OK &&
                   (round % 16 || vfs->sync(vfs->self, file, NULL) == OCT_OK);
            vfs->close(vfs->self, file);
        }
        good = good && vfs->list(vfs->self, "busy", ignore_name, NULL, NULL) == OCT_OK;
        good = good && (round % 8 || vfs->rename(vfs->self, path, other, NULL) == OCT_OK);
        good = good && shared_is_whole(worker);
        good = good && vfs->remove(vfs->self, round % 8 ? path : other, NULL) == OCT_OK;
        worker->good = good;
    }
    return NULL;
}

/* All workers at once, or one after the other where there are no threads. */
static bool run_workers(vfs_worker *workers)
{
    bool good = true;
#if OCT_THREADS
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
#else
    for (int i = 0; i < THREADS; i++)
        work(&workers[i]);
#endif
    for (int i = 0; i < THREADS; i++)
        good = good && workers[i].good;
    return good;
}

static bool threads_get_along(const oct_vfs *vfs)
{
    unsigned char bytes[SHARED_BYTES];
    vfs_worker workers[THREADS];
    oct_file *shared;
    for (size_t i = 0; i < SHARED_BYTES; i++)
        bytes[i] = (unsigned char)i;
    CHECK_OR(false, vfs->open(vfs->self, "shared", RWC, &shared, NULL) == OCT_OK);
    CHECK_OR(false, vfs->write(vfs->self, shared, 0, bytes, SHARED_BYTES, NULL) == OCT_OK);
    for (unsigned i = 0; i < THREADS; i++)
        workers[i] = (vfs_worker){ vfs, shared, i, false };
    bool good = run_workers(workers);
    vfs->close(vfs->self, shared);
    return good && vfs->remove(vfs->self, "shared", NULL) == OCT_OK;
}

TEST(threads_share_memory_as_the_contract_says)
{
    oct_vfs *vfs;
    CHECK(oct_vfs_memory_create(&test_alloc, &vfs, NULL) == OCT_OK);
    CHECK(threads_get_along(vfs));
    oct_vfs_memory_destroy(vfs);
}

TEST(threads_share_files_as_the_contract_says)
{
    test_directory directory;
    oct_vfs *vfs;
    CHECK(test_directory_make(&directory));
    CHECK(oct_vfs_posix_create(&test_alloc, directory.path, &vfs, NULL) == OCT_OK);
    CHECK(threads_get_along(vfs));
    oct_vfs_posix_destroy(vfs);
    CHECK(test_directory_remove(&directory));
}

TEST_MAIN(views_stay_in_place_while_the_file_grows, an_emptied_file_gives_its_memory_back,
          any_allocation_may_fail_and_changes_nothing, threads_share_memory_as_the_contract_says,
          threads_share_files_as_the_contract_says)
