/* SPDX-License-Identifier: Apache-2.0
 *
 * vector.h - are these vectors what the collection takes? */
#ifndef OCTANT_MODEL_VECTOR_H
#define OCTANT_MODEL_VECTOR_H

#include "base/check.h"
#include "octant/types.h"

/* Check the named vectors of one point: each name exists in the config, at most once here, has the
 * configured dimension and only finite values. Missing vectors are fine. BAD_INPUT in Qdrant's
 * words ("Wrong input: Vector dimension error: expected dim: 4, got 3"). */
OCT_MUST_CHECK oct_status oct_vectors_check(const oct_collection_config *config,
                                            const oct_named_vector *vectors, uint32_t count,
                                            oct_error *error);

/* Check one vector against the vector `name` of the config; *index is which (NULL allowed). The
 * same statuses: also for queries. */
OCT_MUST_CHECK oct_status oct_vector_check(const oct_collection_config *config, oct_str name,
                                           const float *values, uint32_t count, uint32_t *index,
                                           oct_error *error);

#endif
