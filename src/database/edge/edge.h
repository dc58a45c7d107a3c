/* The edge: a node's side of its clients.
 *
 * It frames RESP, keeps each connection's state, answers what needs no log (HELLO, CLIENT, INFO
 * ...), and sends everything else to the group's leader through a numbered stream (stream.h),
 * wherever that leader is. Replies leave in the order of the commands.
 *
 * Order within a connection: a write goes into the turn's write batch; a read goes into the read
 * batch, unless the same connection has a write in the batch under construction: then it goes
 * behind it, into the log. Read batches leave before write batches. So a pipelined GET sees the
 * SETs before it and none after. What is not in the log has no place there after a fail-over, so a
 * write does not follow reads that are outside it: it takes those of its own turn along into the
 * log when they are cheap, and waits for the others. Nor does a read follow those that have left in
 * an earlier batch: were that one asked again, it might be answered by the later state. What is in
 * the log behind a read may be left for later with it: nothing overtakes it. KEYS of a large
 * database never goes into the log: it waits for a write before it.
 *
 *   edge.c       connections, parsing, dispatch, time-outs
 *   answers.c    what comes back from groups; blocked clients
 *   late.c       what does not come back: time-outs, and a node that is no member any more
 *   left.c       commands that the log left for later
 *   budget.c     what the buffers of all clients may take together
 *   keep.c       connections that outlive the brain
 *   multi.c      MULTI, EXEC, WATCH
 *   local.c      commands that the edge answers itself
 *   client.c     CLIENT: who is connected
 *   join.c       MOOT JOIN: a new node proves that it knows the cluster's secret
 *   health.c     what the failure detectors think, as INFO, CLUSTER and MOOT STATUS say it
 *   info.c       INFO, ROLE, CLUSTER, MOOT STATUS: what a node says of itself
 */
#ifndef MOOT_DATABASE_EDGE_EDGE_H
#define MOOT_DATABASE_EDGE_EDGE_H

#include "database/command/command.h"
#include "database/edge/connection.h"
#include "database/edge/stream.h"
#include "database/node.h"
#include "database/peers.h"
#include "database/system/directory.h"
#include "wire/admission.h"

#define EDGE_NOBODY UINT64_C(0) /* No connection has this id. */

/* A client that waits for a list to grow. */
struct moot_blocked {
    uint64_t id;
    moot_connection_id connection;
    uint64_t slot;
    struct moot_block *args; /* One body: the command. */
    uint8_t database, protocol;
    bool pops_left; /* For giving back an element whose client is gone. */
    struct moot_stamp arrival;
    struct moot_instant deadline; /* MOOT_NEVER: for ever */
    bool registered, retrying;
};

/* What clients and libraries compare releases by. */
#define MOOT_REDIS_VERSION "7.4.0"

struct moot_edge_counts {
    uint64_t connections, rejected, commands, reads, writes, in_doubt, overloaded, timed_out,
        bytes_in, bytes_out, evicted;
};

struct moot_edge_follower {
    moot_node_id node;
    moot_index match;
    bool active;
};

/* A leader that is ill hands over: how often that was, and why the last time. */
struct moot_edge_hand_overs {
    uint64_t count;
    char why[160];
    bool disk_hangs;
};

struct moot_edge {
    struct moot_outbox *outbox;
    const struct moot_identity *identity;
    uint64_t incarnation;
    struct moot_now now;
    struct moot_instant started;
    uint64_t started_wall_ms;
    struct moot_directory *directory;
    struct moot_group_view groups[MOOT_GROUPS_MAX]; /* Refreshed by the node. */
    const struct moot_peers *peers;
    struct moot_edge_follower followers[MOOT_NODES_MAX]; /* As db0's leader knows them. */
    uint32_t follower_count;
    struct moot_edge_hand_overs hand_overs;
    struct moot_edge_counts counts;
    bool refuse_growth, disk_is_full;
    bool is_removed; /* This node is no member any more: it serves nobody. */
    bool is_resting; /* No further command is begun: the brain is to be opened again. */
    struct moot_admission admission; /* Whom to take in. */
    uint64_t nonces_given;
    uint64_t clients_bytes_max;          /* Of all their buffers together. */
    uint64_t read_elements;              /* That one read may touch within a turn. */
    uint64_t key_counts[MOOT_DATABASES]; /* For INFO; as of a moment ago. */
    uint64_t free_bytes;

    struct moot_connection **table; /* private: open addressing by id */
    size_t table_capacity, connection_count;
    uint64_t next_client;
    uint64_t parts;                                 /* Answers that were some replies of a batch. */
    uint64_t clients_bytes;                         /* What all connections hold: budget.c. */
    struct moot_instant clients_over, clients_look; /* Too much since then; the next look. */
    bool has_greedy; /* In this turn somebody had to wait for what all held. */
    struct moot_connection **dirty;
    size_t dirty_count, dirty_capacity;
    struct moot_connection **pump;
    size_t pump_count, pump_capacity;

    struct moot_stream_edge streams[MOOT_GROUPS_MAX];
    struct moot_blocked *blocked;
    size_t blocked_count, blocked_capacity;
    uint64_t blocked_bytes; /* Of their commands. */
    uint64_t next_waiter;
    struct moot_arena arena; /* Of one command. */
    struct moot_buffer scratch;
};

void moot_edge_init(struct moot_edge *edge, struct moot_outbox *outbox,
                    const struct moot_identity *identity, uint64_t incarnation,
                    struct moot_directory *directory, const struct moot_peers *peers,
                    struct moot_now now);
void moot_edge_deinit(struct moot_edge *edge);

void moot_edge_opened(struct moot_edge *edge, moot_connection_id id, struct moot_slice address);
void moot_edge_bytes(struct moot_edge *edge, moot_connection_id id, struct moot_slice bytes);
void moot_edge_ended(struct moot_edge *edge, moot_connection_id id);
void moot_edge_sent(struct moot_edge *edge, moot_connection_id id, uint64_t unsent);
void moot_edge_closed(struct moot_edge *edge, moot_connection_id id);

/* keep.c: connections that outlive the brain. Begin no further command, or go on. */
void moot_edge_rest(struct moot_edge *edge, bool on);
/* Nobody waits for anything but an element of a list. */
bool moot_edge_is_at_rest(const struct moot_edge *edge);
/* At rest, at the end of the last turn: a CLIENT_KEEP effect for each connection. */
void moot_edge_keep(struct moot_edge *edge);
/* One of them, in the brain that comes after. */
void moot_edge_kept(struct moot_edge *edge, moot_connection_id id, struct moot_slice bytes);

/* ANSWER, NACK, WAKE, ASK from a group's leader. */
void moot_edge_receive(struct moot_edge *edge, moot_node_id from,
                       const struct moot_message *message);
/* Some bytes of this ANSWER have come; it is not whole. */
void moot_edge_part(struct moot_edge *edge, moot_node_id from, const struct moot_message *message);
void moot_edge_peer_changed(struct moot_edge *edge, moot_node_id node);
/* Parses what waits, sends batches, and tells time-outs. Call again after local messages were
 * handled. */
void moot_edge_flush(struct moot_edge *edge);
/* The end of the turn: replies and closings as effects. */
void moot_edge_reply(struct moot_edge *edge);
struct moot_instant moot_edge_deadline(const struct moot_edge *edge);
/* What clients hold is counted right, and bounded; aborts by assertion. Between turns. */
void moot_edge_check(const struct moot_edge *edge);
/* A command of the node itself, to the system group; nobody gets its reply. */
void moot_edge_own_command(struct moot_edge *edge, moot_group_id group,
                           const struct moot_slice *args, uint32_t argc);

/* ---- inside the room ---- */
struct moot_connection *edge__find(const struct moot_edge *edge, moot_connection_id id);
void edge__mark(struct moot_edge *edge, struct moot_connection *connection);
void edge__want_pump(struct moot_edge *edge, struct moot_connection *connection);
/* Answers the next slot of the connection with what `write` left in edge->scratch. */
void edge__reply(struct moot_edge *edge, struct moot_connection *connection, uint64_t slot,
                 struct moot_slice reply);
void edge__reply_text(struct moot_edge *edge, struct moot_connection *connection,
                      const char *text); /* a whole RESP reply */
void edge__error(struct moot_edge *edge, struct moot_connection *connection,
                 const char *text); /* text after the minus sign */
struct moot_resp
edge__resp(struct moot_edge *edge,
           const struct moot_connection *connection); /* writes into edge->scratch, emptied */
void edge__reply_scratch(struct moot_edge *edge, struct moot_connection *connection);
/* One item to a group; the reply goes to `ref`. False when refused (the slot has its error). */
bool edge__submit(struct moot_edge *edge, struct moot_connection *connection, moot_group_id group,
                  bool is_write, uint8_t flags, uint8_t database, const struct moot_slice *args,
                  uint32_t argc, enum moot_ref_kind kind);
/* Where an item goes by the rule of order, and under which reference: its connection, slot and kind
 * are given, the rest is set here, and so is a flag. Then the item is written, and told to the
 * stream. */
struct moot_buffer *edge__open_item(struct moot_edge *edge, struct moot_connection *connection,
                                    moot_group_id group, bool is_write, struct moot_ref *ref,
                                    uint8_t *flags);
/* As submit, with the item's body given whole (EXEC, a retry). */
bool edge__submit_body(struct moot_edge *edge, struct moot_connection *connection,
                       moot_group_id group, bool is_write, uint8_t flags, uint8_t database,
                       struct moot_slice body, enum moot_ref_kind kind);
void edge__local(struct moot_edge *edge, struct moot_connection *connection,
                 const struct moot_command *command, const struct moot_slice *args, uint32_t argc);
/* multi.c: true when the command was taken (queued, or one of the MULTI family). */
bool edge__multi(struct moot_edge *edge, struct moot_connection *connection,
                 const struct moot_command *command, const struct moot_slice *args, uint32_t argc);
void edge__watched(struct moot_edge *edge, struct moot_connection *connection, uint64_t slot,
                   struct moot_slice stamps);
void edge__exec_done(struct moot_connection *connection, uint64_t slot, struct moot_slice reply);
/* left.c: this item came back undone; and whatever may be asked for again is. */
void edge__left(struct moot_edge *edge, const struct moot_ref *ref, struct moot_slice item);
void edge__ask_again(struct moot_edge *edge, struct moot_connection *connection);
/* budget.c: the connection's buffers may have changed. */
void edge__count(struct moot_edge *edge, struct moot_connection *connection);
void edge__bound_clients(struct moot_edge *edge);
static inline uint64_t edge__clients_soft_bytes(const struct moot_edge *edge)
{
    return edge->clients_bytes_max / (MOOT_CLIENTS_BYTES_MAX / MOOT_CLIENTS_SOFT_BYTES);
}
/* All hold too much, and this one more than the average: nothing more of it is taken in. That it
 * was asked is noted, for a turn that goes over the limit and ends within it leaves no other trace.
 */
static inline bool edge__is_greedy(struct moot_edge *edge, const struct moot_connection *connection)
{
    bool is_greedy = edge->clients_bytes > edge__clients_soft_bytes(edge) &&
                     connection->held * edge->connection_count > edge->clients_bytes;
    edge->has_greedy = edge->has_greedy || is_greedy;
    return is_greedy;
}
/* answers.c */
void edge__block(struct moot_edge *edge, struct moot_connection *connection,
                 const struct moot_command *command, const struct moot_slice *args, uint32_t argc);
void edge__client_gone(struct moot_edge *edge, struct moot_connection *connection);
/* It sends no more, and the command that waits is its last: unless that one's first try is under
 * way, which may find an element. */
void edge__end_wait(struct moot_edge *edge, struct moot_connection *connection);
/* edge.c: closes it when it has taken its replies; it gets no more, and waits for nothing. */
void edge__close(struct moot_edge *edge, struct moot_connection *connection);
void edge__add_blocked(struct moot_edge *edge, const struct moot_blocked *made);
void edge__blocked_tick(struct moot_edge *edge);
void edge__register_waiters(struct moot_edge *edge, bool all);
/* Hands one reply, or an error, to whoever asked. */
void edge__deliver(struct moot_edge *edge, const struct moot_ref *ref, struct moot_slice reply);
/* Ends the wait of all clients that wait, but for those that just get their element. */
void edge__end_waits(struct moot_edge *edge, struct moot_slice reply);
/* The client of a waiter that tries is told this; should an element come, it is given back. False:
 * it has gone, or was told. */
bool edge__leave_try(struct moot_edge *edge, uint64_t id, struct moot_slice reply);
/* late.c */
void edge__time_outs(struct moot_edge *edge);
/* It sends no more: nor does it wait for a first try that has no answer in time. */
void edge__leave_late(struct moot_edge *edge, const struct moot_connection *connection);
/* To be called as long as the node is no member. */
void edge__removed_tick(struct moot_edge *edge);
/* What its clients are told: a whole RESP error. */
void edge__refuse_removed(const struct moot_edge *edge, struct moot_buffer *out);
/* Ends the wait of a connection with this reply; false when it does not wait, or just gets its
 * element. */
bool edge__unblock(struct moot_edge *edge, struct moot_connection *connection,
                   struct moot_slice reply);
/* local.c: copies a printable argument into a fixed field; false when it does not fit or has
 * blanks.
 */
bool edge__take_text(struct moot_slice from, char *out, size_t max);
/* client.c */
void edge__client(struct moot_edge *edge, struct moot_connection *connection,
                  const struct moot_slice *args, uint32_t argc);
/* health.c: what is said of a node's health. Of itself it knows that it is alive. */
enum moot_health edge__health(const struct moot_edge *edge, moot_node_id node, uint32_t *phi_milli);
const char *edge__health_text(enum moot_health state);
void edge__info_peers(const struct moot_edge *edge, struct moot_buffer *out);
void edge__status_health(const struct moot_edge *edge, moot_node_id node, struct moot_buffer *out);
void edge__status_hand_overs(const struct moot_edge *edge, struct moot_buffer *out);
/* Redis' flag, with a comma before it; "" when it is well. */
const char *edge__cluster_flag(const struct moot_edge *edge, moot_node_id node);
/* info.c */
void edge__info(struct moot_edge *edge, struct moot_connection *connection,
                const struct moot_slice *args, uint32_t argc);
void edge__role(struct moot_edge *edge, struct moot_connection *connection);
void edge__cluster(struct moot_edge *edge, struct moot_connection *connection,
                   const struct moot_slice *args, uint32_t argc);
void edge__join(struct moot_edge *edge, struct moot_connection *connection,
                const struct moot_slice *args, uint32_t argc);
void edge__moot(struct moot_edge *edge, struct moot_connection *connection,
                const struct moot_slice *args, uint32_t argc);

#endif
