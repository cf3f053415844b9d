/* SPDX-License-Identifier: Apache-2.0
 *
 * sealed_cold.h - the parts of a sealed segment that stay in its file and are read piece by piece,
 * shared by the sealed*.c files and by nobody else. */
#ifndef OCTANT_SEGMENT_SEALED_COLD_H
#define OCTANT_SEGMENT_SEALED_COLD_H

#include "segment/sealed.h"

/* Leave the versions and the ends of payloads in the file; the ends are checked. CORRUPT. */
OCT_MUST_CHECK oct_status oct_sealed_leave_ends(oct_sealed *segment, oct_error *error);
/* Leave the payloads in the file; *bytes of them. */
OCT_MUST_CHECK oct_status oct_sealed_leave_payloads(oct_sealed *segment, uint64_t *bytes,
                                                    oct_error *error);
/* Leave the rows of vector v in the file; *bytes of them. */
OCT_MUST_CHECK oct_status oct_sealed_leave_rows(oct_sealed *segment, uint32_t v, uint64_t *bytes,
                                                oct_error *error);
/* Vector v of a present point, whose rows were left: as oct_sealed_vector_at. */
OCT_MUST_CHECK oct_status oct_sealed_read_rows(const oct_sealed *segment, uint32_t v, size_t row,
                                               oct_arena *arena, oct_named_vector *out,
                                               oct_error *error);
void oct_sealed_cold_deinit(oct_sealed *segment);

#endif
