/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_parts.c - point ids, payloads and the with_payload / with_vector selectors. */
#include "api/decode_parts.h"

#include "base/str.h"
#include "model/payload.h"
#include "model/point_id.h"

/* ---- ids ----------------------------------------------------------------------------- */

static oct_status fail_point_id(oct_decoder *decoder, const oct_node *node)
{
    oct_str text = OCT_STR("");
    switch (oct_json_kind_of(node->value)) {
    case OCT_JSON_STRING:
        text = oct_clip(oct_json_string(node->value));
        break;
    case OCT_JSON_INT:
        return OCT_FAIL_AT(decoder, node, OCT_BAD_INPUT,
                           "value %" PRId64 " is not a valid point ID, valid values are either an "
                           "unsigned integer or a UUID",
                           oct_json_int(node->value));
    case OCT_JSON_NULL:
    case OCT_JSON_BOOL:
    case OCT_JSON_UINT:
    case OCT_JSON_REAL:
    case OCT_JSON_ARRAY:
    case OCT_JSON_OBJECT:
        text = oct_str_of(oct_json_kind_name(node->value));
        break;
    }
    return OCT_FAIL_AT(decoder, node, OCT_BAD_INPUT,
                       "value %.*s is not a valid point ID, valid values are either an unsigned "
                       "integer or a UUID",
                       (int)text.bytes, text.at);
}

oct_status oct_read_point_id(oct_decoder *decoder, const oct_node *node, oct_point_id *out)
{
    if (oct_node_is(node, OCT_JSON_UINT)) {
        *out = oct_point_id_of(oct_json_uint(node->value));
        return OCT_OK;
    }
    /* A number in quotes is no id in a body (it is one in a path). */
    if (oct_node_is(node, OCT_JSON_STRING) &&
        oct_point_id_parse(oct_json_string(node->value), out) && out->is_uuid)
        return OCT_OK;
    return fail_point_id(decoder, node);
}

oct_status oct_read_point_ids(oct_decoder *decoder, const oct_node *node, const oct_point_id **out,
                              uint32_t *count)
{
    oct_status status = OCT_OK;
    oct_point_id *ids = NULL;
    oct_node item;
    TRY(oct_expect(decoder, node, OCT_JSON_ARRAY));
    TRY(oct_arena_array(decoder->arena, oct_json_count(node->value), sizeof *ids, &ids,
                        decoder->error));
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item))
        TRY(oct_read_point_id(decoder, &item, &ids[item.index]));
    *out = ids;
    *count = (uint32_t)oct_json_count(node->value);
done:
    return status;
}

/* ---- payload ------------------------------------------------------------------------- */

oct_status oct_read_payload(oct_decoder *decoder, const oct_node *node, oct_str *out)
{
    oct_status status = OCT_OK;
    *out = OCT_STR("");
    if (!node->value || oct_node_is(node, OCT_JSON_NULL)) return OCT_OK;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    status = oct_payload_from_json(decoder->arena, node->value, out, decoder->error);
    if (status != OCT_OK) return oct_blame(decoder, node, status);
done:
    return status;
}

/* ---- selectors ----------------------------------------------------------------------- */

/* {"include": [..]} or {"exclude": [..]}, and nothing else in it. */
static oct_status read_include_exclude(oct_decoder *decoder, const oct_node *node,
                                       oct_selector *out)
{
    oct_status status = OCT_OK;
    oct_node include = oct_node_member(node, "include");
    oct_node exclude = oct_node_member(node, "exclude");
    bool including = include.value != NULL;
    if (oct_json_count(node->value) != 1 || (!including && !exclude.value))
        TRY(oct_unexpected(decoder, node,
                           "a boolean, an array of strings, or an object with an "
                           "include/exclude field"));
    out->mode = including ? OCT_SELECT_INCLUDE : OCT_SELECT_EXCLUDE;
    TRY(oct_read_paths(decoder, including ? &include : &exclude, &out->keys, &out->key_count));
done:
    return status;
}

oct_status oct_get_payload_selector(oct_decoder *decoder, const oct_node *object,
                                    oct_select_mode otherwise, oct_selector *out)
{
    oct_node node = oct_node_member(object, "with_payload");
    *out = (oct_selector){ .mode = otherwise };
    if (!node.value) return OCT_OK;
    if (oct_node_is(&node, OCT_JSON_BOOL)) {
        out->mode = oct_json_bool(node.value) ? OCT_SELECT_ALL : OCT_SELECT_NONE;
        return OCT_OK;
    }
    if (oct_node_is(&node, OCT_JSON_ARRAY)) {
        out->mode = OCT_SELECT_INCLUDE;
        return oct_read_paths(decoder, &node, &out->keys, &out->key_count);
    }
    if (oct_node_is(&node, OCT_JSON_OBJECT)) return read_include_exclude(decoder, &node, out);
    return oct_unexpected(decoder, &node,
                          "a boolean, an array of strings, or an object with an "
                          "include/exclude field");
}

oct_status oct_get_vector_selector(oct_decoder *decoder, const oct_node *object, oct_selector *out)
{
    oct_node node = oct_node_member(object, "with_vector");
    if (!node.value) node = oct_node_member(object, "with_vectors");
    *out = (oct_selector){ .mode = OCT_SELECT_NONE };
    if (!node.value) return OCT_OK;
    if (oct_node_is(&node, OCT_JSON_BOOL)) {
        out->mode = oct_json_bool(node.value) ? OCT_SELECT_ALL : OCT_SELECT_NONE;
        return OCT_OK;
    }
    if (!oct_node_is(&node, OCT_JSON_ARRAY))
        return oct_unexpected(decoder, &node, "a boolean, or an array of strings");
    out->mode = OCT_SELECT_INCLUDE;
    return oct_read_strs(decoder, &node, &out->keys, &out->key_count);
}
