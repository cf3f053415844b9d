/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_walk.h - visit every file of a storage. */
#ifndef OCT_TESTS_VFS_WALK_H
#define OCT_TESTS_VFS_WALK_H

#include "octant/host.h"

/* Call each(arg, path, error) for every file, in the storage's own order; it may call the storage.
 * Stops at the first status that is not OK and returns it. NOMEM; IO and others from list. */
OCT_MUST_CHECK oct_status oct_vfs_walk(const oct_alloc *alloc, const oct_vfs *vfs,
                                       oct_status (*each)(void *arg, const char *path,
                                                          oct_error *error),
                                       void *arg, oct_error *error);

#endif
