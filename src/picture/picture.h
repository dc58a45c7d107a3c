/* Space-time diagrams: what happened, on one self-contained page.
 *
 * Lamport's picture ("Time, Clocks, and the Ordering of Events", 1978): a line for each process,
 * time along it, a message as an arrow from one line to another. A picture here also has what a
 * distributed system is debugged with: roles and terms as colours along the lines, the state of
 * every process at every moment, faults as bands, and what clients asked and were told.
 *
 * Who makes one calls the functions below as things happen, in any order of lines and nearly in
 * order of time; then moot_picture_page gives one HTML file that needs no network and no library.
 * Nothing here knows of the simulator, of Raft or of moot: `moot replay`, a lab's scene or a live
 * test makes the same calls. Names (of fields, roles, kinds) are the caller's words; the page knows
 * some and shows all (docs/picture.md, which also describes the data inside the page).
 *
 * All texts are copied. Bytes that are no UTF-8 are shown as \xHH. Times are nanoseconds since
 * whatever the caller likes. What is said outside the window [from, until] is left out, except
 * states and roles before it, which say how it begins. */
#ifndef MOOT_PICTURE_PICTURE_H
#define MOOT_PICTURE_PICTURE_H

#include "base/buffer.h"
#include "moot/base.h"

struct moot_picture; /* opaque */

struct moot_picture_options {
    struct moot_slice title, subtitle; /* The subtitle: how to get this picture again. */
    uint64_t from, until;              /* 0, 0: everything. */
};
struct moot_picture *moot_picture_make(const struct moot_picture_options *options);
void moot_picture_free(struct moot_picture *picture);

/* ---- lines ---- */

enum moot_picture_sort {
    MOOT_PICTURE_NODE,   /* Has roles and states, sends and receives. */
    MOOT_PICTURE_CLIENT, /* Has operations. */
};
enum { MOOT_PICTURE_NOBODY = UINT32_MAX };
/* Numbers from 0, in the order of the calls, which is the order on the page. */
uint32_t moot_picture_line(struct moot_picture *picture, enum moot_picture_sort sort,
                           struct moot_slice name);

/* ---- messages ---- */

struct moot_picture_message {
    struct moot_slice kind; /* A few words that many messages share: `append`, `vote`. */
    uint32_t from, to;      /* Lines; `to` may be NOBODY. */
    uint64_t sent;
    struct moot_slice text; /* The content, for who clicks it. */
};
/* SIZE_MAX: it is not in the window, or too many are: the calls below ignore it. */
size_t moot_picture_sent(struct moot_picture *picture, const struct moot_picture_message *message);
void moot_picture_arrived(struct moot_picture *picture, size_t message, uint64_t at);
/* At `at` it became clear that it does not arrive. */
void moot_picture_lost(struct moot_picture *picture, size_t message, uint64_t at,
                       struct moot_slice why);

/* ---- along a line ---- */

/* From now on the line has this role, on a track of its own (`track` from 0: a process may be
 * leader of one group and follower of another). The role "down" means: no process. `epoch` colours
 * it: a term, a view, a ballot; 0: none. Saying again what is already so costs nothing. */
void moot_picture_role(struct moot_picture *picture, uint32_t line, uint32_t track, uint64_t at,
                       struct moot_slice role, uint64_t epoch);
void moot_picture_track_name(struct moot_picture *picture, uint32_t track, struct moot_slice name);
/* From now on `field` has this value, which is shown as it is. */
void moot_picture_state(struct moot_picture *picture, uint32_t line, uint64_t at,
                        struct moot_slice field, struct moot_slice value);
void moot_picture_number(struct moot_picture *picture, uint32_t line, uint64_t at,
                         struct moot_slice field, uint64_t value);

/* X(NAME, text): what the page marks differently. */
#define MOOT_PICTURE_MOMENTS(X)                                                                    \
    X(START, "start")       /* A process begins. */                                                \
    X(END, "end")           /* It ends or dies. */                                                 \
    X(DECISION, "decision") /* What a protocol decided, and why. */                                \
    X(LOG, "log")           /* What it says to people. */                                          \
    X(FAULT, "fault")       /* Done to it, at one instant. */                                      \
    X(PHASE, "phase")       /* Of the whole run; line NOBODY. */                                   \
    X(WRONG, "wrong")       /* What must not be. */
enum moot_picture_moment_sort {
#define X(name, text) MOOT_PICTURE_##name,
    MOOT_PICTURE_MOMENTS(X)
#undef X
        MOOT_PICTURE_MOMENT_SORTS
};
/* `line` NOBODY: of the whole picture. */
void moot_picture_moment(struct moot_picture *picture, uint32_t line, uint64_t at,
                         enum moot_picture_moment_sort sort, struct moot_slice text);

/* ---- faults that last ---- */

struct moot_picture_fault {
    struct moot_slice name, text;
    uint64_t lines;       /* Bit i: line i, which it happens to. */
    uint64_t others;      /* The other side of a partition, or 0. */
    uint64_t from, until; /* UINT64_MAX: until it is ended, or to the end. */
};
/* The number that names it to moot_picture_fault_ends. */
size_t moot_picture_fault(struct moot_picture *picture, const struct moot_picture_fault *fault);
/* Ends it earlier than was thought; later than its end, nothing happens. */
void moot_picture_fault_ends(struct moot_picture *picture, size_t fault, uint64_t at);

/* ---- clients ---- */

enum moot_picture_outcome {
    MOOT_PICTURE_OPEN, /* No answer yet, or never. */
    MOOT_PICTURE_OK,
    MOOT_PICTURE_FAIL,
    MOOT_PICTURE_INDOUBT,
};
struct moot_picture_operation {
    uint32_t line, by; /* `by`: the line that was asked, or NOBODY. */
    uint64_t called, returned;
    enum moot_picture_outcome outcome;
    struct moot_slice asked, answer;
    bool is_wrong;    /* The checker accuses it. */
    bool is_evidence; /* It takes part in what is wrong. */
};
void moot_picture_operation(struct moot_picture *picture,
                            const struct moot_picture_operation *operation);

/* ---- the end ---- */

/* `words` empty: all is well. */
void moot_picture_verdict(struct moot_picture *picture, struct moot_slice words);
/* The data alone, as JSON; and the page with it. `end` is the last instant, or
 * earlier than what was seen last. */
void moot_picture_json(struct moot_picture *picture, uint64_t end, struct moot_buffer *out);
void moot_picture_page(struct moot_picture *picture, uint64_t end, struct moot_buffer *out);
/* How much was left out because there was too much of it. */
uint64_t moot_picture_left_out(const struct moot_picture *picture);

#endif
