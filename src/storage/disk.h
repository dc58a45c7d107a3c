/* A disk, as the journal sees it: a folder of files that are written in aligned pieces.
 *
 * Two implementations: host/disk_posix.c (O_DIRECT|O_DSYNC where the file system has it) and
 * sim/disk_sim.c, which loses, tears, misdirects and rots what the seed says. Calls are
 * synchronous; the host makes them on the journal's thread, or at start. Errors are MOOT_EIO (the
 * process must end), MOOT_ENOSPACE, MOOT_ENOTFOUND.
 *
 * All offsets, sizes and memory of read and write are multiples of MOOT_JOURNAL_ALIGN. */
#ifndef MOOT_STORAGE_DISK_H
#define MOOT_STORAGE_DISK_H

#include "moot/base.h"

struct moot_disk;

struct moot_disk_ops {
    /* Make `name` with `size` bytes of zeros actually written, so that later writes inside it
     * change no metadata; durable with its directory entry on return. MOOT_EBUSY when it exists. */
    int (*create)(struct moot_disk *disk, const char *name, uint64_t size);
    int (*remove)(struct moot_disk *disk, const char *name);
    int (*rename)(struct moot_disk *disk, const char *from, const char *to); /* durable on return */
    /* Size in bytes, MOOT_ENOTFOUND. */
    int (*size)(struct moot_disk *disk, const char *name, uint64_t *size);
    int (*read)(struct moot_disk *disk, const char *name, uint64_t offset, void *out, size_t size);
    /* Durable on return: an error means that it may or may not be there, and is never retried. */
    int (*write)(struct moot_disk *disk, const char *name, uint64_t offset, const void *bytes,
                 size_t size);
    /* Calls `each` for every file name, sorted. */
    int (*list)(struct moot_disk *disk, void (*each)(void *context, const char *name),
                void *context);
};

/* The first member of every implementation. */
struct moot_disk {
    const struct moot_disk_ops *ops;
};

#endif
