/* Small disks: each node's folder on a filesystem of its own, in memory and of a size that we
 * chose, so that it can be filled without anybody else's noticing. The filesystems are mounted in a
 * mount namespace of this process: they have no name outside, and are gone when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/live.h"

enum { MIB = 1024 * 1024, SPARE_MIB = 1024 /* Memory that is left to others. */ };

static uint64_t memory_left_mib(void)
{
    unsigned long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL &&
           sscanf(line, "MemAvailable: %llu kB", &kib) != 1) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib / 1024;
}

bool live_disks_start(uint32_t count, char why[LIVE_WHY_BYTES])
{
    uint64_t left_mib = memory_left_mib();
    if (left_mib < (uint64_t)count * LIVE_DISK_MIB + SPARE_MIB) {
        snprintf(why, LIVE_WHY_BYTES, "%u disks of %d MiB in memory, of which %llu MiB are left",
                 count, LIVE_DISK_MIB, (unsigned long long)left_mib);
        return false;
    }
    if (unshare(CLONE_NEWNS) != 0) {
        snprintf(why, LIVE_WHY_BYTES, "no mount namespace can be made: %s", strerror(errno));
        return false;
    }
    /* What we mount is not to be seen outside. */
    if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) {
        snprintf(why, LIVE_WHY_BYTES, "mounts cannot be kept apart: %s", strerror(errno));
        return false;
    }
    return true;
}

bool live_disks_make(const char *folder)
{
    char how[64];
    snprintf(how, sizeof(how), "size=%dm,mode=0700", LIVE_DISK_MIB);
    if ((mkdir(folder, 0700) != 0 && errno != EEXIST) ||
        mount("moot", folder, "tmpfs", MS_NOSUID | MS_NODEV, how) != 0) {
        cli_fail("no small disk can be mounted on %s: %s", folder, strerror(errno));
        return false;
    }
    return true;
}

void live_disks_drop(const char *folder) { (void)umount2(folder, MNT_DETACH); }

/* `cp` does what it is for; both names are ours. */
static bool copy_folder(const char *from, const char *to)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("cp", "cp", "-a", from, to, (char *)NULL);
        _exit(CLI_FAILED);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

void live_disks_keep(const char *folder)
{
    char copy[CLI_PATH_BYTES];
    snprintf(copy, sizeof(copy), "%.4000s.kept", folder);
    live_disks_free(folder);
    bool copied = copy_folder(folder, copy);
    live_disks_drop(folder);
    if (!copied || rmdir(folder) != 0 || rename(copy, folder) != 0) {
        cli_fail("%s could not be kept whole; what there is is in %s", folder, copy);
    }
}

/* ---- the balloon ---- */

static bool balloon_of(const char *folder, char out[CLI_PATH_BYTES])
{
    return snprintf(out, CLI_PATH_BYTES, "%s/balloon", folder) < CLI_PATH_BYTES;
}

static uint64_t room_of(const char *folder)
{
    struct statvfs space;
    return statvfs(folder, &space) == 0 ? (uint64_t)space.f_bavail * space.f_frsize : 0;
}

bool live_disks_fill(const char *folder, uint64_t leave_bytes)
{
    char path[CLI_PATH_BYTES];
    static const off_t steps[] = {MIB, 64 * 1024, 4096};
    int fd = balloon_of(folder, path) ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) {
        return false;
    }
    off_t size = 0;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(steps); i++) {
        while (room_of(folder) >= leave_bytes + (uint64_t)steps[i] &&
               fallocate(fd, 0, size, steps[i]) == 0) {
            size += steps[i];
        }
    }
    close(fd);
    return room_of(folder) < leave_bytes + MIB;
}

void live_disks_free(const char *folder)
{
    char path[CLI_PATH_BYTES];
    if (balloon_of(folder, path)) {
        (void)unlink(path);
    }
}
