/* SPDX-License-Identifier: Apache-2.0
 *
 * db.c - the registry of collections: open, close, create, drop, pin.
 *
 * The root of the vfs holds `owner`, which the process that has the database open keeps locked,
 * and the two slots of `registry`: u32 version (0), u64 epoch, u64 next directory number, u32 n,
 * n collections { str name, u64 directory number }. A collection is created by making its
 * directory and then naming it here, and dropped by taking its name out and then removing the
 * directory; directories the registry does not name are removed at open.
 *
 * Where the vfs has no locks, each writable open raises the epoch, and whoever finds a higher one
 * than its own before a manifest switch has lost the database: LOCKED. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "db/collection.h"
#include "simd/cpu.h"
#include "store/manifest.h"

enum { REGISTRY_VERSION = 0, COLLECTIONS_MAX = 10000, REGISTRY_BYTES_MAX = 4 << 20 };

struct oct_db {
    oct_counting_alloc counting; /* first: frees itself last */
    oct_host host;
    oct_open_options options;
    oct_kernels kernels;
    oct_file *owner;
    oct_mutex mutex;              /* the registry; outermost of all locks */
    oct_collection **collections; /* [count] sorted by name */
    size_t count, capacity;
    uint64_t epoch, next_number, generation;
    size_t maintain_next; /* where the last maintenance stopped */
    bool in_doubt;        /* a failed write of the registry may be found by the next open */
};

const oct_host *oct_db_host(const oct_db *db)
{
    return &db->host;
}
const oct_alloc *oct_db_alloc(const oct_db *db)
{
    return &db->counting.alloc;
}
const oct_open_options *oct_db_options(const oct_db *db)
{
    return &db->options;
}
const oct_kernels *oct_db_kernels(const oct_db *db)
{
    return &db->kernels;
}
const char *oct_kernels_in_use(const oct_db *db)
{
    return db->kernels.name;
}

/* ---- registry ------------------------------------------------------------------------ */

/* The body with `add` in and `without` left out (NULL: neither). */
static oct_status registry_write(oct_db *db, const oct_collection *add,
                                 const oct_collection *without, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf body;
    oct_manifest_edition edition = { .generation = db->generation + 1 };
    oct_buf_init(&body, &db->counting.alloc, REGISTRY_BYTES_MAX);
    TRY(oct_buf_append_u32(&body, REGISTRY_VERSION, error));
    TRY(oct_buf_append_u64(&body, db->epoch, error));
    TRY(oct_buf_append_u64(&body, db->next_number, error));
    TRY(oct_buf_append_u32(&body, (uint32_t)(db->count + (add != NULL) - (without != NULL)),
                           error));
    for (size_t i = 0; i <= db->count; i++) {
        const oct_collection *now = i < db->count ? db->collections[i] : add;
        if (!now || now == without) continue;
        TRY(oct_buf_append_str(&body, now->name, error));
        TRY(oct_buf_append_u64(&body, now->number, error));
    }
    edition.body = (oct_str){ (const char *)body.at, body.bytes };
    TRY(oct_manifest_write(&db->counting.alloc, db->host.vfs, "registry", &edition, error));
    db->generation++;
    db->in_doubt = false;
done:
    db->in_doubt = db->in_doubt || edition.in_doubt;
    oct_buf_deinit(&body);
    return status;
}

static size_t lower_bound(const oct_db *db, oct_str name)
{
    size_t first = 0, end = db->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (oct_str_compare(db->collections[middle]->name, name) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static bool name_at(const oct_db *db, size_t at, oct_str name)
{
    return at < db->count && oct_str_equal(db->collections[at]->name, name);
}

/* There is room (asserted). Takes over the reference. */
static void insert(oct_db *db, oct_collection *collection)
{
    size_t at = lower_bound(db, collection->name);
    ASSERT(db->count < db->capacity && !name_at(db, at, collection->name));
    memmove(&db->collections[at + 1], &db->collections[at],
            (db->count - at) * sizeof *db->collections);
    db->collections[at] = collection;
    db->count++;
}

static oct_status reserve(oct_db *db, size_t more, oct_error *error)
{
    if (db->count + more > COLLECTIONS_MAX)
        return oct_fail(error, OCT_LIMIT, "more than %d collections", COLLECTIONS_MAX);
    return oct_array_reserve(&db->counting.alloc, &db->collections, &db->capacity, db->count + more,
                             sizeof *db->collections, error);
}

/* A collection that can't be opened stays, with its problem. */
static oct_status open_collection(oct_db *db, oct_str name, uint64_t number, oct_error *error)
{
    oct_collection *collection = NULL;
    oct_status status = oct_collection_new(db, name, number, &collection, error);
    if (status != OCT_OK) return status;
    oct_error problem = { .status = OCT_OK };
    status = oct_collection_load(collection, &problem);
    if (status == OCT_NOMEM) {
        if (error) *error = problem;
        oct_db_unpin(collection);
        return status;
    }
    if (status != OCT_OK) {
        oct_collection_fail(collection, status, &problem);
        collection->reopen = status == OCT_IO || status == OCT_NO_SPACE;
    }
    insert(db, collection);
    return OCT_OK;
}

static oct_status registry_parse(oct_db *db, const oct_buf *body, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_reader in = { body->at, body->bytes };
    uint32_t version = 0, count = 0;
    TRY(oct_read_u32(&in, &version, "registry: version", error));
    if (version != REGISTRY_VERSION)
        return oct_fail(error, OCT_UNSUPPORTED, "registry: written by a newer version");
    TRY(oct_read_u64(&in, &db->epoch, "registry: epoch", error));
    TRY(oct_read_u64(&in, &db->next_number, "registry: next number", error));
    TRY(oct_read_u32(&in, &count, "registry: collections", error));
    if (count > COLLECTIONS_MAX) return oct_fail(error, OCT_CORRUPT, "registry: too many");
    TRY(reserve(db, count, error));
    for (uint32_t i = 0; i < count; i++) {
        oct_str name;
        uint64_t number = 0;
        TRY(oct_read_str(&in, &name, "registry: a name", error));
        TRY(oct_read_u64(&in, &number, "registry: a directory", error));
        if (name.bytes == 0 || number >= db->next_number ||
            name_at(db, lower_bound(db, name), name))
            return oct_fail(error, OCT_CORRUPT, "registry: a bad collection entry");
        TRY(open_collection(db, name, number, error));
    }
    if (in.bytes != 0) return oct_fail(error, OCT_CORRUPT, "registry: bytes behind its end");
done:
    return status;
}

static oct_status registry_load(oct_db *db, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf body;
    oct_buf_init(&body, &db->counting.alloc, REGISTRY_BYTES_MAX);
    status = oct_manifest_read(db->host.vfs, "registry", &body, &db->generation, error);
    if (status == OCT_NOT_FOUND) { /* a new database */
        db->generation = UINT64_MAX;
        db->next_number = 1;
        status = OCT_OK;
        if (error) *error = (oct_error){ .status = OCT_OK };
    } else {
        TRY(status);
        TRY(registry_parse(db, &body, error));
    }
done:
    oct_buf_deinit(&body);
    return status;
}

oct_status oct_db_check_owner(oct_db *db, oct_error *error)
{
    if (db->host.vfs->caps & OCT_CAP_LOCK) return OCT_OK;
    oct_status status = OCT_OK;
    uint64_t generation = 0, epoch = 0;
    uint32_t version = 0;
    oct_buf body;
    oct_buf_init(&body, &db->counting.alloc, REGISTRY_BYTES_MAX);
    TRY(oct_manifest_read(db->host.vfs, "registry", &body, &generation, error));
    oct_reader in = { body.at, body.bytes };
    TRY(oct_read_u32(&in, &version, "registry: version", error));
    TRY(oct_read_u64(&in, &epoch, "registry: epoch", error));
    if (epoch != db->epoch)
        status = oct_fail(error, OCT_LOCKED, "another process opened this database");
done:
    oct_buf_deinit(&body);
    return status;
}

/* ---- leftovers ----------------------------------------------------------------------- */

typedef struct leftovers {
    oct_db *db;
    char names[16][OCT_DIRECTORY_BYTES]; /* some at a time */
    uint32_t count;
} leftovers;

static void find_leftover(void *arg, const char *name)
{
    leftovers *found = arg;
    size_t bytes = strlen(name);
    if (bytes != OCT_DIRECTORY_BYTES || name[0] != 'c' || name[bytes - 1] != '/') return;
    for (size_t i = 0; i < found->db->count; i++)
        if (memcmp(found->db->collections[i]->directory, name, bytes - 1) == 0) return;
    if (found->count == ARRAY_COUNT(found->names)) return;
    memcpy(found->names[found->count], name, bytes - 1);
    found->names[found->count++][bytes - 1] = '\0';
}

static oct_status remove_leftovers(oct_db *db, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = db->host.vfs;
    leftovers found = { .db = db };
    do {
        found.count = 0;
        TRY(vfs->list(vfs->self, "", find_leftover, &found, error));
        for (uint32_t i = 0; i < found.count; i++)
            TRY(oct_collection_remove_files(&db->host, found.names[i], error));
    } while (found.count == ARRAY_COUNT(found.names));
done:
    return status;
}

/* ---- open and close ------------------------------------------------------------------ */

static oct_status take_ownership(oct_db *db, oct_error *error)
{
    const oct_vfs *vfs = db->host.vfs;
    oct_status status =
        vfs->open(vfs->self, "owner", OCT_OPEN_WRITE | OCT_OPEN_CREATE | OCT_OPEN_EXCLUSIVE,
                  &db->owner, error);
    if (status == OCT_LOCKED)
        return oct_fail(error, OCT_LOCKED, "the database is open in another process");
    return status;
}

/* Where there are no locks, the epoch tells later owners from us. */
static oct_status announce(oct_db *db, oct_error *error)
{
    bool fresh = db->generation == UINT64_MAX;
    if ((db->host.vfs->caps & OCT_CAP_LOCK) && !fresh) return OCT_OK;
    db->epoch++;
    return registry_write(db, NULL, NULL, error);
}

/* The kernels that are asked for, or the best there are; false when there are none of that name. */
static bool choose_kernels(const oct_host *host, const char *isa, oct_kernels *out)
{
    const oct_kernels *own = oct_kernels_select(isa);
    if (!own) return false;
    *out = *own;
    if (!host->kernels || isa || oct_kernels_adopt(own, host->kernels, out)) return true;
    if (host->log)
        host->log(host->self, OCT_LOG_WARN,
                  "the host's kernels give wrong answers and aren't used");
    return true;
}

oct_status oct_open(const oct_host *host, const oct_open_options *options, oct_db **out,
                    oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    if (!oct_cpu_keeps_denormals())
        return oct_fail(error, OCT_UNSUPPORTED,
                        "this thread flushes denormal numbers to zero; scores would differ");
    oct_kernels kernels;
    if (!choose_kernels(host, options->isa, &kernels))
        return oct_fail(error, OCT_UNSUPPORTED, "this machine has no kernels `%s`", options->isa);
    oct_db *db = oct_new_zeroed(host->alloc, sizeof *db);
    if (!db) return oct_fail_nomem(error, "the database");
    oct_counting_alloc_init(&db->counting, host->alloc, options->memory_bytes_max);
    db->host = *host;
    db->host.alloc = &db->counting.alloc;
    db->options = *options;
    db->kernels = kernels;
    if (oct_mutex_init(&db->mutex) != OCT_OK) {
        oct_free(host->alloc, db, sizeof *db);
        return oct_fail_nomem(error, "the database's lock");
    }
    if (!options->read_only) TRY(take_ownership(db, error));
    TRY(registry_load(db, error));
    if (!options->read_only) {
        TRY(remove_leftovers(db, error));
        TRY(announce(db, error));
    }
    *out = db;
    db = NULL;
done:
    oct_close(db);
    return status;
}

void oct_close(oct_db *db)
{
    if (!db) return;
    const oct_alloc *below = db->counting.below;
    for (size_t i = 0; i < db->count; i++)
        oct_db_unpin(db->collections[i]);
    oct_free(&db->counting.alloc, db->collections, db->capacity * sizeof *db->collections);
    if (db->owner) db->host.vfs->close(db->host.vfs->self, db->owner);
    oct_mutex_deinit(&db->mutex);
    oct_free(below, db, sizeof *db);
}

/* ---- operations ---------------------------------------------------------------------- */

static oct_status refuse_writes(const oct_db *db, oct_error *error)
{
    if (!db->options.read_only) return OCT_OK;
    return oct_fail(error, OCT_READONLY, "the database was opened read-only");
}

static oct_status create_locked(oct_db *db, oct_str name, const oct_collection_config *config,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    oct_collection *collection = NULL;
    if (name_at(db, lower_bound(db, name), name))
        return oct_fail(error, OCT_CONFLICT, "Collection `%.*s` already exists!", (int)name.bytes,
                        name.at);
    TRY(oct_db_check_owner(db, error));
    TRY(reserve(db, 1, error));
    TRY(oct_collection_new(db, name, db->next_number, &collection, error));
    TRY(oct_collection_create_files(collection, config, error));
    db->next_number++; /* a number is never used twice, whether registering works or not */
    status = registry_write(db, collection, NULL, error);
    /* Nothing names its files; in doubt they stay, see settle_registry. */
    if (status != OCT_OK && !db->in_doubt) oct_atomic_store(&collection->dropped, 1);
    TRY(status);
    insert(db, collection);
    collection = NULL;
done:
    if (collection) oct_db_unpin(collection);
    return status;
}

oct_status oct_db_create_collection(oct_db *db, oct_str name, const oct_collection_config *config,
                                    oct_error *error)
{
    oct_status status = refuse_writes(db, error);
    if (status != OCT_OK) return status;
    ASSERT(name.bytes > 0);
    oct_mutex_lock(&db->mutex);
    status = create_locked(db, name, config, error);
    oct_mutex_unlock(&db->mutex);
    return status;
}

/* A drop in doubt may be found done by the next open, which must not cost an acknowledged write. */
static void stop_writes(oct_collection *collection, oct_status status, const oct_error *error)
{
    oct_mutex_lock(&collection->writer);
    oct_collection_fail(collection, status, error);
    oct_mutex_unlock(&collection->writer);
}

oct_status oct_db_drop_collection(oct_db *db, oct_str name, bool *dropped, oct_error *error)
{
    *dropped = false;
    oct_collection *gone = NULL;
    oct_status status = refuse_writes(db, error);
    if (status != OCT_OK) return status;
    oct_mutex_lock(&db->mutex);
    size_t at = lower_bound(db, name);
    if (name_at(db, at, name)) {
        gone = db->collections[at];
        status = oct_db_check_owner(db, error);
        if (status == OCT_OK) {
            status = registry_write(db, NULL, gone, error);
            if (status != OCT_OK && db->in_doubt) stop_writes(gone, status, error);
        }
        if (status == OCT_OK) {
            db->count--;
            memmove(&db->collections[at], &db->collections[at + 1],
                    (db->count - at) * sizeof *db->collections);
            oct_atomic_store(&gone->dropped, 1);
            *dropped = true;
        }
    }
    oct_mutex_unlock(&db->mutex);
    if (*dropped) oct_db_unpin(gone);
    return status;
}

oct_status oct_db_list_collections(oct_db *db, oct_arena *arena, const oct_str **names,
                                   uint32_t *count, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str *list = NULL;
    oct_mutex_lock(&db->mutex);
    TRY(oct_arena_array(arena, db->count, sizeof *list, &list, error));
    for (size_t i = 0; i < db->count; i++)
        TRY(oct_arena_str(arena, db->collections[i]->name, &list[i], error));
    *names = list;
    *count = (uint32_t)db->count;
done:
    oct_mutex_unlock(&db->mutex);
    return status;
}

oct_status oct_db_pin(oct_db *db, oct_str name, oct_collection **out, oct_error *error)
{
    *out = NULL;
    oct_mutex_lock(&db->mutex);
    size_t at = lower_bound(db, name);
    if (name_at(db, at, name)) {
        *out = db->collections[at];
        oct_collection_pin(*out);
    }
    oct_mutex_unlock(&db->mutex);
    if (*out) return OCT_OK;
    return oct_fail(error, OCT_NOT_FOUND, "Collection `%.*s` doesn't exist!", (int)name.bytes,
                    name.at);
}

/* Pin the next collection in turn, or NULL when there is none. */
static oct_collection *pin_next(oct_db *db, size_t *left)
{
    oct_collection *collection = NULL;
    oct_mutex_lock(&db->mutex);
    *left = MIN(*left, db->count);
    if (*left > 0) {
        db->maintain_next = (db->maintain_next + 1) % db->count;
        collection = db->collections[db->maintain_next];
        oct_collection_pin(collection);
        (*left)--;
    }
    oct_mutex_unlock(&db->mutex);
    return collection;
}

/* After a failed write of the registry: write what is true, then remove what it does not name.
 * Before that, collections in doubt are not opened again. */
static oct_status settle_registry(oct_db *db, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_mutex_lock(&db->mutex);
    if (db->in_doubt) {
        TRY(oct_db_check_owner(db, error));
        TRY(registry_write(db, NULL, NULL, error));
        TRY(remove_leftovers(db, error));
    }
done:
    oct_mutex_unlock(&db->mutex);
    return status;
}

oct_status oct_maintain(oct_db *db, uint32_t budget_ms, bool *more, oct_error *error)
{
    oct_status status = refuse_writes(db, error), first = OCT_OK;
    const oct_host *host = &db->host;
    oct_error problem;
    *more = false;
    if (status == OCT_OK) status = settle_registry(db, error);
    if (status != OCT_OK) return status;
    uint64_t deadline = host->monotonic_ns(host->self) + (uint64_t)budget_ms * 1000000;
    size_t left = SIZE_MAX;
    for (oct_collection *now = pin_next(db, &left); now; now = pin_next(db, &left)) {
        bool again = false;
        uint64_t time = host->monotonic_ns(host->self);
        status =
            oct_collection_maintain(now, deadline > time ? deadline - time : 0, &again, &problem);
        oct_db_unpin(now);
        if (status != OCT_OK && first == OCT_OK) { /* the others get their turn all the same */
            first = status;
            if (error) *error = problem;
        }
        *more = *more || again;
    }
    return first;
}

oct_status oct_check(oct_db *db, void (*report)(void *arg, const char *line), void *arg,
                     oct_error *error)
{
    oct_status status = OCT_OK;
    oct_error finding;
    size_t left = SIZE_MAX;
    for (oct_collection *now = pin_next(db, &left); now; now = pin_next(db, &left)) {
        finding = (oct_error){ .status = OCT_OK };
        oct_status result = oct_collection_check(now, &finding);
        report(arg, finding.message);
        if (result != OCT_OK && status == OCT_OK) {
            status = result;
            if (error) *error = finding;
        }
        oct_db_unpin(now);
    }
    return status;
}
