/* SPDX-License-Identifier: Apache-2.0 */
/* test_directory.h - a fresh directory below the current one, for tests of real files. No
 * mkdtemp, no process number: it must work as a WASI program too. */
#ifndef OCT_TEST_DIRECTORY_H
#define OCT_TEST_DIRECTORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct test_directory {
    char path[64];
} test_directory;

static inline bool test_directory_make(test_directory *directory)
{
    for (int number = 0; number < 10000; number++) {
        (void)snprintf(directory->path, sizeof directory->path, "vfs-test-%d", number);
        if (mkdir(directory->path, 0700) == 0) return true;
        if (errno != EEXIST) return false;
    }
    return false;
}

/* False when something is left in it. */
static inline bool test_directory_remove(const test_directory *directory)
{
    return rmdir(directory->path) == 0;
}

#endif
