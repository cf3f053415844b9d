/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.h - worker threads for oct_host.parallel (native only). */
#ifndef OCTANT_SERVER_POOL_H
#define OCTANT_SERVER_POOL_H

#include <stdint.h>

typedef struct oct_pool oct_pool;

/* The number of processors this process may count on, at least 1. */
uint32_t oct_pool_processors(void);

/* Start width - 1 threads (the caller of oct_pool_run is the last one). NULL when memory or
 * threads are not to be had; errno says why. */
oct_pool *oct_pool_create(uint32_t width);

/* Join the threads. No oct_pool_run may be under way. NULL is allowed. */
void oct_pool_destroy(oct_pool *pool);

/* oct_host.parallel with the pool as self. One job at a time has the threads: a second caller, or
 * a task that calls it again, runs its own loop by itself instead of waiting. */
void oct_pool_run(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task), void *arg);

#endif
