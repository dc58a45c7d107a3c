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
    uint32_t offset, size; /* Into the bytes given to moot_resp_parse, or into inline_text. */
};
enum moot_resp_state {
    MOOT_RESP_AT_START, /* Between commands. */
    MOOT_RESP_IN_INLINE,
    MOOT_RESP_IN_COUNT, /* In `*3`. */
    MOOT_RESP_IN_SIZE,  /* In `$3`. */
    MOOT_RESP_IN_BODY,  /* In the bytes of a bulk string, or its line end. */
    MOOT_RESP_FAILED,
};
/* Not copyable after an error: `error` may point into error_text. */
struct moot_resp_parser {
    struct moot_resp_arg *args; /* read-only: arg_count of them, until the next call */
    uint32_t arg_count;         /* read-only */
    bool args_are_inline;       /* read-only: args point into inline_text, not into the bytes */
    const char *error; /* read-only: after MOOT_EINVALID or MOOT_ELIMIT, what to answer ("ERR
                          Protocol error: ..."). */
    /* private: where the current command stands */
    enum moot_resp_state state;
    uint32_t arg_capacity, arg_want;
    uint32_t bulk_size;
    size_t token;   /* Offset of the line or body that is being read. */
    size_t scanned; /* Its line end is known not to be before this offset. */
    int failure;
    struct moot_buffer inline_text; /* Unescaped arguments of an inline command. */
    char error_text[64];
};
void moot_resp_parser_init(struct moot_resp_parser *parser);
void moot_resp_parser_deinit(struct moot_resp_parser *parser);
/* Looks for one whole command at the start of `bytes`, which begin where the last command ended,
 * and which may only have grown (and may have moved) since the last call that answered MOOT_EAGAIN.
 * 0: a command of parser->arg_count arguments, to be read with moot_resp_arg, and *consumed bytes
 * belong to it; zero arguments is an empty line, to be skipped. MOOT_EAGAIN: more bytes are needed.
 * MOOT_EINVALID, MOOT_ELIMIT: answer parser->error and close; every later call says the same. */
int moot_resp_parse(struct moot_resp_parser *parser, struct moot_slice bytes,
                    size_t *consumed) MOOT_MUST_USE;
/* An argument of the command just parsed out of `bytes`. Valid until the next moot_resp_parse, and
 * as long as `bytes` are. */
static inline struct moot_slice moot_resp_arg(const struct moot_resp_parser *parser,
                                              struct moot_slice bytes, uint32_t index)
{
    const uint8_t *base = parser->args_are_inline ? parser->inline_text.data : bytes.data;
    return (struct moot_slice){base + parser->args[index].offset, parser->args[index].size};
}

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
    struct moot_slice text; /* SIMPLE, ERROR, BULK, DOUBLE, VERBATIM (without its format), BIG. */
};
/* Reads one head (for aggregates: its elements follow). Same results as moot_resp_skip. */
int moot_resp_read(struct moot_slice bytes, struct moot_resp_value *value,
                   size_t *consumed) MOOT_MUST_USE;

#endif
