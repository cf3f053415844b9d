/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h - from verb and path to an operation. */
#ifndef OCTANT_API_ROUTE_H
#define OCTANT_API_ROUTE_H

#include "api/message.h"

/* Fill *out (op, path parameters, wait; the rest zeroed) from a verb and a percent-encoded path
 * with its query string. Works before the body is read: oct_op_describe(out->op)->access says what
 * the caller must be allowed to do. Trailing and double slashes are ignored. Strings live in the
 * arena. NO_ROUTE (Qdrant answers 404 with an empty body), BAD_INPUT, VALIDATION, NOMEM;
 * out->stage says what an error is about. */
OCT_MUST_CHECK oct_status oct_route(oct_arena *arena, const char *verb, oct_str target,
                                    oct_request *out, oct_error *error);

/* May a collection be created under that name? VALIDATION "[collection_name: ...]" as Qdrant:
 * 1 to 255 bytes, no control characters and none of < > : " / \ | ? * */
OCT_MUST_CHECK oct_status oct_collection_name_check(oct_str name, oct_error *error);

#endif
