/* SPDX-License-Identifier: Apache-2.0
 *
 * alloc.c - owned memory over the host's one resize function.
 *
 * Array helpers take the address of any object pointer as void *, so that one function serves
 * every item type; the pointer itself is read and written through memcpy, which is the only way
 * that respects aliasing. The counting allocator wraps another one: it is the database's memory
 * limit in production and the tool of allocation-failure sweeps in tests. Its counters are
 * atomics instead of a mutex, because two threads of a search allocate at once and a few
 * nanoseconds is all the limit may cost. */
#include "base/alloc.h"

#include <string.h>

enum { FREE_BYTES = 4 << 20 /* given back at a time */ };

void *oct_new(const oct_alloc *alloc, size_t bytes)
{
    ASSERT(bytes > 0);
    return alloc->resize(alloc->self, NULL, 0, bytes);
}

void *oct_new_zeroed(const oct_alloc *alloc, size_t bytes)
{
    void *memory = oct_new(alloc, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

void oct_free(const oct_alloc *alloc, void *memory, size_t bytes)
{
    if (memory) alloc->resize(alloc->self, memory, bytes, 0);
}

bool oct_free_piece(const oct_alloc *alloc, void *memory_pointer, size_t *bytes)
{
    void *memory, *left = NULL;
    memcpy(&memory, memory_pointer, sizeof memory);
    if (memory && *bytes > FREE_BYTES)
        left = alloc->resize(alloc->self, memory, *bytes, *bytes - FREE_BYTES);
    if (left)
        *bytes -= FREE_BYTES;
    else /* nothing, the last piece, or memory that can't shrink */
        oct_free(alloc, memory, *bytes);
    memcpy(memory_pointer, &left, sizeof left);
    return left == NULL;
}

bool oct_size_multiply(size_t count, size_t item_bytes, size_t *bytes)
{
    if (item_bytes != 0 && count > SIZE_MAX / item_bytes) {
        *bytes = 0;
        return false;
    }
    *bytes = count * item_bytes;
    return true;
}

static void *pointer_load(const void *array_pointer)
{
    void *array;
    memcpy(&array, array_pointer, sizeof array);
    return array;
}

static void pointer_store(void *array_pointer, void *array)
{
    memcpy(array_pointer, &array, sizeof array);
}

oct_status oct_array_resize(const oct_alloc *alloc, void *array_pointer, size_t old_count,
                            size_t new_count, size_t item_bytes, oct_error *error)
{
    ASSERT(item_bytes > 0);
    void *array = pointer_load(array_pointer);
    ASSERT((array == NULL) == (old_count == 0));
    size_t old_bytes, new_bytes;
    bool fits = oct_size_multiply(old_count, item_bytes, &old_bytes);
    ASSERT(fits);
    if (!oct_size_multiply(new_count, item_bytes, &new_bytes))
        return oct_fail_nomem(error, "an array larger than the address space");
    if (new_bytes == 0) {
        oct_free(alloc, array, old_bytes);
        pointer_store(array_pointer, NULL);
        return OCT_OK;
    }
    void *resized = alloc->resize(alloc->self, array, old_bytes, new_bytes);
    if (!resized) return oct_fail_nomem(error, "an array");
    pointer_store(array_pointer, resized);
    return OCT_OK;
}

oct_status oct_array_reserve(const oct_alloc *alloc, void *array_pointer, size_t *capacity,
                             size_t needed, size_t item_bytes, oct_error *error)
{
    enum { FIRST_BYTES = 256 };
    if (needed <= *capacity) return OCT_OK;
    size_t first = MAX(FIRST_BYTES / item_bytes, 4);
    size_t doubled = *capacity > SIZE_MAX / 2 ? needed : *capacity * 2;
    size_t grown = MAX(MAX(doubled, needed), first);
    oct_status status = oct_array_resize(alloc, array_pointer, *capacity, grown, item_bytes, error);
    if (status == OCT_OK) *capacity = grown;
    return status;
}

/* Is the allocation that is asked for right now one of those a test wants to fail? */
static bool fails_on_purpose(oct_counting_alloc *counting)
{
    uint64_t number = oct_atomic_add(&counting->calls, 1);
    if (counting->fail_at == 0) return false;
    return counting->fail_after ? number >= counting->fail_at : number == counting->fail_at;
}

/* Count `more` bytes as allocated unless that would pass the limit. Two threads near the limit
 * may both be refused although one would fit; neither ever passes it. */
static bool charge(oct_counting_alloc *counting, uint64_t more)
{
    uint64_t bytes = oct_atomic_add(&counting->bytes, more);
    if (counting->bytes_max == 0 || bytes <= counting->bytes_max) return true;
    oct_atomic_subtract(&counting->bytes, more);
    return false;
}

static void *counting_grow(oct_counting_alloc *counting, void *old, size_t old_bytes,
                           size_t new_bytes)
{
    uint64_t more = new_bytes - old_bytes;
    if (fails_on_purpose(counting) || !charge(counting, more)) return NULL;
    const oct_alloc *below = counting->below;
    void *memory = below->resize(below->self, old, old_bytes, new_bytes);
    if (!memory) {
        oct_atomic_subtract(&counting->bytes, more);
        return NULL;
    }
    oct_atomic_raise(&counting->peak, oct_atomic_load(&counting->bytes));
    return memory;
}

static void *counting_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    oct_counting_alloc *counting = self;
    ASSERT((old == NULL) == (old_bytes == 0));
    if (new_bytes > old_bytes) return counting_grow(counting, old, old_bytes, new_bytes);
    if (!old) return NULL;
    const oct_alloc *below = counting->below;
    void *memory = below->resize(below->self, old, old_bytes, new_bytes);
    /* A shrink that the allocator below refuses leaves the old block, as the contract says. */
    if (memory || new_bytes == 0) oct_atomic_subtract(&counting->bytes, old_bytes - new_bytes);
    return memory;
}

void oct_counting_alloc_init(oct_counting_alloc *counting, const oct_alloc *below,
                             uint64_t bytes_max)
{
    *counting = (oct_counting_alloc){
        .alloc = { .self = counting, .resize = counting_resize },
        .below = below,
        .bytes_max = bytes_max,
    };
}
