/* SPDX-License-Identifier: Apache-2.0
 *
 * config_write.c - collection configs as JSON: as GET /collections/{c} shows them, and as they are
 * stored. What is shown has its defaults filled in; what is stored keeps "not given" apart, so that
 * a later change of a default reaches old collections as it does in Qdrant. */
#include <math.h>

#include "base/str.h"
#include "model/config.h"
#include "model/config_settings.h"

static void write_setting(oct_json_writer *writer, const oct_config_setting *setting,
                          const void *record, bool show_null)
{
    uint64_t value = oct_setting_get(setting, record);
    if (value == OCT_UNSET && !(show_null && setting->null_when_unset)) return;
    oct_json_key(writer, oct_str_of(setting->name));
    if (value == OCT_UNSET)
        oct_json_write_null(writer);
    else if (setting->form == OCT_SETTING_PLACEMENT)
        oct_json_write_str(writer, oct_str_of(oct_placement_words[value]));
    else if (setting->form == OCT_SETTING_BOOLEAN)
        oct_json_write_bool(writer, value != 0);
    else
        oct_json_write_uint(writer, value);
}

/* The members of a record that are set; in GET also nulls for those that Qdrant shows so. */
static void write_settings(oct_json_writer *writer, const oct_config_setting *settings,
                           size_t count, const void *record, bool show_null)
{
    for (size_t i = 0; i < count; i++)
        write_setting(writer, &settings[i], record, show_null);
}

static bool any_hnsw_set(const oct_hnsw_config *hnsw)
{
    for (size_t i = 0; i < OCT_HNSW_SETTINGS; i++)
        if (oct_setting_get(&oct_hnsw_settings[i], hnsw) != OCT_UNSET) return true;
    return false;
}

static void write_hnsw(oct_json_writer *writer, const oct_hnsw_config *hnsw)
{
    oct_json_key(writer, OCT_STR("hnsw_config"));
    oct_json_begin_object(writer);
    write_settings(writer, oct_hnsw_settings, OCT_HNSW_SETTINGS, hnsw, false);
    oct_json_end_object(writer);
}

static void write_datatype(oct_json_writer *writer, oct_datatype datatype)
{
    oct_json_key(writer, OCT_STR("datatype"));
    oct_json_write_str(writer, oct_str_of(oct_datatype_name(datatype)));
}

static void write_memory(oct_json_writer *writer, uint64_t memory)
{
    if (memory == OCT_UNSET) return;
    oct_json_key(writer, OCT_STR("memory"));
    oct_json_write_str(writer, oct_str_of(oct_placement_words[memory]));
}

static void write_vector(oct_json_writer *writer, const oct_vector_params *vector)
{
    oct_json_begin_object(writer);
    oct_json_key(writer, OCT_STR("size"));
    oct_json_write_uint(writer, vector->size);
    oct_json_key(writer, OCT_STR("distance"));
    oct_json_write_str(writer, oct_str_of(oct_metric_name(vector->metric)));
    if (any_hnsw_set(&vector->hnsw)) write_hnsw(writer, &vector->hnsw);
    if (vector->quantization.kind != OCT_QUANTIZATION_NONE) {
        oct_json_key(writer, OCT_STR("quantization_config"));
        oct_quantization_write(writer, &vector->quantization);
    }
    if (vector->on_disk != OCT_UNSET) {
        oct_json_key(writer, OCT_STR("on_disk"));
        oct_json_write_bool(writer, vector->on_disk != 0);
    }
    write_memory(writer, vector->memory);
    if (vector->has_datatype) write_datatype(writer, vector->datatype);
    if (vector->kind == OCT_VECTOR_MULTI) {
        oct_json_key(writer, OCT_STR("multivector_config"));
        oct_json_begin_object(writer);
        oct_json_key(writer, OCT_STR("comparator"));
        oct_json_write_str(writer, OCT_STR("max_sim"));
        oct_json_end_object(writer);
    }
    oct_json_end_object(writer);
}

static void write_vectors(oct_json_writer *writer, const oct_collection_config *config)
{
    oct_json_key(writer, OCT_STR("vectors"));
    if (config->single_vector) {
        ASSERT(config->vector_count >= 1);
        write_vector(writer, &config->vectors[0]);
        return;
    }
    oct_json_begin_object(writer);
    for (uint32_t i = 0; i < config->vector_count; i++) {
        if (config->vectors[i].kind == OCT_VECTOR_SPARSE) break; /* they are the last */
        oct_json_key(writer, config->vectors[i].name);
        write_vector(writer, &config->vectors[i]);
    }
    oct_json_end_object(writer);
}

static void write_sparse_index(oct_json_writer *writer, const oct_sparse_params *sparse)
{
    oct_json_key(writer, OCT_STR("index"));
    oct_json_begin_object(writer);
    if (sparse->full_scan_threshold != OCT_UNSET) {
        oct_json_key(writer, OCT_STR("full_scan_threshold"));
        oct_json_write_uint(writer, sparse->full_scan_threshold);
    }
    if (sparse->on_disk != OCT_UNSET) {
        oct_json_key(writer, OCT_STR("on_disk"));
        oct_json_write_bool(writer, sparse->on_disk != 0);
    }
    write_memory(writer, sparse->memory);
    if (sparse->datatype != OCT_UNSET) write_datatype(writer, (oct_datatype)sparse->datatype);
    oct_json_end_object(writer);
}

/* Left out when there are none, as in Qdrant. */
static void write_sparse_vectors(oct_json_writer *writer, const oct_collection_config *config)
{
    uint32_t i = 0;
    while (i < config->vector_count && config->vectors[i].kind != OCT_VECTOR_SPARSE)
        i++;
    if (i == config->vector_count) return;
    oct_json_key(writer, OCT_STR("sparse_vectors"));
    oct_json_begin_object(writer);
    for (; i < config->vector_count; i++) {
        const oct_sparse_params *sparse = &config->vectors[i].sparse;
        oct_json_key(writer, config->vectors[i].name);
        oct_json_begin_object(writer);
        if (sparse->has_index) write_sparse_index(writer, sparse);
        if (sparse->has_modifier) {
            oct_json_key(writer, OCT_STR("modifier"));
            oct_json_write_str(writer, sparse->idf ? OCT_STR("idf") : OCT_STR("none"));
        }
        oct_json_end_object(writer);
    }
    oct_json_end_object(writer);
}

static void write_optimizers(oct_json_writer *writer, const oct_optimizers_config *optimizers,
                             bool shown)
{
    oct_json_begin_object(writer);
    if (!isnan(optimizers->deleted_threshold)) {
        oct_json_key(writer, OCT_STR("deleted_threshold"));
        oct_json_write_double(writer, optimizers->deleted_threshold);
    }
    write_settings(writer, oct_optimizer_settings, OCT_OPTIMIZER_SETTINGS, optimizers, shown);
    if (shown) {
        oct_json_key(writer, OCT_STR("prevent_unoptimized"));
        oct_json_write_null(writer);
    }
    oct_json_end_object(writer);
}

static void write_wal(oct_json_writer *writer, const oct_collection_config *config)
{
    oct_json_key(writer, OCT_STR("wal_config"));
    oct_json_begin_object(writer);
    write_settings(writer, oct_collection_settings, OCT_WAL_SETTINGS, config, false);
    oct_json_end_object(writer);
}

static void write_metadata(oct_json_writer *writer, const oct_collection_config *config)
{
    if (config->metadata.bytes == 0) return;
    oct_json_key(writer, OCT_STR("metadata"));
    oct_json_write_raw(writer, config->metadata);
}

static void write_payload(oct_json_writer *writer, const oct_collection_config *config)
{
    if (config->payload_memory == OCT_UNSET) return;
    oct_json_key(writer, OCT_STR("payload"));
    oct_json_begin_object(writer);
    write_memory(writer, config->payload_memory);
    oct_json_end_object(writer);
}

void oct_config_write(oct_json_writer *writer, const oct_collection_config *config)
{
    oct_hnsw_config hnsw = { 0 };
    for (size_t i = 0; i < OCT_HNSW_SETTINGS; i++) {
        uint64_t value = oct_setting_get(&oct_hnsw_settings[i], &config->hnsw);
        oct_setting_set(&oct_hnsw_settings[i], &hnsw,
                        value != OCT_UNSET ? value : oct_hnsw_settings[i].default_value);
    }
    oct_optimizers_config optimizers = oct_config_optimizers(config);
    oct_json_begin_object(writer);
    oct_json_key(writer, OCT_STR("params"));
    oct_json_begin_object(writer);
    write_vectors(writer, config);
    write_settings(writer, oct_collection_settings + OCT_WAL_SETTINGS,
                   OCT_COLLECTION_SETTINGS - OCT_WAL_SETTINGS, config, false);
    write_payload(writer, config);
    write_sparse_vectors(writer, config);
    oct_json_end_object(writer);
    write_hnsw(writer, &hnsw);
    oct_json_key(writer, OCT_STR("optimizer_config"));
    write_optimizers(writer, &optimizers, true);
    write_wal(writer, config);
    oct_json_key(writer, OCT_STR("quantization_config"));
    if (config->quantization.kind == OCT_QUANTIZATION_NONE)
        oct_json_write_null(writer);
    else
        oct_quantization_write(writer, &config->quantization);
    write_metadata(writer, config);
    oct_json_end_object(writer);
}

void oct_config_store(oct_json_writer *writer, const oct_collection_config *config)
{
    oct_json_begin_object(writer);
    write_vectors(writer, config);
    write_settings(writer, oct_collection_settings + OCT_WAL_SETTINGS,
                   OCT_COLLECTION_SETTINGS - OCT_WAL_SETTINGS, config, false);
    write_payload(writer, config);
    write_sparse_vectors(writer, config);
    write_hnsw(writer, &config->hnsw);
    oct_json_key(writer, OCT_STR("optimizers_config"));
    write_optimizers(writer, &config->optimizers, false);
    write_wal(writer, config);
    if (config->quantization.kind != OCT_QUANTIZATION_NONE) {
        oct_json_key(writer, OCT_STR("quantization_config"));
        oct_quantization_write(writer, &config->quantization);
    }
    write_metadata(writer, config);
    oct_json_end_object(writer);
}
