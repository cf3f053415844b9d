/* SPDX-License-Identifier: Apache-2.0
 *
 * maintain.c - rotation, sealing, indexing, merging and vacuum, in bounded steps.
 *
 * Rotation freezes the memory segment and begins a new log; it is quick and done by writers when
 * the segment is full. Sealing writes the frozen segment to a file; publishing it moves log_start.
 * Merging writes several sealed segments (or one: index, vacuum) as one. What to do next says
 * choose.c; how it becomes visible, publish.c. */
#include "db/choose.h"

/* ---- steps --------------------------------------------------------------------------- */

/* Begin a build of what `request` says of sources, graphs and checkpoint. */
static oct_status begin_build(oct_collection *collection, const oct_view *view,
                              oct_build_request request, oct_task *task, oct_error *error)
{
    request.host = collection->host;
    request.kernels = collection->kernels;
    request.config = view->settings->config;
    request.schema = view->schema;
    request.directory = collection->directory;
    oct_mutex_lock(&collection->writer);
    request.number = collection->next_file++;
    oct_mutex_unlock(&collection->writer);
    task->settings = oct_settings_pin(view->settings);
    return oct_build_create(&request, &task->build, error);
}

/* Make the payload indexes that the segment a task made lacks, because the schema has changed since
 * the task began. Not under writer: it takes time. */
static oct_status make_fields(oct_collection *collection, oct_task *task, oct_error *error)
{
    const oct_sealed *made = oct_build_made(task->build);
    oct_fields *fields = NULL;
    if (!made) return OCT_OK;
    oct_view *view = oct_collection_view(collection);
    const oct_fields_request request = { view->schema->fields, view->schema->count, task->fields,
                                         NULL };
    oct_status status = oct_fields_create(made, &request, &fields, error);
    oct_view_unpin(view);
    if (status != OCT_OK) return status;
    oct_fields_unpin(task->fields);
    task->fields = fields;
    return OCT_OK;
}

/* Has it all indexes of the present schema? Under writer. */
static bool has_fields(const oct_collection *collection, const oct_task *task)
{
    const oct_sealed *made = oct_build_made(task->build);
    const oct_schema *schema = collection->view->schema;
    const oct_fields_request request = { schema->fields, schema->count, task->fields, NULL };
    return !made || oct_fields_are_there(made, &request);
}

/* A step of sealing the frozen segment; under seal_mutex. */
static oct_status step_seal(oct_collection *collection, uint64_t budget_ns, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_task *task = &collection->seal;
    bool done = false, ready;
    if (!task->build) {
        const oct_view *rotation = collection->rotation;
        const oct_build_request request = { .sources = &rotation->entries[rotation->count - 1],
                                            .source_count = 1 };
        TRY(begin_build(collection, rotation, request, task, error));
    }
    TRY(oct_build_step(task->build, budget_ns, &done, error));
    if (!done) return OCT_OK;
    do {
        TRY(make_fields(collection, task, error));
        oct_mutex_lock(&collection->writer);
        ready = has_fields(collection, task);
        if (ready) status = oct_publish_seal(collection, error);
        oct_mutex_unlock(&collection->writer);
    } while (!ready);
    oct_task_end(task);
done:
    if (status != OCT_OK) oct_task_end(task);
    return status;
}

/* Begin the chosen merge, from a checkpoint of it (taken over) unless that is NULL. */
static oct_status begin_merge(oct_collection *collection, const oct_view *view,
                              const oct_merge_choice *chosen, oct_checkpoint *checkpoint,
                              oct_error *error)
{
    oct_view_entry sources[OCT_SOURCES_MAX];
    oct_task *task = &collection->merge;
    for (uint32_t i = 0; i < chosen->count; i++) {
        sources[i] = view->entries[chosen->entries[i]];
        task->sources[i] = sources[i].sealed;
        if (checkpoint) sources[i].saved = checkpoint->sources[i].saved;
    }
    task->source_count = chosen->count;
    const oct_build_request request = {
        .sources = sources,
        .source_count = chosen->count,
        .graphs = checkpoint || oct_wants_graphs(view->settings->config, view, chosen),
        .checkpoint = checkpoint
    };
    return begin_build(collection, view, request, task, error);
}

/* Begin the merge that a checkpoint is of, unless there is none, or its sets of points contradict
 * its sources: then it is removed. */
static oct_status begin_saved_merge(oct_collection *collection, const oct_view *view,
                                    oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = collection->host;
    oct_merge_choice chosen = { .count = 0 };
    oct_checkpoint *checkpoint = NULL;
    oct_error cause = { .message = "" };
    TRY(oct_checkpoints_choose(collection, view, &checkpoint, error));
    if (!checkpoint) return OCT_OK;
    chosen.count = checkpoint->source_count;
    bool fits = oct_checkpoint_fits(checkpoint, view, chosen.entries);
    ASSERT(fits);
    UNUSED(fits);
    status = begin_merge(collection, view, &chosen, checkpoint, &cause);
    if (status == OCT_CORRUPT) {
        if (host->log) host->log(host->self, OCT_LOG_WARN, cause.message);
        oct_task_end(&collection->merge);
        (void)oct_checkpoints_drop(collection);
        return OCT_OK;
    }
    if (status != OCT_OK && error) *error = cause;
done:
    return status;
}

/* Begin the merge that goes on from a checkpoint, or the one that is due, if any. */
static oct_status begin_some_merge(oct_collection *collection, const oct_view *view, bool pressed,
                                   oct_error *error)
{
    oct_status status = OCT_OK;
    if (pressed) (void)oct_checkpoints_drop(collection);
    TRY(begin_saved_merge(collection, view, error));
    if (collection->merge.build) return OCT_OK;
    const oct_merge_choice chosen = oct_choose_merge(view, pressed);
    if (chosen.count > 0) TRY(begin_merge(collection, view, &chosen, NULL, error));
done:
    return status;
}

/* Publish a finished merge, unless it *waits: a seal has to end first, or there is a new payload
 * index, which the next try makes. Under merge_mutex. */
static oct_status try_publish_merge(oct_collection *collection, bool *waits, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(make_fields(collection, &collection->merge, error));
    oct_mutex_lock(&collection->seal_mutex);
    oct_mutex_lock(&collection->writer);
    *waits = collection->rotation || !has_fields(collection, &collection->merge);
    /* Built for settings that have changed since: dropped. */
    bool outdated = collection->merge.settings->edition != collection->view->settings->edition;
    if (!*waits && !outdated) status = oct_publish_merge(collection, error);
    oct_mutex_unlock(&collection->writer);
    oct_mutex_unlock(&collection->seal_mutex);
done:
    return status;
}

/* What changes with the points and with the settings: when a merge failed, another may not. */
static uint64_t moment_of(const oct_view *view)
{
    return view->sequence + view->settings->edition;
}

/* Work on the merge under way. */
static oct_status work_on_merge(oct_collection *collection, uint64_t budget_ns, bool pressed,
                                oct_error *error)
{
    oct_task *task = &collection->merge;
    const oct_host *host = collection->host;
    uint64_t begin = host->monotonic_ns(host->self);
    oct_status status = oct_build_step(task->build, budget_ns, &task->done, error);
    if (status == OCT_OK)
        oct_checkpoints_step(collection, task, host->monotonic_ns(host->self) - begin, pressed);
    return status;
}

/* A step of the merge under way, or the beginning of the next one; under merge_mutex. */
static oct_status step_merge(oct_collection *collection, uint64_t budget_ns, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_task *task = &collection->merge;
    bool waits = false;
    oct_view *view = oct_collection_view(collection);
    if (!view) return OCT_OK;
    if (task->build && task->settings->edition != view->settings->edition) {
        oct_task_end(task); /* built for other settings */
        (void)oct_checkpoints_drop(collection);
    }
    oct_mutex_lock(&collection->writer);
    bool pressed = collection->pressed;
    oct_mutex_unlock(&collection->writer);
    if (!task->build && oct_atomic_load(&collection->merge_tried_at) != moment_of(view))
        TRY(begin_some_merge(collection, view, pressed, error));
    if (!task->build) goto done;
    if (!task->done) TRY(work_on_merge(collection, budget_ns, pressed, error));
    if (task->done) {
        TRY(try_publish_merge(collection, &waits, error));
        if (waits) goto done;
        oct_task_end(task);
        (void)oct_checkpoints_drop(collection);
        collection->unsaved = false;
    }
done:
    if (status != OCT_OK) { /* try again when something has changed */
        oct_task_end(task);
        oct_atomic_store(&collection->merge_tried_at, moment_of(view));
    }
    oct_atomic_store(&collection->merging, task->build != NULL);
    oct_view_unpin(view);
    return status;
}

/* Open a collection whose log failed again from what is on disk. */
static oct_status reopen(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_mutex_lock(&collection->merge_mutex);
    oct_mutex_lock(&collection->seal_mutex);
    oct_mutex_lock(&collection->writer);
    if (collection->reopen) {
        collection->reopen = false;
        collection->problem = OCT_OK;
        oct_atomic_store(&collection->merge_tried_at, 0);
        oct_collection_unload(collection);
        status = oct_collection_load(collection, error);
        if (status != OCT_OK) oct_collection_fail(collection, status, error);
        if (status == OCT_CORRUPT || status == OCT_UNSUPPORTED)
            collection->reopen = false; /* another try would find the same */
    }
    oct_mutex_unlock(&collection->writer);
    oct_mutex_unlock(&collection->seal_mutex);
    oct_mutex_unlock(&collection->merge_mutex);
    return status;
}

/* Rotate if that is due; under seal_mutex, without a frozen segment. */
static oct_status rotate_if_due(oct_collection *collection, bool only_when_full, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_mutex_lock(&collection->writer);
    if (collection->problem == OCT_OK) {
        bool due = only_when_full ? oct_active_is_full(collection, collection->view)
                                  : oct_should_rotate(collection, collection->view);
        if (due) status = oct_collection_rotate(collection, error);
    }
    oct_mutex_unlock(&collection->writer);
    return status;
}

/* Space ran out in maintenance: is there some now that was kept back for this? */
static bool may_go_on(oct_collection *collection, oct_status status, bool merging)
{
    if (status != OCT_NO_SPACE) return false;
    oct_mutex_lock(&collection->writer);
    collection->pressed = true;
    bool freed = collection->problem == OCT_OK && oct_reserve_release(collection, merging);
    oct_mutex_unlock(&collection->writer);
    return freed;
}

/* A merge under way takes space that a rotation and its seal need: they come first. */
static bool may_go_on_without_merge(oct_collection *collection, oct_status status)
{
    if (status != OCT_NO_SPACE) return false;
    oct_mutex_lock(&collection->merge_mutex);
    bool freed = collection->merge.build != NULL;
    oct_task_end(&collection->merge);
    oct_atomic_store(&collection->merging, 0);
    freed |= oct_checkpoints_drop(collection);
    oct_mutex_unlock(&collection->merge_mutex);
    return freed;
}

oct_status oct_collection_make_room(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *view = oct_collection_view(collection);
    bool full = view && oct_active_is_full(collection, view);
    oct_view_unpin(view);
    if (!full) return OCT_OK;
    do {
        oct_mutex_lock(&collection->seal_mutex);
        do {
            status = OCT_OK;
            while (status == OCT_OK && collection->rotation)
                status = step_seal(collection, UINT64_MAX, error);
            if (status == OCT_OK) status = rotate_if_due(collection, true, error);
        } while (may_go_on(collection, status, false));
        oct_mutex_unlock(&collection->seal_mutex);
    } while (may_go_on_without_merge(collection, status));
    return status;
}

bool oct_collection_has_work(oct_collection *collection)
{
    bool work = false;
    oct_mutex_lock(&collection->seal_mutex);
    oct_mutex_lock(&collection->writer);
    if (collection->problem != OCT_OK)
        work = collection->reopen;
    else if (collection->rotation)
        work = true;
    else if (collection->view)
        work = oct_should_rotate(collection, collection->view) ||
               oct_atomic_load(&collection->merging) ||
               ((oct_choose_merge(collection->view, collection->pressed).count > 0 ||
                 oct_atomic_load(&collection->checkpoints) != 0) &&
                oct_atomic_load(&collection->merge_tried_at) != moment_of(collection->view));
    oct_mutex_unlock(&collection->writer);
    oct_mutex_unlock(&collection->seal_mutex);
    return work;
}

/* Rotate if that is due, and seal a bit; *sealing when there was something to seal. */
static oct_status maintain_seal(oct_collection *collection, uint64_t budget_ns, bool *sealing,
                                oct_error *error)
{
    oct_status status;
    do {
        oct_mutex_lock(&collection->seal_mutex);
        do {
            status = OCT_OK;
            if (!collection->rotation) status = rotate_if_due(collection, false, error);
            *sealing = collection->rotation != NULL;
            if (status == OCT_OK && *sealing) status = step_seal(collection, budget_ns, error);
        } while (may_go_on(collection, status, false));
        oct_mutex_unlock(&collection->seal_mutex);
    } while (may_go_on_without_merge(collection, status));
    return status;
}

static oct_status maintain_merge(oct_collection *collection, uint64_t budget_ns, oct_error *error)
{
    oct_status status;
    bool again;
    oct_mutex_lock(&collection->merge_mutex);
    do {
        status = step_merge(collection, budget_ns, error);
        if (status == OCT_NO_SPACE) collection->unsaved = true;
        again = status == OCT_NO_SPACE && oct_checkpoints_drop(collection);
        again = again || may_go_on(collection, status, true);
        if (again) oct_atomic_store(&collection->merge_tried_at, 0);
    } while (again);
    oct_mutex_unlock(&collection->merge_mutex);
    return status;
}

oct_status oct_collection_maintain(oct_collection *collection, uint64_t budget_ns, bool *more,
                                   oct_error *error)
{
    oct_status status = OCT_OK;
    bool sealing = false;
    *more = false;
    TRY(reopen(collection, error));
    TRY(maintain_seal(collection, budget_ns, &sealing, error));
    if (!sealing) TRY(maintain_merge(collection, budget_ns, error));
    *more = oct_collection_has_work(collection);
done:
    return status;
}
