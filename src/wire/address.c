#include "wire/address.h"

#include "base/assert.h"
#include "base/limits.h"

static bool is_printable(struct moot_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool parse_port(struct moot_slice text, uint16_t *port)
{
    uint64_t number;
    if (!moot_slice_to_u64(text, &number) || number == 0 || number > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

/* A host with colons must stand in brackets, and no other may. */
static bool take_brackets(struct moot_slice *host)
{
    bool colon = host->size > 0 && memchr(host->data, ':', host->size) != NULL;
    bool bracketed = host->size > 2 && host->data[0] == '[' && host->data[host->size - 1] == ']';
    if (bracketed) {
        *host = moot_slice_make(host->data + 1, host->size - 2);
    }
    return host->size > 0 && bracketed == colon && memchr(host->data, '[', host->size) == NULL &&
           memchr(host->data, ']', host->size) == NULL;
}

bool moot_address_split(struct moot_slice text, struct moot_slice *host, uint16_t *port)
{
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0 || text.size >= MOOT_ADDRESS_MAX || !is_printable(text)) {
        return false;
    }
    struct moot_slice name = moot_slice_make(text.data, colon - 1);
    uint16_t number;
    if (!take_brackets(&name) ||
        !parse_port(moot_slice_make(text.data + colon, text.size - colon), &number)) {
        return false;
    }
    MOOT_ASSERT(name.size > 0);
    *host = name;
    *port = number;
    return true;
}

bool moot_address_copy(struct moot_slice text, char *out)
{
    struct moot_slice host;
    uint16_t port;
    if (!moot_address_split(text, &host, &port)) {
        return false;
    }
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}
