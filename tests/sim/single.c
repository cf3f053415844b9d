/* SPDX-License-Identifier: Apache-2.0
 *
 * single.c - see single.h. */
#include "sim/single.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "model/config.h"

enum { PARALLEL_WIDTH = 3 };

static void must(oct_status status, const oct_error *error)
{
    if (status == OCT_OK) return;
    printf("single: status %d: %s\n", (int)status, error->message);
    abort();
}

static void open_db(single *it)
{
    must(sim_open(&it->world, &it->error), &it->error);
    oct_arena_init(&it->arena, oct_db_alloc(it->world.db), 0);
}

static void pin(single *it)
{
    must(oct_db_pin(it->world.db, OCT_STR("c"), &it->collection, &it->error), &it->error);
}

void single_close(single *it)
{
    if (!it->world.db) return;
    oct_arena_reset(&it->arena);
    oct_db_unpin(it->collection);
    sim_close(&it->world);
}

void single_create(single *it, const oct_alloc *alloc, const char *config, uint32_t points_max,
                   void (*parallel)(void *self, uint32_t tasks,
                                    void (*run)(void *arg, uint32_t task), void *arg))
{
    const oct_json *body;
    oct_collection_config parsed;
    it->error.message[0] = '\0';
    must(oct_vfs_memory_create(alloc, &it->vfs, &it->error), &it->error);
    sim_init(&it->world, alloc, it->vfs);
    it->world.options.appendable_points_max = points_max;
    if (parallel) {
        it->world.host.parallel = parallel;
        it->world.host.parallel_width = PARALLEL_WIDTH;
    }
    open_db(it);
    must(oct_json_parse(&it->arena, oct_str_of(config), &body, &it->error), &it->error);
    must(oct_config_parse(&it->arena, body, &parsed, &it->error), &it->error);
    must(oct_db_create_collection(it->world.db, OCT_STR("c"), &parsed, &it->error), &it->error);
    oct_arena_reset(&it->arena);
    pin(it);
}

void single_reopen(single *it)
{
    single_close(it);
    open_db(it);
    pin(it);
}

void single_destroy(single *it)
{
    single_close(it);
    oct_vfs_memory_destroy(it->vfs);
}

void single_write(single *it, const oct_write *change)
{
    oct_write_result result;
    must(oct_collection_write(it->collection, &it->arena, change, &result, &it->error), &it->error);
    oct_arena_reset(&it->arena);
}

void single_settle(single *it, uint32_t budget_ms)
{
    must(sim_settle(&it->world, budget_ms, &it->error), &it->error);
}

static void print_line(void *arg, const char *line)
{
    UNUSED(arg);
    printf("  %s\n", line);
}

static void ignore_line(void *arg, const char *line)
{
    UNUSED(arg);
    UNUSED(line);
}

void single_check(single *it)
{
    if (oct_check(it->world.db, ignore_line, NULL, &it->error) == OCT_OK) return;
    must(oct_check(it->world.db, print_line, NULL, &it->error), &it->error);
}
