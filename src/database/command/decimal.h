/* Decimal numbers, exactly: INCRBYFLOAT, HINCRBYFLOAT, and time-outs in seconds.
 *
 * Redis computes in long double, whose last digits depend on the machine; here every replica must
 * write the same bytes, and no libm may be used. So a number is a row of decimal digits, and a sum
 * is exact. Printed as Redis prints: up to 17 digits after the point, no exponent, no trailing
 * zeros. The two agree wherever long double still has 17 exact decimals (about 19 digits in all);
 * beyond, Redis shows binary noise ("3000.10000000000000009") and moot does not ("3000.1").
 *
 * Limits: 309 digits before the point (the range of a double; more counts as infinite), 40 after it
 * when read (the rest is cut), 17 when written (rounded, halves to even). Not read: hexadecimal
 * floats. */
#ifndef MOOT_DATABASE_COMMAND_DECIMAL_H
#define MOOT_DATABASE_COMMAND_DECIMAL_H

#include "moot/base.h"

enum {
    MOOT_DECIMAL_INTEGER = 309, /* digits before the point */
    MOOT_DECIMAL_FRACTION = 40, /* digits after it */
    MOOT_DECIMAL_DIGITS = MOOT_DECIMAL_INTEGER + MOOT_DECIMAL_FRACTION,
    MOOT_DECIMAL_PRINTED = 17, /* digits after the point in a text */
    MOOT_DECIMAL_TEXT_MAX = 1 + MOOT_DECIMAL_INTEGER + 1 + MOOT_DECIMAL_PRINTED,
};

struct moot_decimal {
    bool negative;                       /* private */
    uint8_t digits[MOOT_DECIMAL_DIGITS]; /* private: 0..9, the most significant first */
};

/* "12", "-.5", "+3.0e3", "inf". MOOT_EINVALID: not a number. MOOT_ELIMIT: infinite, or too large.
 */
int moot_decimal_parse(struct moot_slice text, struct moot_decimal *out) MOOT_MUST_USE;
/* MOOT_ELIMIT: too large; *sum is then undefined. */
int moot_decimal_add(const struct moot_decimal *a, const struct moot_decimal *b,
                     struct moot_decimal *sum) MOOT_MUST_USE;
/* Writes up to MOOT_DECIMAL_TEXT_MAX bytes, and returns how many. */
size_t moot_decimal_text(const struct moot_decimal *number, char *out);

/* A time-out in seconds, with decimals, in milliseconds rounded up (so that only 0 means for ever).
 * NULL, or the error as Redis words it. */
const char *moot_decimal_timeout(struct moot_slice seconds, uint64_t *ms) MOOT_MUST_USE;

#endif
