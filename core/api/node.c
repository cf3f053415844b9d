/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c - paths and positions of request values.
 *
 * A position is found by scanning the text again for the node's path, on the error path only.
 * Keeping a byte offset per value was rejected: it would cost memory on every request to serve
 * the few that fail. The scanner works on text that was parsed before, so it checks bounds (a
 * wrong scan must never read outside) but no syntax; where it can't follow the path (an escaped
 * key), it answers the position of the nearest value above. */
#include "api/node.h"

#include "base/str.h"

enum { PATH_BYTES = 300, QUOTE_BYTES = 100, NOWHERE = -1 };

/* ---- walking ------------------------------------------------------------------------- */

oct_node oct_node_member(const oct_node *object, const char *key)
{
    oct_node node = { .parent = object, .key = oct_str_of(key) };
    node.value = oct_json_get(object->value, node.key);
    if (node.value && oct_json_kind_of(node.value) == OCT_JSON_NULL) node.value = NULL;
    return node;
}

oct_items oct_items_of(const oct_node *container)
{
    return (oct_items){ .iter = oct_json_iterate(container->value), .container = container };
}

bool oct_items_next(oct_items *items, oct_node *out)
{
    oct_str key = { 0 };
    *out = (oct_node){ .value = oct_json_next(&items->iter, &key), .parent = items->container };
    out->key = key;
    out->index = items->index++;
    return out->value != NULL;
}

bool oct_node_is(const oct_node *node, oct_json_kind kind)
{
    return node->value && oct_json_kind_of(node->value) == kind;
}

/* ---- the path as text ---------------------------------------------------------------- */

typedef struct path_text {
    char at[PATH_BYTES];
    size_t bytes;
} path_text;

static void put(path_text *text, oct_str part)
{
    size_t bytes = (size_t)oct_str_shown(part, sizeof text->at - text->bytes);
    if (bytes) memcpy(text->at + text->bytes, part.at, bytes);
    text->bytes += bytes;
}

static void put_index(path_text *text, size_t index)
{
    char digits[24];
    size_t start = sizeof digits;
    digits[--start] = ']';
    do {
        digits[--start] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    digits[--start] = '[';
    put(text, (oct_str){ digits + start, sizeof digits - start });
}

static bool in_array(const oct_node *node)
{
    return oct_node_is(node->parent, OCT_JSON_ARRAY);
}

/* The nodes from the one below the body down to `node`; returns how many. Deeper ones than JSON
 * can be would be a bug. */
static size_t chain_of(const oct_node *node, const oct_node *chain[OCT_JSON_DEPTH_MAX])
{
    size_t depth = 0;
    for (const oct_node *at = node; at->parent; at = at->parent)
        depth++;
    ASSERT(depth <= OCT_JSON_DEPTH_MAX);
    size_t left = depth;
    for (const oct_node *at = node; at->parent; at = at->parent)
        chain[--left] = at;
    return depth;
}

static void spell_path(const oct_node *const *chain, size_t depth, path_text *text)
{
    for (size_t i = 0; i < depth; i++) {
        if (in_array(chain[i])) {
            put_index(text, chain[i]->index);
        } else {
            if (i > 0) put(text, OCT_STR("."));
            put(text, chain[i]->key);
        }
    }
    while (text->bytes == sizeof text->at && text->bytes > 0 &&
           ((unsigned char)text->at[text->bytes - 1] & 0x80))
        text->bytes--; /* cut: no torn character at the end */
}

/* ---- the position in the text -------------------------------------------------------- */

static size_t skip_spaces(oct_str text, size_t at)
{
    while (at < text.bytes && (text.at[at] == ' ' || text.at[at] == '\t' || text.at[at] == '\n' ||
                               text.at[at] == '\r'))
        at++;
    return at;
}

/* From the opening quote to behind the closing one. */
static size_t skip_string(oct_str text, size_t at)
{
    for (at++; at < text.bytes && text.at[at] != '"'; at++)
        if (text.at[at] == '\\') at++;
    return at < text.bytes ? at + 1 : text.bytes;
}

static size_t skip_value(oct_str text, size_t at)
{
    size_t depth = 0;
    do {
        at = skip_spaces(text, at);
        if (at >= text.bytes) return text.bytes;
        char c = text.at[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') depth--;
        at++;
        if (depth == 0 && c != '}' && c != ']') /* a scalar: to its end */
            while (at < text.bytes && !strchr(",]} \t\r\n", text.at[at]))
                at++;
    } while (depth > 0);
    return at;
}

/* Where the member `key` of the object at `at` starts; the last of duplicates. */
static ptrdiff_t find_member(oct_str text, size_t at, oct_str key)
{
    ptrdiff_t found = NOWHERE;
    at = skip_spaces(text, at) + 1;
    for (;;) {
        at = skip_spaces(text, at);
        if (at >= text.bytes || text.at[at] != '"') return found;
        size_t name = at + 1;
        at = skip_string(text, at);
        bool same = oct_str_equal((oct_str){ text.at + name, at - name - 1 }, key);
        at = skip_spaces(text, skip_spaces(text, at) + 1); /* the colon */
        if (at >= text.bytes) return found;
        if (same) found = (ptrdiff_t)at;
        at = skip_spaces(text, skip_value(text, at));
        if (at < text.bytes && text.at[at] == ',') at++;
    }
}

static ptrdiff_t find_item(oct_str text, size_t at, size_t index)
{
    at = skip_spaces(text, at) + 1;
    while (index-- > 0) {
        at = skip_spaces(text, skip_value(text, at));
        if (at >= text.bytes || text.at[at] != ',') return NOWHERE;
        at++;
    }
    at = skip_spaces(text, at);
    return at < text.bytes ? (ptrdiff_t)at : NOWHERE;
}

static size_t find_offset(oct_str text, const oct_node *const *chain, size_t depth)
{
    size_t at = skip_spaces(text, 0);
    for (size_t i = 0; i < depth; i++) {
        ptrdiff_t next = in_array(chain[i]) ? find_item(text, at, chain[i]->index)
                                            : find_member(text, at, chain[i]->key);
        if (next == NOWHERE) break;
        at = (size_t)next;
    }
    return at;
}

/* ---- errors -------------------------------------------------------------------------- */

oct_str oct_clip(oct_str text)
{
    if (text.bytes <= QUOTE_BYTES) return text;
    text.bytes = QUOTE_BYTES;
    while (text.bytes > 0 && ((unsigned char)text.at[text.bytes] & 0xC0) == 0x80)
        text.bytes--;
    return text;
}

oct_status oct_blame(oct_decoder *decoder, const oct_node *node, oct_status status)
{
    bool validation = status == OCT_VALIDATION;
    if (!decoder->error || (status != OCT_BAD_INPUT && status != OCT_LIMIT && !validation))
        return status;
    const oct_node *chain[OCT_JSON_DEPTH_MAX];
    size_t depth = chain_of(node, chain);
    path_text path = { .bytes = 0 };
    spell_path(chain, depth, &path);
    oct_error what = *decoder->error;
    const char *colon = path.bytes ? ": " : "";
    if (validation)
        return oct_fail(decoder->error, status, "[%.*s%s%s]", (int)path.bytes, path.at, colon,
                        what.message);
    size_t offset = find_offset(decoder->text, chain, depth);
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < offset; i++)
        if (decoder->text.at[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    return oct_fail(decoder->error, status, "%.*s%s%s at line %" PRIu64 " column %" PRIu64,
                    (int)path.bytes, path.at, colon, what.message, (uint64_t)line,
                    (uint64_t)(offset - line_start + 1));
}

oct_status oct_unexpected(oct_decoder *decoder, const oct_node *node, const char *expected)
{
    return OCT_FAIL_AT(decoder, node, OCT_BAD_INPUT, "expected %s, got %s", expected,
                       oct_json_kind_name(node->value));
}

oct_status oct_expect(oct_decoder *decoder, const oct_node *node, oct_json_kind kind)
{
    static const char *const names[] = {
        [OCT_JSON_NULL] = "null",
        [OCT_JSON_BOOL] = "a boolean",
        [OCT_JSON_UINT] = "a non-negative integer",
        [OCT_JSON_INT] = "an integer",
        [OCT_JSON_REAL] = "a number",
        [OCT_JSON_STRING] = "a string",
        [OCT_JSON_ARRAY] = "an array",
        [OCT_JSON_OBJECT] = "an object",
    };
    if (oct_json_kind_of(node->value) == kind) return OCT_OK;
    return oct_unexpected(decoder, node, names[kind]);
}

oct_status oct_refuse_node(oct_decoder *decoder, const oct_node *node, const char *what)
{
    decoder->stage = OCT_STAGE_REFUSED;
    return OCT_FAIL_AT(decoder, node, OCT_BAD_INPUT, "%s not supported yet", what);
}

oct_status oct_refuse(oct_decoder *decoder, const oct_node *object, const char *key)
{
    oct_node node = oct_node_member(object, key);
    if (!node.value) return OCT_OK;
    if (oct_node_is(&node, OCT_JSON_ARRAY) && oct_json_count(node.value) == 0) return OCT_OK;
    return oct_refuse_node(decoder, &node, "this is");
}
