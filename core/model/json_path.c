/* SPDX-License-Identifier: Apache-2.0
 *
 * json_path.c - parse, print and walk payload keys.
 *
 * The grammar is Qdrant's: path = key { "." key | "[" digits "]" | "[]" }, key = bare or quoted.
 * A quoted key has no escapes, so it can hold neither `"` nor `\`. Bare keys take any character
 * beyond ASCII: Qdrant takes only letters and digits of Unicode there, which needs tables; taking
 * more refuses no path that Qdrant accepts. */
#include "model/json_path.h"

#include <string.h>

#include "base/str.h"

static bool is_bare(char c)
{
    unsigned char byte = (unsigned char)c;
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte >= 0x80;
}

static size_t bare_bytes(oct_str text)
{
    size_t bytes = 0;
    while (bytes < text.bytes && is_bare(text.at[bytes]))
        bytes++;
    return bytes;
}

/* Each step function reads one step at text[*at] and moves *at behind it; false when the text
 * there is no such step. */
static bool key_step(oct_str text, size_t *at, oct_path_step *step)
{
    step->kind = OCT_PATH_KEY;
    size_t start = *at;
    if (start < text.bytes && text.at[start] == '"') {
        size_t end = start + 1;
        while (end < text.bytes && text.at[end] != '"' && text.at[end] != '\\')
            end++;
        if (end == text.bytes || text.at[end] != '"') return false;
        step->key = (oct_str){ text.at + start + 1, end - start - 1 };
        *at = end + 1;
        return true;
    }
    size_t bytes = bare_bytes((oct_str){ text.at + start, text.bytes - start });
    step->key = (oct_str){ text.at + start, bytes };
    *at = start + bytes;
    return bytes > 0;
}

static bool bracket_step(oct_str text, size_t *at, oct_path_step *step)
{
    size_t start = *at + 1;
    size_t end = start;
    while (end < text.bytes && text.at[end] != ']')
        end++;
    if (end == text.bytes) return false;
    if (end == start) {
        step->kind = OCT_PATH_WILDCARD;
    } else {
        step->kind = OCT_PATH_INDEX;
        if (!oct_str_u64((oct_str){ text.at + start, end - start }, &step->index)) return false;
    }
    *at = end + 1;
    return true;
}

static bool next_step(oct_str text, size_t *at, bool first, oct_path_step *step)
{
    *step = (oct_path_step){ .kind = OCT_PATH_KEY };
    if (first) return key_step(text, at, step);
    if (text.at[*at] == '[') return bracket_step(text, at, step);
    if (text.at[*at] != '.') return false;
    size_t behind = *at + 1;
    if (!key_step(text, &behind, step)) return false;
    *at = behind;
    return true;
}

oct_status oct_json_path_parse(oct_arena *arena, oct_str text, oct_json_path *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_path_step steps[OCT_JSON_PATH_STEPS_MAX];
    uint32_t count = 0;
    size_t at = 0;
    *out = (oct_json_path){ 0 };
    if (text.bytes > OCT_FIELD_KEY_BYTES_MAX)
        return oct_fail(error, OCT_BAD_INPUT, "payload key has %zu bytes; at most %d are allowed",
                        text.bytes, (int)OCT_FIELD_KEY_BYTES_MAX);
    do {
        if (count == OCT_JSON_PATH_STEPS_MAX)
            return oct_fail(error, OCT_BAD_INPUT, "payload key `%.*s` has more than %d parts",
                            (int)text.bytes, text.at, (int)OCT_JSON_PATH_STEPS_MAX);
        if (!next_step(text, &at, count == 0, &steps[count]))
            return oct_fail(error, OCT_BAD_INPUT,
                            "Invalid json path: '%.*s' (at byte %zu): expected a form like a.b, "
                            "a[].b, a[0] or \"quoted key\"",
                            (int)text.bytes, text.at, at);
        count++;
    } while (at < text.bytes);
    oct_path_step *kept;
    TRY(oct_arena_array(arena, count, sizeof *kept, &kept, error));
    memcpy(kept, steps, count * sizeof *kept);
    *out = (oct_json_path){ .steps = kept, .count = count };
done:
    return status;
}

static bool step_equal(const oct_path_step *a, const oct_path_step *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == OCT_PATH_KEY) return oct_str_equal(a->key, b->key);
    return a->kind == OCT_PATH_WILDCARD || a->index == b->index;
}

bool oct_json_path_equal(const oct_json_path *a, const oct_json_path *b)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!step_equal(&a->steps[i], &b->steps[i])) return false;
    return true;
}

/* Writes the step at `text` (which has room for it) and returns its bytes. */
static size_t step_print(const oct_path_step *step, bool first, char *text)
{
    size_t at = 0;
    if (step->kind == OCT_PATH_KEY) {
        bool quoted = step->key.bytes == 0 || bare_bytes(step->key) != step->key.bytes;
        if (!first) text[at++] = '.';
        if (quoted) text[at++] = '"';
        if (step->key.bytes) memcpy(text + at, step->key.at, step->key.bytes);
        at += step->key.bytes;
        if (quoted) text[at++] = '"';
        return at;
    }
    text[at++] = '[';
    if (step->kind == OCT_PATH_INDEX) {
        uint64_t unit = 1;
        while (step->index / unit >= 10)
            unit *= 10;
        for (; unit > 0; unit /= 10)
            text[at++] = (char)('0' + step->index / unit % 10);
    }
    text[at++] = ']';
    return at;
}

oct_status oct_json_path_print(oct_arena *arena, const oct_json_path *path, oct_str *out,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    /* At most a dot and two quotes around a key; brackets and 20 digits for an index. */
    size_t bytes_max = 0;
    for (uint32_t i = 0; i < path->count; i++)
        bytes_max += path->steps[i].key.bytes + 22;
    char *text;
    TRY(oct_arena_array(arena, bytes_max, 1, &text, error));
    size_t bytes = 0;
    for (uint32_t i = 0; i < path->count; i++)
        bytes += step_print(&path->steps[i], i == 0, text + bytes);
    ASSERT(bytes <= bytes_max);
    *out = (oct_str){ text, bytes };
done:
    return status;
}

/* Recursion is bounded by OCT_JSON_PATH_STEPS_MAX. */
static bool walk(const oct_json_path *path, uint32_t depth, const oct_json *value,
                 oct_json_path_visit visit, void *arg)
{
    if (depth == path->count) return visit(arg, value);
    const oct_path_step *step = &path->steps[depth];
    if (step->kind == OCT_PATH_KEY) {
        if (oct_json_kind_of(value) != OCT_JSON_OBJECT) return true;
        const oct_json *member = oct_json_get(value, step->key);
        return member ? walk(path, depth + 1, member, visit, arg) : true;
    }
    if (oct_json_kind_of(value) != OCT_JSON_ARRAY) return true;
    if (step->kind == OCT_PATH_INDEX && step->index >= oct_json_count(value)) return true;
    oct_json_iter iter = oct_json_iterate(value);
    const oct_json *item;
    for (uint64_t i = 0; (item = oct_json_next(&iter, NULL)) != NULL; i++) {
        if (step->kind == OCT_PATH_INDEX && i != step->index) continue;
        if (!walk(path, depth + 1, item, visit, arg)) return false;
        if (step->kind == OCT_PATH_INDEX) break;
    }
    return true;
}

bool oct_json_path_walk(const oct_json_path *path, const oct_json *object,
                        oct_json_path_visit visit, void *arg)
{
    ASSERT(path->count > 0);
    return walk(path, 0, object, visit, arg);
}

typedef struct each_visit {
    oct_json_path_visit visit;
    void *arg;
} each_visit;

static bool visit_items(void *arg, const oct_json *value)
{
    const each_visit *each = arg;
    if (oct_json_kind_of(value) != OCT_JSON_ARRAY) return each->visit(each->arg, value);
    oct_json_iter iter = oct_json_iterate(value);
    const oct_json *item;
    while ((item = oct_json_next(&iter, NULL)) != NULL)
        if (!each->visit(each->arg, item)) return false;
    return true;
}

bool oct_json_path_each(const oct_json_path *path, const oct_json *object,
                        oct_json_path_visit visit, void *arg)
{
    each_visit each = { .visit = visit, .arg = arg };
    return oct_json_path_walk(path, object, visit_items, &each);
}
