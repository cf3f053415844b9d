/* SPDX-License-Identifier: Apache-2.0
 *
 * filter_compile.c - a filter as a program: key paths parsed, lists sorted, limits checked, once
 * per request instead of once per point. Recursion is bounded by OCT_FILTER_DEPTH_MAX. */
#include "index/field_sort.h"
#include "model/point_id.h"
#include "model/scalar.h"
#include "query/filter_program.h"

typedef struct filter_compiler {
    oct_arena *arena;
    uint32_t conditions; /* so far, in the whole filter */
} filter_compiler;

static bool scalar_after(const void *arg, uint32_t a, uint32_t b)
{
    const oct_scalar *scalars = arg;
    return oct_scalar_compare(&scalars[a], &scalars[b]) > 0;
}

static bool id_after(const void *arg, uint32_t a, uint32_t b)
{
    const oct_point_id *ids = arg;
    return oct_point_id_compare(ids[a], ids[b]) > 0;
}

/* The order of `count` items as indices. */
static oct_status sorted_order(oct_arena *arena, const void *items, uint32_t count,
                               oct_sort_after after, const uint32_t **out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t *order;
    uint32_t *temp;
    TRY(oct_arena_array(arena, count, sizeof *order, &order, error));
    TRY(oct_arena_array(arena, count, sizeof *temp, &temp, error));
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    oct_sort_indices(order, temp, count, after, items);
    *out = order;
done:
    return status;
}

static oct_status sort_values(oct_arena *arena, oct_condition *condition, oct_error *error)
{
    oct_status status = OCT_OK;
    const uint32_t *order;
    oct_scalar *sorted;
    TRY(sorted_order(arena, condition->values, condition->value_count, scalar_after, &order,
                     error));
    TRY(oct_arena_array(arena, condition->value_count, sizeof *sorted, &sorted, error));
    for (uint32_t i = 0; i < condition->value_count; i++)
        sorted[i] = condition->values[order[i]];
    condition->values = sorted;
done:
    return status;
}

static oct_status sort_ids(oct_arena *arena, oct_condition *condition, oct_error *error)
{
    oct_status status = OCT_OK;
    const uint32_t *order;
    oct_point_id *sorted;
    TRY(sorted_order(arena, condition->ids, condition->id_count, id_after, &order, error));
    TRY(oct_arena_array(arena, condition->id_count, sizeof *sorted, &sorted, error));
    for (uint32_t i = 0; i < condition->id_count; i++)
        sorted[i] = condition->ids[order[i]];
    condition->ids = sorted;
done:
    return status;
}

static oct_status compile_filter(filter_compiler *compiler, const oct_filter *filter,
                                 uint32_t depth, const oct_filter_program **out, oct_error *error);

static oct_status compile_step(filter_compiler *compiler, const oct_condition *condition,
                               uint32_t depth, oct_filter_step *out, oct_error *error)
{
    oct_status status = OCT_OK;
    if (compiler->conditions == OCT_FILTER_CONDITIONS_MAX)
        TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: a filter may have at most %d conditions",
                     (int)OCT_FILTER_CONDITIONS_MAX));
    compiler->conditions++;
    out->condition = *condition;
    switch (condition->kind) {
    case OCT_CONDITION_MATCH_ANY:
    case OCT_CONDITION_MATCH_EXCEPT:
        TRY(sort_values(compiler->arena, &out->condition, error));
        break;
    case OCT_CONDITION_HAS_ID:
        TRY(sort_ids(compiler->arena, &out->condition, error));
        break;
    case OCT_CONDITION_FILTER:
        TRY(compile_filter(compiler, condition->filter, depth + 1, &out->filter, error));
        break;
    case OCT_CONDITION_RANGE:
    case OCT_CONDITION_IS_EMPTY:
    case OCT_CONDITION_IS_NULL:
        break;
    }
    if (oct_filter_step_has_field(out)) {
        TRY(oct_json_path_parse(compiler->arena, condition->key, &out->path, error));
        TRY(oct_json_path_print(compiler->arena, &out->path, &out->key, error));
    }
done:
    return status;
}

static oct_status compile_steps(filter_compiler *compiler, oct_conditions conditions,
                                uint32_t depth, oct_filter_steps *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_filter_step *steps;
    if (conditions.count > OCT_FILTER_CONDITIONS_MAX) /* before memory is taken for them */
        TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: a filter may have at most %d conditions",
                     (int)OCT_FILTER_CONDITIONS_MAX));
    TRY(oct_arena_array(compiler->arena, conditions.count, sizeof *steps, &steps, error));
    for (uint32_t i = 0; i < conditions.count; i++)
        TRY(compile_step(compiler, &conditions.at[i], depth, &steps[i], error));
    *out = (oct_filter_steps){ .at = steps, .count = conditions.count };
done:
    return status;
}

static oct_status compile_filter(filter_compiler *compiler, const oct_filter *filter,
                                 uint32_t depth, const oct_filter_program **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_filter_program *program;
    if (depth >= OCT_FILTER_DEPTH_MAX)
        TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: a filter may be nested at most %d deep",
                     (int)OCT_FILTER_DEPTH_MAX));
    TRY(oct_arena_array(compiler->arena, 1, sizeof *program, &program, error));
    program->depth = depth;
    program->min_should_count = filter->min_should_count;
    TRY(compile_steps(compiler, filter->must, depth, &program->must, error));
    TRY(compile_steps(compiler, filter->should, depth, &program->should, error));
    TRY(compile_steps(compiler, filter->must_not, depth, &program->must_not, error));
    TRY(compile_steps(compiler, filter->min_should, depth, &program->min_should, error));
    *out = program;
done:
    return status;
}

oct_status oct_filter_compile(oct_arena *arena, const oct_filter *filter,
                              const oct_filter_program **out, oct_error *error)
{
    static const oct_filter everything;
    filter_compiler compiler = { .arena = arena };
    *out = NULL;
    return compile_filter(&compiler, filter ? filter : &everything, 0, out, error);
}

bool oct_filter_is_empty(const oct_filter_program *program)
{
    return program->must.count == 0 && program->should.count == 0 && program->must_not.count == 0 &&
           program->min_should_count == 0;
}
