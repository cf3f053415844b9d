/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect.h - what the inspect files share: the file that is looked at, and what was found wrong.
 *
 * Private to core/db; the public function is oct_inspect (octant.h). */
#ifndef OCTANT_DB_INSPECT_H
#define OCTANT_DB_INSPECT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "octant/host.h"
#include "octant/types.h"

typedef struct oct_inspection {
    const oct_host *host; /* its alloc and vfs are used, nothing else */
    const char *path;
    const char *name;       /* the last component of path */
    size_t directory_bytes; /* of path, in front of the name, with the '/' */
    oct_file *file;
    uint64_t bytes;
    oct_arena arena;
    oct_buf text, findings_text;
    oct_json_writer out;      /* inside the object of the file */
    oct_json_writer findings; /* inside an array of strings */
    uint32_t finding_count;
    oct_error worst; /* the first finding, but damage comes before a newer version */
} oct_inspection;

/* Note what is wrong: CORRUPT or UNSUPPORTED, with a message. */
void oct_inspect_add(oct_inspection *now, const oct_error *found);
#define INSPECT_FIND(inspection, severity, ...)                                                    \
    do {                                                                                           \
        oct_error finding_ = { .status = OCT_OK };                                                 \
        (void)oct_fail(&finding_, severity, __VA_ARGS__);                                          \
        oct_inspect_add(inspection, &finding_);                                                    \
    } while (0)
/* Sort out what a function of the core answered for bytes of the file: a complaint about them is
 * a finding, and gives OK; out of memory or a failing disk is passed on in *error. */
OCT_MUST_CHECK oct_status oct_inspect_judge(oct_inspection *now, oct_status status,
                                            const oct_error *problem, oct_error *error);

/* Members of the report. Texts out of files may be no UTF-8: they become null and a finding. */
void oct_inspect_uint(oct_inspection *now, const char *key, uint64_t value);
void oct_inspect_text(oct_inspection *now, const char *key, oct_str text);
void oct_inspect_word(oct_inspection *now, const char *key, const char *word);
void oct_inspect_key(oct_inspection *now, const char *key);

/* `prefix` and 16 hexadecimal digits: the names of directories, logs and segments. */
enum { OCT_INSPECT_NAME_BYTES = 24 };
void oct_inspect_name(char name[OCT_INSPECT_NAME_BYTES], const char *prefix, uint64_t number);

/* What the manifest in the same directory says about the log that begins at a sequence. */
typedef struct oct_inspect_place {
    bool known;         /* there is a readable manifest */
    bool named;         /* it names this log */
    uint64_t successor; /* first sequence of the next log; 0 = none */
} oct_inspect_place;
OCT_MUST_CHECK oct_status oct_inspect_place_log(oct_inspection *now, uint64_t first_sequence,
                                                oct_inspect_place *out, oct_error *error);

/* inspect_manifest.c: both slots. inspect_segment.c: a container of points. */
OCT_MUST_CHECK oct_status oct_inspect_manifest(oct_inspection *now, oct_error *error);
OCT_MUST_CHECK oct_status oct_inspect_segment(oct_inspection *now, oct_error *error);

#endif
