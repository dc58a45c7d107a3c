/* A driver's half of work beside turns: FETCH, FLUSH, INGEST, PIN_READ, LONG_READ.
 *
 * Both drivers do the same with such an effect: they keep what it needs, perform it when and where
 * they like, and hand in the answer. Only when and where is their own: the host has threads, the
 * simulator a queue in virtual time. */
#ifndef MOOT_DATABASE_WORK_H
#define MOOT_DATABASE_WORK_H

#include "base/buffer.h"
#include "base/memory.h"
#include "database/turn.h"
#include "storage/store.h"

struct moot_work {
    enum moot_effect_kind kind;
    moot_ticket ticket;
    struct moot_arena
        arena; /* What is needed of the effect, whose bytes are gone after the turn. */
    struct moot_slice *keys;
    struct moot_range *ranges;
    bool *reverse; /* FETCH: of each range. */
    uint32_t key_count, range_count;
    uint64_t limit;
    enum moot_ingest_step step;
    struct moot_slice chunk;
    struct moot_batch extra;
    struct moot_long_read long_read;
    /* Made by moot_work_perform. */
    int status;
    moot_index index; /* LONG_READ: what the pin contains. */
    struct moot_buffer result;
};

void moot_work_init(struct moot_work *work, const struct moot_effect *effect);
void moot_work_deinit(struct moot_work *work);

/* The last step of installing a snapshot: no later batch may be written before it is done. */
bool moot_work_is_commit(const struct moot_work *work);

/* On any thread. `pin`: that of a PIN_READ or LONG_READ. `is_over` (NULL: never) may ask a long
 * read to end early. */
void moot_work_perform(struct moot_work *work, struct moot_store *store, struct moot_store_pin *pin,
                       bool (*is_over)(void *over), void *over);

/* Its bytes are the work's. */
struct moot_input moot_work_answer(const struct moot_work *work);

#endif
