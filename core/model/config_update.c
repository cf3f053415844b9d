/* SPDX-License-Identifier: Apache-2.0
 *
 * config_update.c - a config with what an update gives of it.
 *
 * An update is a config itself in which most is unset, so merging walks the same tables as parsing
 * and defaulting. Nothing is changed in place: readers hold the config they began with. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "model/config.h"
#include "model/config_settings.h"
#include "model/payload.h"

static void merge_settings(const oct_config_setting *settings, size_t count, const void *update,
                           void *record)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t given = oct_setting_get(&settings[i], update);
        if (given == OCT_UNSET) continue;
        oct_setting_set(&settings[i], record, given == OCT_AUTO ? OCT_UNSET : given);
    }
}

static void merge_value(uint64_t *value, uint64_t given)
{
    if (given != OCT_UNSET) *value = given;
}

/* As a whole: what is left out of the new one goes back to its default. */
static void merge_quantization(oct_quantization_config *config,
                               const oct_quantization_config *update)
{
    if (update->kind == OCT_QUANTIZATION_NONE && !update->disabled) return;
    *config = *update;
    config->disabled = false;
}

static void merge_sparse(oct_sparse_params *params, const oct_sparse_params *update)
{
    if (update->has_modifier) {
        params->has_modifier = true;
        params->idf = update->idf;
    }
    if (!update->has_index) return;
    params->has_index = true;
    merge_value(&params->full_scan_threshold, update->full_scan_threshold);
    merge_value(&params->on_disk, update->on_disk);
    merge_value(&params->memory, update->memory);
    merge_value(&params->datatype, update->datatype);
}

static void merge_vector(oct_vector_params *vector, const oct_vector_params *update)
{
    if (vector->kind == OCT_VECTOR_SPARSE) {
        merge_sparse(&vector->sparse, &update->sparse);
        return;
    }
    merge_value(&vector->on_disk, update->on_disk);
    merge_value(&vector->memory, update->memory);
    merge_settings(oct_hnsw_settings, OCT_HNSW_SETTINGS, &update->hnsw, &vector->hnsw);
    merge_quantization(&vector->quantization, &update->quantization);
}

static bool is_sparse(const oct_vector_params *vector)
{
    return vector->kind == OCT_VECTOR_SPARSE;
}

static oct_status merge_vectors(oct_arena *arena, const oct_collection_config *update,
                                oct_collection_config *config, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_vector_params *vectors;
    TRY(oct_arena_array(arena, config->vector_count, sizeof *vectors, &vectors, error));
    for (uint32_t i = 0; i < config->vector_count; i++)
        vectors[i] = config->vectors[i];
    for (uint32_t i = 0; i < update->vector_count; i++) {
        const oct_vector_params *given = &update->vectors[i];
        uint32_t v = oct_config_find_vector(config, given->name);
        if (v == OCT_CONFIG_NO_VECTOR || is_sparse(&vectors[v]) != is_sparse(given))
            TRY(oct_fail(error, OCT_BAD_INPUT, "Not existing vector name error: %.*s",
                         oct_str_shown(given->name, OCT_VECTOR_NAME_BYTES_MAX), given->name.at));
        merge_vector(&vectors[v], given);
    }
    config->vectors = vectors;
done:
    return status;
}

oct_status oct_config_check_metadata(oct_str metadata, oct_error *error)
{
    if (metadata.bytes <= OCT_METADATA_BYTES_MAX) return OCT_OK;
    return oct_fail(error, OCT_LIMIT, "metadata may have at most %d bytes of JSON",
                    (int)OCT_METADATA_BYTES_MAX);
}

static oct_status merge_metadata(oct_arena *arena, oct_str update, oct_str *metadata,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    if (update.bytes == 0) return OCT_OK;
    if (metadata->bytes == 0) {
        *metadata = update;
        return OCT_OK;
    }
    TRY(oct_payload_merge(arena, *metadata, update, NULL, metadata, error));
    TRY(oct_config_check_metadata(*metadata, error));
done:
    return status;
}

oct_status oct_config_update(oct_arena *arena, const oct_collection_config *config,
                             const oct_collection_config *update, oct_collection_config *out,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_collection_config merged = *config;
    TRY(merge_vectors(arena, update, &merged, error));
    TRY(merge_metadata(arena, update->metadata, &merged.metadata, error));
    merge_settings(oct_hnsw_settings, OCT_HNSW_SETTINGS, &update->hnsw, &merged.hnsw);
    merge_quantization(&merged.quantization, &update->quantization);
    merge_settings(oct_optimizer_settings, OCT_OPTIMIZER_SETTINGS, &update->optimizers,
                   &merged.optimizers);
    if (!isnan(update->optimizers.deleted_threshold))
        merged.optimizers.deleted_threshold = update->optimizers.deleted_threshold;
    merge_settings(oct_collection_settings, OCT_COLLECTION_SETTINGS, update, &merged);
    merge_value(&merged.payload_memory, update->payload_memory);
    *out = merged;
done:
    return status;
}
