/* SPDX-License-Identifier: Apache-2.0
 *
 * model.h - a database as an array: what the tests of core/db compare the real one with.
 *
 * A model has two collections of MODEL_IDS possible points, each with four small payload values
 * and two vectors of small whole numbers, so that scores are exact and a model is a plain value:
 * copies of it are the history of a run. The same numbers go into vectors of other forms: those of
 * a into a multivector m of two rows, those of b into a sparse vector s. Updates change the
 * settings that graphs and codes are built by. model_next draws one random change, as the REST
 * request that asks for it and as the model after it; model_matches compares everything a client
 * can see.
 *
 *     model_change change;
 *     model_next(&model, &change);
 *     if (sim_call(&world, &change) == change.expected) model = change.after;
 *
 * The world is a host whose clock and randomness are counters, so that a run repeats exactly. */
#ifndef OCT_TESTS_SIM_MODEL_H
#define OCT_TESTS_SIM_MODEL_H

#include <stdbool.h>

#include "base/sync.h"
#include "octant/octant.h"

enum { MODEL_IDS = 160, MODEL_KEYS = 4, MODEL_A = 16, MODEL_B = 3, MODEL_COLLECTIONS = 2 };

typedef struct model_point {
    bool exists, has_a, has_b;
    int8_t keys[MODEL_KEYS]; /* -1: absent. k0..k2 are integers, k3 is a keyword "v0".. */
    int8_t a[MODEL_A];       /* Dot */
    int8_t b[MODEL_B];       /* Euclid */
} model_point;

typedef struct model_collection {
    bool exists;
    uint32_t settings; /* 0: as created; else the number of the last update, which decides all */
    bool indexes[MODEL_KEYS];
    model_point points[MODEL_IDS];
} model_collection;

typedef struct model {
    model_collection collections[MODEL_COLLECTIONS];
    uint64_t random; /* the state of the generator */
} model;

typedef struct model_change {
    const char *verb;
    char path[128];
    char body[8192];
    model after;
    oct_status expected; /* OK, or NOT_FOUND or CONFLICT with `after` as before */
} model_change;

/* An empty database; the seed decides every change to come. */
void model_init(model *from, uint64_t seed);
uint32_t model_below(model *from, uint32_t limit);
/* Draw a change. The generator moves on in *from and in change->after. */
void model_next(model *from, model_change *change);

/* What an update of that number, 1 to MODEL_UPDATES, sets. */
enum { MODEL_UPDATES = 45 };
typedef struct model_settings {
    uint32_t m, indexing_threshold;
    oct_quantization_kind quantization;
} model_settings;
model_settings model_settings_of(uint32_t number);

/* ---- the world --------------------------------------------------------------------------- */

typedef struct sim_world {
    oct_host host;
    oct_open_options options;
    oct_db *db;           /* NULL: not open */
    oct_atomic_u64 clock; /* ns */
    uint64_t tick_ns;     /* what a look at it takes: a microsecond */
    uint64_t entropy;
} sim_world;

/* A closed world over `vfs`: segments of 24 points, no parallelism. */
void sim_init(sim_world *world, const oct_alloc *alloc, const oct_vfs *vfs);
/* Before opening: save merges at every chance. A look at the clock takes a millisecond then. */
void sim_save_often(sim_world *world);
OCT_MUST_CHECK oct_status sim_open(sim_world *world, oct_error *error);
void sim_close(sim_world *world);
/* Send the change to the database; the reply's status. */
oct_status sim_call(sim_world *world, const model_change *change);
/* Maintain in steps of budget_ms until nothing is left. */
OCT_MUST_CHECK oct_status sim_settle(sim_world *world, uint32_t budget_ms, oct_error *error);

/* Compare everything, both ways: collections, counts, a scroll of all points, filters, exact and
 * approximate queries. False with a line in `why` (256 bytes) when something differs; *status is
 * not OK when the database answered an error. */
bool model_matches(model *from, sim_world *world, char *why, oct_status *status);

#endif
