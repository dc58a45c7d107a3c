/* EDN, the notation of Clojure's data, as far as Jepsen's histories use it: nil, true and false,
 * integers, strings, keywords, symbols, vectors, lists, sets and maps; commas are blanks, `;`
 * starts a comment, `#_` hides a value, and a tag (`#jepsen.history.Op{...}`, and that of a regular
 * expression) is read over. Other numbers are taken as symbols: nobody computes with them. */
#ifndef MOOT_CHECK_EDN_H
#define MOOT_CHECK_EDN_H

#include "base/memory.h"
#include "moot/base.h"

enum moot_edn_kind {
    MOOT_EDN_NIL,
    MOOT_EDN_INTEGER,
    MOOT_EDN_STRING,
    MOOT_EDN_KEYWORD, /* The text without its colon. */
    MOOT_EDN_SYMBOL,
    MOOT_EDN_SEQUENCE, /* A vector, list or set. */
    MOOT_EDN_MAP,      /* Items are key, value, key, value. */
};

struct moot_edn {
    enum moot_edn_kind kind;
    int64_t integer;
    struct moot_slice text;
    const struct moot_edn *items;
    size_t count;
    size_t line; /* Where it begins. */
};

struct moot_edn_reader {
    const uint8_t *at, *end;
    size_t line;              /* read-only: from 1, of `at` */
    const char *why;          /* read-only: the first fault, or NULL */
    struct moot_arena *arena; /* Owns what is read. */
};

void moot_edn_init(struct moot_edn_reader *reader, struct moot_slice text,
                   struct moot_arena *arena);
/* The next value. False at the end, or with `why` set. */
bool moot_edn_next(struct moot_edn_reader *reader, struct moot_edn *value);
/* The value of a keyword in a map, or NULL. */
const struct moot_edn *moot_edn_get(const struct moot_edn *map, const char *keyword);
bool moot_edn_is_keyword(const struct moot_edn *value, const char *keyword);

#endif
