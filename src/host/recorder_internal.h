/* What the recorder's two files share: the thread and file (recorder.c), and the disk, store and
 * MAC that write down what they answer (recorder_answers.c). */
#ifndef MOOT_HOST_RECORDER_INTERNAL_H
#define MOOT_HOST_RECORDER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "host/recorder.h"
#include "replay/stream.h"

struct answers_disk {
    struct moot_disk base; /* First. */
    struct moot_disk *below;
    struct recorder *recorder;
};

struct answers_store {
    struct moot_store base; /* First. */
    struct moot_store *below;
    struct recorder *recorder;
};

/* Records that wait for the disk. */
struct recorder_chunk {
    struct recorder_chunk *next;
    struct moot_buffer records;
};

struct recorder {
    struct answers_disk disk;
    struct answers_store store;
    struct moot_mac mac; /* The real one. */
    uint64_t program;
    uint64_t turns;

    /* The loop's thread. */
    struct recorder_chunk *filling; /* NULL: recording has ended. */
    uint64_t filling_since_ns;
    size_t whole_bytes; /* Of `filling`, without a record that is being written. */
    pthread_t owner;
    bool opening;

    /* Both, under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    struct recorder_chunk *first, *last, *spare;
    size_t waiting_bytes;
    bool closing;
    enum moot_replay_end end;
    atomic_bool failed; /* The thread writes no more. */
    atomic_bool idle;   /* Everything handed over is written. */

    /* The writing thread. */
    pthread_t thread;
    int fd;
    uint64_t chunks, written, limit;
    struct moot_buffer packed;
    char path[4096];
};

/* Does the loop's thread still record? */
bool recorder__is_on(struct recorder *recorder);
void recorder__put(struct recorder *recorder, const struct moot_replay_record *record);

void answers__init(struct recorder *recorder, const struct moot_node_options *options);
/* The recording MAC: for moot_mac.compute, with the recorder as its context. */
void answers__mac(void *context, struct moot_slice key, struct moot_slice message,
                  uint8_t out[MOOT_MAC_BYTES]);

#endif
