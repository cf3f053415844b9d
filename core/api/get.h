/* SPDX-License-Identifier: Apache-2.0
 *
 * get.h - read one member of a JSON object: kind, presence, default and bounds in one line.
 *
 * `object` must be an object (oct_expect). A missing or null member is absent and gives
 * `otherwise`. Unknown members are nobody's business: Qdrant ignores them, except in filters. */
#ifndef OCTANT_API_GET_H
#define OCTANT_API_GET_H

#include "api/node.h"

/* The member, which must be there: BAD_INPUT "missing field `key`". Null counts as missing. */
OCT_MUST_CHECK oct_status oct_get(oct_decoder *decoder, const oct_node *object, const char *key,
                                  oct_node *out);

OCT_MUST_CHECK oct_status oct_get_bool(oct_decoder *decoder, const oct_node *object,
                                       const char *key, bool otherwise, bool *out);

/* VALIDATION below `min`. */
OCT_MUST_CHECK oct_status oct_get_u64(oct_decoder *decoder, const oct_node *object, const char *key,
                                      uint64_t min, uint64_t otherwise, uint64_t *out);

/* *has says whether it was there; *out is 0 when not. f32: BAD_INPUT when it overflows a float. */
OCT_MUST_CHECK oct_status oct_get_f64(oct_decoder *decoder, const oct_node *object, const char *key,
                                      bool *has, double *out);
OCT_MUST_CHECK oct_status oct_get_f32(oct_decoder *decoder, const oct_node *object, const char *key,
                                      bool *has, float *out);

/* "" when absent. */
OCT_MUST_CHECK oct_status oct_get_str(oct_decoder *decoder, const oct_node *object, const char *key,
                                      oct_str *out);

/* One of names[count]; the first when absent. BAD_INPUT in serde's words. */
typedef struct oct_choice {
    const char *const *names;
    uint32_t count;
} oct_choice;
OCT_MUST_CHECK oct_status oct_get_choice(oct_decoder *decoder, const oct_node *object,
                                         const char *key, const oct_choice *choice, uint32_t *out);

/* A list of strings, or of payload key paths in their canonical spelling. */
OCT_MUST_CHECK oct_status oct_read_strs(oct_decoder *decoder, const oct_node *node,
                                        const oct_str **out, uint32_t *count);
OCT_MUST_CHECK oct_status oct_read_paths(oct_decoder *decoder, const oct_node *node,
                                         const oct_str **out, uint32_t *count);

/* One payload key path, checked and in its canonical spelling, in the arena. */
OCT_MUST_CHECK oct_status oct_read_path(oct_decoder *decoder, const oct_node *node, oct_str *out);

#endif
