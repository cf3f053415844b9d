/* SPDX-License-Identifier: Apache-2.0 */
/* api_support.h - for the tests of core/api: decode one request from text and keep what came of
 * it. Memory comes from malloc, so that the sanitizers watch it, through a counting allocator,
 * so that a test can let the n-th allocation fail. */
#ifndef OCT_TEST_API_SUPPORT_H
#define OCT_TEST_API_SUPPORT_H

#include "api/decode.h"
#include "api/route.h"
#include "base/alloc.h"
#include "base/str.h"
#include "test.h"
#include "vfs/test_alloc.h"

/* One request, decoded. */
typedef struct api_case {
    oct_counting_alloc counting;
    oct_arena arena;
    size_t filler; /* bytes pushed first, which moves the places where the arena allocates */
    oct_call_request call;
    oct_request request;
    oct_error error;
    oct_status status;
} api_case;

/* Route and decode. floats may be NULL. fail_at 0: no failure. End with api_end. */
static inline void api_begin_with(api_case *it, const char *verb, const char *path,
                                  const char *body, uint64_t fail_at)
{
    oct_counting_alloc_init(&it->counting, &test_alloc, 0);
    it->counting.fail_at = fail_at;
    it->counting.fail_after = true;
    oct_arena_init(&it->arena, &it->counting.alloc, 0);
    it->error.message[0] = '\0';
    it->call.verb = verb;
    it->call.path = oct_str_of(path);
    it->call.body = oct_str_of(body);
    if (it->filler) (void)oct_arena_push(&it->arena, it->filler); /* may fail, as all the rest */
    it->status = oct_route(&it->arena, verb, it->call.path, &it->request, &it->error);
    if (it->status == OCT_OK)
        it->status = oct_decode(&it->arena, &it->call, &it->request, &it->error);
}

static inline void api_begin(api_case *it, const char *verb, const char *path, const char *body)
{
    memset(it, 0, sizeof *it);
    api_begin_with(it, verb, path, body, 0);
}

static inline void api_end(api_case *it)
{
    oct_arena_reset(&it->arena);
}

/* The request must fail with that status and exactly that bare message. */
static inline void api_rejects(const char *path_and_verb, const char *body, oct_status status,
                               const char *message)
{
    char verb[8] = { 0 };
    const char *space = strchr(path_and_verb, ' ');
    memcpy(verb, path_and_verb, (size_t)(space - path_and_verb));
    api_case it;
    api_begin(&it, verb, space + 1, body);
    oct_status got = it.status;
    oct_error error = it.error;
    api_end(&it);
    if (got != status) printf("status %s for %s\n", oct_status_text(got), body);
    CHECK_EQ_STR(error.message, message);
    CHECK(got == status);
}

#define CHECK_STR_IS(text, literal) CHECK(oct_str_equal((text), OCT_STR(literal)))

#endif
