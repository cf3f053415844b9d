/* SPDX-License-Identifier: Apache-2.0
 *
 * payload.c - payload changes as copies with exceptions: the old text is parsed, and written again
 * while the change is applied.
 *
 * A tree that is edited in place was rejected: it needs a second, mutable JSON type, and an edit
 * that fails half way needs undoing. Deletion and selection share one walk: a set of paths goes
 * down the tree with the writer, and at each value holds the paths that still match. Recursion
 * is bounded by OCT_JSON_DEPTH_MAX, the depth of any parsed text. */
#include "model/payload.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"

/* A writer into an arena string: the text grows in a buffer first. */
typedef struct text_output {
    oct_buf buf;
    oct_json_writer writer;
} text_output;

static void output_begin(text_output *output, oct_arena *arena)
{
    oct_buf_init(&output->buf, arena->alloc, OCT_PAYLOAD_BYTES_MAX);
    oct_json_writer_init(&output->writer, &output->buf);
}

/* Takes the text over into the arena; the buffer is released in any case. */
static oct_status output_end(text_output *output, oct_arena *arena, oct_str *out, oct_error *error)
{
    oct_status status = oct_json_writer_status(&output->writer);
    if (status == OCT_LIMIT)
        status = oct_fail(error, OCT_LIMIT, "a payload may have at most %d bytes of JSON",
                          (int)OCT_PAYLOAD_BYTES_MAX);
    else if (status != OCT_OK)
        status = oct_fail_nomem(error, "a payload");
    else
        status = oct_arena_str(arena, (oct_str){ (const char *)output->buf.at, output->buf.bytes },
                               out, error);
    oct_buf_deinit(&output->buf);
    return status;
}

static oct_status stored_parse(oct_arena *arena, oct_str text, const oct_json **out,
                               oct_error *error)
{
    if (text.bytes == 0) text = OCT_STR("{}");
    oct_status status = oct_json_parse(arena, text, out, NULL);
    if (status == OCT_NOMEM) return oct_fail_nomem(error, "a parsed payload");
    if (status != OCT_OK || oct_json_kind_of(*out) != OCT_JSON_OBJECT)
        return oct_fail(error, OCT_CORRUPT, "a stored payload is not a JSON object");
    return OCT_OK;
}

oct_status oct_payload_from_json(oct_arena *arena, const oct_json *value, oct_str *out,
                                 oct_error *error)
{
    if (oct_json_kind_of(value) != OCT_JSON_OBJECT)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: invalid type: %s, expected a payload object",
                        oct_json_kind_name(value));
    text_output output;
    output_begin(&output, arena);
    oct_json_write_value(&output.writer, value);
    return output_end(&output, arena, out, error);
}

/* ---- merge ------------------------------------------------------------------------------ */

/* Levels of containers in a value: 0 for a scalar. */
static uint32_t levels_of(const oct_json *value)
{
    oct_json_kind kind = oct_json_kind_of(value);
    if (kind != OCT_JSON_ARRAY && kind != OCT_JSON_OBJECT) return 0;
    uint32_t below = 0;
    oct_str key;
    oct_json_iter iter = oct_json_iterate(value);
    const oct_json *item;
    while ((item = oct_json_next(&iter, &key)) != NULL) {
        uint32_t levels = levels_of(item);
        below = MAX(below, levels);
    }
    return below + 1;
}

static bool is_object(const oct_json *value)
{
    return value && oct_json_kind_of(value) == OCT_JSON_OBJECT;
}

static void write_member(oct_json_writer *writer, oct_str key, const oct_json *value)
{
    oct_json_key(writer, key);
    oct_json_write_value(writer, value);
}

/* Looking for a member reads all of them: more keys than these are mapped. */
enum { FEW_KEYS = 16 };

typedef struct merge_job {
    oct_json_writer *writer;
    const oct_json_path *below;
    const oct_json *changes;
    const oct_json **values; /* of many changes, in their order; NULL: few */
    bool *met;               /* those that the object at hand has */
    oct_map places;          /* of keys in both */
} merge_job;

/* Which seed matters to nobody; that it is an address keeps strangers from choosing it. */
static oct_status map_changes(merge_job *merge, oct_arena *arena, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t count = oct_json_count(merge->changes);
    oct_json_iter iter = oct_json_iterate(merge->changes);
    oct_str key;
    if (count <= FEW_KEYS) return OCT_OK;
    TRY(oct_arena_array(arena, count, sizeof *merge->met, &merge->met, error));
    TRY(oct_arena_array(arena, count, sizeof *merge->values, &merge->values, error));
    oct_map_init(&merge->places, arena->alloc, (uint64_t)(uintptr_t)merge->values);
    TRY(oct_map_reserve(&merge->places, count, error));
    for (uint32_t i = 0; i < count; i++) {
        merge->values[i] = oct_json_next(&iter, &key);
        oct_map_put_str(&merge->places, key, i);
    }
done:
    return status;
}

/* The change of a member, which is met then; NULL: none. */
static const oct_json *change_of(const merge_job *merge, oct_str key)
{
    if (!merge->values) return oct_json_get(merge->changes, key);
    const uint32_t *place = oct_map_get_str(&merge->places, key);
    if (!place) return NULL;
    merge->met[*place] = true;
    return merge->values[*place];
}

/* The members of `dest` (nothing when it is no object) under the changes. Replaced members keep
 * their place, new ones follow. */
static void write_merged(const merge_job *merge, const oct_json *dest)
{
    oct_json_writer *writer = merge->writer;
    oct_str key;
    const oct_json *value;
    if (merge->met) memset(merge->met, 0, oct_json_count(merge->changes) * sizeof *merge->met);
    oct_json_begin_object(writer);
    if (is_object(dest)) {
        oct_json_iter iter = oct_json_iterate(dest);
        while ((value = oct_json_next(&iter, &key)) != NULL) {
            const oct_json *change = change_of(merge, key);
            if (!change)
                write_member(writer, key, value);
            else if (oct_json_kind_of(change) != OCT_JSON_NULL)
                write_member(writer, key, change);
        }
    }
    oct_json_iter iter = oct_json_iterate(merge->changes);
    for (uint32_t i = 0; (value = oct_json_next(&iter, &key)) != NULL; i++) {
        if (merge->met ? merge->met[i] : is_object(dest) && oct_json_get(dest, key)) continue;
        if (oct_json_kind_of(value) != OCT_JSON_NULL) write_member(writer, key, value);
    }
    oct_json_end_object(writer);
}

static void write_below(const merge_job *merge, uint32_t depth, const oct_json *dest);

static void write_below_key(const merge_job *merge, uint32_t depth, const oct_json *dest)
{
    oct_json_writer *writer = merge->writer;
    oct_str wanted = merge->below->steps[depth].key;
    bool found = false;
    oct_json_begin_object(writer);
    if (is_object(dest)) {
        oct_str key;
        const oct_json *value;
        oct_json_iter iter = oct_json_iterate(dest);
        while ((value = oct_json_next(&iter, &key)) != NULL) {
            oct_json_key(writer, key);
            if (oct_str_equal(key, wanted)) {
                found = true;
                write_below(merge, depth + 1, value);
            } else {
                oct_json_write_value(writer, value);
            }
        }
    }
    if (!found) {
        oct_json_key(writer, wanted);
        write_below(merge, depth + 1, NULL);
    }
    oct_json_end_object(writer);
}

static void write_below_items(const merge_job *merge, uint32_t depth, const oct_json *dest)
{
    const oct_path_step *step = &merge->below->steps[depth];
    oct_json_begin_array(merge->writer);
    if (dest && oct_json_kind_of(dest) == OCT_JSON_ARRAY) {
        oct_json_iter iter = oct_json_iterate(dest);
        const oct_json *item;
        for (uint64_t i = 0; (item = oct_json_next(&iter, NULL)) != NULL; i++) {
            if (step->kind == OCT_PATH_WILDCARD || step->index == i)
                write_below(merge, depth + 1, item);
            else
                oct_json_write_value(merge->writer, item);
        }
    }
    oct_json_end_array(merge->writer);
}

/* Write `dest` (NULL: missing) with the changes applied at the end of the path. */
static void write_below(const merge_job *merge, uint32_t depth, const oct_json *dest)
{
    if (depth == merge->below->count)
        write_merged(merge, dest);
    else if (merge->below->steps[depth].kind == OCT_PATH_KEY)
        write_below_key(merge, depth, dest);
    else
        write_below_items(merge, depth, dest);
}

oct_status oct_payload_merge(oct_arena *arena, oct_str payload, oct_str changes,
                             const oct_json_path *below, oct_str *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *old;
    static const oct_json_path top = { .steps = NULL, .count = 0 };
    *out = (oct_str){ NULL, 0 };
    merge_job merge = { .below = below ? below : &top };
    TRY(stored_parse(arena, payload, &old, error));
    TRY(stored_parse(arena, changes, &merge.changes, error));
    if (merge.below->count + levels_of(merge.changes) > OCT_JSON_DEPTH_MAX)
        TRY(oct_fail(error, OCT_LIMIT, "a payload may have at most %d levels",
                     (int)OCT_JSON_DEPTH_MAX));
    TRY(map_changes(&merge, arena, error));
    text_output output;
    output_begin(&output, arena);
    merge.writer = &output.writer;
    write_below(&merge, 0, old);
    TRY(output_end(&output, arena, out, error));
done:
    if (merge.values) oct_map_deinit(&merge.places);
    return status;
}

/* ---- deletion and selection ------------------------------------------------------------- */

typedef enum sieve_mode { SIEVE_INCLUDE, SIEVE_EXCLUDE, SIEVE_DELETE } sieve_mode;

/* What the paths say about one value. */
typedef enum sieve_verdict { DROP, KEEP_ALL, LOOK_INSIDE } sieve_verdict;

typedef struct path_sieve {
    oct_json_writer *writer;
    const oct_json_path *paths;
    uint32_t path_count;
    sieve_mode mode;
    /* [levels][path_count]: at level n, which paths match the n steps down to here. counts[n] of
     * them. No path is longer than the last level. */
    uint32_t *matching;
    uint32_t *counts;
    /* Of many paths: the first one with that first key, and the next with the same. */
    oct_map first;
    uint32_t *next; /* NULL: few paths */
} path_sieve;

#define NO_PATH UINT32_MAX

/* The first path that may match a member of the root. */
static uint32_t first_path(const path_sieve *sieve, oct_str key)
{
    const uint32_t *found = oct_map_get_str(&sieve->first, key);
    return found ? *found : NO_PATH;
}

static oct_status map_paths(path_sieve *sieve, oct_arena *arena, oct_error *error)
{
    oct_status status = OCT_OK;
    if (sieve->path_count <= FEW_KEYS) return OCT_OK;
    TRY(oct_arena_array(arena, sieve->path_count, sizeof *sieve->next, &sieve->next, error));
    oct_map_init(&sieve->first, arena->alloc, (uint64_t)(uintptr_t)sieve->next);
    TRY(oct_map_reserve(&sieve->first, sieve->path_count, error));
    for (uint32_t i = sieve->path_count; i-- > 0;) {
        oct_str key = sieve->paths[i].steps[0].key;
        sieve->next[i] = first_path(sieve, key);
        oct_map_put_str(&sieve->first, key, i);
    }
done:
    return status;
}

/* Where a value stands in its container: under a key, or at an index of an array. */
typedef struct item_place {
    const oct_str *key; /* NULL in an array */
    uint64_t index;
} item_place;

static bool step_matches(sieve_mode mode, const oct_path_step *step, bool last, item_place place)
{
    switch (step->kind) {
    case OCT_PATH_KEY:
        return place.key && oct_str_equal(step->key, *place.key);
    case OCT_PATH_WILDCARD:
        return !place.key;
    case OCT_PATH_INDEX:
        return mode == SIEVE_DELETE && !last && !place.key && step->index == place.index;
    }
    return false;
}

/* Narrow the paths matching at `level` to those that match `place` below it. */
static sieve_verdict sieve_step(path_sieve *sieve, uint32_t level, item_place place)
{
    const uint32_t *from = sieve->matching + (size_t)level * sieve->path_count;
    uint32_t *to = sieve->matching + (size_t)(level + 1) * sieve->path_count;
    uint32_t count = 0;
    bool mapped = level == 0 && sieve->next;
    uint32_t at = mapped ? first_path(sieve, *place.key) : 0, which;
    for (; at < (mapped ? NO_PATH : sieve->counts[level]); at = mapped ? sieve->next[at] : at + 1) {
        which = mapped ? at : from[at];
        const oct_json_path *path = &sieve->paths[which];
        bool last = level + 1 == path->count;
        if (!step_matches(sieve->mode, &path->steps[level], last, place)) continue;
        if (last) return sieve->mode == SIEVE_INCLUDE ? KEEP_ALL : DROP;
        to[count++] = which;
    }
    sieve->counts[level + 1] = count;
    if (count > 0) return LOOK_INSIDE;
    return sieve->mode == SIEVE_INCLUDE ? DROP : KEEP_ALL;
}

/* Write the value down to which `level` steps lead, without what the paths drop. */
static void sieve_write(path_sieve *sieve, uint32_t level, const oct_json *value)
{
    oct_json_kind kind = oct_json_kind_of(value);
    bool object = kind == OCT_JSON_OBJECT;
    if (!object && kind != OCT_JSON_ARRAY) {
        oct_json_write_value(sieve->writer, value);
        return;
    }
    if (object)
        oct_json_begin_object(sieve->writer);
    else
        oct_json_begin_array(sieve->writer);
    oct_str key = { NULL, 0 };
    oct_json_iter iter = oct_json_iterate(value);
    const oct_json *item;
    for (uint64_t i = 0; (item = oct_json_next(&iter, &key)) != NULL; i++) {
        item_place place = { .key = object ? &key : NULL, .index = i };
        sieve_verdict verdict = sieve_step(sieve, level, place);
        if (verdict == DROP) continue;
        if (object) oct_json_key(sieve->writer, key);
        if (verdict == KEEP_ALL)
            oct_json_write_value(sieve->writer, item);
        else
            sieve_write(sieve, level + 1, item);
    }
    if (object)
        oct_json_end_object(sieve->writer);
    else
        oct_json_end_array(sieve->writer);
}

static oct_status sieve_run(oct_arena *arena, oct_str payload, path_sieve *sieve, oct_str *out,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *object;
    uint32_t levels = 2; /* the root and what is below it */
    *out = (oct_str){ NULL, 0 };
    for (uint32_t i = 0; i < sieve->path_count; i++)
        levels = MAX(levels, sieve->paths[i].count + 1);
    TRY(stored_parse(arena, payload, &object, error));
    size_t row_bytes;
    if (!oct_size_multiply(sieve->path_count, sizeof *sieve->matching, &row_bytes))
        TRY(oct_fail_nomem(error, "payload key paths"));
    TRY(oct_arena_array(arena, levels, row_bytes, &sieve->matching, error));
    TRY(oct_arena_array(arena, levels, sizeof *sieve->counts, &sieve->counts, error));
    for (uint32_t i = 0; i < sieve->path_count; i++)
        sieve->matching[i] = i;
    sieve->counts[0] = sieve->path_count;
    TRY(map_paths(sieve, arena, error));
    text_output output;
    output_begin(&output, arena);
    sieve->writer = &output.writer;
    sieve_write(sieve, 0, object);
    TRY(output_end(&output, arena, out, error));
done:
    if (sieve->next) oct_map_deinit(&sieve->first);
    return status;
}

oct_status oct_payload_delete(oct_arena *arena, oct_str payload, const oct_json_path *paths,
                              uint32_t path_count, oct_str *out, oct_error *error)
{
    path_sieve sieve = { .paths = paths, .path_count = path_count, .mode = SIEVE_DELETE };
    return sieve_run(arena, payload, &sieve, out, error);
}

oct_status oct_payload_selector_parse(oct_arena *arena, const oct_selector *selector,
                                      oct_payload_selector *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_json_path *paths = NULL;
    *out = (oct_payload_selector){ .mode = selector->mode };
    if (selector->mode != OCT_SELECT_INCLUDE && selector->mode != OCT_SELECT_EXCLUDE) return OCT_OK;
    TRY(oct_arena_array(arena, selector->key_count, sizeof *paths, &paths, error));
    for (uint32_t i = 0; i < selector->key_count; i++)
        TRY(oct_json_path_parse(arena, selector->keys[i], &paths[i], error));
    out->paths = paths;
    out->path_count = selector->key_count;
done:
    return status;
}

oct_status oct_payload_select(oct_arena *arena, oct_str payload,
                              const oct_payload_selector *selector, oct_str *out, oct_error *error)
{
    *out = (oct_str){ NULL, 0 };
    if (selector->mode == OCT_SELECT_NONE) return OCT_OK;
    if (selector->mode == OCT_SELECT_ALL) {
        *out = payload.bytes ? payload : OCT_STR("{}");
        return OCT_OK;
    }
    path_sieve sieve = { .paths = selector->paths,
                         .path_count = selector->path_count,
                         .mode =
                             selector->mode == OCT_SELECT_INCLUDE ? SIEVE_INCLUDE : SIEVE_EXCLUDE };
    return sieve_run(arena, payload, &sieve, out, error);
}
