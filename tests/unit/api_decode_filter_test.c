/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: filters become the right trees, hostile ones hit a limit instead of memory or the stack,
 * and every wrong one is refused with path, reason and position.
 * Method: each condition by itself, then limits and errors. */

#include <math.h>

#include "api_support.h"

#define COUNT "POST /collections/c/points/count"

/* Decode {"filter": <text>}; the filter, or NULL with the error in *it. End with api_end. */
static const oct_filter *filter_of(api_case *it, const char *text)
{
    static char body[4096];
    snprintf(body, sizeof body, "{\"filter\":%s}", text);
    api_begin(it, "POST", "/collections/c/points/count", body);
    if (it->status != OCT_OK) printf("%s\n", it->error.message);
    return it->status == OCT_OK ? it->request.count.filter : NULL;
}

/* The only condition of {"must": <text>}. */
static const oct_condition *condition_of(api_case *it, const char *text)
{
    char filter[2048];
    snprintf(filter, sizeof filter, "{\"must\":%s}", text);
    const oct_filter *out = filter_of(it, filter);
    return out && out->must.count == 1 ? out->must.at : NULL;
}

TEST(the_clauses_of_a_filter)
{
    api_case it;
    const oct_filter *filter =
        filter_of(&it, "{\"must\":{\"has_id\":[1]},"
                       "\"should\":[{\"has_id\":[2]},{\"has_id\":[3,4]}],"
                       "\"must_not\":[],\"min_should\":{\"conditions\":[{\"has_id\":[]}],"
                       "\"min_count\":1}}");
    CHECK(filter != NULL);
    CHECK(filter->must.count == 1 && filter->should.count == 2 && filter->must_not.count == 0);
    CHECK(filter->min_should.count == 1 && filter->min_should_count == 1);
    CHECK(filter->must.at[0].kind == OCT_CONDITION_HAS_ID && filter->must.at[0].ids[0].low == 1);
    CHECK(filter->should.at[1].id_count == 2 && filter->min_should.at[0].id_count == 0);
    api_end(&it);
    filter = filter_of(&it, "{\"must\":null,\"should\":null,"
                            "\"must_not\":null,\"min_should\":null}");
    CHECK(filter && filter->must.count == 0 && filter->min_should_count == 0);
    api_end(&it);
    filter = filter_of(&it, "{\"min_should\":{\"conditions\":[],\"min_count\":99999999999}}");
    CHECK(filter && filter->min_should.count == 0 && filter->min_should_count == 1);
    api_end(&it);
}

TEST(match_values)
{
    api_case it;
    const oct_condition *condition =
        condition_of(&it, "{\"key\":\"a.b\",\"match\":{\"value\":\"x\"}}");
    CHECK(condition && condition->kind == OCT_CONDITION_MATCH_ANY && condition->value_count == 1);
    CHECK_STR_IS(condition->key, "a.b");
    CHECK(condition->values[0].kind == OCT_SCALAR_KEYWORD);
    CHECK_STR_IS(condition->values[0].keyword, "x");
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"match\":{\"value\":-9223372036854775808}}");
    CHECK(condition && condition->values[0].kind == OCT_SCALAR_INTEGER);
    CHECK(condition->values[0].integer == INT64_MIN);
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"match\":{\"value\":true}}");
    CHECK(condition && condition->values[0].kind == OCT_SCALAR_BOOL);
    CHECK(condition->values[0].integer == 1);
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"match\":{\"any\":[\"x\",\"y\"]}}");
    CHECK(condition && condition->kind == OCT_CONDITION_MATCH_ANY && condition->value_count == 2);
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"match\":{\"except\":[1,2,3]}}");
    CHECK(condition && condition->kind == OCT_CONDITION_MATCH_EXCEPT);
    CHECK(condition->value_count == 3 && condition->values[2].integer == 3);
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"match\":{\"any\":[]}}");
    CHECK(condition && condition->kind == OCT_CONDITION_MATCH_ANY && condition->value_count == 0);
    api_end(&it);
}

static void range_is(const char *text, oct_range expected)
{
    api_case it;
    char body[200];
    snprintf(body, sizeof body, "{\"key\":\"a\",\"range\":%s}", text);
    const oct_condition *condition = condition_of(&it, body);
    oct_range got = condition ? condition->range : (oct_range){ .lower = NAN };
    oct_condition_kind kind = condition ? condition->kind : OCT_CONDITION_FILTER;
    api_end(&it);
    CHECK(kind == OCT_CONDITION_RANGE);
    CHECK(got.has_lower == expected.has_lower && got.has_upper == expected.has_upper);
    CHECK(got.lower_open == expected.lower_open && got.upper_open == expected.upper_open);
    CHECK(got.lower == expected.lower && got.upper == expected.upper);
}

TEST(ranges)
{
    double inf = (double)INFINITY;
    range_is("{\"gte\":1,\"lt\":2.5}", (oct_range){ 1, 2.5, true, true, false, true });
    range_is("{\"gt\":-1}", (oct_range){ -1, inf, true, false, true, false });
    range_is("{\"lte\":3}", (oct_range){ -inf, 3, false, true, false, false });
    range_is("{}", (oct_range){ -inf, inf, false, false, false, false });
    range_is("{\"gt\":1,\"gte\":1}", (oct_range){ 1, inf, true, false, true, false });
    range_is("{\"gt\":1,\"gte\":2}", (oct_range){ 2, inf, true, false, false, false });
    range_is("{\"lt\":1,\"lte\":2}", (oct_range){ -inf, 1, false, true, false, true });
    range_is("{\"lt\":5,\"lte\":2,\"gt\":null}", (oct_range){ -inf, 2, false, true, false, false });
}

TEST(empty_and_null)
{
    api_case it;
    const oct_condition *condition = condition_of(&it, "{\"is_empty\":{\"key\":\"a\"}}");
    CHECK(condition && condition->kind == OCT_CONDITION_IS_EMPTY);
    CHECK_STR_IS(condition->key, "a");
    api_end(&it);
    condition = condition_of(&it, "{\"is_null\":{\"key\":\"a\"}}");
    CHECK(condition && condition->kind == OCT_CONDITION_IS_NULL);
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"is_empty\":true}");
    CHECK(condition && condition->kind == OCT_CONDITION_IS_EMPTY);
    CHECK_STR_IS(condition->key, "a");
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"is_null\":false}");
    CHECK(condition && condition->kind == OCT_CONDITION_FILTER);
    CHECK(condition->filter->must_not.count == 1);
    CHECK(condition->filter->must_not.at[0].kind == OCT_CONDITION_IS_NULL);
    api_end(&it);
}

TEST(several_checks_of_one_field_are_what_qdrant_makes_of_them)
{
    api_case it;
    const oct_condition *condition =
        condition_of(&it, "{\"key\":\"a\",\"match\":{\"value\":1},\"range\":{\"gt\":5}}");
    CHECK(condition && condition->kind == OCT_CONDITION_FILTER);
    CHECK(condition->filter->should.count == 2 && condition->filter->must.count == 0);
    CHECK(condition->filter->should.at[0].kind == OCT_CONDITION_MATCH_ANY);
    CHECK(condition->filter->should.at[1].kind == OCT_CONDITION_RANGE);
    CHECK_STR_IS(condition->filter->should.at[1].key, "a");
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"match\":{\"value\":1},\"is_null\":true}");
    CHECK(condition && condition->kind == OCT_CONDITION_IS_NULL);
    api_end(&it);
    condition = condition_of(&it, "{\"key\":\"a\",\"is_empty\":true,\"is_null\":true}");
    CHECK(condition && condition->kind == OCT_CONDITION_IS_EMPTY);
    api_end(&it);
}

TEST(nested_filters_and_canonical_keys)
{
    api_case it;
    const oct_condition *condition =
        condition_of(&it, "{\"should\":[{\"key\":\"\\\"a\\\".b\",\"match\":{\"value\":1}},{}]}");
    CHECK(condition && condition->kind == OCT_CONDITION_FILTER);
    CHECK(condition->filter->should.count == 2);
    CHECK_STR_IS(condition->filter->should.at[0].key, "a.b");
    CHECK(condition->filter->should.at[1].kind == OCT_CONDITION_FILTER);
    api_end(&it);
}

TEST(bad_filters_are_refused)
{
    api_rejects(COUNT, "{\"filter\":[]}", OCT_BAD_INPUT,
                "filter: expected an object, got array at line 1 column 11");
    api_rejects(COUNT, "{\"filter\":{\"musst\":[]}}", OCT_BAD_INPUT,
                "filter: unknown field `musst`, expected some form of condition or one of "
                "`should`, `min_should`, `must`, `must_not` at line 1 column 11");
    api_rejects(COUNT, "{\"filter\":{\"must\":7}}", OCT_BAD_INPUT,
                "filter.must: expected an object, got integer at line 1 column 19");
    api_rejects(COUNT, "{\"filter\":{\"must\":[{\"nope\":1}]}}", OCT_BAD_INPUT,
                "filter.must[0]: unknown field `nope`, expected some form of condition or one of "
                "`should`, `min_should`, `must`, `must_not` at line 1 column 20");
    api_rejects(COUNT, "{\"filter\":{\"must\":[{\"key\":\"a\"}]}}", OCT_VALIDATION,
                "[filter.must[0]: At least one field condition must be specified]");
    api_rejects(COUNT, "{\"filter\":{\"must\":[{\"key\":1,\"match\":{\"value\":1}}]}}",
                OCT_BAD_INPUT,
                "filter.must[0].key: expected a string, got integer at line 1 column 27");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"key\":\"a\",\"match\":{\"value\":1.5}}}}",
                OCT_BAD_INPUT,
                "filter.must.match.value: expected a string, a 64-bit integer or a boolean, got "
                "floating point number at line 1 column 47");
    api_rejects(COUNT,
                "{\"filter\":{\"must\":{\"key\":\"a\",\"match\":{\"value\":9223372036854775808}}}}",
                OCT_BAD_INPUT,
                "filter.must.match.value: expected a string, a 64-bit integer or a boolean, got "
                "integer at line 1 column 47");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"key\":\"a\",\"match\":{\"any\":[1,\"x\"]}}}}",
                OCT_BAD_INPUT,
                "filter.must.match.any[1]: expected only strings or only integers, got string at "
                "line 1 column 48");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"key\":\"a\",\"match\":{\"except\":[true]}}}}",
                OCT_BAD_INPUT,
                "filter.must.match.except[0]: expected only strings or only integers, got boolean "
                "at line 1 column 49");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"key\":\"a\",\"match\":{}}}}", OCT_BAD_INPUT,
                "filter.must.match: expected one of `value`, `any`, `except` at line 1 column 38");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"key\":\"a\",\"range\":{\"gt\":true}}}}",
                OCT_BAD_INPUT,
                "filter.must.range.gt: expected a number, got boolean at line 1 column 44");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"has_id\":[\"x\"]}}}", OCT_BAD_INPUT,
                "filter.must.has_id[0]: value x is not a valid point ID, valid values are either "
                "an unsigned integer or a UUID at line 1 column 30");
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"is_empty\":{}}}}", OCT_BAD_INPUT,
                "filter.must.is_empty: missing field `key` at line 1 column 31");
    api_rejects(COUNT, "{\"filter\":{\"min_should\":{\"conditions\":[]}}}", OCT_BAD_INPUT,
                "filter.min_should: missing field `min_count` at line 1 column 25");
    api_rejects(COUNT, "{\"filter\":{\"min_should\":{\"conditions\":[],\"min_count\":0}}}",
                OCT_VALIDATION,
                "[filter.min_should.min_count: value 0 invalid, must be 1 or larger]");
}

TEST(what_comes_later_is_refused_by_name)
{
    static const char *const fields[] = { "geo_bounding_box", "geo_radius", "geo_polygon",
                                          "values_count" };
    static const char *const matches[] = { "text", "text_any", "phrase", "prefix" };
    static const char *const others[] = { "has_vector", "slice", "nested" };
    char body[200], message[200];
    for (size_t i = 0; i < 4; i++) {
        snprintf(body, sizeof body, "{\"filter\":{\"must\":{\"key\":\"a\",\"%s\":{}}}}", fields[i]);
        snprintf(message, sizeof message,
                 "filter.must.%s: this is not supported yet at line 1 column %zu", fields[i],
                 33 + strlen(fields[i]));
        api_rejects(COUNT, body, OCT_BAD_INPUT, message);
        snprintf(body, sizeof body,
                 "{\"filter\":{\"must\":{\"key\":\"a\",\"match\":{\"%s\":\"x\"}}}}", matches[i]);
        snprintf(message, sizeof message,
                 "filter.must.match.%s: this is not supported yet at line 1 column %zu", matches[i],
                 42 + strlen(matches[i]));
        api_rejects(COUNT, body, OCT_BAD_INPUT, message);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(body, sizeof body, "{\"filter\":{\"must\":{\"%s\":{}}}}", others[i]);
        snprintf(message, sizeof message,
                 "filter.must.%s: this is not supported yet at line 1 column %zu", others[i],
                 23 + strlen(others[i]));
        api_rejects(COUNT, body, OCT_BAD_INPUT, message);
    }
    api_rejects(COUNT, "{\"filter\":{\"must\":{\"key\":\"a\",\"range\":{\"gt\":\"2020-01-01\"}}}}",
                OCT_BAD_INPUT,
                "filter.must.range.gt: datetime ranges are not supported yet at line 1 column 44");
}

/* {"filter":{"must":{"must":{..}}}} with `levels` filters. */
static void deep_filter(char *out, unsigned levels)
{
    strcpy(out, "{\"filter\":");
    for (unsigned i = 1; i < levels; i++)
        strcat(out, "{\"must\":");
    strcat(out, "{}");
    for (unsigned i = 1; i < levels; i++)
        strcat(out, "}");
    strcat(out, "}");
}

TEST(depth_is_limited)
{
    static char body[2000];
    api_case it;
    deep_filter(body, OCT_FILTER_DEPTH_MAX);
    api_begin(&it, "POST", "/collections/c/points/count", body);
    CHECK_EQ_STR(it.error.message, "");
    api_end(&it);
    deep_filter(body, OCT_FILTER_DEPTH_MAX + 1);
    api_begin(&it, "POST", "/collections/c/points/count", body);
    CHECK(it.status == OCT_LIMIT);
    CHECK(strstr(it.error.message, "filters nested deeper than 50 levels") != NULL);
    api_end(&it);
}

TEST(siblings_do_not_count_as_depth)
{
    api_case it;
    char body[4000] = "{\"filter\":{\"must\":[";
    for (unsigned i = 0; i < 100; i++)
        strcat(body, i ? ",{\"must\":[]}" : "{\"must\":[]}");
    strcat(body, "]}}");
    api_begin(&it, "POST", "/collections/c/points/count", body);
    CHECK_EQ_STR(it.error.message, "");
    api_end(&it);
}

/* A filter of `count` conditions spread over two clauses. */
static char *wide_filter(unsigned count)
{
    char *body = malloc(200 + count * 16);
    char *at = body + sprintf(body, "{\"filter\":{\"must\":[");
    for (unsigned i = 0; i < count; i++) {
        if (i == count / 2) at += sprintf(at, "],\"should\":[");
        at += sprintf(at, "%s{\"has_id\":[]}", i == 0 || i == count / 2 ? "" : ",");
    }
    strcpy(at, "]}}");
    return body;
}

TEST(conditions_are_limited)
{
    api_case it;
    char *body = wide_filter(OCT_FILTER_CONDITIONS_MAX);
    api_begin(&it, "POST", "/collections/c/points/count", body);
    free(body);
    CHECK_EQ_STR(it.error.message, "");
    api_end(&it);
    body = wide_filter(OCT_FILTER_CONDITIONS_MAX + 1);
    api_begin(&it, "POST", "/collections/c/points/count", body);
    CHECK(it.status == OCT_LIMIT);
    CHECK(strstr(it.error.message, "filter.should[5000]: more than 10000 conditions") != NULL);
    free(body);
    api_end(&it);
}

TEST_MAIN(the_clauses_of_a_filter, match_values, ranges, empty_and_null,
          several_checks_of_one_field_are_what_qdrant_makes_of_them,
          nested_filters_and_canonical_keys, bad_filters_are_refused,
          what_comes_later_is_refused_by_name, depth_is_limited, siblings_do_not_count_as_depth,
          conditions_are_limited)
