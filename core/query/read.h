/* SPDX-License-Identifier: Apache-2.0
 *
 * read.h - the read operations over one pinned view: query, scroll, count, retrieve, and the ids a
 * filter selects (for writes). They take no lock and change nothing. */
#ifndef OCTANT_QUERY_READ_H
#define OCTANT_QUERY_READ_H

#include "base/arena.h"
#include "octant/request.h"
#include "segment/view.h"
#include "simd/kernels.h"

/* What a read works with: all borrowed. Results are in `arena` or borrow from the view. */
typedef struct oct_reading {
    const oct_host *host;
    const oct_kernels *kernels;
    const oct_collection_config *config;
    const oct_view *view;
    oct_arena *arena;
    oct_hnsw_scratch *scratch;
    const struct oct_shared_filter
        *shared; /* query/source.h: the filter of the next search, or NULL */
} oct_reading;

OCT_MUST_CHECK oct_status oct_read_query(const oct_reading *reading, const oct_query *query,
                                         oct_found *out, oct_error *error);
OCT_MUST_CHECK oct_status oct_read_scroll(const oct_reading *reading, const oct_scroll *scroll,
                                          oct_found *out, oct_error *error);
OCT_MUST_CHECK oct_status oct_read_count(const oct_reading *reading, const oct_count *count,
                                         uint64_t *out, oct_error *error);
OCT_MUST_CHECK oct_status oct_read_retrieve(const oct_reading *reading,
                                            const oct_retrieve *retrieve, oct_found *out,
                                            oct_error *error);

/* The ids of all points that pass the filter, in id order. */
OCT_MUST_CHECK oct_status oct_read_ids(const oct_reading *reading, const oct_filter *filter,
                                       const oct_point_id **ids, uint32_t *count, oct_error *error);

/* One stored point as slot data: id, version, present mask, vectors (concatenated as in layout.h,
 * in the arena or borrowed) and payload, at a location of the view. */
OCT_MUST_CHECK oct_status oct_read_point(const oct_reading *reading, oct_location location,
                                         oct_slot *out, oct_error *error);

#endif
