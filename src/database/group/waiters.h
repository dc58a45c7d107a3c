/* Blocked clients of a group, at its leader: who waits for which keys, in order of arrival.
 *
 * Nothing here is in the log: only decisions are. A push wakes the first waiter of a key; its edge,
 * which knows whether the client is still there, tries again with an ordinary numbered batch, so
 * that a popped element is as safe as any write. The table is lost with the leader; edges register
 * again with the next one, under the arrival stamps they had. */
#ifndef MOOT_DATABASE_GROUP_WAITERS_H
#define MOOT_DATABASE_GROUP_WAITERS_H

#include "base/buffer.h"
#include "base/limits.h"
#include "database/execute/head.h"
#include "database/execute/key.h"

struct moot_waiter {
    moot_node_id edge;
    uint64_t incarnation; /* of the edge */
    uint64_t id;          /* the edge's name for it */
    struct moot_stamp arrival;
    uint8_t database;
    bool woken;
    bool tried;   /* Since it was woken: its new try is in the log. */
    bool overdue; /* Woken, and nothing heard for long: it holds up nobody any more. */
    struct moot_instant woken_first, woken_at; /* First and last told. */
    uint32_t key_count;
    uint64_t *prints; /* hash of (keyspace, key), for each key */
    struct moot_slice *keys;
    moot_keyspace *keyspaces;
};

struct moot_waiters {
    struct moot_waiter *items; /* read-only: sorted by arrival, then edge and id */
    uint32_t count, capacity;
};

void moot_waiters_init(struct moot_waiters *waiters);
void moot_waiters_deinit(struct moot_waiters *waiters);
void moot_waiters_clear(struct moot_waiters *waiters);
uint64_t moot_waiters_print(moot_keyspace keyspace, struct moot_slice key);

/* One registration as an edge sends it. `keyspaces` are filled in by the leader from the databases.
 */
struct moot_waiter_wish {
    uint64_t id;
    struct moot_stamp arrival;
    uint8_t database;
    uint32_t key_count;
    const struct moot_slice *keys;
};
void moot_waiter_wish_put(struct moot_buffer *out, const struct moot_waiter_wish *wish);
struct moot_reader;
/* False at the end or when malformed (reader->failed). Keys are in the arena. */
bool moot_waiter_wish_next(struct moot_reader *reader, struct moot_arena *arena,
                           struct moot_waiter_wish *out);

/* Adds or renews (then it is not woken any more). MOOT_EOVERLOADED beyond MOOT_WAITERS_MAX. */
int moot_waiters_register(struct moot_waiters *waiters, moot_node_id edge, uint64_t incarnation,
                          const struct moot_waiter_wish *wish,
                          moot_keyspace keyspace) MOOT_MUST_USE;
/* Databases may have been swapped: each waiter goes on in the keyspace its database has now. */
void moot_waiters_move(struct moot_waiters *waiters,
                       const moot_keyspace keyspace_of[MOOT_DATABASES]);
/* NULL when there is none. */
struct moot_waiter *moot_waiters_find(struct moot_waiters *waiters, moot_node_id edge,
                                      uint64_t incarnation, uint64_t id);
void moot_waiters_remove(struct moot_waiters *waiters, struct moot_waiter *waiter);
/* Marks it as woken. */
void moot_waiters_wake(struct moot_waiter *waiter, struct moot_instant now);
/* A new try of a woken waiter with these keys is in the log: the first of the edge that has not
 * tried, now marked; or NULL. */
struct moot_waiter *moot_waiters_tried(struct moot_waiters *waiters, moot_node_id edge,
                                       uint64_t incarnation, uint8_t database,
                                       const struct moot_slice *keys, uint32_t key_count);
/* All of an edge, of every incarnation but `keep` (0: of all). */
void moot_waiters_remove_edge(struct moot_waiters *waiters, moot_node_id edge, uint64_t keep);
bool moot_waiters_any_for(const struct moot_waiters *waiters, moot_keyspace keyspace,
                          struct moot_slice key);
/* Of the waiters for this key: the first that is not woken yet, if fewer than `length` are woken,
 * and if every earlier one of another edge has had its new try put into the log: so tries of
 * several edges stand in the log in order of arrival. Those of one edge do because its stream is in
 * order. Else NULL. */
struct moot_waiter *moot_waiters_next(struct moot_waiters *waiters, moot_keyspace keyspace,
                                      struct moot_slice key, uint64_t length);

#endif
