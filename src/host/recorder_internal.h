/* What the recorder's files share: the thread and the file (recorder.c), the folder
 * (recorder_folder.c), and the disk, store and MAC that write down what they answer
 * (recorder_answers.c). */
#ifndef MOOT_HOST_RECORDER_INTERNAL_H
#define MOOT_HOST_RECORDER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "host/folder.h"
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
    bool opened; /* The last of what the brain read at its start. */
};

/* The files of a folder: "000001.mootrec" and so on. */
struct recorder_folder {
    int fd; /* Locked: another server's ring would remove these files. */
    char path[HOST_PATH_BYTES];
    uint64_t bytes; /* Of all files in it, but for the one under way. */
    uint32_t files; /* How many these are. */
    uint32_t last;  /* The greatest number. */
};

struct recorder {
    struct answers_disk disk;
    struct answers_store store;
    struct moot_mac mac; /* The real one. */
    struct moot_duration span;
    uint64_t limit;
    bool once;
    uint64_t program;
    uint64_t turns;

    /* The loop's thread. */
    struct recorder_chunk *filling; /* NULL: this file has ended. */
    uint64_t filling_since_ns;
    size_t whole_bytes; /* Of `filling`, without a record that is being written. */
    pthread_t owner;
    bool opening;
    uint64_t now_ns, began_ns;  /* The last turn's time, and the file's first. */
    uint64_t due_bytes, due_ns; /* When the next file is wanted. */
    bool twice_in_vain;         /* The file before ended `in_vain`. */

    /* Both, under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    struct recorder_chunk *first, *last, *spare;
    size_t waiting_bytes;
    bool finish;  /* The file ends when the queue is empty, */
    bool closing; /* and so does the thread. */
    enum moot_replay_end end;
    atomic_bool failed;  /* The file has ended. */
    atomic_bool idle;    /* Everything handed over is written. */
    atomic_bool in_vain; /* It ended before the brain was open: that reads too much. */
    /* Of this file; and when the brain had opened, UINT64_MAX: not written as far. */
    atomic_ullong written, opened_bytes;

    /* The writing thread's, and the loop's while the queue is empty and the mutex held. */
    pthread_t thread;
    int fd; /* -1: there is none. */
    uint64_t chunks;
    struct recorder_folder folder;
    struct moot_buffer packed;
    char path[HOST_PATH_BYTES];
};

/* Does the loop's thread still record? */
bool recorder__is_on(struct recorder *recorder);
void recorder__put(struct recorder *recorder, const struct moot_replay_record *record);

void answers__init(struct recorder *recorder, const struct moot_node_options *options);
/* The recording MAC: for moot_mac.compute, with the recorder as its context. */
void answers__mac(void *context, struct moot_slice key, struct moot_slice message,
                  uint8_t out[MOOT_MAC_BYTES]);

/* Makes, locks and looks into it. */
bool recorder_folder__open(struct recorder_folder *folder, const char *dir, char *why,
                           size_t why_size);
void recorder_folder__close(struct recorder_folder *folder);
/* Counts the file that was under way among the others. */
void recorder_folder__add(struct recorder_folder *folder, uint64_t bytes);
/* Removes the oldest file that is not under way (`under_way`: there is such a file). False when
 * there is none, or it stays. */
bool recorder_folder__remove_oldest(struct recorder_folder *folder, bool under_way);
/* The next file, open for writing; its whole name in `path`. -1 and a sentence. */
int recorder_folder__next(struct recorder_folder *folder, char path[HOST_PATH_BYTES], char *why,
                          size_t why_size);

#endif
