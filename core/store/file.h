/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h - what all files of the store need: a kept path, zeros, a quick look for zeros. */
#ifndef OCTANT_STORE_FILE_H
#define OCTANT_STORE_FILE_H

#include "base/check.h"
#include "octant/vfs.h"

/* A path kept for messages and for removing the file. */
typedef struct oct_store_path {
    char text[OCT_PATH_BYTES_MAX + 1];
} oct_store_path;

/* Keep `path` followed by `suffix`; BAD_INPUT when that is too long. Whether it is a good path is
 * for the vfs to say. */
OCT_MUST_CHECK oct_status oct_store_path_set(oct_store_path *out, const char *path,
                                             const char *suffix, oct_error *error);

/* Write zeros over [from, to). */
OCT_MUST_CHECK oct_status oct_store_write_zeros(const oct_vfs *vfs, oct_file *file, uint64_t from,
                                                uint64_t to, oct_error *error);

bool oct_store_all_zero(const void *at, size_t bytes);

#endif
