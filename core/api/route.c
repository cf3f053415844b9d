/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c - matching of paths against the templates of ops.def, and the query parameters.
 *
 * Two dozen templates are compared one after the other, segment by segment; a trie would save
 * less than a microsecond of a request. Query parameters are read as Qdrant reads them (unknown
 * ones ignored, known ones given twice refused), with serde's words for the common errors. */
#include "api/route.h"

#include <string.h>

#include "api/node.h"
#include "base/str.h"

enum { SEGMENTS_MAX = 8 };

static const oct_op_info infos[] = {
#define OP(name, access, verb, path, grpc) { #name, OCT_ACCESS_##access, verb, path, grpc },
#include "api/ops.def"
#undef OP
};

STATIC_ASSERT(ARRAY_COUNT(infos) == OCT_OP_COUNT, "every operation has its line");

const oct_op_info *oct_op_describe(oct_op op)
{
    ASSERT(op < OCT_OP_COUNT);
    return &infos[op];
}

/* ---- percent-encoding ---------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Decode into the arena. A '%' without two hex digits stays as it is, as in Qdrant. `plus` makes
 * '+' a space (query strings). BAD_INPUT when the result is no UTF-8. */
static oct_status decode_percent(oct_arena *arena, oct_str text, bool plus, oct_str *out,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    char *target = NULL;
    size_t bytes = 0;
    TRY(oct_arena_array(arena, text.bytes, 1, &target, error));
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        int high = c == '%' && i + 2 < text.bytes ? hex_digit(text.at[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.at[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(unsigned char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        target[bytes++] = c;
    }
    *out = (oct_str){ target, bytes };
    if (!oct_str_is_utf8(*out)) TRY(oct_fail(error, OCT_BAD_INPUT, "invalid UTF-8"));
done:
    return status;
}

/* ---- paths --------------------------------------------------------------------------- */

/* The segments of a path, empty ones left out. Returns more than SEGMENTS_MAX when there are. */
static size_t split_path(oct_str path, oct_str segments[SEGMENTS_MAX])
{
    size_t count = 0;
    while (path.bytes > 0) {
        oct_str segment = oct_str_split(&path, '/');
        if (segment.bytes == 0) continue;
        if (count < SEGMENTS_MAX) segments[count] = segment;
        count++;
    }
    return count;
}

static bool is_parameter(oct_str segment)
{
    return segment.bytes > 0 && segment.at[0] == '{';
}

static bool path_matches(const char *template, const oct_str *segments, size_t count)
{
    oct_str parts[SEGMENTS_MAX];
    if (split_path(oct_str_of(template), parts) != count) return false;
    for (size_t i = 0; i < count; i++)
        if (!is_parameter(parts[i]) && !oct_str_equal(parts[i], segments[i])) return false;
    return true;
}

static bool find_op(const char *verb, const oct_str *segments, size_t count, oct_op *out)
{
    if (count > SEGMENTS_MAX) return false;
    for (size_t i = 0; i < ARRAY_COUNT(infos); i++) {
        if (strcmp(infos[i].verb, verb) != 0) continue;
        if (!path_matches(infos[i].path, segments, count)) continue;
        *out = (oct_op)i;
        return true;
    }
    return false;
}

static oct_str *parameter_target(oct_request *request, oct_str name)
{
    if (oct_str_equal(name, OCT_STR("{collection}"))) return &request->collection;
    if (oct_str_equal(name, OCT_STR("{field}"))) return &request->field;
    ASSERT(oct_str_equal(name, OCT_STR("{id}")));
    return &request->id;
}

static oct_status read_parameters(oct_arena *arena, const oct_str *segments, oct_request *out,
                                  oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str parts[SEGMENTS_MAX];
    size_t count = split_path(oct_str_of(oct_op_describe(out->op)->path), parts);
    for (size_t i = 0; i < count; i++)
        if (is_parameter(parts[i]))
            TRY(decode_percent(arena, segments[i], false, parameter_target(out, parts[i]), error));
done:
    return status;
}

/* ---- collection names ---------------------------------------------------------------- */

static oct_status fail_name_char(oct_error *error, char c)
{
    if ((unsigned char)c < 0x20 || c == 0x7F)
        return oct_fail(error, OCT_VALIDATION,
                        "[collection_name: collection name cannot contain control characters]");
    return oct_fail(error, OCT_VALIDATION,
                    "[collection_name: collection name cannot contain \"%c\" char]", c);
}

static oct_status check_name_length(oct_str name, oct_error *error)
{
    if (name.bytes >= 1 && name.bytes <= OCT_COLLECTION_NAME_BYTES_MAX) return OCT_OK;
    name = oct_clip(name);
    return oct_fail(error, OCT_VALIDATION,
                    "[collection_name: value \"%.*s\" invalid, must be from 1 to %d characters]",
                    (int)name.bytes, name.at, OCT_COLLECTION_NAME_BYTES_MAX);
}

oct_status oct_collection_name_check(oct_str name, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(check_name_length(name, error));
    for (size_t i = 0; i < name.bytes; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (c < 0x20 || c == 0x7F || strchr("<>:\"/\\|?*", c))
            TRY(fail_name_char(error, name.at[i]));
    }
done:
    return status;
}

/* For collections that exist, Qdrant forbids only what no file system allows: a name that could
 * not be created is then just not found. */
static oct_status check_name_loosely(oct_str name, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(check_name_length(name, error));
    for (size_t i = 0; i < name.bytes; i++)
        if (name.at[i] == '/' || name.at[i] == '\0') TRY(fail_name_char(error, name.at[i]));
done:
    return status;
}

static oct_status check_collection(const oct_request *request, oct_error *error)
{
    if (!strstr(oct_op_describe(request->op)->path, "{collection}")) return OCT_OK;
    if (request->op == OCT_OP_collections_create)
        return oct_collection_name_check(request->collection, error);
    return check_name_loosely(request->collection, error);
}

/* ---- query parameters ---------------------------------------------------------------- */

static oct_status read_wait(oct_str value, oct_request *out, oct_error *error)
{
    out->wait = oct_str_equal(value, OCT_STR("true"));
    if (out->wait || oct_str_equal(value, OCT_STR("false"))) return OCT_OK;
    return oct_fail(error, OCT_BAD_INPUT, "provided string was not `true` or `false`");
}

static oct_status check_ordering(oct_str value, oct_error *error)
{
    if (oct_str_equal(value, OCT_STR("weak")) || oct_str_equal(value, OCT_STR("medium")) ||
        oct_str_equal(value, OCT_STR("strong")))
        return OCT_OK;
    value = oct_clip(value);
    return oct_fail(error, OCT_BAD_INPUT,
                    "unknown variant `%.*s`, expected one of `weak`, `medium`, `strong`",
                    (int)value.bytes, value.at);
}

/* A replica count or a word: one node satisfies them all. */
static oct_status check_consistency(oct_str value, oct_error *error)
{
    uint64_t factor = 0;
    if (value.bytes == 0 || oct_str_equal(value, OCT_STR("majority")) ||
        oct_str_equal(value, OCT_STR("quorum")) || oct_str_equal(value, OCT_STR("all")) ||
        (oct_str_u64(value, &factor) && factor >= 1))
        return OCT_OK;
    value = oct_clip(value);
    return oct_fail(error, OCT_BAD_INPUT,
                    "failed to deserialize read consistency query parameter value '%.*s'",
                    (int)value.bytes, value.at);
}

/* Seconds. Operations answer as soon as they are done, so a time limit has nothing to cut. */
static oct_status check_timeout(oct_str value, oct_access access, oct_error *error)
{
    uint64_t seconds = 0;
    if (!oct_str_u64(value, &seconds))
        return oct_fail(error, OCT_BAD_INPUT, "invalid digit found in string");
    if (seconds >= OCT_TIMEOUT_MIN || access == OCT_ACCESS_WRITE) return OCT_OK;
    if (access == OCT_ACCESS_READ)
        return oct_fail(error, OCT_BAD_INPUT, "invalid value: integer `0`, expected a nonzero u64");
    return oct_fail(error, OCT_VALIDATION, "[timeout: value 0 invalid, must be %d or larger]",
                    OCT_TIMEOUT_MIN);
}

typedef enum parameter { WAIT, ORDERING, CONSISTENCY, TIMEOUT, PARAMETER_COUNT } parameter;

/* Which parameter of an operation with that access `name` is; PARAMETER_COUNT: none. */
static parameter parameter_named(oct_str name, oct_access access)
{
    static const char *const names[PARAMETER_COUNT] = { "wait", "ordering", "consistency",
                                                        "timeout" };
    static const bool known[][PARAMETER_COUNT] = {
        [OCT_ACCESS_OPEN] = { false, false, false, false },
        [OCT_ACCESS_READ] = { false, false, true, true },
        [OCT_ACCESS_WRITE] = { true, true, false, true },
        [OCT_ACCESS_MANAGE] = { false, false, false, true },
    };
    for (unsigned i = 0; i < PARAMETER_COUNT; i++)
        if (known[access][i] && oct_str_equal(name, oct_str_of(names[i]))) return (parameter)i;
    return PARAMETER_COUNT;
}

static oct_status read_parameter(parameter which, oct_str value, oct_access access,
                                 oct_request *out, oct_error *error)
{
    switch (which) {
    case WAIT:
        return read_wait(value, out, error);
    case ORDERING:
        return check_ordering(value, error);
    case CONSISTENCY:
        return check_consistency(value, error);
    case TIMEOUT:
        return check_timeout(value, access, error);
    case PARAMETER_COUNT:
        break;
    }
    return OCT_OK;
}

static oct_status read_query_string(oct_arena *arena, oct_str query, oct_request *out,
                                    oct_error *error)
{
    oct_status status = OCT_OK;
    oct_access access = oct_op_describe(out->op)->access;
    bool seen[PARAMETER_COUNT + 1] = { false };
    while (query.bytes > 0) {
        oct_str value = oct_str_split(&query, '&');
        oct_str name = oct_str_split(&value, '=');
        TRY(decode_percent(arena, name, true, &name, error));
        TRY(decode_percent(arena, value, true, &value, error));
        parameter which = parameter_named(name, access);
        if (which == PARAMETER_COUNT) continue;
        if (seen[which])
            TRY(oct_fail(error, OCT_BAD_INPUT, "duplicate field `%.*s`", (int)name.bytes, name.at));
        seen[which] = true;
        TRY(read_parameter(which, value, access, out, error));
    }
done:
    return status;
}

/* ---- the route ----------------------------------------------------------------------- */

oct_status oct_route(oct_arena *arena, const char *verb, oct_str target, oct_request *out,
                     oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str segments[SEGMENTS_MAX];
    oct_str query = target;
    memset(out, 0, sizeof *out);
    oct_str path = oct_str_split(&query, '?');
    out->stage = OCT_STAGE_PATH;
    size_t count = split_path(path, segments);
    if (!find_op(verb, segments, count, &out->op))
        TRY(oct_fail(error, OCT_NO_ROUTE, "no such route"));
    TRY(read_parameters(arena, segments, out, error));
    TRY(check_collection(out, error));
    out->stage = OCT_STAGE_QUERY;
    TRY(read_query_string(arena, query, out, error));
done:
    return status;
}
