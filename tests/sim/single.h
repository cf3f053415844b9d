/* SPDX-License-Identifier: Apache-2.0
 *
 * single.h - a world (model.h) with one collection, "c", over storage in memory: for tests that
 * speak to a collection through db.h.
 *
 *     single_create(&it, alloc, config, options); ... single_reopen(&it); ... single_destroy(&it);
 *
 * What fails here ends the program: these steps are not what such tests are about. */
#ifndef OCT_TESTS_SIM_SINGLE_H
#define OCT_TESTS_SIM_SINGLE_H

#include "db/db.h"
#include "sim/model.h"

typedef struct single {
    sim_world world;
    oct_vfs *vfs;
    oct_collection *collection; /* pinned */
    oct_arena arena;            /* for requests and answers; the caller resets it */
    oct_error error;
} single;

/* An open database with the collection that `config`, the body of its creation, asks for. Segments
 * hold `points_max` points. `parallel` may be NULL. */
void single_create(single *it, const oct_alloc *alloc, const char *config, uint32_t points_max,
                   void (*parallel)(void *self, uint32_t tasks,
                                    void (*run)(void *arg, uint32_t task), void *arg));
/* Close the database and open it again; only close it. */
void single_reopen(single *it);
void single_close(single *it);
/* Close it if it is open, and forget its files. */
void single_destroy(single *it);

/* Do a change; the arena is empty afterwards. */
void single_write(single *it, const oct_write *change);
/* Maintain until nothing is left. */
void single_settle(single *it, uint32_t budget_ms);
/* `octant check`: end the program with what it says, unless all is well. */
void single_check(single *it);

#endif
