/* SPDX-License-Identifier: Apache-2.0
 *
 * payload.h - changes and selections of payloads, text to text.
 *
 * A payload is the text of a JSON object, minified, without duplicate keys; "" stands for {}. All
 * functions leave their inputs alone and give a new text in the arena, so a failure changes
 * nothing. Statuses: NOMEM; CORRUPT when a stored payload is no JSON object; LIMIT when the result
 * is longer than OCT_PAYLOAD_BYTES_MAX. */
#ifndef OCTANT_MODEL_PAYLOAD_H
#define OCTANT_MODEL_PAYLOAD_H

#include "base/arena.h"
#include "base/check.h"
#include "base/json.h"
#include "model/json_path.h"
#include "octant/request.h"

/* The payload text of a JSON object from a request (what upsert and overwrite store): nulls stay.
 * BAD_INPUT when it is no object. */
OCT_MUST_CHECK oct_status oct_payload_from_json(oct_arena *arena, const oct_json *value,
                                                oct_str *out, oct_error *error);

/* Set payload: each member of `changes` replaces the member of that name, a null removes it.
 * below NULL: at the top. Else below that path: missing objects are created, other values on the
 * way replaced by objects (for a key) or emptied to [] (for [] and [n]), [] goes into every
 * item, [n] into an existing item only. */
OCT_MUST_CHECK oct_status oct_payload_merge(oct_arena *arena, oct_str payload, oct_str changes,
                                            const oct_json_path *below, oct_str *out,
                                            oct_error *error);

/* Delete what the paths select: members of objects; a final [] empties the array; a final [n]
 * deletes nothing (Qdrant). */
OCT_MUST_CHECK oct_status oct_payload_delete(oct_arena *arena, oct_str payload,
                                             const oct_json_path *paths, uint32_t path_count,
                                             oct_str *out, oct_error *error);

/* with_payload, compiled once per request. */
typedef struct oct_payload_selector {
    oct_select_mode mode;
    const oct_json_path *paths; /* [path_count] */
    uint32_t path_count;
} oct_payload_selector;

/* Parse the key paths; keys of `selector` are borrowed. BAD_INPUT names a bad path. */
OCT_MUST_CHECK oct_status oct_payload_selector_parse(oct_arena *arena, const oct_selector *selector,
                                                     oct_payload_selector *out, oct_error *error);

/* Apply it: NONE gives a NULL text; ALL the payload itself ("{}" for ""), borrowed; INCLUDE and
 * EXCLUDE a new text. Items of arrays are addressed by [] only, [n] selects nothing (Qdrant). */
OCT_MUST_CHECK oct_status oct_payload_select(oct_arena *arena, oct_str payload,
                                             const oct_payload_selector *selector, oct_str *out,
                                             oct_error *error);

#endif
