/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.c - checks of vectors against a collection's config. Values are checked too: one NaN in a
 * graph makes every distance to it false, and the damage would show only in later searches. */
#include "model/vector.h"

#include <math.h>

#include "base/str.h"
#include "model/config.h"

static oct_status fail_form(const char *other, oct_error *error)
{
    return oct_fail(error, OCT_BAD_INPUT,
                    "Wrong input: Conversion between %s and regular vectors failed", other);
}

/* Is it of the form that is wanted, and of the right dimension? */
static oct_status check_form(const oct_vector_params *params, const oct_named_vector *vector,
                             oct_error *error)
{
    uint32_t dim = vector->kind == OCT_VECTOR_MULTI ? vector->count / vector->rows : vector->count;
    bool sparse = params->kind == OCT_VECTOR_SPARSE;
    if (sparse != (vector->kind == OCT_VECTOR_SPARSE)) return fail_form("sparse", error);
    if (params->kind == OCT_VECTOR_DENSE && vector->kind == OCT_VECTOR_MULTI)
        return fail_form("multi", error);
    if (!sparse && dim != params->size)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Wrong input: Vector dimension error: expected dim: %" PRIu32
                        ", got %" PRIu32,
                        params->size, dim);
    if (params->kind != OCT_VECTOR_DENSE && vector->count > OCT_VECTOR_VALUES_MAX)
        return oct_fail(error, OCT_LIMIT,
                        "vector `%.*s` has %" PRIu32 " values, at most %d are allowed",
                        (int)params->name.bytes, params->name.bytes ? params->name.at : "",
                        vector->count, (int)OCT_VECTOR_VALUES_MAX);
    if (sparse && !oct_vector_ascends(vector->indices, vector->count))
        return oct_fail(error, OCT_BAD_INPUT, "Wrong input: indices of `%.*s` do not ascend",
                        (int)params->name.bytes, params->name.at);
    return OCT_OK;
}

oct_status oct_vector_check(const oct_collection_config *config, const oct_named_vector *vector,
                            uint32_t *index, oct_error *error)
{
    oct_str name = vector->name;
    uint32_t found = oct_config_find_vector(config, name);
    if (found == OCT_CONFIG_NO_VECTOR)
        return oct_fail(error, OCT_BAD_INPUT, "Wrong input: Not existing vector name error: %.*s",
                        oct_str_shown(name, OCT_VECTOR_NAME_BYTES_MAX), name.bytes ? name.at : "");
    oct_status status = check_form(&config->vectors[found], vector, error);
    if (status != OCT_OK) return status;
    for (uint32_t i = 0; i < vector->count; i++)
        if (!isfinite(vector->values[i]))
            return oct_fail(error, OCT_BAD_INPUT,
                            "Wrong input: vector `%.*s`: value %" PRIu32
                            " is not a finite 32-bit float",
                            (int)name.bytes, name.bytes ? name.at : "", i);
    if (index) *index = found;
    return OCT_OK;
}

oct_named_vector oct_vector_as(const oct_vector_params *params, const oct_named_vector *vector)
{
    oct_named_vector out = *vector;
    if (params->kind != OCT_VECTOR_MULTI || vector->kind == OCT_VECTOR_MULTI) return out;
    out.kind = OCT_VECTOR_MULTI;
    out.rows = 1;
    return out;
}

oct_status oct_vectors_check(const oct_collection_config *config, const oct_named_vector *vectors,
                             uint32_t count, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t seen = 0;
    STATIC_ASSERT(OCT_NAMED_VECTORS_MAX <= 64, "a bit of `seen` per vector");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = 0;
        TRY(oct_vector_check(config, &vectors[i], &index, error));
        if (seen >> index & 1)
            TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: vector `%.*s` is given twice",
                         (int)vectors[i].name.bytes,
                         vectors[i].name.bytes ? vectors[i].name.at : ""));
        seen |= UINT64_C(1) << index;
    }
done:
    return status;
}
