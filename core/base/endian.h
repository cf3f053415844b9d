/* SPDX-License-Identifier: Apache-2.0
 *
 * endian.h - loads and stores of little-endian integers at any alignment. Files are always
 * little-endian; so are all targets we build for (asserted once in store/format.h). */
#ifndef OCTANT_BASE_ENDIAN_H
#define OCTANT_BASE_ENDIAN_H

#include <stdint.h>
#include <string.h>

static inline uint16_t oct_load_u16(const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline uint32_t oct_load_u32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline uint64_t oct_load_u64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline void oct_store_u16(void *at, uint16_t value)
{
    memcpy(at, &value, sizeof value);
}
static inline void oct_store_u32(void *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}
static inline void oct_store_u64(void *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

#endif
