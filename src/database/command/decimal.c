#include "database/command/decimal.h"

#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"

/* Longer texts are no numbers for Redis either (MAX_LONG_DOUBLE_CHARS). */
enum { TEXT_MAX = 5 * 1024, EXPONENT_MAX = 100000 };

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* "e-12" from text[at]: false when malformed. No exponent is 0. */
static bool parse_exponent(struct moot_slice text, size_t at, int32_t *exponent)
{
    *exponent = 0;
    if (at == text.size) {
        return true;
    }
    if (text.data[at] != 'e' && text.data[at] != 'E') {
        return false;
    }
    at++;
    bool negative = at < text.size && text.data[at] == '-';
    if (at < text.size && (text.data[at] == '-' || text.data[at] == '+')) {
        at++;
    }
    if (at == text.size) {
        return false;
    }
    int32_t value = 0;
    for (; at < text.size; at++) {
        if (!is_digit(text.data[at])) {
            return false;
        }
        value = value * 10 + (text.data[at] - '0');
        if (value > EXPONENT_MAX) {
            value = EXPONENT_MAX; /* Far beyond what any digit's place can be. */
        }
    }
    *exponent = negative ? -value : value;
    return true;
}

/* Puts a digit where it belongs: place 0 is units, 1 tens, -1 tenths. */
static bool put_digit(struct moot_decimal *number, int64_t place, uint8_t digit)
{
    if (digit == 0 || place < -MOOT_DECIMAL_FRACTION) {
        return true;
    }
    if (place >= MOOT_DECIMAL_INTEGER) {
        return false;
    }
    int64_t index = MOOT_DECIMAL_INTEGER - 1 - place;
    MOOT_ASSERT(index >= 0);
    MOOT_ASSERT(index < MOOT_DECIMAL_DIGITS);
    number->digits[index] = digit;
    return true;
}

int moot_decimal_parse(struct moot_slice text, struct moot_decimal *out)
{
    memset(out, 0, sizeof *out);
    if (text.size == 0 || text.size >= TEXT_MAX) {
        return MOOT_EINVALID;
    }
    size_t start = text.data[0] == '-' || text.data[0] == '+';
    out->negative = text.data[0] == '-';
    struct moot_slice rest = {text.data + start, text.size - start};
    if (moot_slice_equal_nocase(rest, "inf") || moot_slice_equal_nocase(rest, "infinity")) {
        return MOOT_ELIMIT;
    }
    size_t at = start;
    int64_t before = 0, digits = 0; /* Digits before the point, and all. */
    bool pointed = false;
    for (; at < text.size && (is_digit(text.data[at]) || (text.data[at] == '.' && !pointed));
         at++) {
        if (text.data[at] == '.') {
            pointed = true;
            continue;
        }
        digits++;
        before += !pointed;
    }
    int32_t exponent;
    if (digits == 0 || !parse_exponent(text, at, &exponent)) {
        return MOOT_EINVALID;
    }
    int64_t place = before - 1 + exponent;
    for (size_t i = start; i < at; i++) {
        if (text.data[i] == '.') {
            continue;
        }
        if (!put_digit(out, place, (uint8_t)(text.data[i] - '0'))) {
            return MOOT_ELIMIT;
        }
        place--;
    }
    return 0;
}

int moot_decimal_add(const struct moot_decimal *a, const struct moot_decimal *b,
                     struct moot_decimal *sum)
{
    int carry = 0;
    if (a->negative == b->negative) {
        sum->negative = a->negative;
        for (int i = MOOT_DECIMAL_DIGITS - 1; i >= 0; i--) {
            int digit = a->digits[i] + b->digits[i] + carry;
            carry = digit >= 10;
            sum->digits[i] = (uint8_t)(digit - 10 * carry);
        }
        return carry != 0 ? MOOT_ELIMIT : 0;
    }
    /* The larger magnitude gives the sign; equal ones give plus zero. */
    int order = memcmp(a->digits, b->digits, MOOT_DECIMAL_DIGITS);
    const struct moot_decimal *large = order >= 0 ? a : b, *small = order >= 0 ? b : a;
    sum->negative = order != 0 && large->negative;
    for (int i = MOOT_DECIMAL_DIGITS - 1; i >= 0; i--) {
        int digit = large->digits[i] - small->digits[i] - carry;
        carry = digit < 0;
        sum->digits[i] = (uint8_t)(digit + 10 * carry);
    }
    MOOT_ASSERT(carry == 0);
    return 0;
}

/* Cuts the digits behind place -MOOT_DECIMAL_PRINTED off, to the nearest; a half goes to the even
 * one. False when the carry runs out of the front. */
static bool round_to_printed(uint8_t *digits)
{
    const int end = MOOT_DECIMAL_INTEGER + MOOT_DECIMAL_PRINTED;
    bool beyond_half = false;
    for (int i = end + 1; i < MOOT_DECIMAL_DIGITS; i++) {
        beyond_half |= digits[i] != 0;
    }
    uint8_t next = digits[end];
    bool up = next > 5 || (next == 5 && (beyond_half || digits[end - 1] % 2 == 1));
    for (int i = end - 1; up && i >= 0; i--) {
        up = digits[i] == 9;
        digits[i] = up ? 0 : (uint8_t)(digits[i] + 1);
    }
    return !up;
}

size_t moot_decimal_text(const struct moot_decimal *number, char *out)
{
    uint8_t digits[MOOT_DECIMAL_DIGITS];
    memcpy(digits, number->digits, sizeof digits);
    if (!round_to_printed(digits)) {
        memcpy(digits, number->digits, sizeof digits); /* All nines: cut instead. */
    }
    int first = 0, last = MOOT_DECIMAL_INTEGER + MOOT_DECIMAL_PRINTED - 1;
    while (first < MOOT_DECIMAL_INTEGER - 1 && digits[first] == 0) {
        first++;
    }
    while (last >= MOOT_DECIMAL_INTEGER && digits[last] == 0) {
        last--;
    }
    bool zero = last == first && digits[first] == 0;
    size_t size = 0;
    if (number->negative && !zero) {
        out[size++] = '-';
    }
    for (int i = first; i <= last; i++) {
        if (i == MOOT_DECIMAL_INTEGER) {
            out[size++] = '.';
        }
        out[size++] = (char)('0' + digits[i]);
    }
    MOOT_ASSERT(size > 0);
    MOOT_ASSERT(size <= MOOT_DECIMAL_TEXT_MAX);
    return size;
}

const char *moot_decimal_timeout(struct moot_slice seconds, uint64_t *ms)
{
    struct moot_decimal number;
    int status = moot_decimal_parse(seconds, &number);
    if (status == MOOT_EINVALID) {
        return "ERR timeout is not a float or out of range";
    }
    const int end = MOOT_DECIMAL_INTEGER + 3; /* The first digit smaller than a millisecond. */
    uint64_t value = 0;
    for (int i = 0; status == 0 && i < end; i++) {
        if (value > (uint64_t)INT64_MAX / 10 - 10) {
            status = MOOT_ELIMIT;
        }
        value = value * 10 + number.digits[i];
    }
    if (status != 0) {
        return number.negative ? "ERR timeout is negative" : "ERR timeout is out of range";
    }
    if (number.negative && value > 0) {
        return "ERR timeout is negative";
    }
    bool more = false;
    for (int i = end; i < MOOT_DECIMAL_DIGITS; i++) {
        more |= number.digits[i] != 0;
    }
    *ms = value + (more && !number.negative);
    return NULL;
}
