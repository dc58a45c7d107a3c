/* Synced writes a second of the real disk, as the journal makes them: one writer, one block after
 * the other into a pre-written segment.
 *
 *   disk_bench [FOLDER [SECONDS [BYTES]]]        (., 3, 4096) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/status.h"
#include "host/disk_posix.h"

enum { SEGMENT_BYTES = 64 * 1024 * 1024, SAMPLES_MAX = 2000000 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 3;
    size_t size = argc > 3 ? strtoull(argv[3], NULL, 10) : 4096;
    struct moot_disk_posix *posix = NULL;
    if (size == 0 || size % MOOT_JOURNAL_ALIGN != 0 || size > SEGMENT_BYTES ||
        moot_disk_posix_open(folder, &posix) != MOOT_OK) {
        fprintf(stderr, "disk_bench: bad folder or size\n");
        return 1;
    }
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    uint64_t start = now_ns();
    int status = disk->ops->create(disk, "disk-bench", SEGMENT_BYTES);
    uint64_t made = now_ns();
    uint8_t *bytes = aligned_alloc(MOOT_JOURNAL_ALIGN, size);
    uint64_t *samples = malloc(SAMPLES_MAX * sizeof(uint64_t));
    size_t count = 0;
    memset(bytes, 'x', size);
    uint64_t at = 0, begin = now_ns(), before = begin;
    while (status == MOOT_OK && before - begin < seconds * UINT64_C(1000000000) &&
           count < SAMPLES_MAX) {
        status = disk->ops->write(disk, "disk-bench", at, bytes, size);
        at = at + 2 * size <= SEGMENT_BYTES ? at + size : 0;
        uint64_t after = now_ns();
        samples[count++] = after - before;
        before = after;
    }
    qsort(samples, count, sizeof(samples[0]), by_value);
    if (status != MOOT_OK || count == 0) {
        fprintf(stderr, "disk_bench: %s\n", moot_status_text(status));
    } else {
        printf("%zu bytes, %s: %.0f writes/s, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, most %.3f "
               "ms; segment made in %.0f ms\n",
               size, moot_disk_posix_is_direct(posix) ? "direct" : "buffered",
               (double)count * 1e9 / (double)(before - begin), (double)samples[count / 2] / 1e6,
               (double)samples[count * 99 / 100] / 1e6, (double)samples[count * 999 / 1000] / 1e6,
               (double)samples[count - 1] / 1e6, (double)(made - start) / 1e6);
    }
    (void)disk->ops->remove(disk, "disk-bench");
    free(bytes);
    free(samples);
    moot_disk_posix_close(posix);
    return status == MOOT_OK ? 0 : 1;
}
