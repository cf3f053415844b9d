/* SPDX-License-Identifier: Apache-2.0 */
/* test_alloc.h - the C library's memory as an oct_alloc, for test programs. */
#ifndef OCT_TEST_ALLOC_H
#define OCT_TEST_ALLOC_H

#include <stdlib.h>

#include "octant/host.h"

static inline void *test_resize(void *self, void *old, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    (void)old_bytes;
    if (new_bytes > 0) return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static const oct_alloc test_alloc = { NULL, test_resize };

#endif
