/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: scrolls, counts, retrievals and selections by filter give exactly the points of the plain
 * list, in its order.
 * Method: random worlds (query_support.h) with all kinds of segments; whole scrolls page by page;
 * every allocation failing once. */
#include "query_support.h"

static query_world *mixed_world(uint32_t points, uint32_t sealed, bool indexed)
{
    return world_create(&(query_world_request){ .metric = "Cosine",
                                                .points = points,
                                                .dim = 5,
                                                .entries = 4,
                                                .sealed = sealed,
                                                .indexed = indexed });
}

/* The next living point of the list from `i` on that passes, or count. */
static uint32_t next_passing(const query_world *world, const known_filter *filter, uint32_t i)
{
    while (i < world->count &&
           !(world->points[i].alive && filter_passes(filter, &world->points[i])))
        i++;
    return i;
}

static oct_scroll scroll_of(const known_filter *filter, uint64_t limit)
{
    return (oct_scroll){ .filter = filter->kind ? &filter->filter : NULL,
                         .limit = limit,
                         .with_payload = { .mode = OCT_SELECT_ALL },
                         .with_vector = { .mode = OCT_SELECT_ALL } };
}

/* Follow the pages from the start, or from an id near point `first`, to the end. */
static void check_scroll(const query_world *world, const known_filter *filter, uint32_t first,
                         uint64_t limit)
{
    oct_error error = { .message = "" };
    oct_scroll scroll = scroll_of(filter, limit);
    uint32_t at = next_passing(world, filter, first);
    if (first > 0) {
        scroll.has_offset = true;
        scroll.offset = world->points[first].id;
        if (!world->points[first - 1].id.is_uuid && test_random_below(2))
            scroll.offset = oct_point_id_of(world->points[first - 1].id.low + 1); /* in a gap */
    }
    for (;;) {
        oct_arena arena;
        oct_found found;
        oct_arena_init(&arena, &model_malloc, 0);
        oct_reading reading = world_reading(world, &arena);
        CHECK(oct_read_scroll(&reading, &scroll, &found, &error) == OCT_OK);
        for (uint32_t i = 0; i < found.count; i++) {
            CHECK(at < world->count);
            CHECK(found_is(world, &found.points[i], &world->points[at]));
            at = next_passing(world, filter, at + 1);
        }
        CHECK(found.has_next == (at < world->count));
        if (found.has_next) {
            CHECK_EQ_U64(found.count, limit);
            CHECK(oct_point_id_equal(found.next, world->points[at].id));
        }
        scroll.has_offset = true;
        scroll.offset = found.next;
        bool more = found.has_next;
        oct_arena_reset(&arena);
        if (!more) break;
    }
}

TEST(scrolls_visit_all_in_order)
{
    for (uint32_t round = 0; round < 6; round++) {
        query_world *world = mixed_world(100 + test_random_below(300), round * 3, round % 2);
        for (uint32_t i = 0; i < 30; i++) {
            static const uint64_t limits[] = { 1, 2, 7, 50, 100000, UINT64_MAX };
            known_filter filter;
            filter_make(world, i % FILTER_KINDS, &filter);
            uint32_t first = i < 10 ? 0 : test_random_below(world->count);
            check_scroll(world, &filter, first, limits[test_random_below(ARRAY_COUNT(limits))]);
        }
        world_destroy(world);
    }
}

TEST(pages_of_large_segments_are_right_both_ways)
{
    /* Small pages ask the filter point by point, large ones collect; ids are rare. */
    query_world *world = mixed_world(QUERY_POINTS_MAX, 15, true);
    for (uint32_t kind = 0; kind < FILTER_KINDS; kind++) {
        known_filter filter;
        filter_make(world, kind, &filter);
        check_scroll(world, &filter, kind == 4 ? 0 : QUERY_POINTS_MAX - 100, 3);
        check_scroll(world, &filter, 0, 1500);
    }
    world_destroy(world);
}

TEST(counts_and_ids_equal_the_list)
{
    for (uint32_t round = 0; round < 8; round++) {
        query_world *world = mixed_world(50 + test_random_below(400), round * 2 + 1, round % 2);
        for (uint32_t i = 0; i < 30; i++) {
            oct_arena arena;
            oct_error error = { .message = "" };
            known_filter filter;
            const oct_point_id *ids;
            uint64_t count = 0;
            uint32_t id_count = 0;
            oct_arena_init(&arena, &model_malloc, 0);
            oct_reading reading = world_reading(world, &arena);
            filter_make(world, i % FILTER_KINDS, &filter);
            const oct_count request = { .filter = i % 7 ? &filter.filter : NULL, .exact = i % 2 };
            if (i % 7 == 0) filter.kind = 0;
            CHECK(oct_read_count(&reading, &request, &count, &error) == OCT_OK);
            CHECK(oct_read_ids(&reading, request.filter, &ids, &id_count, &error) == OCT_OK);
            CHECK_EQ_U64(count, id_count);
            uint32_t at = next_passing(world, &filter, 0);
            for (uint32_t j = 0; j < id_count; j++) {
                CHECK(at < world->count);
                CHECK(oct_point_id_equal(ids[j], world->points[at].id));
                at = next_passing(world, &filter, at + 1);
            }
            CHECK(at == world->count);
            oct_arena_reset(&arena);
        }
        world_destroy(world);
    }
}

TEST(retrieving_keeps_the_order_asked)
{
    enum { ASKED = 300 };
    query_world *world = mixed_world(200, 6, false);
    oct_point_id ids[ASKED];
    uint32_t which[ASKED];
    bool seen[QUERY_POINTS_MAX] = { false };
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_found found;
    for (uint32_t i = 0; i < ASKED; i++) {
        which[i] = test_random_below(world->count + 20);
        bool known = which[i] < world->count;
        ids[i] = known ? world->points[which[i]].id : oct_point_id_of(11);
    }
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    const oct_retrieve retrieve = { .ids = ids,
                                    .id_count = ASKED,
                                    .with_payload = { .mode = OCT_SELECT_ALL },
                                    .with_vector = { .mode = OCT_SELECT_ALL } };
    CHECK(oct_read_retrieve(&reading, &retrieve, &found, &error) == OCT_OK);
    uint32_t at = 0;
    for (uint32_t i = 0; i < ASKED; i++) {
        if (which[i] >= world->count || !world->points[which[i]].alive || seen[which[i]]) continue;
        seen[which[i]] = true;
        CHECK(at < found.count);
        CHECK(found_is(world, &found.points[at++], &world->points[which[i]]));
    }
    CHECK_EQ_U64(at, found.count);
    CHECK(at > 50);
    const oct_retrieve nothing = { .id_count = 0 };
    CHECK(oct_read_retrieve(&reading, &nothing, &found, &error) == OCT_OK);
    CHECK(found.count == 0);
    oct_arena_reset(&arena);
    world_destroy(world);
}

TEST(a_point_is_read_whole)
{
    query_world *world = mixed_world(200, 5, false);
    for (uint32_t i = 0; i < world->count; i++) {
        const known_point *point = &world->points[i];
        oct_arena arena;
        oct_error error = { .message = "" };
        oct_location at;
        oct_slot slot;
        CHECK(oct_view_find(world->view, point->id, &at) == point->alive);
        if (!point->alive) continue;
        oct_arena_init(&arena, &model_malloc, 0);
        oct_reading reading = world_reading(world, &arena);
        CHECK(oct_read_point(&reading, at, &slot, &error) == OCT_OK);
        CHECK(oct_point_id_equal(slot.id, point->id));
        CHECK(slot.version == point->version && slot.present == point->present);
        CHECK(slot.previous == OCT_SLOT_NONE);
        CHECK(model_is(slot.payload, point->payload));
        for (uint32_t v = 0; v < QUERY_VECTORS; v++) {
            if (!((point->present >> v) & 1)) continue;
            const float *row =
                slot.vectors + oct_layout_words(world->config, slot.present, slot.vectors, v);
            size_t bytes = world->config->vectors[v].size * sizeof *row;
            CHECK(memcmp(row, point->vectors[v], bytes) == 0);
        }
        oct_arena_reset(&arena);
    }
    world_destroy(world);
}

TEST(an_empty_view_answers_nothing)
{
    query_world *world = mixed_world(20, 0, false);
    oct_error error = { .message = "" };
    oct_view *full = world->view;
    oct_arena arena;
    oct_found found;
    const oct_point_id *ids;
    uint32_t id_count = 1;
    uint64_t count = 1;
    known_filter none = { .kind = 0 };
    must(oct_view_create(&model_malloc, NULL, 0, &world->view, &error), &error);
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    const oct_scroll scroll = scroll_of(&none, 10);
    const oct_count request = { .exact = true };
    const oct_query query = { .kind = OCT_QUERY_VECTOR,
                              .vector = (const float[]){ 1, 2, 3 },
                              .vector_count = 3,
                              .using_vector = OCT_STR("b"),
                              .limit = 1 };
    CHECK(oct_read_scroll(&reading, &scroll, &found, &error) == OCT_OK);
    CHECK(found.count == 0 && !found.has_next);
    CHECK(oct_read_query(&reading, &query, &found, &error) == OCT_OK);
    CHECK(found.count == 0);
    CHECK(oct_read_count(&reading, &request, &count, &error) == OCT_OK);
    CHECK(count == 0);
    CHECK(oct_read_ids(&reading, NULL, &ids, &id_count, &error) == OCT_OK);
    CHECK(id_count == 0);
    oct_arena_reset(&arena);
    oct_view_unpin(world->view);
    world->view = full;
    world_destroy(world);
}

/* ---- refusals and memory ------------------------------------------------------------------ */

TEST(bad_keys_are_refused)
{
    query_world *world = mixed_world(20, 1, false);
    oct_error error = { .message = "" };
    oct_arena arena;
    oct_found found;
    uint64_t count;
    known_filter none = { .kind = 0 };
    const oct_str bad[] = { OCT_STR("a[") };
    const oct_condition condition = { .kind = OCT_CONDITION_IS_EMPTY, .key = OCT_STR("a[") };
    const oct_filter filter = { .must = { &condition, 1 } };
    oct_arena_init(&arena, &model_malloc, 0);
    oct_reading reading = world_reading(world, &arena);
    oct_scroll scroll = scroll_of(&none, 10);
    scroll.with_payload = (oct_selector){ OCT_SELECT_INCLUDE, bad, 1 };
    CHECK(oct_read_scroll(&reading, &scroll, &found, &error) == OCT_BAD_INPUT);
    const oct_count request = { .filter = &filter };
    CHECK(oct_read_count(&reading, &request, &count, &error) == OCT_BAD_INPUT);
    oct_arena_reset(&arena);
    world_destroy(world);
}

static oct_status read_all_once(const oct_alloc *alloc, void *arg)
{
    query_world *world = arg;
    oct_status status = OCT_OK;
    oct_host host = world->host;
    oct_arena arena;
    oct_error error;
    oct_found found;
    known_filter filter;
    const oct_point_id *ids;
    uint32_t id_count;
    uint64_t count;
    filter_make(world, 3, &filter);
    oct_arena_init(&arena, alloc, 0);
    host.alloc = alloc;
    oct_reading reading = world_reading(world, &arena);
    reading.host = &host;
    const oct_scroll scroll = scroll_of(&filter, 30);
    const oct_count request = { .filter = &filter.filter };
    TRY(oct_read_scroll(&reading, &scroll, &found, &error));
    TRY(oct_read_count(&reading, &request, &count, &error));
    TRY(oct_read_ids(&reading, &filter.filter, &ids, &id_count, &error));
    const oct_retrieve retrieve = { .ids = ids,
                                    .id_count = id_count,
                                    .with_payload = { .mode = OCT_SELECT_ALL },
                                    .with_vector = { .mode = OCT_SELECT_ALL } };
    TRY(oct_read_retrieve(&reading, &retrieve, &found, &error));
    if (found.count != id_count || count != id_count) status = OCT_CORRUPT;
    for (uint32_t i = 0; i < id_count && status == OCT_OK; i++) {
        oct_location at;
        oct_slot slot;
        if (oct_view_find(world->view, ids[i], &at))
            TRY(oct_read_point(&reading, at, &slot, &error));
    }
done:
    oct_arena_reset(&arena);
    return status;
}

TEST(every_allocation_may_fail)
{
    query_world *world = mixed_world(150, 5, true);
    CHECK(model_sweep(read_all_once, world));
    world_destroy(world);
}

TEST_MAIN(scrolls_visit_all_in_order, pages_of_large_segments_are_right_both_ways,
          counts_and_ids_equal_the_list, retrieving_keeps_the_order_asked, a_point_is_read_whole,
          an_empty_view_answers_nothing, bad_keys_are_refused, every_allocation_may_fail)
