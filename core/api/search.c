/* SPDX-License-Identifier: Apache-2.0
 *
 * search.c - oct_search: the query of octant.h without text in either direction.
 *
 * A request becomes the same oct_query that a points/query body becomes, and goes through the same
 * oct_exec, so that the two can't differ. What is rare or grows with the API (filters, search
 * parameters, thresholds) is not repeated as C members: it comes as the JSON of such a body, is
 * decoded by the decoder of that body, once per call, and so needs no change here when the API
 * learns something. What every search has (vector, limit, ef) is typed. Decoding no options at all
 * means decoding "{}": that costs a fraction of a microsecond and keeps the defaults in one place.
 *
 * Several vectors are the queries of a batch (db/batch.c): a filter is selected once for all, and
 * the threads of the host share them.
 *
 * Rejected: hits with payloads and vectors. Then memory would have to be owned and freed, and who
 * wants payloads is well served by oct_call, where they are what takes the time. */
#include <string.h>

#include "api/call.h"
#include "api/decode.h"
#include "api/exec.h"
#include "base/str.h"
#include "octant/octant.h"

enum { BATCH = 256 }; /* so many vectors' answers are in memory at a time */

typedef struct search_state {
    oct_db *db;
    const oct_search_request *search;
    oct_arena options; /* what was decoded: lives through all vectors */
    oct_arena work;    /* of one batch */
    oct_request request;
    oct_query query; /* of every vector, without it */
} search_state;

static oct_status check_limits(const search_state *state, oct_error *error)
{
    const oct_query *query = &state->request.query;
    if (state->search->limit < OCT_LIMIT_MIN)
        return oct_fail(error, OCT_VALIDATION,
                        "[limit: value %" PRIu32 " invalid, must be %d or larger]",
                        state->search->limit, OCT_LIMIT_MIN);
    if (query->kind != OCT_QUERY_NONE)
        return oct_fail(error, OCT_BAD_INPUT,
                        "query: a typed search has its vectors beside the options");
    if (query->with_payload.mode != OCT_SELECT_NONE || query->with_vector.mode != OCT_SELECT_NONE)
        return oct_fail(error, OCT_BAD_INPUT,
                        "with_payload, with_vector: a typed search answers ids and scores only");
    return OCT_OK;
}

static oct_status decode(search_state *state, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_search_request *search = state->search;
    oct_query *query = &state->request.query;
    const oct_call_request call = { .body =
                                        search->options.bytes ? search->options : OCT_STR("{}") };
    state->request = (oct_request){ .op = OCT_OP_points_query, .collection = search->collection };
    TRY(oct_decode(&state->options, &call, &state->request, error));
    TRY(check_limits(state, error));
    query->kind = OCT_QUERY_VECTOR;
    query->vector_kind = search->indices ? OCT_VECTOR_SPARSE : OCT_VECTOR_DENSE;
    query->vector_count = search->dim;
    query->limit = search->limit;
    if (search->using_vector.bytes) query->using_vector = search->using_vector;
    if (search->hnsw_ef) query->hnsw_ef = search->hnsw_ef;
    if (search->exact) query->exact = true;
    state->query = *query;
    state->request.stage = OCT_STAGE_EXEC;
done:
    return status;
}

/* The queries of `count` vectors from `first` on, which differ in their vector alone. */
static oct_status make_queries(search_state *state, uint32_t first, uint32_t count,
                               oct_error *error)
{
    oct_query *queries;
    const oct_search_request *search = state->search;
    oct_status status = oct_arena_array(&state->work, count, sizeof *queries, &queries, error);
    if (status != OCT_OK) return status;
    for (uint32_t i = 0; i < count; i++) {
        size_t at = (size_t)(first + i) * search->dim;
        queries[i] = state->query;
        queries[i].vector = search->vectors + at;
        if (search->indices) queries[i].vector_indices = search->indices + at;
    }
    oct_str name = search->collection;
    state->request = count == 1 ? (oct_request){ .op = OCT_OP_points_query, .collection = name }
                                : (oct_request){ .op = OCT_OP_points_query_batch,
                                                 .collection = name,
                                                 .queries = queries,
                                                 .query_count = count };
    if (count == 1) state->request.query = queries[0];
    state->request.stage = OCT_STAGE_EXEC;
    return OCT_OK;
}

/* The answers of `count` vectors from `first` on. */
static oct_status search_some(search_state *state, uint32_t first, uint32_t count,
                              oct_search_hit *hits, uint32_t *counts, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_response response = { .pinned = NULL };
    uint32_t limit = state->search->limit;
    TRY(make_queries(state, first, count, error));
    TRY(oct_exec(state->db, &state->work, &state->request, &response, error));
    for (uint32_t i = 0; i < count; i++) {
        const oct_found *found = count == 1 ? &response.found : &response.founds[i];
        oct_search_hit *to = hits + (size_t)(first + i) * limit;
        ASSERT(found->count <= limit);
        for (uint32_t j = 0; j < found->count; j++)
            to[j] = (oct_search_hit){ .id = found->points[j].id, .score = found->points[j].score };
        counts[first + i] = found->count;
    }
done:
    oct_exec_end(&response);
    oct_arena_reset(&state->work);
    return status;
}

/* Give the message the beginning that the REST reply has. */
static void word_error(oct_error *error, oct_status status, oct_stage stage)
{
    char text[OCT_ERROR_TEXT_BYTES];
    if (!error) return;
    oct_str whole = oct_error_text(error->message, status, stage, text);
    size_t bytes = (size_t)oct_str_shown(whole, OCT_ERROR_MESSAGE_BYTES - 1);
    memcpy(error->message, whole.at, bytes);
    error->message[bytes] = '\0';
}

oct_status oct_search(oct_db *db, const oct_search_request *request, oct_search_hit *hits,
                      uint32_t *counts, oct_error *error)
{
    oct_status status = OCT_OK;
    search_state state = { .db = db, .search = request };
    oct_arena_init(&state.options, oct_db_alloc(db), 0);
    oct_arena_init(&state.work, oct_db_alloc(db), 0);
    TRY(decode(&state, error));
    for (uint32_t i = 0; i < request->vector_count; i += BATCH)
        TRY(search_some(&state, i, MIN((uint32_t)BATCH, request->vector_count - i), hits, counts,
                        error));
done:
    if (status != OCT_OK) word_error(error, status, state.request.stage);
    oct_arena_reset(&state.options);
    return status;
}
