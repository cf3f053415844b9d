/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - all a test program needs; one program per tests/<area>/<module>_test.c.
 *
 *     TEST(sum_is_commutative) { CHECK(sum(1, 2) == sum(2, 1)); }
 *     TEST_MAIN(sum_is_commutative)
 *
 * Usage: PROGRAM [SEED [TEST]]. The seed is printed first, so a random failure is repeated by
 * passing it; TEST runs that one test only. The last line is "N passed, N failed"; the exit
 * code is 1 when anything failed. Every test starts from the same random stream, whatever ran
 * before it.
 *
 * A test ends at its first failed CHECK. A CHECK inside a helper ends the helper and marks the
 * test as failed, and the test itself then ends at its next CHECK; helpers that return
 * something use CHECK_OR(value, condition).
 *
 * The list of tests is written by hand: the same source runs natively, as WASI and as
 * Emscripten programs, so there are no constructors and no setjmp. A TEST missing from
 * TEST_MAIN is an unused variable and does not compile. cmocka was not taken: it needs setjmp,
 * which wasi-libc lacks. */
#ifndef OCT_TEST_H
#define OCT_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

#define TEST_SEED_DEFAULT UINT64_C(0x5eed)

static uint64_t test_seed = TEST_SEED_DEFAULT;         /* what was given or the default */
static uint64_t test_random_state = TEST_SEED_DEFAULT; /* reset to test_seed before each test */
static bool test_failed;                               /* the running test has failed */

/* Next 64 random bits (splitmix64): independent of the core's own generator, which is tested. */
static inline uint64_t test_random(void)
{
    uint64_t z = (test_random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A random number in 0..limit-1; limit >= 1. The bias of the modulo does not matter here. */
static inline uint32_t test_random_below(uint32_t limit)
{
    return (uint32_t)((test_random() >> 32) % limit);
}

/* A random float in [-1, 1) with 24 random bits, exact on every target. */
static inline float test_random_float(void)
{
    return (float)(test_random() >> 40) / 8388608.0f - 1.0f;
}

static inline bool test_fail(const char *file, int line, const char *text)
{
    printf("%s:%d: failed: %s\n", file, line, text);
    test_failed = true;
    return false;
}

/* False when this check fails and also when an earlier one in a helper did. */
static inline bool test_true(bool holds, const char *file, int line, const char *text)
{
    if (!holds) return test_fail(file, line, text);
    return !test_failed;
}

static inline bool test_equal_u64(uint64_t a, uint64_t b, const char *file, int line,
                                  const char *text)
{
    if (a == b) return !test_failed;
    printf("%s:%d: %" PRIu64 " (0x%" PRIx64 ") against %" PRIu64 " (0x%" PRIx64 ")\n", file, line,
           a, a, b, b);
    return test_fail(file, line, text);
}

static inline bool test_equal_i64(int64_t a, int64_t b, const char *file, int line,
                                  const char *text)
{
    if (a == b) return !test_failed;
    printf("%s:%d: %" PRId64 " against %" PRId64 "\n", file, line, a, b);
    return test_fail(file, line, text);
}

static inline bool test_equal_string(const char *a, const char *b, const char *file, int line,
                                     const char *text)
{
    if (a && b && strcmp(a, b) == 0) return !test_failed;
    printf("%s:%d: \"%s\" against \"%s\"\n", file, line, a ? a : "(null)", b ? b : "(null)");
    return test_fail(file, line, text);
}

#define CHECK_OR(value, condition)                                                                 \
    do {                                                                                           \
        if (!test_true((condition), __FILE__, __LINE__, #condition)) return value;                 \
    } while (0)
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!test_true((condition), __FILE__, __LINE__, #condition)) return;                       \
    } while (0)
#define CHECK_EQ_U64(a, b)                                                                         \
    do {                                                                                           \
        if (!test_equal_u64((a), (b), __FILE__, __LINE__, #a " == " #b)) return;                   \
    } while (0)
#define CHECK_EQ_I64(a, b)                                                                         \
    do {                                                                                           \
        if (!test_equal_i64((a), (b), __FILE__, __LINE__, #a " == " #b)) return;                   \
    } while (0)
#define CHECK_EQ_STR(a, b)                                                                         \
    do {                                                                                           \
        if (!test_equal_string((a), (b), __FILE__, __LINE__, #a " == " #b)) return;                \
    } while (0)

#define TEST(name)                                                                                 \
    static void name##_body(void);                                                                 \
    static const test_case name = { #name, name##_body };                                          \
    static void name##_body(void)

/* Run the `count` cases, or the one called `only` when that is not NULL; the exit code. */
static inline int test_run(const test_case *cases, size_t count, const char *only)
{
    unsigned passed = 0;
    unsigned failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (only && strcmp(only, cases[i].name) != 0) continue;
        printf("%s\n", cases[i].name);
        fflush(stdout); /* the name is on the screen even when the test then crashes */
        test_random_state = test_seed;
        test_failed = false;
        cases[i].run();
        if (test_failed)
            failed++;
        else
            passed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}

#define TEST_MAIN(...)                                                                             \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        const test_case cases[] = { __VA_ARGS__ };                                                 \
        if (argc > 1) test_seed = strtoull(argv[1], NULL, 0);                                      \
        printf("seed 0x%" PRIx64 "\n", test_seed);                                                 \
        return test_run(cases, sizeof cases / sizeof cases[0], argc > 2 ? argv[2] : NULL);         \
    }

#endif
