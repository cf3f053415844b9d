/* SPDX-License-Identifier: Apache-2.0
 *
 * search_job.h - one search on its way through the entries of a view, for the files search*.c.
 * Private to core/query. */
#ifndef OCTANT_QUERY_SEARCH_JOB_H
#define OCTANT_QUERY_SEARCH_JOB_H

#include "index/sparse.h"
#include "query/rank.h"
#include "query/read.h"
#include "query/source.h"

typedef struct oct_search_job {
    const oct_reading *reading;
    const oct_query *query;
    uint32_t v;              /* which vector of the config */
    oct_named_vector vector; /* the query, prepared, in the form of the config */
    oct_sparse_probe probe;  /* of a sparse query */
    bool has_excluded;
    oct_location excluded;
    oct_selecting selecting;
    oct_rank rank;
    float threshold; /* similarity to be beaten, with has_score_threshold */
} oct_search_job;

static inline const oct_vector_params *oct_search_params(const oct_search_job *job)
{
    return &job->reading->config->vectors[job->v];
}

/* The form of the vector's rows, for similarities to rows of floats. */
static inline oct_flat oct_search_rows(const oct_search_job *job)
{
    const oct_vector_params *params = oct_search_params(job);
    return (oct_flat){ .kernels = job->reading->kernels,
                       .dim = params->size,
                       .metric = params->metric,
                       .datatype = params->datatype };
}

static inline bool oct_search_excludes(const oct_search_job *job, uint32_t entry, uint32_t offset)
{
    return job->has_excluded && job->excluded.entry == entry && job->excluded.offset == offset;
}

/* Offer a point to the ranking, unless the threshold is not beaten. */
void oct_search_offer(oct_search_job *job, float score, oct_location at);

/* Are the quantized codes of this field searched? Not for an exact answer. */
bool oct_search_uses_codes(const oct_search_job *job, const oct_sealed_vector *field);
/* Are the best by code scored again on the originals? */
bool oct_search_rescores(const oct_search_job *job, const oct_sealed_vector *field);
/* 0: not given, or there are no codes. */
float oct_search_oversampling(const oct_search_job *job, const oct_sealed_vector *field);

/* ---- search_forms.c: multivectors and sparse vectors --------------------------------- */

/* Finish preparing the query, once its form is known. NOMEM, LIMIT, CORRUPT. */
OCT_MUST_CHECK oct_status oct_search_prepare_form(oct_search_job *job, oct_error *error);

/* Offer all selected points of a memory entry. */
void oct_search_memory_form(oct_search_job *job, uint32_t index, const oct_selection *selection);

/* The best selected points of a sealed entry. NOMEM, LIMIT, CORRUPT. */
OCT_MUST_CHECK oct_status oct_search_sealed_form(oct_search_job *job, uint32_t index,
                                                 const oct_selection *selection, oct_topk *best,
                                                 oct_error *error);

#endif
