/* SPDX-License-Identifier: Apache-2.0
 *
 * filter_program.h - a compiled filter, for the files that run it. Private to core/query. */
#ifndef OCTANT_QUERY_FILTER_PROGRAM_H
#define OCTANT_QUERY_FILTER_PROGRAM_H

#include "model/json_path.h"
#include "query/filter.h"

/* A condition with its key parsed and its values sorted. */
typedef struct oct_filter_step {
    oct_condition condition; /* values sorted by oct_scalar_compare, ids by oct_point_id_compare */
    oct_json_path path;      /* of conditions on a field */
    oct_str key;             /* the path in canonical spelling */
    const oct_filter_program *filter; /* of a nested filter */
} oct_filter_step;

typedef struct oct_filter_steps {
    const oct_filter_step *at; /* [count] */
    uint32_t count;
} oct_filter_steps;

struct oct_filter_program {
    oct_filter_steps must, should, must_not, min_should;
    uint32_t min_should_count; /* 0: min_should is not there */
    uint32_t depth;            /* 0 = the outermost */
};

/* Is it a condition on a payload field? */
static inline bool oct_filter_step_has_field(const oct_filter_step *step)
{
    return step->condition.kind != OCT_CONDITION_HAS_ID &&
           step->condition.kind != OCT_CONDITION_FILTER;
}

/* The index that answers the step in this segment, or NULL. */
static inline const oct_field *oct_filter_step_index(const oct_filter_step *step,
                                                     const oct_filter_source *source)
{
    if (!source->field || !oct_filter_step_has_field(step)) return NULL;
    return source->field(source->self, step->key);
}

/* Does a field condition hold for a payload (NULL: none)? */
bool oct_filter_step_holds(const oct_filter_step *step, const oct_json *payload);

#endif
