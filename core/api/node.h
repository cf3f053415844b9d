/* SPDX-License-Identifier: Apache-2.0
 *
 * node.h - a place in a request's JSON: a value and how it was reached.
 *
 * The decode functions pass nodes down; each lives on the stack of the function that made it and
 * points at its parent. So an error can say "points[3].vector" and the line and column without
 * any bookkeeping on the way of success: the path is spelled, and the text scanned for it, only
 * when something failed. */
#ifndef OCTANT_API_NODE_H
#define OCTANT_API_NODE_H

#include "api/message.h"
#include "base/json.h"

typedef struct oct_node {
    const oct_json *value;         /* NULL: absent */
    const struct oct_node *parent; /* NULL: the body; must outlive the node */
    oct_str key;                   /* the member's name, when the parent is an object */
    size_t index;                  /* the item's number, when the parent is an array */
} oct_node;

/* What all decode functions share during one request. */
typedef struct oct_decoder {
    oct_arena *arena;
    oct_str text;        /* the body; outlives the request */
    const float *floats; /* the bulk lane (octant.h), or NULL */
    size_t float_count;
    oct_stage stage; /* BODY, or REFUSED after a failing oct_refuse */
    uint32_t filter_depth;
    uint32_t condition_count;
    oct_error *error; /* of the call; decode functions carry it here instead of last */
} oct_decoder;

/* The member `key` of an object; absent when it is missing or null. `object` must be an object. */
oct_node oct_node_member(const oct_node *object, const char *key);

/* Every item of an array, or every member of an object, in order:
 *     oct_node item;
 *     oct_items items = oct_items_of(&array);
 *     while (oct_items_next(&items, &item)) ... */
typedef struct oct_items {
    oct_json_iter iter;
    const oct_node *container;
    size_t index;
} oct_items;
oct_items oct_items_of(const oct_node *container);
bool oct_items_next(oct_items *items, oct_node *out);

bool oct_node_is(const oct_node *node, oct_json_kind kind); /* false when absent */

/* Say where: decoder->error holds a message ("expected ..."); for a complaint about the input
 * put the node's path before it, and the position in the text behind it (VALIDATION: brackets
 * instead, as Qdrant). Returns `status`. */
oct_status oct_blame(oct_decoder *decoder, const oct_node *node, oct_status status);

/* Report a bad value at a node: the format and arguments say what, oct_blame says where. */
#define OCT_FAIL_AT(decoder, node, status, ...)                                                    \
    oct_blame((decoder), (node), oct_fail((decoder)->error, (status), __VA_ARGS__))

/* At most 100 bytes of a text, cut at a character, to be quoted in a message. */
oct_str oct_clip(oct_str text);

/* BAD_INPUT "expected <expected>, got <kind>". */
oct_status oct_unexpected(oct_decoder *decoder, const oct_node *node, const char *expected);

/* OK when the node is of that kind. */
OCT_MUST_CHECK oct_status oct_expect(oct_decoder *decoder, const oct_node *node,
                                     oct_json_kind kind);

/* Fail with "this is not supported yet" when the object has that member (and it is no empty
 * array). */
OCT_MUST_CHECK oct_status oct_refuse(oct_decoder *decoder, const oct_node *object, const char *key);

/* Fail with "<what> not supported yet". */
oct_status oct_refuse_node(oct_decoder *decoder, const oct_node *node, const char *what);

#endif
