/* SPDX-License-Identifier: Apache-2.0
 *
 * update.c - changes of a collection's config.
 *
 * The config lives in the view, so readers keep the one they began with, and in the manifest, one
 * write of which makes the new one current: after a crash it is the old one or the new one. It is
 * not in the log, and the replay of the log doesn't depend on it: an update can't change which
 * vectors there are, nor their form. What segments have of graphs and codes goes on being searched
 * until maintenance has built what the new config asks for; a merge that was begun for other
 * settings is dropped (maintain.c).
 *
 * Rejected: a record in the log. Segments are built for a config, so its place among the points
 * would mean nothing, and replay would have to carry it to the manifest's next edition. */
#include "db/collection.h"
#include "model/config.h"

/* The view with another config. */
static oct_status make_view(oct_collection *collection, const oct_collection_config *config,
                            oct_view **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_settings *settings = NULL;
    const oct_settings *old = collection->view->settings;
    uint64_t edition = old->edition + !oct_config_builds_alike(old->config, config);
    *out = NULL;
    TRY(oct_settings_create(collection->alloc, config, edition, &settings, error));
    TRY(oct_view_create(collection->alloc, collection->view, 0, out, error));
    oct_settings_unpin((*out)->settings);
    (*out)->settings = settings;
    settings = NULL;
done:
    oct_settings_unpin(settings);
    return status;
}

static oct_status update_locked(oct_collection *collection, oct_arena *arena,
                                const oct_collection_config *update, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_view *view = NULL;
    oct_collection_config config;
    TRY(oct_collection_problem(collection, error));
    if (oct_atomic_load(&collection->dropped))
        return oct_fail(error, OCT_NOT_FOUND, "Collection `%.*s` doesn't exist!",
                        (int)collection->name.bytes, collection->name.at);
    const oct_collection_config *old = collection->view->settings->config;
    TRY(oct_config_update(arena, old, update, &config, error));
    if (oct_config_equal(old, &config)) return OCT_OK;
    TRY(make_view(collection, &config, &view, error));
    TRY(oct_collection_publish(collection, view, NULL, collection->log_start, error));
done:
    return status;
}

oct_status oct_collection_update(oct_collection *collection, oct_arena *arena,
                                 const oct_collection_config *update, oct_error *error)
{
    if (oct_db_options(collection->db)->read_only)
        return oct_fail(error, OCT_READONLY, "the database was opened read-only");
    oct_mutex_lock(&collection->writer);
    oct_status status = update_locked(collection, arena, update, error);
    oct_mutex_unlock(&collection->writer);
    return status;
}
