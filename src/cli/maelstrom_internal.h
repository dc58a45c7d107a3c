/* What the two files of `moot maelstrom` share: maelstrom.c speaks with the network of Maelstrom,
 * maelstrom_kv.c turns its requests into commands of a Redis client and replies into answers. */
#ifndef MOOT_CLI_MAELSTROM_INTERNAL_H
#define MOOT_CLI_MAELSTROM_INTERNAL_H

#include <jansson.h>

#include "moot/hlc.h"
#include "sim/solo.h"

enum { MAELSTROM_OPS_MAX = 4096, MAELSTROM_TRIES_MAX = 8 };

/* Maelstrom's numbers of errors; only TIMEOUT and CRASH leave the outcome in doubt. */
enum maelstrom_error {
    MAELSTROM_TIMEOUT = 0,
    MAELSTROM_NOT_SUPPORTED = 10,
    MAELSTROM_UNAVAILABLE = 11,
    MAELSTROM_MALFORMED = 12,
    MAELSTROM_NO_KEY = 20,
    MAELSTROM_MISMATCH = 22,
    MAELSTROM_CONFLICT = 30,
};

enum maelstrom_kind { MAELSTROM_READ, MAELSTROM_WRITE, MAELSTROM_CAS };

/* A request under way: it has a connection of its own, and waits for so many replies. */
struct maelstrom_op {
    bool used, swaps; /* swaps: the second half of a compare-and-set. */
    enum maelstrom_kind kind;
    moot_connection_id connection;
    uint32_t expected, tries;
    json_t *request;
    struct moot_buffer replies;
};

struct maelstrom {
    json_t *names;     /* Array of all node names, sorted: the i-th is node i + 1. NULL: no init. */
    const char *name;  /* Ours. */
    moot_node_id self; /* Its number. */
    struct moot_solo *solo;
    struct moot_hlc clock;          /* unique-ids. */
    uint64_t incarnations[32];      /* By node: of its hello; 0: none yet. */
    struct moot_instant hello_at;   /* When to say hello to the silent ones again. */
    moot_connection_id connections; /* Given so far. */
    struct maelstrom_op ops[MAELSTROM_OPS_MAX];
    struct moot_buffer input;
    bool ended;
    int status;
};

/* Reads both clocks. */
struct moot_now maelstrom_now(void);
/* One line on standard output. `body` is taken over. */
void maelstrom_write(struct maelstrom *maelstrom, const char *to, json_t *body);
/* Answers `request`; `body` is taken over and gets in_reply_to. */
void maelstrom_answer(struct maelstrom *maelstrom, json_t *request, json_t *body);
void maelstrom_refuse(struct maelstrom *maelstrom, json_t *request, enum maelstrom_error code,
                      const char *text);

/* Begins a read, write or cas. */
void maelstrom_kv_begin(struct maelstrom *maelstrom, enum maelstrom_kind kind, json_t *request);
/* Calls of the node. */
void maelstrom_kv_reply(void *context, moot_connection_id connection, struct moot_slice bytes);
void maelstrom_kv_closed(void *context, moot_connection_id connection);
void maelstrom_kv_end(struct maelstrom *maelstrom);

#endif
