/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoints.c - when a merge is saved while it is under way, and taken up again.
 *
 * A build of graphs may take minutes, and a browser tab closes at any time. So once in a while the
 * merge under way is written to one of two files, "checkpoint-0" and "checkpoint-1", in turn: the
 * one before is removed when the new one is synced, and a crash in between leaves one that is
 * whole. What stands in them: segment/checkpoint.c. After a crash the first merge to begin is the
 * saved one, if it still fits the segments; what does not fit, or is damaged, is removed.
 *
 * Time decides only when to save: after CHECKPOINT_MS of work, and not before the work was
 * SHARE times what the last saving took. The result never depends on it.
 *
 * Checkpoints are the first thing to go when space is short. None is written after a change, a
 * checkpoint or a merge was refused for lack of it, until a merge has ended. */
#include <string.h>

#include "db/choose.h"

enum {
    SLOTS = 2,
    CHECKPOINT_MS = 5000,
    SHARE = 20 /* saving takes at most 1/20 of the time */
};

static void path_of(const oct_collection *collection, uint32_t slot, char *path)
{
    static const char name[] = "/" OCT_CHECKPOINT_PREFIX;
    size_t at = strlen(collection->directory);
    memcpy(path, collection->directory, at);
    memcpy(path + at, name, sizeof name - 1);
    path[at + sizeof name - 1] = (char)('0' + slot);
    path[at + sizeof name] = '\0';
}

static bool has_slot(const oct_collection *collection, uint32_t slot)
{
    return oct_atomic_load(&collection->checkpoints) >> slot & 1;
}

oct_status oct_checkpoints_find(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = collection->host->vfs;
    oct_atomic_store(&collection->checkpoints, 0);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        char path[OCT_PATH_BYTES_MAX + 1];
        oct_file *file = NULL;
        path_of(collection, slot, path);
        status = vfs->open(vfs->self, path, OCT_OPEN_READ, &file, error);
        if (status == OCT_NOT_FOUND) continue;
        TRY(status);
        vfs->close(vfs->self, file);
        (void)oct_atomic_add(&collection->checkpoints, UINT64_C(1) << slot);
    }
    status = OCT_OK;
done:
    return status;
}

/* What can't be removed now is ignored from now on, and tried again at the next open. */
static void drop_slot(oct_collection *collection, uint32_t slot)
{
    const oct_vfs *vfs = collection->host->vfs;
    char path[OCT_PATH_BYTES_MAX + 1];
    if (!has_slot(collection, slot)) return;
    path_of(collection, slot, path);
    (void)vfs->remove(vfs->self, path, NULL);
    (void)oct_atomic_subtract(&collection->checkpoints, UINT64_C(1) << slot);
}

bool oct_checkpoints_drop(oct_collection *collection)
{
    bool any = oct_atomic_load(&collection->checkpoints) != 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        drop_slot(collection, slot);
    return any;
}

/* ---- taking up ----------------------------------------------------------------------- */

static oct_status open_slot(oct_collection *collection, const oct_view *view, uint32_t slot,
                            oct_checkpoint **out, oct_error *error)
{
    char path[OCT_PATH_BYTES_MAX + 1];
    const oct_checkpoint_subject subject = { collection->host, view->settings->config,
                                             view->schema };
    path_of(collection, slot, path);
    return oct_checkpoint_open(&subject, path, out, error);
}

/* The checkpoint of a slot when it fits the view; else it is removed, but for lack of memory. */
static oct_status fitting(oct_collection *collection, const oct_view *view, uint32_t slot,
                          oct_checkpoint **out, oct_error *error)
{
    const oct_host *host = collection->host;
    uint32_t entries[OCT_SOURCES_MAX];
    oct_error cause = { .message = "" };
    *out = NULL;
    if (!has_slot(collection, slot)) return OCT_OK;
    oct_status status = open_slot(collection, view, slot, out, &cause);
    if (status == OCT_NOMEM) {
        if (error) *error = cause;
        return status;
    }
    if (status == OCT_OK && (*out)->source_count <= OCT_SOURCES_MAX &&
        oct_checkpoint_fits(*out, view, entries))
        return OCT_OK;
    if (status != OCT_OK && host->log) host->log(host->self, OCT_LOG_WARN, cause.message);
    oct_checkpoint_close(*out);
    *out = NULL;
    drop_slot(collection, slot);
    return OCT_OK;
}

oct_status oct_checkpoints_choose(oct_collection *collection, const oct_view *view,
                                  oct_checkpoint **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_checkpoint *found[SLOTS] = { NULL };
    uint32_t best = 0;
    *out = NULL;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        TRY(fitting(collection, view, slot, &found[slot], error));
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (found[slot] && (!found[best] || found[slot]->serial > found[best]->serial)) best = slot;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (found[slot] && slot != best) drop_slot(collection, slot);
    *out = found[best];
    found[best] = NULL;
done:
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        oct_checkpoint_close(found[slot]);
    return status;
}

/* ---- saving -------------------------------------------------------------------------- */

static uint64_t interval_ns(const oct_collection *collection)
{
    uint32_t ms = oct_db_options(collection->db)->checkpoint_ms;
    return (ms ? ms : CHECKPOINT_MS) * UINT64_C(1000000);
}

static oct_status save(oct_collection *collection, oct_build *build, oct_error *error)
{
    oct_status status = OCT_OK;
    char path[OCT_PATH_BYTES_MAX + 1];
    uint32_t slot = has_slot(collection, 0) ? 1 : 0;
    ASSERT(!has_slot(collection, slot));
    TRY(oct_db_check_owner(collection->db, error));
    path_of(collection, slot, path);
    status = oct_build_save(build, path, error);
    if (status != OCT_OK)
        (void)collection->host->vfs->remove(collection->host->vfs->self, path, NULL);
    TRY(status);
    drop_slot(collection, 1 - slot);
    (void)oct_atomic_add(&collection->checkpoints, UINT64_C(1) << slot);
done:
    return status;
}

void oct_checkpoints_step(oct_collection *collection, oct_task *task, uint64_t worked_ns,
                          bool pressed)
{
    const oct_host *host = collection->host;
    oct_error error = { .message = "" };
    if (pressed && !collection->unsaved) {
        collection->unsaved = true;
        oct_build_forget_checkpoint(task->build);
        (void)oct_checkpoints_drop(collection);
    }
    task->worked_ns += worked_ns;
    if (collection->unsaved || oct_db_options(collection->db)->checkpoint_ms == UINT32_MAX) return;
    if (task->worked_ns < MAX(interval_ns(collection), task->save_after_ns)) return;
    if (!oct_build_can_save(task->build)) return;
    uint64_t begin = host->monotonic_ns(host->self);
    oct_status status = save(collection, task->build, &error);
    task->save_after_ns = SHARE * (host->monotonic_ns(host->self) - begin);
    task->worked_ns = 0;
    if (status == OCT_OK) return;
    collection->unsaved = true;
    if (host->log) host->log(host->self, OCT_LOG_WARN, error.message);
}
