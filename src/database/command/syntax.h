/* A command's syntax in words, taken apart: the argument tree that COMMAND DOCS gives, from which
 * redis-cli makes its hints.
 *
 *   key value [NX | XX] [EX seconds | PX milliseconds] [field value ...]
 *
 * Words in upper case are tokens, and name what follows them; brackets are optional; a bar
 * separates choices; dots repeat: the arguments just before, when the bracket names them again,
 * else the bracket's own. */
#ifndef MOOT_DATABASE_COMMAND_SYNTAX_H
#define MOOT_DATABASE_COMMAND_SYNTAX_H

#include "base/memory.h"
#include "moot/base.h"

/* All read-only, and in the arena. */
struct moot_argument {
    struct moot_slice name;
    struct moot_slice token; /* size 0: none */
    const char *type;        /* "key", "string", "integer", "oneof", "block", "pure-token" ... */
    bool optional, multiple;
    struct moot_argument *children; /* of oneof and block */
    struct moot_argument *next;
};

/* The first of the arguments; NULL when there are none. The text is our own: a malformed one
 * aborts. */
struct moot_argument *moot_syntax_parse(struct moot_arena *arena, const char *text);
uint64_t moot_argument_count(const struct moot_argument *first);

#endif
