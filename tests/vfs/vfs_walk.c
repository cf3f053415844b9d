/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_walk.c - list() forbids calling the storage from its callback, so names are gathered first,
 * one directory at a time. */
#include "vfs_walk.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"

/* The names of one listing, each with its NUL. */
typedef struct name_list {
    oct_buf names;
    oct_status status; /* NOMEM or LIMIT once a name did not fit */
} name_list;

typedef struct walk {
    const oct_alloc *alloc;
    const oct_vfs *vfs;
    oct_status (*each)(void *arg, const char *path, oct_error *error);
    void *arg;
} walk;

static void gather(void *arg, const char *name)
{
    name_list *list = arg;
    if (list->status != OCT_OK) return;
    list->status = oct_buf_append(&list->names, name, strlen(name) + 1, NULL);
}

/* Recursion ends at depth two: only the root has directories. */
static oct_status walk_directory(const walk *to, const char *directory, oct_error *error)
{
    oct_status status = OCT_OK;
    name_list list = { .status = OCT_OK };
    oct_buf_init(&list.names, to->alloc, 16 << 20);
    TRY(to->vfs->list(to->vfs->self, directory, gather, &list, error));
    if (list.status != OCT_OK) TRY(oct_fail(error, list.status, "no memory to list files"));
    for (size_t at = 0, bytes; at < list.names.bytes; at += bytes + 1) {
        char path[2 * OCT_PATH_BYTES_MAX + 3];
        const char *name = (const char *)list.names.at + at;
        bytes = strlen(name);
        ASSERT(bytes > 0 && bytes <= OCT_PATH_BYTES_MAX + 1);
        size_t lead = strlen(directory);
        memcpy(path, directory, lead);
        if (lead > 0) path[lead++] = '/';
        memcpy(path + lead, name, bytes + 1);
        if (name[bytes - 1] != '/') {
            TRY(to->each(to->arg, path, error));
        } else {
            ASSERT(lead == 0);
            path[bytes - 1] = '\0';
            TRY(walk_directory(to, path, error));
        }
    }
done:
    oct_buf_deinit(&list.names);
    return status;
}

oct_status oct_vfs_walk(const oct_alloc *alloc, const oct_vfs *vfs,
                        oct_status (*each)(void *arg, const char *path, oct_error *error),
                        void *arg, oct_error *error)
{
    return walk_directory(&(walk){ alloc, vfs, each, arg }, "", error);
}
