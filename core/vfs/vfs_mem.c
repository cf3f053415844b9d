/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs_mem.c - storage in memory: for tests, throw-away databases, and as the working copy behind
 * hosts that store whole files elsewhere (IndexedDB).
 *
 * A file is a node with one contiguous block of bytes, so that a view is a pointer into it. When
 * a file outgrows a block that is being viewed, the block retires: it stays as it was until its
 * last view is gone, while the file goes on in a new block. So growth never invalidates a view,
 * and changing viewed bytes, which the contract forbids, is asserted. Rejected: chunks that never
 * move (a view must be contiguous), and refusing growth under a view (POSIX allows it).
 *
 * Nodes stand in one list, found by comparing paths: a database has some hundred files, opened
 * rarely. The names' mutex guards the list, the references and the owner marks; each node's
 * rwlock guards its bytes and views. The mutex is never taken while a node's lock is held. */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/sync.h"
#include "octant/octant.h"
#include "vfs/vfs_path.h"

enum { VIEW_ALIGNMENT_BYTES = 64 };

/* A file ends here at the latest, so that growth by half can't overflow on 32 bits. */
#define MEMORY_FILE_BYTES_MAX (SIZE_MAX / 2)

typedef struct mem_block {
    struct mem_block *next; /* in the node's list of retired blocks */
    size_t allocated;       /* of the whole allocation, this header included */
    size_t capacity;
    size_t views;
    uint8_t *bytes; /* [capacity], aligned for views, behind this header */
} mem_block;

typedef struct mem_view {
    struct mem_view *next;
    const uint8_t *at;
    uint64_t offset; /* in the file */
    size_t bytes;
    struct mem_block *block;
    const oct_file *file;
} mem_view;

typedef struct mem_node {
    struct mem_node *next;
    char path[OCT_PATH_BYTES_MAX + 1];
    bool named;      /* still in the directory; else it dies with its last handle */
    bool owned;      /* some handle holds it exclusively */
    uint32_t opened; /* handles */
    oct_rwlock lock; /* guards what follows */
    size_t size;
    struct mem_block *block;   /* NULL while the file never held a byte */
    struct mem_block *retired; /* outgrown, but still viewed */
    struct mem_view *views;
} mem_node;

struct oct_file {
    mem_node *node;
    uint32_t flags;
    char path[OCT_PATH_BYTES_MAX + 1]; /* as opened; a rename does not change it */
};

typedef struct mem_vfs {
    oct_vfs vfs;
    const oct_alloc *alloc;
    oct_mutex mutex; /* guards the list of nodes and their first fields */
    mem_node *nodes;
} mem_vfs;

/* ---- blocks and views ----------------------------------------------------------------------- */

static mem_block *block_create(const oct_alloc *alloc, size_t capacity)
{
    size_t allocated = sizeof(mem_block) + VIEW_ALIGNMENT_BYTES - 1 + capacity;
    mem_block *made = oct_new(alloc, allocated);
    if (!made) return NULL;
    uintptr_t start = (uintptr_t)(made + 1);
    uintptr_t aligned = (start + VIEW_ALIGNMENT_BYTES - 1) & ~(uintptr_t)(VIEW_ALIGNMENT_BYTES - 1);
    *made = (mem_block){ .allocated = allocated, .capacity = capacity };
    made->bytes = (uint8_t *)(made + 1) + (aligned - start);
    return made;
}

static void block_free(const oct_alloc *alloc, mem_block *old)
{
    if (old) oct_free(alloc, old, old->allocated);
}

/* The node has a new block (or none); free the old one now or with its last view. */
static void block_retire(const oct_alloc *alloc, mem_node *node, mem_block *old)
{
    if (!old) return;
    if (old->views == 0) {
        block_free(alloc, old);
        return;
    }
    old->next = node->retired;
    node->retired = old;
}

static void block_release(const oct_alloc *alloc, mem_node *node, mem_block *old)
{
    ASSERT(old->views > 0);
    old->views--;
    if (old->views > 0 || old == node->block) return;
    mem_block **link = &node->retired;
    while (*link != old)
        link = &(*link)->next;
    *link = old->next;
    block_free(alloc, old);
}

/* Give the node room for `needed` bytes; NOMEM leaves it as it was. */
static oct_status node_reserve(const oct_alloc *alloc, mem_node *node, size_t needed,
                               oct_error *error)
{
    ASSERT(needed <= MEMORY_FILE_BYTES_MAX);
    size_t capacity = node->block ? node->block->capacity : 0;
    if (needed <= capacity) return OCT_OK;
    /* Half as much again keeps the copying linear; when that much is not to be had, exactly what
     * is needed may still be. */
    size_t roomy = MIN(MAX(needed, capacity + capacity / 2), MEMORY_FILE_BYTES_MAX);
    mem_block *larger = block_create(alloc, roomy);
    if (!larger && roomy > needed) larger = block_create(alloc, needed);
    if (!larger) return oct_fail_nomem(error, "a file in memory");
    if (node->size > 0) memcpy(larger->bytes, node->block->bytes, node->size);
    mem_block *old = node->block;
    node->block = larger;
    block_retire(alloc, node, old);
    return OCT_OK;
}

/* Bytes at or behind `from` and before `to` are about to change: nobody may be viewing them. */
static void assert_not_viewed(const mem_node *node, uint64_t from, uint64_t to)
{
    for (const mem_view *view = node->views; view; view = view->next)
        ASSERT(view->offset >= to || view->offset + view->bytes <= from);
}

/* Set the size; room was reserved, new bytes are zeros. */
static void node_resize(mem_node *node, size_t size)
{
    if (size > node->size) memset(node->block->bytes + node->size, 0, size - node->size);
    node->size = size;
}

/* Drop the content, and its memory: the file may not be written again for long. */
static void node_empty(const oct_alloc *alloc, mem_node *node)
{
    oct_rwlock_write(&node->lock);
    assert_not_viewed(node, 0, UINT64_MAX);
    mem_block *old = node->block;
    node->block = NULL;
    node->size = 0;
    block_retire(alloc, node, old);
    oct_rwlock_unlock(&node->lock);
}

/* ---- nodes; the mutex is held ---------------------------------------------------------------- */

static mem_node *node_find(const mem_vfs *memory, const char *path)
{
    for (mem_node *node = memory->nodes; node; node = node->next)
        if (node->named && strcmp(node->path, path) == 0) return node;
    return NULL;
}

static void node_free(mem_vfs *memory, mem_node *dead)
{
    ASSERT(dead->views == NULL);
    ASSERT(dead->retired == NULL);
    mem_node **link = &memory->nodes;
    while (*link != dead)
        link = &(*link)->next;
    *link = dead->next;
    block_free(memory->alloc, dead->block);
    oct_rwlock_deinit(&dead->lock);
    oct_free(memory->alloc, dead, sizeof *dead);
}

static void node_unname(mem_vfs *memory, mem_node *node)
{
    node->named = false;
    if (node->opened == 0) node_free(memory, node);
}

/* A path can't be a file and a directory at once, as in every file system. */
static oct_status check_no_clash(const mem_vfs *memory, const char *path, oct_error *error)
{
    size_t directory = oct_vfs_directory_bytes(path);
    size_t whole = strlen(path);
    for (const mem_node *node = memory->nodes; node; node = node->next) {
        if (!node->named) continue;
        size_t other = oct_vfs_directory_bytes(node->path);
        bool file_is_directory = directory > 0 && strlen(node->path) == directory &&
                                 memcmp(node->path, path, directory) == 0;
        bool directory_is_file = other == whole && memcmp(node->path, path, whole) == 0;
        if (file_is_directory || directory_is_file)
            return oct_fail(error, OCT_IO, "%s: %s is in the way, as a file or a directory", path,
                            node->path);
    }
    return OCT_OK;
}

static oct_status node_create(mem_vfs *memory, const char *path, mem_node **out, oct_error *error)
{
    oct_status status = check_no_clash(memory, path, error);
    if (status != OCT_OK) return status;
    mem_node *made = oct_new_zeroed(memory->alloc, sizeof *made);
    if (!made) return oct_fail_nomem(error, "a file in memory");
    if (oct_rwlock_init(&made->lock) != OCT_OK) {
        oct_free(memory->alloc, made, sizeof *made);
        return oct_fail_nomem(error, "the lock of a file in memory");
    }
    memcpy(made->path, path, strlen(path) + 1);
    made->named = true;
    made->next = memory->nodes;
    memory->nodes = made;
    *out = made;
    return OCT_OK;
}

static oct_status node_open(mem_vfs *memory, const char *path, uint32_t flags, mem_node **out,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    mem_node *node = node_find(memory, path);
    if (!node && !(flags & OCT_OPEN_CREATE))
        TRY(oct_fail(error, OCT_NOT_FOUND, "%s: no such file", path));
    if (!node) TRY(node_create(memory, path, &node, error));
    if ((flags & OCT_OPEN_EXCLUSIVE) && node->owned)
        TRY(oct_fail(error, OCT_LOCKED, "%s: locked by another opener", path));
    if (flags & OCT_OPEN_EXCLUSIVE) node->owned = true;
    node->opened++;
    *out = node;
done:
    return status;
}

/* ---- the methods ----------------------------------------------------------------------------- */

static oct_status memory_open(void *self, const char *path, uint32_t flags, oct_file **out,
                              oct_error *error)
{
    mem_vfs *memory = self;
    oct_status status = OCT_OK;
    oct_file *file = NULL;
    *out = NULL;
    TRY(oct_vfs_check_open(path, flags, error));
    file = oct_new_zeroed(memory->alloc, sizeof *file);
    if (!file) TRY(oct_fail_nomem(error, "a file handle"));
    oct_mutex_lock(&memory->mutex);
    status = node_open(memory, path, flags, &file->node, error);
    oct_mutex_unlock(&memory->mutex);
    if (status != OCT_OK) goto done;
    file->flags = flags;
    memcpy(file->path, path, strlen(path) + 1);
    if (flags & OCT_OPEN_TRUNCATE) node_empty(memory->alloc, file->node);
    *out = file;
    file = NULL;
done:
    oct_free(memory->alloc, file, sizeof *file);
    return status;
}

static void memory_close(void *self, oct_file *file)
{
    mem_vfs *memory = self;
    mem_node *node = file->node;
    oct_rwlock_read(&node->lock);
    for (const mem_view *view = node->views; view; view = view->next)
        ASSERT(view->file != file);
    oct_rwlock_unlock(&node->lock);
    oct_mutex_lock(&memory->mutex);
    if (file->flags & OCT_OPEN_EXCLUSIVE) node->owned = false;
    ASSERT(node->opened > 0);
    node->opened--;
    if (node->opened == 0 && !node->named) node_free(memory, node);
    oct_mutex_unlock(&memory->mutex);
    oct_free(memory->alloc, file, sizeof *file);
}

static oct_status memory_size(void *self, oct_file *file, uint64_t *bytes, oct_error *error)
{
    UNUSED(self);
    UNUSED(error);
    oct_rwlock_read(&file->node->lock);
    *bytes = file->node->size;
    oct_rwlock_unlock(&file->node->lock);
    return OCT_OK;
}

static oct_status memory_read(void *self, oct_file *file, uint64_t offset, void *target,
                              size_t bytes, oct_error *error)
{
    UNUSED(self);
    mem_node *node = file->node;
    oct_rwlock_read(&node->lock);
    size_t size = node->size;
    size_t inside = offset < size ? MIN(bytes, size - (size_t)offset) : 0;
    if (inside > 0) memcpy(target, node->block->bytes + (size_t)offset, inside);
    oct_rwlock_unlock(&node->lock);
    if (inside == bytes) return OCT_OK;
    memset((uint8_t *)target + inside, 0, bytes - inside);
    return oct_vfs_check_inside(file->path, offset, bytes, size, error);
}

static oct_status check_end(const oct_file *file, uint64_t offset, uint64_t bytes, oct_error *error)
{
    oct_status status = oct_vfs_check_end(file->path, offset, bytes, error);
    if (status != OCT_OK || offset + bytes <= MEMORY_FILE_BYTES_MAX) return status;
    return oct_fail(error, OCT_NO_SPACE, "%s: a file in memory can't be this long", file->path);
}

static oct_status memory_write(void *self, oct_file *file, uint64_t offset, const void *source,
                               size_t bytes, oct_error *error)
{
    mem_vfs *memory = self;
    mem_node *node = file->node;
    oct_status status = oct_vfs_check_writable(file->path, file->flags, error);
    if (status == OCT_OK) status = check_end(file, offset, bytes, error);
    if (status != OCT_OK || bytes == 0) return status;
    oct_rwlock_write(&node->lock);
    size_t end = (size_t)offset + bytes;
    assert_not_viewed(node, offset, end);
    status = node_reserve(memory->alloc, node, end, error);
    if (status == OCT_OK) {
        if (end > node->size) node_resize(node, end);
        memcpy(node->block->bytes + (size_t)offset, source, bytes);
    }
    oct_rwlock_unlock(&node->lock);
    return status;
}

static oct_status memory_truncate(void *self, oct_file *file, uint64_t bytes, oct_error *error)
{
    mem_vfs *memory = self;
    mem_node *node = file->node;
    oct_status status = oct_vfs_check_writable(file->path, file->flags, error);
    if (status == OCT_OK) status = check_end(file, 0, bytes, error);
    if (status != OCT_OK) return status;
    if (bytes == 0) {
        node_empty(memory->alloc, node);
        return OCT_OK;
    }
    oct_rwlock_write(&node->lock);
    if (bytes < node->size) assert_not_viewed(node, bytes, node->size);
    status = node_reserve(memory->alloc, node, (size_t)bytes, error);
    if (status == OCT_OK) node_resize(node, (size_t)bytes);
    oct_rwlock_unlock(&node->lock);
    return status;
}

/* Memory survives no crash; within its life every write is there at once. */
static oct_status memory_sync(void *self, oct_file *file, oct_error *error)
{
    UNUSED(self);
    UNUSED(file);
    UNUSED(error);
    return OCT_OK;
}

static oct_status memory_view(void *self, oct_file *file, uint64_t offset, size_t bytes,
                              const void **out, oct_error *error)
{
    static const _Alignas(VIEW_ALIGNMENT_BYTES) uint8_t nothing[1] = { 0 };
    mem_vfs *memory = self;
    mem_node *node = file->node;
    *out = NULL;
    mem_view *made = oct_new_zeroed(memory->alloc, sizeof *made);
    if (!made) return oct_fail_nomem(error, "a view");
    oct_rwlock_write(&node->lock);
    oct_status status = oct_vfs_check_inside(file->path, offset, bytes, node->size, error);
    if (status == OCT_OK) {
        *made = (mem_view){
            .next = node->views, .at = nothing, .offset = offset, .bytes = bytes, .file = file
        };
        if (bytes > 0) {
            made->at = node->block->bytes + (size_t)offset;
            made->block = node->block;
            made->block->views++;
        }
        node->views = made;
        *out = made->at;
    }
    oct_rwlock_unlock(&node->lock);
    if (status != OCT_OK) oct_free(memory->alloc, made, sizeof *made);
    return status;
}

static void memory_unview(void *self, oct_file *file, const void *at, size_t bytes)
{
    mem_vfs *memory = self;
    mem_node *node = file->node;
    oct_rwlock_write(&node->lock);
    mem_view **link = &node->views;
    while (*link && ((*link)->at != at || (*link)->bytes != bytes || (*link)->file != file))
        link = &(*link)->next;
    mem_view *old = *link;
    ASSERT(old != NULL);
    *link = old->next;
    if (old->block) block_release(memory->alloc, node, old->block);
    oct_rwlock_unlock(&node->lock);
    oct_free(memory->alloc, old, sizeof *old);
}

static oct_status memory_remove(void *self, const char *path, oct_error *error)
{
    mem_vfs *memory = self;
    oct_status status = oct_vfs_check_path(path, error);
    if (status != OCT_OK) return status;
    oct_mutex_lock(&memory->mutex);
    mem_node *node = node_find(memory, path);
    if (node)
        node_unname(memory, node);
    else
        status = oct_fail(error, OCT_NOT_FOUND, "%s: no such file to remove", path);
    oct_mutex_unlock(&memory->mutex);
    return status;
}

static oct_status node_rename(mem_vfs *memory, const char *from, const char *to, oct_error *error)
{
    mem_node *node = node_find(memory, from);
    if (!node) return oct_fail(error, OCT_NOT_FOUND, "%s: no such file to rename", from);
    if (strcmp(from, to) == 0) return OCT_OK;
    oct_status status = check_no_clash(memory, to, error);
    if (status != OCT_OK) return status;
    mem_node *replaced = node_find(memory, to);
    if (replaced) node_unname(memory, replaced);
    memcpy(node->path, to, strlen(to) + 1);
    return OCT_OK;
}

static oct_status memory_rename(void *self, const char *from, const char *to, oct_error *error)
{
    mem_vfs *memory = self;
    oct_status status = oct_vfs_check_path(from, error);
    if (status == OCT_OK) status = oct_vfs_check_path(to, error);
    if (status != OCT_OK) return status;
    oct_mutex_lock(&memory->mutex);
    status = node_rename(memory, from, to, error);
    oct_mutex_unlock(&memory->mutex);
    return status;
}

/* Has a node before `last` in the list a file in the same directory? */
static bool directory_was_listed(const mem_vfs *memory, const mem_node *last)
{
    size_t bytes = oct_vfs_directory_bytes(last->path) + 1; /* with the '/' */
    for (const mem_node *node = memory->nodes; node != last; node = node->next)
        if (node->named && strncmp(node->path, last->path, bytes) == 0) return true;
    return false;
}

static void list_root(const mem_vfs *memory, void (*each)(void *arg, const char *name), void *arg)
{
    for (const mem_node *node = memory->nodes; node; node = node->next) {
        if (!node->named) continue;
        size_t directory = oct_vfs_directory_bytes(node->path);
        if (directory == 0) {
            each(arg, node->path);
        } else if (!directory_was_listed(memory, node)) {
            char name[OCT_PATH_BYTES_MAX + 1];
            memcpy(name, node->path, directory + 1);
            name[directory + 1] = '\0';
            each(arg, name);
        }
    }
}

static oct_status memory_list(void *self, const char *directory,
                              void (*each)(void *arg, const char *name), void *arg,
                              oct_error *error)
{
    mem_vfs *memory = self;
    oct_status status = oct_vfs_check_directory(directory, error);
    if (status != OCT_OK) return status;
    size_t bytes = strlen(directory);
    oct_mutex_lock(&memory->mutex);
    if (bytes == 0) list_root(memory, each, arg);
    for (const mem_node *node = memory->nodes; node && bytes > 0; node = node->next)
        if (node->named && oct_vfs_directory_bytes(node->path) == bytes &&
            memcmp(node->path, directory, bytes) == 0)
            each(arg, node->path + bytes + 1);
    oct_mutex_unlock(&memory->mutex);
    return OCT_OK;
}

oct_status oct_vfs_memory_create(const oct_alloc *alloc, oct_vfs **out, oct_error *error)
{
    *out = NULL;
    mem_vfs *memory = oct_new_zeroed(alloc, sizeof *memory);
    if (!memory) return oct_fail_nomem(error, "the storage in memory");
    if (oct_mutex_init(&memory->mutex) != OCT_OK) {
        oct_free(alloc, memory, sizeof *memory);
        return oct_fail_nomem(error, "the lock of the storage in memory");
    }
    memory->alloc = alloc;
    memory->vfs = (oct_vfs){
        .name = "memory",
        .caps = OCT_CAP_WRITE | OCT_CAP_VIEW | OCT_CAP_RENAME | OCT_CAP_LOCK,
        .self = memory,
        .open = memory_open,
        .close = memory_close,
        .size = memory_size,
        .read = memory_read,
        .write = memory_write,
        .truncate = memory_truncate,
        .sync = memory_sync,
        .view = memory_view,
        .unview = memory_unview,
        .remove = memory_remove,
        .rename = memory_rename,
        .list = memory_list,
    };
    *out = &memory->vfs;
    return OCT_OK;
}

void oct_vfs_memory_destroy(oct_vfs *vfs)
{
    if (!vfs) return;
    mem_vfs *memory = vfs->self;
    while (memory->nodes) {
        ASSERT(memory->nodes->opened == 0);
        node_free(memory, memory->nodes);
    }
    oct_mutex_deinit(&memory->mutex);
    oct_free(memory->alloc, memory, sizeof *memory);
}
