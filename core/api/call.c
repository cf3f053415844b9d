/* SPDX-License-Identifier: Apache-2.0
 *
 * call.c - oct_call: route, decode, execute, encode; the clock, the envelope and the error texts.
 *
 * Everything a request needs lives in one arena; only the reply's body outlives the call. Before
 * the operation runs, room for a small reply is reserved: so a write that was done can't be
 * answered with "out of memory" (its reply is some hundred bytes).
 *
 * The beginning of an error text ("Not found: ") is added here and nowhere else, from the status
 * and from how far the request came; the layers below write the bare sentence. BAD_INPUT is a
 * "Format error in JSON body: " while decoding and "Wrong input: " from the database; see
 * prefix_of. core/model, whose functions serve decoding and the database alike, knows better
 * than this table and writes whole texts: those are left alone. */
#include <string.h>

#include "api/call.h"
#include "api/decode.h"
#include "api/encode.h"
#include "api/exec.h"
#include "api/route.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "octant/octant.h"

enum {
    REPLY_BYTES_MAX = 1 << 30,
    SMALL_REPLY_BYTES = 512 /* the longest reply of a write is below 200 */
};

/* One call under way. */
typedef struct call_state {
    oct_db *db;
    const oct_call_request *call;
    uint64_t start_ns;
    oct_arena arena;
    oct_buf buf; /* the reply's body */
    oct_request request;
    oct_response response;
    const char *content_type;
    oct_error error;
} call_state;

/* ---- error texts --------------------------------------------------------------------- */

static const char *const bad_input_prefixes[] = {
    [OCT_STAGE_PATH] = "Deserialize error in path parameters: ",
    [OCT_STAGE_QUERY] = "Deserialize error in query parameters: ",
    [OCT_STAGE_BODY] = "Format error in JSON body: ",
    [OCT_STAGE_REFUSED] = "Wrong input: ",
    [OCT_STAGE_EXEC] = "Wrong input: ",
};

static const char *const validation_prefixes[] = {
    [OCT_STAGE_PATH] = "Validation error in path parameters: ",
    [OCT_STAGE_QUERY] = "Validation error in query parameters: ",
    [OCT_STAGE_BODY] = "Validation error in JSON body: ",
    [OCT_STAGE_REFUSED] = "Validation error in JSON body: ",
    [OCT_STAGE_EXEC] = "Validation error in JSON body: ",
};

static const char *prefix_of(oct_status status, oct_stage stage)
{
    switch (status) {
    case OCT_BAD_INPUT:
    case OCT_LIMIT:
        return bad_input_prefixes[stage];
    case OCT_VALIDATION:
        return validation_prefixes[stage];
    case OCT_NOT_FOUND:
        return "Not found: ";
    case OCT_CONFLICT:
        return "Wrong input: ";
    case OCT_FORBIDDEN:
        return "Forbidden: ";
    case OCT_TIMEOUT:
        return "Timeout: ";
    case OCT_RATE_LIMITED:
        return "Rate limiting exceeded: ";
    case OCT_NOMEM:
    case OCT_NO_SPACE:
        return "Insufficient storage: ";
    case OCT_LOCKED:
        return "Storage locked: ";
    case OCT_IO:
    case OCT_CORRUPT:
    case OCT_CANCELLED:
        return "Service internal error: ";
    case OCT_OK:
    case OCT_AGAIN:
    case OCT_UNAUTHENTICATED:
    case OCT_NO_ROUTE:
    case OCT_STANDALONE:
    case OCT_TOO_LARGE:
    case OCT_UNSUPPORTED:
    case OCT_UNAVAILABLE:
    case OCT_READONLY:
    case OCT_STATUS_COUNT:
        break;
    }
    return "";
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_whole(const char *message)
{
    for (size_t i = 0; i < ARRAY_COUNT(bad_input_prefixes); i++)
        if (starts_with(message, bad_input_prefixes[i]) ||
            starts_with(message, validation_prefixes[i]))
            return true;
    return starts_with(message, "Bad request: ");
}

oct_str oct_error_text(const char *message, oct_status status, oct_stage stage, char *text)
{
    const char *prefix = is_whole(message) ? "" : prefix_of(status, stage);
    size_t prefix_bytes = strlen(prefix);
    size_t message_bytes = strlen(message);
    ASSERT(prefix_bytes <= OCT_ERROR_PREFIX_BYTES_MAX);
    memcpy(text, prefix, prefix_bytes);
    memcpy(text + prefix_bytes, message, message_bytes);
    return (oct_str){ text, prefix_bytes + message_bytes };
}

/* ---- bodies -------------------------------------------------------------------------- */

static double seconds_since(const call_state *state)
{
    const oct_host *host = oct_db_host(state->db);
    return (double)(host->monotonic_ns(host->self) - state->start_ns) / 1e9;
}

static oct_json_writer writer_of(call_state *state)
{
    oct_json_writer writer;
    oct_json_writer_init(&writer, &state->buf);
    writer.tag_big_integers = state->call->tag_big_integers;
    return writer;
}

static oct_status write_success(call_state *state)
{
    oct_status status = OCT_OK;
    oct_json_writer writer = writer_of(state);
    const char *plain = oct_encode_plain(state->request.op);
    if (plain) {
        state->content_type = "text/plain; charset=utf-8";
        return oct_buf_append(&state->buf, plain, strlen(plain), &state->error);
    }
    if (state->request.op == OCT_OP_service_version)
        oct_encode_version(&writer);
    else
        oct_encode_success(&writer, &state->request, &state->response, seconds_since(state));
    status = oct_json_writer_status(&writer);
    if (status != OCT_OK)
        return oct_fail(&state->error, status, "the reply does not fit in memory");
    return OCT_OK;
}

/* Best effort: what the request took is given back first, so that there is room for this. A
 * missing route has no body (Qdrant). */
static void write_error(call_state *state, oct_status status)
{
    char text[OCT_ERROR_TEXT_BYTES];
    oct_str whole = oct_error_text(state->error.message, status, state->request.stage, text);
    oct_arena_reset(&state->arena);
    oct_buf_clear(&state->buf);
    state->content_type = "application/json";
    if (status == OCT_NO_ROUTE) { /* an empty body, not none: that would mean out of memory */
        if (oct_buf_reserve(&state->buf, 1, NULL) != OCT_OK) oct_buf_deinit(&state->buf);
        return;
    }
    oct_json_writer writer = writer_of(state);
    oct_encode_error(&writer, whole, seconds_since(state));
    if (oct_json_writer_status(&writer) != OCT_OK) oct_buf_deinit(&state->buf);
}

/* ---- the call ------------------------------------------------------------------------ */

static oct_status serve(call_state *state)
{
    oct_status status = OCT_OK;
    const oct_call_request *call = state->call;
    oct_error *error = &state->error;
    TRY(oct_route(&state->arena, call->verb, call->path, &state->request, error));
    TRY(oct_decode(&state->arena, call, &state->request, error));
    state->request.stage = OCT_STAGE_EXEC;
    TRY(oct_buf_reserve(&state->buf, SMALL_REPLY_BYTES, error));
    TRY(oct_exec(state->db, &state->arena, &state->request, &state->response, error));
    TRY(write_success(state));
done:
    oct_exec_end(&state->response);
    return status;
}

void oct_call(oct_db *db, const oct_call_request *request, oct_reply *reply)
{
    const oct_host *host = oct_db_host(db);
    call_state state = { .db = db,
                         .call = request,
                         .start_ns = host->monotonic_ns(host->self),
                         .content_type = "application/json" };
    oct_arena_init(&state.arena, oct_db_alloc(db), 0);
    oct_buf_init(&state.buf, oct_db_alloc(db), REPLY_BYTES_MAX);
    oct_status status = serve(&state);
    if (status != OCT_OK) write_error(&state, status);
    oct_arena_reset(&state.arena);
    *reply = (oct_reply){ .status = status,
                          .http_status = oct_status_http(status),
                          .content_type = state.content_type,
                          .body = (char *)state.buf.at,
                          .body_bytes = state.buf.bytes,
                          .body_capacity = state.buf.capacity };
}

void oct_reply_free(oct_db *db, oct_reply *reply)
{
    if (reply->body) oct_free(oct_db_alloc(db), reply->body, reply->body_capacity);
    reply->body = NULL;
    reply->body_bytes = 0;
    reply->body_capacity = 0;
}
