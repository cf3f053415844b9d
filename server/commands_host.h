/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_host.h - the world as POSIX and WASI give it: memory, clocks, randomness, log lines.
 * Threads and storage are not here: WASI has no threads (native programs add server/pool.h), and
 * each command opens the directory it was told. */
#ifndef OCTANT_SERVER_COMMANDS_HOST_H
#define OCTANT_SERVER_COMMANDS_HOST_H

#include "octant/octant.h"

/* Memory from the C library; usable by several threads, lives as long as the program. */
const oct_alloc *oct_host_alloc(void);

/* A host without vfs and with parallel_width 1; log lines go to standard error. */
oct_host oct_host_create(void);

/* Nanoseconds from any start, never going back; what the host's monotonic_ns answers. */
uint64_t oct_host_now_ns(void);

#endif
