/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_fault.c - failing calls and a full disk, over any storage.
 *
 * Each method first asks `judge` whether this call is the one to fail. Not forwarding a failing
 * sync is the hard case for callers: over the crash layer the bytes then really stay unsynced.
 *
 * Quota: before each growth the sizes of all files below are added up. That is slow and can't
 * drift; only sizes count (names are free), and a removed file's bytes are free at once. */
#include "vfs_fault.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/sync.h"
#include "vfs_walk.h"

struct oct_file {
    oct_file *below;
    char path[OCT_PATH_BYTES_MAX + 1]; /* as opened */
};

struct oct_vfs_fault {
    oct_vfs vfs;
    const oct_alloc *alloc;
    const oct_vfs *below;
    oct_mutex mutex; /* guards the rest, and growth under a quota */
    oct_fault_plan plan;
    uint64_t calls;
    uint64_t failed;
    uint64_t quota_bytes;
    char where[OCT_PATH_BYTES_MAX + 32];
};

enum { CHANGING_OPEN = 1024 };

static void note_failure(oct_vfs_fault *fault, const char *action, const char *path)
{
    fault->failed++;
    if (fault->where[0]) return;
    (void)snprintf(fault->where, sizeof fault->where, "%s of %s", action,
                   path[0] ? path : "the root");
}

typedef struct fault_verdict {
    bool fails;
    oct_fault_effect effect; /* of a call that fails */
    uint64_t roll;           /* a random number for this call */
} fault_verdict;

/* Count a call of the method whose bits are `kinds` and say whether it fails by plan. */
static fault_verdict judge(oct_vfs_fault *fault, uint32_t kinds, const char *action,
                           const char *path)
{
    fault_verdict verdict = { .fails = false };
    oct_mutex_lock(&fault->mutex);
    const oct_fault_plan *plan = &fault->plan;
    uint32_t methods = plan->methods ? plan->methods : OCT_FAULT_ALL;
    if (methods & kinds) {
        fault->calls++;
        verdict.fails = plan->fail_at > 0 && (fault->calls == plan->fail_at ||
                                              (plan->from_then_on && fault->calls > plan->fail_at));
        verdict.effect = plan->effect;
        verdict.roll = oct_hash_u64(plan->seed, fault->calls);
        if (verdict.fails) note_failure(fault, action, path);
    }
    oct_mutex_unlock(&fault->mutex);
    return verdict;
}

static oct_status fail_by_plan(const oct_vfs_fault *fault, const char *action, const char *path,
                               oct_error *error)
{
    return oct_fail(error, fault->plan.status, "%s: %s failed on purpose", path, action);
}

/* How much of `bytes` a failing call does: less than all of it unless it does all. */
static uint64_t part_of(const fault_verdict *verdict, uint64_t bytes)
{
    if (!verdict->fails || verdict->effect == OCT_FAULT_ALL_DONE) return bytes;
    if (verdict->effect == OCT_FAULT_NOTHING || bytes == 0) return 0;
    return verdict->roll % bytes;
}

/* ---- what is there; the mutex is held -------------------------------------------------------- */

typedef struct size_sum {
    const oct_vfs *vfs;
    uint64_t bytes;
} size_sum;

static oct_status add_file(void *arg, const char *path, oct_error *error)
{
    size_sum *sum = arg;
    oct_file *file;
    uint64_t bytes;
    oct_status status = sum->vfs->open(sum->vfs->self, path, OCT_OPEN_READ, &file, error);
    if (status == OCT_NOT_FOUND) return OCT_OK; /* removed since it was listed */
    if (status != OCT_OK) return status;
    status = sum->vfs->size(sum->vfs->self, file, &bytes, error);
    if (status == OCT_OK) sum->bytes += bytes;
    sum->vfs->close(sum->vfs->self, file);
    return status;
}

static oct_status bytes_used(const oct_vfs_fault *fault, uint64_t *bytes, oct_error *error)
{
    size_sum sum = { fault->below, 0 };
    oct_status status = oct_vfs_walk(fault->alloc, fault->below, add_file, &sum, error);
    *bytes = sum.bytes;
    return status;
}

static oct_status bytes_left(const oct_vfs_fault *fault, uint64_t *left, oct_error *error)
{
    uint64_t used;
    oct_status status = bytes_used(fault, &used, error);
    *left = fault->quota_bytes > used ? fault->quota_bytes - used : 0;
    return status;
}

static oct_status quota_fail(oct_vfs_fault *fault, const char *action, const char *path,
                             oct_error *error)
{
    note_failure(fault, action, path);
    return oct_fail(error, OCT_NO_SPACE, "%s: the disk of %" PRIu64 " bytes is full", path,
                    fault->quota_bytes);
}

/* Write as much as fits; NO_SPACE when that is not all. */
static oct_status quota_write(oct_vfs_fault *fault, oct_file *file, uint64_t offset,
                              const void *source, size_t bytes, oct_error *error)
{
    const oct_vfs *below = fault->below;
    oct_status status = OCT_OK;
    uint64_t size, left;
    TRY(below->size(below->self, file->below, &size, error));
    TRY(bytes_left(fault, &left, error));
    uint64_t end_max = size + left;
    bool fits = bytes == 0 || (offset <= end_max && bytes <= end_max - offset);
    size_t room = fits ? bytes : offset < end_max ? (size_t)(end_max - offset) : 0;
    TRY(below->write(below->self, file->below, offset, source, room, error));
    if (!fits) TRY(quota_fail(fault, "write", file->path, error));
done:
    return status;
}

static oct_status quota_truncate(oct_vfs_fault *fault, oct_file *file, uint64_t bytes,
                                 oct_error *error)
{
    const oct_vfs *below = fault->below;
    oct_status status = OCT_OK;
    uint64_t size, left;
    TRY(below->size(below->self, file->below, &size, error));
    TRY(bytes_left(fault, &left, error));
    if (bytes > size && bytes - size > left) TRY(quota_fail(fault, "truncate", file->path, error));
    TRY(below->truncate(below->self, file->below, bytes, error));
done:
    return status;
}

/* ---- the methods ----------------------------------------------------------------------------- */

static oct_status fault_open(void *self, const char *path, uint32_t flags, oct_file **out,
                             oct_error *error)
{
    oct_vfs_fault *fault = self;
    const oct_vfs *below = fault->below;
    uint32_t kinds = OCT_FAULT_OPEN;
    if (flags & (OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE)) kinds |= CHANGING_OPEN;
    *out = NULL;
    fault_verdict verdict = judge(fault, kinds, "open", path);
    if (verdict.fails && verdict.effect != OCT_FAULT_ALL_DONE)
        return fail_by_plan(fault, "open", path, error);
    oct_file *file = oct_new_zeroed(fault->alloc, sizeof *file);
    if (!file) return oct_fail_nomem(error, "a file handle");
    oct_status status = below->open(below->self, path, flags, &file->below, error);
    if (status == OCT_OK && verdict.fails) {
        below->close(below->self, file->below);
        status = fail_by_plan(fault, "open", path, error);
    }
    if (status != OCT_OK) {
        oct_free(fault->alloc, file, sizeof *file);
        return status;
    }
    memcpy(file->path, path, strlen(path) + 1);
    *out = file;
    return OCT_OK;
}

static void fault_close(void *self, oct_file *file)
{
    oct_vfs_fault *fault = self;
    fault->below->close(fault->below->self, file->below);
    oct_free(fault->alloc, file, sizeof *file);
}

static oct_status fault_size(void *self, oct_file *file, uint64_t *bytes, oct_error *error)
{
    oct_vfs_fault *fault = self;
    *bytes = 0;
    if (judge(fault, OCT_FAULT_SIZE, "size", file->path).fails)
        return fail_by_plan(fault, "size", file->path, error);
    return fault->below->size(fault->below->self, file->below, bytes, error);
}

static oct_status fault_read(void *self, oct_file *file, uint64_t offset, void *target,
                             size_t bytes, oct_error *error)
{
    oct_vfs_fault *fault = self;
    fault_verdict verdict = judge(fault, OCT_FAULT_READ, "read", file->path);
    size_t part = (size_t)part_of(&verdict, bytes);
    oct_status status =
        fault->below->read(fault->below->self, file->below, offset, target, part, error);
    return verdict.fails ? fail_by_plan(fault, "read", file->path, error) : status;
}

static oct_status fault_write(void *self, oct_file *file, uint64_t offset, const void *source,
                              size_t bytes, oct_error *error)
{
    oct_vfs_fault *fault = self;
    const oct_vfs *below = fault->below;
    fault_verdict verdict = judge(fault, OCT_FAULT_WRITE, "write", file->path);
    size_t part = (size_t)part_of(&verdict, bytes);
    oct_status status = OCT_OK;
    oct_mutex_lock(&fault->mutex);
    bool limited = fault->quota_bytes > 0;
    if (limited) status = quota_write(fault, file, offset, source, part, error);
    oct_mutex_unlock(&fault->mutex);
    if (!limited) status = below->write(below->self, file->below, offset, source, part, error);
    return verdict.fails ? fail_by_plan(fault, "write", file->path, error) : status;
}

/* Sizes change as a whole, but growth may end early. */
static oct_status fault_truncate(void *self, oct_file *file, uint64_t bytes, oct_error *error)
{
    oct_vfs_fault *fault = self;
    const oct_vfs *below = fault->below;
    uint64_t size;
    oct_status status = below->size(below->self, file->below, &size, error);
    if (status != OCT_OK) return status;
    fault_verdict verdict = judge(fault, OCT_FAULT_TRUNCATE, "truncate", file->path);
    if (verdict.fails && verdict.effect == OCT_FAULT_NOTHING)
        return fail_by_plan(fault, "truncate", file->path, error);
    if (bytes > size)
        bytes = size + part_of(&verdict, bytes - size);
    else if (verdict.fails && verdict.effect == OCT_FAULT_PART)
        bytes = size;
    oct_mutex_lock(&fault->mutex);
    bool limited = fault->quota_bytes > 0;
    if (limited) status = quota_truncate(fault, file, bytes, error);
    oct_mutex_unlock(&fault->mutex);
    if (!limited) status = below->truncate(below->self, file->below, bytes, error);
    return verdict.fails ? fail_by_plan(fault, "truncate", file->path, error) : status;
}

static oct_status fault_sync(void *self, oct_file *file, oct_error *error)
{
    oct_vfs_fault *fault = self;
    fault_verdict verdict = judge(fault, OCT_FAULT_SYNC, "sync", file->path);
    oct_status status = OCT_OK;
    if (!verdict.fails || verdict.effect == OCT_FAULT_ALL_DONE)
        status = fault->below->sync(fault->below->self, file->below, error);
    return verdict.fails ? fail_by_plan(fault, "sync", file->path, error) : status;
}

static oct_status fault_view(void *self, oct_file *file, uint64_t offset, size_t bytes,
                             const void **out, oct_error *error)
{
    oct_vfs_fault *fault = self;
    *out = NULL;
    if (judge(fault, OCT_FAULT_VIEW, "view", file->path).fails)
        return fail_by_plan(fault, "view", file->path, error);
    return fault->below->view(fault->below->self, file->below, offset, bytes, out, error);
}

static void fault_unview(void *self, oct_file *file, const void *view, size_t bytes)
{
    oct_vfs_fault *fault = self;
    fault->below->unview(fault->below->self, file->below, view, bytes);
}

static oct_status fault_remove(void *self, const char *path, oct_error *error)
{
    oct_vfs_fault *fault = self;
    fault_verdict verdict = judge(fault, OCT_FAULT_REMOVE, "remove", path);
    oct_status status = OCT_OK;
    if (!verdict.fails || verdict.effect == OCT_FAULT_ALL_DONE)
        status = fault->below->remove(fault->below->self, path, error);
    return verdict.fails ? fail_by_plan(fault, "remove", path, error) : status;
}

static oct_status fault_rename(void *self, const char *from, const char *to, oct_error *error)
{
    oct_vfs_fault *fault = self;
    fault_verdict verdict = judge(fault, OCT_FAULT_RENAME, "rename", from);
    oct_status status = OCT_OK;
    if (!verdict.fails || verdict.effect == OCT_FAULT_ALL_DONE)
        status = fault->below->rename(fault->below->self, from, to, error);
    return verdict.fails ? fail_by_plan(fault, "rename", from, error) : status;
}

static oct_status fault_list(void *self, const char *directory,
                             void (*each)(void *arg, const char *name), void *arg, oct_error *error)
{
    oct_vfs_fault *fault = self;
    if (judge(fault, OCT_FAULT_LIST, "list", directory).fails)
        return fail_by_plan(fault, "list", directory, error);
    return fault->below->list(fault->below->self, directory, each, arg, error);
}

/* ---- life ------------------------------------------------------------------------------------ */

oct_status oct_vfs_fault_create(const oct_alloc *alloc, const oct_vfs *below, oct_vfs_fault **out,
                                oct_error *error)
{
    *out = NULL;
    oct_vfs_fault *fault = oct_new_zeroed(alloc, sizeof *fault);
    if (!fault) return oct_fail_nomem(error, "the fault layer");
    if (oct_mutex_init(&fault->mutex) != OCT_OK) {
        oct_free(alloc, fault, sizeof *fault);
        return oct_fail_nomem(error, "the lock of the fault layer");
    }
    fault->alloc = alloc;
    fault->below = below;
    fault->vfs = (oct_vfs){ "fault",    below->caps,  fault,        fault_open,     fault_close,
                            fault_size, fault_read,   fault_write,  fault_truncate, fault_sync,
                            fault_view, fault_unview, fault_remove, fault_rename,   fault_list };
    *out = fault;
    return OCT_OK;
}

void oct_vfs_fault_destroy(oct_vfs_fault *fault)
{
    if (!fault) return;
    oct_mutex_deinit(&fault->mutex);
    oct_free(fault->alloc, fault, sizeof *fault);
}

const oct_vfs *oct_vfs_fault_vfs(const oct_vfs_fault *fault)
{
    return &fault->vfs;
}

void oct_vfs_fault_plan(oct_vfs_fault *fault, const oct_fault_plan *plan)
{
    oct_mutex_lock(&fault->mutex);
    fault->plan = plan ? *plan : (oct_fault_plan){ .fail_at = 0 };
    fault->calls = 0;
    fault->failed = 0;
    fault->where[0] = '\0';
    oct_mutex_unlock(&fault->mutex);
}

uint64_t oct_vfs_fault_calls(oct_vfs_fault *fault)
{
    oct_mutex_lock(&fault->mutex);
    uint64_t calls = fault->calls;
    oct_mutex_unlock(&fault->mutex);
    return calls;
}

uint64_t oct_vfs_fault_failed(oct_vfs_fault *fault)
{
    oct_mutex_lock(&fault->mutex);
    uint64_t failed = fault->failed;
    oct_mutex_unlock(&fault->mutex);
    return failed;
}

const char *oct_vfs_fault_where(const oct_vfs_fault *fault)
{
    return fault->where;
}

void oct_vfs_fault_quota(oct_vfs_fault *fault, uint64_t bytes)
{
    oct_mutex_lock(&fault->mutex);
    fault->quota_bytes = bytes;
    oct_mutex_unlock(&fault->mutex);
}

oct_status oct_vfs_fault_used(oct_vfs_fault *fault, uint64_t *bytes, oct_error *error)
{
    oct_mutex_lock(&fault->mutex);
    oct_status status = bytes_used(fault, bytes, error);
    oct_mutex_unlock(&fault->mutex);
    return status;
}
