/* SPDX-License-Identifier: Apache-2.0
 *
 * publish.c - what changes the list of segments: rotation, and the results of seals and merges.
 * Each is one new manifest and one new view; what a failure leaves is as before.
 *
 * A merge is never published between a rotation and the end of its seal: the seal takes the
 * bitmaps of the rotation's view as the new `saved`, so that view's segments must still be there.
 */
#include <string.h>

#include "db/collection.h"

/* ---- rotation ------------------------------------------------------------------------ */

static oct_status new_log(oct_collection *collection, uint64_t first, oct_log **out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    char path[OCT_PATH_BYTES_MAX + 1];
    oct_log *log = NULL;
    oct_wal_options options = { .sync = oct_db_options(collection->db)->wal_sync ==
                                        OCT_WAL_SYNC_ALWAYS };
    *out = NULL;
    oct_collection_log_path(collection, first, path);
    TRY(oct_log_create(collection->alloc, &log, error));
    TRY(oct_wal_create(collection->alloc, collection->host->vfs, path, first, &options, &log->wal,
                       error));
    *out = log;
    log = NULL;
done:
    oct_log_unpin(log);
    return status;
}

static oct_status new_active(oct_collection *collection, oct_view **out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = collection->host;
    uint64_t seed = 0;
    oct_memory_segment *active = NULL;
    *out = NULL;
    TRY(host->entropy(host->self, &seed, sizeof seed, error));
    TRY(oct_memory_segment_create(collection->alloc, collection->shape, seed, &active, error));
    TRY(oct_view_create(collection->alloc, collection->view, 1, out, error));
    oct_view_insert(*out, (*out)->count, (oct_view_entry){ .memory = active });
    active = NULL;
done:
    oct_memory_segment_unpin(active);
    return status;
}

/* After a failed write of the manifest: where either may be the current one, the collection must be
 * opened again before it takes more, as where the database is another's now. Else nothing
 * happened. */
static bool stays_usable(oct_collection *collection, oct_status status, bool in_doubt,
                         const oct_error *error)
{
    if (!in_doubt && status != OCT_LOCKED) return true;
    oct_collection_fail(collection, status, error);
    return false;
}

/* Close a log that nothing names yet, and remove its file; if that fails, the next open does. */
static void discard_log(const oct_collection *collection, oct_log *log, uint64_t first)
{
    const oct_vfs *vfs = collection->host->vfs;
    char path[OCT_PATH_BYTES_MAX + 1];
    oct_log_unpin(log);
    oct_collection_log_path(collection, first, path);
    (void)vfs->remove(vfs->self, path, NULL);
}

/* Begin the log file after `last`. It is named in the manifest before anything is written to it. */
static oct_status switch_log(oct_collection *collection, uint64_t last, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_log *log = NULL;
    bool in_doubt = false;
    if (collection->log_file_count == OCT_LOGS_MAX)
        return oct_fail(error, OCT_LIMIT, "too many log files");
    status = oct_wal_seal(collection->log->wal, error);
    if (status == OCT_OK)
        status = new_log(collection, last + 1, &log, error);
    else
        oct_collection_fail(collection, status, error);
    TRY(status);
    collection->log_files[collection->log_file_count++] = last + 1;
    status = oct_state_write(collection, collection->view, collection->log_start, &in_doubt, error);
    if (status != OCT_OK) {
        collection->log_file_count--;
        if (stays_usable(collection, status, in_doubt, error)) {
            discard_log(collection, log, last + 1);
            log = NULL;
        }
        TRY(status);
    }
    oct_log_unpin(collection->log);
    collection->log = log;
    log = NULL;
done:
    oct_log_unpin(log);
    return status;
}

/* After a reopening the active segment holds the records of all log files, and the last of them may
 * be empty: then it stays, and only the segment is new. */
oct_status oct_collection_rotate(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *view = NULL;
    uint64_t last = oct_wal_last_sequence(collection->log->wal);
    ASSERT(!collection->rotation);
    if (last < collection->log_start) return OCT_OK; /* nothing happened since */
    TRY(new_active(collection, &view, error));
    if (last >= collection->log_files[collection->log_file_count - 1])
        TRY(switch_log(collection, last, error));
    collection->rotation = oct_collection_view(collection);
    collection->log_full = false;
    oct_atomic_store(&collection->active_bytes, 0);
    oct_collection_swap_view(collection, view);
    view = NULL;
done:
    oct_view_unpin(view);
    return status;
}

/* ---- publishing ---------------------------------------------------------------------- */

/* Mark in the new segment the points that are dead in `bitmap` of a source. */
static oct_status map_dead(const oct_collection *collection, const oct_bitmap *bitmap,
                           const uint32_t *mapping, uint32_t count, uint32_t new_count,
                           oct_bitmap **out, oct_error *error)
{
    for (uint32_t i = 0; bitmap && i < count; i++) {
        if (mapping[i] == UINT32_MAX || oct_bits_get(bitmap->bits, i)) continue;
        if (!*out) {
            oct_status status = oct_bitmap_create(collection->alloc, NULL, new_count, out, error);
            if (status != OCT_OK) return status;
        }
        oct_bits_clear((*out)->bits, mapping[i]);
    }
    return OCT_OK;
}

static uint32_t count_alive(const oct_bitmap *bitmap, uint32_t count)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; bitmap && i < count; i++)
        alive += oct_bits_get(bitmap->bits, i);
    return bitmap ? alive : count;
}

/* The entry of a new segment; on failure everything it took is released. */
static oct_status make_entry(oct_collection *collection, const oct_task *task,
                             oct_view_entry *entry, oct_error *error)
{
    const oct_schema *schema = collection->view->schema;
    const oct_fields_request fields = { schema->fields, schema->count, task->fields, NULL };
    entry->count = entry->sealed->count;
    entry->alive_count = count_alive(entry->alive, entry->count);
    return oct_fields_create(entry->sealed, &fields, &entry->fields, error);
}

static uint32_t find_sealed(const oct_view *view, const oct_sealed *sealed)
{
    uint32_t i = 0;
    while (i < view->count && view->entries[i].sealed != sealed)
        i++;
    return i;
}

/* Sealed entries stand in the order of their files. */
static void insert_sealed(oct_view *view, oct_view_entry entry)
{
    uint32_t at = 0;
    while (at < view->count && view->entries[at].sealed &&
           view->entries[at].sealed->file < entry.sealed->file)
        at++;
    oct_view_insert(view, at, entry);
}

static void release(oct_sealed *sealed, oct_bitmap *alive, oct_bitmap *saved)
{
    oct_sealed_unpin(sealed);
    oct_bitmap_unpin(alive);
    oct_bitmap_unpin(saved);
}

oct_status oct_collection_publish(oct_collection *collection, oct_view *view, oct_sealed *made,
                                  uint64_t log_start, oct_error *error)
{
    bool in_doubt = false;
    oct_status status = oct_state_write(collection, view, log_start, &in_doubt, error);
    if (status == OCT_OK) {
        oct_collection_swap_view(collection, view);
    } else {
        if (stays_usable(collection, status, in_doubt, error) && made) oct_sealed_doom(made);
        oct_view_unpin(view);
    }
    return status;
}

/* Remove the log files before log_start; what fails is removed at the next open. */
static void drop_logs(oct_collection *collection, uint64_t log_start)
{
    const oct_vfs *vfs = collection->host->vfs;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < collection->log_file_count; i++) {
        uint64_t first = collection->log_files[i];
        char path[OCT_PATH_BYTES_MAX + 1];
        if (first >= log_start) {
            collection->log_files[kept++] = first;
            continue;
        }
        oct_collection_log_path(collection, first, path);
        (void)vfs->remove(vfs->self, path, NULL); /* see above */
    }
    collection->log_file_count = kept;
    collection->log_start = log_start;
}

/* Every sealed segment's saved bitmap becomes what lived at the rotation. */
static void save_bitmaps(oct_view *view, const oct_view *rotation)
{
    for (uint32_t i = 0; i < view->count; i++) {
        oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed) continue;
        uint32_t old = find_sealed(rotation, entry->sealed);
        ASSERT(old < rotation->count);
        oct_bitmap *saved = oct_bitmap_pin(rotation->entries[old].alive);
        oct_bitmap_unpin(entry->saved);
        entry->saved = saved;
    }
}

static uint32_t find_memory(const oct_view *view, const oct_memory_segment *memory)
{
    uint32_t i = 0;
    while (i < view->count && view->entries[i].memory != memory)
        i++;
    ASSERT(i < view->count);
    return i;
}

oct_status oct_publish_seal(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *rotation = collection->rotation, *view = NULL;
    oct_sealed *sealed = oct_build_take(collection->seal.build), *made = sealed;
    oct_bitmap *alive = NULL;
    uint64_t log_start = rotation->sequence + 1;
    TRY(oct_collection_problem(collection, error));
    TRY(oct_view_create(collection->alloc, collection->view, 1, &view, error));
    uint32_t frozen = find_memory(view, rotation->entries[rotation->count - 1].memory);
    save_bitmaps(view, rotation);
    if (sealed) {
        const oct_view_entry *old = &view->entries[frozen];
        TRY(map_dead(collection, old->alive, oct_build_mapping(collection->seal.build, 0),
                     old->count, sealed->count, &alive, error));
        oct_view_entry entry = { .sealed = sealed, .alive = alive };
        TRY(make_entry(collection, &collection->seal, &entry, error));
        sealed = NULL;
        alive = NULL;
        oct_view_remove(view, frozen);
        insert_sealed(view, entry);
    } else {
        oct_view_remove(view, frozen);
    }
    status = oct_collection_publish(collection, view, made, log_start, error);
    view = NULL;
    TRY(status);
    drop_logs(collection, log_start);
    oct_view_unpin(collection->rotation);
    collection->rotation = NULL;
    oct_reserve_refill(collection, collection->view->entries[collection->view->count - 1].memory);
done:
    if (sealed) oct_sealed_doom(sealed); /* not published: the file is nobody's */
    release(sealed, alive, NULL);
    oct_view_unpin(view);
    return status;
}

oct_status oct_publish_merge(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_task *task = &collection->merge;
    oct_sealed *sealed = oct_build_take(task->build), *made = sealed;
    oct_bitmap *alive = NULL, *saved = NULL;
    oct_view *view = NULL;
    uint32_t new_count = oct_build_point_count(task->build);
    TRY(oct_collection_problem(collection, error));
    TRY(oct_view_create(collection->alloc, collection->view, 1, &view, error));
    for (uint32_t s = 0; s < task->source_count; s++) {
        uint32_t at = find_sealed(view, task->sources[s]);
        ASSERT(at < view->count);
        const oct_view_entry *old = &view->entries[at];
        const uint32_t *mapping = oct_build_mapping(task->build, s);
        TRY(map_dead(collection, old->alive, mapping, old->count, new_count, &alive, error));
        TRY(map_dead(collection, old->saved, mapping, old->count, new_count, &saved, error));
        oct_view_remove(view, at);
    }
    if (sealed) {
        oct_view_entry entry = { .sealed = sealed, .alive = alive, .saved = saved };
        TRY(make_entry(collection, task, &entry, error));
        sealed = NULL;
        alive = saved = NULL;
        insert_sealed(view, entry);
    }
    status = oct_collection_publish(collection, view, made, collection->log_start, error);
    view = NULL;
    TRY(status);
    for (uint32_t s = 0; s < task->source_count; s++)
        oct_sealed_doom(task->sources[s]);
done:
    if (sealed) oct_sealed_doom(sealed);
    release(sealed, alive, saved);
    oct_view_unpin(view);
    return status;
}
