/* SPDX-License-Identifier: Apache-2.0
 *
 * version.c - which Octant this is, and whose API it speaks. */
#include "octant/octant.h"

const char *oct_version(void)
{
    return "0.1.0";
}
const char *oct_qdrant_version(void)
{
    return "1.19.0";
}
