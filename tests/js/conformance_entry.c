/* SPDX-License-Identifier: Apache-2.0
 *
 * conformance_entry.c - the storage contract of tests/vfs, run on a storage written in JavaScript.
 * Its lines go to the log import, one call each. */
#include "conformance.h"
#include "vfs_js.h"

extern void oct_js_log(int level, const char *message);
__attribute__((used, visibility("default"))) int oct_t_conformance(uint32_t caps);

static void print(const char *line)
{
    oct_js_log(1, line);
}

/* How many checks failed. */
int oct_t_conformance(uint32_t caps)
{
    oct_vfs vfs;
    oct_vfs_js_init(&vfs, caps);
    return oct_vfs_conformance(&vfs, NULL, "js", print);
}
