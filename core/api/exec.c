/* SPDX-License-Identifier: Apache-2.0
 *
 * exec.c - one switch from operations to the functions of db/db.h. It sees no text and decides
 * nothing: behaviour lives below. */
#include "api/exec.h"

#include "db/db.h"
#include "model/point_id.h"

/* GET points/{id} is the one read for which a missing point is an error. */
static oct_status require_found(const oct_request *request, const oct_found *found,
                                oct_error *error)
{
    if (found->count > 0) return OCT_OK;
    char id[OCT_POINT_ID_TEXT_BYTES];
    oct_point_id_print(request->retrieve.ids[0], id);
    return oct_fail(error, OCT_NOT_FOUND, "Point with id %s does not exists!", id);
}

/* Operations on one existing collection, which response->pinned is. */
static oct_status exec_pinned(oct_arena *arena, const oct_request *request, oct_response *response,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    oct_collection *collection = response->pinned;
    switch (request->op) {
    case OCT_OP_collections_get:
        return oct_collection_describe(collection, arena, &response->info, error);
    case OCT_OP_collections_update:
        response->flag = true;
        return oct_collection_update(collection, arena, &request->config, error);
    case OCT_OP_collections_memory:
        return oct_collection_memory(collection, arena, &response->memory, error);
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
        return oct_collection_write(collection, arena, &request->write, &response->write, error);
    case OCT_OP_points_get:
        TRY(oct_collection_retrieve(collection, arena, &request->retrieve, &response->found,
                                    error));
        TRY(require_found(request, &response->found, error));
        break;
    case OCT_OP_points_retrieve:
        return oct_collection_retrieve(collection, arena, &request->retrieve, &response->found,
                                       error);
    case OCT_OP_points_query:
    case OCT_OP_points_search:
        return oct_collection_query(collection, arena, &request->query, &response->found, error);
    case OCT_OP_points_query_batch:
    case OCT_OP_points_search_batch:
        return oct_collection_query_batch(collection, arena, request->queries, request->query_count,
                                          &response->founds, error);
    case OCT_OP_points_scroll:
        return oct_collection_scroll(collection, arena, &request->scroll, &response->found, error);
    case OCT_OP_points_count:
        return oct_collection_count(collection, arena, &request->count, &response->count, error);
    case OCT_OP_service_version:
    case OCT_OP_service_healthz:
    case OCT_OP_service_livez:
    case OCT_OP_service_readyz:
    case OCT_OP_collections_list:
    case OCT_OP_collections_exists:
    case OCT_OP_collections_create:
    case OCT_OP_collections_delete:
    case OCT_OP_COUNT:
        ASSERT(false); /* oct_exec does these */
    }
done:
    return status;
}

static oct_status exec_exists(oct_db *db, oct_str name, bool *exists, oct_error *error)
{
    oct_collection *collection = NULL;
    oct_status status = oct_db_pin(db, name, &collection, error);
    *exists = status != OCT_NOT_FOUND;
    if (status == OCT_OK) oct_db_unpin(collection);
    return status == OCT_NOT_FOUND ? OCT_OK : status;
}

static oct_status exec_create(oct_db *db, const oct_request *request, bool *created,
                              oct_error *error)
{
    *created = true;
    return oct_db_create_collection(db, request->collection, &request->config, error);
}

oct_status oct_exec(oct_db *db, oct_arena *arena, const oct_request *request,
                    oct_response *response, oct_error *error)
{
    oct_status status = OCT_OK;
    *response = (oct_response){ .pinned = NULL };
    switch (request->op) {
    case OCT_OP_service_version:
    case OCT_OP_service_healthz:
    case OCT_OP_service_livez:
    case OCT_OP_service_readyz:
        return OCT_OK;
    case OCT_OP_collections_list:
        return oct_db_list_collections(db, arena, &response->names, &response->name_count, error);
    case OCT_OP_collections_exists:
        return exec_exists(db, request->collection, &response->flag, error);
    case OCT_OP_collections_create:
        return exec_create(db, request, &response->flag, error);
    case OCT_OP_collections_delete:
        return oct_db_drop_collection(db, request->collection, &response->flag, error);
    default:
        break; /* the others need their collection */
    }
    TRY(oct_db_pin(db, request->collection, &response->pinned, error));
    TRY(exec_pinned(arena, request, response, error));
done:
    return status;
}

void oct_exec_end(oct_response *response)
{
    if (response->pinned) oct_db_unpin(response->pinned);
    response->pinned = NULL;
}
