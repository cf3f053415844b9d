/* SPDX-License-Identifier: Apache-2.0
 *
 * scalar.h - the order of match values: what sorted lists of them are searched by. */
#ifndef OCTANT_MODEL_SCALAR_H
#define OCTANT_MODEL_SCALAR_H

#include "base/check.h"
#include "base/str.h"
#include "octant/types.h"

/* < 0, 0, > 0: by kind, then keywords bytewise, integers and bools by value. */
static inline int oct_scalar_compare(const oct_scalar *a, const oct_scalar *b)
{
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->kind == OCT_SCALAR_KEYWORD) return oct_str_compare(a->keyword, b->keyword);
    return a->integer < b->integer ? -1 : a->integer > b->integer;
}

#endif
