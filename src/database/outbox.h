/* What one turn wants done, collected by every part of the brain and handed to the driver in one
 * order: journal, sends, replies, store batch, and then the rest as it came.
 *
 * Three things outlive a turn. Records wait here while the journal has enough batches in flight (so
 * that a slow disk makes batches larger, not queues longer). Sends that depend on records are held
 * until those are durable: the one place where "nothing leaves before what it depends on is
 * durable" is enforced. Records are numbered as they are added; a send waits for the number of the
 * last record before it. Posts to this node itself that a turn did not come to are carried to the
 * next one, in order. */
#ifndef MOOT_DATABASE_OUTBOX_H
#define MOOT_DATABASE_OUTBOX_H

#include "base/limits.h"
#include "base/memory.h"
#include "database/group/message.h"
#include "database/turn.h"

enum {
    MOOT_OUTBOX_JOURNAL_IN_FLIGHT = 2,
    MOOT_OUTBOX_PARTS_MAX = MOOT_RAFT_ENTRIES_PER_APPEND + 2
};

/* A message from this node to itself: never encoded. */
struct moot_local_post {
    struct moot_message message;
    struct moot_block
        *owner; /* A reference: of the block that holds the message's slice; or NULL. */
};

struct moot_outbox {
    struct moot_arena arena; /* Of this turn. */
    struct moot_batch batch; /* Of this turn: the store's. */
    moot_node_id self;
    struct moot_effect_list *list; /* private */
    struct moot_local_post
        *local; /* read-only: posts to this node, in order; drained by the node */
    size_t local_count, local_capacity, local_next;
    uint64_t recorded;      /* read-only: number of the last record added */
    uint64_t durable;       /* read-only: number of the last record known durable */
    uint64_t durable_batch; /* read-only: ticket of the last durable batch */
    uint64_t
        journal_bytes; /* read-only: laid out since it was last set to 0 (by whoever flushes) */
    uint64_t batch_bytes_max; /* 0: as limits.h says. Records of one batch, but for a first one. */
    /* Every hard state is in two batches, so that no rotten one takes the last copy: those of the
     * last batch, if `repeats`, are in the next one again. */
    struct {
        struct moot_record record; /* No kind: none yet. */
        bool repeats;
    } hard[MOOT_GROUPS_MAX];
    /* The journal is told that a group's log is whole with the batch that has this record:
     * UINT64_MAX: it is not; 0: it ever was. */
    uint64_t whole_from[MOOT_GROUPS_MAX];
    /* Asked when the journal is full: what it must be told again so that its oldest segment can go
     * (restate.c). NULL: nobody. */
    struct {
        size_t (*records)(void *context, const struct moot_record **out);
        void *context;
    } restate;
};

void moot_outbox_init(struct moot_outbox *outbox, moot_node_id self);
void moot_outbox_deinit(struct moot_outbox *outbox);
/* A new turn: what the last one handed out is void; posts to this node that it left are kept. */
void moot_outbox_begin(struct moot_outbox *outbox);

/* Adds a record; `owner` (retained) holds record->bytes, or is NULL when they are copied. Returns
 * the record's number. */
uint64_t moot_outbox_record(struct moot_outbox *outbox, const struct moot_record *record,
                            struct moot_block *owner);
/* Posts a message. To this node itself: queued as it is, `owner` retained. To others: encoded now;
 * `parts` follow the encoding (for APPEND: the entries). `after_durable`: leaves only once every
 * record added so far is durable. */
struct moot_post {
    moot_node_id to;
    const struct moot_message *message;
    struct moot_block *owner;
    const struct moot_part *parts;
    uint32_t part_count;
    bool urgent, after_durable;
};
void moot_outbox_post(struct moot_outbox *outbox, const struct moot_post *post);
/* An effect that is performed after the store batch; fill it in at once. */
struct moot_effect *moot_outbox_effect(struct moot_outbox *outbox, enum moot_effect_kind kind);
/* A reply effect; performed before the store batch. Bytes are copied into the arena. */
void moot_outbox_reply(struct moot_outbox *outbox, moot_connection_id connection,
                       struct moot_slice bytes);
/* A line for people, put together from texts and numbers by the caller in a buffer. */
void moot_outbox_log(struct moot_outbox *outbox, enum moot_log_level level, struct moot_slice text);
/* Batch `ticket` is durable: held sends that waited for it go out with this turn. */
void moot_outbox_durable(struct moot_outbox *outbox, moot_ticket ticket);
/* The end of the turn: lays out the journal batch when one may go, and gives the effects in order.
 * `idle_mark`: write an empty closing batch when there is nothing else. Returns a negative status
 * when the journal is full. */
int moot_outbox_finish(struct moot_outbox *outbox, struct moot_journal *journal, bool idle_mark,
                       struct moot_effects *out) MOOT_MUST_USE;
/* This hard state is in the journal's last batch: it will be repeated. */
void moot_outbox_repeat(struct moot_outbox *outbox, const struct moot_record *record);
/* The least index that a waiting record of the group is about: entries below it are in the journal
 * as they are in memory. 0: a snapshot waits, and the journal knows another log. UINT64_MAX: none
 * waits. */
moot_index moot_outbox_first_waiting(const struct moot_outbox *outbox, moot_group_id group);
/* Records wait for a free place in the journal. */
bool moot_outbox_is_waiting(const struct moot_outbox *outbox);
bool moot_outbox_in_flight(const struct moot_outbox *outbox);

#endif
