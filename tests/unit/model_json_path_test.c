/* SPDX-License-Identifier: Apache-2.0 */
/* model_json_path_test.c - payload keys: which texts are paths, and what they select. */
#include "model/json_path.h"

#include "model_support.h"

static void check_spelling(const char *text, const char *canonical)
{
    oct_arena arena;
    oct_json_path path;
    oct_str printed = { NULL, 0 };
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = oct_json_path_parse(&arena, oct_str_of(text), &path, &error);
    if (canonical) {
        if (status == OCT_OK) status = oct_json_path_print(&arena, &path, &printed, &error);
        if (status != OCT_OK || !model_is(printed, canonical)) test_fail(__FILE__, __LINE__, text);
    } else if (status != OCT_BAD_INPUT || error.message[0] == '\0') {
        test_fail(__FILE__, __LINE__, text);
    }
    oct_arena_reset(&arena);
}

TEST(paths_have_one_canonical_spelling)
{
    check_spelling("a", "a");
    check_spelling("a.b", "a.b");
    check_spelling("a[].b", "a[].b");
    check_spelling("a[0].b[18446744073709551615]", "a[0].b[18446744073709551615]");
    check_spelling("a[007]", "a[7]");
    check_spelling("a[][]", "a[][]");
    check_spelling("\"a\".b", "a.b");
    check_spelling("\"a b\".\"\".c-d_e", "\"a b\".\"\".c-d_e");
    check_spelling("\"a.b[]\"", "\"a.b[]\"");
    check_spelling("gr\xc3\xb6\xc3\x9f"
                   "e",
                   "gr\xc3\xb6\xc3\x9f"
                   "e");
    CHECK(true);
}

TEST(other_texts_are_refused)
{
    const char *const texts[] = {
        "",      ".",     "a.",   ".a",         "a..b",
        "a b",   "a[",    "a]",   "a[x]",       "a[-1]",
        "[]",    "[0].a", "\"a",  "a[]b",       "a\"b\"",
        "a.[0]", "a[0 ]", "a\\b", "\"a\\\"b\"", "a[18446744073709551616]"
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        check_spelling(texts[i], NULL);
    CHECK(true);
}

TEST(limits_are_errors)
{
    static char text[4096];
    memset(text, 'a', OCT_FIELD_KEY_BYTES_MAX + 1);
    check_spelling(text, NULL);
    text[OCT_FIELD_KEY_BYTES_MAX] = '\0';
    check_spelling(text, text);
    size_t at = 0;
    text[at++] = 'a';
    for (int i = 1; i < OCT_JSON_PATH_STEPS_MAX; i++) {
        memcpy(text + at, "[]", 3);
        at += 2;
    }
    check_spelling(text, text);
    memcpy(text + at, "[]", 3);
    check_spelling(text, NULL);
    CHECK(true);
}

typedef struct path_visits {
    oct_json_writer *writer;
    size_t left; /* visits until the walk is ended */
} path_visits;

static bool visit(void *arg, const oct_json *value)
{
    path_visits *selected = arg;
    oct_json_write_value(selected->writer, value);
    return --selected->left > 0;
}

/* What `path` selects in `object`, as a JSON array; each: arrays replaced by their items. */
static void check_selects(const char *path_text, const char *object, const char *walked,
                          const char *each)
{
    oct_arena arena;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_json_path path;
    oct_status status = oct_json_path_parse(&arena, oct_str_of(path_text), &path, NULL);
    const oct_json *value = model_json(&arena, object);
    for (int i = 0; status == OCT_OK && i < 2; i++) {
        oct_buf buf;
        oct_json_writer writer;
        oct_buf_init(&buf, &model_malloc, 100000);
        oct_json_writer_init(&writer, &buf);
        path_visits selected = { .writer = &writer, .left = 1000 };
        oct_json_begin_array(&writer);
        bool whole = i == 0 ? oct_json_path_walk(&path, value, visit, &selected)
                            : oct_json_path_each(&path, value, visit, &selected);
        oct_json_end_array(&writer);
        oct_str got = { (const char *)buf.at, buf.bytes };
        if (!whole || !model_is(got, i == 0 ? walked : each))
            test_fail(__FILE__, __LINE__, path_text);
        oct_buf_deinit(&buf);
    }
    oct_arena_reset(&arena);
    CHECK(status == OCT_OK);
}

TEST(walks_select_as_qdrant_does)
{
    check_selects("a", "{\"a\":1,\"b\":2}", "[1]", "[1]");
    check_selects("c", "{\"a\":1}", "[]", "[]");
    check_selects("a", "{\"a\":null}", "[null]", "[null]");
    check_selects("a", "{\"a\":[1,[2],null]}", "[[1,[2],null]]", "[1,[2],null]");
    check_selects("a[]", "{\"a\":[1,[2,3]]}", "[1,[2,3]]", "[1,2,3]");
    check_selects("a[]", "{\"a\":1}", "[]", "[]");
    check_selects("a[1]", "{\"a\":[1,[2],3]}", "[[2]]", "[2]");
    check_selects("a[3]", "{\"a\":[1,[2],3]}", "[]", "[]");
    check_selects("a.b", "{\"a\":{\"b\":{\"c\":1}}}", "[{\"c\":1}]", "[{\"c\":1}]");
    check_selects("a.b", "{\"a\":[{\"b\":1}]}", "[]", "[]");
    check_selects("a[].b", "{\"a\":[{\"b\":1},{},5,{\"b\":[2,3]}]}", "[1,[2,3]]", "[1,2,3]");
    check_selects("a[0].b", "{\"a\":[{\"b\":1},{\"b\":2}]}", "[1]", "[1]");
    check_selects("a[][]", "{\"a\":[[1],[2,3],4]}", "[1,2,3]", "[1,2,3]");
    check_selects("\"a.b\"", "{\"a.b\":1,\"a\":{\"b\":2}}", "[1]", "[1]");
    check_selects("a", "{\"a\":1,\"a\":2}", "[2]", "[2]");
    CHECK(true);
}

TEST(a_visit_can_end_the_walk)
{
    oct_arena arena;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_json_path path;
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, &model_malloc, 1000);
    oct_json_writer_init(&writer, &buf);
    oct_json_begin_array(&writer);
    path_visits selected = { .writer = &writer, .left = 2 };
    oct_status status = oct_json_path_parse(&arena, OCT_STR("a[].b"), &path, NULL);
    const oct_json *value = model_json(&arena, "{\"a\":[{\"b\":1},{\"b\":[2,3]},{\"b\":4}]}");
    bool whole = status != OCT_OK || oct_json_path_each(&path, value, visit, &selected);
    oct_json_end_array(&writer);
    bool same = model_is((oct_str){ (const char *)buf.at, buf.bytes }, "[1,2]");
    oct_buf_deinit(&buf);
    oct_arena_reset(&arena);
    CHECK(!whole && same);
}

TEST(equal_paths_are_equal)
{
    const char *const texts[] = { "a", "b", "a.b", "a[]", "a[0]", "a[1]", "a.b.c" };
    oct_arena arena;
    oct_json_path paths[ARRAY_COUNT(texts)];
    oct_arena_init(&arena, &model_malloc, 0);
    bool right = true;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        right &= oct_json_path_parse(&arena, oct_str_of(texts[i]), &paths[i], NULL) == OCT_OK;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        for (size_t j = 0; j < ARRAY_COUNT(texts); j++)
            right &= oct_json_path_equal(&paths[i], &paths[j]) == (i == j);
    oct_arena_reset(&arena);
    CHECK(right);
}

TEST_MAIN(paths_have_one_canonical_spelling, other_texts_are_refused, limits_are_errors,
          walks_select_as_qdrant_does, a_visit_can_end_the_walk, equal_paths_are_equal)
