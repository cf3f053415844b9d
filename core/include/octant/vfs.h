/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs.h - the storage contract: the only way the core reaches bytes that survive it.
 *
 * One struct of function pointers. Every line of the contract below is a check in
 * tests/vfs/conformance.c, which runs against each backend on each target.
 *
 * Paths are relative, '/'-separated, of the form "collection/part" (at most two levels), only
 * [A-Za-z0-9._-] in a component, no component "." or "..", at most OCT_PATH_BYTES_MAX bytes.
 * Anything else is BAD_INPUT. Directories appear when a file is created in them and vanish with
 * their last file; there is no mkdir.
 *
 * Threads: `read`, `size`, `view` and `unview` may be called on one file by many threads at once.
 * `write`, `truncate` and `sync` on one file are called by one thread at a time (but different
 * files by different threads). `open`, `remove`, `rename` and `list` by any thread.
 *
 * Errors: NO_SPACE when the medium or quota is full, NOT_FOUND for a missing file, IO for the rest
 * (with os_code). A failing call changes nothing that an earlier success promised, except that a
 * failed `write` leaves the bytes of its own range unspecified and the file's size anywhere
 * between the old one and the new one, and after a failed `sync` nothing is promised for that
 * file any more (the caller must not retry on the same handle: see "fsyncgate"). */
#ifndef OCTANT_VFS_H
#define OCTANT_VFS_H

#include <stddef.h>
#include <stdint.h>

#include "octant/status.h"

enum { OCT_PATH_BYTES_MAX = 200 };

enum oct_vfs_caps {
    OCT_CAP_WRITE = 1,  /* files can be created and changed */
    OCT_CAP_VIEW = 2,   /* view() works (mmap or memory); without it callers read into memory */
    OCT_CAP_RENAME = 4, /* rename() replaces its target atomically */
    OCT_CAP_LOCK = 8,   /* OCT_OPEN_EXCLUSIVE keeps a second owner out */
    OCT_CAP_DEFERRED =
        16 /* sync() only marks; the host makes it durable before it sends the reply */
};

enum oct_open_flags {
    OCT_OPEN_READ = 1,
    OCT_OPEN_WRITE = 2,    /* implies read */
    OCT_OPEN_CREATE = 4,   /* create when missing (needs WRITE) */
    OCT_OPEN_TRUNCATE = 8, /* empty it if it exists (needs WRITE) */
    OCT_OPEN_EXCLUSIVE =
        16 /* take the file's lock until close; LOCKED when another opener holds it */
};

typedef struct oct_file oct_file; /* opaque; each backend has its own */

typedef struct oct_vfs {
    const char *name;
    uint32_t caps; /* enum oct_vfs_caps */
    void *self;

    /* Open `path`. On failure *out is NULL. The same path may be open more than once. */
    oct_status (*open)(void *self, const char *path, uint32_t flags, oct_file **out,
                       oct_error *error);
    /* Close; never fails. Does not sync. Views of the file must be gone. */
    void (*close)(void *self, oct_file *file);
    oct_status (*size)(void *self, oct_file *file, uint64_t *bytes, oct_error *error);
    /* Read exactly `bytes`. Crossing the end zero-fills the rest of `target` and fails with
     * CORRUPT (callers know sizes first): never garbage, never silently short. */
    oct_status (*read)(void *self, oct_file *file, uint64_t offset, void *target, size_t bytes,
                       oct_error *error);
    /* Write exactly `bytes`; beyond the end the gap reads as zeros. */
    oct_status (*write)(void *self, oct_file *file, uint64_t offset, const void *source,
                        size_t bytes, oct_error *error);
    /* Make the file `bytes` long; growth reads as zeros. */
    oct_status (*truncate)(void *self, oct_file *file, uint64_t bytes, oct_error *error);
    /* After success, everything written to this file before survives a crash, and so does the
     * file's existence under its name. */
    oct_status (*sync)(void *self, oct_file *file, oct_error *error);
    /* Map `bytes` at `offset` for reading, 64-byte aligned when `offset` is. Valid until unview.
     * The range must lie inside the file (else CORRUPT); the bytes must not be changed while it
     * is viewed. UNSUPPORTED without OCT_CAP_VIEW. */
    oct_status (*view)(void *self, oct_file *file, uint64_t offset, size_t bytes, const void **out,
                       oct_error *error);
    void (*unview)(void *self, oct_file *file, const void *view, size_t bytes);
    /* Remove a file; NOT_FOUND when missing. Durable after the next sync of any file in the same
     * directory at the latest; callers must tolerate its return after a crash. Open handles of
     * it stay usable until closed. */
    oct_status (*remove)(void *self, const char *path, oct_error *error);
    /* Rename, replacing the target. UNSUPPORTED without OCT_CAP_RENAME. */
    oct_status (*rename)(void *self, const char *from, const char *to, oct_error *error);
    /* Call each(arg, name) for every file (directory "": also every directory, with a '/' at the
     * end of its name) of `directory`, in no promised order. A missing directory is empty. `each`
     * must not call the vfs. */
    oct_status (*list)(void *self, const char *directory, void (*each)(void *arg, const char *name),
                       void *arg, oct_error *error);
} oct_vfs;

#endif
