/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture.h - what the tests of core/store share: an allocator that counts, a storage in
 * memory, whole files read and patched through the vfs, and a log's records by sequence. */
#ifndef OCT_STORE_FIXTURE_H
#define OCT_STORE_FIXTURE_H

#include "base/alloc.h"
#include "octant/octant.h"
#include "store/container.h"
#include "store/format.h"
#include "store/manifest.h"
#include "store/wal.h"
#include "unit/test.h"
#include "vfs/test_alloc.h"

/* One test's world. */
typedef struct fixture {
    oct_counting_alloc counting;
    const oct_alloc *alloc;
    oct_vfs *vfs; /* in memory, on the C library: sweeps of allocations are about the store */
} fixture;

static inline bool fixture_init(fixture *world)
{
    oct_counting_alloc_init(&world->counting, &test_alloc, 0);
    world->alloc = &world->counting.alloc;
    return oct_vfs_memory_create(&test_alloc, &world->vfs, NULL) == OCT_OK;
}

/* Ends the world; false when the store leaked. */
static inline bool fixture_deinit(fixture *world)
{
    oct_vfs_memory_destroy(world->vfs);
    return oct_atomic_load(&world->counting.bytes) == 0;
}

/* --- files ------------------------------------------------------------------------------------ */

/* The size of a file, UINT64_MAX when it is missing. */
static inline uint64_t file_size(const oct_vfs *vfs, const char *path)
{
    oct_file *file;
    uint64_t bytes = UINT64_MAX;
    if (vfs->open(vfs->self, path, OCT_OPEN_READ, &file, NULL) != OCT_OK) return bytes;
    if (vfs->size(vfs->self, file, &bytes, NULL) != OCT_OK) bytes = UINT64_MAX;
    vfs->close(vfs->self, file);
    return bytes;
}

static inline bool file_read(const oct_vfs *vfs, const char *path, uint64_t offset, void *target,
                             size_t bytes)
{
    oct_file *file;
    if (vfs->open(vfs->self, path, OCT_OPEN_READ, &file, NULL) != OCT_OK) return false;
    oct_status status = vfs->read(vfs->self, file, offset, target, bytes, NULL);
    vfs->close(vfs->self, file);
    return status == OCT_OK;
}

/* Change bytes of a file, creating it when needed. */
static inline bool file_patch(const oct_vfs *vfs, const char *path, uint64_t offset,
                              const void *source, size_t bytes)
{
    oct_file *file;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE;
    if (vfs->open(vfs->self, path, flags, &file, NULL) != OCT_OK) return false;
    oct_status status =
        bytes == 0 ? OCT_OK : vfs->write(vfs->self, file, offset, source, bytes, NULL);
    vfs->close(vfs->self, file);
    return status == OCT_OK;
}

static inline bool file_truncate(const oct_vfs *vfs, const char *path, uint64_t bytes)
{
    oct_file *file;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE;
    if (vfs->open(vfs->self, path, flags, &file, NULL) != OCT_OK) return false;
    oct_status status = vfs->truncate(vfs->self, file, bytes, NULL);
    vfs->close(vfs->self, file);
    return status == OCT_OK;
}

/* A whole file in malloc'ed memory. */
typedef struct file_image {
    uint8_t *at;
    size_t bytes;
} file_image;

static inline file_image file_save(const oct_vfs *vfs, const char *path)
{
    file_image image = { NULL, 0 };
    uint64_t bytes = file_size(vfs, path);
    if (bytes == UINT64_MAX) return image;
    image.at = malloc((size_t)bytes + 1);
    image.bytes = (size_t)bytes;
    if (!image.at || !file_read(vfs, path, 0, image.at, image.bytes)) abort();
    return image;
}

/* Put an image back, as the whole file. */
static inline bool file_restore(const oct_vfs *vfs, const char *path, file_image image)
{
    return file_patch(vfs, path, 0, image.at, image.bytes) && file_truncate(vfs, path, image.bytes);
}

static inline bool file_equals(const oct_vfs *vfs, const char *path, file_image image)
{
    file_image now = file_save(vfs, path);
    bool equal = now.bytes == image.bytes && memcmp(now.at, image.at, now.bytes) == 0;
    free(now.at);
    return equal;
}

/* --- records ---------------------------------------------------------------------------------- */

/* Byte i of the record with a sequence: any record tells at once whether it is its own. */
static inline uint8_t record_byte(uint64_t sequence, size_t i)
{
    uint64_t word = (sequence * 131 + i / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)(word >> (8 * (i % 8)));
}

static inline void record_fill(uint64_t sequence, uint8_t *target, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        target[i] = record_byte(sequence, i);
}

/* Sizes that hit the edges of units and buffers, by sequence. */
static inline size_t record_bytes(uint64_t sequence)
{
    static const size_t sizes[] = { 0, 1, 59, 60, 61, 64, 100, 124, 700, 4000, 33, 7 };
    return sizes[sequence % ARRAY_COUNT(sizes)];
}

/* What replay saw: OK as long as the records came in order, whole and unchanged. */
typedef struct replayed {
    uint64_t first;
    uint64_t count;
    bool wrong;
    size_t (*bytes_of)(uint64_t sequence);
    uint64_t fail_at; /* sequence at which replay fails on purpose; 0 = never */
} replayed;

static inline oct_status replay_check(void *arg, uint64_t sequence, oct_str record,
                                      oct_error *error)
{
    replayed *seen = arg;
    size_t expected = seen->bytes_of(sequence);
    if (seen->fail_at == sequence && sequence != 0)
        return oct_fail(error, OCT_CONFLICT, "failed on purpose");
    if (sequence != seen->first + seen->count || record.bytes != expected) seen->wrong = true;
    for (size_t i = 0; i < record.bytes && !seen->wrong; i++)
        if ((uint8_t)record.at[i] != record_byte(sequence, i)) seen->wrong = true;
    seen->count++;
    return OCT_OK;
}

static const oct_wal_options wal_synced = { .sync = true };
static const oct_wal_options wal_unsynced = { .sync = false };
static const oct_wal_options wal_reading = { .sync = true, .read_only = true };

/* Reserve and append the next record with record_bytes(). */
static inline oct_status wal_put(oct_wal *wal, oct_error *error)
{
    static uint8_t record[4096];
    uint64_t sequence = oct_wal_last_sequence(wal) + 1;
    size_t bytes = record_bytes(sequence);
    oct_status status = oct_wal_reserve(wal, bytes, false, error);
    if (status != OCT_OK) return status;
    record_fill(sequence, record, bytes);
    return oct_wal_append(wal, record, bytes) == sequence ? OCT_OK : OCT_CONFLICT;
}

static inline oct_status wal_commit_all(oct_wal *wal, oct_error *error)
{
    return oct_wal_commit(wal, oct_wal_last_sequence(wal), error);
}

/* Open and replay; *seen tells what came. */
static inline oct_status wal_reopen(const fixture *world, const oct_vfs *vfs,
                                    oct_wal_open_request request, const oct_wal_options *options,
                                    oct_wal **out, replayed *seen, oct_error *error)
{
    *seen = (replayed){ .first = request.first_sequence,
                        .bytes_of = record_bytes,
                        .fail_at = seen->fail_at };
    request.replay = replay_check;
    request.arg = seen;
    return oct_wal_open(world->alloc, vfs, &request, options, out, error);
}

#endif
