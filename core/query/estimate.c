/* SPDX-License-Identifier: Apache-2.0
 *
 * estimate.c - cardinalities of conditions, combined.
 *
 * min and max follow from set sizes alone: an intersection of sets of a and b points out of n has
 * at least a + b - n and at most min(a, b). `expected` takes conditions as independent, as Qdrant's
 * estimator does; its error grows with correlated conditions, which the bounds then contain. */
#include "query/estimate.h"

#include "model/point_id.h"
#include "query/filter_program.h"

typedef struct point_counts {
    uint64_t min, max; /* <= points */
    double expected;
} point_counts;

static point_counts estimate_program(const oct_filter_program *program,
                                     const oct_filter_source *source);

static point_counts estimate_ids(const oct_condition *condition, const oct_filter_source *source)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < condition->id_count; i++) {
        uint32_t offset;
        /* Ids are sorted: repeated ones are neighbours. */
        if (i > 0 && oct_point_id_equal(condition->ids[i - 1], condition->ids[i])) continue;
        if (source->find(source->self, condition->ids[i], &offset)) found++;
    }
    return (point_counts){ found, found, found };
}

static point_counts estimate_step(const oct_filter_step *step, const oct_filter_source *source)
{
    if (step->condition.kind == OCT_CONDITION_FILTER) return estimate_program(step->filter, source);
    if (step->condition.kind == OCT_CONDITION_HAS_ID) return estimate_ids(&step->condition, source);
    const oct_field *index = oct_filter_step_index(step, source);
    if (!index) return (point_counts){ 0, source->point_count, source->point_count / 2.0 };
    oct_cardinality count = oct_field_estimate(index, &step->condition);
    return (point_counts){ count.min, count.max, count.expected };
}

static point_counts counts_not(point_counts a, uint32_t points)
{
    return (point_counts){ points - a.max, points - a.min, points - a.expected };
}

static point_counts counts_and(point_counts a, point_counts b, uint32_t points)
{
    uint64_t min = a.min + b.min;
    return (point_counts){ min > points ? min - points : 0, MIN(a.max, b.max),
                           a.expected * b.expected / points };
}

static point_counts counts_or(point_counts a, point_counts b, uint32_t points)
{
    uint64_t max = a.max + b.max;
    return (point_counts){ MAX(a.min, b.min), MIN(max, points),
                           a.expected + b.expected - a.expected * b.expected / points };
}

/* At least k of the steps. Bounds: a point inside is counted at least k times in the sum of the
 * maxima; a point outside is missed by at least count - k + 1 steps. Expected: the chance that k
 * independent events happen, from chances[j] that exactly j < k did so far. */
static point_counts estimate_min_should(oct_filter_steps steps, uint32_t k,
                                        const oct_filter_source *source)
{
    enum { CHANCES_MAX = 64 };
    double chances[CHANCES_MAX] = { 1 };
    double enough = 0; /* the chance that k happened already */
    uint64_t misses = 0;
    uint64_t hits = 0;
    uint32_t points = source->point_count;
    if (k > steps.count) return (point_counts){ 0, 0, 0 };
    uint32_t exact = MIN(k, CHANCES_MAX); /* more are not told apart: then it is an upper guess */
    for (uint32_t i = 0; i < steps.count; i++) {
        point_counts step = estimate_step(&steps.at[i], source);
        double chance = step.expected / points;
        misses += points - step.min;
        hits += step.max;
        enough += chances[exact - 1] * chance;
        for (uint32_t j = exact - 1; j > 0; j--)
            chances[j] = chances[j] * (1 - chance) + chances[j - 1] * chance;
        chances[0] *= 1 - chance;
    }
    uint64_t outside = MIN(misses / (steps.count - k + 1), points);
    return (point_counts){ points - outside, MIN(hits / k, points), enough * points };
}

/* Recursion is bounded by OCT_FILTER_DEPTH_MAX. */
static point_counts estimate_program(const oct_filter_program *program,
                                     const oct_filter_source *source)
{
    uint32_t points = source->point_count;
    point_counts all = { points, points, points };
    for (uint32_t i = 0; i < program->must.count; i++)
        all = counts_and(all, estimate_step(&program->must.at[i], source), points);
    for (uint32_t i = 0; i < program->must_not.count; i++) {
        point_counts step = estimate_step(&program->must_not.at[i], source);
        all = counts_and(all, counts_not(step, points), points);
    }
    if (program->should.count > 0) {
        point_counts any = { 0, 0, 0 };
        for (uint32_t i = 0; i < program->should.count; i++)
            any = counts_or(any, estimate_step(&program->should.at[i], source), points);
        all = counts_and(all, any, points);
    }
    if (program->min_should_count > 0)
        all = counts_and(
            all, estimate_min_should(program->min_should, program->min_should_count, source),
            points);
    return all;
}

oct_cardinality oct_filter_estimate(const oct_filter_program *program,
                                    const oct_filter_source *source)
{
    if (source->point_count == 0) return (oct_cardinality){ 0, 0, 0 };
    point_counts counts = estimate_program(program, source);
    double expected = MIN(MAX(counts.expected, 0.0), (double)source->point_count);
    uint64_t rounded = (uint64_t)(expected + 0.5);
    return (oct_cardinality){ (uint32_t)counts.min,
                              (uint32_t)MIN(MAX(rounded, counts.min), counts.max),
                              (uint32_t)counts.max };
}
