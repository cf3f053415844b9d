/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - how to search one vector field of one segment: the decision, in one function. */
#ifndef OCTANT_QUERY_PLAN_H
#define OCTANT_QUERY_PLAN_H

#include "base/check.h"
#include "octant/request.h"

/* What the decision hangs on. */
typedef struct oct_plan_facts {
    bool has_graph;
    bool has_codes;    /* the graph walks on codes, not on floats */
    bool quantized;    /* such a segment is indexed, even without a graph */
    bool filtered;     /* by the request; deleted points alone are no filter */
    bool multi;        /* points have several rows */
    bool linked;       /* selected points link among themselves (index/hnsw_links.h) */
    uint32_t selected; /* points that live and pass */
    uint64_t rows;     /* multi: that those have, about */
    uint32_t points;   /* in the graph */
    uint32_t wanted;   /* points the request can use: limit + offset, times oversampling */
} oct_plan_facts;

typedef enum oct_plan_way {
    OCT_PLAN_SKIP,        /* not indexed yet and too large: `indexed_only` asked for this */
    OCT_PLAN_SCAN,        /* compare the query with every selected point: exact */
    OCT_PLAN_SCAN_CODES,  /* with the code of every selected point, then with the best rows */
    OCT_PLAN_WALK_ALL,    /* follow the graph over all points, drop the others at the end */
    OCT_PLAN_WALK_ALLOWED /* follow it over selected points, looking through the others */
} oct_plan_way;

typedef struct oct_plan {
    oct_plan_way way;
    uint32_t ef; /* of a walk */
} oct_plan;

/* Would a filter that leaves so many rows never need a walk over vector `v`? */
bool oct_plan_is_small(const oct_collection_config *config, uint32_t v, uint64_t rows);

/* How to search vector `v` for `query`. */
oct_plan oct_plan_search(const oct_collection_config *config, uint32_t v, const oct_query *query,
                         const oct_plan_facts *facts);

/* The part of it that knows no settings: the cheapest way that finds enough, of those that use a
 * graph, or an exact scan when there are so few points that it is the cheapest of all. */
oct_plan_way oct_plan_cheapest(const oct_plan_facts *facts, uint32_t ef);

#endif
