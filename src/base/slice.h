/* Comparing and naming bytes that somebody else owns. */
#ifndef MOOT_BASE_SLICE_H
#define MOOT_BASE_SLICE_H

#include <string.h>

#include "moot/base.h"

#define MOOT_SLICE_LITERAL(text) ((struct moot_slice){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct moot_slice moot_slice_make(const void *data, size_t size)
{
    return (struct moot_slice){data, size};
}
static inline struct moot_slice moot_slice_text(const char *text)
{
    return (struct moot_slice){(const uint8_t *)text, strlen(text)};
}
static inline bool moot_slice_equal(struct moot_slice a, struct moot_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
/* Order of unsigned bytes, a prefix first: the order of every key in moot. */
static inline int moot_slice_compare(struct moot_slice a, struct moot_slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}
/* ASCII letters compare without case: command names and options. */
bool moot_slice_equal_nocase(struct moot_slice a, const char *text);
bool moot_slice_starts_with(struct moot_slice bytes, struct moot_slice prefix);
/* Redis' glob: * ? [a-z] [^a] and backslash. Runs in O(pattern * text), without recursion. */
bool moot_slice_matches_glob(struct moot_slice text, struct moot_slice pattern, bool nocase);

/* Whole-slice decimal numbers as Redis reads them: no blanks, no plus sign, no leading zeros, no
 * overflow. False when it is not one, and *out is untouched. */
bool moot_slice_to_i64(struct moot_slice text, int64_t *out);
bool moot_slice_to_u64(struct moot_slice text, uint64_t *out);
/* Writes the decimal digits to `out`, 21 bytes or more, and returns how many. No terminating NUL.
 */
size_t moot_text_i64(char *out, int64_t value);
size_t moot_text_u64(char *out, uint64_t value);

#endif
