/* SPDX-License-Identifier: Apache-2.0
 *
 * build_parts.h - a build under way, shared by the build*.c files and by nobody else. Who does
 * what: head of build.c. */
#ifndef OCTANT_SEGMENT_BUILD_PARTS_H
#define OCTANT_SEGMENT_BUILD_PARTS_H

#include "segment/build.h"
#include "segment/links.h"

typedef struct build_item {
    oct_point_id id;
    uint32_t source;
    uint32_t offset;
} build_item;

typedef oct_status (*build_emit)(oct_build *build, uint32_t point, oct_error *error);

typedef struct build_stage {
    uint32_t kind, index;
    build_emit emit; /* per point; NULL: one of the special stages */
} build_stage;

struct oct_build {
    oct_build_request request;
    oct_host host; /* of the builder at work: with the threads it may use */
    const oct_alloc *alloc;
    oct_view_entry *sources; /* [source_count], pinned */
    uint32_t **mappings;     /* [source_count][count] */
    build_item *items;       /* [count] in id order */
    uint32_t count, capacity, number_count;
    oct_container_writer *writer;
    build_stage *stages;
    uint32_t stage_count, stage_capacity, at_stage, at_point;
    bool stage_open;
    uint64_t payload_end, vector_end;
    oct_field_builder **fields; /* [schema->count] */
    oct_arena scratch;          /* one parsed payload */
    oct_arena decoded;          /* one decoded vector */
    float *rows;                /* of the vector whose graph or codes are built */
    size_t rows_bytes;
    uint32_t row_count, rows_gathered;
    uint64_t *row_present;
    uint64_t *row_ends; /* [count] of a multivector's points */
    oct_hnsw_builder *graph_builder;
    oct_hnsw *graph;      /* that is built, and of which graph_written bytes are written */
    size_t graph_written; /* ... or of the codes */
    oct_quant *quant;
    bool releasing;     /* the stage's section is written, its memory is being freed */
    bool part_failed;   /* what the checkpoint has of the graph is no good */
    uint64_t distances; /* of graphs before the one being built */
    oct_segment_links links;
    bool links_wanted; /* of any vector */
    oct_quant_builder *quant_builder;
    oct_sparse_builder *sparse; /* of the vector whose index is built */
    oct_sealed *sealed;
    bool done;
};

/* ---- points (build_points.c) --------------------------------------------------------------- */

/* Does a point have a row of dense vector or multivector v? */
bool oct_build_has_row(const oct_build *build, uint32_t point, uint32_t v);
/* How many rows a point's multivector v has. */
uint32_t oct_build_rows_of(const oct_build *build, uint32_t point, uint32_t v);

/* What a stage does per point. Those of vectors take the vector from the current stage. */
oct_status oct_build_emit_low(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_high(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_version(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_payload_end(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_payload(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_row(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_vector_end(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_emit_sparse(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_gather_sparse(oct_build *build, uint32_t point, oct_error *error);
oct_status oct_build_gather_row(oct_build *build, uint32_t point, oct_error *error);

/* A sink's function; `self` is the container writer. */
oct_status oct_build_append(void *self, const void *source, size_t bytes, oct_error *error);
/* Sections written as a whole. */
oct_status oct_build_write_meta(oct_build *build, oct_error *error);
oct_status oct_build_write_present(oct_build *build, uint32_t v, oct_error *error);
oct_status oct_build_write_field(oct_build *build, uint32_t f, oct_error *error);
oct_status oct_build_write_sparse(oct_build *build, oct_error *error);

/* ---- graphs, links, codes (build_graphs.c) ------------------------------------------------- */

/* Memory for the rows of vector v side by side. NOMEM; LIMIT when there are 2^32 or more. */
oct_status oct_build_begin_rows(oct_build *build, uint32_t v, oct_error *error);
/* Work on the section from the rows gathered; *done when it is written. */
oct_status oct_build_step_graph(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                                oct_error *error);
oct_status oct_build_step_links(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                                oct_error *error);
oct_status oct_build_step_quant(oct_build *build, uint32_t v, uint64_t budget_ns, bool *done,
                                oct_error *error);
/* Begin the graph of vector v with what a checkpoint has of it, if it has (checkpoint.c). What is
 * wrong with that is a line in the log. NOMEM. The first steps of the graph restore it: then they
 * are noted in the log, or it is dropped for what was wrong. */
oct_status oct_build_restore_graph(oct_build *build, uint32_t v, const oct_flat *flat,
                                   const oct_hnsw_params *params, oct_error *error);
void oct_build_note_part(const oct_build *build);
void oct_build_drop_part(oct_build *build, const oct_error *cause);
/* Free the rows of the vector at hand and what was made of them: at once; a piece of them, true
 * when that was the last. */
void oct_build_free_graph(oct_build *build);
bool oct_build_release(oct_build *build);

#endif
