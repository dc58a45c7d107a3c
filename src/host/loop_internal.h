/* What the files of the loop share: who pushes inputs, who performs which effect. */
#ifndef MOOT_HOST_LOOP_INTERNAL_H
#define MOOT_HOST_LOOP_INTERNAL_H

#include <uv.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/rng.h"
#include "host/journal_thread.h"
#include "host/loop.h"
#include "host/workers.h"
#include "moot/detector.h"

struct client;
struct swim_udp;
struct peer;
struct link;
struct read_chunk;

/* Connections of clients (clients.c). A slot's id is serial * MOOT_CLIENT_SLOTS + slot. */
struct clients {
    uv_tcp_t listener;
    struct client **slots;
    uint32_t *free_slots;
    uint32_t free_count, count, count_max;
    uint64_t serial;
    struct client *dirty; /* Those with something to write at the end of this turn. */
};

/* Links to other nodes (peers.c, link.c). */
struct peers {
    uv_tcp_t listener;
    bool listening;
    struct peer *all[MOOT_PEERS_MAX];
    uint32_t count, taken; /* Whose place was taken last. */
    struct link *links;    /* All that are not closed, proven or not. */
    uint32_t unproven;
    uint64_t stranger_told_ns;
    struct link *dirty;
    uv_timer_t beat_timer;
    struct moot_observer observer; /* Of this process: was it paused? */
};

struct moot_loop {
    struct moot_loop_options options;
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t deadline_timer, second_timer;
    uv_signal_t signals[2];
    uv_async_t journal_async, workers_async;
    struct moot_rng rng; /* Jitter of re-dials only. */

    /* The next turn. */
    struct moot_input *inputs, *inputs_spare;
    size_t input_count, input_capacity, spare_capacity;
    struct read_chunk *chunks, *chunk_now; /* What was read for it. */
    size_t chunk_count;
    struct moot_block **blocks; /* Peer messages, released after the turn. */
    size_t block_count, block_capacity;
    struct moot_instant deadline;
    bool deadline_armed;

    struct clients clients;
    struct peers peers;
    struct swim_udp *swim; /* NULL: no port for peers. */
    struct journal_thread *journal;
    struct workers *workers;
    bool answers_wait; /* For the journal's last batch, and nothing else does. */
    bool stop_asked, ended;
    bool reopen_asked; /* The brain was told; its STOP may be the answer. */
    int exit_status;
};

/* A new input of the next turn, zeroed but for its kind. Fill it before the next call. */
struct moot_input *loop__input(struct moot_loop *loop, enum moot_input_kind kind);
/* libuv's alloc callback of every stream: memory that lasts until the end of the next turn. */
void loop__alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
/* Keeps what was just read into memory of loop__alloc. */
void loop__keep_read(struct moot_loop *loop, size_t size);
/* Keeps the caller's reference until the end of the next turn. */
void loop__keep_block(struct moot_loop *loop, struct moot_block *block);
uint64_t loop__now_ns(void);

void clients__init(struct moot_loop *loop);
void clients__effect(struct moot_loop *loop, const struct moot_effect *effect);
void clients__flush(struct moot_loop *loop);
void clients__second(struct moot_loop *loop); /* Once a second: drop those that linger. */
/* Reads no more. How many bytes of replies clients have not confirmed yet. */
uint64_t clients__drain(struct moot_loop *loop);
/* A fresh brain is to know those that the one before has kept; others are dropped. */
void clients__reopened(struct moot_loop *loop);
void clients__close(struct moot_loop *loop);
void clients__deinit(struct moot_loop *loop); /* After uv has let go of all handles. */

void peers__init(struct moot_loop *loop);
void peers__effect_peer(struct moot_loop *loop, const struct moot_effect *effect);
void peers__effect_send(struct moot_loop *loop, const struct moot_effect *effect);
void peers__flush(struct moot_loop *loop);
void peers__second(struct moot_loop *loop);
void peers__leave(struct moot_loop *loop);  /* Says goodbye on all links. */
void peers__forget(struct moot_loop *loop); /* All links and addresses: the brain says them anew. */
void peers__close(struct moot_loop *loop);
void peers__deinit(struct moot_loop *loop);

#endif
