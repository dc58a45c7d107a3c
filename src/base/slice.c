#include "base/slice.h"

#include "base/assert.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

bool moot_slice_equal_nocase(struct moot_slice a, const char *text)
{
    for (size_t i = 0; i < a.size; i++) {
        if (text[i] == '\0' || lower(a.data[i]) != lower((uint8_t)text[i])) {
            return false;
        }
    }
    return text[a.size] == '\0';
}

bool moot_slice_starts_with(struct moot_slice bytes, struct moot_slice prefix)
{
    return bytes.size >= prefix.size &&
           (prefix.size == 0 || memcmp(bytes.data, prefix.data, prefix.size) == 0);
}

/* Reads one pattern element at *at (not '*') and says whether `byte` matches it; *at moves past it.
 */
static bool glob_element(struct moot_slice pattern, size_t *at, uint8_t byte, bool nocase)
{
    uint8_t c = pattern.data[(*at)++];
    uint8_t b = nocase ? lower(byte) : byte;
    if (c == '?') {
        return true;
    }
    if (c == '\\' && *at < pattern.size) {
        c = pattern.data[(*at)++];
        return (nocase ? lower(c) : c) == b;
    }
    if (c != '[') {
        return (nocase ? lower(c) : c) == b;
    }
    bool negate = *at < pattern.size && pattern.data[*at] == '^';
    *at += negate;
    bool found = false;
    while (*at < pattern.size && pattern.data[*at] != ']') {
        uint8_t from = pattern.data[(*at)++];
        if (from == '\\' && *at < pattern.size) {
            from = pattern.data[(*at)++];
        }
        uint8_t to = from;
        if (*at + 1 < pattern.size && pattern.data[*at] == '-' && pattern.data[*at + 1] != ']') {
            to = pattern.data[*at + 1];
            *at += 2;
        }
        if (from > to) {
            uint8_t swap = from;
            from = to;
            to = swap;
        }
        if (nocase) {
            from = lower(from);
            to = lower(to);
        }
        found = found || (b >= from && b <= to);
    }
    *at += *at < pattern.size; /* The closing bracket, where there is one. */
    return found != negate;
}

bool moot_slice_matches_glob(struct moot_slice text, struct moot_slice pattern, bool nocase)
{
    size_t t = 0, p = 0;
    size_t star_p = SIZE_MAX, star_t = 0; /* Where to go on when a guess after '*' fails. */
    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star_p = ++p;
            star_t = t;
            continue;
        }
        size_t next = p;
        if (p < pattern.size && glob_element(pattern, &next, text.data[t], nocase)) {
            p = next;
            t++;
        } else if (star_p != SIZE_MAX) {
            p = star_p;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.size;
}

bool moot_slice_to_u64(struct moot_slice text, uint64_t *out)
{
    if (text.size == 0 || text.size > 20 || (text.data[0] == '0' && text.size > 1)) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool moot_slice_to_i64(struct moot_slice text, int64_t *out)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    struct moot_slice digits = {text.data + negative, text.size - negative};
    uint64_t value;
    if (!moot_slice_to_u64(digits, &value)) {
        return false;
    }
    if (negative) {
        if (value == 0 || value > (uint64_t)INT64_MAX + 1) {
            return false;
        }
        *out = (int64_t)(0 - value);
        return true;
    }
    if (value > (uint64_t)INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

size_t moot_text_u64(char *out, uint64_t value)
{
    char digits[24];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < count; i++) {
        out[i] = digits[count - 1 - i];
    }
    MOOT_ASSERT(count <= 20);
    return count;
}

size_t moot_text_i64(char *out, int64_t value)
{
    if (value >= 0) {
        return moot_text_u64(out, (uint64_t)value);
    }
    out[0] = '-';
    return 1 + moot_text_u64(out + 1, 0 - (uint64_t)value);
}
