/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_filter.c - filters and their conditions.
 *
 * A condition is told by its members: "key" makes it a condition on a payload field, else
 * has_id, is_empty, is_null, or a nested filter. A field condition should have one check; with
 * several it means what Qdrant's checker computes: is_empty alone decides, else is_null alone,
 * else match or range, which becomes a filter with a `should`. `is_empty: false` becomes a
 * `must_not`. Filters are the one message in which unknown members are errors: a misspelt
 * `must_not` must not delete everything. */
#include "api/decode_parts.h"

#include <math.h>

#include "base/str.h"

static oct_status read_filter(oct_decoder *decoder, const oct_node *node, oct_filter *out);

/* ---- match --------------------------------------------------------------------------- */

static oct_status read_scalar(oct_decoder *decoder, const oct_node *node, oct_scalar *out)
{
    if (oct_node_is(node, OCT_JSON_STRING)) {
        *out = (oct_scalar){ .kind = OCT_SCALAR_KEYWORD, .keyword = oct_json_string(node->value) };
        return OCT_OK;
    }
    if (oct_node_is(node, OCT_JSON_BOOL)) {
        *out = (oct_scalar){ .kind = OCT_SCALAR_BOOL, .integer = oct_json_bool(node->value) };
        return OCT_OK;
    }
    if (oct_node_is(node, OCT_JSON_INT) ||
        (oct_node_is(node, OCT_JSON_UINT) && oct_json_uint(node->value) <= INT64_MAX)) {
        *out = (oct_scalar){ .kind = OCT_SCALAR_INTEGER, .integer = oct_json_int(node->value) };
        return OCT_OK;
    }
    return oct_unexpected(decoder, node, "a string, a 64-bit integer or a boolean");
}

/* A list of strings or of integers, not mixed. */
static oct_status read_scalars(oct_decoder *decoder, const oct_node *node, oct_condition *out)
{
    oct_status status = OCT_OK;
    oct_scalar *values = NULL;
    oct_node item;
    TRY(oct_expect(decoder, node, OCT_JSON_ARRAY));
    TRY(oct_arena_array(decoder->arena, oct_json_count(node->value), sizeof *values, &values,
                        decoder->error));
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item)) {
        oct_scalar *value = &values[item.index];
        TRY(read_scalar(decoder, &item, value));
        if (value->kind == OCT_SCALAR_BOOL || value->kind != values[0].kind)
            TRY(oct_unexpected(decoder, &item, "only strings or only integers"));
    }
    out->values = values;
    out->value_count = (uint32_t)oct_json_count(node->value);
done:
    return status;
}

static oct_status read_match(oct_decoder *decoder, const oct_node *node, oct_condition *out)
{
    static const char *const later[] = { "text", "text_any", "phrase", "prefix" };
    oct_status status = OCT_OK;
    oct_scalar *value = NULL;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    oct_node one = oct_node_member(node, "value");
    oct_node any = oct_node_member(node, "any");
    oct_node except = oct_node_member(node, "except");
    if (one.value) {
        out->kind = OCT_CONDITION_MATCH_ANY;
        TRY(oct_arena_array(decoder->arena, 1, sizeof *value, &value, decoder->error));
        TRY(read_scalar(decoder, &one, value));
        out->values = value;
        out->value_count = 1;
        goto done;
    }
    for (size_t i = 0; i < ARRAY_COUNT(later); i++)
        TRY(oct_refuse(decoder, node, later[i]));
    if (!any.value && !except.value)
        TRY(OCT_FAIL_AT(decoder, node, OCT_BAD_INPUT, "expected one of `value`, `any`, `except`"));
    out->kind = any.value ? OCT_CONDITION_MATCH_ANY : OCT_CONDITION_MATCH_EXCEPT;
    TRY(read_scalars(decoder, any.value ? &any : &except, out));
done:
    return status;
}

/* ---- range --------------------------------------------------------------------------- */

/* One bound; a string would be a datetime. */
static oct_status get_bound(oct_decoder *decoder, const oct_node *object, const char *key,
                            bool *has, double *out)
{
    oct_node node = oct_node_member(object, key);
    if (oct_node_is(&node, OCT_JSON_STRING))
        return oct_refuse_node(decoder, &node, "datetime ranges are");
    return oct_get_f64(decoder, object, key, has, out);
}

static oct_status read_range(oct_decoder *decoder, const oct_node *node, oct_range *out)
{
    oct_status status = OCT_OK;
    bool has_gt, has_gte, has_lt, has_lte;
    double gt, gte, lt, lte;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    TRY(get_bound(decoder, node, "gt", &has_gt, &gt));
    TRY(get_bound(decoder, node, "gte", &has_gte, &gte));
    TRY(get_bound(decoder, node, "lt", &has_lt, &lt));
    TRY(get_bound(decoder, node, "lte", &has_lte, &lte));
    *out = (oct_range){ .lower = (double)-INFINITY, .upper = (double)INFINITY };
    out->has_lower = has_gt || has_gte;
    out->has_upper = has_lt || has_lte;
    /* Of two bounds on one side the tighter one decides. */
    out->lower_open = has_gt && (!has_gte || gt >= gte);
    out->upper_open = has_lt && (!has_lte || lt <= lte);
    if (out->has_lower) out->lower = out->lower_open ? gt : gte;
    if (out->has_upper) out->upper = out->upper_open ? lt : lte;
done:
    return status;
}

/* ---- conditions ---------------------------------------------------------------------- */

static oct_status wrap_filter(oct_decoder *decoder, oct_filter **filter, oct_condition *out)
{
    *out = (oct_condition){ .kind = OCT_CONDITION_FILTER };
    oct_status status = oct_arena_array(decoder->arena, 1, sizeof **filter, filter, decoder->error);
    out->filter = *filter;
    return status;
}

/* is_empty or is_null of a field condition: true is the condition, false its negation. */
static oct_status read_flag_check(oct_decoder *decoder, const oct_node *node,
                                  oct_condition_kind kind, oct_str key, oct_condition *out)
{
    oct_status status = OCT_OK;
    oct_condition *inner = NULL;
    oct_filter *filter = NULL;
    oct_condition check = { .kind = kind, .key = key };
    TRY(oct_expect(decoder, node, OCT_JSON_BOOL));
    *out = check;
    if (oct_json_bool(node->value)) return OCT_OK;
    TRY(oct_arena_array(decoder->arena, 1, sizeof *inner, &inner, decoder->error));
    *inner = check;
    TRY(wrap_filter(decoder, &filter, out));
    filter->must_not = (oct_conditions){ inner, 1 };
done:
    return status;
}

/* match and range, in checks[2]. */
static oct_status read_value_checks(oct_decoder *decoder, const oct_node *node, oct_str key,
                                    oct_condition *checks, uint32_t *count)
{
    oct_status status = OCT_OK;
    oct_node match = oct_node_member(node, "match");
    oct_node range = oct_node_member(node, "range");
    *count = 0;
    if (match.value) {
        checks[*count].key = key;
        TRY(read_match(decoder, &match, &checks[(*count)++]));
    }
    if (range.value) {
        checks[*count] = (oct_condition){ .kind = OCT_CONDITION_RANGE, .key = key };
        TRY(read_range(decoder, &range, &checks[(*count)++].range));
    }
done:
    return status;
}

/* One value check is the condition; two are alternatives. */
static oct_status read_value_condition(oct_decoder *decoder, const oct_node *node, oct_str key,
                                       oct_condition *out)
{
    enum { CHECKS_MAX = 2 };
    oct_status status = OCT_OK;
    oct_condition *checks = NULL;
    oct_filter *filter = NULL;
    uint32_t count = 0;
    TRY(oct_arena_array(decoder->arena, CHECKS_MAX, sizeof *checks, &checks, decoder->error));
    TRY(read_value_checks(decoder, node, key, checks, &count));
    if (count == 0)
        TRY(OCT_FAIL_AT(decoder, node, OCT_VALIDATION,
                        "At least one field condition must be specified"));
    *out = checks[0];
    if (count == 1) goto done;
    TRY(wrap_filter(decoder, &filter, out));
    filter->should = (oct_conditions){ checks, count };
done:
    return status;
}

static oct_status read_field_condition(oct_decoder *decoder, const oct_node *node,
                                       const oct_node *key_node, oct_condition *out)
{
    static const char *const later[] = { "geo_bounding_box", "geo_radius", "geo_polygon",
                                         "values_count" };
    oct_status status = OCT_OK;
    oct_str key;
    oct_node is_empty = oct_node_member(node, "is_empty");
    oct_node is_null = oct_node_member(node, "is_null");
    TRY(oct_read_path(decoder, key_node, &key));
    for (size_t i = 0; i < ARRAY_COUNT(later); i++)
        TRY(oct_refuse(decoder, node, later[i]));
    if (is_empty.value)
        return read_flag_check(decoder, &is_empty, OCT_CONDITION_IS_EMPTY, key, out);
    if (is_null.value) return read_flag_check(decoder, &is_null, OCT_CONDITION_IS_NULL, key, out);
    TRY(read_value_condition(decoder, node, key, out));
done:
    return status;
}

/* {"is_empty": {"key": ".."}} and is_null. */
static oct_status read_missing(oct_decoder *decoder, const oct_node *node, oct_condition_kind kind,
                               oct_condition *out)
{
    oct_status status = OCT_OK;
    oct_node key;
    out->kind = kind;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, node, "key", &key));
    TRY(oct_read_path(decoder, &key, &out->key));
done:
    return status;
}

static oct_status read_condition(oct_decoder *decoder, const oct_node *node, oct_condition *out)
{
    oct_status status = OCT_OK;
    oct_filter *filter = NULL;
    if (++decoder->condition_count > OCT_FILTER_CONDITIONS_MAX)
        TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT, "more than %d conditions",
                        OCT_FILTER_CONDITIONS_MAX));
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    oct_node key = oct_node_member(node, "key");
    if (key.value) return read_field_condition(decoder, node, &key, out);
    oct_node is_empty = oct_node_member(node, "is_empty");
    if (is_empty.value) return read_missing(decoder, &is_empty, OCT_CONDITION_IS_EMPTY, out);
    oct_node is_null = oct_node_member(node, "is_null");
    if (is_null.value) return read_missing(decoder, &is_null, OCT_CONDITION_IS_NULL, out);
    oct_node has_id = oct_node_member(node, "has_id");
    if (has_id.value) {
        out->kind = OCT_CONDITION_HAS_ID;
        return oct_read_point_ids(decoder, &has_id, &out->ids, &out->id_count);
    }
    TRY(oct_refuse(decoder, node, "has_vector"));
    TRY(oct_refuse(decoder, node, "slice"));
    TRY(oct_refuse(decoder, node, "nested"));
    TRY(wrap_filter(decoder, &filter, out));
    TRY(read_filter(decoder, node, filter));
done:
    return status;
}

/* One condition, or a list of them. */
static oct_status read_conditions(oct_decoder *decoder, const oct_node *node, oct_conditions *out)
{
    oct_status status = OCT_OK;
    oct_condition *list = NULL;
    oct_node item;
    bool many = oct_node_is(node, OCT_JSON_ARRAY);
    size_t count = many ? oct_json_count(node->value) : 1;
    /* Checked here already: the list is allocated before its conditions are counted. */
    if (count > OCT_FILTER_CONDITIONS_MAX)
        TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT, "more than %d conditions",
                        OCT_FILTER_CONDITIONS_MAX));
    TRY(oct_arena_array(decoder->arena, count, sizeof *list, &list, decoder->error));
    *out = (oct_conditions){ list, (uint32_t)count };
    if (!many) return read_condition(decoder, node, list);
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item))
        TRY(read_condition(decoder, &item, &list[item.index]));
done:
    return status;
}

/* ---- the filter ---------------------------------------------------------------------- */

static oct_status read_min_should(oct_decoder *decoder, const oct_node *node, oct_filter *out)
{
    oct_status status = OCT_OK;
    oct_node conditions, min_count;
    uint64_t count = 0;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, node, "conditions", &conditions));
    TRY(oct_expect(decoder, &conditions, OCT_JSON_ARRAY));
    TRY(read_conditions(decoder, &conditions, &out->min_should));
    TRY(oct_get(decoder, node, "min_count", &min_count));
    TRY(oct_get_u64(decoder, node, "min_count", OCT_MIN_COUNT_MIN, 0, &count));
    /* More than there are conditions can't hold, however many more. */
    out->min_should_count = (uint32_t)MIN(count, (uint64_t)out->min_should.count + 1);
done:
    return status;
}

static oct_status reject_unknown_members(oct_decoder *decoder, const oct_node *node)
{
    static const char *const known[] = { "should", "min_should", "must", "must_not" };
    oct_items items = oct_items_of(node);
    oct_node item;
    while (oct_items_next(&items, &item)) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_COUNT(known); i++)
            found |= oct_str_equal(item.key, oct_str_of(known[i]));
        if (found) continue;
        oct_str key = oct_clip(item.key);
        return OCT_FAIL_AT(decoder, node, OCT_BAD_INPUT,
                           "unknown field `%.*s`, expected some form of condition or one of "
                           "`should`, `min_should`, `must`, `must_not`",
                           (int)key.bytes, key.at);
    }
    return OCT_OK;
}

static oct_status read_filter(oct_decoder *decoder, const oct_node *node, oct_filter *out)
{
    oct_status status = OCT_OK;
    TRY(oct_expect(decoder, node, OCT_JSON_OBJECT));
    if (++decoder->filter_depth > OCT_FILTER_DEPTH_MAX)
        TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT, "filters nested deeper than %d levels",
                        OCT_FILTER_DEPTH_MAX));
    TRY(reject_unknown_members(decoder, node));
    oct_node must = oct_node_member(node, "must");
    oct_node should = oct_node_member(node, "should");
    oct_node must_not = oct_node_member(node, "must_not");
    oct_node min_should = oct_node_member(node, "min_should");
    if (must.value) TRY(read_conditions(decoder, &must, &out->must));
    if (should.value) TRY(read_conditions(decoder, &should, &out->should));
    if (must_not.value) TRY(read_conditions(decoder, &must_not, &out->must_not));
    if (min_should.value) TRY(read_min_should(decoder, &min_should, out));
    decoder->filter_depth--;
done:
    return status;
}

oct_status oct_get_filter(oct_decoder *decoder, const oct_node *object, const char *key,
                          const oct_filter **out)
{
    oct_status status = OCT_OK;
    oct_filter *filter = NULL;
    oct_node node = oct_node_member(object, key);
    *out = NULL;
    if (!node.value) return OCT_OK;
    TRY(oct_arena_array(decoder->arena, 1, sizeof *filter, &filter, decoder->error));
    TRY(read_filter(decoder, &node, filter));
    *out = filter;
done:
    return status;
}
