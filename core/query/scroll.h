/* SPDX-License-Identifier: Apache-2.0
 *
 * scroll.h - the points of a view in the order of their ids: pages for scrolls and for queries
 * without a vector. */
#ifndef OCTANT_QUERY_SCROLL_H
#define OCTANT_QUERY_SCROLL_H

#include "query/rank.h"
#include "query/read.h"

typedef struct oct_page_request {
    const oct_filter *filter; /* NULL = all */
    bool has_from;
    oct_point_id from; /* the first id wanted */
    uint64_t limit;    /* clamped to the living points */
} oct_page_request;

/* The first points that pass, sorted, and one more when there is one: where the next page starts.
 * BAD_INPUT, NOMEM, CORRUPT; LIMIT when the clamped limit is above OCT_LIMIT_MAX. */
OCT_MUST_CHECK oct_status oct_read_page(const oct_reading *reading, const oct_page_request *request,
                                        oct_rank *out, oct_error *error);

/* min(limit + offset, living points), for all reads of ranked points. LIMIT above OCT_LIMIT_MAX. */
OCT_MUST_CHECK oct_status oct_read_wanted(const oct_view *view, uint64_t limit, uint64_t offset,
                                          uint32_t *out, oct_error *error);

#endif
