/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.h - the small file that says what is current, switched atomically.
 *
 * Two slot files, `<prefix>.0` and `<prefix>.1`. Generation g lives in slot g % 2 and is written
 * over generation g - 2, then synced; whichever whole slot has the higher generation is current.
 * A switch therefore never touches the current slot, needs no rename, and after the first two
 * needs no new space unless the body grows by a 4 KiB step. A slot holds its body twice, so that
 * one damaged place is not taken for a torn write. Layout: head of manifest.c. */
#ifndef OCTANT_STORE_MANIFEST_H
#define OCTANT_STORE_MANIFEST_H

#include "base/buf.h"
#include "base/check.h"
#include "octant/host.h"

enum { OCT_MANIFEST_BYTES_MAX = 16 << 20 };

/* Read the current body into `body` (initialised by the caller). NOT_FOUND when neither slot
 * file exists; CORRUPT when none is whole but one exists, except that a single slot of generation
 * 0's first write torn by a crash also reads NOT_FOUND (nothing was ever published). */
OCT_MUST_CHECK oct_status oct_manifest_read(const oct_vfs *vfs, const char *prefix, oct_buf *body,
                                            uint64_t *generation, oct_error *error);

typedef struct oct_manifest_edition {
    uint64_t generation; /* the current one plus 1; the first is 0 */
    oct_str body;
    bool in_doubt; /* out, of a failed write: the next read may find this one or the one before */
} oct_manifest_edition;

/* Publish the edition, durable on return. On failure the previous one is still current and the
 * same generation may be tried again. Only where undoing the attempt fails too (a dying disk) it is
 * in doubt: keep the files of both until a later write succeeds. LIMIT for a too large body. */
OCT_MUST_CHECK oct_status oct_manifest_write(const oct_alloc *alloc, const oct_vfs *vfs,
                                             const char *prefix, oct_manifest_edition *edition,
                                             oct_error *error);

/* Remove both slots; missing ones are fine. */
OCT_MUST_CHECK oct_status oct_manifest_remove(const oct_vfs *vfs, const char *prefix,
                                              oct_error *error);

#endif
