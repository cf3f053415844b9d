/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs_path.h - the parts of the storage contract that every backend must judge alike: which paths,
 * open flags and file ends are allowed, and how a read beyond the end is reported. */
#ifndef OCTANT_VFS_VFS_PATH_H
#define OCTANT_VFS_VFS_PATH_H

#include "base/check.h"
#include "octant/vfs.h"

/* No file is longer: offsets fit the signed 64 bits of every host. */
#define OCT_FILE_BYTES_MAX ((uint64_t)INT64_MAX)

/* A name of [A-Za-z0-9._-], not empty, not "." or "..", at most OCT_PATH_BYTES_MAX bytes. */
bool oct_vfs_component_valid(const char *name);

/* BAD_INPUT unless `path` is one or two components joined by '/', at most OCT_PATH_BYTES_MAX. */
OCT_MUST_CHECK oct_status oct_vfs_check_path(const char *path, oct_error *error);
/* BAD_INPUT unless `directory` is "" or one component. */
OCT_MUST_CHECK oct_status oct_vfs_check_directory(const char *directory, oct_error *error);
/* check_path, and BAD_INPUT for flags that contradict each other or mean nothing. */
OCT_MUST_CHECK oct_status oct_vfs_check_open(const char *path, uint32_t flags, oct_error *error);

/* Length of the directory part, without the '/'; 0 for a file of the root. */
size_t oct_vfs_directory_bytes(const char *path);

/* OK when [offset, offset + bytes) lies inside a file of `size` bytes, else CORRUPT. */
OCT_MUST_CHECK oct_status oct_vfs_check_inside(const char *path, uint64_t offset, uint64_t bytes,
                                               uint64_t size, oct_error *error);
/* NO_SPACE when a file may not end at offset + bytes. */
OCT_MUST_CHECK oct_status oct_vfs_check_end(const char *path, uint64_t offset, uint64_t bytes,
                                            oct_error *error);
/* READONLY unless the handle was opened with OCT_OPEN_WRITE. */
OCT_MUST_CHECK oct_status oct_vfs_check_writable(const char *path, uint32_t flags,
                                                 oct_error *error);

#endif
