#include "sim/disk_sim.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/status.h"

enum { NAME_BYTES = 64, SECTOR_MIN = MOOT_DISK_SIM_SECTOR };

/* Segments are made large and mostly stay empty: what nobody wrote is zero without being so in
 * memory. */
struct file {
    char name[NAME_BYTES];
    uint8_t *bytes;
    uint64_t size;
    uint64_t written; /* From here on all is zero, whatever `bytes` holds. */
};

enum change_kind { CREATE, REMOVE, RENAME, WRITE };

/* A change that is not durable: how to undo it, and how to do it again. */
struct change {
    enum change_kind kind;
    uint64_t flight;
    char name[NAME_BYTES], to[NAME_BYTES];
    uint64_t offset, size;
    /* WRITE: done, the old bytes, NULL where nothing was written before; undone, the new ones. */
    uint8_t *other;
    struct file removed; /* REMOVE, done: what was there. */
};

/* A fault that strikes at the n-th change; `at` 0: not armed. */
struct fault {
    uint64_t at;
};

struct moot_disk_sim {
    struct moot_disk disk; /* First: the interface. */
    struct moot_rng rng;
    struct file *files; /* Sorted by name. */
    size_t file_count;
    struct change *changes; /* In flight, oldest first. */
    size_t change_count;
    uint64_t flight, flights; /* flight 0: changes are durable at once. */
    uint64_t made;            /* Changes made or tried. */
    uint64_t reads;
    bool dead; /* Answers MOOT_EIO to everything. */
    struct fault crash, fail, misdirect, lose, fail_read;
    bool fail_persists;
    char misdirect_name[NAME_BYTES];
    uint64_t misdirect_offset, capacity, sector;
    struct moot_disk_sim_losses losses;
};

static struct moot_disk_sim *of(struct moot_disk *disk) { return (struct moot_disk_sim *)disk; }

static void name_set(char name[NAME_BYTES], const char *text)
{
    MOOT_ASSERT(strlen(text) < NAME_BYTES);
    memset(name, 0, NAME_BYTES);
    memcpy(name, text, strlen(text));
}

/* From the end: it is mostly the newest segment that is asked for. */
static struct file *find(const struct moot_disk_sim *sim, const char *name)
{
    for (size_t i = sim->file_count; i-- > 0;) {
        if (strcmp(sim->files[i].name, name) == 0) {
            return &sim->files[i];
        }
    }
    return NULL;
}

/* Takes the bytes over; `file->name` is set here. */
static void file_insert(struct moot_disk_sim *sim, const char *name, const struct file *file)
{
    MOOT_ASSERT(find(sim, name) == NULL);
    sim->files = moot_realloc(sim->files, (sim->file_count + 1) * sizeof(sim->files[0]));
    size_t at = 0;
    while (at < sim->file_count && strcmp(sim->files[at].name, name) < 0) {
        at++;
    }
    memmove(sim->files + at + 1, sim->files + at, (sim->file_count - at) * sizeof(sim->files[0]));
    sim->files[at] = *file;
    name_set(sim->files[at].name, name);
    sim->file_count++;
}

static void file_create(struct moot_disk_sim *sim, const char *name, uint64_t size)
{
    struct file file = {.bytes = moot_alloc((size_t)size), .size = size};
    file_insert(sim, name, &file);
}

/* Takes the file out; its bytes are the caller's. */
static struct file file_take(struct moot_disk_sim *sim, const char *name)
{
    struct file *file = find(sim, name);
    MOOT_ASSERT(file != NULL);
    struct file taken = *file;
    size_t at = (size_t)(file - sim->files);
    sim->file_count--;
    memmove(file, file + 1, (sim->file_count - at) * sizeof(sim->files[0]));
    return taken;
}

/* The bytes before `end` are in memory. */
static void fill(struct file *file, uint64_t end)
{
    MOOT_ASSERT(end <= file->size);
    if (file->written < end) {
        memset(file->bytes + file->written, 0, (size_t)(end - file->written));
        file->written = end;
    }
}

static void change_free(struct change *change)
{
    moot_free(change->other);
    moot_free(change->removed.bytes);
}

static uint8_t *bytes_copy(const uint8_t *bytes, uint64_t size)
{
    uint8_t *copy = moot_alloc((size_t)size);
    if (size > 0) {
        memcpy(copy, bytes, (size_t)size);
    }
    return copy;
}

static struct file file_copy(struct file *file)
{
    fill(file, file->size);
    struct file copy = *file;
    copy.bytes = bytes_copy(file->bytes, file->size);
    return copy;
}

/* --- changes ------------------------------------------------------------------------------- */

static void rename_file(struct moot_disk_sim *sim, const char *from, const char *to)
{
    struct file file = file_take(sim, from);
    file_insert(sim, to, &file);
}

/* The file has the change's bytes, and the change the file's. */
static void exchange(struct file *file, struct change *change)
{
    uint8_t part[MOOT_JOURNAL_ALIGN];
    fill(file, change->offset + change->size);
    for (uint64_t done = 0; done < change->size;) {
        size_t size = (size_t)moot_min_u64(sizeof(part), change->size - done);
        uint8_t *mine = change->other + done, *its = file->bytes + change->offset + done;
        memcpy(part, its, size);
        memcpy(its, mine, size);
        memcpy(mine, part, size);
        done += size;
    }
}

/* Does a change that is possible, keeping in it what undoing needs. Of a write `change->other` has
 * the new bytes. */
static void apply(struct moot_disk_sim *sim, struct change *change)
{
    switch (change->kind) {
    case CREATE:
        file_create(sim, change->name, change->size);
        break;
    case REMOVE:
        MOOT_ASSERT(change->removed.bytes == NULL);
        change->removed = file_take(sim, change->name);
        break;
    case RENAME:
        rename_file(sim, change->name, change->to);
        break;
    case WRITE: {
        struct file *file = find(sim, change->name);
        MOOT_ASSERT(file != NULL && change->offset + change->size <= file->size);
        exchange(file, change);
        break;
    }
    }
}

/* The same for the first time: `bytes` are a write's, and the caller's. */
static void apply_new(struct moot_disk_sim *sim, struct change *change, const uint8_t *bytes)
{
    if (change->kind != WRITE) {
        apply(sim, change);
        return;
    }
    struct file *file = find(sim, change->name);
    MOOT_ASSERT(file != NULL && change->offset + change->size <= file->size);
    if (change->offset < file->written) {
        fill(file, change->offset + change->size);
        change->other = bytes_copy(file->bytes + change->offset, change->size);
    }
    fill(file, change->offset);
    memcpy(file->bytes + change->offset, bytes, (size_t)change->size);
    file->written = moot_max_u64(file->written, change->offset + change->size);
}

static void undo_write(struct file *file, struct change *change)
{
    uint64_t end = change->offset + change->size;
    if (change->other != NULL) {
        exchange(file, change);
        return;
    }
    MOOT_ASSERT(end <= file->written);
    change->other = bytes_copy(file->bytes + change->offset, change->size);
    if (file->written == end) {
        file->written = change->offset;
    } else {
        memset(file->bytes + change->offset, 0, (size_t)change->size);
    }
}

static void undo(struct moot_disk_sim *sim, struct change *change)
{
    switch (change->kind) {
    case CREATE: {
        struct file file = file_take(sim, change->name);
        moot_free(file.bytes);
        break;
    }
    case REMOVE:
        file_insert(sim, change->name, &change->removed);
        change->removed = (struct file){.bytes = NULL};
        break;
    case RENAME:
        rename_file(sim, change->to, change->name);
        break;
    case WRITE: {
        struct file *file = find(sim, change->name);
        MOOT_ASSERT(file != NULL);
        undo_write(file, change);
        break;
    }
    }
}

/* Whether it can be done in the files as they are: after a crash what it built on may be gone. */
static bool is_possible(const struct moot_disk_sim *sim, const struct change *change)
{
    const struct file *file = find(sim, change->name);
    switch (change->kind) {
    case CREATE:
        return file == NULL;
    case REMOVE:
        return file != NULL;
    case RENAME:
        return file != NULL && find(sim, change->to) == NULL;
    case WRITE:
        return file != NULL && change->offset + change->size <= file->size;
    }
    return false;
}

/* Part of a write: sectors may be new, old or garbage. */
static void tear_write(struct moot_disk_sim *sim, struct change *change)
{
    struct file *file = find(sim, change->name);
    uint64_t sector_bytes = sim->sector, sectors = change->size / sector_bytes;
    MOOT_ASSERT(change->other != NULL || sectors == 0);
    fill(file, change->offset + change->size);
    uint64_t manner = moot_rng_below(&sim->rng, 3);
    uint64_t prefix = moot_rng_below(&sim->rng, sectors + 1);
    for (uint64_t i = 0; i < sectors; i++) {
        uint8_t *sector = file->bytes + change->offset + i * sector_bytes;
        bool fresh = manner == 0 ? i < prefix : moot_rng_chance(&sim->rng, 1, 2);
        if (fresh) {
            memcpy(sector, change->other + i * sector_bytes, sector_bytes);
        } else if (manner == 2 && moot_rng_chance(&sim->rng, 1, 4)) {
            for (size_t k = 0; k < sector_bytes; k++) {
                sector[k] = (uint8_t)moot_rng_next(&sim->rng);
            }
        }
    }
}

static void tear(struct moot_disk_sim *sim, struct change *change)
{
    if (change->kind == WRITE) {
        tear_write(sim, change);
    } else if (change->kind == CREATE && moot_rng_chance(&sim->rng, 2, 3)) {
        uint64_t sectors = moot_rng_below(&sim->rng, change->size / SECTOR_MIN + 1);
        file_create(sim, change->name, sectors * SECTOR_MIN);
    } else if (moot_rng_chance(&sim->rng, 1, 2)) {
        apply(sim, change);
    }
}

/* Keeps any beginning of the flight, with its last change torn. */
static void resolve_flight(struct moot_disk_sim *sim, uint64_t flight)
{
    uint64_t count = 0;
    for (size_t i = 0; i < sim->change_count; i++) {
        count += sim->changes[i].flight == flight;
    }
    uint64_t keep = moot_rng_below(&sim->rng, count + 1), seen = 0;
    sim->losses.unsynced += count;
    for (size_t i = 0; i < sim->change_count && seen <= keep; i++) {
        struct change *change = &sim->changes[i];
        if (change->flight != flight) {
            continue;
        }
        if (!is_possible(sim, change)) {
            return;
        }
        if (seen < keep) {
            apply(sim, change);
            sim->losses.unsynced--;
        } else {
            tear(sim, change);
            sim->losses.torn += change->kind == WRITE;
        }
        seen++;
    }
}

static void drop_changes(struct moot_disk_sim *sim)
{
    for (size_t i = 0; i < sim->change_count; i++) {
        change_free(&sim->changes[i]);
    }
    sim->change_count = 0;
}

void moot_disk_sim_crash(struct moot_disk_sim *sim)
{
    for (size_t i = sim->change_count; i-- > 0;) {
        undo(sim, &sim->changes[i]);
    }
    for (size_t i = 0; i < sim->change_count; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++) {
            first = first && sim->changes[k].flight != sim->changes[i].flight;
        }
        if (first) {
            resolve_flight(sim, sim->changes[i].flight);
        }
    }
    drop_changes(sim);
    sim->flight = 0;
    sim->dead = false;
    sim->crash = sim->fail = sim->misdirect = sim->lose = sim->fail_read = (struct fault){0};
}

struct moot_disk_sim_losses moot_disk_sim_losses(const struct moot_disk_sim *sim)
{
    return sim->losses;
}

/* True when the armed fault strikes at this change. */
static bool strikes(struct fault *fault, uint64_t now)
{
    bool yes = fault->at == now && now != 0;
    if (yes) {
        fault->at = 0;
    }
    return yes;
}

static void keep_in_flight(struct moot_disk_sim *sim, const struct change *change)
{
    sim->changes = moot_realloc(sim->changes, (sim->change_count + 1) * sizeof(sim->changes[0]));
    sim->changes[sim->change_count++] = *change;
}

/* Every change comes through here; `bytes` are a write's. */
static int perform(struct moot_disk_sim *sim, struct change *change, const uint8_t *bytes)
{
    uint64_t now = ++sim->made;
    if (sim->dead || !is_possible(sim, change)) {
        bool missing = change->kind != CREATE && find(sim, change->name) == NULL;
        return sim->dead ? MOOT_FAIL(MOOT_EIO) : MOOT_FAIL(missing ? MOOT_ENOTFOUND : MOOT_EBUSY);
    }
    if (strikes(&sim->lose, now) && change->kind == WRITE) {
        return MOOT_OK;
    }
    if (strikes(&sim->misdirect, now) && change->kind == WRITE) {
        name_set(change->name, sim->misdirect_name);
        change->offset = sim->misdirect_offset;
        if (!is_possible(sim, change)) {
            return MOOT_OK; /* It hit nothing of ours. */
        }
    }
    if (strikes(&sim->crash, now)) {
        sim->dead = true;
        change->flight = sim->flight != 0 ? sim->flight : ++sim->flights;
        apply_new(sim, change, bytes);
        keep_in_flight(sim, change);
        return MOOT_FAIL(MOOT_EIO);
    }
    if (strikes(&sim->fail, now)) {
        sim->dead = sim->fail_persists;
        if (moot_rng_chance(&sim->rng, 1, 3)) {
            apply_new(sim, change, bytes);
        } else {
            change->other = bytes == NULL ? NULL : bytes_copy(bytes, change->size);
            tear(sim, change);
        }
        change_free(change);
        return MOOT_FAIL(MOOT_EIO);
    }
    apply_new(sim, change, bytes);
    if (sim->flight == 0) {
        change_free(change);
        return MOOT_OK;
    }
    change->flight = sim->flight;
    keep_in_flight(sim, change);
    return MOOT_OK;
}

static int sim_create(struct moot_disk *disk, const char *name, uint64_t size)
{
    struct moot_disk_sim *sim = of(disk);
    uint64_t total = size + moot_disk_sim_total(sim);
    if (sim->capacity != 0 && total > sim->capacity) {
        sim->made++;
        return MOOT_FAIL(MOOT_ENOSPACE);
    }
    struct change change = {.kind = CREATE, .size = size};
    name_set(change.name, name);
    return perform(sim, &change, NULL);
}

static int sim_remove(struct moot_disk *disk, const char *name)
{
    struct change change = {.kind = REMOVE};
    name_set(change.name, name);
    return perform(of(disk), &change, NULL);
}

static int sim_rename(struct moot_disk *disk, const char *from, const char *to)
{
    struct change change = {.kind = RENAME};
    name_set(change.name, from);
    name_set(change.to, to);
    return perform(of(disk), &change, NULL);
}

static int sim_write(struct moot_disk *disk, const char *name, uint64_t offset, const void *bytes,
                     size_t size)
{
    MOOT_ASSERT(offset % MOOT_JOURNAL_ALIGN == 0 && size % MOOT_JOURNAL_ALIGN == 0);
    MOOT_ASSERT((uintptr_t)bytes % MOOT_JOURNAL_ALIGN == 0);
    struct change change = {.kind = WRITE, .offset = offset, .size = size};
    name_set(change.name, name);
    return perform(of(disk), &change, bytes);
}

static int sim_size(struct moot_disk *disk, const char *name, uint64_t *size)
{
    const struct file *file = find(of(disk), name);
    if (file == NULL) {
        return MOOT_FAIL(MOOT_ENOTFOUND);
    }
    *size = file->size;
    return MOOT_OK;
}

static int sim_read(struct moot_disk *disk, const char *name, uint64_t offset, void *out,
                    size_t size)
{
    struct moot_disk_sim *sim = of(disk);
    MOOT_ASSERT(offset % MOOT_JOURNAL_ALIGN == 0 && size % MOOT_JOURNAL_ALIGN == 0);
    MOOT_ASSERT((uintptr_t)out % MOOT_JOURNAL_ALIGN == 0);
    if (sim->dead || strikes(&sim->fail_read, ++sim->reads)) {
        return MOOT_FAIL(MOOT_EIO);
    }
    const struct file *file = find(sim, name);
    if (file == NULL) {
        return MOOT_FAIL(MOOT_ENOTFOUND);
    }
    if (offset > file->size || size > file->size - offset) {
        return MOOT_FAIL(MOOT_EIO);
    }
    size_t known = file->written <= offset ? 0 : (size_t)moot_min_u64(size, file->written - offset);
    memcpy(out, file->bytes + offset, known);
    memset((uint8_t *)out + known, 0, size - known);
    return MOOT_OK;
}

static int sim_list(struct moot_disk *disk, void (*each)(void *context, const char *name),
                    void *context)
{
    const struct moot_disk_sim *sim = of(disk);
    for (size_t i = 0; i < sim->file_count; i++) {
        each(context, sim->files[i].name);
    }
    return MOOT_OK;
}

static const struct moot_disk_ops OPS = {
    .create = sim_create,
    .remove = sim_remove,
    .rename = sim_rename,
    .size = sim_size,
    .read = sim_read,
    .write = sim_write,
    .list = sim_list,
};

/* --- the world's side ---------------------------------------------------------------------- */

struct moot_disk_sim *moot_disk_sim_make(uint64_t seed)
{
    struct moot_disk_sim *sim = moot_alloc_zero(sizeof(*sim));
    sim->disk.ops = &OPS;
    sim->sector = SECTOR_MIN;
    moot_rng_init(&sim->rng, seed);
    return sim;
}

void moot_disk_sim_free(struct moot_disk_sim *sim)
{
    drop_changes(sim);
    for (size_t i = 0; i < sim->file_count; i++) {
        moot_free(sim->files[i].bytes);
    }
    moot_free(sim->files);
    moot_free(sim->changes);
    moot_free(sim);
}

struct moot_disk_sim *moot_disk_sim_copy(const struct moot_disk_sim *sim, uint64_t seed)
{
    struct moot_disk_sim *copy = moot_disk_sim_make(seed);
    for (size_t i = 0; i < sim->file_count; i++) {
        struct file file = file_copy(&sim->files[i]);
        file_insert(copy, file.name, &file);
    }
    for (size_t i = 0; i < sim->change_count; i++) {
        struct change change = sim->changes[i];
        change.other = change.other == NULL ? NULL : bytes_copy(change.other, change.size);
        if (change.removed.bytes != NULL) {
            change.removed = file_copy(&sim->changes[i].removed);
        }
        keep_in_flight(copy, &change);
    }
    copy->flight = sim->flight;
    copy->flights = sim->flights;
    copy->made = sim->made;
    copy->capacity = sim->capacity;
    copy->sector = sim->sector;
    return copy;
}

struct moot_disk *moot_disk_sim_disk(struct moot_disk_sim *sim) { return &sim->disk; }

uint64_t moot_disk_sim_begin(struct moot_disk_sim *sim)
{
    MOOT_ASSERT(sim->flight == 0);
    sim->flight = ++sim->flights;
    return sim->flight;
}

void moot_disk_sim_end(struct moot_disk_sim *sim) { sim->flight = 0; }

void moot_disk_sim_complete(struct moot_disk_sim *sim, uint64_t flight)
{
    size_t kept = 0;
    for (size_t i = 0; i < sim->change_count; i++) {
        if (sim->changes[i].flight == flight) {
            change_free(&sim->changes[i]);
        } else {
            sim->changes[kept++] = sim->changes[i];
        }
    }
    sim->change_count = kept;
}

void moot_disk_sim_crash_at(struct moot_disk_sim *sim, uint64_t n)
{
    sim->crash.at = n == 0 ? 0 : sim->made + n;
}

void moot_disk_sim_fail_at(struct moot_disk_sim *sim, uint64_t n, bool persists)
{
    sim->fail.at = n == 0 ? 0 : sim->made + n;
    sim->fail_persists = persists;
}

void moot_disk_sim_misdirect_at(struct moot_disk_sim *sim, uint64_t n, const char *name,
                                uint64_t offset)
{
    sim->misdirect.at = n == 0 ? 0 : sim->made + n;
    name_set(sim->misdirect_name, name);
    sim->misdirect_offset = offset;
}

void moot_disk_sim_lose_at(struct moot_disk_sim *sim, uint64_t n)
{
    sim->lose.at = n == 0 ? 0 : sim->made + n;
}

void moot_disk_sim_fail_read_at(struct moot_disk_sim *sim, uint64_t n)
{
    sim->fail_read.at = n == 0 ? 0 : sim->reads + n;
}

void moot_disk_sim_capacity(struct moot_disk_sim *sim, uint64_t bytes) { sim->capacity = bytes; }

void moot_disk_sim_sector(struct moot_disk_sim *sim, uint64_t bytes)
{
    MOOT_ASSERT(bytes > 0 && bytes % SECTOR_MIN == 0 && MOOT_JOURNAL_ALIGN % bytes == 0);
    sim->sector = bytes;
}

uint64_t moot_disk_sim_total(const struct moot_disk_sim *sim)
{
    uint64_t total = 0;
    for (size_t i = 0; i < sim->file_count; i++) {
        total += sim->files[i].size;
    }
    return total;
}

void moot_disk_sim_overwrite(struct moot_disk_sim *sim, const char *name, uint64_t offset,
                             const uint8_t *bytes, uint64_t size)
{
    struct file *file = find(sim, name);
    MOOT_ASSERT(file != NULL && offset <= file->size && size <= file->size - offset);
    fill(file, offset + size);
    memmove(file->bytes + offset, bytes, (size_t)size);
}

void moot_disk_sim_rot(struct moot_disk_sim *sim, const char *name, uint64_t offset, uint8_t mask)
{
    struct file *file = find(sim, name);
    MOOT_ASSERT(file != NULL && offset < file->size);
    fill(file, offset + 1);
    file->bytes[offset] ^= mask;
}

void moot_disk_sim_rot_range(struct moot_disk_sim *sim, const char *name, uint64_t offset,
                             uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        moot_disk_sim_rot(sim, name, offset + i, (uint8_t)moot_rng_between(&sim->rng, 1, 255));
    }
}

const uint8_t *moot_disk_sim_bytes(const struct moot_disk_sim *sim, const char *name,
                                   uint64_t *size)
{
    struct file *file = find(sim, name);
    if (file == NULL) {
        return NULL;
    }
    fill(file, file->size);
    *size = file->size;
    return file->bytes;
}

uint64_t moot_disk_sim_changes(const struct moot_disk_sim *sim) { return sim->made; }

uint64_t moot_disk_sim_digest(const struct moot_disk_sim *sim)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < sim->file_count; i++) {
        struct file *file = &sim->files[i];
        fill(file, file->size);
        digest = moot_hash64(moot_slice_text(file->name), digest);
        digest = moot_hash64((struct moot_slice){file->bytes, (size_t)file->size}, digest);
    }
    return digest;
}
