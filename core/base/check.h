/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h - assertions, TRY, and the few macros every file uses.
 *
 * ASSERT states what only a bug can break and stays on in release builds. ASSERT_HOT is for loops
 * over points and exists only where OCT_DEBUG is defined. TRY jumps to the function's one `done:`
 * label, which frees what the function owns and returns `status`. */
#ifndef OCTANT_BASE_CHECK_H
#define OCTANT_BASE_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octant/status.h"

/* Stop the program: a bug was found. Traps; never returns. */
#define ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())
#ifdef OCT_DEBUG
#define ASSERT_HOT(condition) ASSERT(condition)
#else
#define ASSERT_HOT(condition) ((void)sizeof(condition))
#endif
#define STATIC_ASSERT(condition, text) _Static_assert(condition, text)

#define TRY(expression)                                                                            \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != OCT_OK) goto done;                                                           \
    } while (0)

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED(name)       ((void)(name))
#define MIN(a, b)          ((a) < (b) ? (a) : (b))
#define MAX(a, b)          ((a) > (b) ? (a) : (b))

/* Write the first report of a failure into *error (NULL allowed) and return `status`, so that
 * `TRY(oct_fail(error, OCT_CORRUPT, "..."))` both reports and leaves. Integers only through
 * PRIu64 and friends; %.*s for oct_str. Longer messages are cut at a character boundary. */
oct_status oct_fail(oct_error *error, oct_status status, const char *format, ...) OCT_PRINTF(3, 4);

/* Write a text that reports no failure (the lines of oct_check) into *text; its status is OK. */
void oct_note(oct_error *text, const char *format, ...) OCT_PRINTF(2, 3);

/* The same as oct_fail for a failed call of the host, keeping its error number. */
oct_status oct_fail_os(oct_error *error, oct_status status, int os_code, const char *format, ...)
    OCT_PRINTF(4, 5);

/* "out of memory allocating <what>" with status NOMEM. */
oct_status oct_fail_nomem(oct_error *error, const char *what);

#endif
