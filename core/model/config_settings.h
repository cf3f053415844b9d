/* SPDX-License-Identifier: Apache-2.0
 *
 * config_settings.h - the plain settings of a collection as tables, shared by the files that parse,
 * default and write them. Private to core/model. */
#ifndef OCTANT_MODEL_CONFIG_SETTINGS_H
#define OCTANT_MODEL_CONFIG_SETTINGS_H

#include "octant/types.h"

typedef struct oct_config_setting {
    const char *name;
    const char *alias;     /* another accepted name, or NULL */
    size_t at;             /* offset of the uint64_t member in its struct */
    uint64_t min, max;     /* accepted */
    uint64_t default_value; /* OCT_UNSET when it has none */
    bool boolean;          /* written and read as true/false */
    bool null_when_unset;  /* GET shows null; otherwise it is left out */
} oct_config_setting;

enum { OCT_HNSW_SETTINGS = 6, OCT_OPTIMIZER_SETTINGS = 7, OCT_COLLECTION_SETTINGS = 7 };

/* Members of oct_hnsw_config / oct_optimizers_config (all but deleted_threshold). */
extern const oct_config_setting oct_hnsw_settings[OCT_HNSW_SETTINGS];
extern const oct_config_setting oct_optimizer_settings[OCT_OPTIMIZER_SETTINGS];
/* Members of oct_collection_config: three of wal_config first, then those of the top level. */
enum { OCT_WAL_SETTINGS = 3 };
extern const oct_config_setting oct_collection_settings[OCT_COLLECTION_SETTINGS];

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
