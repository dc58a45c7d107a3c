/* The folder of recordings: whose it is, what is in it, and which file goes first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/limits.h"
#include "host/recorder_internal.h"

#define FILE_FORM "%06u.mootrec"
enum { NUMBER_MAX = 999999, NAME_BYTES = 32 };

/* The number in a recording's name; 0: it is none. */
static uint32_t number_of(const char *name)
{
    unsigned number;
    char again[NAME_BYTES];
    if (sscanf(name, "%6u", &number) != 1 || number > NUMBER_MAX) {
        return 0;
    }
    snprintf(again, sizeof(again), FILE_FORM, number);
    return strcmp(again, name) == 0 ? number : 0;
}

/* Counts the files, and finds the least number; false when the folder cannot be read. */
static bool look_into(struct recorder_folder *folder, uint32_t *least)
{
    DIR *dir = opendir(folder->path);
    if (dir == NULL) {
        return false;
    }
    folder->bytes = folder->files = 0;
    *least = UINT32_MAX;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat stat;
        uint32_t number = number_of(entry->d_name);
        if (number != 0 && fstatat(dirfd(dir), entry->d_name, &stat, 0) == 0) {
            folder->bytes += (uint64_t)stat.st_size;
            folder->files++;
            folder->last = number > folder->last ? number : folder->last;
            *least = number < *least ? number : *least;
        }
    }
    closedir(dir);
    return true;
}

bool recorder_folder__open(struct recorder_folder *folder, const char *dir, char *why,
                           size_t why_size)
{
    uint32_t least;
    *folder = (struct recorder_folder){.fd = -1};
    size_t size = strlen(dir);
    bool made = size < sizeof(folder->path) && host__make_folder(dir, 0700) == 0;
    if (made) {
        memcpy(folder->path, dir, size + 1);
        folder->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (folder->fd < 0 || !look_into(folder, &least)) {
        snprintf(why, why_size, "the folder %s for recordings cannot be used: %s", dir,
                 strerror(errno));
        recorder_folder__close(folder);
        return false;
    }
    if (flock(folder->fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, why_size, "another server records to %s: name another folder", dir);
        recorder_folder__close(folder);
        return false;
    }
    return true;
}

void recorder_folder__close(struct recorder_folder *folder)
{
    if (folder->fd >= 0) {
        close(folder->fd);
        folder->fd = -1;
    }
}

void recorder_folder__add(struct recorder_folder *folder, uint64_t bytes)
{
    folder->bytes += bytes;
    folder->files++;
}

bool recorder_folder__remove_oldest(struct recorder_folder *folder, bool under_way)
{
    struct recorder_folder now = *folder;
    uint32_t least = 0;
    char name[NAME_BYTES];
    if (folder->files == 0 || !look_into(&now, &least) || now.files <= (under_way ? 1u : 0u)) {
        return false;
    }
    struct stat stat;
    snprintf(name, sizeof(name), FILE_FORM, least);
    if (fstatat(folder->fd, name, &stat, 0) != 0 || unlinkat(folder->fd, name, 0) != 0) {
        return false;
    }
    folder->bytes -= moot_min_u64(folder->bytes, (uint64_t)stat.st_size);
    folder->files--;
    return true;
}

int recorder_folder__next(struct recorder_folder *folder, char path[HOST_PATH_BYTES], char *why,
                          size_t why_size)
{
    char name[NAME_BYTES];
    if (folder->last >= NUMBER_MAX) {
        snprintf(why, why_size, "the numbers of recordings in %s are used up: name another folder",
                 folder->path);
        return -1;
    }
    snprintf(name, sizeof(name), FILE_FORM, folder->last + 1);
    int fd = -1;
    errno = ENAMETOOLONG;
    if (host__path(path, folder->path, name)) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        snprintf(why, why_size, "the recording %s/%s cannot be made: %s", folder->path, name,
                 strerror(errno));
        return -1;
    }
    folder->last++;
    return fd;
}
