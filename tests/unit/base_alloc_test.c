/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the array helpers check every size and change nothing when they fail; the counting
 * allocator counts exactly, refuses exactly what it is told to, also from several threads.
 * Method: a hostile host allocator (base_heap.h), random operations against a plain model, sizes
 * around overflow. */
#include "base_heap.h"
#include "test.h"

TEST(new_and_free_give_memory_back)
{
    const oct_alloc *alloc = heap_start();
    uint8_t *memory = oct_new(alloc, 100);
    CHECK(memory != NULL);
    memset(memory, 1, 100);
    uint8_t *zeroed = oct_new_zeroed(alloc, 1000);
    CHECK(zeroed != NULL);
    for (size_t i = 0; i < 1000; i++)
        CHECK(zeroed[i] == 0);
    CHECK_EQ_U64(oct_atomic_load(&heap_counting.bytes), 1100);
    oct_free(alloc, memory, 100);
    oct_free(alloc, zeroed, 1000);
    oct_free(alloc, NULL, 0);
    CHECK(heap_is_empty());
    CHECK_EQ_U64(oct_atomic_load(&heap_counting.peak), 1100);
}

TEST(new_is_null_when_memory_is_out)
{
    const oct_alloc *alloc = heap_start();
    heap_counting.fail_at = 1;
    heap_counting.fail_after = true;
    CHECK(oct_new(alloc, 1) == NULL);
    CHECK(oct_new_zeroed(alloc, 1) == NULL);
    CHECK(heap_is_empty());
}

TEST(multiply_finds_every_overflow)
{
    size_t bytes;
    CHECK(oct_size_multiply(0, 0, &bytes) && bytes == 0);
    CHECK(oct_size_multiply(0, SIZE_MAX, &bytes) && bytes == 0);
    CHECK(oct_size_multiply(SIZE_MAX, 0, &bytes) && bytes == 0);
    CHECK(oct_size_multiply(SIZE_MAX, 1, &bytes) && bytes == SIZE_MAX);
    CHECK(oct_size_multiply(SIZE_MAX / 24, 24, &bytes) && bytes == SIZE_MAX / 24 * 24);
    CHECK(!oct_size_multiply(SIZE_MAX / 24 + 1, 24, &bytes));
    CHECK(!oct_size_multiply(SIZE_MAX, 2, &bytes));
    for (int i = 0; i < 10000; i++) {
        uint64_t a = test_random() >> test_random_below(64);
        uint64_t b = test_random() >> test_random_below(64);
        size_t count = (size_t)a;
        size_t item = (size_t)b;
        bool fits = item == 0 || count <= SIZE_MAX / item;
        CHECK(oct_size_multiply(count, item, &bytes) == fits);
        CHECK(bytes == (fits ? count * item : 0));
    }
}

TEST(array_resize_keeps_the_content)
{
    const oct_alloc *alloc = heap_start();
    uint32_t *array = NULL;
    size_t count = 0;
    for (int round = 0; round < 200; round++) {
        size_t next = test_random_below(50);
        CHECK(oct_array_resize(alloc, &array, count, next, sizeof array[0], NULL) == OCT_OK);
        for (size_t i = 0; i < count && i < next; i++)
            CHECK(array[i] == i * 7);
        for (size_t i = count; i < next; i++)
            array[i] = (uint32_t)i * 7;
        count = next;
        CHECK((array == NULL) == (count == 0));
        CHECK_EQ_U64(oct_atomic_load(&heap_counting.bytes), count * sizeof array[0]);
    }
    CHECK(oct_array_resize(alloc, &array, count, 0, sizeof array[0], NULL) == OCT_OK);
    CHECK(heap_is_empty());
}

TEST(array_failures_change_nothing)
{
    const oct_alloc *alloc = heap_start();
    uint64_t *array = NULL;
    size_t capacity = 0;
    oct_error error;
    CHECK(oct_array_reserve(alloc, &array, &capacity, 3, sizeof array[0], &error) == OCT_OK);
    array[2] = 42;
    uint64_t *before = array;
    size_t capacity_before = capacity;
    size_t too_many = SIZE_MAX / sizeof array[0] + 1;
    CHECK(oct_array_resize(alloc, &array, capacity, too_many, sizeof array[0], &error) ==
          OCT_NOMEM);
    CHECK(oct_array_reserve(alloc, &array, &capacity, too_many, sizeof array[0], &error) ==
          OCT_NOMEM);
    CHECK(oct_array_reserve(alloc, &array, &capacity, SIZE_MAX, sizeof array[0], &error) ==
          OCT_NOMEM);
    CHECK(strlen(error.message) > 10);
    heap_counting.fail_at = 1;
    heap_counting.fail_after = true;
    CHECK(oct_array_resize(alloc, &array, capacity, capacity + 1, sizeof array[0], &error) ==
          OCT_NOMEM);
    CHECK(oct_array_reserve(alloc, &array, &capacity, capacity + 1, sizeof array[0], &error) ==
          OCT_NOMEM);
    CHECK(array == before);
    CHECK(capacity == capacity_before);
    CHECK(array[2] == 42);
    CHECK(oct_array_resize(alloc, &array, capacity, 0, sizeof array[0], &error) == OCT_OK);
    CHECK(heap_is_empty());
}

TEST(array_reserve_doubles)
{
    const oct_alloc *alloc = heap_start();
    uint16_t *array = NULL;
    size_t capacity = 0;
    for (size_t count = 0; count < 20000; count++) {
        CHECK(oct_array_reserve(alloc, &array, &capacity, count + 1, sizeof array[0], NULL) ==
              OCT_OK);
        CHECK(capacity > count);
        array[count] = (uint16_t)count;
    }
    for (size_t i = 0; i < 20000; i++)
        CHECK(array[i] == (uint16_t)i);
    CHECK(oct_atomic_load(&heap_counting.calls) < 12); /* 128 to 32768 items */
    size_t before = capacity;
    CHECK(oct_array_reserve(alloc, &array, &capacity, 5, sizeof array[0], NULL) == OCT_OK);
    CHECK(capacity == before);
    CHECK(oct_array_resize(alloc, &array, capacity, 0, sizeof array[0], NULL) == OCT_OK);
    CHECK(heap_is_empty());
}

TEST(counting_fails_at_one_call_or_from_it_on)
{
    for (int after = 0; after < 2; after++) {
        const oct_alloc *alloc = heap_start();
        heap_counting.fail_at = 3;
        heap_counting.fail_after = after;
        void *memory[5];
        for (int i = 0; i < 5; i++) {
            memory[i] = oct_new(alloc, 8);
            bool refused = after ? i >= 2 : i == 2;
            CHECK((memory[i] == NULL) == refused);
        }
        CHECK_EQ_U64(oct_atomic_load(&heap_counting.calls), 5);
        for (int i = 0; i < 5; i++)
            oct_free(alloc, memory[i], 8); /* freeing never counts */
        CHECK_EQ_U64(oct_atomic_load(&heap_counting.calls), 5);
        CHECK(heap_is_empty());
    }
}

TEST(counting_keeps_the_limit)
{
    oct_counting_alloc counting;
    oct_counting_alloc_init(&counting, &heap, 100);
    const oct_alloc *alloc = &counting.alloc;
    void *first = oct_new(alloc, 60);
    CHECK(first != NULL);
    CHECK(oct_new(alloc, 41) == NULL);
    CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 60);
    void *second = oct_new(alloc, 40);
    CHECK(second != NULL);
    CHECK(alloc->resize(alloc->self, second, 40, 41) == NULL);
    second = alloc->resize(alloc->self, second, 40, 10);
    CHECK(second != NULL);
    CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 70);
    CHECK_EQ_U64(oct_atomic_load(&counting.peak), 100);
    oct_free(alloc, first, 60);
    oct_free(alloc, second, 10);
    CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
}

/* A host that is out of memory. */
static void *nothing_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    UNUSED(self);
    UNUSED(old);
    UNUSED(old_bytes);
    UNUSED(new_bytes);
    return NULL;
}

TEST(counting_does_not_count_what_the_host_refused)
{
    const oct_alloc nothing = { NULL, nothing_resize };
    oct_counting_alloc counting;
    oct_counting_alloc_init(&counting, &nothing, 0);
    CHECK(oct_new(&counting.alloc, 10) == NULL);
    CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
    CHECK_EQ_U64(oct_atomic_load(&counting.peak), 0);
    CHECK_EQ_U64(oct_atomic_load(&counting.calls), 1);
}

TEST(atomics_return_what_they_store)
{
    oct_atomic_u64 value;
    oct_atomic_store(&value, 5);
    CHECK_EQ_U64(oct_atomic_add(&value, 3), 8);
    CHECK_EQ_U64(oct_atomic_subtract(&value, 1), 7);
    oct_atomic_raise(&value, 6);
    CHECK_EQ_U64(oct_atomic_load(&value), 7);
    oct_atomic_raise(&value, 9);
    CHECK_EQ_U64(oct_atomic_load(&value), 9);
    oct_atomic_u32 bits = 0;
    oct_atomic_or_u32(&bits, 5);
    oct_atomic_or_u32(&bits, 2);
    CHECK_EQ_U64(oct_atomic_load_u32(&bits), 7);
}

typedef struct locked_count {
    oct_mutex mutex;
    oct_rwlock rwlock;
    oct_condition_variable changed;
    oct_counting_alloc counting;
    uint64_t under_mutex, under_rwlock;
    int running;
} locked_count;

enum { ROUNDS = 5000 };

static void *count_up(void *arg)
{
    locked_count *shared = arg;
    for (size_t i = 0; i < ROUNDS; i++) {
        oct_mutex_lock(&shared->mutex);
        shared->under_mutex++;
        oct_mutex_unlock(&shared->mutex);
        oct_rwlock_write(&shared->rwlock);
        shared->under_rwlock++;
        oct_rwlock_unlock(&shared->rwlock);
        void *memory = oct_new(&shared->counting.alloc, 1 + i % 100);
        oct_free(&shared->counting.alloc, memory, 1 + i % 100);
    }
    oct_mutex_lock(&shared->mutex);
    shared->running--;
    oct_condition_variable_broadcast(&shared->changed);
    oct_mutex_unlock(&shared->mutex);
    return NULL;
}

static void *plain_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    UNUSED(self);
    UNUSED(old_bytes);
    if (new_bytes > 0) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

/* With OCT_THREADS=0 the same calls run one after the other. */
TEST(locks_and_counters_hold_between_threads)
{
    enum { THREADS = 4 };
    const oct_alloc plain = { NULL, plain_resize };
    locked_count shared = { .running = THREADS };
    CHECK(oct_mutex_init(&shared.mutex) == OCT_OK);
    CHECK(oct_rwlock_init(&shared.rwlock) == OCT_OK);
    CHECK(oct_condition_variable_init(&shared.changed) == OCT_OK);
    oct_counting_alloc_init(&shared.counting, &plain, 0);
#if OCT_THREADS
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count_up, &shared) == 0);
    oct_mutex_lock(&shared.mutex);
    while (shared.running > 0)
        oct_condition_variable_wait(&shared.changed, &shared.mutex);
    oct_mutex_unlock(&shared.mutex);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
#else
    for (int i = 0; i < THREADS; i++)
        count_up(&shared);
#endif
    oct_rwlock_read(&shared.rwlock);
    CHECK_EQ_U64(shared.under_rwlock, THREADS * ROUNDS);
    oct_rwlock_unlock(&shared.rwlock);
    CHECK_EQ_U64(shared.under_mutex, THREADS * ROUNDS);
    CHECK(shared.running == 0);
    CHECK_EQ_U64(oct_atomic_load(&shared.counting.bytes), 0);
    CHECK_EQ_U64(oct_atomic_load(&shared.counting.calls), THREADS * ROUNDS);
    CHECK(oct_atomic_load(&shared.counting.peak) >= 100);
    CHECK(oct_atomic_load(&shared.counting.peak) <= 100 * THREADS);
    oct_condition_variable_deinit(&shared.changed);
    oct_rwlock_deinit(&shared.rwlock);
    oct_mutex_deinit(&shared.mutex);
}

TEST_MAIN(new_and_free_give_memory_back, new_is_null_when_memory_is_out,
          multiply_finds_every_overflow, array_resize_keeps_the_content,
          array_failures_change_nothing, array_reserve_doubles,
          counting_fails_at_one_call_or_from_it_on, counting_keeps_the_limit,
          counting_does_not_count_what_the_host_refused, atomics_return_what_they_store,
          locks_and_counters_hold_between_threads)
