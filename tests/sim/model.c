/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c - the model's changes: each is written as a request and done to the array. */
#include "sim/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BATCH_MAX = 12, VALUES = 6 };

void model_init(model *from, uint64_t seed)
{
    memset(from, 0, sizeof *from);
    from->random = seed;
}

uint32_t model_below(model *from, uint32_t limit)
{
    uint64_t z = (from->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(((z ^ (z >> 31)) >> 32) % limit);
}

/* ---- texts -------------------------------------------------------------------------------- */

static void put(model_change *change, const char *format, ...)
{
    size_t at = strlen(change->body);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(change->body + at, sizeof change->body - at, format, args);
    va_end(args);
}

/* Every fourth point has a UUID. */
static void put_id(model_change *change, uint32_t id)
{
    if (id % 4 == 3)
        put(change, "\"00000000-0000-4000-8000-%012x\"", id);
    else
        put(change, "%u", id);
}

static void put_value(model_change *change, uint32_t key, int value)
{
    if (key == 3)
        put(change, "\"k3\":\"v%d\"", value);
    else
        put(change, "\"k%u\":%d", key, value);
}

static void put_vector(model_change *change, const int8_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        put(change, "%s%d", i ? "," : "[", values[i]);
    put(change, "]");
}

static void put_vectors(model_change *change, const model_point *point, bool a, bool b)
{
    put(change, "\"vector\":{");
    if (a) {
        put(change, "\"a\":");
        put_vector(change, point->a, MODEL_A);
        put(change, ",\"m\":[");
        put_vector(change, point->a, MODEL_A / 2);
        put(change, ",");
        put_vector(change, point->a + MODEL_A / 2, MODEL_A / 2);
        put(change, "]");
    }
    if (b) {
        put(change, "%s\"b\":", a ? "," : "");
        put_vector(change, point->b, MODEL_B);
        put(change, ",\"s\":{\"indices\":[0,1,2],\"values\":");
        put_vector(change, point->b, MODEL_B);
        put(change, "}");
    }
    put(change, "}");
}

static void put_payload(model_change *change, const int8_t keys[MODEL_KEYS])
{
    const char *comma = "";
    put(change, "\"payload\":{");
    for (uint32_t k = 0; k < MODEL_KEYS; k++) {
        if (keys[k] < 0) continue;
        put(change, "%s", comma);
        put_value(change, k, keys[k]);
        comma = ",";
    }
    put(change, "}");
}

/* ---- random parts --------------------------------------------------------------------------- */

static void random_keys(model *from, int8_t keys[MODEL_KEYS])
{
    for (uint32_t k = 0; k < MODEL_KEYS; k++)
        keys[k] = (int8_t)(model_below(from, 4) == 0 ? -1 : (int)model_below(from, VALUES));
}

static void random_vectors(model *from, model_point *point)
{
    for (uint32_t i = 0; i < MODEL_A; i++)
        point->a[i] = (int8_t)((int)model_below(from, 17) - 8);
    for (uint32_t i = 0; i < MODEL_B; i++)
        point->b[i] = (int8_t)((int)model_below(from, 17) - 8);
}

/* A selection of points, written as "points" or "filter"; chosen[] are those there are. */
typedef struct selection {
    bool chosen[MODEL_IDS];
    bool missing; /* an id was named that does not exist */
} selection;

static void select_by_ids(model *from, const model_collection *in, model_change *change,
                          selection *out)
{
    uint32_t count = 1 + model_below(from, BATCH_MAX);
    bool risky = model_below(from, 8) == 0; /* name points that may not exist */
    put(change, "\"points\":[");
    const char *comma = "";
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = model_below(from, MODEL_IDS);
        for (uint32_t k = 0; !risky && k < MODEL_IDS && !in->points[id].exists; k++)
            id = (id + 1) % MODEL_IDS;
        put(change, "%s", comma);
        put_id(change, id);
        comma = ",";
        if (in->points[id].exists)
            out->chosen[id] = true;
        else
            out->missing = true;
    }
    put(change, "]");
}

static bool passes(const model_point *point, uint32_t key, bool range, int value)
{
    if (!point->exists || point->keys[key] < 0) return false;
    return range ? point->keys[key] >= value : point->keys[key] == value;
}

static void select_points(model *from, const model_collection *in, model_change *change,
                          selection *out)
{
    memset(out, 0, sizeof *out);
    if (model_below(from, 4) > 0) {
        select_by_ids(from, in, change, out);
        return;
    }
    uint32_t key = model_below(from, MODEL_KEYS);
    int value = (int)model_below(from, VALUES);
    bool range = key != 3 && value == VALUES - 1;
    put(change, "\"filter\":{\"must\":[{\"key\":\"k%u\",", key);
    if (range)
        put(change, "\"range\":{\"gte\":%d}}]}", value);
    else if (key == 3)
        put(change, "\"match\":{\"value\":\"v%d\"}}]}", value);
    else
        put(change, "\"match\":{\"value\":%d}}]}", value);
    for (uint32_t i = 0; i < MODEL_IDS; i++)
        out->chosen[i] = passes(&in->points[i], key, range, value);
}

/* ---- changes ------------------------------------------------------------------------------- */

static void set_path(model_change *change, const char *verb, uint32_t number, const char *rest)
{
    change->verb = verb;
    (void)snprintf(change->path, sizeof change->path, "/collections/c%u%s", number, rest);
}

static void upsert(model *from, model_collection *after, model_change *change)
{
    uint32_t count = 1 + model_below(from, BATCH_MAX);
    uint32_t mode = model_below(from, 6); /* 0: insert_only, 1: update_only */
    bool before[MODEL_IDS];
    for (uint32_t i = 0; i < MODEL_IDS; i++)
        before[i] = after->points[i].exists;
    put(change, "{\"points\":[");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = model_below(from, MODEL_IDS);
        model_point point = { .exists = true };
        random_keys(from, point.keys);
        random_vectors(from, &point);
        point.has_a = model_below(from, 8) > 0;
        point.has_b = model_below(from, 3) > 0;
        put(change, "%s{\"id\":", i ? "," : "");
        put_id(change, id);
        put(change, ",");
        put_vectors(change, &point, point.has_a, point.has_b);
        put(change, ",");
        put_payload(change, point.keys);
        put(change, "}");
        if (mode == 0 ? !before[id] : mode > 1 || before[id]) after->points[id] = point;
    }
    put(change, "]%s}",
        mode == 0   ? ",\"update_mode\":\"insert_only\""
        : mode == 1 ? ",\"update_mode\":\"update_only\""
                    : "");
}

static void delete_points(model *from, model_collection *after, model_change *change)
{
    selection which;
    put(change, "{");
    select_points(from, after, change, &which);
    put(change, "}");
    for (uint32_t i = 0; i < MODEL_IDS; i++)
        if (which.chosen[i]) memset(&after->points[i], 0, sizeof after->points[i]);
}

/* kind 0: set, 1: overwrite, 2: delete keys, 3: clear */
static void change_payload(model *from, model_collection *after, model_change *change,
                           uint32_t kind)
{
    selection which;
    int8_t keys[MODEL_KEYS];
    uint32_t key = model_below(from, MODEL_KEYS);
    put(change, "{");
    select_points(from, after, change, &which);
    random_keys(from, keys);
    if (kind < 2) {
        put(change, ",");
        put_payload(change, keys);
    }
    if (kind == 2) put(change, ",\"keys\":[\"k%u\"]", key);
    put(change, "}");
    if (which.missing) change->expected = OCT_NOT_FOUND;
    for (uint32_t i = 0; i < MODEL_IDS && !which.missing; i++) {
        for (uint32_t k = 0; which.chosen[i] && k < MODEL_KEYS; k++) {
            int8_t *value = &after->points[i].keys[k];
            if (kind == 3 || (kind == 2 && k == key)) *value = -1;
            if (kind == 1 || (kind == 0 && keys[k] >= 0)) *value = keys[k];
        }
    }
}

static void update_vectors(model *from, model_collection *after, model_change *change)
{
    uint32_t id = model_below(from, MODEL_IDS);
    model_point point = { .exists = true };
    random_vectors(from, &point);
    bool a = model_below(from, 2), b = !a || model_below(from, 2);
    put(change, "{\"points\":[{\"id\":");
    put_id(change, id);
    put(change, ",");
    put_vectors(change, &point, a, b);
    put(change, "}]}");
    model_point *target = &after->points[id];
    if (!target->exists) {
        change->expected = OCT_NOT_FOUND;
        return;
    }
    if (a) memcpy(target->a, point.a, sizeof point.a);
    if (b) memcpy(target->b, point.b, sizeof point.b);
    target->has_a |= a;
    target->has_b |= b;
}

static void delete_vectors(model *from, model_collection *after, model_change *change)
{
    selection which;
    bool a = model_below(from, 2), b = !a || model_below(from, 2);
    put(change, "{");
    select_points(from, after, change, &which);
    put(change, ",\"vector\":[%s%s%s]}", a ? "\"a\",\"m\"" : "", a && b ? "," : "",
        b ? "\"b\",\"s\"" : "");
    if (which.missing) change->expected = OCT_NOT_FOUND;
    for (uint32_t i = 0; i < MODEL_IDS && !which.missing; i++) {
        if (which.chosen[i] && a) after->points[i].has_a = false;
        if (which.chosen[i] && b) after->points[i].has_b = false;
    }
}

static void change_index(model *from, model_collection *after, model_change *change,
                         uint32_t number)
{
    uint32_t key = model_below(from, MODEL_KEYS);
    char rest[32];
    after->indexes[key] = !after->indexes[key];
    if (after->indexes[key]) {
        set_path(change, "PUT", number, "/index");
        put(change, "{\"field_name\":\"k%u\",\"field_schema\":\"%s\"}", key,
            key == 3   ? "keyword"
            : key == 2 ? "float"
                       : "integer");
    } else {
        (void)snprintf(rest, sizeof rest, "/index/k%u", key);
        set_path(change, "DELETE", number, rest);
    }
}

static void create_collection(model_collection *after, model_change *change, uint32_t number)
{
    set_path(change, "PUT", number, "");
    put(change,
        "{\"vectors\":{\"a\":{\"size\":16,\"distance\":\"Dot\",\"on_disk\":%s%s},"
        "\"b\":{\"size\":3,\"distance\":\"Euclid\",\"memory\":\"cold\"%s},"
        "\"m\":{\"size\":8,\"distance\":\"Dot\",\"datatype\":\"float16\",\"memory\":\"cold\","
        "\"multivector_config\":{\"comparator\":\"max_sim\"}%s}},"
        "\"sparse_vectors\":{\"s\":{}},"
        "\"hnsw_config\":{\"m\":4,\"ef_construct\":8,\"full_scan_threshold\":10,"
        "\"payload_m\":%u},\"optimizers_config\":{\"indexing_threshold\":%u,"
        "\"vacuum_min_vector_number\":100,\"deleted_threshold\":0.1}}",
        number ? "true" : "false",
        number ? ",\"quantization_config\":{\"turbo\":{\"bits\":\"bits2\"}}"
               : ",\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}",
        number ? "" : ",\"quantization_config\":{\"binary\":{\"encoding\":\"two_bits\"}}",
        number ? "" : ",\"quantization_config\":{\"turbo\":{}}", number ? 0 : 3, number ? 4 : 1);
    if (after->exists) change->expected = OCT_CONFLICT;
    after->exists = true;
}

model_settings model_settings_of(uint32_t number)
{
    static const uint32_t ms[] = { 4, 0, 6 }, thresholds[] = { 1, 4, 0 };
    return (model_settings){ .m = ms[number % 3],
                             .indexing_threshold = thresholds[number / 3 % 3],
                             .quantization = (oct_quantization_kind)(number / 9 % 5) };
}

static void update_collection(model *from, model_collection *after, model_change *change)
{
    static const char *const codes[] = { "\"Disabled\"", "{\"scalar\":{\"type\":\"int8\"}}",
                                         "{\"product\":{\"compression\":\"x4\"}}",
                                         "{\"binary\":{}}", "{\"turbo\":{}}" };
    uint32_t number = 1 + model_below(from, MODEL_UPDATES);
    const model_settings wanted = model_settings_of(number);
    put(change,
        "{\"hnsw_config\":{\"m\":%u,\"ef_construct\":%u,\"payload_m\":%u},"
        "\"vectors\":{\"a\":{\"quantization_config\":\"Disabled\",\"hnsw_config\":{\"m\":%u}},"
        "\"b\":{\"quantization_config\":%s}},\"quantization_config\":%s,"
        "\"optimizers_config\":{\"indexing_threshold\":%u},\"metadata\":{\"n\":%u}}",
        wanted.m, 8 + number % 2, number % 5 ? 0 : 3, 8 - wanted.m, codes[number % 5],
        codes[wanted.quantization], wanted.indexing_threshold, number);
    after->settings = number;
}

static void drop_collection(model_collection *after, model_change *change, uint32_t number)
{
    set_path(change, "DELETE", number, "");
    memset(after, 0, sizeof *after);
}

void model_next(model *from, model_change *change)
{
    static const char *const payload_rest[] = { "/points/payload", "/points/payload",
                                                "/points/payload/delete", "/points/payload/clear" };
    uint32_t number = model_below(from, 5) == 0, kind = model_below(from, 200);
    change->expected = OCT_OK;
    change->body[0] = '\0';
    change->after = *from;
    model_collection *after = &change->after.collections[number];
    if (!after->exists || kind == 0) {
        create_collection(after, change, number);
    } else if (kind == 1) {
        drop_collection(after, change, number);
    } else if (kind < 100) {
        set_path(change, "PUT", number, "/points?wait=true");
        upsert(from, after, change);
    } else if (kind < 130) {
        set_path(change, "POST", number, "/points/delete");
        delete_points(from, after, change);
    } else if (kind < 170) {
        uint32_t payload = (kind - 130) / 10;
        set_path(change, payload == 1 ? "PUT" : "POST", number, payload_rest[payload]);
        change_payload(from, after, change, payload);
    } else if (kind < 180) {
        set_path(change, "PUT", number, "/points/vectors");
        update_vectors(from, after, change);
    } else if (kind < 187) {
        set_path(change, "POST", number, "/points/vectors/delete");
        delete_vectors(from, after, change);
    } else if (kind < 194) {
        change_index(from, after, change, number);
    } else {
        set_path(change, "PATCH", number, "");
        update_collection(from, after, change);
    }
    change->after.random = from->random;
}
