/* What clients asked and what they were told: the evidence that every checker judges.
 *
 * A history is a list of operations. Each has an interval: it was called at one instant, and its
 * answer arrived at a later one. Somewhere inside the interval it took effect, if it did.
 *
 *     process 1   |--- write 5 ---|
 *     process 2        |--- read -> nil ---|     may be before the write: they overlap
 *     process 3                              |--- read -> nil ---|     must not be: stale
 *
 * Three outcomes. `ok`: done, the result is what the client was told. `fail`: surely not done, now
 * or ever. `in doubt`: no answer, or one that says so; it may take effect at any later time, or
 * never. An operation that was called and never returned is in doubt.
 *
 * Time decides who came first: `a` precedes `b` when a returned before b was called. Equal instants
 * are concurrent, which is the cautious reading. The recorder (call and return, for one thread)
 * therefore never gives two events the same instant: it moves a tie on by a nanosecond, in the
 * order of the calls. Whoever merges the records of several threads uses moot_history_add instead.
 *
 * Which command is which kind, and the file format: docs/history.md.
 *
 * An operation on several keys is a transaction: a list of steps, each a read, write or append.
 * Transactions have checkers of their own (transaction.h). */
#ifndef MOOT_CHECK_HISTORY_H
#define MOOT_CHECK_HISTORY_H

#include "base/buffer.h"
#include "base/memory.h"
#include "moot/base.h"

/* X(NAME, text). The comments name a Redis command of that kind, its argument and its result. A
 * result that the client did not look at is NONE, and then explains itself with any value. */
#define MOOT_OPERATION_KINDS(X)                                                                    \
    X(READ, "read")             /* GET -> bytes or nil; LRANGE 0 -1, SMEMBERS, MGET -> list */     \
    X(WRITE, "write")           /* SET value */                                                    \
    X(CAS, "cas")               /* expected (nil: absent), argument (nil: delete) -> 1 or 0 */     \
    X(DELETE, "delete")         /* DEL -> 1 or 0 */                                                \
    X(SWAP, "swap")             /* GETSET value -> the old one, or nil */                          \
    X(INCREMENT, "increment")   /* INCRBY integer -> the new value */                              \
    X(APPEND, "append")         /* APPEND bytes -> the new length */                               \
    X(PUSH, "push")             /* RPUSH bytes -> the new length */                                \
    X(PUSH_FRONT, "push-front") /* LPUSH bytes -> the new length */                                \
    X(POP, "pop")               /* LPOP -> bytes or nil */                                         \
    X(POP_BACK, "pop-back")     /* RPOP -> bytes or nil */                                         \
    X(LENGTH, "length")         /* LLEN, STRLEN -> integer */                                      \
    X(ADD, "add")               /* SADD bytes, to a set */                                         \
    X(GENERATE, "generate")     /* a new unique id -> bytes or integer */                          \
    X(TXN, "txn")               /* MULTI ... EXEC: steps on several keys; last in this list */

enum moot_operation_kind {
#define X(name, text) MOOT_OPERATION_##name,
    MOOT_OPERATION_KINDS(X)
#undef X
        MOOT_OPERATION_KINDS_COUNT
};

enum moot_outcome {
    MOOT_OUTCOME_INDOUBT, /* Zero, so that what was never answered is in doubt. */
    MOOT_OUTCOME_OK,
    MOOT_OUTCOME_FAIL,
};

enum moot_history_value_kind {
    MOOT_HISTORY_NONE, /* No argument; or a result that nobody looked at. */
    MOOT_HISTORY_NIL,
    MOOT_HISTORY_INTEGER,
    MOOT_HISTORY_BYTES,
    MOOT_HISTORY_LIST,
};

struct moot_history_value {
    enum moot_history_value_kind kind;
    int64_t integer;
    struct moot_slice bytes;
    const struct moot_slice *items; /* LIST: `count` of them. */
    size_t count;
};

/* One step of a transaction. */
struct moot_history_step {
    enum moot_operation_kind kind; /* READ, WRITE or APPEND (of one element, to a list). */
    struct moot_slice key;
    struct moot_history_value value; /* The argument; of a read, what it saw, NONE if unknown. */
};

struct moot_operation {
    uint32_t process; /* The client; one that overlaps itself is allowed. */
    enum moot_operation_kind kind;
    enum moot_outcome outcome;
    struct moot_slice key;
    struct moot_history_value argument;
    struct moot_history_value expected; /* CAS only. */
    struct moot_history_value result;   /* OK only. */
    uint64_t lives_ms; /* WRITE only: how long the value is there. 0: until it is written over. */
    const struct moot_history_step *steps; /* TXN only: `steps_count` of them, in order. */
    size_t steps_count;
    struct moot_instant called;
    struct moot_instant returned; /* In doubt: when the client gave up; no checker looks at it. */
};

struct moot_history {
    struct moot_operation *operations; /* read-only: `count` of them, in the order of recording */
    size_t count;                      /* read-only */
    size_t capacity;                   /* private */
    struct moot_instant latest;        /* private: of the recorder's events */
    struct moot_arena arena;           /* private: owns every byte named above */
};

static inline struct moot_history_value moot_history_none(void)
{
    return (struct moot_history_value){.kind = MOOT_HISTORY_NONE};
}
static inline struct moot_history_value moot_history_nil(void)
{
    return (struct moot_history_value){.kind = MOOT_HISTORY_NIL};
}
static inline struct moot_history_value moot_history_integer(int64_t integer)
{
    return (struct moot_history_value){.kind = MOOT_HISTORY_INTEGER, .integer = integer};
}
static inline struct moot_history_value moot_history_bytes(struct moot_slice bytes)
{
    return (struct moot_history_value){.kind = MOOT_HISTORY_BYTES, .bytes = bytes};
}
static inline struct moot_history_value moot_history_list(const struct moot_slice *items,
                                                          size_t count)
{
    return (struct moot_history_value){.kind = MOOT_HISTORY_LIST, .items = items, .count = count};
}

void moot_history_init(struct moot_history *history);
void moot_history_deinit(struct moot_history *history);

/* The recorder. All bytes are copied; returns the operation's number, which stays the same. Record
 * the call before the request leaves, and the return after the answer was read. */
size_t moot_history_call(struct moot_history *history, uint32_t process,
                         enum moot_operation_kind kind, struct moot_slice key,
                         struct moot_history_value argument, struct moot_instant now);
size_t moot_history_call_cas(struct moot_history *history, uint32_t process, struct moot_slice key,
                             struct moot_history_value expected, struct moot_history_value argument,
                             struct moot_instant now);
/* A write whose value expires. */
void moot_history_lives(struct moot_history *history, size_t operation, uint64_t lives_ms);
/* Once for an operation. `result` matters for OK only. */
void moot_history_return(struct moot_history *history, size_t operation, enum moot_outcome outcome,
                         struct moot_history_value result, struct moot_instant now);

/* A transaction. Values of reads are looked at only when it is OK: they are set by the return. */
size_t moot_history_call_txn(struct moot_history *history, uint32_t process,
                             const struct moot_history_step *steps, size_t count,
                             struct moot_instant now);
/* `steps`: the same ones, with what the reads saw; NULL unless OK. */
void moot_history_return_txn(struct moot_history *history, size_t operation,
                             enum moot_outcome outcome, const struct moot_history_step *steps,
                             struct moot_instant now);

/* A whole operation, with its own times, which are kept as they are. Bytes are copied. */
size_t moot_history_add(struct moot_history *history, const struct moot_operation *operation);

/* Words for people: `process 3 read "k" -> "5" at 1.204 ms to 1.310 ms`. */
void moot_operation_describe(const struct moot_operation *operation, struct moot_buffer *out);
void moot_history_value_describe(const struct moot_history_value *value, struct moot_buffer *out);
const char *moot_operation_kind_text(enum moot_operation_kind kind);
bool moot_history_value_equal(const struct moot_history_value *a,
                              const struct moot_history_value *b);

/* JSON lines, one operation a line, in the order of recording (docs/history.md). */
void moot_history_write_operation(const struct moot_operation *operation, struct moot_buffer *out);
void moot_history_write(const struct moot_history *history, struct moot_buffer *out);
/* Adds the operations of `text` to `history`. MOOT_EINVALID on the first malformed line: *line is
 * its number, counted from 1, and *why says what is wrong; the lines before it were added. */
MOOT_MUST_USE int moot_history_read(struct moot_history *history, struct moot_slice text,
                                    size_t *line, const char **why);

/* Jepsen's histories (history_edn.c); errors as above, but *line is where the map ends.
 * `add_is_increment`: `:f :add` adds to a counter, not to a set. */
MOOT_MUST_USE int moot_history_read_edn(struct moot_history *history, struct moot_slice text,
                                        bool add_is_increment, size_t *line, const char **why);
/* A guess by how the text begins: EDN, or JSON lines. */
bool moot_history_is_edn(struct moot_slice text);

#endif
