/* SPDX-License-Identifier: Apache-2.0
 *
 * estimate.h - how many points of a segment pass a filter, without looking at them: what the
 * planner decides by. */
#ifndef OCTANT_QUERY_ESTIMATE_H
#define OCTANT_QUERY_ESTIMATE_H

#include "index/field.h"
#include "query/filter.h"

/* Estimate from indexes and ids; conditions without an index count as [0, half, all]. min and max
 * are true bounds over all of point_count, deleted points included. Conditions are taken as
 * independent for `expected`. */
oct_cardinality oct_filter_estimate(const oct_filter_program *program,
                                    const oct_filter_source *source);

#endif
