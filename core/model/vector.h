/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.h - are these vectors what the collection takes? */
#ifndef OCTANT_MODEL_VECTOR_H
#define OCTANT_MODEL_VECTOR_H

#include "base/check.h"
#include "octant/types.h"

/* Check the named vectors of one point: each name exists in the config, at most once here, has the
 * configured form and dimension and only finite values. Missing vectors are fine. BAD_INPUT in
 * Qdrant's words ("Wrong input: Vector dimension error: expected dim: 4, got 3"). */
OCT_MUST_CHECK oct_status oct_vectors_check(const oct_collection_config *config,
                                            const oct_named_vector *vectors, uint32_t count,
                                            oct_error *error);

/* Check one vector against the vector of its name in the config; *index is which (NULL allowed).
 * The same statuses: also for queries. A dense vector passes for a multivector of one row: see
 * oct_vector_as. */
OCT_MUST_CHECK oct_status oct_vector_check(const oct_collection_config *config,
                                           const oct_named_vector *vector, uint32_t *index,
                                           oct_error *error);

/* A checked vector in the form its params have. Borrows. */
oct_named_vector oct_vector_as(const oct_vector_params *params, const oct_named_vector *vector);

/* Are these strictly ascending, as the dimensions of a sparse vector must be? */
static inline bool oct_vector_ascends(const uint32_t *indices, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (indices[i - 1] >= indices[i]) return false;
    return true;
}

#endif
