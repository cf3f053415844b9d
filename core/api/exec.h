/* SPDX-License-Identifier: Apache-2.0
 *
 * exec.h - do a request. */
#ifndef OCTANT_API_EXEC_H
#define OCTANT_API_EXEC_H

#include "api/message.h"

/* Do the operation. *response is in the arena or points into response->pinned; always end with
 * oct_exec_end, after encoding, also on failure. Statuses come from db/db.h; messages are bare. */
OCT_MUST_CHECK oct_status oct_exec(oct_db *db, oct_arena *arena, const oct_request *request,
                                   oct_response *response, oct_error *error);
void oct_exec_end(oct_response *response);

#endif
