/* RESP2 and RESP3: reading commands from clients, writing replies to them.
 *
 * The reader is incremental and limited: bytes may arrive torn at every offset; nothing is scanned
 * twice; a limit passed is a clear error (the text Redis would use), after which the connection
 * must be closed. Commands are arrays of bulk strings or inline lines. The writer appends one reply
 * to a buffer in the protocol version of its connection; a map, set, double, null and verbatim
 * string degrade to RESP2 as Redis degrades them. (Redis protocol specification, RESP3.) */
#ifndef MOOT_WIRE_RESP_H
#define MOOT_WIRE_RESP_H

#include "base/buffer.h"

/* ---- reading commands ---- */
struct moot_resp_arg {
    uint32_t offset, size; /* Into the bytes given to moot_resp_parse. */
};
struct moot_resp_parser {
    /* private: where the current command stands; arguments found so far */
    struct moot_resp_arg *args;
    uint32_t arg_capacity, arg_count, arg_want;
    size_t scanned;
    uint32_t bulk_left_valid;
    uint32_t bulk_size;
    bool in_array;
    const char *error; /* read-only: after MOOT_EINVALID or MOOT_ELIMIT, what to answer ("ERR
                          Protocol error: ..."). */
};
void moot_resp_parser_init(struct moot_resp_parser *parser);
void moot_resp_parser_deinit(struct moot_resp_parser *parser);
/* Looks for one whole command at the start of `bytes`, which begin where the last command ended,
 * and which may only have grown since the last call that answered MOOT_EAGAIN. 0: a command of
 * parser->arg_count arguments (args are offsets into `bytes`), and *consumed bytes belong to it;
 * zero arguments is an empty line, to be skipped. MOOT_EAGAIN: more bytes are needed.
 * MOOT_EINVALID, MOOT_ELIMIT: answer parser->error and close. */
int moot_resp_parse(struct moot_resp_parser *parser, struct moot_slice bytes,
                    size_t *consumed) MOOT_MUST_USE;

/* ---- writing replies ---- */
struct moot_resp {
    struct moot_buffer *out;
    uint8_t protocol; /* 2 or 3 */
};
void moot_resp_simple(struct moot_resp *resp, const char *text); /* +OK */
void moot_resp_error(
    struct moot_resp *resp,
    const char *text); /* text begins with the code word; CR and LF become blanks */
void moot_resp_error_slice(struct moot_resp *resp, struct moot_slice text);
void moot_resp_integer(struct moot_resp *resp, int64_t value);
void moot_resp_bulk(struct moot_resp *resp, struct moot_slice bytes);
void moot_resp_bulk_text(struct moot_resp *resp, const char *text);
void moot_resp_bulk_u64(struct moot_resp *resp, uint64_t value);
void moot_resp_null(struct moot_resp *resp);       /* $-1 or _ */
void moot_resp_null_array(struct moot_resp *resp); /* *-1 or _ */
void moot_resp_array(struct moot_resp *resp, uint64_t count);
void moot_resp_map(struct moot_resp *resp, uint64_t pairs); /* RESP2: an array of 2*pairs */
void moot_resp_set(struct moot_resp *resp, uint64_t count);
void moot_resp_push(struct moot_resp *resp, uint64_t count);
void moot_resp_boolean(struct moot_resp *resp, bool value); /* RESP2: :1 or :0 */
/* `text` is the number as text (no libm here). RESP2: a bulk string. */
void moot_resp_double_text(struct moot_resp *resp, struct moot_slice text);
void moot_resp_verbatim(struct moot_resp *resp, const char format[4],
                        struct moot_slice text); /* "txt" */

/* ---- reading replies: for our own clients (simulator, checker, command line) ---- */
/* Finds the end of one reply: 0 and *consumed; MOOT_EAGAIN; MOOT_EINVALID. Nested up to 32 levels.
 */
int moot_resp_skip(struct moot_slice bytes, size_t *consumed) MOOT_MUST_USE;
enum moot_resp_type {
    MOOT_RESP_SIMPLE = '+',
    MOOT_RESP_ERROR = '-',
    MOOT_RESP_INTEGER = ':',
    MOOT_RESP_BULK = '$',
    MOOT_RESP_ARRAY = '*',
    MOOT_RESP_NULL = '_',
    MOOT_RESP_DOUBLE = ',',
    MOOT_RESP_BOOLEAN = '#',
    MOOT_RESP_MAP = '%',
    MOOT_RESP_SET = '~',
    MOOT_RESP_PUSH = '>',
    MOOT_RESP_VERBATIM = '=',
    MOOT_RESP_BIG = '(',
};
struct moot_resp_value {
    enum moot_resp_type type; /* $-1 and *-1 read as NULL. */
    int64_t integer; /* INTEGER, BOOLEAN; count of elements for ARRAY, SET, PUSH, and of pairs for
                        MAP. */
    struct moot_slice text; /* SIMPLE, ERROR, BULK, DOUBLE, VERBATIM, BIG. */
};
/* Reads one head (for aggregates: its elements follow). Same results as moot_resp_skip. */
int moot_resp_read(struct moot_slice bytes, struct moot_resp_value *value,
                   size_t *consumed) MOOT_MUST_USE;

#endif
