/* The flight recorder: writes what the brain is told to files, as replay/stream.h describes, and
 * keeps the last of them.
 *
 * The loop's thread only appends to memory. A thread of its own compresses and writes; when it
 * falls behind by MOOT_RECORD_QUEUE_BYTES, or the disk refuses, a file ends with a line for people
 * and a mark, and the server goes on. Only while the brain opens (it may read much of the journal,
 * and nobody is served yet) does it wait for the disk.
 *
 * The ring. A replay needs a state to begin from, so each file begins with a brain that opens. When
 * a file has reached a good third of the limit (or its time), recorder__wants_next says so; whoever
 * drives the brain has it come to rest (MOOT_INPUT_REOPEN), closes it, calls recorder__next, and
 * opens it again. The oldest files go when their room is needed: never is more than the limit on
 * the disk, and, once the ring has gone round, seldom less than the larger half of it. When the
 * brain cannot be opened again for so long that the file under way alone has reached the limit, it
 * ends, and the ring has a gap until the next one.
 *
 * A process that comes back may read a large journal first. When that would take a quarter of the
 * limit, the file ends before its first turn, and the recording begins with the next one, at once:
 * a brain that comes after another one reads little.
 *
 * When the process ends itself (an assertion, a failed disk) what is in memory is still written;
 * after SIGKILL the last MOOT_RECORD_CHUNK_MS may be missing.
 *
 * The files hold what clients sent and what they got: they are as secret as the data (mode 0600).
 * The cluster's secret is not in them. */
#ifndef MOOT_HOST_RECORDER_H
#define MOOT_HOST_RECORDER_H

#include "database/node.h"

struct recorder; /* opaque */

struct recorder_options {
    const char *dir;           /* Made when missing. Of one server at a time. */
    uint64_t limit_bytes;      /* Of all recordings there. */
    struct moot_duration span; /* Of one file; 0: as its bytes reach. */
    bool once;                 /* No ring: the first file until it has reached the limit. */
};

/* A new file. NULL and a sentence: it cannot be. */
struct recorder *recorder__open(const struct recorder_options *options, char *why, size_t why_size);
/* Writes what is left. The brain must be closed: it has used the disk and store below. */
void recorder__close(struct recorder *recorder);

/* Opens the brain and records that. The options' disk, store and MAC are replaced by ones that
 * record what the brain is answered; the brain uses them as long as it lives. */
int recorder__open_node(struct recorder *recorder, const struct moot_node_options *options,
                        struct moot_node **out, char why[256]) MOOT_MUST_USE;
/* One turn, recorded; the context is the recorder: for moot_loop_options.turn. */
void recorder__turn(void *context, struct moot_node *node, const struct moot_input *inputs,
                    size_t count, struct moot_now now, struct moot_effects *out);

/* It is time for the next file. */
bool recorder__wants_next(struct recorder *recorder);
/* Between two brains: ends the file under way, waits until it is written, and begins the next. */
void recorder__next(struct recorder *recorder);

/* A hash of the program that runs. */
uint64_t recorder__program(void);

#endif
