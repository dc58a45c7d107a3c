/* The flight recorder: writes what the brain is told to a file, as replay/stream.h describes.
 *
 * The loop's thread only appends to memory. A thread of its own compresses and writes; when it
 * falls behind by MOOT_RECORD_QUEUE_BYTES, or the disk refuses, or the folder has reached its
 * limit, recording ends with a line for people and a mark in the file, and the server goes on. Only
 * while the brain opens (it may read a gigabyte of journal, and nobody is served yet) does it wait
 * for the disk.
 *
 * When the process ends itself (an assertion, a failed disk) what is in memory is still written;
 * after SIGKILL the last MOOT_RECORD_CHUNK_MS may be missing.
 *
 * The file holds what clients sent and what they got: it is as secret as the data (mode 0600). The
 * cluster's secret is not in it. */
#ifndef MOOT_HOST_RECORDER_H
#define MOOT_HOST_RECORDER_H

#include "database/node.h"

struct recorder; /* opaque */

/* A new file in `dir`, which is made when missing. NULL and a sentence: it cannot be. */
struct recorder *recorder__open(const char *dir, uint64_t limit_bytes, char *why, size_t why_size);
/* Writes what is left. The brain must be closed: it has used the disk and store below. */
void recorder__close(struct recorder *recorder);

/* Opens the brain and records that. The options' disk, store and MAC are replaced by ones that
 * record what the brain is answered; the brain uses them as long as it lives. */
int recorder__open_node(struct recorder *recorder, const struct moot_node_options *options,
                        struct moot_node **out, char why[256]) MOOT_MUST_USE;
/* One turn, recorded; the context is the recorder: for moot_loop_options.turn. */
void recorder__turn(void *context, struct moot_node *node, const struct moot_input *inputs,
                    size_t count, struct moot_now now, struct moot_effects *out);
/* A hash of the program that runs. */
uint64_t recorder__program(void);

#endif
