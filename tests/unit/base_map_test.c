/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the map is a map, for both kinds of keys, through any mix of puts, removals and growth;
 * room that was reserved is there; a failed reserve changes nothing.
 * Method: random operations on few keys (so that replacing and removing are common) against an
 * array indexed by the key; queues; an allocation-failure sweep. */
#include "base/map.h"

#include "base/str.h"
#include "base_heap.h"
#include "test.h"

enum { KEYS = 700 };

typedef struct model {
    uint64_t high[KEYS], low[KEYS];
    char text[KEYS][24];
    uint32_t value[KEYS];
    bool there[KEYS];
    size_t count;
} model;

/* Keys in clusters: small numbers, equal halves, the extremes. */
static void make_keys(model *m)
{
    *m = (model){ .count = 0 };
    for (uint32_t i = 0; i < KEYS; i++) {
        m->high[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? i : UINT64_MAX - i;
        m->low[i] = i;
        snprintf(m->text[i], sizeof m->text[i], "%.*s%u", (int)(i % 12), "same prefix of it", i);
    }
}

static oct_str text_key(const model *m, size_t i)
{
    return i == 0 ? OCT_STR("") : oct_str_of(m->text[i]);
}

static uint32_t *get(const oct_map *map, const model *m, bool strings, size_t i)
{
    return strings ? oct_map_get_str(map, text_key(m, i)) : oct_map_get(map, m->high[i], m->low[i]);
}

static void put(oct_map *map, model *m, bool strings, size_t i, uint32_t value)
{
    if (strings)
        oct_map_put_str(map, text_key(m, i), value);
    else
        oct_map_put(map, m->high[i], m->low[i], value);
    m->count += !m->there[i];
    m->there[i] = true;
    m->value[i] = value;
}

static void take(oct_map *map, model *m, bool strings, size_t i)
{
    bool removed = strings ? oct_map_remove_str(map, text_key(m, i))
                           : oct_map_remove(map, m->high[i], m->low[i]);
    CHECK(removed == m->there[i]);
    m->count -= m->there[i];
    m->there[i] = false;
}

static void check_all(const oct_map *map, const model *m, bool strings)
{
    CHECK(map->used == m->count);
    CHECK(map->used + map->removed <= map->capacity / 4 * 3);
    for (size_t i = 0; i < KEYS; i++) {
        const uint32_t *value = get(map, m, strings, i);
        CHECK((value != NULL) == m->there[i]);
        CHECK(!value || *value == m->value[i]);
    }
}

static void random_operations(bool strings)
{
    static model m;
    make_keys(&m);
    oct_map map;
    oct_map_init(&map, heap_start(), test_random());
    check_all(&map, &m, strings);
    for (uint32_t round = 0; round < 20000; round++) {
        size_t i = test_random_below(round % 4000 < 2000 ? KEYS : KEYS / 10);
        if (test_random_below(5) < 3) {
            CHECK(oct_map_reserve(&map, 1, NULL) == OCT_OK);
            put(&map, &m, strings, i, round);
        } else {
            take(&map, &m, strings, i);
        }
        if (round % 100 == 0) check_all(&map, &m, strings);
    }
    check_all(&map, &m, strings);
    oct_map_deinit(&map);
    CHECK(map.used == 0 && oct_map_get(&map, 0, 0) == NULL);
    CHECK(heap_is_empty());
}

TEST(ids_behave_like_an_array)
{
    random_operations(false);
}
TEST(strings_behave_like_an_array)
{
    random_operations(true);
}

TEST(missing_keys_of_an_empty_map)
{
    oct_map map;
    oct_map_init(&map, heap_start(), 1);
    CHECK(oct_map_get(&map, 1, 2) == NULL);
    CHECK(oct_map_get_str(&map, OCT_STR("x")) == NULL);
    CHECK(!oct_map_remove(&map, 1, 2));
    CHECK(!oct_map_remove_str(&map, OCT_STR("x")));
    CHECK(oct_map_reserve(&map, 0, NULL) == OCT_OK);
    CHECK(map.entries == NULL);
    oct_map_deinit(&map);
}

TEST(reserved_room_needs_no_memory)
{
    for (uint32_t more = 1; more < 2000; more += 97) {
        oct_map map;
        oct_map_init(&map, heap_start(), test_random());
        CHECK(oct_map_reserve(&map, 100, NULL) == OCT_OK);
        for (uint32_t i = 0; i < 100; i++)
            oct_map_put(&map, 1, i, i);
        for (uint32_t i = 0; i < 50; i++)
            CHECK(oct_map_remove(&map, 1, i));
        CHECK(oct_map_reserve(&map, more, NULL) == OCT_OK);
        uint64_t calls = oct_atomic_load(&heap_counting.calls);
        for (uint32_t i = 0; i < more; i++) {
            oct_map_put(&map, 2, i, i);
            if (i < 50) CHECK(oct_map_remove(&map, 1, 50 + i));
        }
        CHECK(oct_atomic_load(&heap_counting.calls) == calls);
        CHECK(map.used == more + 50 - MIN(more, 50u));
        for (uint32_t i = 0; i < more; i++)
            CHECK(*oct_map_get(&map, 2, i) == i);
        oct_map_deinit(&map);
    }
}

/* Ids that come and go must not make the table grow for ever. */
TEST(a_queue_stays_small)
{
    oct_map map;
    oct_map_init(&map, heap_start(), 9);
    for (uint32_t i = 0; i < 100000; i++) {
        CHECK(oct_map_reserve(&map, 1, NULL) == OCT_OK);
        oct_map_put(&map, 0, i, i);
        if (i >= 20) CHECK(oct_map_remove(&map, 0, i - 20));
    }
    CHECK(map.used == 20);
    CHECK(map.capacity <= 128);
    oct_map_deinit(&map);
    CHECK(heap_is_empty());
}

TEST(absurd_sizes_are_refused)
{
    oct_map map;
    oct_map_init(&map, heap_start(), 9);
    CHECK(oct_map_reserve(&map, SIZE_MAX, NULL) == OCT_NOMEM);
    CHECK(oct_map_reserve(&map, SIZE_MAX / 4, NULL) == OCT_NOMEM);
    CHECK(oct_map_reserve(&map, SIZE_MAX / sizeof(oct_map_entry), NULL) == OCT_NOMEM);
    CHECK(map.entries == NULL && heap_is_empty());
}

TEST(values_can_be_changed_in_place)
{
    oct_map map;
    oct_map_init(&map, heap_start(), 9);
    CHECK(oct_map_reserve(&map, 1, NULL) == OCT_OK);
    oct_map_put(&map, 3, 4, 5);
    *oct_map_get(&map, 3, 4) = 6;
    CHECK(*oct_map_get(&map, 3, 4) == 6);
    CHECK(oct_map_get(&map, 4, 3) == NULL);
    oct_map_deinit(&map);
}

TEST(every_allocation_may_fail)
{
    uint64_t runs = 0;
    static model m;
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_map map;
        make_keys(&m);
        oct_map_init(&map, &heap_counting.alloc, 5);
        for (uint32_t i = 0; i < KEYS; i++) {
            oct_status status = oct_map_reserve(&map, 1, NULL);
            CHECK(status == OCT_OK || (status == OCT_NOMEM && heap_failed()));
            if (status == OCT_OK)
                put(&map, &m, false, i, i);
            else
                check_all(&map, &m, false);
        }
        check_all(&map, &m, false);
        CHECK(map.used == KEYS - (heap_failed() ? 1u : 0u));
        oct_map_deinit(&map);
        CHECK(heap_is_empty());
        runs++;
    }
    CHECK(runs >= 6);
}

TEST_MAIN(ids_behave_like_an_array, strings_behave_like_an_array, missing_keys_of_an_empty_map,
          reserved_room_needs_no_memory, a_queue_stays_small, absurd_sizes_are_refused,
          values_can_be_changed_in_place, every_allocation_may_fail)
