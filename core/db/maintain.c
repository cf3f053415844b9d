/* SPDX-License-Identifier: Apache-2.0
 *
 * maintain.c - rotation, sealing, indexing, merging and vacuum, in bounded steps.
 *
 * Rotation freezes the memory segment and begins a new log; it is quick and done by writers when
 * the segment is full. Sealing writes the frozen segment to a file; publishing it moves log_start.
 * Merging writes several sealed segments (or one: index, vacuum) as one. What to do next is
 * choose_merge and should_rotate: pure functions of the view and the configuration; time decides
 * only when.
 *
 * A merge is never published between a rotation and the end of its seal: the seal takes the
 * bitmaps of the rotation's view as the new `saved`, so that view's segments must still be there.
 */
#include <string.h>

#include "db/collection.h"
#include "model/config.h"

enum {
    APPENDABLE_POINTS = 10000,
    APPENDABLE_BYTES = 32 << 20,
    LOG_BYTES_MAX = 64 << 20, /* rotate for the log's sake: deletes add no points */
    SEGMENTS_MAX = 8,         /* a browser holds a file handle for each */
    MERGE_SHARE = 8,          /* merge all when the small ones hold 1/8 of the largest */
    PRESSED_SHARE = 32,       /* without space, 1/32 of dead points is worth a rewriting */
    SOURCES_MAX = 32
};

/* ---- decisions ----------------------------------------------------------------------- */

static bool active_is_full(const oct_collection *collection, const oct_view *view)
{
    const oct_open_options *options = oct_db_options(collection->db);
    uint32_t points =
        options->appendable_points_max ? options->appendable_points_max : APPENDABLE_POINTS;
    uint64_t bytes =
        options->appendable_bytes_max ? options->appendable_bytes_max : APPENDABLE_BYTES;
    return view->entries[view->count - 1].count >= points ||
           oct_atomic_load(&collection->active_bytes) >= bytes;
}

static uint32_t saved_count(const oct_view_entry *entry)
{
    if (!entry->saved) return entry->count;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < entry->count; i++)
        alive += oct_bits_get(entry->saved->bits, i);
    return alive;
}

static bool are_many(uint32_t dead, uint32_t count)
{
    return dead > 0 && (uint64_t)dead * PRESSED_SHARE >= count;
}

static bool needs_vacuum(const oct_optimizers_config *config, uint32_t count, uint32_t alive)
{
    if (alive == 0) return true;
    return count >= config->vacuum_min_vector_number &&
           (double)(count - alive) > config->deleted_threshold * count;
}

/* Deaths that are only in the log yet make a vacuum worth while once they are saved. */
static bool deaths_wait(const oct_collection *collection, const oct_view *view)
{
    oct_optimizers_config config = oct_config_optimizers(collection->config);
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed || entry->alive == entry->saved) continue;
        uint32_t saved = saved_count(entry);
        if (collection->pressed && are_many(saved - entry->alive_count, entry->count)) return true;
        if (needs_vacuum(&config, entry->count, entry->alive_count) &&
            !needs_vacuum(&config, entry->count, saved))
            return true;
    }
    const oct_view_entry *active = &view->entries[view->count - 1];
    return collection->pressed && are_many(active->count - active->alive_count, active->count);
}

/* KiB of the largest vector of `points` points. */
static uint64_t vectors_kib(const oct_collection_config *config, uint64_t points)
{
    uint64_t size = 0;
    for (uint32_t v = 0; v < config->vector_count; v++)
        if (oct_config_has_graph(config, v) || oct_config_quantization(config, v))
            size = MAX(size, config->vectors[v].size);
    return points * size * sizeof(float) / 1024;
}

static bool wants_graphs(const oct_collection_config *config, uint64_t points)
{
    uint64_t threshold = oct_config_optimizers(config).indexing_threshold;
    return threshold > 0 && vectors_kib(config, points) >= threshold;
}

static bool lacks_graph(const oct_collection_config *config, const oct_view_entry *entry,
                        uint32_t alive)
{
    if (!wants_graphs(config, alive)) return false;
    for (uint32_t v = 0; v < config->vector_count; v++)
        if (oct_config_has_graph(config, v) && !entry->sealed->vectors[v].graph) return true;
    return false;
}

/* Are its quantized codes others than the config asks for? As Qdrant has it, segments get codes
 * when they get graphs. */
static bool lacks_codes(const oct_collection_config *config, const oct_view_entry *entry,
                        uint32_t alive)
{
    for (uint32_t v = 0; v < config->vector_count; v++) {
        const oct_quantization_config *wanted = oct_config_quantization(config, v);
        const oct_quant *quant = entry->sealed->vectors[v].quant;
        if (!wanted && quant) return true;
        if (!wanted || !wants_graphs(config, alive)) continue;
        if (!quant) return true;
        oct_quant_params has = oct_quant_params_get(quant), asked = oct_quant_params_of(wanted);
        if (!oct_quant_params_equal(&has, &asked)) return true;
    }
    return false;
}

typedef struct choice {
    uint32_t entries[SOURCES_MAX]; /* of the view, smallest first */
    uint32_t count;
    uint64_t alive;
} choice;

/* The sealed entries by falling size would be simplest to reason about; keep the smallest
 * SOURCES_MAX in rising order, ties by place. */
static void insert_by_size(choice *list, uint32_t *sizes, uint32_t entry, uint32_t size)
{
    uint32_t at = list->count;
    while (at > 0 && sizes[at - 1] > size)
        at--;
    if (at == SOURCES_MAX) return;
    uint32_t moved = MIN(list->count, SOURCES_MAX - 1) - at;
    memmove(&sizes[at + 1], &sizes[at], moved * sizeof *sizes);
    memmove(&list->entries[at + 1], &list->entries[at], moved * sizeof *list->entries);
    sizes[at] = size;
    list->entries[at] = entry;
    list->count = MIN(list->count + 1, SOURCES_MAX);
}

static choice only(uint32_t entry, uint32_t alive)
{
    return (choice){ .entries = { entry }, .count = 1, .alive = alive };
}

/* Of the segments to be written without their dead points, the one that takes the least space. */
static choice choose_vacuum(const oct_optimizers_config *config, const oct_view *view, bool pressed)
{
    choice best = { .count = 0 };
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed) continue;
        uint32_t alive = saved_count(entry);
        bool wanted = needs_vacuum(config, entry->count, alive) ||
                      (pressed && are_many(entry->count - alive, entry->count));
        if (wanted && (best.count == 0 || alive < best.alive)) best = only(i, alive);
    }
    return best;
}

/* What to merge next; count 0 when nothing needs it. Pressed for space, nothing but vacuum. */
static choice choose_merge(const oct_collection_config *config, const oct_view *view, bool pressed)
{
    oct_optimizers_config optimizers = oct_config_optimizers(config);
    uint32_t sizes[SOURCES_MAX] = { 0 }, total = 0, segments = 0, largest = 0;
    choice list = choose_vacuum(&optimizers, view, pressed);
    if (list.count > 0 || pressed) return list;
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed) continue;
        uint32_t alive = saved_count(entry);
        insert_by_size(&list, sizes, i, alive);
        largest = MAX(largest, alive);
        total += alive;
        segments++;
    }
    bool all = (uint64_t)(total - largest) * MERGE_SHARE >= largest;
    if (segments > 1 && (all || segments > SEGMENTS_MAX)) {
        if (!all && list.count == segments) list.count--; /* leave the largest alone */
        for (uint32_t i = 0; i < list.count; i++)
            list.alive += sizes[i];
        return list;
    }
    for (uint32_t i = 0; i < list.count; i++)
        if (lacks_graph(config, &view->entries[list.entries[i]], sizes[i]) ||
            lacks_codes(config, &view->entries[list.entries[i]], sizes[i]))
            return only(list.entries[i], sizes[i]);
    return (choice){ .count = 0 };
}

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
    TRY(oct_memory_segment_create(collection->alloc, collection->config, seed, &active, error));
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

/* Freeze the active segment. Under seal_mutex and writer, without a frozen one. After a reopening
 * the active segment holds the records of all log files, and the last of them may be empty: then
 * it stays, and only the segment is new. */
static oct_status rotate(oct_collection *collection, oct_error *error)
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
static oct_status make_entry(oct_collection *collection, oct_sealed *sealed, oct_bitmap *alive,
                             oct_bitmap *saved, oct_view_entry *entry, oct_error *error)
{
    const oct_schema *schema = collection->view->schema;
    *entry = (oct_view_entry){ .sealed = sealed, .alive = alive, .saved = saved };
    entry->count = sealed->count;
    entry->alive_count = count_alive(alive, sealed->count);
    oct_status status =
        oct_fields_create(sealed, schema->fields, schema->count, NULL, &entry->fields, error);
    return status;
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

/* Write the manifest and show the view, in which `made` (or NULL) is new. Takes over `view`. */
static oct_status publish(oct_collection *collection, oct_view *view, oct_sealed *made,
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

static oct_status publish_seal(oct_collection *collection, oct_error *error)
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
        oct_view_entry entry = { .count = 0 };
        const oct_view_entry *old = &view->entries[frozen];
        TRY(map_dead(collection, old->alive, oct_build_mapping(collection->seal.build, 0),
                     old->count, sealed->count, &alive, error));
        TRY(make_entry(collection, sealed, alive, NULL, &entry, error));
        sealed = NULL;
        alive = NULL;
        oct_view_remove(view, frozen);
        insert_sealed(view, entry);
    } else {
        oct_view_remove(view, frozen);
    }
    status = publish(collection, view, made, log_start, error);
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

static oct_status publish_merge(oct_collection *collection, oct_error *error)
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
        oct_view_entry entry = { .count = 0 };
        TRY(make_entry(collection, sealed, alive, saved, &entry, error));
        sealed = NULL;
        alive = saved = NULL;
        insert_sealed(view, entry);
    }
    status = publish(collection, view, made, collection->log_start, error);
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

/* ---- steps --------------------------------------------------------------------------- */

static void end_task(oct_task *task)
{
    oct_build_destroy(task->build);
    *task = (oct_task){ .build = NULL };
}

static oct_status begin_build(oct_collection *collection, const oct_view *view,
                              const oct_view_entry *sources, uint32_t count, bool graphs,
                              oct_task *task, oct_error *error)
{
    oct_build_request request = { .host = collection->host,
                                  .kernels = collection->kernels,
                                  .config = collection->config,
                                  .schema = view->schema,
                                  .sources = sources,
                                  .source_count = count,
                                  .directory = collection->directory,
                                  .graphs = graphs };
    oct_mutex_lock(&collection->writer);
    request.number = collection->next_file++;
    oct_mutex_unlock(&collection->writer);
    return oct_build_create(&request, &task->build, error);
}

/* A step of sealing the frozen segment; under seal_mutex. */
static oct_status step_seal(oct_collection *collection, uint64_t budget_ns, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_task *task = &collection->seal;
    bool done = false;
    if (!task->build) {
        const oct_view *rotation = collection->rotation;
        TRY(begin_build(collection, rotation, &rotation->entries[rotation->count - 1], 1, false,
                        task, error));
    }
    TRY(oct_build_step(task->build, budget_ns, &done, error));
    if (!done) return OCT_OK;
    oct_mutex_lock(&collection->writer);
    status = publish_seal(collection, error);
    oct_mutex_unlock(&collection->writer);
    end_task(task);
done:
    if (status != OCT_OK) end_task(task);
    return status;
}

static oct_status begin_merge(oct_collection *collection, const oct_view *view, choice chosen,
                              oct_error *error)
{
    oct_view_entry sources[SOURCES_MAX];
    oct_task *task = &collection->merge;
    for (uint32_t i = 0; i < chosen.count; i++) {
        sources[i] = view->entries[chosen.entries[i]];
        task->sources[i] = sources[i].sealed;
    }
    task->source_count = chosen.count;
    return begin_build(collection, view, sources, chosen.count,
                       wants_graphs(collection->config, chosen.alive), task, error);
}

/* Publish a finished merge, unless a seal has to end first; under merge_mutex. */
static oct_status try_publish_merge(oct_collection *collection, bool *waits, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_mutex_lock(&collection->seal_mutex);
    oct_mutex_lock(&collection->writer);
    *waits = collection->rotation != NULL;
    if (!*waits) status = publish_merge(collection, error);
    oct_mutex_unlock(&collection->writer);
    oct_mutex_unlock(&collection->seal_mutex);
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
    if (!task->build) {
        oct_mutex_lock(&collection->writer);
        bool pressed = collection->pressed;
        oct_mutex_unlock(&collection->writer);
        choice chosen = choose_merge(collection->config, view, pressed);
        if (chosen.count == 0 || collection->merge_tried_at == view->sequence + 1) goto done;
        TRY(begin_merge(collection, view, chosen, error));
    }
    if (!task->done) TRY(oct_build_step(task->build, budget_ns, &task->done, error));
    if (task->done) {
        TRY(try_publish_merge(collection, &waits, error));
        if (!waits) end_task(task);
    }
done:
    if (status != OCT_OK) { /* try again when something has changed */
        end_task(task);
        collection->merge_tried_at = view->sequence + 1;
    }
    oct_view_unpin(view);
    return status;
}

static bool should_rotate(const oct_collection *collection, const oct_view *view)
{
    return active_is_full(collection, view) || deaths_wait(collection, view) ||
           collection->log_full || oct_wal_bytes(collection->log->wal) >= LOG_BYTES_MAX;
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
        collection->merge_tried_at = 0;
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
        bool due = only_when_full ? active_is_full(collection, collection->view)
                                  : should_rotate(collection, collection->view);
        if (due) status = rotate(collection, error);
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
    end_task(&collection->merge);
    oct_mutex_unlock(&collection->merge_mutex);
    return freed;
}

oct_status oct_collection_make_room(oct_collection *collection, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *view = oct_collection_view(collection);
    bool full = view && active_is_full(collection, view);
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
        work = should_rotate(collection, collection->view) ||
               (choose_merge(collection->config, collection->view, collection->pressed).count > 0 &&
                collection->merge_tried_at != collection->view->sequence + 1);
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
        again = may_go_on(collection, status, true);
        if (again) collection->merge_tried_at = 0;
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
