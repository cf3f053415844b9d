/* SPDX-License-Identifier: Apache-2.0
 *
 * reserve.c - space kept back, so that a full disk heals by deletes alone.
 *
 * Deletes free nothing by themselves: their space comes back when the memory segment is sealed (the
 * log before it goes) and when segments are written anew without their dead points. All of that
 * needs space first. So each collection keeps a file of zeros, `reserve`, as large as a new log and
 * the sealing of everything in its memory segments may take. Every change that is not a delete
 * makes it large enough before it is accepted, or is refused: NO_SPACE. Maintenance that meets
 * NO_SPACE gives the reserve up and tries again; changes are then refused until the space that
 * deletes gave back pays for a new one. A merge may not have the part that the next rotation needs,
 * and after each seal as much as there is space for is kept back again: so the way from a delete to
 * the space behind it is never blocked.
 *
 * What can't be promised: a sealed segment whose living points are larger than reserve and log
 * together is written anew only after more deletes, or when none of its points is alive.
 *
 * The file is synced when it grows, because only then some disks have really taken the space; what
 * it holds does not matter, and lost in a crash it is made again by the next change. Rejected:
 * zeros behind the log (each log would write them again), asking the disk how much is free (a vfs
 * can't tell, and others take it meanwhile). */
#include <string.h>

#include "db/collection.h"
#include "store/file.h"
#include "store/format.h"

enum {
    /* A new log with its headroom, a longer manifest, the tables of a sealed segment. */
    FIXED_BYTES = 144 << 10,
    STEP_BYTES = 64 << 10
};

static oct_status path_of(const oct_collection *collection, oct_store_path *out, oct_error *error)
{
    return oct_store_path_set(out, collection->directory, "/" OCT_RESERVE_NAME, error);
}

/* What sealing takes: the points, and a quarter for indexes, checksums and alignment. */
static uint64_t sealed_bytes(const oct_memory_segment *segment)
{
    uint64_t bytes = oct_memory_bytes(segment);
    return bytes + bytes / 4;
}

/* Lengthen the file to `bytes`, or leave it as it was. */
static oct_status lengthen(oct_collection *collection, uint64_t bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = collection->host->vfs;
    oct_store_path path;
    oct_file *file = NULL;
    TRY(path_of(collection, &path, error));
    TRY(vfs->open(vfs->self, path.text, OCT_OPEN_WRITE | OCT_OPEN_CREATE, &file, error));
    status = oct_store_write_zeros(vfs, file, collection->reserve_bytes, bytes, error);
    if (status == OCT_OK) status = vfs->sync(vfs->self, file, error);
    if (status == OCT_OK)
        collection->reserve_bytes = bytes;
    else /* others need what was taken; if it stays, the next try finds it there */
        (void)vfs->truncate(vfs->self, file, collection->reserve_bytes, NULL);
done:
    if (file) vfs->close(vfs->self, file);
    return status;
}

oct_status oct_reserve_hold(oct_collection *collection, const oct_memory_segment *active,
                            oct_error *error)
{
    uint64_t bytes = FIXED_BYTES + sealed_bytes(active);
    const oct_view *rotation = collection->rotation;
    if (rotation) bytes += sealed_bytes(rotation->entries[rotation->count - 1].memory);
    if (bytes <= collection->reserve_bytes) return OCT_OK;
    oct_status status = lengthen(collection, oct_round_up(bytes + bytes / 4, STEP_BYTES), error);
    if (status == OCT_NO_SPACE) status = lengthen(collection, bytes, error);
    return status;
}

void oct_reserve_refill(oct_collection *collection, const oct_memory_segment *active)
{
    if (!collection->pressed || oct_reserve_hold(collection, active, NULL) == OCT_OK) return;
    if (collection->reserve_bytes >= FIXED_BYTES) return;
    oct_status ignored = lengthen(collection, FIXED_BYTES, NULL); /* the next one tries again */
    UNUSED(ignored);
}

bool oct_reserve_release(oct_collection *collection, bool for_merge)
{
    const oct_vfs *vfs = collection->host->vfs;
    uint64_t keep = for_merge ? FIXED_BYTES : 0;
    oct_store_path path;
    oct_file *file = NULL;
    if (collection->reserve_bytes <= keep) return false;
    if (path_of(collection, &path, NULL) != OCT_OK) return false;
    if (vfs->open(vfs->self, path.text, OCT_OPEN_WRITE, &file, NULL) != OCT_OK) return false;
    bool freed = vfs->truncate(vfs->self, file, keep, NULL) == OCT_OK;
    vfs->close(vfs->self, file);
    if (freed) collection->reserve_bytes = keep;
    return freed;
}

oct_status oct_reserve_find(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = collection->host->vfs;
    oct_store_path path;
    oct_file *file = NULL;
    collection->reserve_bytes = 0;
    TRY(path_of(collection, &path, error));
    status = vfs->open(vfs->self, path.text, OCT_OPEN_READ, &file, error);
    if (status == OCT_NOT_FOUND) return OCT_OK;
    TRY(status);
    TRY(vfs->size(vfs->self, file, &collection->reserve_bytes, error));
done:
    if (file) vfs->close(vfs->self, file);
    return status;
}
