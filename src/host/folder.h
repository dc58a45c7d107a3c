/* Small files in a node's folder: written whole or not at all. */
#ifndef MOOT_HOST_FOLDER_H
#define MOOT_HOST_FOLDER_H

#include "base/buffer.h"

enum { HOST_PATH_BYTES = 4096 };

/* DIR/name into `path`; false when it is too long. */
bool host__path(char path[HOST_PATH_BYTES], const char *dir, const char *name) MOOT_MUST_USE;
/* Makes the folder, and those above it; 0 also when it is there. -1 and errno. */
int host__make_folder(const char *dir, unsigned mode) MOOT_MUST_USE;
/* Appends the file's contents, at most `max` bytes. MOOT_ENOTFOUND, MOOT_ELIMIT, MOOT_EIO: errno.
 */
int host__read_file(const char *path, size_t max, struct moot_buffer *out) MOOT_MUST_USE;
/* Writes beside, syncs, renames. MOOT_EIO: errno. */
int host__write_file(const char *path, unsigned mode, struct moot_slice bytes) MOOT_MUST_USE;
/* 32 random bytes as hex and a line end: a fresh secret. */
int host__make_secret(const char *path) MOOT_MUST_USE;

#endif
