/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_parts.h - the decode functions that the files decode*.c share: one per part of a
 * message. REST's untagged unions (an id or a vector or ...) are told apart by the JSON kind and
 * the members present, never by trying one form after the other. All fail as decode.h says. */
#ifndef OCTANT_API_DECODE_PARTS_H
#define OCTANT_API_DECODE_PARTS_H

#include "api/get.h"

/* ---- decode_parts.c ------------------------------------------------------------------ */

OCT_MUST_CHECK oct_status oct_read_point_id(oct_decoder *decoder, const oct_node *node,
                                            oct_point_id *out);
OCT_MUST_CHECK oct_status oct_read_point_ids(oct_decoder *decoder, const oct_node *node,
                                             const oct_point_id **out, uint32_t *count);
/* A JSON object as payload text; null is "". */
OCT_MUST_CHECK oct_status oct_read_payload(oct_decoder *decoder, const oct_node *node,
                                           oct_str *out);
/* with_payload: a boolean, key paths, {include}, {exclude}. Absent gives `otherwise`. */
OCT_MUST_CHECK oct_status oct_get_payload_selector(oct_decoder *decoder, const oct_node *object,
                                                   oct_select_mode otherwise, oct_selector *out);
/* with_vector (or with_vectors): a boolean or names. Absent is none. */
OCT_MUST_CHECK oct_status oct_get_vector_selector(oct_decoder *decoder, const oct_node *object,
                                                  oct_selector *out);

/* ---- decode_vector.c ----------------------------------------------------------------- */

/* Numbers, or {"$f32":[start,count]} of the bulk lane. */
OCT_MUST_CHECK oct_status oct_read_floats(oct_decoder *decoder, const oct_node *node,
                                          const float **out, uint32_t *count);
/* One vector of any form; out->name is kept. Inference objects are refused. */
OCT_MUST_CHECK oct_status oct_read_vector(oct_decoder *decoder, const oct_node *node,
                                          oct_named_vector *out);
/* The same, as the vector of a query. */
OCT_MUST_CHECK oct_status oct_read_query_vector(oct_decoder *decoder, const oct_node *node,
                                                oct_query *out);
/* The vectors of a point: one dense vector or multivector (unnamed), or an object of named ones. */
OCT_MUST_CHECK oct_status oct_read_vectors(oct_decoder *decoder, const oct_node *node,
                                           const oct_named_vector **out, uint32_t *count);
/* A query: a vector, a point id, or {"nearest": either}. */
OCT_MUST_CHECK oct_status oct_read_query_union(oct_decoder *decoder, const oct_node *node,
                                               oct_query *out);

/* ---- decode_forms.c ------------------------------------------------------------------ */

/* {"indices":..,"values":..}, and vectors of that form or of rows of numbers. */
bool oct_node_is_sparse(const oct_node *node);
OCT_MUST_CHECK oct_status oct_read_sparse(oct_decoder *decoder, const oct_node *node,
                                          oct_named_vector *out);
OCT_MUST_CHECK oct_status oct_read_multi(oct_decoder *decoder, const oct_node *node,
                                         oct_named_vector *out);

/* ---- decode_filter.c ----------------------------------------------------------------- */

/* The filter at `key`, or NULL when absent. */
OCT_MUST_CHECK oct_status oct_get_filter(oct_decoder *decoder, const oct_node *object,
                                         const char *key, const oct_filter **out);

/* ---- whole bodies: decode_points.c, decode_search.c ---------------------------------- */

OCT_MUST_CHECK oct_status oct_read_write_body(oct_decoder *decoder, const oct_node *body,
                                              oct_request *out);
OCT_MUST_CHECK oct_status oct_read_query_body(oct_decoder *decoder, const oct_node *body,
                                              oct_query *out);
OCT_MUST_CHECK oct_status oct_read_search_body(oct_decoder *decoder, const oct_node *body,
                                               oct_query *out);
/* {"searches": [...]}: several bodies of one kind, each read by `read_one`. */
OCT_MUST_CHECK oct_status oct_read_batch_body(oct_decoder *decoder, const oct_node *body,
                                              oct_status (*read_one)(oct_decoder *decoder,
                                                                     const oct_node *body,
                                                                     oct_query *out),
                                              oct_request *out);
OCT_MUST_CHECK oct_status oct_read_scroll_body(oct_decoder *decoder, const oct_node *body,
                                               oct_scroll *out);
OCT_MUST_CHECK oct_status oct_read_count_body(oct_decoder *decoder, const oct_node *body,
                                              oct_count *out);
OCT_MUST_CHECK oct_status oct_read_retrieve_body(oct_decoder *decoder, const oct_node *body,
                                                 oct_retrieve *out);

#endif
