/* The flight recorder's stream: everything that a node's brain was told, in order.
 *
 * A brain is a function of its seed, its options, what it read, and its turns' inputs and times
 * (database/node.h). A recording holds exactly these, so that another process can feed them to
 * another brain of the same build and get the same effects, bit for bit. (Replay of all
 * nondeterministic inputs: LeBlanc and Mellor-Crummey, "Debugging Parallel Programs with Instant
 * Replay", 1987; here only one thread has any, and they already pass through one function.)
 *
 * Records, in order of time:
 *   OPEN     options of moot_node_open: the life begins
 *   ANSWER   what a disk, a store or the MAC answered to the brain, in the order it asked. What the
 *            store says depends on RocksDB's cache, so it is an input like any other. A disk's read
 *            without bytes that went well gave zeros.
 *   OPENED   what moot_node_open returned
 *   TURN     number, time, inputs; then the ANSWERs within it; then
 *   EFFECTS  digests of the turn's effects, to compare with
 *   END      why the recorder stopped
 *
 * Layout of a file: a header, then chunks; each has a checksum of its header and one of its body,
 * and a body of whole records, which may be compressed (LZ4). Each chunk carries its number: none
 * can be missing unseen. One file is one life of a brain: a process may have several
 * (host/recorder.h).
 *
 * A file that stops without END is that of a killed process, or was cut: the reader says where. */
#ifndef MOOT_REPLAY_STREAM_H
#define MOOT_REPLAY_STREAM_H

#include "base/buffer.h"
#include "base/codec.h"
#include "base/memory.h"
#include "database/turn.h"

/* ---- records ---- */

enum moot_replay_kind {
    MOOT_REPLAY_OPEN = 1,
    MOOT_REPLAY_ANSWER,
    MOOT_REPLAY_OPENED,
    MOOT_REPLAY_TURN,
    MOOT_REPLAY_EFFECTS,
    MOOT_REPLAY_END,
};

/* X(NAME, text): whom the brain asked, and what. */
#define MOOT_REPLAY_CALLS(X)                                                                       \
    X(STORE_GET, "store get")                                                                      \
    X(STORE_FETCH, "store fetch")                                                                  \
    X(STORE_ITERATE, "store iterate")                                                              \
    X(STORE_ENTRY, "store entry")                                                                  \
    X(STORE_NEXT, "store next")                                                                    \
    X(STORE_FETCH_RANGE, "store fetch range")                                                      \
    X(STORE_WRITE, "store write")                                                                  \
    X(STORE_FLUSH, "store flush")                                                                  \
    X(DISK_CREATE, "disk create")                                                                  \
    X(DISK_REMOVE, "disk remove")                                                                  \
    X(DISK_RENAME, "disk rename")                                                                  \
    X(DISK_SIZE, "disk size")                                                                      \
    X(DISK_READ, "disk read")                                                                      \
    X(DISK_WRITE, "disk write")                                                                    \
    X(DISK_LIST, "disk list")                                                                      \
    X(MAC, "message authentication code")
enum moot_replay_call {
#define X(name, text) MOOT_REPLAY_##name,
    MOOT_REPLAY_CALLS(X)
#undef X
        MOOT_REPLAY_CALL_COUNT
};
const char *moot_replay_call_text(enum moot_replay_call call);

struct moot_replay_open {
    struct moot_slice version; /* MOOT_VERSION, and */
    uint64_t program;          /* a hash of the program: another build may do otherwise. */
    struct moot_now now;
    uint64_t seed;
    uint64_t segment_bytes, segments_max;
    uint64_t election_ms, heartbeat_ms, flush_bytes, log_memory_bytes, recent_bytes;
    uint32_t feature_level;
    bool raft_trace, store_lost, has_format, has_mac;
    struct moot_slice format; /* Encoded identity. */
};

struct moot_replay_answer {
    enum moot_replay_call call;
    int status;
    uint32_t question; /* Hash of what was asked. */
    struct moot_slice a, b;
};

/* What a turn did: enough to compare, and to say what differs. Raft's traced decisions are left
 * out, so that a replay may ask for them. */
struct moot_replay_effects {
    uint64_t turn;
    uint64_t deadline_ns;
    uint64_t count[MOOT_EFFECT_KINDS];
    uint32_t hash[MOOT_EFFECT_KINDS];
    uint64_t order; /* Over the kinds, in order. */
};
void moot_replay_digest(const struct moot_effects *effects, uint64_t turn,
                        struct moot_replay_effects *out);
bool moot_replay_effects_equal(const struct moot_replay_effects *left,
                               const struct moot_replay_effects *right);
/* "raft: " lines: told only when asked for. */
bool moot_replay_is_trace(const struct moot_effect *effect);

/* X(NAME, text) */
#define MOOT_REPLAY_ENDS(X)                                                                        \
    X(STOPPED, "the server stopped")                                                               \
    X(LIMIT, "the recording had reached its limit")                                                \
    X(BEHIND, "the recorder could not keep up, and let the server go on")                          \
    X(DIED, "the server ended itself: see its last line")                                          \
    X(NEXT, "the node was opened again, and the next file goes on")
enum moot_replay_end {
#define X(name, text) MOOT_REPLAY_##name,
    MOOT_REPLAY_ENDS(X)
#undef X
        MOOT_REPLAY_END_COUNT
};
const char *moot_replay_end_text(enum moot_replay_end end);

struct moot_replay_record {
    enum moot_replay_kind kind;
    union {
        struct moot_replay_open open;
        struct moot_replay_answer answer;
        struct {
            int status;
            uint64_t incarnation;
        } opened;
        struct {
            uint64_t number; /* From 1. */
            struct moot_now now;
            const struct moot_input *inputs;
            size_t count;
        } turn;
        struct moot_replay_effects effects;
        enum moot_replay_end end;
    };
};

void moot_replay_encode(const struct moot_replay_record *record, struct moot_buffer *out);
/* Inputs go into the arena; all other slices are views of what is read. MOOT_EINVALID. */
int moot_replay_decode(struct moot_reader *reader, struct moot_arena *arena,
                       struct moot_replay_record *out) MOOT_MUST_USE;

/* ---- chunks ---- */

enum { MOOT_REPLAY_HEADER_BYTES = 16, MOOT_REPLAY_CHUNK_HEADER_BYTES = 32 };

/* What a file begins with; appended. */
void moot_replay_file_header(struct moot_buffer *out);
/* Appends `records` as chunk `number` (from 0). At most MOOT_REPLAY_CHUNK_MAX. */
void moot_replay_chunk(uint64_t number, struct moot_slice records, struct moot_buffer *out);

enum moot_replay_ending {
    MOOT_REPLAY_MORE,      /* Not at the end. */
    MOOT_REPLAY_MARKED,    /* By END: `marked` says why. */
    MOOT_REPLAY_UNMARKED,  /* After a whole chunk: killed, or cut just there. */
    MOOT_REPLAY_CUT,       /* Within a chunk. */
    MOOT_REPLAY_ROTTEN,    /* A checksum is wrong, or a chunk is missing. */
    MOOT_REPLAY_MALFORMED, /* The checksum is right, and the records make no sense. */
};

/* Reads a whole file that is in memory (or mapped). All fields are private but those named. */
struct moot_replay_stream {
    struct moot_slice file;
    size_t at;
    uint64_t chunks; /* read-only: whole ones so far */
    struct moot_buffer raw;
    struct moot_reader reader;
    struct moot_arena arena;
    enum moot_replay_ending ending; /* read-only */
    enum moot_replay_end marked;    /* read-only */
    size_t ending_at;               /* read-only: where in the file */
};
/* MOOT_EINVALID: it is no recording. MOOT_EVERSION. The file outlives the stream. */
int moot_replay_stream_open(struct moot_replay_stream *stream,
                            struct moot_slice file) MOOT_MUST_USE;
void moot_replay_stream_close(struct moot_replay_stream *stream);
/* The next record, valid until the next call; false at the end: `ending` says which. */
bool moot_replay_stream_next(struct moot_replay_stream *stream, struct moot_replay_record *out);

#endif
