#include "check/large.h"

#include "base/hash.h"
#include "base/slice.h"

static const char OF_TEXTS[] = "v0123456789.";

static size_t filling_of(struct moot_slice text)
{
    uint64_t hash = moot_hash64(text, 3);
    return hash % 2 != 0 ? 0 : hash % MOOT_LARGE_MAX;
}

/* A filling repeats. */
enum { PERIOD = 8 };

static void first_bytes(struct moot_slice text, uint64_t magic, uint8_t out[PERIOD])
{
    uint64_t hash = moot_hash64(text, 5);
    for (size_t at = 0; at < PERIOD; at++) {
        out[at] = (uint8_t)(hash % 2 == 0 ? '-' : magic >> 8 * ((at + hash / 2) % 8));
    }
}

void moot_large_put(struct moot_slice text, uint64_t magic, struct moot_buffer *out)
{
    size_t filling = filling_of(text);
    uint8_t first[PERIOD];
    first_bytes(text, magic, first);
    moot_buffer_append_slice(out, text);
    uint8_t *into = moot_buffer_reserve(out, filling + 1);
    memcpy(into, first, moot_min_u64(filling, PERIOD));
    for (size_t done = PERIOD; done < filling; done *= 2) {
        memcpy(into + done, into, moot_min_u64(done, filling - done));
    }
    out->size += filling;
}

static bool is_filling(struct moot_slice text, uint64_t magic, struct moot_slice bytes)
{
    uint8_t first[PERIOD];
    first_bytes(text, magic, first);
    return bytes.size == filling_of(text) &&
           memcmp(bytes.data, first, moot_min_u64(bytes.size, PERIOD)) == 0 &&
           (bytes.size <= PERIOD ||
            memcmp(bytes.data, bytes.data + PERIOD, bytes.size - PERIOD) == 0);
}

bool moot_large_take(struct moot_slice bytes, uint64_t magic, struct moot_slice *text)
{
    *text = (struct moot_slice){bytes.data, 0};
    while (text->size < bytes.size &&
           memchr(OF_TEXTS, bytes.data[text->size], sizeof(OF_TEXTS) - 1) != NULL) {
        text->size++;
    }
    struct moot_slice rest = {bytes.data + text->size, bytes.size - text->size};
    return is_filling(*text, magic, rest);
}
