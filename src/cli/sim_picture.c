#include "cli/sim_picture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), wanted = strlen(end);
    return size >= wanted && strcmp(text + size - wanted, end) == 0;
}

bool moot_cli_is_picture(const char *path)
{
    return ends_with(path, ".html") || ends_with(path, ".json");
}

bool moot_cli_write_picture(struct moot_picture *picture, uint64_t end, const char *path)
{
    struct moot_buffer out;
    moot_buffer_init(&out);
    if (ends_with(path, ".json")) {
        moot_picture_json(picture, end, &out);
    } else {
        moot_picture_page(picture, end, &out);
    }
    FILE *file = fopen(path, "w");
    bool good = file != NULL && fwrite(out.data, 1, out.size, file) == out.size;
    good = (file == NULL || fclose(file) == 0) && good;
    if (!good) {
        fprintf(stderr, "moot: cannot write %s: %s\n", path, strerror(errno));
    }
    moot_buffer_deinit(&out);
    return good;
}
