/* SPDX-License-Identifier: Apache-2.0
 *
 * found.h - from places in a view to answered points: payloads and vectors as they were asked
 * for. */
#ifndef OCTANT_QUERY_FOUND_H
#define OCTANT_QUERY_FOUND_H

#include "model/payload.h"
#include "query/rank.h"
#include "query/read.h"

/* What to show of each point, checked once per request. */
typedef struct oct_showing {
    oct_payload_selector payload;
    bool vectors;         /* asked for at all */
    uint64_t vector_mask; /* bit v: vector v of the config */
} oct_showing;

/* BAD_INPUT: a bad key path, or a vector name that the collection doesn't have. */
OCT_MUST_CHECK oct_status oct_showing_parse(const oct_reading *reading,
                                            const oct_selector *with_payload,
                                            const oct_selector *with_vector, oct_showing *out,
                                            oct_error *error);

/* Make points[count] of the items, in their order, in the reading's arena. Scores stay 0. Texts and
 * vectors borrow from the view where they can. NOMEM, LIMIT, CORRUPT. */
OCT_MUST_CHECK oct_status oct_found_fill(const oct_reading *reading, const oct_showing *showing,
                                         const oct_ranked *items, uint32_t count,
                                         oct_found_point **points, oct_error *error);

#endif
