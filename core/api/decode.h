/* SPDX-License-Identifier: Apache-2.0
 *
 * decode.h - from a request's JSON body to the typed parts of oct_request. Never touches the
 * database: what only a collection's config can tell (dimensions, vector names) is checked below.
 *
 * Messages are JSON as Qdrant's REST API takes it. Null members are absent. Forms that Qdrant
 * knows and Octant does not yet are refused by name, never ignored. Of several problems the
 * first met is reported: "points[3].vector: expected ..., got string at line 1 column 42"
 * (BAD_INPUT), "[limit: value 0 invalid, must be 1 or larger]" (VALIDATION). The message's
 * beginning ("Format error in JSON body: ") is call.c's. A write that names no point at all is
 * refused, as in Qdrant; so the database never sees one. */
#ifndef OCTANT_API_DECODE_H
#define OCTANT_API_DECODE_H

#include "api/message.h"
#include "base/json.h"

/* Fill the union of `request`, which oct_route has filled so far, from the call's body. Results
 * live in the arena or point into the body and call->floats. Operations without a body ignore it.
 * BAD_INPUT, VALIDATION, LIMIT, TOO_LARGE; NOMEM. request->stage says what an error is about. */
OCT_MUST_CHECK oct_status oct_decode(oct_arena *arena, const oct_call_request *call,
                                     oct_request *request, oct_error *error);

#endif
