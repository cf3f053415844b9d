/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: pushes are aligned, never overlap, keep their content until reset whatever else is pushed
 * or resized; limits and failures are told apart and lose nothing.
 * Method: random pushes and resizes, each filled with its own pattern and checked at the end;
 * an allocation-failure sweep. */
#include "base/arena.h"

#include "base_heap.h"
#include "test.h"

enum { PIECES = 300 };

typedef struct piece {
    uint8_t *at;
    size_t bytes;
    uint8_t fill;
} piece;

static bool is_filled(piece p)
{
    for (size_t i = 0; i < p.bytes; i++)
        if (p.at[i] != p.fill) return false;
    return true;
}

static size_t random_bytes(void)
{
    static const uint32_t scales[] = { 1, 20, 300, 5000, 400000 };
    return test_random_below(scales[test_random_below(5)]);
}

static void push_pieces(oct_arena *arena, piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t bytes = random_bytes();
        pieces[i] = (piece){ oct_arena_push(arena, bytes), bytes, (uint8_t)i };
        CHECK(pieces[i].at != NULL);
        CHECK((uintptr_t)pieces[i].at % 16 == 0);
        memset(pieces[i].at, pieces[i].fill, bytes);
    }
}

static void resize_piece(oct_arena *arena, piece *p)
{
    size_t bytes = random_bytes();
    uint8_t *moved = oct_arena_resize(arena, p->at, p->bytes, bytes);
    CHECK(moved != NULL);
    CHECK((uintptr_t)moved % 16 == 0);
    p->at = moved;
    p->bytes = MIN(bytes, p->bytes);
    CHECK(is_filled(*p));
    p->bytes = bytes;
    memset(moved, p->fill, bytes);
}

TEST(pieces_keep_their_content)
{
    oct_arena arena;
    oct_arena_init(&arena, heap_start(), 0);
    CHECK(oct_atomic_load(&heap_counting.calls) == 0);
    for (int round = 0; round < 20; round++) {
        piece pieces[PIECES];
        push_pieces(&arena, pieces, PIECES / 2);
        for (int i = 0; i < PIECES; i++)
            resize_piece(&arena, &pieces[test_random_below(PIECES / 2)]);
        push_pieces(&arena, pieces + PIECES / 2, PIECES / 2);
        for (int i = 0; i < PIECES; i++)
            resize_piece(&arena, &pieces[PIECES - 1]);
        for (int i = 0; i < PIECES; i++)
            CHECK(is_filled(pieces[i]));
        CHECK_EQ_U64(arena.bytes, oct_atomic_load(&heap_counting.bytes));
        oct_arena_reset(&arena);
        CHECK(heap_is_empty());
        CHECK(arena.bytes == 0);
    }
}

TEST(empty_pushes_have_addresses_of_their_own)
{
    oct_arena arena;
    oct_arena_init(&arena, heap_start(), 0);
    uint8_t *a = oct_arena_push(&arena, 0);
    uint8_t *b = oct_arena_push(&arena, 0);
    CHECK(a != NULL && b != NULL && a != b);
    uint8_t *c = oct_arena_push(&arena, 8);
    memset(c, 7, 8);
    b = oct_arena_resize(&arena, b, 0, 64);
    CHECK(b != NULL);
    memset(b, 1, 64);
    CHECK(c[0] == 7 && c[7] == 7);
    oct_arena_reset(&arena);
}

TEST(growing_the_newest_push_does_not_copy)
{
    oct_arena arena;
    oct_arena_init(&arena, heap_start(), 0);
    CHECK(oct_arena_push(&arena, 100) != NULL);
    size_t bytes = 1 << 20;
    uint8_t *at = oct_arena_push(&arena, bytes);
    for (int i = 0; i < 8; i++) {
        at = oct_arena_resize(&arena, at, bytes, bytes * 2);
        CHECK(at != NULL);
        bytes *= 2;
    }
    CHECK(arena.bytes < bytes + 8192); /* nothing was left behind */
    at = oct_arena_resize(&arena, at, bytes, 1 << 20);
    CHECK(at != NULL);
    CHECK(arena.bytes < (1 << 20) + 8192); /* and shrinking gives back */
    oct_arena_reset(&arena);
    CHECK(heap_is_empty());
}

TEST(the_limit_is_a_status_of_its_own)
{
    oct_arena arena;
    oct_error error;
    oct_arena_init(&arena, heap_start(), 10000);
    CHECK(oct_arena_push(&arena, 9000) != NULL);
    CHECK(oct_arena_push(&arena, 9000) == NULL);
    CHECK(oct_arena_fail(&arena, "a test", &error) == OCT_LIMIT);
    CHECK(strstr(error.message, "10000") != NULL);
    uint32_t *array = &(uint32_t){ 1 };
    CHECK(oct_arena_array(&arena, 9000, sizeof array[0], &array, &error) == OCT_LIMIT);
    CHECK(array == NULL);
    oct_str copy;
    char text[2000] = { 0 };
    CHECK(oct_arena_str(&arena, (oct_str){ text, sizeof text }, &copy, &error) == OCT_LIMIT);
    CHECK(copy.at == NULL && copy.bytes == 0);
    CHECK(arena.bytes <= 10000);
    heap_counting.fail_after = true;
    heap_counting.fail_at = 1;
    CHECK(oct_arena_array(&arena, 500, 1, &array, &error) == OCT_NOMEM);
    heap_counting.fail_at = 0;
    CHECK(oct_arena_array(&arena, 500, 1, &array, &error) == OCT_OK);
    oct_arena_reset(&arena);
    CHECK(arena.bytes_max == 10000);
    CHECK(oct_arena_push(&arena, 9000) != NULL);
    uint8_t *grown = oct_arena_push(&arena, 100);
    CHECK(grown != NULL);
    CHECK(oct_arena_resize(&arena, grown, 100, 20000) == NULL);
    CHECK(oct_arena_fail(&arena, "a test", &error) == OCT_LIMIT);
    oct_arena_reset(&arena);
    CHECK(heap_is_empty());
}

TEST(arrays_are_zeroed_and_checked)
{
    oct_arena arena;
    oct_error error;
    oct_arena_init(&arena, heap_start(), 0);
    uint64_t *array;
    CHECK(oct_arena_array(&arena, 1000, sizeof array[0], &array, &error) == OCT_OK);
    for (int i = 0; i < 1000; i++)
        CHECK(array[i] == 0);
    CHECK(oct_arena_array(&arena, 0, sizeof array[0], &array, &error) == OCT_OK);
    CHECK(array != NULL);
    CHECK(oct_arena_array(&arena, SIZE_MAX / 8 + 1, 8, &array, &error) == OCT_NOMEM);
    CHECK(array == NULL);
    CHECK(oct_arena_array(&arena, SIZE_MAX, 1, &array, &error) == OCT_NOMEM);
    CHECK(oct_arena_push(&arena, SIZE_MAX) == NULL);
    CHECK(oct_arena_push(&arena, SIZE_MAX / 2) == NULL);
    CHECK(oct_arena_fail(&arena, "a test", &error) == OCT_NOMEM);
    oct_arena_reset(&arena);
    CHECK(heap_is_empty());
}

TEST(strings_are_copied_with_a_nul)
{
    oct_arena arena;
    oct_arena_init(&arena, heap_start(), 0);
    char source[] = "grass\0hopper";
    oct_str copy;
    CHECK(oct_arena_str(&arena, (oct_str){ source, 12 }, &copy, NULL) == OCT_OK);
    source[0] = 'b';
    CHECK(copy.bytes == 12);
    CHECK(memcmp(copy.at, "grass\0hopper", 13) == 0);
    CHECK(oct_arena_str(&arena, (oct_str){ NULL, 0 }, &copy, NULL) == OCT_OK);
    CHECK(copy.bytes == 0 && copy.at[0] == '\0');
    oct_str huge = { source, SIZE_MAX };
    CHECK(oct_arena_str(&arena, huge, &copy, NULL) == OCT_NOMEM);
    oct_arena_reset(&arena);
    CHECK(heap_is_empty());
}

/* Everything once; the number of failures seen. Memory given earlier must survive each. */
static int use_everything(oct_arena *arena)
{
    int failures = 0;
    oct_str text = OCT_STR("kept");
    oct_str copy = OCT_STR("");
    uint8_t *array = NULL;
    if (oct_arena_str(arena, text, &copy, NULL) != OCT_OK) failures++;
    uint8_t *kept = oct_arena_push(arena, 3000);
    if (!kept) return failures + 1;
    memset(kept, 9, 3000);
    uint8_t *grown = oct_arena_resize(arena, kept, 3000, 300000);
    if (!grown)
        failures++;
    else
        kept = grown;
    if (oct_arena_array(arena, 50000, 8, &array, NULL) != OCT_OK) failures++;
    if (array) array[0] = 1;
    uint8_t *moved = oct_arena_resize(arena, kept, 3000, 600000); /* no longer the newest */
    if (!moved)
        failures++;
    else
        kept = moved;
    for (int i = 0; i < 3000; i++)
        CHECK_OR(-1, kept[i] == 9);
    CHECK_OR(-1, copy.bytes == 0 || memcmp(copy.at, "kept", 4) == 0);
    return failures;
}

TEST(every_allocation_may_fail)
{
    uint64_t runs = 0;
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_arena arena;
        oct_arena_init(&arena, &heap_counting.alloc, 0);
        CHECK((use_everything(&arena) > 0) == heap_failed());
        oct_arena_reset(&arena);
        CHECK(heap_is_empty());
        runs++;
    }
    CHECK(runs >= 4);
}

TEST_MAIN(pieces_keep_their_content, empty_pushes_have_addresses_of_their_own,
          growing_the_newest_push_does_not_copy, the_limit_is_a_status_of_its_own,
          arrays_are_zeroed_and_checked, strings_are_copied_with_a_nul, every_allocation_may_fail)
