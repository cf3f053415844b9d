/* SPDX-License-Identifier: Apache-2.0
 *
 * recover.c - making, opening and removing the files of a collection.
 *
 * A collection directory holds two manifest slots, the sealed segments they name, the log files
 * they name, the space kept back (reserve.c) and perhaps a merge half done (checkpoints.c). Opening
 * reads the manifest, opens the segments, and replays the logs in order into a fresh memory
 * segment; the last log takes the next records. Anything else in the directory (files of a merge or
 * a log that was never published) is removed.
 */
#include <string.h>

#include "base/alloc.h"
#include "db/collection.h"
#include "model/config.h"

enum { NAME_BYTES_MAX = 64 };

static oct_wal_options wal_options(const oct_collection *collection)
{
    const oct_open_options *options = oct_db_options(collection->db);
    return (oct_wal_options){ .sync = options->wal_sync == OCT_WAL_SYNC_ALWAYS,
                              .read_only = options->read_only };
}

/* ---- directories --------------------------------------------------------------------- */

typedef struct name_list {
    const oct_alloc *alloc;
    char (*names)[NAME_BYTES_MAX];
    size_t count, capacity;
    oct_status status;
} name_list;

static void add_name(void *arg, const char *name)
{
    name_list *list = arg;
    size_t bytes = strlen(name);
    if (bytes >= NAME_BYTES_MAX || list->status != OCT_OK) return; /* not one of ours */
    list->status = oct_array_reserve(list->alloc, &list->names, &list->capacity, list->count + 1,
                                     NAME_BYTES_MAX, NULL);
    if (list->status == OCT_OK) memcpy(list->names[list->count++], name, bytes + 1);
}

static oct_status list_names(const oct_host *host, const char *directory, name_list *list,
                             oct_error *error)
{
    const oct_vfs *vfs = host->vfs;
    *list = (name_list){ .alloc = host->alloc, .status = OCT_OK };
    oct_status status = vfs->list(vfs->self, directory, add_name, list, error);
    if (status == OCT_OK && list->status != OCT_OK) status = oct_fail_nomem(error, "a listing");
    return status;
}

static void free_names(name_list *list)
{
    oct_free(list->alloc, list->names, list->capacity * NAME_BYTES_MAX);
}

static oct_status remove_name(const oct_host *host, const char *directory, const char *name,
                              oct_error *error)
{
    char path[OCT_PATH_BYTES_MAX + 1];
    size_t at = strlen(directory), bytes = strlen(name);
    ASSERT(at + 1 + bytes <= OCT_PATH_BYTES_MAX);
    memcpy(path, directory, at);
    path[at] = '/';
    memcpy(path + at + 1, name, bytes + 1);
    oct_status status = host->vfs->remove(host->vfs->self, path, error);
    return status == OCT_NOT_FOUND ? OCT_OK : status;
}

/* The manifest goes first: without it, the rest is no collection. */
oct_status oct_collection_remove_files(const oct_host *host, const char *directory,
                                       oct_error *error)
{
    oct_status status = OCT_OK;
    name_list list;
    TRY(list_names(host, directory, &list, error));
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < list.count; i++)
            if ((strncmp(list.names[i], "manifest", 8) == 0) == (pass == 0))
                TRY(remove_name(host, directory, list.names[i], error));
done:
    free_names(&list);
    return status;
}

static bool is_wanted(const oct_collection *collection, const oct_view *view, const char *name)
{
    char path[OCT_PATH_BYTES_MAX + 1];
    size_t skip = strlen(collection->directory) + 1;
    if (strncmp(name, "manifest", 8) == 0 || strcmp(name, OCT_RESERVE_NAME) == 0) return true;
    if (strncmp(name, OCT_CHECKPOINT_PREFIX, strlen(OCT_CHECKPOINT_PREFIX)) == 0) return true;
    for (uint32_t i = 0; i < collection->log_file_count; i++) {
        oct_collection_log_path(collection, collection->log_files[i], path);
        if (strcmp(path + skip, name) == 0) return true;
    }
    for (uint32_t i = 0; i < view->count; i++)
        if (view->entries[i].sealed && strcmp(view->entries[i].sealed->path + skip, name) == 0)
            return true;
    return false;
}

/* Remove what the manifest does not name. */
static oct_status clean(const oct_collection *collection, const oct_view *view, oct_error *error)
{
    oct_status status = OCT_OK;
    name_list list;
    TRY(list_names(collection->host, collection->directory, &list, error));
    for (size_t i = 0; i < list.count; i++)
        if (!is_wanted(collection, view, list.names[i]))
            TRY(remove_name(collection->host, collection->directory, list.names[i], error));
done:
    free_names(&list);
    return status;
}

/* ---- opening ------------------------------------------------------------------------- */

/* A view with a new, empty active segment behind `view`'s entries. Takes over `view`. */
static oct_status add_active(oct_collection *collection, oct_view **view, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_memory_segment *active = NULL;
    oct_view *more = NULL;
    uint64_t seed = 0;
    const oct_host *host = collection->host;
    TRY(host->entropy(host->self, &seed, sizeof seed, error));
    TRY(oct_memory_segment_create(collection->alloc, collection->shape, seed, &active, error));
    TRY(oct_view_create(collection->alloc, *view, 1, &more, error));
    oct_view_insert(more, more->count, (oct_view_entry){ .memory = active });
    active = NULL;
    oct_view_unpin(*view);
    *view = more;
done:
    oct_memory_segment_unpin(active);
    return status;
}

typedef struct replay {
    oct_collection *collection;
    oct_arena arena;
} replay;

static oct_status replay_record(void *arg, uint64_t sequence, oct_str record, oct_error *error)
{
    oct_status status = OCT_OK;
    replay *now = arg;
    oct_change change;
    oct_arena_reset(&now->arena);
    TRY(oct_record_read(&now->arena, record, now->collection->shape, &change, error));
    status = oct_apply_logged(now->collection, &now->arena, &change, sequence, error);
    if (status == OCT_NOT_FOUND) { /* it was there when the record was written */
        status =
            oct_fail(error, OCT_CORRUPT, "log record %" PRIu64 ": its point is missing", sequence);
    } else if (status == OCT_BAD_INPUT || status == OCT_VALIDATION || status == OCT_LIMIT) {
        status = oct_fail(error, OCT_CORRUPT, "log record %" PRIu64 " can't have been accepted",
                          sequence);
    }
done:
    return status;
}

static oct_status open_log(oct_collection *collection, uint32_t file, replay *now, oct_error *error)
{
    oct_status status = OCT_OK;
    char path[OCT_PATH_BYTES_MAX + 1];
    bool last = file + 1 == collection->log_file_count;
    oct_log *log = NULL;
    oct_wal_options options = wal_options(collection);
    oct_collection_log_path(collection, collection->log_files[file], path);
    oct_wal_open_request request = { .path = path,
                                     .first_sequence = collection->log_files[file],
                                     .sealed = !last,
                                     .replay = replay_record,
                                     .arg = now };
    if (!last) options.read_only = true;
    TRY(oct_log_create(collection->alloc, &log, error));
    TRY(oct_wal_open(collection->alloc, collection->host->vfs, &request, &options, &log->wal,
                     error));
    if (!last && oct_wal_last_sequence(log->wal) + 1 != collection->log_files[file + 1])
        TRY(oct_fail(error, OCT_CORRUPT, "%s: its last records are missing", path));
    if (last) {
        collection->log = log;
        log = NULL;
    }
done:
    oct_log_unpin(log);
    return status;
}

/* Readers must not see what the log has not brought up to date. */
static void set_replaying(oct_collection *collection, bool replaying)
{
    oct_mutex_lock(&collection->view_mutex);
    collection->replaying = replaying;
    oct_mutex_unlock(&collection->view_mutex);
}

oct_status oct_collection_load(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *view = NULL;
    replay now = { .collection = collection };
    oct_arena_init(&now.arena, collection->alloc, 0);
    TRY(oct_state_read(collection, &view, error));
    if (!oct_db_options(collection->db)->read_only) TRY(clean(collection, view, error));
    TRY(oct_reserve_find(collection, error));
    TRY(oct_checkpoints_find(collection, error));
    TRY(add_active(collection, &view, error));
    set_replaying(collection, true);
    oct_collection_swap_view(collection, view);
    view = NULL;
    for (uint32_t i = 0; i < collection->log_file_count; i++)
        TRY(open_log(collection, i, &now, error));
done:
    oct_view_unpin(view);
    oct_arena_reset(&now.arena);
    if (status != OCT_OK) oct_collection_unload(collection);
    set_replaying(collection, false);
    return status;
}

/* ---- creating ------------------------------------------------------------------------ */

oct_status oct_collection_create_files(oct_collection *collection,
                                       const oct_collection_config *config, oct_error *error)
{
    oct_status status = OCT_OK;
    char path[OCT_PATH_BYTES_MAX + 1];
    oct_view *view = NULL;
    oct_str none = { NULL, 0 };
    bool in_doubt = false;
    oct_wal_options options = wal_options(collection);
    TRY(oct_config_copy(collection->alloc, config, &collection->shape, error));
    collection->log_start = 1;
    collection->log_files[0] = 1;
    collection->log_file_count = 1;
    collection->next_file = 1;
    collection->generation = UINT64_MAX; /* the first manifest is generation 0 */
    TRY(oct_collection_remove_files(collection->host, collection->directory, error));
    oct_collection_log_path(collection, 1, path);
    TRY(oct_log_create(collection->alloc, &collection->log, error));
    TRY(oct_wal_create(collection->alloc, collection->host->vfs, path, 1, &options,
                       &collection->log->wal, error));
    TRY(oct_view_create(collection->alloc, NULL, 0, &view, error));
    TRY(oct_settings_create(collection->alloc, config, 1, &view->settings, error));
    TRY(oct_schema_create(collection->alloc, NULL, none, NULL, &view->schema, error));
    TRY(add_active(collection, &view, error));
    TRY(oct_state_write(collection, view, 1, &in_doubt, error)); /* in doubt: nobody names it */
    oct_collection_swap_view(collection, view);
    view = NULL;
done:
    oct_view_unpin(view);
    if (status != OCT_OK) {
        oct_collection_unload(collection);
        oct_status ignored = /* the failure that led here is the one to report */
            oct_collection_remove_files(collection->host, collection->directory, NULL);
        UNUSED(ignored);
    }
    return status;
}
