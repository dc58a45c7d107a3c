#include "host/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"

bool host__path(char path[HOST_PATH_BYTES], const char *dir, const char *name)
{
    int size = snprintf(path, HOST_PATH_BYTES, "%s/%s", dir, name);
    return size > 0 && size < HOST_PATH_BYTES;
}

int host__make_folder(const char *dir, unsigned mode)
{
    char path[HOST_PATH_BYTES];
    size_t size = strlen(dir);
    if (size == 0 || size >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, dir, size + 1);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return -1;
        }
        *slash = '/';
    }
    return mkdir(path, (mode_t)mode) == 0 || errno == EEXIST ? 0 : -1;
}

int host__read_file(const char *path, size_t max, struct moot_buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return MOOT_FAIL(errno == ENOENT ? MOOT_ENOTFOUND : MOOT_EIO);
    }
    size_t start = out->size;
    int status = MOOT_OK;
    for (;;) {
        uint8_t *room = moot_buffer_reserve(out, 4096);
        ssize_t got = read(fd, room, 4096);
        if (got <= 0) {
            status = got < 0 ? MOOT_FAIL(MOOT_EIO) : MOOT_OK;
            break;
        }
        out->size += (size_t)got;
        if (out->size - start > max) {
            status = MOOT_FAIL(MOOT_ELIMIT);
            break;
        }
    }
    close(fd);
    return status;
}

int host__write_file(const char *path, unsigned mode, struct moot_slice bytes)
{
    char beside[HOST_PATH_BYTES];
    int size = snprintf(beside, sizeof(beside), "%s.new", path);
    if (size < 0 || size >= HOST_PATH_BYTES) {
        errno = ENAMETOOLONG;
        return MOOT_FAIL(MOOT_EIO);
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return MOOT_FAIL(MOOT_EIO);
    }
    bool done = fchmod(fd, (mode_t)mode) == 0 &&
                write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size && fsync(fd) == 0;
    int code = errno;
    done = close(fd) == 0 && done && rename(beside, path) == 0;
    if (!done) {
        code = code == 0 ? errno : code;
        unlink(beside);
        errno = code;
        return MOOT_FAIL(MOOT_EIO);
    }
    return MOOT_OK;
}

int host__make_secret(const char *path)
{
    uint8_t random[32];
    char text[2 * sizeof(random) + 2];
    ssize_t got = getrandom(random, sizeof(random), 0);
    MOOT_ASSERT(got == (ssize_t)sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    }
    text[2 * sizeof(random)] = '\n';
    return host__write_file(path, 0600, moot_slice_make(text, 2 * sizeof(random) + 1));
}
