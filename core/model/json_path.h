/* SPDX-License-Identifier: Apache-2.0
 *
 * json_path.h - payload keys: `a.b`, `a[].b`, `a[0].b`, `"quoted key".x`. */
#ifndef OCTANT_MODEL_JSON_PATH_H
#define OCTANT_MODEL_JSON_PATH_H

#include "base/arena.h"
#include "base/check.h"
#include "base/json.h"
#include "octant/types.h"

/* More steps than a JSON text may have levels select nothing. */
enum { OCT_JSON_PATH_STEPS_MAX = OCT_JSON_DEPTH_MAX };

typedef enum oct_path_step_kind {
    OCT_PATH_KEY,     /* .key: the member of an object */
    OCT_PATH_INDEX,   /* [3]: one item of an array */
    OCT_PATH_WILDCARD /* []: every item of an array */
} oct_path_step_kind;

typedef struct oct_path_step {
    oct_path_step_kind kind;
    oct_str key;    /* KEY; a slice of the parsed text */
    uint64_t index; /* INDEX */
} oct_path_step;

typedef struct oct_json_path {
    const oct_path_step *steps; /* [count]; the first is a KEY */
    uint32_t count;
} oct_json_path;

/* Parse a path of at most OCT_FIELD_KEY_BYTES_MAX bytes. Steps live in the arena, keys point into
 * `text`. A bare key is letters, digits, `_`, `-` and anything beyond ASCII; other keys are written
 * in double quotes, which know no escapes. BAD_INPUT names the path and the byte. */
OCT_MUST_CHECK oct_status oct_json_path_parse(oct_arena *arena, oct_str text, oct_json_path *out,
                                              oct_error *error);

bool oct_json_path_equal(const oct_json_path *a, const oct_json_path *b);

/* The path as text, quoted only where needed, in the arena: equal paths give equal texts. */
OCT_MUST_CHECK oct_status oct_json_path_print(oct_arena *arena, const oct_json_path *path,
                                              oct_str *out, oct_error *error);

/* Called for each selected value; false ends the walk. */
typedef bool (*oct_json_path_visit)(void *arg, const oct_json *value);

/* Visit every value the path selects in an object. An array at the end of the path is visited as
 * one value (callers look into it: see oct_json_path_each); arrays on the way are entered by [] and
 * [n] only. Returns false when a visit ended it. No allocation. */
bool oct_json_path_walk(const oct_json_path *path, const oct_json *object,
                        oct_json_path_visit visit, void *arg);

/* The same, with each array at the end of the path replaced by its items (not recursively): the
 * values that match and range conditions and payload indexes see. */
bool oct_json_path_each(const oct_json_path *path, const oct_json *object,
                        oct_json_path_visit visit, void *arg);

#endif
