/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.c - does one point pass? The meaning of every condition is here; everything else that
 * answers filters (indexes, collection) must agree with it.
 *
 * The words are Qdrant's: arrays stand for their items, an integer matches only an integer (3.0 is
 * none), a range takes any number as a double, `except` needs a value that is not null. Where
 * Qdrant's answer depends on whether a field is indexed (a float under an integer index, a null
 * inside an array), this is the answer in both cases. */
#include "query/filter.h"

#include "base/str.h"
#include "model/point_id.h"
#include "model/scalar.h"
#include "query/filter_program.h"

/* ---- conditions on a field ----------------------------------------------------------- */

/* The scalar that could equal a value; false when no scalar can. */
static bool scalar_of(const oct_json *value, oct_scalar *out)
{
    switch (oct_json_kind_of(value)) {
    case OCT_JSON_STRING:
        *out = (oct_scalar){ .kind = OCT_SCALAR_KEYWORD, .keyword = oct_json_string(value) };
        return true;
    case OCT_JSON_UINT:
        if (oct_json_uint(value) > INT64_MAX) return false;
        *out = (oct_scalar){ .kind = OCT_SCALAR_INTEGER, .integer = oct_json_int(value) };
        return true;
    case OCT_JSON_INT:
        *out = (oct_scalar){ .kind = OCT_SCALAR_INTEGER, .integer = oct_json_int(value) };
        return true;
    case OCT_JSON_BOOL:
        *out = (oct_scalar){ .kind = OCT_SCALAR_BOOL, .integer = oct_json_bool(value) };
        return true;
    case OCT_JSON_NULL:
    case OCT_JSON_REAL:
    case OCT_JSON_ARRAY:
    case OCT_JSON_OBJECT:
        return false;
    }
    return false;
}

/* Is the value one of the sorted list? */
static bool is_listed(const oct_condition *condition, const oct_json *value)
{
    oct_scalar wanted;
    if (!scalar_of(value, &wanted)) return false;
    uint32_t low = 0;
    uint32_t high = condition->value_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = oct_scalar_compare(&condition->values[middle], &wanted);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool is_in_range(const oct_range *range, const oct_json *value)
{
    if (!oct_json_is_number(value)) return false;
    double number = oct_json_number(value);
    if (range->has_lower && !(range->lower_open ? number > range->lower : number >= range->lower))
        return false;
    return !range->has_upper ||
           (range->upper_open ? number < range->upper : number <= range->upper);
}

/* A walk looking for a value that decides; it ends there. */
typedef struct value_search {
    const oct_condition *condition;
    bool found;
} value_search;

static bool visit_item(void *arg, const oct_json *value)
{
    value_search *search = arg;
    switch (search->condition->kind) {
    case OCT_CONDITION_MATCH_ANY:
        search->found = is_listed(search->condition, value);
        break;
    case OCT_CONDITION_MATCH_EXCEPT:
        search->found =
            oct_json_kind_of(value) != OCT_JSON_NULL && !is_listed(search->condition, value);
        break;
    case OCT_CONDITION_RANGE:
        search->found = is_in_range(&search->condition->range, value);
        break;
    case OCT_CONDITION_IS_NULL:
        search->found = oct_json_kind_of(value) == OCT_JSON_NULL;
        break;
    case OCT_CONDITION_IS_EMPTY:
    case OCT_CONDITION_HAS_ID:
    case OCT_CONDITION_FILTER:
        ASSERT(false);
        break;
    }
    return !search->found;
}

/* For IS_EMPTY: looks for a value that is neither null nor an empty array. */
static bool visit_not_empty(void *arg, const oct_json *value)
{
    value_search *search = arg;
    oct_json_kind kind = oct_json_kind_of(value);
    search->found = kind == OCT_JSON_ARRAY ? oct_json_count(value) > 0 : kind != OCT_JSON_NULL;
    return !search->found;
}

bool oct_filter_step_holds(const oct_filter_step *step, const oct_json *payload)
{
    value_search search = { .condition = &step->condition, .found = false };
    bool empty = step->condition.kind == OCT_CONDITION_IS_EMPTY;
    if (payload) {
        if (empty)
            (void)oct_json_path_walk(&step->path, payload, visit_not_empty, &search);
        else
            (void)oct_json_path_each(&step->path, payload, visit_item, &search);
    }
    return empty ? !search.found : search.found;
}

/* ---- points -------------------------------------------------------------------------- */

/* A point under test: what was not needed yet is not there. */
typedef struct point_test {
    const oct_filter_source *source; /* NULL: id and text are given */
    uint32_t offset;
    oct_point_id id;
    oct_str text;
    oct_arena *scratch;
    const oct_json *payload; /* NULL when there is none */
    bool parsed;
    oct_status status; /* of fetching and parsing; after a failure answers mean nothing */
    oct_error *error;
} point_test;

static oct_status payload_parse(point_test *test)
{
    oct_status status = OCT_OK;
    oct_str text = test->text;
    test->parsed = true;
    if (test->source)
        TRY(test->source->payload(test->source->self, test->offset, test->scratch, &text,
                                  test->error));
    if (text.bytes == 0) return OCT_OK;
    status = oct_json_parse(test->scratch, text, &test->payload, NULL);
    if (status == OCT_NOMEM) TRY(oct_fail_nomem(test->error, "a parsed payload"));
    if (status != OCT_OK || oct_json_kind_of(test->payload) != OCT_JSON_OBJECT)
        TRY(oct_fail(test->error, OCT_CORRUPT, "a stored payload is not a JSON object"));
done:
    if (status != OCT_OK) test->payload = NULL;
    return status;
}

static const oct_json *payload_of(point_test *test)
{
    if (!test->parsed) test->status = payload_parse(test);
    return test->payload;
}

static bool has_id(const oct_condition *condition, oct_point_id id)
{
    uint32_t low = 0;
    uint32_t high = condition->id_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = oct_point_id_compare(condition->ids[middle], id);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static oct_point_id id_of(const point_test *test)
{
    return test->source ? test->source->id(test->source->self, test->offset) : test->id;
}

static bool program_holds(const oct_filter_program *program, point_test *test);

/* Recursion is bounded by OCT_FILTER_DEPTH_MAX. */
static bool step_holds(const oct_filter_step *step, point_test *test)
{
    if (step->condition.kind == OCT_CONDITION_HAS_ID) return has_id(&step->condition, id_of(test));
    if (step->condition.kind == OCT_CONDITION_FILTER) return program_holds(step->filter, test);
    return oct_filter_step_holds(step, payload_of(test));
}

/* Do at least `wanted` of the steps hold? */
static bool steps_hold(oct_filter_steps steps, uint32_t wanted, point_test *test)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < steps.count && held < wanted; i++)
        if (step_holds(&steps.at[i], test)) held++;
    return held >= wanted;
}

static bool program_holds(const oct_filter_program *program, point_test *test)
{
    for (uint32_t i = 0; i < program->must.count; i++)
        if (!step_holds(&program->must.at[i], test)) return false;
    if (steps_hold(program->must_not, 1, test)) return false;
    if (program->should.count > 0 && !steps_hold(program->should, 1, test)) return false;
    return steps_hold(program->min_should, program->min_should_count, test);
}

static oct_status run_test(const oct_filter_program *program, point_test *test, bool *out)
{
    oct_arena_reset(test->scratch);
    bool holds = program_holds(program, test);
    *out = test->status == OCT_OK && holds;
    return test->status;
}

oct_status oct_filter_matches(const oct_filter_program *program, const oct_filter_source *source,
                              uint32_t offset, oct_arena *scratch, bool *out, oct_error *error)
{
    ASSERT(offset < source->point_count);
    point_test test = {
        .source = source, .offset = offset, .scratch = scratch, .status = OCT_OK, .error = error
    };
    return run_test(program, &test, out);
}

oct_status oct_filter_matches_text(const oct_filter_program *program, oct_point_id id,
                                   oct_str payload, oct_arena *scratch, bool *out, oct_error *error)
{
    point_test test = {
        .id = id, .text = payload, .scratch = scratch, .status = OCT_OK, .error = error
    };
    return run_test(program, &test, out);
}
