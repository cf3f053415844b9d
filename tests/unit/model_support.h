/* SPDX-License-Identifier: Apache-2.0 */
/* model_support.h - for the tests of core/model, payload indexes and filters: an allocator that
 * checks the sizes it is given back, JSON from text, and a frame that lets each allocation of
 * a piece of code fail once. */
#ifndef OCT_TEST_MODEL_SUPPORT_H
#define OCT_TEST_MODEL_SUPPORT_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "test.h"

/* Each block is preceded by its size, which frees and growths must name. */
static inline void *model_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    enum { HEAD_BYTES = 16 };
    (void)self;
    size_t *head = old ? (size_t *)(void *)((char *)old - HEAD_BYTES) : NULL;
    if (head ? *head != old_bytes : old_bytes != 0) {
        printf("an allocation is given back with a wrong size\n");
        abort();
    }
    if (new_bytes == 0) {
        free(head);
        return NULL;
    }
    head = realloc(head, new_bytes + HEAD_BYTES);
    if (!head) return NULL;
    *head = new_bytes;
    return (char *)head + HEAD_BYTES;
}

static const oct_alloc model_malloc = { .self = NULL, .resize = model_resize };

/* Parse a text that must be valid JSON. */
static inline const oct_json *model_json(oct_arena *arena, const char *text)
{
    const oct_json *value = NULL;
    oct_error error = { .message = "" };
    oct_status status = oct_json_parse(arena, oct_str_of(text), &value, &error);
    if (status != OCT_OK) test_fail(__FILE__, __LINE__, error.message);
    return value;
}

/* Is a string this text? Prints both when not. */
static inline bool model_is(oct_str got, const char *wanted)
{
    if (oct_str_equal(got, oct_str_of(wanted))) return true;
    printf("got    %.*s\nwanted %s\n", (int)got.bytes, got.bytes ? got.at : "", wanted);
    return false;
}

/* Run `body(alloc, arg)` with its 1st, 2nd, ... allocation and all behind it failing, until it
 * succeeds. Each failure must be NOMEM and leave nothing allocated. */
typedef oct_status (*model_sweep_body)(const oct_alloc *alloc, void *arg);

static inline bool model_sweep(model_sweep_body body, void *arg)
{
    for (uint64_t fail_at = 1; fail_at < 100000; fail_at++) {
        oct_counting_alloc counting;
        oct_counting_alloc_init(&counting, &model_malloc, 0);
        counting.fail_at = fail_at;
        counting.fail_after = true;
        oct_status status = body(&counting.alloc, arg);
        if (oct_atomic_load(&counting.bytes) != 0) {
            printf("allocation %" PRIu64 ": memory is left\n", fail_at);
            return false;
        }
        if (status == OCT_OK) return fail_at > 1;
        if (status != OCT_NOMEM) {
            printf("allocation %" PRIu64 ": status %d\n", fail_at, (int)status);
            return false;
        }
    }
    return false;
}

#endif
