/* SPDX-License-Identifier: Apache-2.0
 *
 * decode.c - one body: parse it and hand it to the function of its operation. */
#include "api/decode.h"

#include "api/decode_parts.h"
#include "model/config.h"
#include "model/point_id.h"

typedef enum body_kind { BODY_NONE, BODY_JSON } body_kind;

/* GET points/{id}: a retrieve of one id, with everything. */
static oct_status read_get(oct_decoder *decoder, oct_request *out)
{
    oct_status status = OCT_OK;
    oct_point_id *id = NULL;
    decoder->stage = OCT_STAGE_EXEC; /* Qdrant says "Wrong input" here */
    TRY(oct_arena_array(decoder->arena, 1, sizeof *id, &id, decoder->error));
    if (!oct_point_id_parse(out->id, id)) {
        oct_str text = oct_clip(out->id);
        TRY(oct_fail(decoder->error, OCT_BAD_INPUT, "Can not recognize \"%.*s\" as point id",
                     (int)text.bytes, text.at));
    }
    out->retrieve = (oct_retrieve){ .ids = id,
                                    .id_count = 1,
                                    .with_payload = { .mode = OCT_SELECT_ALL },
                                    .with_vector = { .mode = OCT_SELECT_ALL } };
done:
    return status;
}

static oct_status read_create(oct_decoder *decoder, const oct_node *body, oct_request *out)
{
    oct_status status = OCT_OK;
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_config_parse(decoder->arena, body->value, &out->config, decoder->error));
done:
    return status;
}

static oct_status read_update(oct_decoder *decoder, const oct_node *body, oct_request *out)
{
    oct_status status = OCT_OK;
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_config_parse_update(decoder->arena, body->value, &out->config, decoder->error));
done:
    return status;
}

static oct_status read_write(oct_decoder *decoder, const oct_node *body, oct_write_kind kind,
                             oct_request *out)
{
    out->write = (oct_write){ .kind = kind, .wait = out->wait };
    return oct_read_write_body(decoder, body, out);
}

static oct_status read_by_op(oct_decoder *decoder, const oct_node *body, oct_request *out)
{
    switch (out->op) {
    case OCT_OP_service_version:
    case OCT_OP_service_healthz:
    case OCT_OP_service_livez:
    case OCT_OP_service_readyz:
    case OCT_OP_collections_list:
    case OCT_OP_collections_get:
    case OCT_OP_collections_memory:
    case OCT_OP_collections_exists:
    case OCT_OP_collections_delete:
        return OCT_OK;
    case OCT_OP_collections_create:
        return read_create(decoder, body, out);
    case OCT_OP_collections_update:
        return read_update(decoder, body, out);
    case OCT_OP_index_create:
        return read_write(decoder, body, OCT_WRITE_CREATE_INDEX, out);
    case OCT_OP_index_delete:
        return read_write(decoder, body, OCT_WRITE_DELETE_INDEX, out);
    case OCT_OP_points_upsert:
        return read_write(decoder, body, OCT_WRITE_UPSERT, out);
    case OCT_OP_points_retrieve:
        return oct_read_retrieve_body(decoder, body, &out->retrieve);
    case OCT_OP_points_get:
        return read_get(decoder, out);
    case OCT_OP_points_delete:
        return read_write(decoder, body, OCT_WRITE_DELETE, out);
    case OCT_OP_payload_set:
        return read_write(decoder, body, OCT_WRITE_SET_PAYLOAD, out);
    case OCT_OP_payload_overwrite:
        return read_write(decoder, body, OCT_WRITE_OVERWRITE_PAYLOAD, out);
    case OCT_OP_payload_delete:
        return read_write(decoder, body, OCT_WRITE_DELETE_PAYLOAD, out);
    case OCT_OP_payload_clear:
        return read_write(decoder, body, OCT_WRITE_CLEAR_PAYLOAD, out);
    case OCT_OP_vectors_update:
        return read_write(decoder, body, OCT_WRITE_UPDATE_VECTORS, out);
    case OCT_OP_vectors_delete:
        return read_write(decoder, body, OCT_WRITE_DELETE_VECTORS, out);
    case OCT_OP_points_query:
        return oct_read_query_body(decoder, body, &out->query);
    case OCT_OP_points_search:
        return oct_read_search_body(decoder, body, &out->query);
    case OCT_OP_points_query_batch:
        return oct_read_batch_body(decoder, body, oct_read_query_body, out);
    case OCT_OP_points_search_batch:
        return oct_read_batch_body(decoder, body, oct_read_search_body, out);
    case OCT_OP_points_scroll:
        return oct_read_scroll_body(decoder, body, &out->scroll);
    case OCT_OP_points_count:
        return oct_read_count_body(decoder, body, &out->count);
    case OCT_OP_COUNT:
        break;
    }
    ASSERT(false);
    return OCT_OK;
}

/* Operations by GET and DELETE have no body. */
static body_kind body_kind_of(oct_op op)
{
    const char *verb = oct_op_describe(op)->verb;
    return verb[0] == 'G' || verb[0] == 'D' ? BODY_NONE : BODY_JSON;
}

static oct_status parse_body(oct_decoder *decoder, oct_node *body)
{
    oct_status status = OCT_OK;
    if (decoder->text.bytes > OCT_BODY_BYTES_MAX)
        TRY(oct_fail(decoder->error, OCT_TOO_LARGE,
                     "JSON payload (%" PRIu64 " bytes) is larger than allowed (limit: %d bytes).",
                     (uint64_t)decoder->text.bytes, OCT_BODY_BYTES_MAX));
    if (decoder->text.bytes == 0)
        TRY(oct_fail(decoder->error, OCT_BAD_INPUT,
                     "EOF while parsing a value at line 1 column 0"));
    TRY(oct_json_parse(decoder->arena, decoder->text, &body->value, decoder->error));
done:
    return status;
}

oct_status oct_decode(oct_arena *arena, const oct_call_request *call, oct_request *request,
                      oct_error *error)
{
    oct_status status = OCT_OK;
    oct_node body = { .value = NULL };
    oct_decoder decoder = { .arena = arena,
                            .text = call->body,
                            .floats = call->floats,
                            .float_count = call->float_count,
                            .stage = OCT_STAGE_BODY,
                            .error = error };
    if (body_kind_of(request->op) == BODY_JSON) TRY(parse_body(&decoder, &body));
    TRY(read_by_op(&decoder, &body, request));
done:
    request->stage = decoder.stage;
    return status;
}
