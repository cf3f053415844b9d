/* SPDX-License-Identifier: Apache-2.0
 *
 * turbo.c - turbo4: from vectors to levels and back.
 *
 * A level is a whole number of -127..127. What makes rounding repeatable: a vector whose components
 * lie on levels, at some scale, is taken for one of these; and of several scales at which the same
 * levels can be written the one with the largest level is, so that equal forms get equal codes. Two
 * different exact ratios of levels are at least 1 / 127 of a level's unit apart, errors of floats
 * far less; the tolerance lies between. */
#include "simd/turbo.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/endian.h"
#include "simd/rotation.h"

enum { LEVELS = 16, SIZES = 8, SCALE_BYTES = 4, FREE_BITS = 10 };

#define TOLERANCE 0.004f
#define LEAST     0x1.0p-120
#define MOST      0x1.0p121

/* Lloyd and Max's levels for the normal distribution, the borders between them (in its standard
 * deviations), and those in the middle of two. */
static const float levels[LEVELS] = { -127, -96, -75, -58, -44, -31, -18, -6,
                                      6,    18,  31,  44,  58,  75,  96,  127 };
static const float borders[LEVELS - 1] = { -2.400803f, -1.843532f, -1.437139f, -1.099286f,
                                           -0.799550f, -0.522404f, -0.258222f, 0.0f,
                                           0.258222f,  0.522404f,  0.799550f,  1.099286f,
                                           1.437139f,  1.843532f,  2.400803f };
static const float middles[LEVELS - 1] = { -111.5f, -85.5f, -66.5f, -51.0f, -37.5f,
                                           -24.5f,  -12.0f, 0.0f,   12.0f,  24.5f,
                                           37.5f,   51.0f,  66.5f,  85.5f,  111.5f };

/* How components become codes: to the nearest level at some scale, and that level times `factor` to
 * the level it then is. */
typedef struct turbo_form {
    const float *between; /* borders or middles; NULL: components as they are */
    float unit;           /* components times this are compared with them */
    float factor;
    float scale; /* what a level is worth */
} turbo_form;

static uint32_t place(float value, const float *between)
{
    uint32_t at = 0;
    for (uint32_t b = 0; b < LEVELS - 1; b++)
        at += value > between[b];
    return at;
}

static float level_of(const turbo_form *form, float y)
{
    return form->between ? levels[place(y * form->unit, form->between)] : y;
}

static uint32_t code_of(const turbo_form *form, float y)
{
    return place(level_of(form, y) * form->factor, middles);
}

static bool fits(const turbo_form *form, const float *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        float value = level_of(form, y[i]) * form->factor;
        if (!(fabsf(value - levels[place(value, middles)]) <= TOLERANCE)) return false;
    }
    return true;
}

/* Find the factor at which all components lie on levels. */
static bool find_factor(turbo_form *form, const float *y, uint32_t n)
{
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = MAX(most, fabsf(level_of(form, y[i])));
    for (uint32_t k = SIZES; k-- > 0;) {
        form->factor = levels[SIZES + k] / most;
        if (fits(form, y, n)) return true;
    }
    return false;
}

/* A scale to the 14 bits it may have. */
static float round_scale(double scale)
{
    uint32_t bits;
    float value = (float)MIN(scale, MOST);
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + (1u << (FREE_BITS - 1))) & ~((1u << FREE_BITS) - 1);
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* How components of that length become codes of a vector of length `kept`. */
static turbo_form find_form(const float *y, uint32_t n, double length, double kept)
{
    turbo_form form = { 0 };
    double squares = 0;
    if (!(length >= LEAST && length < 0x1.0p150) || !(kept >= LEAST)) return form;
    bool on_levels = find_factor(&form, y, n);
    form.unit = on_levels ? form.factor : (float)(sqrt((double)n) / length);
    form.between = on_levels ? middles : borders;
    ASSERT(find_factor(&form, y, n)); /* with 1 at the latest */
    for (uint32_t i = 0; i < n; i++) {
        double level = (double)levels[code_of(&form, y[i])];
        squares += level * level;
    }
    double scale = kept / sqrt(squares);
    if (scale >= LEAST) form.scale = round_scale(scale);
    return form;
}

static double length_of(const float *y, uint32_t n)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++)
        squares += (double)y[i] * (double)y[i];
    return sqrt(squares);
}

size_t oct_turbo_row_bytes(size_t n)
{
    return SCALE_BYTES + (n + 1) / 2;
}

/* ---- vectors ---------------------------------------------------------------------------- */

/* To length one, and rotated where that changes no distance; the length. */
static double turn_unit(oct_metric metric, float *values, uint32_t n)
{
    double length = oct_rotation_normalize(values, n);
    if (metric != OCT_METRIC_MANHATTAN) oct_rotate(values, n);
    return length;
}

static void lengthen(float *values, uint32_t n, double length)
{
    const double most = (double)3.402823466e38f;
    for (uint32_t i = 0; i < n; i++)
        values[i] = (float)MAX(MIN((double)values[i] * length, most), -most);
}

void oct_turbo_round(oct_metric metric, float *values, uint32_t n)
{
    double kept = turn_unit(metric, values, n);
    if (metric == OCT_METRIC_COSINE && fabs(kept - 1) < 1e-5) kept = 1; /* but for float errors */
    const turbo_form form = find_form(values, n, length_of(values, n), kept);
    for (uint32_t i = 0; i < n; i++)
        values[i] = form.scale > 0 ? form.scale * levels[code_of(&form, values[i])] : 0.0f;
}

void oct_turbo_turn(oct_metric metric, float *values, uint32_t n)
{
    if (metric == OCT_METRIC_MANHATTAN) return;
    double length = turn_unit(metric, values, n);
    lengthen(values, n, length);
}

void oct_turbo_restore(oct_metric metric, float *values, uint32_t n)
{
    if (metric == OCT_METRIC_MANHATTAN) return;
    double length = oct_rotation_normalize(values, n);
    oct_rotate_back(values, n);
    lengthen(values, n, length);
}

/* ---- rows ------------------------------------------------------------------------------- */

void oct_turbo_encode(const float *values, uint32_t n, void *row)
{
    double length = length_of(values, n);
    const turbo_form form = find_form(values, n, length, length);
    uint32_t bits;
    uint8_t *codes = (uint8_t *)row + SCALE_BYTES;
    memcpy(&bits, &form.scale, sizeof bits);
    oct_store_u32(row, bits);
    memset(codes, 0, (n + 1) / 2);
    for (uint32_t i = 0; i < n; i++)
        codes[i / 2] |= (uint8_t)(code_of(&form, values[i]) << (i % 2 * 4));
}

static float scale_of(const void *row)
{
    uint32_t bits = oct_load_u32(row);
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

bool oct_turbo_is_sound(const void *row)
{
    uint32_t bits = oct_load_u32(row);
    double scale = (double)scale_of(row);
    bool in_range = scale >= LEAST && scale <= MOST && (bits & ((1u << FREE_BITS) - 1)) == 0;
    return bits == 0 || in_range;
}

void oct_turbo_decode(const void *row, size_t at, size_t count, float *values)
{
    const uint8_t *codes = (const uint8_t *)row + SCALE_BYTES + at / 2;
    float scale = oct_turbo_is_sound(row) ? scale_of(row) : 0.0f;
    float scaled[LEVELS];
    ASSERT_HOT(at % 2 == 0);
    for (uint32_t k = 0; k < LEVELS; k++)
        scaled[k] = scale > 0 ? scale * levels[k] : 0.0f;
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        values[i] = scaled[codes[i / 2] & 15];
        values[i + 1] = scaled[codes[i / 2] >> 4];
    }
    if (i < count) values[i] = scaled[codes[i / 2] & 15];
}
