/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.h - the storage contract of octant/vfs.h as checks that run against any backend.
 *
 * The name of each check is the sentence it verifies; the output read alone is the contract. A
 * backend without a capability is checked for answering so, hence every backend runs the same
 * number of checks. No threads, no clock, no files of its own: it runs wherever the core does
 * (native, WASI, inside the browser's worker). */
#ifndef OCT_TESTS_CONFORMANCE_H
#define OCT_TESTS_CONFORMANCE_H

#include "octant/vfs.h"

/* Check `vfs`, which must be empty or hold only files that may be removed, and is left empty.
 * `second` is another instance over the same bytes, as another process would have, or NULL when
 * there can't be one (the vfs then plays both parts). `print` (puts-like, without newline; NULL =
 * stdout) gets one line per check, "ok  <backend>: <sentence>" or "BAD <backend>: <sentence>
 * (<line>: <condition>)", and the count at the end. Returns how many checks failed. */
int oct_vfs_conformance(const oct_vfs *vfs, const oct_vfs *second, const char *backend_name,
                        void (*print)(const char *line));

#endif
