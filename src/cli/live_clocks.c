/* Wall clocks that are wrong: nodes run under libfaketime (Debian: faketime), which looks into a
 * file at every reading of the wall clock. Steady clocks are left alone, as a wrong time of day
 * leaves them alone on real machines. */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "cli/live.h"

static char preload[CLI_PATH_BYTES + 16];

bool live_clocks_start(char why[LIVE_WHY_BYTES])
{
    static const char *const places[] = {"/usr/lib/*/faketime/libfaketimeMT.so.1",
                                         "/usr/lib*/faketime/libfaketimeMT.so.1",
                                         "/usr/local/lib/faketime/libfaketimeMT.so.1"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(places); i++) {
        glob_t found;
        bool there = glob(places[i], 0, NULL, &found) == 0 && found.gl_pathc > 0;
        if (there) {
            snprintf(preload, sizeof(preload), "LD_PRELOAD=%.4000s", found.gl_pathv[0]);
        }
        globfree(&found);
        if (there) {
            return true;
        }
    }
    snprintf(why, LIVE_WHY_BYTES, "there is no libfaketimeMT.so.1 (Debian: apt install faketime)");
    return false;
}

static void name_file(const char *folder, uint32_t node, const char *more, char *out, size_t size)
{
    snprintf(out, size, "%.3900s/clock%u%s", folder, node + 1, more);
}

/* By renaming: a reader never finds half of it. */
bool live_clocks_set(const char *folder, uint32_t node, int64_t off_ms)
{
    char path[CLI_PATH_BYTES], fresh[CLI_PATH_BYTES];
    name_file(folder, node, "", path, sizeof(path));
    name_file(folder, node, ".new", fresh, sizeof(fresh));
    FILE *file = fopen(fresh, "w");
    bool good = file != NULL && fprintf(file, "%+.3f\n", (double)off_ms / 1000) > 0;
    good = file != NULL && fclose(file) == 0 && good;
    return good && rename(fresh, path) == 0;
}

const char *const *live_clocks_environment(const char *folder, uint32_t node)
{
    static char file[CLI_PATH_BYTES + 32];
    static const char *const list[] = {
        preload,
        file,
        "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1", /* By two names, an old one and a new one. */
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "NO_FAKE_STAT=1",
        "FAKETIME_DISABLE_SHM=1", /* Else each killed process leaves some behind. */
        NULL,
    };
    char path[CLI_PATH_BYTES];
    name_file(folder, node, "", path, sizeof(path));
    snprintf(file, sizeof(file), "FAKETIME_TIMESTAMP_FILE=%s", path);
    return list;
}
