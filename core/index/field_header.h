/* SPDX-License-Identifier: Apache-2.0
 *
 * field_header.h - the numbers of a payload index's header, for its writer and its reader. The
 * layout is at the head of field.c. Private to core/index. */
#ifndef OCTANT_INDEX_FIELD_HEADER_H
#define OCTANT_INDEX_FIELD_HEADER_H

enum {
    FIELD_HEADER_BYTES = 64,
    FIELD_MAGIC = 0x444c464f, /* "OFLD" */
    FIELD_VERSION = 1,
    FIELD_SETS = 4
};

#endif
