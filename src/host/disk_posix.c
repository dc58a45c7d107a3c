#include "host/disk_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"

enum {
    FILES_MAX = 8, /* Open at a time: the segment being written, and a few being read. */
    NAME_BYTES = 64,
    BOUNCE_BYTES = 1024 * 1024, /* For memory that is not aligned. */
};
static const char MAKING_SUFFIX[] = ".making";
static const char SPARE[] = "spare.making"; /* Not listed, and removed by the next open. */
enum { PACE_NS = 1000 * 1000 };             /* Between pieces of a spare: others write, too. */

struct open_file {
    char name[NAME_BYTES]; /* Empty: the slot is free. */
    int fd;
    uint32_t users;
    uint64_t used_last; /* By the clock of `uses`. */
};

struct moot_disk_posix {
    struct moot_disk disk; /* First: the interface. */
    int folder;
    bool direct;
    pthread_mutex_t lock; /* Guards files and uses. */
    pthread_cond_t released;
    struct open_file files[FILES_MAX];
    uint64_t uses;
    pthread_mutex_t bounce_lock; /* Guards bounce. */
    uint8_t *bounce;

    /* A file of zeros, made while the newest one is still being filled: 64 MiB take 40 ms and more,
     * for which all who wait for the journal would wait. `lock` guards these. */
    pthread_t maker;
    bool maker_started; /* To be joined. */
    atomic_bool maker_hurries;
    uint64_t spare_size; /* Of the one made or being made; 0: none. */
    int spare_status;    /* The maker's, until it is joined. */
    char created[NAME_BYTES];
    uint64_t created_size; /* Of the file made last, until its spare is begun. */
};

static struct moot_disk_posix *of(struct moot_disk *disk) { return (struct moot_disk_posix *)disk; }

static int status_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return MOOT_FAIL(MOOT_ENOTFOUND);
    case EEXIST:
        return MOOT_FAIL(MOOT_EBUSY);
    case ENOSPC:
    case EDQUOT:
        return MOOT_FAIL(MOOT_ENOSPACE);
    default:
        return MOOT_FAIL(MOOT_EIO);
    }
}

static int open_at(const struct moot_disk_posix *posix, const char *name, int flags)
{
    int fd = -1;
    do {
        int direct = posix->direct ? O_DIRECT : 0;
        fd = openat(posix->folder, name, flags | direct | O_DSYNC | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* --- the pool of open files ------------------------------------------------------------------- */

static struct open_file *slot_of(struct moot_disk_posix *posix, const char *name)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (strcmp(posix->files[i].name, name) == 0) {
            return &posix->files[i];
        }
    }
    return NULL;
}

/* A free slot, or the one least lately used; NULL while all are in use. */
static struct open_file *slot_to_fill(struct moot_disk_posix *posix)
{
    struct open_file *best = NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct open_file *file = &posix->files[i];
        if (file->name[0] == 0) {
            return file;
        }
        if (file->users == 0 && (best == NULL || file->used_last < best->used_last)) {
            best = file;
        }
    }
    if (best != NULL) {
        close(best->fd);
        *best = (struct open_file){.fd = -1};
    }
    return best;
}

/* The file, open and not closed before it is released. */
static int acquire(struct moot_disk_posix *posix, const char *name, struct open_file **out)
{
    MOOT_ASSERT(strlen(name) > 0 && strlen(name) < NAME_BYTES);
    int status = MOOT_OK;
    pthread_mutex_lock(&posix->lock);
    struct open_file *file = slot_of(posix, name);
    while (file == NULL) {
        file = slot_to_fill(posix);
        if (file == NULL) {
            pthread_cond_wait(&posix->released, &posix->lock);
            file = slot_of(posix, name);
            continue;
        }
        int fd = open_at(posix, name, O_RDWR);
        if (fd < 0) {
            status = status_of_errno();
            break;
        }
        *file = (struct open_file){.fd = fd};
        memcpy(file->name, name, strlen(name) + 1);
    }
    if (status == MOOT_OK) {
        file->users++;
        file->used_last = ++posix->uses;
        *out = file;
    }
    pthread_mutex_unlock(&posix->lock);
    return status;
}

static void release(struct moot_disk_posix *posix, struct open_file *file)
{
    pthread_mutex_lock(&posix->lock);
    MOOT_ASSERT(file->users > 0);
    file->users--;
    pthread_cond_signal(&posix->released);
    pthread_mutex_unlock(&posix->lock);
}

/* The name now means another file, or none. Nobody may be using it. */
static void forget(struct moot_disk_posix *posix, const char *name)
{
    pthread_mutex_lock(&posix->lock);
    struct open_file *file = slot_of(posix, name);
    if (file != NULL) {
        MOOT_ASSERT(file->users == 0);
        close(file->fd);
        *file = (struct open_file){.fd = -1};
    }
    pthread_mutex_unlock(&posix->lock);
}

/* --- reading and writing ---------------------------------------------------------------------- */

static bool is_aligned(const void *memory) { return (uintptr_t)memory % MOOT_JOURNAL_ALIGN == 0; }

/* All of it or MOOT_EIO. A short write goes on where it stopped: what was taken is durable. */
static int write_all(int fd, const uint8_t *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t done = pwrite(fd, bytes, size, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue; /* Nothing was taken. */
        }
        if (done <= 0) {
            return MOOT_FAIL(MOOT_EIO);
        }
        bytes += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return MOOT_OK;
}

static int read_all(int fd, uint8_t *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t done = pread(fd, bytes, size, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return MOOT_FAIL(MOOT_EIO);
        }
        bytes += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return MOOT_OK;
}

static void maybe_make_spare(struct moot_disk_posix *posix, const char *name, uint64_t offset);

static int posix_write(struct moot_disk *disk, const char *name, uint64_t offset, const void *bytes,
                       size_t size)
{
    struct moot_disk_posix *posix = of(disk);
    MOOT_ASSERT(offset % MOOT_JOURNAL_ALIGN == 0 && size % MOOT_JOURNAL_ALIGN == 0);
    maybe_make_spare(posix, name, offset);
    struct open_file *file = NULL;
    int status = acquire(posix, name, &file);
    if (status != MOOT_OK) {
        return status;
    }
    if (is_aligned(bytes)) {
        status = write_all(file->fd, bytes, size, offset);
        release(posix, file);
        return status;
    }
    pthread_mutex_lock(&posix->bounce_lock);
    const uint8_t *from = bytes;
    while (size > 0 && status == MOOT_OK) {
        size_t piece = size < BOUNCE_BYTES ? size : BOUNCE_BYTES;
        memcpy(posix->bounce, from, piece);
        status = write_all(file->fd, posix->bounce, piece, offset);
        from += piece;
        offset += piece;
        size -= piece;
    }
    pthread_mutex_unlock(&posix->bounce_lock);
    release(posix, file);
    return status;
}

static int posix_read(struct moot_disk *disk, const char *name, uint64_t offset, void *out,
                      size_t size)
{
    struct moot_disk_posix *posix = of(disk);
    MOOT_ASSERT(offset % MOOT_JOURNAL_ALIGN == 0 && size % MOOT_JOURNAL_ALIGN == 0);
    struct open_file *file = NULL;
    int status = acquire(posix, name, &file);
    if (status != MOOT_OK) {
        return status;
    }
    if (is_aligned(out)) {
        status = read_all(file->fd, out, size, offset);
        release(posix, file);
        return status;
    }
    pthread_mutex_lock(&posix->bounce_lock);
    uint8_t *to = out;
    while (size > 0 && status == MOOT_OK) {
        size_t piece = size < BOUNCE_BYTES ? size : BOUNCE_BYTES;
        status = read_all(file->fd, posix->bounce, piece, offset);
        memcpy(to, posix->bounce, piece);
        to += piece;
        offset += piece;
        size -= piece;
    }
    pthread_mutex_unlock(&posix->bounce_lock);
    release(posix, file);
    return status;
}

/* --- names ------------------------------------------------------------------------------------ */

static int sync_folder(struct moot_disk_posix *posix)
{
    return fsync(posix->folder) == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EIO);
}

/* Writes `size` zeros. A full disk shows here, before anything depends on the file. */
static int fill_zeros(int fd, uint64_t size, const atomic_bool *hurries)
{
    uint8_t *zeros = aligned_alloc(MOOT_JOURNAL_ALIGN, BOUNCE_BYTES);
    MOOT_ASSERT(zeros != NULL);
    memset(zeros, 0, BOUNCE_BYTES);
    int status = MOOT_OK;
    for (uint64_t offset = 0; offset < size && status == MOOT_OK;) {
        size_t piece = size - offset < BOUNCE_BYTES ? (size_t)(size - offset) : BOUNCE_BYTES;
        ssize_t done = pwrite(fd, zeros, piece, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            status = done < 0 ? status_of_errno() : MOOT_FAIL(MOOT_EIO);
        }
        offset += done > 0 ? (uint64_t)done : 0;
        if (!atomic_load_explicit(hurries, memory_order_relaxed)) {
            nanosleep(&(struct timespec){.tv_nsec = PACE_NS}, NULL);
        }
    }
    free(zeros);
    return status;
}

/* A synced file of zeros. */
static int make_file(const struct moot_disk_posix *posix, const char *name, uint64_t size,
                     const atomic_bool *hurries)
{
    /* Without O_DSYNC: the zeros are synced once, at the end. */
    int direct = posix->direct ? O_DIRECT : 0;
    int fd = openat(posix->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | direct, 0600);
    if (fd < 0) {
        return status_of_errno();
    }
    int status = fill_zeros(fd, size, hurries);
    if (status == MOOT_OK && fsync(fd) != 0) {
        status =
            errno == ENOSPC || errno == EDQUOT ? MOOT_FAIL(MOOT_ENOSPACE) : MOOT_FAIL(MOOT_EIO);
    }
    close(fd);
    if (status != MOOT_OK) {
        (void)unlinkat(posix->folder, name, 0);
    }
    return status;
}

static void *maker_main(void *argument)
{
    struct moot_disk_posix *posix = argument;
    posix->spare_status = make_file(posix, SPARE, posix->spare_size, &posix->maker_hurries);
    return NULL;
}

/* Half of the file made last is full, so that another will be wanted. Files that are used again are
 * none: who has those makes no more. */
static void maybe_make_spare(struct moot_disk_posix *posix, const char *name, uint64_t offset)
{
    pthread_mutex_lock(&posix->lock);
    if (posix->created_size > 0 && offset >= posix->created_size / 2 && posix->spare_size == 0 &&
        strcmp(posix->created, name) == 0) {
        posix->spare_size = posix->created_size;
        posix->created_size = 0;
        atomic_store_explicit(&posix->maker_hurries, false, memory_order_relaxed);
        posix->maker_started = pthread_create(&posix->maker, NULL, maker_main, posix) == 0;
        if (!posix->maker_started) {
            posix->spare_size = 0; /* Written only here: a maker would be reading it by now. */
        }
    }
    pthread_mutex_unlock(&posix->lock);
}

/* True: the spare has that size, is whole, and is the caller's. */
static bool take_spare(struct moot_disk_posix *posix, uint64_t size)
{
    pthread_mutex_lock(&posix->lock);
    bool started = posix->maker_started;
    posix->maker_started = false;
    pthread_mutex_unlock(&posix->lock);
    if (!started) {
        return false;
    }
    atomic_store_explicit(&posix->maker_hurries, true, memory_order_relaxed);
    pthread_join(posix->maker, NULL);
    bool fits = posix->spare_status == MOOT_OK && posix->spare_size == size;
    pthread_mutex_lock(&posix->lock);
    posix->spare_size = 0;
    pthread_mutex_unlock(&posix->lock);
    if (!fits) {
        (void)unlinkat(posix->folder, SPARE, 0);
    }
    return fits;
}

static int posix_create(struct moot_disk *disk, const char *name, uint64_t size)
{
    struct moot_disk_posix *posix = of(disk);
    MOOT_ASSERT(size % MOOT_JOURNAL_ALIGN == 0);
    MOOT_ASSERT(strlen(name) + sizeof(MAKING_SUFFIX) <= NAME_BYTES);
    if (faccessat(posix->folder, name, F_OK, 0) == 0) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    char making[NAME_BYTES] = {0};
    memcpy(making, name, strlen(name));
    memcpy(making + strlen(name), MAKING_SUFFIX, sizeof(MAKING_SUFFIX));
    const atomic_bool hurries = true;
    bool spare = take_spare(posix, size);
    int status = spare ? MOOT_OK : make_file(posix, making, size, &hurries);
    if (status != MOOT_OK) {
        return status;
    }
    const char *from = spare ? SPARE : making;
    if (renameat(posix->folder, from, posix->folder, name) != 0) {
        (void)unlinkat(posix->folder, from, 0);
        return MOOT_FAIL(MOOT_EIO);
    }
    pthread_mutex_lock(&posix->lock);
    memcpy(posix->created, name, strlen(name) + 1);
    posix->created_size = size;
    pthread_mutex_unlock(&posix->lock);
    return sync_folder(posix);
}

static int posix_remove(struct moot_disk *disk, const char *name)
{
    struct moot_disk_posix *posix = of(disk);
    forget(posix, name);
    if (unlinkat(posix->folder, name, 0) != 0) {
        return status_of_errno();
    }
    return sync_folder(posix);
}

static int posix_rename(struct moot_disk *disk, const char *from, const char *to)
{
    struct moot_disk_posix *posix = of(disk);
    if (faccessat(posix->folder, to, F_OK, 0) == 0) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    forget(posix, from);
    if (renameat(posix->folder, from, posix->folder, to) != 0) {
        return status_of_errno();
    }
    return sync_folder(posix);
}

static int posix_size(struct moot_disk *disk, const char *name, uint64_t *size)
{
    struct stat stat;
    if (fstatat(of(disk)->folder, name, &stat, 0) != 0) {
        return status_of_errno();
    }
    *size = (uint64_t)stat.st_size;
    return MOOT_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_making_suffix(const char *name)
{
    size_t size = strlen(name), suffix = sizeof(MAKING_SUFFIX) - 1;
    return size > suffix && strcmp(name + size - suffix, MAKING_SUFFIX) == 0;
}

static int posix_list(struct moot_disk *disk, void (*each)(void *context, const char *name),
                      void *context)
{
    int fd = openat(of(disk)->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return MOOT_FAIL(MOOT_EIO);
    }
    char **names = NULL;
    size_t count = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL; errno = 0) {
        if (entry->d_name[0] == '.' || has_making_suffix(entry->d_name)) {
            continue;
        }
        names = moot_realloc(names, (count + 1) * sizeof(names[0]));
        names[count] = moot_alloc(strlen(entry->d_name) + 1);
        memcpy(names[count], entry->d_name, strlen(entry->d_name) + 1);
        count++;
    }
    int status = errno == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EIO);
    closedir(folder);
    if (count > 0) {
        qsort(names, count, sizeof(names[0]), compare_names);
    }
    for (size_t i = 0; i < count; i++) {
        if (status == MOOT_OK) {
            each(context, names[i]);
        }
        moot_free(names[i]);
    }
    moot_free(names);
    return status;
}

static const struct moot_disk_ops OPS = {
    .create = posix_create,
    .remove = posix_remove,
    .rename = posix_rename,
    .size = posix_size,
    .read = posix_read,
    .write = posix_write,
    .list = posix_list,
};

/* Whether O_DIRECT works here: some file systems refuse it at open, some only at the first write.
 */
static bool probe_direct(int folder)
{
    static const char PROBE[] = "probe.making";
    int fd = openat(folder, PROBE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
    if (fd < 0) {
        return false;
    }
    void *block = aligned_alloc(MOOT_JOURNAL_ALIGN, MOOT_JOURNAL_ALIGN);
    MOOT_ASSERT(block != NULL);
    memset(block, 0, MOOT_JOURNAL_ALIGN);
    bool works = pwrite(fd, block, MOOT_JOURNAL_ALIGN, 0) == MOOT_JOURNAL_ALIGN;
    free(block);
    close(fd);
    (void)unlinkat(folder, PROBE, 0);
    return works;
}

/* What a crash left half made. */
static void remove_makings(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (has_making_suffix(entry->d_name)) {
            (void)unlinkat(folder, entry->d_name, 0);
        }
    }
    closedir(entries);
}

int moot_disk_posix_open(const char *path, struct moot_disk_posix **out)
{
    *out = NULL;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return MOOT_FAIL(MOOT_EIO);
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return MOOT_FAIL(MOOT_EIO);
    }
    struct moot_disk_posix *posix = moot_alloc_zero(sizeof(*posix));
    posix->disk.ops = &OPS;
    posix->folder = folder;
    remove_makings(folder);
    posix->direct = probe_direct(folder);
    posix->bounce = aligned_alloc(MOOT_JOURNAL_ALIGN, BOUNCE_BYTES);
    MOOT_ASSERT(posix->bounce != NULL);
    pthread_mutex_init(&posix->lock, NULL);
    pthread_cond_init(&posix->released, NULL);
    pthread_mutex_init(&posix->bounce_lock, NULL);
    *out = posix;
    return MOOT_OK;
}

void moot_disk_posix_close(struct moot_disk_posix *posix)
{
    if (take_spare(posix, 0)) {
        MOOT_UNREACHABLE(); /* No file has that size. */
    }
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (posix->files[i].name[0] != 0) {
            MOOT_ASSERT(posix->files[i].users == 0);
            close(posix->files[i].fd);
        }
    }
    close(posix->folder);
    pthread_mutex_destroy(&posix->lock);
    pthread_cond_destroy(&posix->released);
    pthread_mutex_destroy(&posix->bounce_lock);
    free(posix->bounce);
    moot_free(posix);
}

struct moot_disk *moot_disk_posix_disk(struct moot_disk_posix *posix) { return &posix->disk; }

bool moot_disk_posix_is_direct(const struct moot_disk_posix *posix) { return posix->direct; }
