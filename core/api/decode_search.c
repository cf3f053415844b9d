/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_search.c - the bodies of everything that reads points. */
#include "api/decode_parts.h"

/* ---- search parameters --------------------------------------------------------------- */

/* Quantization and ACORN settings say how to search, not what to find. No collection is quantized
 * and there is no ACORN, so they have no effect, as in Qdrant; but they are checked. */
static oct_status check_hints(oct_decoder *decoder, const oct_node *params)
{
    oct_status status = OCT_OK;
    bool flag, has;
    double number;
    oct_node quantization = oct_node_member(params, "quantization");
    if (quantization.value) {
        TRY(oct_expect(decoder, &quantization, OCT_JSON_OBJECT));
        TRY(oct_get_bool(decoder, &quantization, "ignore", false, &flag));
        TRY(oct_get_bool(decoder, &quantization, "rescore", false, &flag));
        TRY(oct_get_f64(decoder, &quantization, "oversampling", &has, &number));
        oct_node oversampling = oct_node_member(&quantization, "oversampling");
        if (has && number < 1.0)
            TRY(OCT_FAIL_AT(decoder, &oversampling, OCT_VALIDATION,
                            "value %g invalid, must be 1.0 or larger", number));
    }
    oct_node acorn = oct_node_member(params, "acorn");
    if (acorn.value) {
        TRY(oct_expect(decoder, &acorn, OCT_JSON_OBJECT));
        TRY(oct_get_bool(decoder, &acorn, "enable", false, &flag));
        TRY(oct_get_f64(decoder, &acorn, "max_selectivity", &has, &number));
        oct_node selectivity = oct_node_member(&acorn, "max_selectivity");
        if (has && (number < 0.0 || number > 1.0))
            TRY(OCT_FAIL_AT(decoder, &selectivity, OCT_VALIDATION,
                            "value %g invalid, must be from 0.0 to 1.0", number));
    }
done:
    return status;
}

static oct_status get_params(oct_decoder *decoder, const oct_node *body, oct_query *out)
{
    oct_status status = OCT_OK;
    oct_node params = oct_node_member(body, "params");
    out->hnsw_ef = OCT_UNSET;
    if (!params.value) return OCT_OK;
    TRY(oct_expect(decoder, &params, OCT_JSON_OBJECT));
    TRY(oct_get_u64(decoder, &params, "hnsw_ef", OCT_HNSW_EF_MIN, OCT_UNSET, &out->hnsw_ef));
    TRY(oct_get_bool(decoder, &params, "exact", false, &out->exact));
    TRY(oct_get_bool(decoder, &params, "indexed_only", false, &out->indexed_only));
    TRY(oct_refuse(decoder, &params, "idf"));
    TRY(check_hints(decoder, &params));
done:
    return status;
}

/* What points/query and points/search have in common. */
static oct_status read_common(oct_decoder *decoder, const oct_node *body, oct_query *out)
{
    oct_status status = OCT_OK;
    TRY(oct_refuse(decoder, body, "shard_key"));
    TRY(oct_get_filter(decoder, body, "filter", &out->filter));
    TRY(get_params(decoder, body, out));
    TRY(oct_get_f32(decoder, body, "score_threshold", &out->has_score_threshold,
                    &out->score_threshold));
    TRY(oct_get_u64(decoder, body, "offset", 0, 0, &out->offset));
    TRY(oct_get_payload_selector(decoder, body, OCT_SELECT_NONE, &out->with_payload));
    TRY(oct_get_vector_selector(decoder, body, &out->with_vector));
done:
    return status;
}

/* ---- points/query -------------------------------------------------------------------- */

oct_status oct_read_query_body(oct_decoder *decoder, const oct_node *body, oct_query *out)
{
    oct_status status = OCT_OK;
    *out = (oct_query){ .kind = OCT_QUERY_NONE };
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_refuse(decoder, body, "prefetch"));
    TRY(oct_refuse(decoder, body, "lookup_from"));
    oct_node query = oct_node_member(body, "query");
    if (query.value) TRY(oct_read_query_union(decoder, &query, out));
    TRY(oct_get_str(decoder, body, "using", &out->using_vector));
    TRY(oct_get_u64(decoder, body, "limit", OCT_LIMIT_MIN, OCT_DEFAULT_LIMIT, &out->limit));
    TRY(read_common(decoder, body, out));
done:
    return status;
}

/* ---- points/search, the older form --------------------------------------------------- */

/* A vector, or {"name": .., "vector": ..}. */
static oct_status read_search_vector(oct_decoder *decoder, const oct_node *node, oct_query *out)
{
    oct_status status = OCT_OK;
    oct_node name, vector;
    out->using_vector = OCT_STR("");
    if (!oct_node_is(node, OCT_JSON_OBJECT) || !oct_node_member(node, "name").value)
        return oct_read_query_vector(decoder, node, out);
    TRY(oct_get(decoder, node, "name", &name));
    TRY(oct_expect(decoder, &name, OCT_JSON_STRING));
    out->using_vector = oct_json_string(name.value);
    TRY(oct_get(decoder, node, "vector", &vector));
    TRY(oct_read_query_vector(decoder, &vector, out));
done:
    return status;
}

oct_status oct_read_search_body(oct_decoder *decoder, const oct_node *body, oct_query *out)
{
    oct_status status = OCT_OK;
    oct_node vector, limit;
    *out = (oct_query){ .kind = OCT_QUERY_VECTOR };
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, body, "vector", &vector));
    TRY(read_search_vector(decoder, &vector, out));
    const char *limit_key = oct_node_member(body, "top").value ? "top" : "limit";
    TRY(oct_get(decoder, body, limit_key, &limit));
    TRY(oct_get_u64(decoder, body, limit_key, OCT_LIMIT_MIN, 0, &out->limit));
    TRY(read_common(decoder, body, out));
done:
    return status;
}

/* ---- the others ---------------------------------------------------------------------- */

oct_status oct_read_scroll_body(oct_decoder *decoder, const oct_node *body, oct_scroll *out)
{
    oct_status status = OCT_OK;
    *out = (oct_scroll){ .filter = NULL };
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_refuse(decoder, body, "shard_key"));
    TRY(oct_refuse(decoder, body, "order_by"));
    TRY(oct_get_filter(decoder, body, "filter", &out->filter));
    TRY(oct_get_u64(decoder, body, "limit", OCT_LIMIT_MIN, OCT_DEFAULT_LIMIT, &out->limit));
    TRY(oct_get_payload_selector(decoder, body, OCT_SELECT_ALL, &out->with_payload));
    TRY(oct_get_vector_selector(decoder, body, &out->with_vector));
    oct_node offset = oct_node_member(body, "offset");
    out->has_offset = offset.value != NULL;
    if (out->has_offset) TRY(oct_read_point_id(decoder, &offset, &out->offset));
done:
    return status;
}

oct_status oct_read_count_body(oct_decoder *decoder, const oct_node *body, oct_count *out)
{
    oct_status status = OCT_OK;
    *out = (oct_count){ .filter = NULL };
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_refuse(decoder, body, "shard_key"));
    TRY(oct_get_filter(decoder, body, "filter", &out->filter));
    TRY(oct_get_bool(decoder, body, "exact", true, &out->exact));
done:
    return status;
}

oct_status oct_read_retrieve_body(oct_decoder *decoder, const oct_node *body, oct_retrieve *out)
{
    oct_status status = OCT_OK;
    oct_node ids;
    *out = (oct_retrieve){ .ids = NULL };
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_refuse(decoder, body, "shard_key"));
    TRY(oct_get(decoder, body, "ids", &ids));
    TRY(oct_read_point_ids(decoder, &ids, &out->ids, &out->id_count));
    TRY(oct_get_payload_selector(decoder, body, OCT_SELECT_ALL, &out->with_payload));
    TRY(oct_get_vector_selector(decoder, body, &out->with_vector));
done:
    return status;
}
