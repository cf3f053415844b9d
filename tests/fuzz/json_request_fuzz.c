/* SPDX-License-Identifier: Apache-2.0 */
/* json_request_fuzz.c - libFuzzer target for what strangers send: route and decode.
 *
 * Input: one byte of flags, then "VERB PATH", a newline, the JSON body. Bit 0 of the flags passes
 * floats beside the JSON (the bulk lane), among them ones that are not finite.
 * Checked beyond memory safety: only statuses that blame the input come back, with a message that
 * is UTF-8; what passed holds the promises of decode.h (finite vectors, limits in their range). */

#include <math.h>

#include "api/decode.h"
#include "api/route.h"
#include "base/str.h"
#include "model/vector.h"
#include "vfs/test_alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

static const float floats[] = { 0, 1, -1, 0.5f, 3, INFINITY, 2, NAN };

static void check_failure(oct_status status, const oct_error *error)
{
    ASSERT(status == OCT_BAD_INPUT || status == OCT_VALIDATION || status == OCT_LIMIT ||
           status == OCT_NO_ROUTE);
    ASSERT(error->message[0] != '\0');
    ASSERT(oct_str_is_utf8(oct_str_of(error->message)));
}

static void check_floats(const float *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ASSERT(isfinite(values[i]));
}

static void check_write(const oct_write *write)
{
    for (uint32_t p = 0; p < write->point_count; p++) {
        const oct_point *point = &write->points[p];
        for (uint32_t v = 0; v < point->vector_count; v++) {
            const oct_named_vector *vector = &point->vectors[v];
            ASSERT(vector->count > 0 || vector->kind == OCT_VECTOR_SPARSE);
            if (vector->kind == OCT_VECTOR_SPARSE)
                ASSERT(oct_vector_ascends(vector->indices, vector->count));
            if (vector->kind == OCT_VECTOR_MULTI) ASSERT(vector->count % vector->rows == 0);
            check_floats(vector->values, vector->count);
        }
    }
}

static void check_query(const oct_query *query)
{
    ASSERT(query->limit >= 1);
    if (query->kind == OCT_QUERY_VECTOR) check_floats(query->vector, query->vector_count);
}

static void check_success(const oct_request *request)
{
    if (oct_op_describe(request->op)->access == OCT_ACCESS_WRITE) check_write(&request->write);
    if (request->op == OCT_OP_points_query || request->op == OCT_OP_points_search)
        check_query(&request->query);
    if (request->op == OCT_OP_points_query_batch || request->op == OCT_OP_points_search_batch)
        for (uint32_t i = 0; i < request->query_count; i++)
            check_query(&request->queries[i]);
    if (request->op == OCT_OP_points_scroll) ASSERT(request->scroll.limit >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (bytes < 1) return 0;
    oct_str text = { (const char *)input + 1, bytes - 1 };
    oct_str target = oct_str_split(&text, '\n');
    oct_str verb_text = oct_str_split(&target, ' ');
    char verb[8] = { 0 };
    if (verb_text.bytes >= sizeof verb) return 0;
    if (verb_text.bytes) memcpy(verb, verb_text.at, verb_text.bytes);
    oct_arena arena;
    oct_request request;
    oct_error error = { .message = "" };
    oct_call_request call = { .verb = verb, .path = target, .body = text };
    if (input[0] & 1) {
        call.floats = floats;
        call.float_count = ARRAY_COUNT(floats);
    }
    oct_arena_init(&arena, &test_alloc, 0);
    oct_status status = oct_route(&arena, verb, target, &request, &error);
    if (status == OCT_OK) status = oct_decode(&arena, &call, &request, &error);
    if (status == OCT_OK)
        check_success(&request);
    else
        check_failure(status, &error);
    oct_arena_reset(&arena);
    return 0;
}
