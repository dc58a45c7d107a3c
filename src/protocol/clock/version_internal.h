/* Shared by version vectors and sets of siblings. */
#ifndef MOOT_PROTOCOL_CLOCK_VERSION_INTERNAL_H
#define MOOT_PROTOCOL_CLOCK_VERSION_INTERNAL_H

#include "base/codec.h"
#include "moot/version.h"

/* What comes from outside may not come near the end of the numbers: the actor still counts on. */
#define VERSION__COUNTER_MAX (UINT64_MAX >> 1)

/* Ends an encoding: MOOT_ELIMIT when it did not fit. */
int version__finish(const struct moot_writer *writer, const uint8_t *out, size_t max,
                    size_t *written);

#endif
