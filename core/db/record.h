/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - one resolved write, and its bytes in the log.
 *
 * The log holds ids and effects, never filters: what a write changed is settled before it is
 * logged, so a replay can't depend on anything but the records before it. Byte layout: head of
 * record.c. */
#ifndef OCTANT_DB_RECORD_H
#define OCTANT_DB_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "octant/request.h"
#include "segment/memory.h"

typedef struct oct_change {
    oct_write_kind kind;
    const oct_slot *points; /* UPSERT, UPDATE_VECTORS: id, present, vectors, (UPSERT) payload */
    uint32_t point_count;
    const oct_point_id *ids; /* the other point operations */
    uint32_t id_count;
    uint64_t vectors;    /* DELETE_VECTORS: mask */
    oct_str payload;     /* SET_PAYLOAD, OVERWRITE_PAYLOAD */
    oct_str payload_key; /* SET_PAYLOAD; "" = top */
    const oct_str *keys; /* DELETE_PAYLOAD */
    uint32_t key_count;
    oct_field_config field; /* CREATE_INDEX; DELETE_INDEX (key) */
    /* Not in the log: CREATE_INDEX's indexes as far as they were built beforehand; NULL = none. */
    const struct oct_index_work *index;
} oct_change;

/* Append the record. LIMIT, NOMEM. */
OCT_MUST_CHECK oct_status oct_record_write(const oct_change *change,
                                           const oct_collection_config *config, oct_buf *out,
                                           oct_error *error);

/* Read a record (hostile bytes; they outlive *out) into the arena. CORRUPT. */
OCT_MUST_CHECK oct_status oct_record_read(oct_arena *arena, oct_str record,
                                          const oct_collection_config *config, oct_change *out,
                                          oct_error *error);

#endif
