/* SPDX-License-Identifier: Apache-2.0 */
/* model_payload_test.c - set, delete, select: the texts that come out, and lost memory. */
#include "model/payload.h"

#include "model_support.h"

/* ---- set -------------------------------------------------------------------------------- */

static void check_merge(const char *payload, const char *changes, const char *below,
                        const char *wanted)
{
    oct_arena arena;
    oct_json_path path;
    oct_str out;
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = OCT_OK;
    if (below) status = oct_json_path_parse(&arena, oct_str_of(below), &path, &error);
    if (status == OCT_OK)
        status = oct_payload_merge(&arena, oct_str_of(payload), oct_str_of(changes),
                                   below ? &path : NULL, &out, &error);
    if (status != OCT_OK || !model_is(out, wanted)) test_fail(__FILE__, __LINE__, changes);
    oct_arena_reset(&arena);
}

TEST(set_replaces_top_members)
{
    check_merge("", "{\"a\":1}", NULL, "{\"a\":1}");
    check_merge("{\"a\":1,\"b\":2}", "{}", NULL, "{\"a\":1,\"b\":2}");
    check_merge("{\"a\":1,\"b\":2}", "{\"c\":3,\"a\":{\"x\":[]}}", NULL,
                "{\"a\":{\"x\":[]},\"b\":2,\"c\":3}");
    check_merge("{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", NULL, "{\"a\":{\"y\":2}}");
    CHECK(true);
}

TEST(set_null_removes)
{
    check_merge("{\"a\":1,\"b\":2}", "{\"a\":null,\"c\":null}", NULL, "{\"b\":2}");
    check_merge("{\"a\":{\"x\":null}}", "{\"b\":{\"y\":null}}", NULL,
                "{\"a\":{\"x\":null},\"b\":{\"y\":null}}");
    CHECK(true);
}

TEST(set_below_a_key)
{
    check_merge("{\"a\":{\"x\":1},\"b\":2}", "{\"y\":3}", "a", "{\"a\":{\"x\":1,\"y\":3},\"b\":2}");
    check_merge("{\"b\":2}", "{\"y\":3}", "a.c", "{\"b\":2,\"a\":{\"c\":{\"y\":3}}}");
    check_merge("{\"a\":5}", "{\"y\":3}", "a.c", "{\"a\":{\"c\":{\"y\":3}}}");
    check_merge("{\"a\":{\"x\":1}}", "{\"x\":null}", "a", "{\"a\":{}}");
    check_merge("", "{\"y\":3}", "\"a b\".c", "{\"a b\":{\"c\":{\"y\":3}}}");
    CHECK(true);
}

TEST(set_below_items)
{
    check_merge("{\"a\":[{\"x\":1},2,[3]]}", "{\"y\":3}", "a[]",
                "{\"a\":[{\"x\":1,\"y\":3},{\"y\":3},{\"y\":3}]}");
    check_merge("{\"a\":[{\"x\":1},2]}", "{\"y\":3}", "a[0]", "{\"a\":[{\"x\":1,\"y\":3},2]}");
    check_merge("{\"a\":[{\"x\":1},2]}", "{\"y\":3}", "a[2]", "{\"a\":[{\"x\":1},2]}");
    check_merge("{\"a\":1}", "{\"y\":3}", "a[]", "{\"a\":[]}");
    check_merge("{}", "{\"y\":3}", "a[0].b", "{\"a\":[]}");
    check_merge("{\"a\":[{\"b\":[1,{}]}]}", "{\"y\":3}", "a[].b[1]",
                "{\"a\":[{\"b\":[1,{\"y\":3}]}]}");
    CHECK(true);
}

/* ---- many members ----------------------------------------------------------------------- */

enum { MANY = 60000, MEMBER_BYTES = 24, ALTERED = 3 };

typedef struct long_text {
    char *at;
    size_t bytes;
} long_text;

static void add(long_text *text, const char *format, unsigned number)
{
    const char *comma = text->at[text->bytes - 1] == '{' ? "" : ",";
    text->bytes += (size_t)sprintf(text->at + text->bytes, "%s", comma);
    text->bytes += (size_t)sprintf(text->at + text->bytes, format, number);
}

static long_text begin_text(const char *start)
{
    long_text text = { .at = malloc(MANY * (size_t)MEMBER_BYTES) };
    if (!text.at) abort();
    text.bytes = (size_t)sprintf(text.at, "%s", start);
    return text;
}

/* Every third member is altered, every third taken out, as many new ones follow. Were each looked
 * for among all, this would take minutes. */
TEST(set_many_members)
{
    long_text before = begin_text("{"), changes = begin_text("{"), after = begin_text("{");
    for (unsigned i = 0; i < MANY; i++) {
        add(&before, "\"k%u\":1", i);
        if (i % ALTERED == 0) add(&changes, "\"k%u\":2", i);
        if (i % ALTERED == 1) add(&changes, "\"k%u\":null", i);
        if (i % ALTERED == 0) add(&after, "\"k%u\":2", i);
        if (i % ALTERED == 2) add(&after, "\"k%u\":1", i);
    }
    for (unsigned i = 0; i < MANY / ALTERED; i++) {
        add(&changes, "\"n%u\":3", i);
        add(&after, "\"n%u\":3", i);
    }
    strcpy(before.at + before.bytes, "}");
    strcpy(changes.at + changes.bytes, "}");
    strcpy(after.at + after.bytes, "}");
    check_merge(before.at, changes.at, NULL, after.at);
    free(before.at);
    free(changes.at);
    free(after.at);
    CHECK(true);
}

static const char many_changes[] =
    "{\"k0\":1,\"k1\":1,\"k2\":1,\"k3\":1,\"k4\":1,\"k5\":null,\"k6\":null,\"k7\":null,\"k8\":null,"
    "\"k9\":null,\"l0\":null,\"l1\":null,\"l2\":null,\"l3\":null,\"l4\":null,\"l5\":null,\"z\":"
    "null}";

/* What one item has does not count for the next. */
TEST(set_many_members_below_items)
{
    check_merge("{\"a\":[{\"k3\":0},{\"k4\":0,\"z\":1}]}", many_changes, "a[]",
                "{\"a\":[{\"k3\":1,\"k0\":1,\"k1\":1,\"k2\":1,\"k4\":1},"
                "{\"k4\":1,\"k0\":1,\"k1\":1,\"k2\":1,\"k3\":1}]}");
    CHECK(true);
}

TEST(results_are_never_too_deep_to_parse)
{
    oct_arena arena;
    oct_arena_init(&arena, &model_malloc, 0);
    char deep[2 * OCT_JSON_DEPTH_MAX + 16];
    size_t at = 0;
    memcpy(deep, "{\"x\":", 5);
    at = 5;
    for (int i = 0; i < OCT_JSON_DEPTH_MAX - 3; i++)
        deep[at++] = '[';
    for (int i = 0; i < OCT_JSON_DEPTH_MAX - 3; i++)
        deep[at++] = ']';
    memcpy(deep + at, "}", 2);
    oct_json_path path;
    oct_str out;
    const oct_json *parsed;
    bool right = oct_json_path_parse(&arena, OCT_STR("a.b"), &path, NULL) == OCT_OK;
    oct_status fits = oct_payload_merge(&arena, OCT_STR("{}"), oct_str_of(deep), &path, &out, NULL);
    right &= fits == OCT_OK && oct_json_parse(&arena, out, &parsed, NULL) == OCT_OK;
    right &= oct_json_path_parse(&arena, OCT_STR("a.b.c"), &path, NULL) == OCT_OK;
    oct_status deeper =
        oct_payload_merge(&arena, OCT_STR("{}"), oct_str_of(deep), &path, &out, NULL);
    oct_arena_reset(&arena);
    CHECK(right);
    CHECK_EQ_U64(deeper, OCT_LIMIT);
}

/* ---- delete ----------------------------------------------------------------------------- */

/* `keys` is a list of paths separated by spaces. */
static void parse_keys(const char *keys, oct_str *out, uint32_t *count)
{
    oct_str rest = oct_str_of(keys);
    *count = 0;
    while (rest.bytes > 0)
        out[(*count)++] = oct_str_split(&rest, ' ');
}

static void check_delete(const char *payload, const char *keys, const char *wanted)
{
    oct_arena arena;
    oct_json_path paths[8];
    oct_str texts[8];
    uint32_t count;
    oct_str out;
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = OCT_OK;
    parse_keys(keys, texts, &count);
    for (uint32_t i = 0; status == OCT_OK && i < count; i++)
        status = oct_json_path_parse(&arena, texts[i], &paths[i], &error);
    if (status == OCT_OK)
        status = oct_payload_delete(&arena, oct_str_of(payload), paths, count, &out, &error);
    if (status != OCT_OK || !model_is(out, wanted)) test_fail(__FILE__, __LINE__, keys);
    oct_arena_reset(&arena);
}

TEST(delete_removes_members)
{
    check_delete("{\"a\":1,\"b\":2}", "a", "{\"b\":2}");
    check_delete("{\"a\":1,\"b\":2}", "", "{\"a\":1,\"b\":2}");
    check_delete("{\"a\":1,\"b\":2}", "c a b", "{}");
    check_delete("", "a", "{}");
    check_delete("{\"a\":{\"b\":1,\"c\":2},\"b\":3}", "a.b", "{\"a\":{\"c\":2},\"b\":3}");
    check_delete("{\"a\":{\"b\":1}}", "a.b a", "{}");
    check_delete("{\"a\":5}", "a.b", "{\"a\":5}");
    CHECK(true);
}

static void add_path(oct_arena *arena, oct_json_path *out, const char *format, unsigned number)
{
    char text[MEMBER_BYTES];
    oct_str kept;
    (void)snprintf(text, sizeof text, format, number);
    CHECK(oct_arena_str(arena, oct_str_of(text), &kept, NULL) == OCT_OK);
    CHECK(oct_json_path_parse(arena, kept, out, NULL) == OCT_OK);
}

/* One in three goes, one in three loses a part, one both its parts. */
TEST(delete_many_members)
{
    enum { COUNT = MANY / 2 };
    static oct_json_path paths[2 * COUNT];
    uint32_t count = 0;
    oct_str out;
    oct_arena arena;
    long_text before = begin_text("{"), after = begin_text("{");
    oct_arena_init(&arena, &model_malloc, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        static const char *const left[] = { NULL, "\"k%u\":{\"y\":2}", "\"k%u\":{}" };
        add(&before, "\"k%u\":{\"x\":1,\"y\":2}", i);
        add_path(&arena, &paths[count++], i % 3 ? "k%u.x" : "k%u", i);
        if (i % 3 == 2) add_path(&arena, &paths[count++], "k%u.y", i);
        if (left[i % 3]) add(&after, left[i % 3], i);
    }
    strcpy(before.at + before.bytes, "}");
    strcpy(after.at + after.bytes, "}");
    CHECK(oct_payload_delete(&arena, oct_str_of(before.at), paths, count, &out, NULL) == OCT_OK);
    CHECK(model_is(out, after.at));
    oct_arena_reset(&arena);
    free(before.at);
    free(after.at);
}

TEST(delete_in_arrays)
{
    check_delete("{\"a\":[{\"b\":1,\"c\":2},{\"b\":3},4]}", "a[].b", "{\"a\":[{\"c\":2},{},4]}");
    check_delete("{\"a\":[{\"b\":1},{\"b\":3}]}", "a[1].b", "{\"a\":[{\"b\":1},{}]}");
    check_delete("{\"a\":[{\"b\":1},{\"b\":3}]}", "a.b", "{\"a\":[{\"b\":1},{\"b\":3}]}");
    check_delete("{\"a\":[1,2]}", "a[]", "{\"a\":[]}");
    check_delete("{\"a\":[1,2]}", "a[0]", "{\"a\":[1,2]}");
    check_delete("{\"a\":[[1],[2]]}", "a[][]", "{\"a\":[[],[]]}");
    check_delete("{\"a\":{\"b\":1}}", "a[]", "{\"a\":{\"b\":1}}");
    CHECK(true);
}

/* ---- select ----------------------------------------------------------------------------- */

static void check_select(oct_select_mode mode, const char *payload, const char *keys,
                         const char *wanted)
{
    oct_arena arena;
    oct_str texts[8];
    oct_selector selector = { .mode = mode, .keys = texts };
    oct_payload_selector compiled;
    oct_str out;
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = OCT_OK;
    parse_keys(keys, texts, &selector.key_count);
    status = oct_payload_selector_parse(&arena, &selector, &compiled, &error);
    if (status == OCT_OK)
        status = oct_payload_select(&arena, oct_str_of(payload), &compiled, &out, &error);
    if (status != OCT_OK || !model_is(out, wanted)) test_fail(__FILE__, __LINE__, keys);
    oct_arena_reset(&arena);
}

TEST(selectors_include)
{
    const char *payload = "{\"a\":1,\"b\":{\"c\":[{\"d\":2,\"e\":3},4],\"f\":5}}";
    check_select(OCT_SELECT_INCLUDE, payload, "a", "{\"a\":1}");
    check_select(OCT_SELECT_INCLUDE, payload, "", "{}");
    check_select(OCT_SELECT_INCLUDE, payload, "x", "{}");
    check_select(OCT_SELECT_INCLUDE, payload, "b", "{\"b\":{\"c\":[{\"d\":2,\"e\":3},4],\"f\":5}}");
    check_select(OCT_SELECT_INCLUDE, payload, "b.f a", "{\"a\":1,\"b\":{\"f\":5}}");
    check_select(OCT_SELECT_INCLUDE, payload, "b.c[].d", "{\"b\":{\"c\":[{\"d\":2},4]}}");
    check_select(OCT_SELECT_INCLUDE, payload, "b.c.d", "{\"b\":{\"c\":[]}}");
    check_select(OCT_SELECT_INCLUDE, payload, "b.c[0]", "{\"b\":{\"c\":[]}}");
    check_select(OCT_SELECT_INCLUDE, payload, "a.x", "{\"a\":1}");
    check_select(OCT_SELECT_INCLUDE, "", "a", "{}");
    CHECK(true);
}

TEST(selectors_exclude)
{
    const char *payload = "{\"a\":1,\"b\":{\"c\":[{\"d\":2,\"e\":3},4],\"f\":5}}";
    check_select(OCT_SELECT_EXCLUDE, payload, "b", "{\"a\":1}");
    check_select(OCT_SELECT_EXCLUDE, payload, "", payload);
    check_select(OCT_SELECT_EXCLUDE, payload, "a b.c", "{\"b\":{\"f\":5}}");
    check_select(OCT_SELECT_EXCLUDE, payload, "b.c[].d b.f a.x",
                 "{\"a\":1,\"b\":{\"c\":[{\"e\":3},4]}}");
    check_select(OCT_SELECT_EXCLUDE, payload, "b.c[]", "{\"a\":1,\"b\":{\"c\":[],\"f\":5}}");
    check_select(OCT_SELECT_EXCLUDE, payload, "b.c[0]", payload);
    CHECK(true);
}

TEST(selectors_of_all_and_none)
{
    oct_arena arena;
    oct_str out;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_payload_selector none = { .mode = OCT_SELECT_NONE };
    oct_payload_selector all = { .mode = OCT_SELECT_ALL };
    CHECK(oct_payload_select(&arena, OCT_STR("{\"a\":1}"), &none, &out, NULL) == OCT_OK);
    CHECK(out.at == NULL && out.bytes == 0);
    CHECK(oct_payload_select(&arena, OCT_STR("{\"a\":1}"), &all, &out, NULL) == OCT_OK);
    CHECK(model_is(out, "{\"a\":1}"));
    CHECK(oct_payload_select(&arena, (oct_str){ NULL, 0 }, &all, &out, NULL) == OCT_OK);
    CHECK(model_is(out, "{}"));
    oct_arena_reset(&arena);
}

TEST(bad_selector_keys_are_bad_input)
{
    oct_arena arena;
    oct_str key = OCT_STR("a..b");
    oct_selector selector = { .mode = OCT_SELECT_INCLUDE, .keys = &key, .key_count = 1 };
    oct_payload_selector compiled;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = oct_payload_selector_parse(&arena, &selector, &compiled, NULL);
    oct_arena_reset(&arena);
    CHECK_EQ_U64(status, OCT_BAD_INPUT);
}

/* ---- whole payloads --------------------------------------------------------------------- */

TEST(payloads_from_requests_are_minified)
{
    oct_arena arena;
    oct_str out;
    oct_arena_init(&arena, &model_malloc, 0);
    const oct_json *value = model_json(&arena, "{ \"a\" : null , \"b\":[ 1.0, -0 ], \"a\": 2 }");
    CHECK(oct_payload_from_json(&arena, value, &out, NULL) == OCT_OK);
    const oct_json *back;
    bool parses = oct_json_parse(&arena, out, &back, NULL) == OCT_OK;
    parses =
        parses && oct_json_count(back) == 2 && oct_json_uint(oct_json_get(back, OCT_STR("a"))) == 2;
    value = model_json(&arena, "[1]");
    oct_status status = oct_payload_from_json(&arena, value, &out, NULL);
    oct_arena_reset(&arena);
    CHECK(parses);
    CHECK_EQ_U64(status, OCT_BAD_INPUT);
}

TEST(damaged_payloads_are_corrupt)
{
    oct_arena arena;
    oct_str out;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status half =
        oct_payload_merge(&arena, OCT_STR("{\"a\":"), OCT_STR("{}"), NULL, &out, NULL);
    oct_status list = oct_payload_delete(&arena, OCT_STR("[1]"), NULL, 0, &out, NULL);
    oct_arena_reset(&arena);
    CHECK_EQ_U64(half, OCT_CORRUPT);
    CHECK_EQ_U64(list, OCT_CORRUPT);
}

TEST(results_beyond_the_maximum_are_limit)
{
    oct_arena arena;
    oct_arena_init(&arena, &model_malloc, 0);
    size_t bytes = OCT_PAYLOAD_BYTES_MAX - 100;
    char *big = malloc(bytes + 1);
    memset(big, 'x', bytes);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + bytes - 2, "\"}", 3);
    oct_str out;
    oct_str payload = { big, bytes };
    oct_status fits = oct_payload_merge(&arena, payload, OCT_STR("{\"b\":1}"), NULL, &out, NULL);
    char more[128];
    snprintf(more, sizeof more, "{\"b\":\"%0*d\"}", 100, 0);
    oct_status over = oct_payload_merge(&arena, payload, oct_str_of(more), NULL, &out, NULL);
    oct_arena_reset(&arena);
    free(big);
    CHECK_EQ_U64(fits, OCT_OK);
    CHECK_EQ_U64(over, OCT_LIMIT);
}

static oct_status sweep_body(const oct_alloc *alloc, void *arg)
{
    oct_status status = OCT_OK;
    oct_arena arena;
    oct_str out;
    oct_json_path path;
    oct_str key = OCT_STR("b[].c");
    oct_selector selector = { .mode = OCT_SELECT_INCLUDE, .keys = &key, .key_count = 1 };
    oct_payload_selector compiled;
    (void)arg;
    oct_arena_init(&arena, alloc, 0);
    TRY(oct_json_path_parse(&arena, OCT_STR("b[]"), &path, NULL));
    TRY(oct_payload_merge(&arena, OCT_STR("{\"k4\":2}"), oct_str_of(many_changes), NULL, &out,
                          NULL));
    TRY(oct_payload_merge(&arena, OCT_STR("{\"a\":1,\"b\":[{},2]}"), OCT_STR("{\"c\":\"d\"}"),
                          &path, &out, NULL));
    TRY(oct_payload_selector_parse(&arena, &selector, &compiled, NULL));
    TRY(oct_payload_select(&arena, out, &compiled, &out, NULL));
    TRY(oct_payload_delete(&arena, out, compiled.paths, 1, &out, NULL));
    if (!model_is(out, "{\"b\":[{},{}]}")) status = OCT_CORRUPT;
done:
    oct_arena_reset(&arena);
    return status;
}

TEST(every_lost_allocation_is_nomem)
{
    CHECK(model_sweep(sweep_body, NULL));
}

TEST_MAIN(set_replaces_top_members, set_null_removes, set_below_a_key, set_below_items,
          set_many_members, set_many_members_below_items, results_are_never_too_deep_to_parse,
          delete_removes_members, delete_many_members, delete_in_arrays, selectors_include,
          selectors_exclude, selectors_of_all_and_none, bad_selector_keys_are_bad_input,
          payloads_from_requests_are_minified, damaged_payloads_are_corrupt,
          results_beyond_the_maximum_are_limit, every_lost_allocation_is_nomem)
