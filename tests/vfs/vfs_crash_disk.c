/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_crash_disk.c - the disks a power cut can leave, made from a trace.
 *
 * At a cut the operations before it are of two sorts. Those a sync has covered are settled: they
 * are applied to the settled content of each file and the settled names. The rest is unsettled,
 * a list of operation numbers in order. Moving the cut forward by one operation appends to the
 * list, or, for a sync, moves entries from the list into the settled state; so a whole run of cuts
 * costs one pass over the trace.
 *
 * A disk is the settled state plus a choice among the unsettled operations, applied in order. The
 * choice is made per piece (vfs_crash.h says what a piece is); random disks choose per sector.
 *
 * Which names a sync settles: all creates of the synced file, removes in its directory, renames
 * from or to its directory or of the file. An older unsettled create or remove of a name that is
 * settled by a newer operation is void; an older rename that shares such a name is settled with it,
 * because half a rename must never be seen. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "octant/octant.h"
#include "vfs_crash_trace.h"

enum {
    WRITE_PIECES_MAX = 8, /* groups of sectors of one write in the enumerated states */
    SECTOR_BYTES = 512,
    LARGE_SECTOR_BYTES = 4096
};

/* A file's content; `bytes` holds `size` of `capacity`. */
typedef struct file_image {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
} file_image;

typedef struct pending_operation {
    uint32_t operation; /* its number in the trace */
    uint64_t piece;     /* the number of its first piece */
    bool settled;       /* while a sync is worked out */
} pending_operation;

struct oct_crash_disk {
    const oct_crash_trace *trace;
    const oct_crash_options *options;
    uint64_t cut;
    file_image *files; /* [file_capacity] settled content; empty where nothing was settled */
    size_t file_capacity;
    uint32_t *names; /* [name_capacity] settled: the file each name stands for, or NONE */
    size_t name_capacity;
    pending_operation *pending; /* [pending_count] unsettled, in order */
    size_t pending_count, pending_capacity;
    uint64_t piece_count;
    uint32_t *state_names; /* [state_name_capacity] while one state is made */
    size_t state_name_capacity;
    file_image state_file;
};

/* Which pieces a state keeps. */
typedef struct disk_choice {
    enum { KEEP_NONE, KEEP_ALL, OMIT, RANDOM } kind;
    uint64_t omit_first, omit_count; /* OMIT */
    uint64_t seed;                   /* RANDOM, and garbage */
    uint32_t weight;                 /* RANDOM: of 8, how many operations survive */
    uint32_t sector_bytes;
    bool garbage;
} disk_choice;

/* ---- what a choice keeps --------------------------------------------------------------------- */

static disk_choice choice_make(const oct_crash_disk *disk, uint64_t state)
{
    const oct_crash_options *options = disk->options;
    uint64_t pieces = disk->piece_count;
    uint64_t singles_end = 2 + pieces;
    uint64_t pairs_end = singles_end + (pieces > 0 ? pieces - 1 : 0);
    disk_choice made = { .kind = OMIT, .garbage = options->garbage };
    made.sector_bytes = options->sector_bytes ? options->sector_bytes : SECTOR_BYTES;
    made.seed = oct_hash_u64(oct_hash_u64(options->seed, disk->cut), state);
    if (state == 0) {
        made.kind = KEEP_NONE;
    } else if (state == 1) {
        made.kind = KEEP_ALL;
    } else if (state < singles_end) {
        made.omit_first = state - 2;
        made.omit_count = 1;
    } else if (state < pairs_end) {
        made.omit_first = state - singles_end;
        made.omit_count = 2;
    } else {
        static const uint32_t weights[] = { 1, 4, 7, 4 };
        uint64_t roll = oct_hash_u64(made.seed, 0);
        made.kind = RANDOM;
        made.weight = weights[roll % 4];
        if (!options->sector_bytes && (roll & 4)) made.sector_bytes = LARGE_SECTOR_BYTES;
    }
    return made;
}

/* Is a piece kept, in the states that go by pieces? */
static bool piece_kept(const disk_choice *choice, uint64_t piece)
{
    if (choice->kind != OMIT) return choice->kind == KEEP_ALL;
    return piece < choice->omit_first || piece >= choice->omit_first + choice->omit_count;
}

static uint64_t roll_of(const disk_choice *choice, const pending_operation *pending)
{
    return oct_hash_u64(choice->seed, pending->operation + UINT64_C(1));
}

/* Random states keep or lose three of four operations as a whole. */
static bool torn(uint64_t roll)
{
    return (roll & 3) == 0;
}

static bool whole_kept(const disk_choice *choice, uint64_t roll)
{
    return ((roll >> 8) & 7) < choice->weight;
}

/* A create, remove, rename or truncate, which survives or does not. */
static bool operation_kept(const disk_choice *choice, const pending_operation *pending)
{
    if (choice->kind != RANDOM) return piece_kept(choice, pending->piece);
    return whole_kept(choice, roll_of(choice, pending));
}

/* The growth by a write: mostly with its bytes, now and then without or alone. */
static bool growth_kept(const disk_choice *choice, const pending_operation *pending)
{
    if (choice->kind != RANDOM) return piece_kept(choice, pending->piece);
    uint64_t roll = roll_of(choice, pending);
    bool apart = torn(roll) || ((roll >> 32) & 3) == 0;
    return apart ? (roll >> 40) & 1 : whole_kept(choice, roll);
}

/* Sector number `sector` of the `sectors` a write touches. */
static bool sector_kept(const disk_choice *choice, const pending_operation *pending, bool grows,
                        uint64_t sector, uint64_t sectors)
{
    if (choice->kind != RANDOM) {
        uint64_t groups = MIN(sectors, WRITE_PIECES_MAX);
        uint64_t group = sector * groups / sectors;
        return piece_kept(choice, pending->piece + (grows ? 1 : 0) + group);
    }
    uint64_t roll = roll_of(choice, pending);
    if (!torn(roll)) return whole_kept(choice, roll);
    if (roll & 4) return sector < (roll >> 16) % (sectors + 1);
    return oct_hash_u64(roll, sector) & 1;
}

/* The sectors that bytes [offset, offset + bytes) touch. */
static uint64_t sectors_of(const oct_crash_operation *write, uint32_t sector_bytes)
{
    uint64_t first = write->offset / sector_bytes;
    uint64_t last = (write->offset + write->bytes - 1) / sector_bytes;
    return last - first + 1;
}

static uint64_t pieces_of(const oct_crash_disk *disk, const oct_crash_operation *operation)
{
    uint32_t sector_bytes =
        disk->options->sector_bytes ? disk->options->sector_bytes : SECTOR_BYTES;
    if (operation->kind != OCT_CRASH_WRITE) return 1;
    return (operation->grows ? 1 : 0) + MIN(sectors_of(operation, sector_bytes), WRITE_PIECES_MAX);
}

/* ---- file content ---------------------------------------------------------------------------- */

/* Set the size, new bytes zeros. */
static oct_status image_resize(const oct_alloc *alloc, file_image *image, uint64_t size,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    if (size > SIZE_MAX) TRY(oct_fail_nomem(error, "the image of a file"));
    TRY(oct_array_reserve(alloc, &image->bytes, &image->capacity, (size_t)size, 1, error));
    if (size > image->size) memset(image->bytes + image->size, 0, (size_t)size - image->size);
    image->size = (size_t)size;
done:
    return status;
}

/* A write survived with its growth: the new bytes are there, not yet what is in them. */
static oct_status image_grow(const oct_alloc *alloc, file_image *image, const disk_choice *choice,
                             const oct_crash_operation *write, oct_error *error)
{
    uint64_t old = image->size;
    uint64_t end = write->offset + write->bytes;
    if (end <= old) return OCT_OK;
    oct_status status = image_resize(alloc, image, end, error);
    if (status != OCT_OK || !choice->garbage) return status;
    for (uint64_t at = MAX(old, write->offset); at < end; at++)
        image->bytes[at] = (uint8_t)oct_hash_u64(choice->seed, at);
    return OCT_OK;
}

/* Copy the surviving sectors of a write, as far as the file reaches. */
static void image_write(file_image *image, const disk_choice *choice,
                        const pending_operation *pending, const oct_crash_operation *write,
                        const uint8_t *content)
{
    uint64_t end = MIN(write->offset + write->bytes, image->size);
    uint64_t sectors = sectors_of(write, choice->sector_bytes);
    uint64_t sector = 0;
    for (uint64_t at = write->offset; at < end; sector++) {
        uint64_t next = MIN((at / choice->sector_bytes + 1) * choice->sector_bytes, end);
        if (sector_kept(choice, pending, write->grows, sector, sectors))
            memcpy(image->bytes + at, content + (at - write->offset), (size_t)(next - at));
        at = next;
    }
}

/* Apply what survives of one change of a file. */
static oct_status image_apply(const oct_crash_trace *trace, file_image *image,
                              const disk_choice *choice, const pending_operation *pending,
                              oct_error *error)
{
    const oct_crash_operation *operation = &trace->operations[pending->operation];
    oct_status status = OCT_OK;
    if (operation->kind == OCT_CRASH_TRUNCATE) {
        if (operation_kept(choice, pending))
            status = image_resize(trace->alloc, image, operation->offset, error);
        return status;
    }
    if (operation->kind != OCT_CRASH_WRITE) return OCT_OK;
    if (operation->grows && growth_kept(choice, pending))
        status = image_grow(trace->alloc, image, choice, operation, error);
    if (status == OCT_OK)
        image_write(image, choice, pending, operation, trace->content + operation->content);
    return status;
}

/* ---- names ----------------------------------------------------------------------------------- */

static size_t directory_bytes(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool same_directory(const oct_crash_trace *trace, uint32_t one, uint32_t two)
{
    const char *first = trace->names[one].path, *second = trace->names[two].path;
    size_t bytes = directory_bytes(first);
    return bytes == directory_bytes(second) && memcmp(first, second, bytes) == 0;
}

/* Would one of these be a directory and the other a file in it? */
static bool names_clash(const char *one, const char *two)
{
    size_t first = directory_bytes(one), second = directory_bytes(two);
    return (first == 0 && second == strlen(one) && memcmp(one, two, second) == 0) ||
           (second == 0 && first == strlen(two) && memcmp(one, two, first) == 0);
}

/* Let `name` stand for `file`. Names of the other sort in its way must have been removed before,
 * and no disk keeps this change without that. */
static void name_set(const oct_crash_trace *trace, uint32_t *names, uint32_t name, uint32_t file)
{
    for (size_t i = 0; i < trace->name_count; i++)
        if (names[i] != OCT_CRASH_NONE &&
            names_clash(trace->names[i].path, trace->names[name].path))
            names[i] = OCT_CRASH_NONE;
    names[name] = file;
}

static void names_apply(const oct_crash_trace *trace, uint32_t *names,
                        const oct_crash_operation *operation)
{
    if (operation->kind == OCT_CRASH_REMOVE) names[operation->name] = OCT_CRASH_NONE;
    if (operation->kind == OCT_CRASH_CREATE)
        name_set(trace, names, operation->name, operation->file);
    if (operation->kind != OCT_CRASH_RENAME) return;
    /* An older rename of this file may have been lost: wherever it is, it moves from there. */
    for (size_t i = 0; i < trace->name_count; i++)
        if (names[i] == operation->file) names[i] = OCT_CRASH_NONE;
    name_set(trace, names, operation->name_to, operation->file);
}

static bool names_something(const oct_crash_operation *operation)
{
    return operation->kind == OCT_CRASH_CREATE || operation->kind == OCT_CRASH_REMOVE ||
           operation->kind == OCT_CRASH_RENAME;
}

static bool touches_name(const oct_crash_operation *operation, uint32_t name)
{
    return operation->name == name ||
           (operation->kind == OCT_CRASH_RENAME && operation->name_to == name);
}

static bool share_a_name(const oct_crash_operation *one, const oct_crash_operation *two)
{
    return touches_name(one, two->name) ||
           (two->kind == OCT_CRASH_RENAME && touches_name(one, two->name_to));
}

/* ---- settling by a sync ---------------------------------------------------------------------- */

/* Does this sync by itself settle that operation? */
static bool sync_covers(const oct_crash_trace *trace, const oct_crash_operation *sync,
                        const oct_crash_operation *operation)
{
    if (operation->file == sync->file && operation->kind != OCT_CRASH_REMOVE) return true;
    if (sync->name == OCT_CRASH_NONE) return false;
    if (operation->kind == OCT_CRASH_REMOVE)
        return same_directory(trace, sync->name, operation->name);
    if (operation->kind != OCT_CRASH_RENAME) return false;
    return same_directory(trace, sync->name, operation->name) ||
           same_directory(trace, sync->name, operation->name_to);
}

/* Is an operation on names older than a settled one on the same name? */
static bool overtaken(const oct_crash_disk *disk, size_t index)
{
    const oct_crash_operation *operations = disk->trace->operations;
    const oct_crash_operation *older = &operations[disk->pending[index].operation];
    if (!names_something(older)) return false;
    for (size_t i = index + 1; i < disk->pending_count; i++) {
        const oct_crash_operation *newer = &operations[disk->pending[i].operation];
        if (disk->pending[i].settled && names_something(newer) && share_a_name(older, newer))
            return true;
    }
    return false;
}

/* Mark what a sync settles, newest first because settled operations settle older renames. Older
 * creates and removes they overtake are applied too: in order, they make no difference. */
static void mark_settled(oct_crash_disk *disk, const oct_crash_operation *sync)
{
    for (size_t i = disk->pending_count; i-- > 0;) {
        const oct_crash_operation *operation = &disk->trace->operations[disk->pending[i].operation];
        disk->pending[i].settled = sync_covers(disk->trace, sync, operation) || overtaken(disk, i);
    }
}

static oct_status apply_settled(oct_crash_disk *disk, oct_error *error)
{
    const oct_crash_trace *trace = disk->trace;
    const disk_choice everything = { .kind = KEEP_ALL, .sector_bytes = SECTOR_BYTES };
    for (size_t i = 0; i < disk->pending_count; i++) {
        const pending_operation *pending = &disk->pending[i];
        const oct_crash_operation *operation = &trace->operations[pending->operation];
        if (!pending->settled) continue;
        names_apply(trace, disk->names, operation);
        oct_status status =
            image_apply(trace, &disk->files[operation->file], &everything, pending, error);
        if (status != OCT_OK) return status;
    }
    return OCT_OK;
}

/* Can a disk hold this file, by a settled name or an unsettled one? */
static bool reachable(const oct_crash_disk *disk, uint32_t file)
{
    for (size_t i = 0; i < disk->trace->name_count; i++)
        if (disk->names[i] == file) return true;
    for (size_t i = 0; i < disk->pending_count; i++) {
        const oct_crash_operation *operation = &disk->trace->operations[disk->pending[i].operation];
        if (disk->pending[i].settled || operation->file != file) continue;
        if (operation->kind == OCT_CRASH_CREATE || operation->kind == OCT_CRASH_RENAME) return true;
    }
    return false;
}

/* Take settled operations off the list, and changes of files that can't be on any disk. */
static void drop_settled(oct_crash_disk *disk)
{
    for (size_t i = 0; i < disk->pending_count; i++) {
        const oct_crash_operation *operation = &disk->trace->operations[disk->pending[i].operation];
        if (disk->pending[i].settled || names_something(operation)) continue;
        disk->pending[i].settled = !reachable(disk, operation->file);
    }
    size_t kept = 0;
    disk->piece_count = 0;
    for (size_t i = 0; i < disk->pending_count; i++) {
        if (disk->pending[i].settled) continue;
        disk->pending[kept] = disk->pending[i];
        disk->pending[kept].piece = disk->piece_count;
        disk->piece_count +=
            pieces_of(disk, &disk->trace->operations[disk->pending[kept].operation]);
        kept++;
    }
    disk->pending_count = kept;
}

static oct_status settle(oct_crash_disk *disk, const oct_crash_operation *sync, oct_error *error)
{
    mark_settled(disk, sync);
    oct_status status = apply_settled(disk, error);
    if (status == OCT_OK) drop_settled(disk);
    return status;
}

/* ---- moving the cut -------------------------------------------------------------------------- */

static void images_free(oct_crash_disk *disk)
{
    for (size_t i = 0; i < disk->file_capacity; i++) {
        oct_free(disk->trace->alloc, disk->files[i].bytes, disk->files[i].capacity);
        disk->files[i] = (file_image){ .bytes = NULL };
    }
}

static void rewind_cut(oct_crash_disk *disk)
{
    images_free(disk);
    for (size_t i = 0; i < disk->name_capacity; i++)
        disk->names[i] = OCT_CRASH_NONE;
    disk->pending_count = 0;
    disk->piece_count = 0;
    disk->cut = 0;
}

/* Make the tables as large as the trace is by now. */
static oct_status tables_reserve(oct_crash_disk *disk, oct_error *error)
{
    const oct_crash_trace *trace = disk->trace;
    oct_status status = OCT_OK;
    size_t files = disk->file_capacity, names = disk->name_capacity;
    TRY(oct_array_reserve(trace->alloc, &disk->files, &disk->file_capacity, trace->file_count,
                          sizeof disk->files[0], error));
    for (; files < disk->file_capacity; files++)
        disk->files[files] = (file_image){ .size = 0 };
    TRY(oct_array_reserve(trace->alloc, &disk->names, &disk->name_capacity, trace->name_count,
                          sizeof disk->names[0], error));
    for (; names < disk->name_capacity; names++)
        disk->names[names] = OCT_CRASH_NONE;
    TRY(oct_array_reserve(trace->alloc, &disk->state_names, &disk->state_name_capacity,
                          trace->name_count, sizeof disk->state_names[0], error));
done:
    return status;
}

static oct_status advance(oct_crash_disk *disk, oct_error *error)
{
    const oct_crash_operation *operation = &disk->trace->operations[disk->cut];
    if (operation->kind == OCT_CRASH_SYNC) return settle(disk, operation, error);
    oct_status status =
        oct_array_reserve(disk->trace->alloc, &disk->pending, &disk->pending_capacity,
                          disk->pending_count + 1, sizeof disk->pending[0], error);
    if (status != OCT_OK) return status;
    disk->pending[disk->pending_count++] =
        (pending_operation){ .operation = (uint32_t)disk->cut, .piece = disk->piece_count };
    disk->piece_count += pieces_of(disk, operation);
    return OCT_OK;
}

oct_status oct_crash_disk_seek(oct_crash_disk *disk, uint64_t cut, oct_error *error)
{
    oct_status status = OCT_OK;
    ASSERT(cut <= disk->trace->operation_count);
    TRY(tables_reserve(disk, error));
    if (cut < disk->cut) rewind_cut(disk);
    for (; disk->cut < cut; disk->cut++)
        TRY(advance(disk, error));
done:
    if (status != OCT_OK) rewind_cut(disk);
    return status;
}

/* ---- making states --------------------------------------------------------------------------- */

uint64_t oct_crash_disk_states(const oct_crash_disk *disk)
{
    if (disk->piece_count == 0) return 1;
    return 2 + disk->piece_count + (disk->piece_count - 1) + disk->options->random_states;
}

/* The content of `file` in this state: the settled image itself when nothing is unsettled. */
static oct_status state_content(oct_crash_disk *disk, const disk_choice *choice, uint32_t file,
                                const file_image **out, oct_error *error)
{
    const oct_crash_trace *trace = disk->trace;
    const file_image *settled = &disk->files[file];
    file_image *image = &disk->state_file;
    bool changed = false;
    oct_status status = OCT_OK;
    *out = settled;
    for (size_t i = 0; i < disk->pending_count; i++) {
        const pending_operation *pending = &disk->pending[i];
        const oct_crash_operation *operation = &trace->operations[pending->operation];
        if (operation->file != file || names_something(operation)) continue;
        if (!changed) {
            TRY(oct_array_reserve(trace->alloc, &image->bytes, &image->capacity, settled->size, 1,
                                  error));
            if (settled->size > 0) memcpy(image->bytes, settled->bytes, settled->size);
            image->size = settled->size;
            changed = true;
        }
        TRY(image_apply(trace, image, choice, pending, error));
    }
    if (changed) *out = image;
done:
    return status;
}

static oct_status file_make(const oct_vfs *vfs, const char *path, const file_image *image,
                            oct_error *error)
{
    oct_file *file;
    oct_status status = vfs->open(vfs->self, path, OCT_OPEN_WRITE | OCT_OPEN_CREATE, &file, error);
    if (status != OCT_OK) return status;
    status = vfs->write(vfs->self, file, 0, image->bytes, image->size, error);
    vfs->close(vfs->self, file);
    return status;
}

static void state_names_make(oct_crash_disk *disk, const disk_choice *choice)
{
    const oct_crash_trace *trace = disk->trace;
    if (trace->name_count == 0) return;
    memcpy(disk->state_names, disk->names, trace->name_count * sizeof disk->names[0]);
    for (size_t i = 0; i < disk->pending_count; i++) {
        const oct_crash_operation *operation = &trace->operations[disk->pending[i].operation];
        if (names_something(operation) && operation_kept(choice, &disk->pending[i]))
            names_apply(trace, disk->state_names, operation);
    }
}

oct_status oct_crash_disk_make(oct_crash_disk *disk, uint64_t state, oct_vfs **out,
                               oct_error *error)
{
    const oct_crash_trace *trace = disk->trace;
    oct_status status = OCT_OK;
    oct_vfs *vfs = NULL;
    disk_choice choice = choice_make(disk, state);
    *out = NULL;
    TRY(oct_vfs_memory_create(trace->alloc, &vfs, error));
    state_names_make(disk, &choice);
    for (size_t name = 0; name < trace->name_count; name++) {
        const file_image *image;
        if (disk->state_names[name] == OCT_CRASH_NONE) continue;
        TRY(state_content(disk, &choice, disk->state_names[name], &image, error));
        TRY(file_make(vfs, trace->names[name].path, image, error));
    }
    *out = vfs;
    vfs = NULL;
done:
    oct_vfs_memory_destroy(vfs);
    return status;
}

/* ---- words ----------------------------------------------------------------------------------- */

static const char *name_of(const oct_crash_trace *trace, uint32_t name)
{
    return name == OCT_CRASH_NONE ? "(removed)" : trace->names[name].path;
}

/* "kept 3 of 8 sectors, growth lost" and the like, for a write. */
static void describe_write(const disk_choice *choice, const pending_operation *pending,
                           const oct_crash_operation *write, char *text, size_t bytes)
{
    uint64_t sectors = sectors_of(write, choice->sector_bytes);
    uint64_t kept = 0;
    for (uint64_t sector = 0; sector < sectors; sector++)
        kept += sector_kept(choice, pending, write->grows, sector, sectors);
    const char *growth = !write->grows                  ? ""
                         : growth_kept(choice, pending) ? ", growth kept"
                                                        : ", growth lost";
    (void)snprintf(text, bytes, "%s %" PRIu64 " of %" PRIu64 " sectors%s",
                   kept > 0 ? "kept" : "lost", kept > 0 ? kept : sectors, sectors, growth);
}

/* One unsettled operation and its fate: "\n  #12 write c/log 512+64: kept 1 of 1 sectors". */
static int describe_operation(const oct_crash_disk *disk, const disk_choice *choice,
                              const pending_operation *pending, char *text, size_t bytes)
{
    static const char *const words[] = {
        "create", "write", "truncate", "sync", "remove", "rename"
    };
    const oct_crash_trace *trace = disk->trace;
    const oct_crash_operation *operation = &trace->operations[pending->operation];
    char fate[96], range[64] = "";
    if (operation->kind == OCT_CRASH_WRITE) {
        describe_write(choice, pending, operation, fate, sizeof fate);
        (void)snprintf(range, sizeof range, " %" PRIu64 "+%zu", operation->offset,
                       operation->bytes);
    } else {
        (void)snprintf(fate, sizeof fate, "%s", operation_kept(choice, pending) ? "kept" : "lost");
        if (operation->kind == OCT_CRASH_TRUNCATE)
            (void)snprintf(range, sizeof range, " to %" PRIu64, operation->offset);
    }
    uint32_t name = operation->name;
    for (size_t i = 0; !names_something(operation) && i < pending->operation; i++) {
        const oct_crash_operation *before = &trace->operations[i];
        if (before->kind == OCT_CRASH_CREATE && before->file == operation->file)
            name = before->name;
        if (before->kind == OCT_CRASH_RENAME && before->file == operation->file)
            name = before->name_to;
    }
    bool renames = operation->kind == OCT_CRASH_RENAME;
    return snprintf(text, bytes, "\n  #%" PRIu32 " %s %s%s%s%s: %s", pending->operation,
                    words[operation->kind], name_of(trace, name), renames ? " to " : "",
                    renames ? name_of(trace, operation->name_to) : "", range, fate);
}

void oct_crash_disk_describe(const oct_crash_disk *disk, uint64_t state, char *text, size_t bytes)
{
    disk_choice choice = choice_make(disk, state);
    int length = snprintf(text, bytes,
                          "cut %" PRIu64 " state %" PRIu64 " (sectors of %" PRIu32 "):", disk->cut,
                          state, choice.sector_bytes);
    size_t at = MIN((size_t)length, bytes - 1);
    for (size_t i = 0; i < disk->pending_count && at < bytes - 1; i++) {
        length = describe_operation(disk, &choice, &disk->pending[i], text + at, bytes - at);
        at = MIN(at + (size_t)length, bytes - 1);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

oct_status oct_crash_disk_create(const oct_crash_trace *trace, const oct_crash_options *options,
                                 oct_crash_disk **out, oct_error *error)
{
    ASSERT(options->sector_bytes == 0 || options->sector_bytes >= SECTOR_BYTES);
    *out = oct_new_zeroed(trace->alloc, sizeof **out);
    if (!*out) return oct_fail_nomem(error, "the disks of the crash simulator");
    (*out)->trace = trace;
    (*out)->options = options;
    return OCT_OK;
}

void oct_crash_disk_destroy(oct_crash_disk *disk)
{
    if (!disk) return;
    const oct_alloc *alloc = disk->trace->alloc;
    images_free(disk);
    oct_free(alloc, disk->files, disk->file_capacity * sizeof disk->files[0]);
    oct_free(alloc, disk->names, disk->name_capacity * sizeof disk->names[0]);
    oct_free(alloc, disk->state_names, disk->state_name_capacity * sizeof disk->state_names[0]);
    oct_free(alloc, disk->pending, disk->pending_capacity * sizeof disk->pending[0]);
    oct_free(alloc, disk->state_file.bytes, disk->state_file.capacity);
    oct_free(alloc, disk, sizeof *disk);
}
