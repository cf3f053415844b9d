/* SPDX-License-Identifier: Apache-2.0
 *
 * filter_equal.c - are two filters written the same way? For batches, whose queries often have one
 * filter, each in memory of its own. Filters that mean the same in other words are not found out:
 * they are selected twice then, which costs time and changes no answer. */
#include "base/str.h"
#include "model/point_id.h"
#include "query/filter.h"

static bool filters_equal(const oct_filter *a, const oct_filter *b, uint32_t depth);

static bool values_equal(const oct_condition *a, const oct_condition *b)
{
    if (a->value_count != b->value_count || a->id_count != b->id_count) return false;
    for (uint32_t i = 0; i < a->value_count; i++) {
        const oct_scalar *x = &a->values[i], *y = &b->values[i];
        if (x->kind != y->kind) return false;
        bool same = x->kind == OCT_SCALAR_KEYWORD ? oct_str_equal(x->keyword, y->keyword)
                                                  : x->integer == y->integer;
        if (!same) return false;
    }
    for (uint32_t i = 0; i < a->id_count; i++)
        if (!oct_point_id_equal(a->ids[i], b->ids[i])) return false;
    return true;
}

static bool ranges_equal(const oct_range *a, const oct_range *b)
{
    return a->lower == b->lower && a->upper == b->upper && a->has_lower == b->has_lower &&
           a->has_upper == b->has_upper && a->lower_open == b->lower_open &&
           a->upper_open == b->upper_open;
}

static bool conditions_equal(const oct_conditions *a, const oct_conditions *b, uint32_t depth)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const oct_condition *x = &a->at[i], *y = &b->at[i];
        if (x->kind != y->kind || !oct_str_equal(x->key, y->key) || !values_equal(x, y) ||
            !ranges_equal(&x->range, &y->range))
            return false;
        if (x->kind == OCT_CONDITION_FILTER && !filters_equal(x->filter, y->filter, depth + 1))
            return false;
    }
    return true;
}

static bool filters_equal(const oct_filter *a, const oct_filter *b, uint32_t depth)
{
    if (a == b) return true;
    if (depth > OCT_FILTER_DEPTH_MAX) return false;
    return a->min_should_count == b->min_should_count &&
           conditions_equal(&a->must, &b->must, depth) &&
           conditions_equal(&a->should, &b->should, depth) &&
           conditions_equal(&a->must_not, &b->must_not, depth) &&
           conditions_equal(&a->min_should, &b->min_should, depth);
}

bool oct_filter_equal(const oct_filter *a, const oct_filter *b)
{
    return filters_equal(a, b, 0);
}
