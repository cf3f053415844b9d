/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: while a collection whose log failed is opened again, no reader sees a state that never was,
 * and every request is answered.
 * Method: one thread fails the collection and has maintenance open it again, over and over; others
 * count its points, read one and describe it meanwhile. */
#include <pthread.h>
#include <stdlib.h>

#include "base/str.h"
#include "db/collection.h"
#include "model/point_id.h"
#include "model_support.h"
#include "sim/single.h"
#include "unit/test.h"

enum { POINTS = 400, ROUNDS = 100, READERS = 3 };

static const char config_text[] = "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}";

static single it;
static oct_atomic_u64 ended, wrong, read_times;

/* Either there is a problem, or all of the collection. */
static bool read_once(oct_arena *arena)
{
    const oct_count count = { .filter = NULL };
    oct_collection_info info;
    oct_error error = { .message = "" };
    uint64_t points = POINTS;
    oct_status status = oct_collection_count(it.collection, arena, &count, &points, &error);
    if (status == OCT_OK ? points != POINTS : status != OCT_IO) return false;
    status = oct_collection_describe(it.collection, arena, &info, &error);
    if (status != OCT_OK) return status == OCT_IO;
    return info.config && info.points_count == POINTS;
}

static void *read_on(void *unused)
{
    oct_arena arena;
    UNUSED(unused);
    oct_arena_init(&arena, &model_malloc, 0);
    while (!oct_atomic_load(&ended)) {
        if (!read_once(&arena)) (void)oct_atomic_add(&wrong, 1);
        (void)oct_atomic_add(&read_times, 1);
        oct_arena_reset(&arena);
    }
    return NULL;
}

static void fail_and_reopen(void)
{
    oct_error error = { .message = "" };
    bool more;
    oct_mutex_lock(&it.collection->writer);
    oct_collection_fail(it.collection, oct_fail(&error, OCT_IO, "on purpose"), &error);
    oct_mutex_unlock(&it.collection->writer);
    CHECK(oct_maintain(it.world.db, 0, &more, &error) == OCT_OK);
}

static void upsert(uint64_t id)
{
    static const float values[] = { 1, 2 };
    const oct_named_vector vector = { .values = values, .count = 2, .name = OCT_STR("") };
    const oct_point point = { .id = oct_point_id_of(id), .vectors = &vector, .vector_count = 1 };
    single_write(&it, &(oct_write){ .kind = OCT_WRITE_UPSERT, .points = &point, .point_count = 1 });
}

TEST(readers_never_see_a_half_opened_collection)
{
    pthread_t readers[READERS];
    single_create(&it, &model_malloc, config_text, 2 * POINTS, NULL);
    for (uint64_t id = 0; id < POINTS; id++)
        upsert(id);
    for (size_t i = 0; i < READERS; i++)
        CHECK(pthread_create(&readers[i], NULL, read_on, NULL) == 0);
    for (uint32_t i = 0; i < ROUNDS; i++)
        fail_and_reopen();
    oct_atomic_store(&ended, 1);
    for (size_t i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    CHECK(oct_atomic_load(&wrong) == 0);
    CHECK(oct_atomic_load(&read_times) > ROUNDS);
    single_destroy(&it);
}

TEST_MAIN(readers_never_see_a_half_opened_collection)
