/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every operation is reached by its path and by nothing else; path parameters are decoded
 * and checked; query parameters are read as Qdrant reads them.
 * Method: the templates of ops.def with parameters filled in, then edges by hand. */

#include "api_support.h"

static oct_status route(const char *verb, const char *target, oct_request *out, oct_error *error)
{
    static oct_arena arena;
    static bool begun;
    if (!begun) oct_arena_init(&arena, &test_alloc, 0);
    begun = true;
    oct_arena_reset(&arena); /* what `out` got the last time is dead */
    error->message[0] = '\0';
    return oct_route(&arena, verb, oct_str_of(target), out, error);
}

/* The template with {collection} -> c, {field} -> f, {id} -> 7. */
static void fill_template(const char *template, char *out)
{
    while (*template) {
        if (*template == '{') {
            *out++ = template[1] == 'i' ? '7' : template[1];
            template = strchr(template, '}') + 1;
        } else {
            *out++ = *template ++;
        }
    }
    *out = '\0';
}

TEST(every_operation_is_reached_by_its_own_path)
{
    oct_request request;
    oct_error error;
    for (unsigned op = 0; op < OCT_OP_COUNT; op++) {
        const oct_op_info *info = oct_op_describe((oct_op)op);
        char path[200];
        fill_template(info->path, path);
        CHECK(route(info->verb, path, &request, &error) == OCT_OK);
        CHECK_EQ_STR(oct_op_describe(request.op)->name, info->name);
        bool collection = strstr(info->path, "{collection}") != NULL;
        CHECK(request.collection.bytes == (collection ? 1u : 0u));
        if (collection) CHECK_STR_IS(request.collection, "c");
        if (strstr(info->path, "{field}")) CHECK_STR_IS(request.field, "f");
        if (strstr(info->path, "{id}")) CHECK_STR_IS(request.id, "7");
        CHECK(route("TRACE", path, &request, &error) == OCT_NO_ROUTE);
    }
}

TEST(slashes_are_forgiven_and_unknown_paths_are_not)
{
    oct_request request;
    oct_error error;
    CHECK(route("GET", "/collections/", &request, &error) == OCT_OK);
    CHECK(request.op == OCT_OP_collections_list);
    CHECK(route("GET", "//collections//c///exists/", &request, &error) == OCT_OK);
    CHECK(request.op == OCT_OP_collections_exists);
    CHECK(route("GET", "", &request, &error) == OCT_OK);
    CHECK(request.op == OCT_OP_service_version);
    CHECK(route("GET", "/nope", &request, &error) == OCT_NO_ROUTE);
    CHECK(route("GET", "/collections/c/points", &request, &error) == OCT_NO_ROUTE);
    CHECK(route("POST", "/collections", &request, &error) == OCT_NO_ROUTE);
    CHECK(route("get", "/collections", &request, &error) == OCT_NO_ROUTE);
    CHECK(route("GET", "/a/b/c/d/e/f/g/h/i/j/k/l", &request, &error) == OCT_NO_ROUTE);
}

TEST(path_parameters_are_percent_decoded)
{
    oct_request request;
    oct_error error;
    CHECK(route("GET", "/collections/a%20b%c3%A4+%", &request, &error) == OCT_OK);
    CHECK_STR_IS(request.collection, "a b\xc3\xa4+%");
    CHECK(route("DELETE", "/collections/c/index/a%5B%5D.b%2fc", &request, &error) == OCT_OK);
    CHECK_STR_IS(request.field, "a[].b/c");
    CHECK(route("GET", "/collections/%zz%4", &request, &error) == OCT_OK);
    CHECK_STR_IS(request.collection, "%zz%4");
    CHECK(route("GET", "/collections/%ff", &request, &error) == OCT_BAD_INPUT);
    CHECK_EQ_STR(error.message, "invalid UTF-8");
    CHECK(request.stage == OCT_STAGE_PATH);
}

TEST(new_collection_names_are_checked_strictly)
{
    static const char bad[] = "<>:\"\\|?*";
    oct_request request;
    oct_error error;
    for (size_t i = 0; bad[i]; i++) {
        char path[40], expected[100];
        snprintf(path, sizeof path, "/collections/a%%%02X", bad[i]);
        snprintf(expected, sizeof expected,
                 "[collection_name: collection name cannot contain \"%c\" char]", bad[i]);
        CHECK(route("PUT", path, &request, &error) == OCT_VALIDATION);
        CHECK_EQ_STR(error.message, expected);
        CHECK(route("GET", path, &request, &error) == OCT_OK); /* just not there, later */
    }
    CHECK(route("PUT", "/collections/a%1f", &request, &error) == OCT_VALIDATION);
    CHECK_EQ_STR(error.message,
                 "[collection_name: collection name cannot contain control characters]");
    CHECK(route("PUT", "/collections/a%7f", &request, &error) == OCT_VALIDATION);
    CHECK(route("GET", "/collections/a%2fb", &request, &error) == OCT_VALIDATION);
    CHECK_EQ_STR(error.message, "[collection_name: collection name cannot contain \"/\" char]");
    CHECK(route("GET", "/collections/a%00", &request, &error) == OCT_VALIDATION);
}

TEST(collection_names_have_a_length_limit)
{
    char path[300] = "/collections/";
    size_t prefix = strlen(path);
    oct_request request;
    oct_error error;
    memset(path + prefix, 'x', 256);
    path[prefix + 255] = '\0';
    CHECK(route("PUT", path, &request, &error) == OCT_OK);
    CHECK(request.collection.bytes == 255);
    path[prefix + 255] = 'x';
    path[prefix + 256] = '\0';
    CHECK(route("PUT", path, &request, &error) == OCT_VALIDATION);
    CHECK(strstr(error.message, "invalid, must be from 1 to 255 characters]") != NULL);
    CHECK(route("GET", path, &request, &error) == OCT_VALIDATION);
}

TEST(wait_is_read)
{
    oct_request request;
    oct_error error;
    CHECK(route("PUT", "/collections/c/points", &request, &error) == OCT_OK);
    CHECK(!request.wait);
    CHECK(route("PUT", "/collections/c/points?wait=true", &request, &error) == OCT_OK);
    CHECK(request.wait);
    CHECK(route("PUT", "/collections/c/points?x=1&&wait=%74rue&=", &request, &error) == OCT_OK);
    CHECK(request.wait);
    CHECK(route("PUT", "/collections/c/points?wait=false", &request, &error) == OCT_OK);
    CHECK(!request.wait);
}

static void refuses_query(const char *verb, const char *target, oct_status status,
                          const char *message)
{
    oct_request request;
    oct_error error;
    CHECK(route(verb, target, &request, &error) == status);
    CHECK_EQ_STR(error.message, message);
    CHECK(request.stage == OCT_STAGE_QUERY);
}

TEST(bad_query_parameters_are_refused)
{
    refuses_query("PUT", "/collections/c/points?wait=1", OCT_BAD_INPUT,
                  "provided string was not `true` or `false`");
    refuses_query("PUT", "/collections/c/points?wait", OCT_BAD_INPUT,
                  "provided string was not `true` or `false`");
    refuses_query("PUT", "/collections/c/points?ordering=foo", OCT_BAD_INPUT,
                  "unknown variant `foo`, expected one of `weak`, `medium`, `strong`");
    refuses_query("PUT", "/collections/c/points?timeout=x", OCT_BAD_INPUT,
                  "invalid digit found in string");
    refuses_query("PUT", "/collections/c/points?wait=true&wait=true", OCT_BAD_INPUT,
                  "duplicate field `wait`");
    refuses_query("POST", "/collections/c/points/query?consistency=some", OCT_BAD_INPUT,
                  "failed to deserialize read consistency query parameter value 'some'");
    refuses_query("POST", "/collections/c/points/query?consistency=0", OCT_BAD_INPUT,
                  "failed to deserialize read consistency query parameter value '0'");
    refuses_query("POST", "/collections/c/points/query?timeout=0", OCT_BAD_INPUT,
                  "invalid value: integer `0`, expected a nonzero u64");
    refuses_query("PUT", "/collections/c?timeout=0", OCT_VALIDATION,
                  "[timeout: value 0 invalid, must be 1 or larger]");
}

TEST(good_query_parameters_pass)
{
    static const char *const good[] = {
        "/collections/c/points/query?consistency=majority",
        "/collections/c/points/query?consistency=all",
        "/collections/c/points/query?consistency=quorum&timeout=5",
        "/collections/c/points/query?consistency=2",
        "/collections/c/points/query?consistency=",
        "/collections/c/points/query?wait=nonsense",
        "/collections/c/points/query?ordering=nonsense",
        "/collections/c/points/query?",
    };
    oct_request request;
    oct_error error;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(route("POST", good[i], &request, &error) == OCT_OK);
    CHECK(route("PUT", "/collections/c/points?ordering=strong", &request, &error) == OCT_OK);
    CHECK(route("PUT", "/collections/c/points?timeout=0", &request, &error) == OCT_OK);
    CHECK(route("PUT", "/collections/c?timeout=1", &request, &error) == OCT_OK);
}

TEST(access_is_known_before_the_body)
{
    oct_request request;
    oct_error error;
    CHECK(route("GET", "/healthz", &request, &error) == OCT_OK);
    CHECK(oct_op_describe(request.op)->access == OCT_ACCESS_OPEN);
    CHECK(route("POST", "/collections/c/points/delete", &request, &error) == OCT_OK);
    CHECK(oct_op_describe(request.op)->access == OCT_ACCESS_WRITE);
    CHECK(route("DELETE", "/collections/c", &request, &error) == OCT_OK);
    CHECK(oct_op_describe(request.op)->access == OCT_ACCESS_MANAGE);
}

TEST_MAIN(every_operation_is_reached_by_its_own_path,
          slashes_are_forgiven_and_unknown_paths_are_not, path_parameters_are_percent_decoded,
          new_collection_names_are_checked_strictly, collection_names_have_a_length_limit,
          wait_is_read, bad_query_parameters_are_refused, good_query_parameters_pass,
          access_is_known_before_the_body)
