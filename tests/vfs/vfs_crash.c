/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_crash.c - the recorder: storage in memory that writes down every change.
 *
 * Reads and views go straight to a memory storage below. A change makes room in the trace first,
 * then changes the storage below, then is written down, all under one mutex: the trace is the
 * order in which changes happened, and a call that fails is not in it. What the trace means for
 * the disk is vfs_crash_disk.c's business. */
#include "vfs_crash.h"

#include <string.h>

#include "base/alloc.h"
#include "base/sync.h"
#include "octant/octant.h"
#include "vfs_crash_trace.h"
#include "vfs_walk.h"

struct oct_file {
    oct_file *below;
    uint32_t file; /* its number in the trace */
};

struct oct_vfs_crash {
    oct_vfs vfs;
    const oct_alloc *alloc;
    oct_vfs *below;
    oct_crash_options options;
    oct_mutex mutex; /* guards the trace and its agreement with `below` */
    oct_crash_trace trace;
    oct_crash_disk *disk;
    uint64_t first;
};

/* ---- the trace; the mutex is held ------------------------------------------------------------ */

/* Make room for one operation with `bytes` of content, and for one new name. */
static oct_status trace_reserve(oct_crash_trace *trace, size_t bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    if (bytes > SIZE_MAX - trace->content_bytes) TRY(oct_fail_nomem(error, "the trace"));
    TRY(oct_array_reserve(trace->alloc, &trace->operations, &trace->operation_capacity,
                          trace->operation_count + 1, sizeof trace->operations[0], error));
    TRY(oct_array_reserve(trace->alloc, &trace->content, &trace->content_capacity,
                          trace->content_bytes + bytes, 1, error));
    TRY(oct_array_reserve(trace->alloc, &trace->names, &trace->name_capacity, trace->name_count + 1,
                          sizeof trace->names[0], error));
done:
    return status;
}

static void trace_append(oct_crash_trace *trace, oct_crash_operation operation, const void *content)
{
    ASSERT(trace->operation_count < trace->operation_capacity);
    operation.content = trace->content_bytes;
    if (operation.bytes > 0)
        memcpy(trace->content + trace->content_bytes, content, operation.bytes);
    trace->content_bytes += operation.bytes;
    trace->operations[trace->operation_count++] = operation;
}

static uint32_t name_find(const oct_crash_trace *trace, const char *path)
{
    for (size_t i = 0; i < trace->name_count; i++)
        if (strcmp(trace->names[i].path, path) == 0) return (uint32_t)i;
    return OCT_CRASH_NONE;
}

/* The number of a name that is valid below; a new one, for which there is room, names no file. */
static uint32_t name_get(oct_crash_trace *trace, const char *path)
{
    uint32_t found = name_find(trace, path);
    if (found != OCT_CRASH_NONE) return found;
    ASSERT(trace->name_count < trace->name_capacity);
    oct_crash_name *made = &trace->names[trace->name_count];
    made->file = OCT_CRASH_NONE;
    ASSERT(strlen(path) < sizeof made->path);
    memcpy(made->path, path, strlen(path) + 1);
    return (uint32_t)trace->name_count++;
}

static uint32_t name_of_file(const oct_crash_trace *trace, uint32_t file)
{
    for (size_t i = 0; i < trace->name_count; i++)
        if (trace->names[i].file == file) return (uint32_t)i;
    return OCT_CRASH_NONE;
}

/* ---- the methods ----------------------------------------------------------------------------- */

/* The storage below has opened `path`; write down what that changed. */
static void record_open(oct_crash_trace *trace, uint32_t name, uint64_t size_before, oct_file *file)
{
    oct_crash_name *named = &trace->names[name];
    if (named->file == OCT_CRASH_NONE) {
        named->file = trace->file_count++;
        trace_append(
            trace,
            (oct_crash_operation){ .kind = OCT_CRASH_CREATE, .file = named->file, .name = name },
            NULL);
    } else if (size_before > 0) {
        trace_append(
            trace, (oct_crash_operation){ .kind = OCT_CRASH_TRUNCATE, .file = named->file }, NULL);
    }
    file->file = named->file;
}

/* How large is the file that TRUNCATE is about to empty? */
static oct_status size_before_open(const oct_vfs *below, const char *path, uint64_t *bytes,
                                   oct_error *error)
{
    oct_file *file;
    *bytes = 0;
    oct_status status = below->open(below->self, path, OCT_OPEN_READ, &file, error);
    if (status == OCT_NOT_FOUND) return OCT_OK;
    if (status != OCT_OK) return status;
    status = below->size(below->self, file, bytes, error);
    below->close(below->self, file);
    return status;
}

static oct_status open_recorded(oct_vfs_crash *crash, const char *path, uint32_t flags,
                                oct_file *file, oct_error *error)
{
    const oct_vfs *below = crash->below;
    oct_status status = OCT_OK;
    uint64_t size = 0;
    if (flags & OCT_OPEN_TRUNCATE) TRY(size_before_open(below, path, &size, error));
    TRY(trace_reserve(&crash->trace, 0, error));
    TRY(below->open(below->self, path, flags, &file->below, error));
    record_open(&crash->trace, name_get(&crash->trace, path), size, file);
done:
    return status;
}

static oct_status crash_open(void *self, const char *path, uint32_t flags, oct_file **out,
                             oct_error *error)
{
    oct_vfs_crash *crash = self;
    *out = NULL;
    oct_file *file = oct_new_zeroed(crash->alloc, sizeof *file);
    if (!file) return oct_fail_nomem(error, "a file handle");
    oct_mutex_lock(&crash->mutex);
    oct_status status = open_recorded(crash, path, flags, file, error);
    oct_mutex_unlock(&crash->mutex);
    if (status != OCT_OK) {
        oct_free(crash->alloc, file, sizeof *file);
        return status;
    }
    *out = file;
    return OCT_OK;
}

static void crash_close(void *self, oct_file *file)
{
    oct_vfs_crash *crash = self;
    crash->below->close(crash->below->self, file->below);
    oct_free(crash->alloc, file, sizeof *file);
}

static oct_status crash_size(void *self, oct_file *file, uint64_t *bytes, oct_error *error)
{
    oct_vfs_crash *crash = self;
    return crash->below->size(crash->below->self, file->below, bytes, error);
}

static oct_status crash_read(void *self, oct_file *file, uint64_t offset, void *target,
                             size_t bytes, oct_error *error)
{
    oct_vfs_crash *crash = self;
    return crash->below->read(crash->below->self, file->below, offset, target, bytes, error);
}

static oct_status crash_write(void *self, oct_file *file, uint64_t offset, const void *source,
                              size_t bytes, oct_error *error)
{
    oct_vfs_crash *crash = self;
    const oct_vfs *below = crash->below;
    oct_status status = OCT_OK;
    uint64_t size;
    oct_mutex_lock(&crash->mutex);
    TRY(trace_reserve(&crash->trace, bytes, error));
    TRY(below->size(below->self, file->below, &size, error));
    TRY(below->write(below->self, file->below, offset, source, bytes, error));
    if (bytes > 0)
        trace_append(&crash->trace,
                     (oct_crash_operation){ .kind = OCT_CRASH_WRITE,
                                            .file = file->file,
                                            .offset = offset,
                                            .bytes = bytes,
                                            .grows = offset + bytes > size },
                     source);
done:
    oct_mutex_unlock(&crash->mutex);
    return status;
}

static oct_status crash_truncate(void *self, oct_file *file, uint64_t bytes, oct_error *error)
{
    oct_vfs_crash *crash = self;
    const oct_vfs *below = crash->below;
    oct_status status = OCT_OK;
    uint64_t size;
    oct_mutex_lock(&crash->mutex);
    TRY(trace_reserve(&crash->trace, 0, error));
    TRY(below->size(below->self, file->below, &size, error));
    TRY(below->truncate(below->self, file->below, bytes, error));
    if (bytes != size)
        trace_append(&crash->trace,
                     (oct_crash_operation){
                         .kind = OCT_CRASH_TRUNCATE, .file = file->file, .offset = bytes },
                     NULL);
done:
    oct_mutex_unlock(&crash->mutex);
    return status;
}

static oct_status crash_sync(void *self, oct_file *file, oct_error *error)
{
    oct_vfs_crash *crash = self;
    oct_status status = OCT_OK;
    oct_mutex_lock(&crash->mutex);
    TRY(trace_reserve(&crash->trace, 0, error));
    trace_append(&crash->trace,
                 (oct_crash_operation){ .kind = OCT_CRASH_SYNC,
                                        .file = file->file,
                                        .name = name_of_file(&crash->trace, file->file) },
                 NULL);
done:
    oct_mutex_unlock(&crash->mutex);
    return status;
}

static oct_status crash_view(void *self, oct_file *file, uint64_t offset, size_t bytes,
                             const void **out, oct_error *error)
{
    oct_vfs_crash *crash = self;
    return crash->below->view(crash->below->self, file->below, offset, bytes, out, error);
}

static void crash_unview(void *self, oct_file *file, const void *view, size_t bytes)
{
    oct_vfs_crash *crash = self;
    crash->below->unview(crash->below->self, file->below, view, bytes);
}

static oct_status crash_remove(void *self, const char *path, oct_error *error)
{
    oct_vfs_crash *crash = self;
    const oct_vfs *below = crash->below;
    oct_status status = OCT_OK;
    oct_mutex_lock(&crash->mutex);
    TRY(trace_reserve(&crash->trace, 0, error));
    TRY(below->remove(below->self, path, error));
    uint32_t name = name_find(&crash->trace, path);
    ASSERT(name != OCT_CRASH_NONE);
    uint32_t file = crash->trace.names[name].file;
    crash->trace.names[name].file = OCT_CRASH_NONE;
    trace_append(&crash->trace,
                 (oct_crash_operation){ .kind = OCT_CRASH_REMOVE, .file = file, .name = name },
                 NULL);
done:
    oct_mutex_unlock(&crash->mutex);
    return status;
}

static void record_rename(oct_crash_trace *trace, uint32_t name, uint32_t name_to)
{
    if (name == name_to) return;
    uint32_t file = trace->names[name].file;
    trace->names[name].file = OCT_CRASH_NONE;
    trace->names[name_to].file = file;
    trace_append(trace,
                 (oct_crash_operation){
                     .kind = OCT_CRASH_RENAME, .file = file, .name = name, .name_to = name_to },
                 NULL);
}

static oct_status crash_rename(void *self, const char *from, const char *to, oct_error *error)
{
    oct_vfs_crash *crash = self;
    const oct_vfs *below = crash->below;
    oct_status status = OCT_OK;
    oct_mutex_lock(&crash->mutex);
    TRY(trace_reserve(&crash->trace, 0, error));
    TRY(below->rename(below->self, from, to, error));
    record_rename(&crash->trace, name_find(&crash->trace, from), name_get(&crash->trace, to));
done:
    oct_mutex_unlock(&crash->mutex);
    return status;
}

static oct_status crash_list(void *self, const char *directory,
                             void (*each)(void *arg, const char *name), void *arg, oct_error *error)
{
    oct_vfs_crash *crash = self;
    return crash->below->list(crash->below->self, directory, each, arg, error);
}

/* ---- the initial content --------------------------------------------------------------------- */

typedef struct file_copy {
    const oct_vfs *from;
    const oct_vfs *to;
    const oct_alloc *alloc;
} file_copy;

/* Write and sync one file of the initial storage through the recorder. */
static oct_status copy_file(void *arg, const char *path, oct_error *error)
{
    const file_copy *copy = arg;
    oct_status status = OCT_OK;
    oct_file *source = NULL, *target = NULL;
    uint8_t *bytes = NULL;
    uint64_t size = 0;
    TRY(copy->from->open(copy->from->self, path, OCT_OPEN_READ, &source, error));
    TRY(copy->from->size(copy->from->self, source, &size, error));
    TRY(copy->to->open(copy->to->self, path, OCT_OPEN_WRITE | OCT_OPEN_CREATE, &target, error));
    if (size > SIZE_MAX) TRY(oct_fail_nomem(error, "a copy of a file"));
    TRY(oct_array_resize(copy->alloc, &bytes, 0, (size_t)size, 1, error));
    TRY(copy->from->read(copy->from->self, source, 0, bytes, (size_t)size, error));
    TRY(copy->to->write(copy->to->self, target, 0, bytes, (size_t)size, error));
    TRY(copy->to->sync(copy->to->self, target, error));
done:
    oct_free(copy->alloc, bytes, (size_t)size);
    if (target) copy->to->close(copy->to->self, target);
    if (source) copy->from->close(copy->from->self, source);
    return status;
}

/* ---- life ------------------------------------------------------------------------------------ */

static const oct_vfs methods = {
    .name = "crash",
    .caps = OCT_CAP_WRITE | OCT_CAP_VIEW | OCT_CAP_RENAME | OCT_CAP_LOCK,
    .open = crash_open,
    .close = crash_close,
    .size = crash_size,
    .read = crash_read,
    .write = crash_write,
    .truncate = crash_truncate,
    .sync = crash_sync,
    .view = crash_view,
    .unview = crash_unview,
    .remove = crash_remove,
    .rename = crash_rename,
    .list = crash_list,
};

oct_status oct_vfs_crash_create(const oct_alloc *alloc, const oct_crash_options *options,
                                const oct_vfs *initial, oct_vfs_crash **out, oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    oct_vfs_crash *crash = oct_new_zeroed(alloc, sizeof *crash);
    if (!crash) return oct_fail_nomem(error, "the crash simulator");
    if (oct_mutex_init(&crash->mutex) != OCT_OK) {
        oct_free(alloc, crash, sizeof *crash);
        return oct_fail_nomem(error, "the lock of the crash simulator");
    }
    crash->vfs = methods;
    crash->vfs.self = crash;
    crash->alloc = alloc;
    crash->trace.alloc = alloc;
    if (options) crash->options = *options;
    TRY(oct_vfs_memory_create(alloc, &crash->below, error));
    TRY(oct_crash_disk_create(&crash->trace, &crash->options, &crash->disk, error));
    if (initial) {
        file_copy copy = { initial, &crash->vfs, alloc };
        TRY(oct_vfs_walk(alloc, initial, copy_file, &copy, error));
    }
    crash->first = crash->trace.operation_count;
    *out = crash;
    crash = NULL;
done:
    oct_vfs_crash_destroy(crash);
    return status;
}

void oct_vfs_crash_destroy(oct_vfs_crash *crash)
{
    if (!crash) return;
    const oct_alloc *alloc = crash->alloc;
    oct_crash_trace *trace = &crash->trace;
    oct_crash_disk_destroy(crash->disk);
    oct_vfs_memory_destroy(crash->below);
    oct_free(alloc, trace->operations, trace->operation_capacity * sizeof trace->operations[0]);
    oct_free(alloc, trace->content, trace->content_capacity);
    oct_free(alloc, trace->names, trace->name_capacity * sizeof trace->names[0]);
    oct_mutex_deinit(&crash->mutex);
    oct_free(alloc, crash, sizeof *crash);
}

const oct_vfs *oct_vfs_crash_vfs(const oct_vfs_crash *crash)
{
    return &crash->vfs;
}

uint64_t oct_vfs_crash_operations(oct_vfs_crash *crash)
{
    oct_mutex_lock(&crash->mutex);
    uint64_t operations = crash->trace.operation_count;
    oct_mutex_unlock(&crash->mutex);
    return operations;
}

uint64_t oct_vfs_crash_first(const oct_vfs_crash *crash)
{
    return crash->first;
}

oct_status oct_vfs_crash_states(oct_vfs_crash *crash, uint64_t cut, uint64_t *states,
                                oct_error *error)
{
    *states = 0;
    oct_status status = oct_crash_disk_seek(crash->disk, cut, error);
    if (status == OCT_OK) *states = oct_crash_disk_states(crash->disk);
    return status;
}

oct_status oct_vfs_crash_state(oct_vfs_crash *crash, uint64_t cut, uint64_t state, oct_vfs **out,
                               oct_error *error)
{
    *out = NULL;
    oct_status status = oct_crash_disk_seek(crash->disk, cut, error);
    if (status != OCT_OK) return status;
    return oct_crash_disk_make(crash->disk, state, out, error);
}

void oct_vfs_crash_describe(oct_vfs_crash *crash, uint64_t cut, uint64_t state, char *text,
                            size_t bytes)
{
    if (bytes == 0) return;
    text[0] = '\0';
    if (oct_crash_disk_seek(crash->disk, cut, NULL) != OCT_OK) return; /* no memory to say */
    oct_crash_disk_describe(crash->disk, state, text, bytes);
}
