/* SPDX-License-Identifier: Apache-2.0
 *
 * collection.c - life, pins and small services of a collection. The picture of state and locks is
 * at the head of collection.h. */
#include "db/collection.h"

#include <string.h>

#include "base/alloc.h"
#include "model/config.h"

/* ---- logs ---------------------------------------------------------------------------- */

oct_status oct_log_create(const oct_alloc *alloc, oct_log **out, oct_error *error)
{
    oct_log *log = oct_new_zeroed(alloc, sizeof *log);
    *out = log;
    if (!log) return oct_fail_nomem(error, "a log");
    log->alloc = alloc;
    oct_atomic_store(&log->references, 1);
    return OCT_OK;
}

void oct_log_unpin(oct_log *log)
{
    if (!log || oct_atomic_subtract(&log->references, 1) > 0) return;
    oct_wal_close(log->wal);
    oct_free(log->alloc, log, sizeof *log);
}

static void append_hex(char *at, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++)
        at[i] = digits[(number >> (60 - 4 * i)) & 15];
    at[16] = '\0';
}

void oct_collection_log_path(const oct_collection *collection, uint64_t first_sequence, char *path)
{
    size_t at = strlen(collection->directory);
    memcpy(path, collection->directory, at);
    memcpy(path + at, "/log-", 5);
    append_hex(path + at + 5, first_sequence);
}

/* ---- life ---------------------------------------------------------------------------- */

static oct_status init_locks(oct_collection *collection)
{
    oct_mutex *locks[] = { &collection->seal_mutex, &collection->merge_mutex, &collection->writer,
                           &collection->view_mutex, &collection->scratch_mutex };
    for (size_t i = 0; i < ARRAY_COUNT(locks); i++) {
        if (oct_mutex_init(locks[i]) == OCT_OK) continue;
        while (i-- > 0)
            oct_mutex_deinit(locks[i]);
        return OCT_NOMEM;
    }
    return OCT_OK;
}

oct_status oct_collection_new(oct_db *db, oct_str name, uint64_t number, oct_collection **out,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = oct_db_alloc(db);
    *out = NULL;
    oct_collection *collection = oct_new_zeroed(alloc, sizeof *collection);
    if (!collection) return oct_fail_nomem(error, "a collection");
    collection->db = db;
    collection->host = oct_db_host(db);
    collection->alloc = alloc;
    collection->kernels = oct_db_kernels(db);
    collection->number = number;
    collection->directory[0] = 'c';
    append_hex(collection->directory + 1, number);
    oct_atomic_store(&collection->references, 1);
    char *copy = oct_new(alloc, name.bytes);
    if (!copy) TRY(oct_fail_nomem(error, "a collection"));
    memcpy(copy, name.at, name.bytes);
    collection->name = (oct_str){ copy, name.bytes };
    if (init_locks(collection) != OCT_OK) TRY(oct_fail_nomem(error, "a collection's locks"));
    *out = collection;
    collection = NULL;
done:
    if (collection) {
        oct_free(alloc, (void *)(uintptr_t)collection->name.at, collection->name.bytes);
        oct_free(alloc, collection, sizeof *collection);
    }
    return status;
}

void oct_collection_pin(oct_collection *collection)
{
    (void)oct_atomic_add(&collection->references, 1);
}

void oct_task_end(oct_task *task)
{
    oct_fields_unpin(task->fields); /* before the file they may point into */
    oct_build_destroy(task->build);
    oct_settings_unpin(task->settings);
    *task = (oct_task){ .build = NULL };
}

void oct_collection_unload(oct_collection *collection)
{
    oct_task_end(&collection->seal);
    oct_task_end(&collection->merge);
    oct_atomic_store(&collection->merging, 0);
    oct_view_unpin(collection->rotation);
    collection->rotation = NULL;
    oct_collection_swap_view(collection, NULL);
    oct_log_unpin(collection->log);
    collection->log = NULL;
}

static void destroy(oct_collection *collection)
{
    const oct_alloc *alloc = collection->alloc;
    oct_collection_unload(collection);
    if (oct_atomic_load(&collection->dropped)) { /* what stays is removed at the next open */
        oct_status ignored =
            oct_collection_remove_files(collection->host, collection->directory, NULL);
        UNUSED(ignored);
    }
    for (uint32_t i = 0; i < collection->scratch_count; i++)
        oct_hnsw_scratch_destroy(collection->scratches[i]);
    oct_config_free(alloc, collection->shape);
    oct_mutex_deinit(&collection->seal_mutex);
    oct_mutex_deinit(&collection->merge_mutex);
    oct_mutex_deinit(&collection->writer);
    oct_mutex_deinit(&collection->view_mutex);
    oct_mutex_deinit(&collection->scratch_mutex);
    oct_free(alloc, (void *)(uintptr_t)collection->name.at, collection->name.bytes);
    oct_free(alloc, collection, sizeof *collection);
}

void oct_db_unpin(oct_collection *collection)
{
    if (oct_atomic_subtract(&collection->references, 1) == 0) destroy(collection);
}

/* ---- problems ------------------------------------------------------------------------ */

oct_status oct_collection_problem(const oct_collection *collection, oct_error *error)
{
    if (collection->problem != OCT_OK && error) *error = collection->problem_error;
    return collection->problem;
}

void oct_collection_fail(oct_collection *collection, oct_status status, const oct_error *error)
{
    if (collection->problem != OCT_OK) return; /* the first one is the cause */
    collection->problem = status;
    collection->problem_error = *error;
    collection->reopen = true;
    const oct_host *host = collection->host;
    if (host->log) host->log(host->self, OCT_LOG_ERROR, error->message);
}

/* ---- views --------------------------------------------------------------------------- */

oct_view *oct_collection_view(oct_collection *collection)
{
    oct_mutex_lock(&collection->view_mutex);
    oct_view *view = collection->replaying ? NULL : collection->view;
    if (view) oct_view_pin(view);
    oct_mutex_unlock(&collection->view_mutex);
    return view;
}

void oct_collection_swap_view(oct_collection *collection, oct_view *view)
{
    oct_mutex_lock(&collection->view_mutex);
    oct_view *old = collection->view;
    collection->view = view;
    oct_mutex_unlock(&collection->view_mutex);
    oct_view_unpin(old);
}

static oct_status take_scratch(oct_collection *collection, oct_hnsw_scratch **out, oct_error *error)
{
    *out = NULL;
    oct_mutex_lock(&collection->scratch_mutex);
    if (collection->scratch_count) *out = collection->scratches[--collection->scratch_count];
    oct_mutex_unlock(&collection->scratch_mutex);
    return *out ? OCT_OK : oct_hnsw_scratch_create(collection->alloc, out, error);
}

static void give_scratch(oct_collection *collection, oct_hnsw_scratch *scratch)
{
    oct_mutex_lock(&collection->scratch_mutex);
    bool keep = collection->scratch_count < OCT_SCRATCHES_MAX;
    if (keep) collection->scratches[collection->scratch_count++] = scratch;
    oct_mutex_unlock(&collection->scratch_mutex);
    if (!keep) oct_hnsw_scratch_destroy(scratch);
}

/* Read `view`, whose reference is taken over. */
static oct_status begin_over(oct_collection *collection, oct_arena *arena, oct_view *view,
                             oct_read_session *out, oct_error *error)
{
    oct_hnsw_scratch *scratch = NULL;
    oct_status status = take_scratch(collection, &scratch, error);
    if (status != OCT_OK) {
        oct_view_unpin(view);
        return status;
    }
    out->view = view;
    out->reading = (oct_reading){ .host = collection->host,
                                  .kernels = collection->kernels,
                                  .config = view->settings->config,
                                  .view = view,
                                  .arena = arena,
                                  .scratch = scratch };
    return OCT_OK;
}

oct_status oct_read_begin(oct_collection *collection, oct_arena *arena, oct_read_session *out,
                          oct_error *error)
{
    *out = (oct_read_session){ .view = NULL };
    oct_view *view = oct_collection_view(collection);
    if (!view) { /* unless it is being opened again: that is over once the lock is ours */
        oct_mutex_lock(&collection->writer);
        oct_status problem = oct_collection_problem(collection, error);
        if (problem == OCT_OK) view = oct_collection_view(collection);
        oct_mutex_unlock(&collection->writer);
        if (problem != OCT_OK) return problem;
        if (!view) return oct_fail(error, OCT_UNAVAILABLE, "the collection was never opened");
    }
    return begin_over(collection, arena, view, out, error);
}

oct_status oct_read_begin_beside(oct_collection *collection, oct_arena *arena,
                                 const oct_read_session *other, oct_read_session *out,
                                 oct_error *error)
{
    *out = (oct_read_session){ .view = NULL };
    oct_view_pin(other->view);
    return begin_over(collection, arena, other->view, out, error);
}

void oct_read_end(oct_collection *collection, oct_read_session *session)
{
    if (!session->view) return;
    give_scratch(collection, session->reading.scratch);
    oct_view_unpin(session->view);
    session->view = NULL;
}
