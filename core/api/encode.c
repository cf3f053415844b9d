/* SPDX-License-Identifier: Apache-2.0
 *
 * encode.c - responses as JSON, member by member in Qdrant's order.
 *
 * What was not asked for is left out (payload, vector); what is asked for and empty is there
 * ("payload":{}, "vector":{}). A point whose only vector is the unnamed one shows it as a list. */
#include "api/encode.h"

#include "base/str.h"
#include "model/config.h"
#include "model/point_id.h"

static void member(oct_json_writer *writer, const char *name)
{
    oct_json_key(writer, oct_str_of(name));
}

static void write_text(oct_json_writer *writer, const char *text)
{
    oct_json_write_str(writer, oct_str_of(text));
}

/* ---- points -------------------------------------------------------------------------- */

static void write_indices(oct_json_writer *writer, const oct_named_vector *vector)
{
    oct_json_begin_array(writer);
    for (uint32_t i = 0; i < vector->count; i++)
        oct_json_write_uint(writer, vector->indices[i]);
    oct_json_end_array(writer);
}

static void write_vector(oct_json_writer *writer, const oct_named_vector *vector)
{
    switch (vector->kind) {
    case OCT_VECTOR_DENSE:
        oct_json_write_floats(writer, vector->values, vector->count);
        break;
    case OCT_VECTOR_MULTI:
        oct_json_begin_array(writer);
        for (uint32_t i = 0, dim = vector->count / vector->rows; i < vector->rows; i++)
            oct_json_write_floats(writer, vector->values + (size_t)i * dim, dim);
        oct_json_end_array(writer);
        break;
    case OCT_VECTOR_SPARSE:
        oct_json_begin_object(writer);
        member(writer, "indices");
        write_indices(writer, vector);
        member(writer, "values");
        oct_json_write_floats(writer, vector->values, vector->count);
        oct_json_end_object(writer);
        break;
    }
}

static void write_vectors(oct_json_writer *writer, const oct_named_vector *vectors, uint32_t count)
{
    if (count == 1 && vectors[0].name.bytes == 0) {
        write_vector(writer, &vectors[0]);
        return;
    }
    oct_json_begin_object(writer);
    for (uint32_t i = 0; i < count; i++) {
        oct_json_key(writer, vectors[i].name);
        write_vector(writer, &vectors[i]);
    }
    oct_json_end_object(writer);
}

static void write_point(oct_json_writer *writer, const oct_found_point *point, bool scored)
{
    oct_json_begin_object(writer);
    member(writer, "id");
    oct_point_id_write(writer, point->id);
    if (scored) {
        member(writer, "version");
        oct_json_write_uint(writer, point->version);
        member(writer, "score");
        oct_json_write_float(writer, point->score);
    }
    if (point->payload.at) {
        member(writer, "payload");
        oct_json_write_raw(writer, point->payload);
    }
    if (point->vectors) {
        member(writer, "vector");
        write_vectors(writer, point->vectors, point->vector_count);
    }
    oct_json_end_object(writer);
}

static void write_points(oct_json_writer *writer, const oct_found *found, bool scored)
{
    oct_json_begin_array(writer);
    for (uint32_t i = 0; i < found->count; i++)
        write_point(writer, &found->points[i], scored);
    oct_json_end_array(writer);
}

static void write_search_result(oct_json_writer *writer, const oct_found *found)
{
    write_points(writer, found, true);
}

static void write_query_result(oct_json_writer *writer, const oct_found *found)
{
    oct_json_begin_object(writer);
    member(writer, "points");
    write_points(writer, found, true);
    oct_json_end_object(writer);
}

/* The answers of a batch, in the order of its requests. */
static void write_batch(oct_json_writer *writer, const oct_found *founds, uint32_t count,
                        void (*write_one)(oct_json_writer *writer, const oct_found *found))
{
    oct_json_begin_array(writer);
    for (uint32_t i = 0; i < count; i++)
        write_one(writer, &founds[i]);
    oct_json_end_array(writer);
}

static void write_scroll_result(oct_json_writer *writer, const oct_found *found)
{
    oct_json_begin_object(writer);
    member(writer, "points");
    write_points(writer, found, false);
    member(writer, "next_page_offset");
    if (found->has_next)
        oct_point_id_write(writer, found->next);
    else
        oct_json_write_null(writer);
    oct_json_end_object(writer);
}

static void write_count(oct_json_writer *writer, uint64_t count)
{
    oct_json_begin_object(writer);
    member(writer, "count");
    oct_json_write_uint(writer, count);
    oct_json_end_object(writer);
}

static void write_update_result(oct_json_writer *writer, const oct_write_result *result)
{
    oct_json_begin_object(writer);
    member(writer, "operation_id");
    oct_json_write_uint(writer, result->operation_id);
    member(writer, "status");
    write_text(writer, result->completed ? "completed" : "acknowledged");
    oct_json_end_object(writer);
}

/* ---- collections --------------------------------------------------------------------- */

static void write_names(oct_json_writer *writer, const oct_str *names, uint32_t count)
{
    oct_json_begin_object(writer);
    member(writer, "collections");
    oct_json_begin_array(writer);
    for (uint32_t i = 0; i < count; i++) {
        oct_json_begin_object(writer);
        member(writer, "name");
        oct_json_write_str(writer, names[i]);
        oct_json_end_object(writer);
    }
    oct_json_end_array(writer);
    oct_json_end_object(writer);
}

static void write_exists(oct_json_writer *writer, bool exists)
{
    oct_json_begin_object(writer);
    member(writer, "exists");
    oct_json_write_bool(writer, exists);
    oct_json_end_object(writer);
}

static const char *collection_status_name(oct_collection_status status)
{
    switch (status) {
    case OCT_COLLECTION_GREEN:
        return "green";
    case OCT_COLLECTION_YELLOW:
        return "yellow";
    case OCT_COLLECTION_RED:
        break;
    }
    return "red";
}

/* "ok", or {"error": why}. */
static void write_optimizer_status(oct_json_writer *writer, const oct_collection_info *info)
{
    if (info->status != OCT_COLLECTION_RED) {
        write_text(writer, "ok");
        return;
    }
    oct_json_begin_object(writer);
    member(writer, "error");
    oct_json_write_str(writer, info->problem);
    oct_json_end_object(writer);
}

static void write_payload_schema(oct_json_writer *writer, const oct_collection_info *info)
{
    oct_json_begin_object(writer);
    for (uint32_t i = 0; i < info->field_count; i++) {
        oct_json_key(writer, info->fields[i].config.key);
        oct_field_config_write(writer, &info->fields[i].config, info->fields[i].points);
    }
    oct_json_end_object(writer);
}

static void write_info(oct_json_writer *writer, const oct_collection_info *info)
{
    oct_json_begin_object(writer);
    member(writer, "status");
    write_text(writer, collection_status_name(info->status));
    member(writer, "optimizer_status");
    write_optimizer_status(writer, info);
    member(writer, "indexed_vectors_count");
    oct_json_write_uint(writer, info->indexed_vectors_count);
    member(writer, "points_count");
    oct_json_write_uint(writer, info->points_count);
    member(writer, "segments_count");
    oct_json_write_uint(writer, info->segments_count);
    member(writer, "config");
    oct_config_write(writer, info->config);
    member(writer, "payload_schema");
    write_payload_schema(writer, info);
    member(writer, "update_queue"); /* changes are applied before they are answered */
    oct_json_begin_object(writer);
    member(writer, "length");
    oct_json_write_uint(writer, 0);
    oct_json_end_object(writer);
    oct_json_end_object(writer);
}

/* ---- memory -------------------------------------------------------------------------- */

static void write_usage(oct_json_writer *writer, const char *name, const oct_memory_usage *usage)
{
    member(writer, name);
    oct_json_begin_object(writer);
    member(writer, "disk_bytes");
    oct_json_write_uint(writer, usage->disk_bytes);
    member(writer, "ram_bytes");
    oct_json_write_uint(writer, usage->ram_bytes);
    member(writer, "cached_bytes");
    oct_json_write_uint(writer, usage->cached_bytes);
    member(writer, "expected_cache_bytes");
    oct_json_write_uint(writer, usage->expected_cache_bytes);
    oct_json_end_object(writer);
}

static void write_vector_memory(oct_json_writer *writer, const oct_memory_report *report,
                                bool sparse)
{
    oct_json_begin_array(writer);
    for (uint32_t v = 0; v < report->vector_count; v++) {
        const oct_vector_memory *vector = &report->vectors[v];
        if (vector->sparse != sparse) continue;
        oct_json_begin_object(writer);
        member(writer, "name");
        oct_json_write_str(writer, vector->name);
        write_usage(writer, "storage", &vector->storage);
        write_usage(writer, "index", &vector->index);
        if (vector->has_quantized) write_usage(writer, "quantized", &vector->quantized);
        oct_json_end_object(writer);
    }
    oct_json_end_array(writer);
}

/* As Qdrant shows it, and in `other` two parts more. */
static void write_memory(oct_json_writer *writer, const oct_memory_report *report)
{
    oct_json_begin_object(writer);
    write_usage(writer, "total", &report->total);
    member(writer, "vectors");
    write_vector_memory(writer, report, false);
    member(writer, "sparse_vectors");
    write_vector_memory(writer, report, true);
    write_usage(writer, "payload", &report->payload);
    member(writer, "payload_index");
    oct_json_begin_array(writer);
    for (uint32_t f = 0; f < report->field_count; f++) {
        oct_json_begin_object(writer);
        member(writer, "name");
        oct_json_write_str(writer, report->fields[f].key);
        write_usage(writer, "usage", &report->fields[f].usage);
        oct_json_end_object(writer);
    }
    oct_json_end_array(writer);
    member(writer, "other");
    oct_json_begin_object(writer);
    write_usage(writer, "id_tracker", &report->ids);
    write_usage(writer, "memory_segments", &report->memory_segments);
    write_usage(writer, "log", &report->log);
    oct_json_end_object(writer);
    oct_json_end_object(writer);
}

/* ---- results and envelopes ----------------------------------------------------------- */

void oct_encode_result(oct_json_writer *writer, const oct_request *request,
                       const oct_response *response)
{
    switch (request->op) {
    case OCT_OP_service_version:
    case OCT_OP_service_healthz:
    case OCT_OP_service_livez:
    case OCT_OP_service_readyz:
        break; /* these have no result */
    case OCT_OP_collections_list:
        write_names(writer, response->names, response->name_count);
        break;
    case OCT_OP_collections_get:
        write_info(writer, &response->info);
        break;
    case OCT_OP_collections_memory:
        write_memory(writer, &response->memory);
        break;
    case OCT_OP_collections_exists:
        write_exists(writer, response->flag);
        break;
    case OCT_OP_collections_create:
    case OCT_OP_collections_update:
    case OCT_OP_collections_delete:
        oct_json_write_bool(writer, response->flag);
        break;
    case OCT_OP_index_create:
    case OCT_OP_index_delete:
    case OCT_OP_points_upsert:
    case OCT_OP_points_delete:
    case OCT_OP_payload_set:
    case OCT_OP_payload_overwrite:
    case OCT_OP_payload_delete:
    case OCT_OP_payload_clear:
    case OCT_OP_vectors_update:
    case OCT_OP_vectors_delete:
        write_update_result(writer, &response->write);
        break;
    case OCT_OP_points_get:
        write_point(writer, &response->found.points[0], false);
        break;
    case OCT_OP_points_retrieve:
        write_points(writer, &response->found, false);
        break;
    case OCT_OP_points_query:
        write_query_result(writer, &response->found);
        break;
    case OCT_OP_points_query_batch:
        write_batch(writer, response->founds, request->query_count, write_query_result);
        break;
    case OCT_OP_points_search:
        write_search_result(writer, &response->found);
        break;
    case OCT_OP_points_search_batch:
        write_batch(writer, response->founds, request->query_count, write_search_result);
        break;
    case OCT_OP_points_scroll:
        write_scroll_result(writer, &response->found);
        break;
    case OCT_OP_points_count:
        write_count(writer, response->count);
        break;
    case OCT_OP_COUNT:
        ASSERT(false);
    }
}

void oct_encode_success(oct_json_writer *writer, const oct_request *request,
                        const oct_response *response, double seconds)
{
    oct_json_begin_object(writer);
    member(writer, "result");
    oct_encode_result(writer, request, response);
    member(writer, "status");
    write_text(writer, "ok");
    member(writer, "time");
    oct_json_write_double(writer, seconds);
    oct_json_end_object(writer);
}

void oct_encode_error(oct_json_writer *writer, oct_str message, double seconds)
{
    oct_json_begin_object(writer);
    member(writer, "status");
    oct_json_begin_object(writer);
    member(writer, "error");
    oct_json_write_str(writer, message);
    oct_json_end_object(writer);
    member(writer, "time");
    oct_json_write_double(writer, seconds);
    oct_json_end_object(writer);
}

/* `version` is that of Qdrant's API, because clients compare it with their own. */
void oct_encode_version(oct_json_writer *writer)
{
    oct_json_begin_object(writer);
    member(writer, "title");
    write_text(writer, "octant");
    member(writer, "version");
    write_text(writer, oct_qdrant_version());
    member(writer, "octant_version");
    write_text(writer, oct_version());
    oct_json_end_object(writer);
}

const char *oct_encode_plain(oct_op op)
{
    if (op == OCT_OP_service_healthz || op == OCT_OP_service_livez) return "healthz check passed";
    if (op == OCT_OP_service_readyz) return "all shards are ready";
    return NULL;
}
