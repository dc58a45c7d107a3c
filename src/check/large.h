/* Large values without large histories: a history has a short text, and what goes over the wire is
 * that text and a filling that follows from it. What comes back is compared byte by byte with what
 * its text says, and only the text is recorded.
 *
 * Texts are made of the letter v, digits and dots. Half of them are not filled at all; some
 * fillings repeat a number of eight bytes, so that data can look like a format's own magic; none of
 * its bytes may be a character of texts. */
#ifndef MOOT_CHECK_LARGE_H
#define MOOT_CHECK_LARGE_H

#include "base/buffer.h"

enum { MOOT_LARGE_MAX = 128 * 1024 };

/* Appends the whole value. */
void moot_large_put(struct moot_slice text, uint64_t magic, struct moot_buffer *out);
/* False: these bytes were never put. *text is part of them. */
bool moot_large_take(struct moot_slice bytes, uint64_t magic, struct moot_slice *text);

#endif
