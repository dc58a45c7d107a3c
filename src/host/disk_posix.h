/* The real disk: one folder of segment files.
 *
 * Segments are opened O_DIRECT|O_DSYNC where the file system has it (else O_DSYNC alone), and are
 * written full of zeros when they are made, so that a later write changes no metadata: on the
 * machine of DESIGN section 8 that halves its time. A file is made under another name, synced, and
 * renamed: under its own name it is whole. While the second half of a new file is being written, a
 * thread makes another, which the next create only renames.
 *
 * A failed write or sync is MOOT_EIO and is never tried again: Linux marks the pages clean and
 * reports once, so the second sync would succeed with the data lost. The process must end.
 *
 * Calls may come from several threads at once. Memory that is not aligned goes through a buffer. */
#ifndef MOOT_HOST_DISK_POSIX_H
#define MOOT_HOST_DISK_POSIX_H

#include "storage/disk.h"

struct moot_disk_posix;

/* Opens (and makes, when missing) the folder. MOOT_EIO with errno set. */
int moot_disk_posix_open(const char *path, struct moot_disk_posix **out) MOOT_MUST_USE;
void moot_disk_posix_close(struct moot_disk_posix *posix);
struct moot_disk *moot_disk_posix_disk(struct moot_disk_posix *posix);
/* Whether files are opened with O_DIRECT. */
bool moot_disk_posix_is_direct(const struct moot_disk_posix *posix);

#endif
