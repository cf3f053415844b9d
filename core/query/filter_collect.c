/* SPDX-License-Identifier: Apache-2.0
 *
 * filter_collect.c - all points of a segment that pass, with the help of its payload indexes.
 *
 * Each condition gives two bitsets: `yes`, points that pass for sure, and `maybe`, points that may
 * pass (a superset of yes). An index gives both nearly equal, a condition without one gives
 * nothing and everything. They combine like truth values: must intersects both, should unites
 * both, must_not takes yes from the complement of maybe and the reverse, min_should counts both.
 * At the end only the points in maybe but not in yes are undecided, and those alone are looked at
 * by their payloads, each parsed once.
 *
 * A filter of one indexed condition that selects few points needs no bitset: oct_filter_list reads
 * them off the posting list.
 *
 * A list of conditions ordered by cost, as Qdrant's optimizer makes, was rejected: it needs a
 * special case per clause to narrow the candidates, and this needs none. The price is a few
 * bitsets per nesting level: 125 KB each for a million points. */
#include <string.h>

#include "base/bits.h"
#include "query/filter_program.h"

typedef struct two_sets {
    uint64_t *yes;
    uint64_t *maybe;
} two_sets;

/* What one nesting level keeps while it works; made when it is first entered. */
typedef struct level_memory {
    two_sets step;       /* of the condition at hand */
    two_sets clause;     /* of the clause at hand */
    uint16_t *counts[2]; /* min_should: conditions that hold per point, for yes and maybe */
} level_memory;

typedef struct set_collector {
    const oct_filter_source *source;
    oct_arena *work;
    size_t words;
    level_memory levels[OCT_FILTER_DEPTH_MAX];
} set_collector;

STATIC_ASSERT(OCT_FILTER_CONDITIONS_MAX <= UINT16_MAX, "counts per point are u16");

/* ---- sets ---------------------------------------------------------------------------- */

static oct_status sets_reserve(set_collector *collector, two_sets *sets, oct_error *error)
{
    oct_status status = OCT_OK;
    if (sets->maybe) return OCT_OK;
    TRY(oct_arena_array(collector->work, collector->words, sizeof(uint64_t), &sets->yes, error));
    TRY(oct_arena_array(collector->work, collector->words, sizeof(uint64_t), &sets->maybe, error));
done:
    return status;
}

static void sets_fill(two_sets sets, size_t words, bool yes, bool maybe)
{
    memset(sets.yes, yes ? 0xff : 0, words * sizeof(uint64_t));
    memset(sets.maybe, maybe ? 0xff : 0, words * sizeof(uint64_t));
}

static void sets_intersect(two_sets into, two_sets with, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        into.yes[i] &= with.yes[i];
        into.maybe[i] &= with.maybe[i];
    }
}

static void sets_unite(two_sets into, two_sets with, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        into.yes[i] |= with.yes[i];
        into.maybe[i] |= with.maybe[i];
    }
}

static void sets_subtract(two_sets into, two_sets with, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        into.yes[i] &= ~with.maybe[i];
        into.maybe[i] &= ~with.yes[i];
    }
}

/* ---- conditions ---------------------------------------------------------------------- */

static oct_status collect_program(set_collector *collector, const oct_filter_program *program,
                                  two_sets out, oct_error *error);

static void collect_ids(const set_collector *collector, const oct_condition *condition,
                        two_sets out)
{
    const oct_filter_source *source = collector->source;
    sets_fill(out, collector->words, false, false);
    for (uint32_t i = 0; i < condition->id_count; i++) {
        uint32_t offset;
        if (!source->find(source->self, condition->ids[i], &offset)) continue;
        ASSERT(offset < source->point_count);
        oct_bits_set(out.yes, offset);
        oct_bits_set(out.maybe, offset);
    }
}

/* Fill both sets for one condition; bits beyond the points may be anything. */
static oct_status collect_step(set_collector *collector, const oct_filter_step *step, two_sets out,
                               oct_error *error)
{
    if (step->condition.kind == OCT_CONDITION_FILTER)
        return collect_program(collector, step->filter, out, error);
    if (step->condition.kind == OCT_CONDITION_HAS_ID) {
        collect_ids(collector, &step->condition, out);
        return OCT_OK;
    }
    const oct_field *index = oct_filter_step_index(step, collector->source);
    if (!index) {
        sets_fill(out, collector->words, false, true);
        return OCT_OK;
    }
    sets_fill(out, collector->words, false, false);
    oct_field_collect(index, &step->condition, out.yes, out.maybe);
    for (size_t i = 0; i < collector->words; i++)
        out.maybe[i] |= out.yes[i];
    return OCT_OK;
}

/* ---- clauses: each narrows *into, the sets of the filter so far ---------------------- */

/* The first condition of `must` is what the filter's sets began with. */
static oct_status narrow_must(set_collector *collector, const oct_filter_program *program,
                              two_sets into, oct_error *error)
{
    oct_status status = OCT_OK;
    two_sets step = collector->levels[program->depth].step;
    for (uint32_t i = 1; i < program->must.count; i++) {
        TRY(collect_step(collector, &program->must.at[i], step, error));
        sets_intersect(into, step, collector->words);
    }
    for (uint32_t i = 0; i < program->must_not.count; i++) {
        TRY(collect_step(collector, &program->must_not.at[i], step, error));
        sets_subtract(into, step, collector->words);
    }
done:
    return status;
}

static oct_status narrow_should(set_collector *collector, const oct_filter_program *program,
                                two_sets into, oct_error *error)
{
    oct_status status = OCT_OK;
    level_memory *memory = &collector->levels[program->depth];
    if (program->should.count == 0) return OCT_OK;
    TRY(sets_reserve(collector, &memory->clause, error));
    sets_fill(memory->clause, collector->words, false, false);
    for (uint32_t i = 0; i < program->should.count; i++) {
        TRY(collect_step(collector, &program->should.at[i], memory->step, error));
        sets_unite(memory->clause, memory->step, collector->words);
    }
    sets_intersect(into, memory->clause, collector->words);
done:
    return status;
}

static void count_bits(uint16_t *counts, const uint64_t *bits, uint32_t point_count)
{
    for (uint32_t i = 0; i < point_count; i++)
        counts[i] = (uint16_t)(counts[i] + oct_bits_get(bits, i));
}

static void keep_counted(uint64_t *bits, const uint16_t *counts, uint32_t point_count,
                         uint32_t wanted)
{
    for (uint32_t i = 0; i < point_count; i++)
        if (counts[i] < wanted) oct_bits_clear(bits, i);
}

static oct_status narrow_min_should(set_collector *collector, const oct_filter_program *program,
                                    two_sets into, oct_error *error)
{
    oct_status status = OCT_OK;
    level_memory *memory = &collector->levels[program->depth];
    uint32_t points = collector->source->point_count;
    if (program->min_should_count == 0) return OCT_OK;
    for (int i = 0; i < 2; i++) {
        if (!memory->counts[i])
            TRY(oct_arena_array(collector->work, points, sizeof(uint16_t), &memory->counts[i],
                                error));
        if (points) memset(memory->counts[i], 0, points * sizeof(uint16_t));
    }
    for (uint32_t i = 0; i < program->min_should.count; i++) {
        TRY(collect_step(collector, &program->min_should.at[i], memory->step, error));
        count_bits(memory->counts[0], memory->step.yes, points);
        count_bits(memory->counts[1], memory->step.maybe, points);
    }
    keep_counted(into.yes, memory->counts[0], points, program->min_should_count);
    keep_counted(into.maybe, memory->counts[1], points, program->min_should_count);
done:
    return status;
}

/* Fill both sets for a filter. Recursion is bounded by OCT_FILTER_DEPTH_MAX; `out` belongs to the
 * level above. */
static oct_status collect_program(set_collector *collector, const oct_filter_program *program,
                                  two_sets out, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(sets_reserve(collector, &collector->levels[program->depth].step, error));
    if (program->must.count == 0)
        sets_fill(out, collector->words, true, true);
    else
        TRY(collect_step(collector, &program->must.at[0], out, error));
    TRY(narrow_must(collector, program, out, error));
    TRY(narrow_should(collector, program, out, error));
    TRY(narrow_min_should(collector, program, out, error));
done:
    return status;
}

/* ---- the whole ----------------------------------------------------------------------- */

/* Take away the points that do not count, and the bits behind the last point. */
static void keep_alive(const oct_filter_source *source, uint64_t *bits, size_t words)
{
    if (source->alive)
        for (size_t i = 0; i < words; i++)
            bits[i] &= source->alive[i];
    unsigned used = source->point_count % 64;
    if (used) bits[words - 1] &= (UINT64_C(1) << used) - 1;
}

/* Move the undecided points that pass to `yes`. */
static oct_status decide(const oct_filter_program *program, const oct_filter_source *source,
                         two_sets sets, oct_arena *scratch, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t words = oct_bits_words(source->point_count);
    for (size_t i = 0; i < words; i++) {
        uint64_t undecided = sets.maybe[i] & ~sets.yes[i];
        for (; undecided != 0; undecided &= undecided - 1) {
            uint32_t offset = (uint32_t)(i * 64 + (unsigned)__builtin_ctzll(undecided));
            bool holds;
            TRY(oct_filter_matches(program, source, offset, scratch, &holds, error));
            if (holds) oct_bits_set(sets.yes, offset);
        }
    }
done:
    return status;
}

oct_status oct_filter_collect(const oct_filter_program *program, const oct_filter_source *source,
                              oct_arena *work, oct_arena *scratch, uint64_t *bits, oct_error *error)
{
    oct_status status = OCT_OK;
    set_collector collector = { .source = source,
                                .work = work,
                                .words = oct_bits_words(source->point_count) };
    two_sets all = { .yes = bits, .maybe = NULL };
    ASSERT(program->depth == 0 && work != scratch);
    if (source->point_count == 0) return OCT_OK;
    TRY(oct_arena_array(work, collector.words, sizeof(uint64_t), &all.maybe, error));
    TRY(collect_program(&collector, program, all, error));
    keep_alive(source, all.yes, collector.words);
    keep_alive(source, all.maybe, collector.words);
    TRY(decide(program, source, all, scratch, error));
done:
    return status;
}

/* ---- as a list ----------------------------------------------------------------------- */

/* The only condition of a filter that has just one, a `must`; else NULL. */
static const oct_filter_step *only_step(const oct_filter_program *program)
{
    bool alone = program->must.count == 1 && program->should.count == 0 &&
                 program->must_not.count == 0 && program->min_should_count == 0;
    return alone ? &program->must.at[0] : NULL;
}

oct_status oct_filter_list(const oct_filter_program *program, const oct_filter_source *source,
                           uint32_t most, oct_arena *work, oct_offsets *out, bool *listed,
                           oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t *offsets;
    uint32_t count, alive = 0;
    const oct_filter_step *step = only_step(program);
    const oct_field *index = step ? oct_filter_step_index(step, source) : NULL;
    *listed = false;
    if (!index) return OCT_OK;
    uint32_t max = oct_field_estimate(index, &step->condition).max;
    if (max > most) return OCT_OK;
    TRY(oct_arena_array(work, max, sizeof *offsets, &offsets, error));
    if (!oct_field_list(index, &step->condition, max, offsets, &count)) return OCT_OK;
    for (uint32_t i = 0; i < count; i++) {
        offsets[alive] = offsets[i];
        alive += !source->alive || oct_bits_get(source->alive, offsets[i]);
    }
    *out = (oct_offsets){ offsets, alive };
    *listed = true;
done:
    return status;
}
