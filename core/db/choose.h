/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.h - what maintenance has to do next, decided from a view and the configuration alone. */
#ifndef OCTANT_DB_CHOOSE_H
#define OCTANT_DB_CHOOSE_H

#include "db/collection.h"

typedef struct oct_merge_choice {
    uint32_t entries[OCT_SOURCES_MAX]; /* of the view, smallest first */
    uint32_t count;
    uint64_t alive; /* points that will live in the result */
} oct_merge_choice;

/* Must the active segment be frozen before it takes more? */
bool oct_active_is_full(const oct_collection *collection, const oct_view *view);
/* ... or is it time to, for the log's sake or for deaths that only the log knows? Under writer. */
bool oct_should_rotate(const oct_collection *collection, const oct_view *view);
/* What to merge next; count 0 when nothing needs it. Pressed for space, nothing but vacuum. */
oct_merge_choice oct_choose_merge(const oct_view *view, bool pressed);
/* Is the largest vector of these segments large enough for graphs and codes? */
bool oct_wants_graphs(const oct_collection_config *config, const oct_view *view,
                      const oct_merge_choice *chosen);

#endif
