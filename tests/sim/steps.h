/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.h - names for the places where maintenance stops: task, section and, of graphs, phase; and
 * how to ask a database. For tests and measurements of what one call does. */
#ifndef OCTANT_TESTS_SIM_STEPS_H
#define OCTANT_TESTS_SIM_STEPS_H

#include <stdio.h>
#include <string.h>

#include "db/collection.h"
#include "index/hnsw_build.h"
#include "segment/build_parts.h"

enum { STEPS_NAME_BYTES = 48 };

static inline const char *steps_stage(uint32_t kind)
{
    static const char *const names[] = {
        [OCT_SECTION_META] = "meta",        [OCT_SECTION_ID_LOW] = "ids",
        [OCT_SECTION_ID_HIGH] = "uuids",    [OCT_SECTION_VERSIONS] = "versions",
        [OCT_SECTION_PAYLOAD_END] = "ends", [OCT_SECTION_PAYLOADS] = "payloads",
        [OCT_SECTION_VECTORS] = "vectors",  [OCT_SECTION_PRESENT] = "present",
        [OCT_SECTION_GRAPH] = "graph",      [OCT_SECTION_FIELD] = "field",
        [OCT_SECTION_LINKS] = "links",      [OCT_SECTION_QUANT] = "quant",
        [OCT_SECTION_ENDS] = "vector-ends", [OCT_SECTION_SPARSE] = "sparse"
    };
    return kind < ARRAY_COUNT(names) && names[kind] ? names[kind] : "?";
}

static inline void steps_name_build(const char *task, const oct_build *build, char *name)
{
    static const char *const phases[] = { "forget",     "map",     "levels",  "clear",  "uppers",
                                          "old-uppers", "members", "pending", "plan",   "fit",
                                          "encode",     "adopt",   "begin",   "search", "collect",
                                          "count",      "scatter", "group",   "apply",  "end",
                                          "connect",    "middles", "pack",    "sum",    "done",
                                          "copy",       "audit" };
    const char *part = "";
    if (!build) {
        snprintf(name, STEPS_NAME_BYTES, "-");
        return;
    }
    if (build->at_stage == build->stage_count) {
        snprintf(name, STEPS_NAME_BYTES, "%s finish", task);
        return;
    }
    const build_stage *stage = &build->stages[build->at_stage];
    if (build->graph_builder && build->graph_builder->phase < (int)ARRAY_COUNT(phases))
        part = phases[build->graph_builder->phase];
    else if (build->graph)
        part = "write";
    else if (stage->kind == OCT_SECTION_GRAPH)
        part = "rows";
    snprintf(name, STEPS_NAME_BYTES, "%s %s%s%s", task, steps_stage(stage->kind), *part ? "." : "",
             part);
}

/* Where maintenance of the collection stands. */
static inline void steps_name(const oct_collection *collection, char *name)
{
    if (collection->rotation)
        steps_name_build("seal", collection->seal.build, name);
    else
        steps_name_build("merge", collection->merge.build, name);
}

/* Ask a database; false, with its answer printed, when it fails. */
static inline bool steps_call(oct_db *db, const char *verb, const char *path, const char *body,
                              const float *floats, size_t float_count)
{
    oct_reply reply;
    const oct_call_request request = { .verb = verb,
                                       .path = { path, strlen(path) },
                                       .body = { body, strlen(body) },
                                       .floats = floats,
                                       .float_count = float_count };
    oct_call(db, &request, &reply);
    bool good = reply.status == OCT_OK;
    if (!good) fprintf(stderr, "  %.*s\n", (int)reply.body_bytes, reply.body);
    oct_reply_free(db, &reply);
    return good;
}

#endif
