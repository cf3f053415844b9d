/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.c - checks of vectors against a collection's config. Values are checked too: one NaN in a
 * graph makes every distance to it false, and the damage would show only in later searches. */
#include "model/vector.h"

#include <math.h>

#include "base/str.h"
#include "model/config.h"

oct_status oct_vector_check(const oct_collection_config *config, oct_str name, const float *values,
                            uint32_t count, uint32_t *index, oct_error *error)
{
    uint32_t found = oct_config_find_vector(config, name);
    if (found == OCT_CONFIG_NO_VECTOR)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Wrong input: Not existing vector name error: %.*s",
                        oct_str_shown(name, OCT_VECTOR_NAME_BYTES_MAX),
                        name.bytes ? name.at : "");
    uint32_t size = config->vectors[found].size;
    if (count != size)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Wrong input: Vector dimension error: expected dim: %" PRIu32
                        ", got %" PRIu32,
                        size, count);
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return oct_fail(error, OCT_BAD_INPUT,
                            "Wrong input: vector `%.*s`: value %" PRIu32
                            " is not a finite 32-bit float",
                            (int)name.bytes, name.bytes ? name.at : "", i);
    if (index) *index = found;
    return OCT_OK;
}

oct_status oct_vectors_check(const oct_collection_config *config, const oct_named_vector *vectors,
                             uint32_t count, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t seen = 0;
    STATIC_ASSERT(OCT_NAMED_VECTORS_MAX <= 64, "a bit of `seen` per vector");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = 0;
        TRY(oct_vector_check(config, vectors[i].name, vectors[i].values, vectors[i].count, &index,
                             error));
        if (seen >> index & 1)
            TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: vector `%.*s` is given twice",
                         (int)vectors[i].name.bytes,
                         vectors[i].name.bytes ? vectors[i].name.at : ""));
        seen |= UINT64_C(1) << index;
    }
done:
    return status;
}
