/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_search.c - the bodies of everything that reads points. */
#include "api/decode_parts.h"
#include "base/str.h"

/* ---- search parameters --------------------------------------------------------------- */

static oct_status get_quantization(oct_decoder *decoder, const oct_node *params,
                                   oct_quantization_search *out)
{
    oct_status status = OCT_OK;
    bool has;
    oct_node quantization = oct_node_member(params, "quantization");
    if (!quantization.value) return OCT_OK;
    TRY(oct_expect(decoder, &quantization, OCT_JSON_OBJECT));
    TRY(oct_get_bool(decoder, &quantization, "ignore", false, &out->ignore));
    out->has_rescore = oct_node_member(&quantization, "rescore").value != NULL;
    TRY(oct_get_bool(decoder, &quantization, "rescore", false, &out->rescore));
    TRY(oct_get_f64(decoder, &quantization, "oversampling", &has, &out->oversampling));
    oct_node oversampling = oct_node_member(&quantization, "oversampling");
    if (has && out->oversampling < 1.0)
        TRY(OCT_FAIL_AT(decoder, &oversampling, OCT_VALIDATION,
                        "value %g invalid, must be 1.0 or larger", out->oversampling));
done:
    return status;
}

static oct_status get_acorn(oct_decoder *decoder, const oct_node *params, oct_acorn *out)
{
    oct_status status = OCT_OK;
    oct_node acorn = oct_node_member(params, "acorn");
    if (!acorn.value) return OCT_OK;
    TRY(oct_expect(decoder, &acorn, OCT_JSON_OBJECT));
    TRY(oct_get_bool(decoder, &acorn, "enable", false, &out->enable));
    TRY(oct_get_f64(decoder, &acorn, "max_selectivity", &out->has_max_selectivity,
                    &out->max_selectivity));
    oct_node selectivity = oct_node_member(&acorn, "max_selectivity");
    if (out->has_max_selectivity && (out->max_selectivity < 0.0 || out->max_selectivity > 1.0))
        TRY(OCT_FAIL_AT(decoder, &selectivity, OCT_VALIDATION,
                        "value %g invalid, must be from 0.0 to 1.0", out->max_selectivity));
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
    oct_node idf = oct_node_member(&params, "idf");
    bool global = oct_node_is(&idf, OCT_JSON_STRING) &&
                  oct_str_equal(oct_json_string(idf.value), OCT_STR("global"));
    if (!global) TRY(oct_refuse(decoder, &params, "idf")); /* of some points only */
    TRY(get_quantization(decoder, &params, &out->quantization));
    TRY(get_acorn(decoder, &params, &out->acorn));
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

/* ---- batches of either --------------------------------------------------------------- */

oct_status oct_read_batch_body(oct_decoder *decoder, const oct_node *body,
                               oct_status (*read_one)(oct_decoder *decoder, const oct_node *body,
                                                      oct_query *out),
                               oct_request *out)
{
    oct_status status = OCT_OK;
    oct_query *queries = NULL;
    oct_node searches, item;
    out->queries = NULL;
    out->query_count = 0;
    TRY(oct_expect(decoder, body, OCT_JSON_OBJECT));
    TRY(oct_get(decoder, body, "searches", &searches));
    TRY(oct_expect(decoder, &searches, OCT_JSON_ARRAY));
    size_t count = oct_json_count(searches.value);
    TRY(oct_arena_array(decoder->arena, count, sizeof *queries, &queries, decoder->error));
    oct_items items = oct_items_of(&searches);
    while (oct_items_next(&items, &item))
        TRY(read_one(decoder, &item, &queries[item.index]));
    out->queries = queries;
    out->query_count = (uint32_t)count;
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
