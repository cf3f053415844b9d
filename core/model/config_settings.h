/* SPDX-License-Identifier: Apache-2.0
 *
 * config_settings.h - the plain settings of a collection as tables, shared by the files that parse,
 * default and write them. Private to core/model. */
#ifndef OCTANT_MODEL_CONFIG_SETTINGS_H
#define OCTANT_MODEL_CONFIG_SETTINGS_H

#include "base/json.h"
#include "octant/types.h"

typedef struct oct_config_setting {
    const char *name;
    const char *alias;      /* another accepted name, or NULL */
    size_t at;              /* offset of the uint64_t member in its struct */
    uint64_t min, max;      /* accepted */
    uint64_t default_value; /* OCT_UNSET when it has none */
    /* A COUNT has no zero in Qdrant, for which it is a wrong type. */
    enum { OCT_SETTING_NUMBER, OCT_SETTING_COUNT, OCT_SETTING_BOOLEAN, OCT_SETTING_PLACEMENT } form;
    bool null_when_unset; /* GET shows null; otherwise it is left out */
} oct_config_setting;

enum { OCT_HNSW_SETTINGS = 8, OCT_OPTIMIZER_SETTINGS = 7, OCT_COLLECTION_SETTINGS = 9 };

/* Members of oct_hnsw_config / oct_optimizers_config (all but deleted_threshold). */
extern const oct_config_setting oct_hnsw_settings[OCT_HNSW_SETTINGS];
extern const oct_config_setting oct_optimizer_settings[OCT_OPTIMIZER_SETTINGS];
/* Members of oct_collection_config: three of wal_config first, then those of the top level, the
 * last of which are the `params` of an update. */
enum { OCT_WAL_SETTINGS = 3, OCT_PARAMS_SETTINGS = 5 };
extern const oct_config_setting oct_collection_settings[OCT_COLLECTION_SETTINGS];

/* config_quantization.c: the member `quantization_config` of `owner`, which is the body (prefix "")
 * or a vector ("vectors"; `name` when it stands in a map). NONE when it is missing or null. */
OCT_MUST_CHECK oct_status oct_quantization_parse(const oct_json *owner, const char *prefix,
                                                 oct_str name, oct_quantization_config *out,
                                                 oct_error *error);
/* The same of an update, where it may also be "Disabled". */
OCT_MUST_CHECK oct_status oct_quantization_parse_update(const oct_json *owner, const char *prefix,
                                                        oct_str name, oct_quantization_config *out,
                                                        oct_error *error);
/* As it was given; the kind is not NONE. */
void oct_quantization_write(oct_json_writer *writer, const oct_quantization_config *config);
bool oct_quantization_equal(const oct_quantization_config *a, const oct_quantization_config *b);

/* "cold", "cached", "pinned". */
extern const char *const oct_placement_words[OCT_PLACEMENT_PINNED + 1];

/* config_update.c: LIMIT when the text is too long. */
OCT_MUST_CHECK oct_status oct_config_check_metadata(oct_str metadata, oct_error *error);

#define OCT_DELETED_THRESHOLD_DEFAULT 0.2

static inline uint64_t oct_setting_get(const oct_config_setting *setting, const void *record)
{
    return *(const uint64_t *)(const void *)((const char *)record + setting->at);
}
static inline void oct_setting_set(const oct_config_setting *setting, void *record, uint64_t value)
{
    *(uint64_t *)(void *)((char *)record + setting->at) = value;
}

#endif
