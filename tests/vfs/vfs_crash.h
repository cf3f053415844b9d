/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_crash.h - the power-cut simulator: run once, then look at every disk a cut could leave.
 *
 * A program runs on oct_vfs_crash_vfs(), which works like storage in memory and records every
 * change. Afterwards (or in between) each moment of the run can be cut, and each cut has many
 * possible disks:
 *
 *     run_program(oct_vfs_crash_vfs(crash));
 *     uint64_t last = oct_vfs_crash_operations(crash);
 *     for (uint64_t cut = oct_vfs_crash_first(crash); cut <= last; cut++)
 *     {
 *         TRY(oct_vfs_crash_states(crash, cut, &states, error));
 *         for (uint64_t state = 0; state < states; state++) {
 *             TRY(oct_vfs_crash_state(crash, cut, state, &disk, error));
 *             reopen_and_check(disk, what_was_acknowledged_before(cut));
 *             oct_vfs_memory_destroy(disk);
 *         }
 *     }
 *
 * oct_vfs_crash_operations() read during the run, after each acknowledgement, says which
 * acknowledgements lie before a cut. A crash during recovery is a second recorder created on
 * such a disk.
 *
 * What a cut may do is what vfs.h does not promise, and nothing gentler:
 * - Synced bytes, sizes and names stay. A sync of a file covers its bytes and size, its name, and
 *   every remove and rename in its directory; not other files' bytes nor their creation.
 * - Each unsynced change survives or not, independently and in any order: creation, remove,
 *   rename (old or new, never neither), truncate, the growth by a write, and each sector of a
 *   write. A sector itself is never torn. A file whose growth survived without its bytes reads
 *   there as zeros, or as garbage if asked for. */
#ifndef OCT_TESTS_VFS_CRASH_H
#define OCT_TESTS_VFS_CRASH_H

#include <stdbool.h>

#include "octant/host.h"

typedef struct oct_vfs_crash oct_vfs_crash;

typedef struct oct_crash_options {
    uint32_t sector_bytes;  /* 512 or 4096; 0 = 512 where states are enumerated, either by turns in
                             * the random ones */
    uint32_t random_states; /* at each cut, behind the enumerated ones */
    uint64_t seed;          /* of the random states and of garbage */
    bool garbage;           /* bytes that never reached a grown file are garbage, not zeros */
} oct_crash_options;

/* Start recording on an empty storage, or on a copy of `initial` (all of it durable). NULL options
 * are all zero. */
OCT_MUST_CHECK oct_status oct_vfs_crash_create(const oct_alloc *alloc,
                                               const oct_crash_options *options,
                                               const oct_vfs *initial, oct_vfs_crash **out,
                                               oct_error *error);
/* NULL allowed. No file may be open. */
void oct_vfs_crash_destroy(oct_vfs_crash *crash);
/* The storage to run on: all capabilities, any threads. Valid until destroy. */
const oct_vfs *oct_vfs_crash_vfs(const oct_vfs_crash *crash);

/* How many changes and syncs were recorded. Cut c is the moment after the first c of them; cuts
 * go from oct_vfs_crash_first (the initial content) to oct_vfs_crash_operations. */
uint64_t oct_vfs_crash_operations(oct_vfs_crash *crash);
uint64_t oct_vfs_crash_first(const oct_vfs_crash *crash);

/* The rest is for one thread, while nothing is being recorded. Going through cuts upwards is
 * cheap; going back starts over. */

/* How many disks are offered for this cut: everything lost; everything kept; each piece alone
 * lost; each two adjacent pieces lost; then options.random_states random ones. A piece is one
 * unsynced change; a write is one piece for its growth and up to 8 for its sectors. One state when
 * nothing is unsynced. NOMEM. */
OCT_MUST_CHECK oct_status oct_vfs_crash_states(oct_vfs_crash *crash, uint64_t cut, uint64_t *states,
                                               oct_error *error);

/* Make the disk number `state` of this cut; any number beyond the offered ones is one more random
 * disk. A storage in memory, freed by the caller with oct_vfs_memory_destroy. */
OCT_MUST_CHECK oct_status oct_vfs_crash_state(oct_vfs_crash *crash, uint64_t cut, uint64_t state,
                                              oct_vfs **out, oct_error *error);

/* Say in words which unsynced changes that disk kept and lost, oldest first, for the report of a
 * failure: "cut 17 state 3: ... ". NUL-terminated, cut to `bytes`. */
void oct_vfs_crash_describe(oct_vfs_crash *crash, uint64_t cut, uint64_t state, char *text,
                            size_t bytes);

#endif
