/* SPDX-License-Identifier: Apache-2.0
 *
 * reads.c - the read operations of db.h: pin a view, read, copy what the answer borrows, unpin. */
#include <string.h>

#include "db/collection.h"
#include "model/config.h"

/* Copy a vector's numbers. */
static oct_status detach_vector(oct_arena *arena, oct_named_vector *vector, oct_error *error)
{
    oct_status status = OCT_OK;
    float *values = NULL;
    uint32_t *indices = NULL;
    TRY(oct_arena_array(arena, vector->count, sizeof *values, &values, error));
    if (vector->count) memcpy(values, vector->values, vector->count * sizeof *values);
    vector->values = values;
    if (vector->kind != OCT_VECTOR_SPARSE) return OCT_OK;
    TRY(oct_arena_array(arena, vector->count, sizeof *indices, &indices, error));
    if (vector->count) memcpy(indices, vector->indices, vector->count * sizeof *indices);
    vector->indices = indices;
done:
    return status;
}

/* The view is released before the answer is written. */
oct_status oct_found_detach(oct_arena *arena, oct_found *found, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_found_point *points = NULL;
    TRY(oct_arena_array(arena, found->count, sizeof *points, &points, error));
    for (uint32_t i = 0; i < found->count; i++) {
        oct_named_vector *vectors = NULL;
        points[i] = found->points[i];
        if (points[i].payload.at)
            TRY(oct_arena_str(arena, points[i].payload, &points[i].payload, error));
        if (!points[i].vectors) continue;
        TRY(oct_arena_array(arena, points[i].vector_count, sizeof *vectors, &vectors, error));
        for (uint32_t v = 0; v < points[i].vector_count; v++) {
            vectors[v] = points[i].vectors[v];
            TRY(oct_arena_str(arena, vectors[v].name, &vectors[v].name, error));
            TRY(detach_vector(arena, &vectors[v], error));
        }
        points[i].vectors = vectors;
    }
    found->points = points;
done:
    return status;
}

/* One of the four requests, and where its answer goes. */
typedef struct read_request {
    const oct_query *query;
    const oct_scroll *scroll;
    const oct_retrieve *retrieve;
    const oct_count *count;
    oct_found *found;
    uint64_t *number;
} read_request;

static oct_status read_view(oct_collection *collection, oct_arena *arena,
                            const read_request *request, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_read_session session;
    TRY(oct_read_begin(collection, arena, &session, error));
    if (request->query)
        TRY(oct_read_query(&session.reading, request->query, request->found, error));
    else if (request->scroll)
        TRY(oct_read_scroll(&session.reading, request->scroll, request->found, error));
    else if (request->retrieve)
        TRY(oct_read_retrieve(&session.reading, request->retrieve, request->found, error));
    else
        TRY(oct_read_count(&session.reading, request->count, request->number, error));
    if (request->found) TRY(oct_found_detach(arena, request->found, error));
done:
    oct_read_end(collection, &session);
    return status;
}

oct_status oct_collection_query(oct_collection *collection, oct_arena *arena,
                                const oct_query *query, oct_found *out, oct_error *error)
{
    return read_view(collection, arena, &(read_request){ .query = query, .found = out }, error);
}

oct_status oct_collection_scroll(oct_collection *collection, oct_arena *arena,
                                 const oct_scroll *scroll, oct_found *out, oct_error *error)
{
    return read_view(collection, arena, &(read_request){ .scroll = scroll, .found = out }, error);
}

oct_status oct_collection_count(oct_collection *collection, oct_arena *arena,
                                const oct_count *count, uint64_t *out, oct_error *error)
{
    return read_view(collection, arena, &(read_request){ .count = count, .number = out }, error);
}

oct_status oct_collection_retrieve(oct_collection *collection, oct_arena *arena,
                                   const oct_retrieve *retrieve, oct_found *out, oct_error *error)
{
    return read_view(collection, arena, &(read_request){ .retrieve = retrieve, .found = out },
                     error);
}

/* ---- describe ------------------------------------------------------------------------ */

/* Points of a memory segment, which has no index, that an index would hold a value of. */
static oct_status count_values(const oct_view_entry *entry, const oct_field_config *config,
                               uint64_t *points, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = entry->memory->alloc;
    oct_field_builder *builder = NULL;
    oct_field index;
    oct_arena arena;
    oct_buf bytes;
    oct_arena_init(&arena, alloc, 0);
    oct_buf_init(&bytes, alloc, SIZE_MAX / 2);
    TRY(oct_field_builder_create(alloc, config->type, config->key, &builder, error));
    for (uint32_t i = 0; i < entry->count; i++) {
        oct_str text = oct_memory_slot(entry->memory, i)->payload;
        const oct_json *payload = NULL;
        if (text.bytes == 0 || !oct_entry_alive(entry, i)) continue;
        oct_arena_reset(&arena);
        TRY(oct_json_parse(&arena, text, &payload, error));
        TRY(oct_field_builder_add(builder, i, payload, error));
    }
    TRY(oct_field_builder_finish(builder, entry->count, &bytes, error));
    TRY(oct_field_open(bytes.at, bytes.bytes, entry->count, &index, error));
    *points += index.value_points;
done:
    oct_field_builder_destroy(builder);
    oct_buf_deinit(&bytes);
    oct_arena_reset(&arena);
    return status;
}

/* Living points of a sealed segment that have a value: Qdrant takes deleted points out of its
 * indexes, ours never change. */
static oct_status count_living(const oct_view_entry *entry, const oct_field *index,
                               oct_arena *arena, uint64_t *points, oct_error *error)
{
    uint64_t *bits;
    size_t words = oct_bits_words(entry->count);
    if (!entry->alive) {
        *points += index->value_points;
        return OCT_OK;
    }
    oct_status status = oct_arena_array(arena, words, sizeof *bits, &bits, error);
    if (status != OCT_OK) return status;
    oct_idset_or_into(&index->values, bits);
    for (size_t i = 0; i < words; i++)
        bits[i] &= entry->alive->bits[i];
    *points += oct_bits_count(bits, words);
    return OCT_OK;
}

static oct_status describe_fields(const oct_view *view, oct_arena *arena, oct_collection_info *out,
                                  oct_error *error)
{
    oct_status status = OCT_OK;
    oct_field_info *fields = NULL;
    TRY(oct_arena_array(arena, view->schema->count, sizeof *fields, &fields, error));
    for (uint32_t f = 0; f < view->schema->count; f++) {
        const oct_field_config *config = &view->schema->fields[f];
        fields[f].config.type = config->type;
        TRY(oct_arena_str(arena, config->key, &fields[f].config.key, error));
        TRY(oct_arena_str(arena, config->params, &fields[f].config.params, error));
        for (uint32_t i = 0; i < view->count; i++) {
            const oct_view_entry *entry = &view->entries[i];
            const oct_field *index = oct_fields_find(entry->fields, config->key);
            if (index) TRY(count_living(entry, index, arena, &fields[f].points, error));
            if (entry->memory) TRY(count_values(entry, config, &fields[f].points, error));
        }
    }
    out->fields = fields;
    out->field_count = view->schema->count;
done:
    return status;
}

static uint64_t count_indexed(const oct_view *view, const oct_collection_config *config)
{
    uint64_t indexed = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_sealed *sealed = view->entries[i].sealed;
        for (uint32_t v = 0; sealed && v < config->vector_count; v++)
            if (sealed->vectors[v].graph) indexed += oct_hnsw_point_count(sealed->vectors[v].graph);
    }
    return indexed;
}

oct_status oct_collection_describe(oct_collection *collection, oct_arena *arena,
                                   oct_collection_info *out, oct_error *error)
{
    oct_status status = OCT_OK;
    *out = (oct_collection_info){ .config = NULL };
    bool work = oct_collection_has_work(collection);
    oct_mutex_lock(&collection->writer); /* the view is that of the problem, or of none */
    oct_error problem;
    oct_view *view = oct_collection_view(collection);
    oct_status found = oct_collection_problem(collection, &problem);
    oct_mutex_unlock(&collection->writer);
    if (!view) TRY(oct_fail(error, found, "%s", problem.message));
    out->status = work ? OCT_COLLECTION_YELLOW : OCT_COLLECTION_GREEN;
    if (found != OCT_OK) {
        out->status = OCT_COLLECTION_RED;
        oct_str text = { problem.message, strlen(problem.message) };
        TRY(oct_arena_str(arena, text, &out->problem, error));
    }
    out->points_count = oct_view_alive_count(view);
    out->indexed_vectors_count = count_indexed(view, collection->shape);
    out->segments_count = view->count;
    TRY(oct_config_detach(arena, view->settings->config, &out->config, error));
    TRY(describe_fields(view, arena, out, error));
done:
    oct_view_unpin(view);
    return status;
}
