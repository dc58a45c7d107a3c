/* Stands in for libFuzzer in an ordinary build, so that every test run tries what fuzzing has found
 * worth keeping: each file of the given folders, and then changes of it that are the same in every
 * run. Prints one TAP line a folder; what ends a fuzzer ends this program too, and the last file
 * named is the one. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rng.h"

enum { PATH_BYTES = 4096, INPUT_MAX = 1024 * 1024, NEWS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of the exact size: a sanitizer sees a read behind it. */
static void try_input(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    MOOT_ASSERT(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* A few bytes set, bits flipped, a piece cut out or doubled. */
static size_t change(uint8_t *data, size_t size, struct moot_rng *rng)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '\r', '\n', '$', '*'};
    for (uint64_t news = 1 + moot_rng_below(rng, NEWS_MAX); news > 0 && size > 0; news--) {
        size_t at = (size_t)moot_rng_below(rng, size);
        size_t count = (size_t)moot_rng_below(rng, moot_min_u64(size - at, 64)) + 1;
        switch (moot_rng_below(rng, 8)) {
        case 0:
            memmove(data + at, data + at + count, size - at - count);
            size -= count;
            break;
        case 1:
            memmove(data + at + count, data + at, size - at);
            size += count;
            break;
        case 2:
        case 3:
            data[at] = telling[moot_rng_below(rng, sizeof(telling))];
            break;
        case 4:
            data[at] = (uint8_t)moot_rng_next(rng);
            break;
        default:
            data[at] ^= (uint8_t)(1u << moot_rng_below(rng, 8));
        }
    }
    return size;
}

static void try_file(const char *path, uint64_t changes)
{
    enum { ROOM = INPUT_MAX + NEWS_MAX * 64 };
    uint8_t *data = malloc(ROOM), *changed = malloc(ROOM);
    FILE *file = fopen(path, "rb");
    MOOT_ASSERT(data != NULL && changed != NULL);
    if (file == NULL) {
        printf("not ok - %s cannot be read\n", path);
        exit(1);
    }
    size_t size = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    struct moot_rng rng;
    moot_rng_init(&rng, moot_hash64((struct moot_slice){data, size}, 0));
    try_input(data, size);
    for (uint64_t i = 0; i < changes; i++) {
        memcpy(changed, data, size);
        try_input(changed, change(changed, size, &rng));
    }
    free(data);
    free(changed);
}

/* For a fuzzer that has no seeds. */
static void try_random(uint64_t count)
{
    enum { RANDOM_MAX = 512 };
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    try_input(NULL, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t data[RANDOM_MAX];
        size_t size = (size_t)moot_rng_below(&rng, RANDOM_MAX);
        for (size_t at = 0; at < size; at++) {
            data[at] = (uint8_t)moot_rng_next(&rng);
        }
        try_input(data, size);
    }
}

static int is_file(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s CHANGES FOLDER ...\n", argv[0]);
        return 2;
    }
    uint64_t changes = strtoull(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++) {
        struct dirent **files = NULL;
        int count = scandir(argv[i], &files, is_file, alphasort);
        for (int k = 0; k < count; k++) {
            char path[PATH_BYTES];
            snprintf(path, sizeof(path), "%.2000s/%.255s", argv[i], files[k]->d_name);
            printf("# %s\n", path);
            fflush(stdout);
            try_file(path, changes);
            free(files[k]);
        }
        free(files);
        if (count <= 0) {
            count = 0;
            try_random(changes);
        }
        printf("ok - %s: %d files, %llu %s\n", argv[i], count, (unsigned long long)changes,
               count > 0 ? "changes of each" : "inputs by chance");
    }
    return 0;
}
