/* The parts of the world, shared by its files:
 *
 *   world.c       time, phases, verdict
 *   machine.c     a process with its disk, store and clock: starts, turns, crashes
 *   effect.c      what a turn wants done
 *   network.c     links and messages
 *   client.c      connections, bytes, replies
 *   workload.c    what clients ask, and what the answers mean
 *   queue.c       the same of queues, and of pops that wait in pipelines
 *   txn.c         the same of transactions on lists, and on registers
 *   any.c         the same of all commands there are; see any.h
 *   probe.c       what clients try beside their workload
 *   atlas.c       damage to disks that the cluster must survive
 *   judge.c       what the history is worth
 *   sweep.c       the one thing that fails in a world of a sweep
 *   scarcity.c    an allocator that fails, where there is one
 *   nemesis.c     which faults there are (swarm), and when they strike
 *   invariants.c  what must hold between nodes after every turn
 *   witness.c     what one process claims, against what it was seen to do
 *   forced.c      what nodes may do at any time, done at the worst
 *   behind.c      leaders whose clock is behind the log's
 *   rehearsal.c   clients from outside
 *
 * Machines are slots, 0 and up; node ids are 1 and up, and given by the cluster to those that join.
 */
#ifndef MOOT_SIM_WORLD_H
#define MOOT_SIM_WORLD_H

#include "base/rng.h"
#include "base/slice.h"
#include "check/history.h"
#include "database/node.h"
#include "sim/disk_sim.h"
#include "sim/event.h"
#include "sim/record.h"
#include "sim/faults.h"
#include "sim/scarcity.h"
#include "sim/sim.h"
#include "wire/resp.h"

enum {
    SIM_MACHINES_MAX = 12,
    SIM_CLIENTS_MAX = 24,
    SIM_KEYS_MAX = 8,
    SIM_EXPECTED_MAX = 32, /* Unanswered commands of one client. */
    SIM_VALUE_MAX = 48,
};

/* ---- swarm: what one seed's world is like ---- */

struct sim_swarm {
    uint32_t knobs[SIM_FAULTS];                     /* 0: not in this world. */
    uint64_t fault_gap_us, fault_us, faults_end_us; /* Mean gap, mean length, end of the phase. */
    uint64_t delay_us, jitter_us, delay_shape;      /* Of messages. */
    uint64_t sector;                                /* Of disks: what a torn write is torn into. */
    uint64_t disk_us, disk_jitter_us;
    uint64_t turn_us;
    bool is_damaged;   /* Disks may lose what they acknowledged (atlas.c). */
    uint64_t segments; /* Of the journal, at most. */
    uint64_t election_ms, heartbeat_ms, flush_bytes, recent_bytes, log_memory_bytes, segment_bytes;
    uint32_t nodes, clients, keys, workload, pipeline;
    moot_node_id ids_from; /* The first node's id; others follow it. */
    uint64_t think_us, patience_ms;
    uint8_t database;
    uint64_t read_elements, long_read_one_in; /* Reads go on beside turns early, and for nothing. */
};

/* ---- a machine ---- */

struct sim_job;
struct sim_pin {
    moot_ticket ticket;
    struct moot_store_pin *pin;
    uint32_t readers;
    bool unpinned;
};
struct sim_flight { /* A journal batch on its way to the disk. */
    moot_ticket ticket;
    uint64_t flight;
};
struct sim_unwritten { /* A journal batch that the disk has no room for, or one behind it. */
    struct moot_journal_write where;
    struct moot_block *bytes;
};
struct sim_connection { /* As the node's kernel sees it. */
    uint64_t id;
    bool paused, ended; /* The other side sends no more, and the node is yet to hear it. */
    struct moot_buffer backlog;
    struct moot_buffer kept; /* What the next brain is to know of it; empty: nothing. */
};
enum {
    SIM_PINS_MAX = 64,
    SIM_FLIGHTS_MAX = 64,
    SIM_CONNECTIONS_MAX = 4 * SIM_CLIENTS_MAX,
};
enum sim_queue { SIM_QUEUE_FETCH, SIM_QUEUE_STORE, SIM_QUEUE_PIN, SIM_QUEUE_LONG_READ, SIM_QUEUES };

/* What invariants.c remembers of one process and group. */
struct sim_seen {
    moot_term term;
    moot_index commit, applied, checked;
    bool led;
    moot_term led_term;
    uint64_t batches_run; /* And what its streams said then: */
    struct sim_stream {
        uint64_t incarnation, executed;
    } streams[SIM_MACHINES_MAX]; /* By slot. */
};

/* What one disk has acknowledged of a group: it must be there at the next start. */
struct sim_kept {
    moot_term term;
    moot_index durable;
    struct moot_members members; /* As its process last knew them. */
    bool changing, is_known;
    moot_index owed;     /* Acknowledged, not there when last opened, and not brought back yet. */
    moot_node_id vote;   /* In `term`; 0: none. */
    moot_term seen_term; /* In memory; durable once `ticket` is, the first batch after `since`. */
    moot_node_id seen_vote;
    moot_ticket ticket, since;
};

/* What witness.c remembers of one process and group. */
#define SIM_SINCE_START UINT64_MAX /* It was there when the process started. */
struct sim_log {
    struct sim_line {
        moot_term term;
        uint64_t since; /* The last batch of the process when the entry was first seen. */
    } * lines;          /* By index; good from `first` to `last`. */
    size_t capacity;
    moot_index first, last, durable;
    moot_index *floors; /* Of reads that wait, in their order: what was committed when they came. */
    size_t floor_count, floor_capacity;
    uint64_t reads_placed, reads_run;
    struct sim_promise { /* Terms and votes that the machine was seen to have, the last ones. */
        moot_term term;
        moot_node_id vote;
        uint64_t since, epoch;
    } promises[8];
    uint32_t promise_count;        /* All that were ever noted; the last is at (count - 1) % 8. */
    uint64_t off_since, looked_at; /* World times. */
    uint64_t led_at;               /* The last turn in which it led. */
    moot_term off_term;
    bool was_impaired; /* When it was last looked at. */
};

/* Choices that have a fault of their own. */
enum sim_choice { SIM_CHOICE_COMPACT, SIM_CHOICE_SNAPSHOT, SIM_CHOICE_FLUSH, SIM_CHOICE_LEVEL };
enum { SIM_CHOICES = SIM_CHOICE_LEVEL + 1 };
struct sim_forced {
    struct moot_chance_knob knobs[SIM_CHOICES];
    uint64_t counted[SIM_CHOICES];
    moot_index first[MOOT_GROUPS_MAX]; /* Of each log, as it was last seen. */
};

struct sim_machine {
    uint32_t slot;
    moot_node_id id; /* 0: not a node yet. */
    bool running;
    bool removed;   /* The cluster was told to do without it. */
    uint64_t epoch; /* Raised by every start and crash. */
    struct moot_identity identity;
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_node *node;
    uint64_t starts;

    struct moot_input *inputs;
    struct moot_block **owners; /* Of each input: a reference to the block of its bytes, or NULL. */
    size_t input_count, input_capacity;
    struct moot_arena arena; /* Bytes of the other inputs. */
    bool turn_is_due;
    uint64_t busy_until, paused_until;
    uint64_t idle_since;
    uint32_t idle_ticks; /* Turns without anything to do since then. */
    bool doomed;         /* Dies within its next turn. */
    bool stopping;       /* It was asked to end, */
    bool reopening;      /* or for a moment in which its brain can be exchanged. */
    bool damaged;        /* Its journal is known to be rotten, and no start has found it whole. */
    bool replace;        /* It said that it needs a new disk, and gets one. */
    bool steps_aside;    /* It said so, and shall help itself: its store is given up. */
    bool store_lost;     /* Its store is a new one; its brain has to be told. */
    bool lost;           /* Its disk is gone: it never starts again. */
    bool store_gone;     /* The store's files are gone, and nobody has said so. */
    bool journal_lost;   /* The journal's files are gone, and the store is there. */
    bool is_older;       /* Its program knows one feature level less than the others'. */
    bool upgrade;        /* It said that it is too old, and gets a newer program. */
    bool upgraded;       /* Its next start is the first of a newer program. */
    struct sim_forced forced;
    bool sync_fails, store_fails, store_rots;   /* The next time. */
    bool write_fails;                           /* The same, of the journal. */
    bool died_opening;                          /* This start, in a sweep. */
    uint64_t dies_opening;                      /* The next start, at that change of its disk. */
    uint64_t disk_dead_until, store_dead_until; /* No write succeeds. */
    uint64_t full_until;                        /* Its disk has no room. */
    uint64_t short_until;                       /* No allocation succeeds. */
    uint64_t down_since;                        /* While it does not run. */
    uint64_t fenced_at;                         /* Its store was found rotten by this process. */

    uint64_t born;   /* World time at which this process's clock stood at `origin`. */
    uint64_t origin; /* ns */
    int64_t drift_ppm;
    int64_t wall_offset_ms;

    uint64_t disk_free_at, disk_slow_until, disk_stalled_until;
    struct sim_flight flights[SIM_FLIGHTS_MAX];
    size_t flight_count;
    struct sim_unwritten unwritten[SIM_FLIGHTS_MAX]; /* Until there is room. */
    size_t unwritten_count;
    struct sim_job *jobs; /* Oldest first. */
    uint64_t job_number;
    uint64_t queue_free_at[SIM_QUEUES];
    struct sim_pin pins[SIM_PINS_MAX];
    size_t pin_count;
    struct sim_connection connections[SIM_CONNECTIONS_MAX];
    size_t connection_count;
    struct sim_seen seen[MOOT_GROUPS_MAX];
    struct sim_kept kept[MOOT_GROUPS_MAX];
    struct sim_log logs[MOOT_GROUPS_MAX];
    moot_ticket journal_last, journal_durable; /* Batches of this process. */
};

/* ---- the network ---- */

enum sim_wish { SIM_WISH_NONE, SIM_WISH_LINK, SIM_WISH_REFUSE };
struct sim_link {       /* One way; [from][to]. */
    enum sim_wish wish; /* What `from` was told by its brain. */
    bool says_removed;  /* It refuses because the other one was removed, */
    bool tells_removed; /* and dials it to say so. */
    uint32_t cuts;      /* Partitions that swallow what goes this way. */
    uint64_t slow_until, clogged_until;
    uint64_t told;       /* The link that `from` knows to be up; 0: none. */
    uint64_t last_at[2]; /* Delivery of the last message, by lane. */
    uint64_t heard_at;   /* When one was taken in. */
    uint64_t link;       /* Of the pair, kept at [lower][higher]: the last one made. */
    bool up;             /* The same. */
    uint64_t dial_at;    /* The same: when the next try is due; 0: none. */
};

/* ---- clients ---- */

enum sim_workload {
    SIM_WORKLOAD_REGISTER,
    SIM_WORKLOAD_COUNTER,
    SIM_WORKLOAD_LIST,
    SIM_WORKLOAD_SET,
    SIM_WORKLOAD_QUEUE,
    SIM_WORKLOAD_BANK,
    SIM_WORKLOAD_IDS,
    SIM_WORKLOAD_ONCE,   /* Increments under ids, asked again until they are answered. */
    SIM_WORKLOAD_EXPIRY, /* Values that live for a while. */
    SIM_WORKLOAD_LARGE,
    SIM_WORKLOAD_TXN,          /* MULTI ... EXEC of RPUSH and LRANGE. */
    SIM_WORKLOAD_REGISTER_TXN, /* The same of SET and GET. */
    SIM_WORKLOAD_ANY,          /* Every command of the table, each client on keys of its own. */
    SIM_WORKLOADS
};

enum sim_step {
    SIM_STEP_READY,     /* Anything but an error. */
    SIM_STEP_SKIM,      /* Anything. */
    SIM_STEP_OPERATION, /* The answer of an operation. */
    SIM_STEP_WATCH,
    SIM_STEP_WATCHED_READ,
    SIM_STEP_EXEC,
    SIM_STEP_TXN_READ, /* Before MULTI, of a watched key. */
    SIM_STEP_GETSET,   /* A transaction in one command. */
    SIM_STEP_POP,      /* Of `number` lists: operations one after the other. */
    SIM_STEP_EXEC_POP, /* The same, within MULTI. */
    SIM_STEP_LENGTH,
    SIM_STEP_ECHO, /* The number comes back. */
    SIM_STEP_ONCE,
    SIM_STEP_NONCE, /* The first half of joining. */
    SIM_STEP_JOIN,
    SIM_STEP_REMOVE,
    SIM_STEP_REFUSED,  /* An order that nobody may take. */
    SIM_STEP_MISMATCH, /* An id that another command had. */
    SIM_STEP_ANY,      /* See any.c. */
};
struct sim_expected {
    enum sim_step step;
    size_t operation; /* In the history; SIZE_MAX: none. */
    uint32_t number;  /* Of a key, a slot or a node. */
};

/* A key that clients use; when too much about it is in doubt they go on with another one, so that
 * its history can be judged. */
struct sim_key {
    char name[16];
    uint32_t generation;
    uint32_t open, doubts; /* Writes that have not returned, and those that never will. */
    uint32_t appended;     /* By transactions. */
};

struct sim_once {
    bool active, was_answered;
    size_t operation;
    uint32_t key, tries;
    int64_t by;
    char id[48];
};

/* A transaction that reads what it watches, and then writes if nobody else wrote there. */
enum { SIM_TXN_STEPS_MAX = 4 };
struct sim_txn {
    bool is_watching; /* Its EXEC has not been asked for. */
    size_t operation; /* The last one, perhaps not answered; SIZE_MAX: none. */
    uint32_t reads;   /* So many of its steps are before MULTI. */
    struct moot_history_step steps[SIM_TXN_STEPS_MAX];
};

struct sim_client {
    uint32_t number;
    uint32_t process; /* In the history. */
    bool is_admin, connected, is_misplaced;
    bool has_ended; /* It sends no more on this connection. */
    uint32_t machine;
    uint64_t machine_epoch;
    uint64_t connection; /* Never used again. */
    uint64_t connections;
    uint8_t protocol;
    struct moot_buffer in, out;
    uint64_t to_node_at, to_client_at; /* Bytes arrive in order. */
    struct sim_expected expected[SIM_EXPECTED_MAX];
    size_t expected_count;
    size_t asked_first; /* What it asked last begins there in the history. */
    uint64_t epoch;     /* Of what it waits for. */
    bool watch_failed;
    bool watched_known;
    uint8_t watched[SIM_VALUE_MAX];
    size_t watched_size;
    uint32_t watched_key;
    uint32_t last_reads; /* Keys read in the last phase. */
    uint64_t fails;      /* In a row. */
    uint64_t slow_until; /* It reads nothing. */
    uint64_t ordered_at; /* The administrator's last removal. */
    struct sim_once once;
    struct sim_txn txn;
    struct sim_any *any; /* NULL: it has asked for nothing of that workload. */
};

/* ---- the world ---- */

enum sim_phase {
    SIM_PHASE_FAULTS,
    SIM_PHASE_HEALED,
    SIM_PHASE_CONVERGE,
    SIM_PHASE_LAST_READS,
    SIM_PHASE_DONE
};

struct sim_committed {
    moot_term term; /* 0: nobody knows yet. */
    uint64_t hash;
};
struct sim_applied {
    uint64_t chain, digest;
    bool known;
};
/* Terms of entries that were seen at one index, and of the entries before them. */
enum { SIM_LINEAGES = 4 };
struct sim_lineage {
    moot_term terms[SIM_LINEAGES], before[SIM_LINEAGES];
};
struct sim_group {
    struct sim_lineage *lineage; /* By index. */
    size_t lineage_capacity;
    struct sim_committed *committed; /* By index. */
    size_t committed_capacity;
    moot_index committed_last;
    moot_term committed_term;    /* Of whoever was seen first to know it. */
    uint32_t level;              /* The highest feature level that anybody was seen at. */
    struct sim_applied *applied; /* By index. */
    size_t applied_capacity;
    struct moot_members members; /* As its last leader knew them. */
    /* How far the stamps of its leaders were from the world's time, the most and the least. */
    int64_t ahead_ms, behind_ms;
    bool has_stamps;
    moot_node_id *leaders; /* By term. */
    size_t leaders_capacity;
};

/* Who an operation was asked of, first. */
struct sim_asked {
    uint32_t machine; /* A slot, or UINT32_MAX: nobody yet. */
    uint32_t node;    /* Its id then; 0: none. */
};

struct sim_world {
    const struct moot_sim_options *options;
    struct moot_sim_result *result;
    struct sim_record *record; /* NULL: nothing is recorded. */
    struct sim_swarm swarm;
    struct moot_rng rng;
    uint64_t now; /* ns since the world began */
    bool has_stopped, is_upset;
    struct sim_events events;
    enum sim_phase phase;
    uint64_t phase_since, healed_at;
    struct sim_machine *machines[SIM_MACHINES_MAX];
    uint32_t machine_count; /* Slots in use, also of those that only asked to join. */
    struct sim_link links[SIM_MACHINES_MAX][SIM_MACHINES_MAX];
    uint64_t link_number;
    struct sim_client clients[SIM_CLIENTS_MAX];
    uint64_t connection_number;
    struct moot_history history;
    uint32_t leapt;     /* Mask of machines whose wall clock has jumped by more than the bound. */
    bool fell_behind;   /* One of them to before that. */
    uint64_t nudged_ms; /* The most that one has jumped within it. */
    uint64_t values;    /* Unique ones made. */
    struct moot_buffer unseen; /* See queue.c. */
    struct moot_buffer asked;  /* struct sim_asked, by operation of the history. */
    struct sim_key keys[SIM_KEYS_MAX];
    enum sim_fault admin_wish;  /* SIM_FAULTS: none. */
    bool all_rotted;            /* Every majority may have lost something (sim__rot_all), */
    bool has_rotted;            /* Some journal has, and may still have it. */
    bool must_recover;          /* and was arranged to be able to help itself. */
    uint32_t partitions[64][2]; /* Masks of the partitions that are in force: from, to. */
    bool partition_in_force[64];
    struct sim_group groups[MOOT_GROUPS_MAX];
    struct moot_rehearsal *rehearsal; /* NULL: nobody from outside. */
    struct moot_buffer large;         /* A value on its way out. */
    void *aligned;                    /* For disk writes. */
    size_t aligned_size;
};

/* world.c */
/* A world, an event of it (false: it has ended), and its end; moot_sim_run is these. */
/* `tune` may change what the seed has drawn; NULL: it does not. */
struct sim_world *sim__open(const struct moot_sim_options *options, struct moot_sim_result *result,
                            void (*tune)(struct sim_world *world, void *context), void *context);
bool sim__step(struct sim_world *world);
void sim__close(struct sim_world *world);
/* The first violation counts; the run ends after this event. */
void sim__violation(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim__trace(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* After each operation that joins the history: where it went. */
void sim__note_call(struct sim_world *world, const struct sim_client *client, size_t operation);
struct sim_asked sim__asked(const struct sim_world *world, size_t operation);
/* Operations that show what is wrong: marked in the picture, and in words, a line each. */
void sim__show_evidence(struct sim_world *world, const uint32_t *operations, size_t count,
                        struct moot_buffer *words);
/* Into the trace hash. */
void sim__note(struct sim_world *world, uint64_t word);
void sim__note_bytes(struct sim_world *world, struct moot_slice bytes);
void sim__at(struct sim_world *world, uint64_t at, struct sim_event event);
uint64_t sim__below(struct sim_world *world, uint64_t bound); /* 0 when the bound is 0 */
bool sim__one_in(struct sim_world *world, uint64_t n);        /* n 0: never */
/* The fault's knob; 0: this world does not have it, or all is healed. */
uint32_t sim__level(const struct sim_world *world, enum sim_fault fault);
void sim__count(struct sim_world *world, enum sim_fault fault); /* It has shown. */
/* Microseconds around `mean_us`, as nanoseconds; exponential-like, never 0. */
uint64_t sim__around(struct sim_world *world, uint64_t mean_us);

/* machine.c */
struct sim_machine *sim__machine_make(struct sim_world *world, uint32_t slot);
void sim__machine_free(struct sim_machine *machine);
void sim__machine_start(struct sim_world *world, struct sim_machine *machine);
/* `is_quiet`: others do not see their links and connections close (the power failed). */
void sim__machine_crash(struct sim_world *world, struct sim_machine *machine, bool is_quiet);
/* After a while, and soon once all is healed. */
void sim__machine_start_later(struct sim_world *world, const struct sim_machine *machine);
/* Its brain has come to rest: another one takes its place, beneath its clients. False: its disk or
 * store fails just now. */
bool sim__machine_reopen(struct sim_world *world, struct sim_machine *machine);
/* Its store is set aside for an empty one. */
void sim__new_store(struct sim_world *world, struct sim_machine *machine);
void sim__machine_turn(struct sim_world *world, struct sim_machine *machine);
void sim__machine_tick(struct sim_world *world, struct sim_machine *machine);
/* For its next turn, which is arranged for; bytes are copied. */
struct moot_input *sim__input(struct sim_world *world, struct sim_machine *machine,
                              enum moot_input_kind kind, struct moot_slice bytes);
/* The same; the block is kept instead. */
struct moot_input *sim__input_block(struct sim_world *world, struct sim_machine *machine,
                                    enum moot_input_kind kind, struct moot_block *block);
void sim__arrange_turn(struct sim_world *world, struct sim_machine *machine);
/* The feature level that its program knows; 0: this release's. */
uint32_t sim__level_of(const struct sim_world *world, const struct sim_machine *machine);
/* It was told that its program is too old. */
void sim__count_older(struct sim_world *world);
/* The true wall clock. */
uint64_t sim__wall_ms(const struct sim_world *world);
struct moot_now sim__machine_now(const struct sim_world *world, const struct sim_machine *machine);
struct sim_machine *sim__machine_of(struct sim_world *world, moot_node_id id); /* or NULL */

/* effect.c */
/* The process ends itself, and is started again after a while. */
void sim__process_ends(struct sim_world *world, struct sim_machine *machine);
/* Performs effects[0..count); stops when the machine has gone. */
void sim__perform(struct sim_world *world, struct sim_machine *machine,
                  const struct moot_effect *effects, size_t count);
void sim__durable(struct sim_world *world, struct sim_machine *machine, moot_ticket ticket);
void sim__job_done(struct sim_world *world, struct sim_machine *machine, uint64_t number);
void sim__jobs_drop(struct sim_machine *machine); /* And pins, and flights. */
/* There is room again, or it is to be tried: batches that wait for it are written, in order. */
void sim__write_again(struct sim_world *world, struct sim_machine *machine);

/* network.c */
void sim__peer(struct sim_world *world, struct sim_machine *machine,
               const struct moot_effect *effect);
void sim__send(struct sim_world *world, struct sim_machine *machine,
               const struct moot_effect *effect);
void sim__dial(struct sim_world *world, const struct sim_event *event);
void sim__link_up(struct sim_world *world, const struct sim_event *event);
void sim__link_down(struct sim_world *world, const struct sim_event *event);
void sim__message(struct sim_world *world, const struct sim_event *event);
void sim__part(struct sim_world *world, const struct sim_event *event);
/* The link between two, if there is one, ends; both are told within `delay_us`. */
void sim__link_break(struct sim_world *world, uint32_t a, uint32_t b, int status,
                     uint64_t delay_us);
void sim__machine_came(struct sim_world *world, struct sim_machine *machine);
void sim__machine_gone(struct sim_world *world, struct sim_machine *machine, bool is_quiet);
/* From every machine in `from` to every one in `to`. */
void sim__cut(struct sim_world *world, uint32_t from, uint32_t to, bool on);

/* client.c */
void sim__client_init(struct sim_world *world, uint32_t number, bool is_admin);
void sim__client_deinit(struct sim_client *client);
void sim__client_act(struct sim_world *world, struct sim_client *client);
void sim__client_give_up(struct sim_world *world, struct sim_client *client);
void sim__client_bytes(struct sim_world *world, struct sim_client *client,
                       const struct sim_event *event);
void sim__client_break(struct sim_world *world, struct sim_client *client);
bool sim__client_is_idle(const struct sim_client *client);
void sim__client_wake(struct sim_world *world, struct sim_client *client, uint64_t delay_ns);
/* A command into `out`; its answer is expected. */
void sim__command(struct sim_client *client, const struct moot_slice *args, uint32_t argc,
                  struct sim_expected expected);
/* The same as a line of quoted words, as people and scripts send it. */
void sim__command_inline(struct sim_client *client, const struct moot_slice *args, uint32_t argc,
                         struct sim_expected expected);
struct sim_client *sim__client_of(struct sim_world *world, uint64_t connection); /* or NULL */
/* The node's side. */
void sim__connection_open(struct sim_world *world, struct sim_machine *machine, uint64_t id);
void sim__to_node(struct sim_world *world, const struct sim_event *event);
void sim__reads(struct sim_world *world, const struct sim_event *event);
void sim__reply(struct sim_world *world, struct sim_machine *machine,
                const struct moot_effect *effect);
void sim__client_pause(struct sim_world *world, struct sim_machine *machine,
                       const struct moot_effect *effect);
void sim__client_keep(struct sim_world *world, struct sim_machine *machine,
                      const struct moot_effect *effect);
/* A fresh brain hears of those that were kept; others are closed. */
void sim__connections_kept(struct sim_world *world, struct sim_machine *machine);
void sim__client_close(struct sim_world *world, struct sim_machine *machine,
                       const struct moot_effect *effect);
void sim__connections_reset(struct sim_world *world, struct sim_machine *machine);
void sim__connections_drop(struct sim_world *world, struct sim_machine *machine, bool is_quiet);
/* All at once, and both sides are told. */
void sim__connections_break(struct sim_world *world, struct sim_machine *machine);

/* atlas.c, atlas_all.c */
/* Would the cluster survive it if this machine's disk lost what it has acknowledged? */
bool sim__may_damage(const struct sim_world *world, const struct sim_machine *machine);
/* The process is dead: perhaps its disk rots. */
void sim__rot(struct sim_world *world, struct sim_machine *machine);
/* Would every acknowledged entry still stand somewhere if each voter lost others? */
bool sim__may_damage_all(const struct sim_world *world);
/* All processes are dead: every voter's journal rots, and no entry on two of them. */
void sim__rot_all(struct sim_world *world);
/* Nobody can lead a group any more, because every majority of it has to say that it lost something:
 * only after sim__rot_all. */
bool sim__has_stopped_safely(struct sim_world *world);
/* The process has opened its disk: what it acknowledged is there, or it says that it is not. */
void sim__check_opened(struct sim_world *world, struct sim_machine *machine);
/* The machine is gone with its disk. */
void sim__lose_disk(struct sim_world *world, struct sim_machine *machine);
/* The process dies, and its journal's files are gone; nothing, if the store has nothing either. */
void sim__lose_journal(struct sim_world *world, struct sim_machine *machine);
/* Its store is an empty one, and its brain does not know. */
void sim__lose_store(struct sim_world *world, struct sim_machine *machine);
/* The disk's room ends, and comes back at `machine->full_until`. */
void sim__disk_room(struct sim_world *world, struct sim_machine *machine, bool is_full);

/* admission.c: joining, with the cluster's secret or with another. */
struct moot_admission sim__admission(void);
void sim__ask_join(struct sim_world *world, struct sim_client *client);
void sim__on_nonce(struct sim_world *world, struct sim_client *client, uint32_t slot,
                   struct moot_slice nonce);
void sim__on_joined(struct sim_world *world, uint32_t slot, struct moot_slice hex);
/* `from` dials, and at that address is not `to` but a stranger: the handshake must fail. */
void sim__meet_stranger(struct sim_world *world, const struct sim_machine *from,
                        const struct sim_machine *to);
/* probe.c */
/* Puts something else than the workload into client->out; mostly false. */
bool sim__probe(struct sim_world *world, struct sim_client *client);
/* True when the answer was to one of these. */
bool sim__probe_answer(struct sim_world *world, struct sim_client *client,
                       const struct sim_expected *expected, const struct moot_resp_value *head);
void sim__probe_order(struct sim_world *world, const struct sim_client *client,
                      const struct moot_operation *read, const struct moot_history_value *value);
void sim__probe_doubt(struct sim_world *world, const struct sim_client *client,
                      const struct sim_expected *expected, struct moot_slice text);
/* Where this connection seems to come from. */
struct moot_slice sim__address_of(const struct sim_world *world, uint64_t connection);

/* workload.c */
/* Puts the next commands into client->out; false when it has nothing to ask any more. */
bool sim__ask(struct sim_world *world, struct sim_client *client);
void sim__answer(struct sim_world *world, struct sim_client *client,
                 const struct sim_expected *expected, struct moot_slice reply);
/* The connection is gone: what was expected is in doubt. */
void sim__unanswered(struct sim_world *world, struct sim_client *client);
bool sim__has_finished(const struct sim_world *world, const struct sim_client *client);
const char *sim__workload_name(uint32_t workload);
struct moot_slice sim__key_name(struct sim_world *world, uint32_t key);
/* A value that is written once in a run. */
struct moot_slice sim__unique(struct sim_world *world, char text[SIM_VALUE_MAX]);
/* The head of a value in a reply that is whole; returns where the next one begins. */
struct moot_resp_value;
size_t sim__read_head(struct moot_slice bytes, size_t at, struct moot_resp_value *value);

/* As an answer to it says, or as nothing does. */
void sim__settle(struct sim_world *world, struct sim_client *client, size_t operation,
                 enum moot_outcome outcome, struct moot_history_value result);

/* queue.c */
void sim__ask_queue(struct sim_world *world, struct sim_client *client);
/* Answers: of a pop that waits; of ECHO or LLEN; of any other operation on a queue, whose kind must
 * be right. */
void sim__on_pop(struct sim_world *world, struct sim_client *client,
                 const struct sim_expected *expected, struct moot_slice reply);
void sim__on_word(struct sim_world *world, const struct sim_client *client,
                  const struct sim_expected *expected, const struct moot_resp_value *head);
void sim__check_kind(struct sim_world *world, const struct sim_client *client,
                     const struct moot_operation *operation, const struct moot_resp_value *head);
/* What a read does not show although its own connection had pushed it; and, when the history is
 * whole: was it popped? */
void sim__note_unseen(struct sim_world *world, const struct sim_client *client, size_t read,
                      const struct moot_history_value *list);
void sim__check_unseen(struct sim_world *world);

/* txn.c */
/* MULTI ... EXEC; or WATCH and reads, and `at_once` or later, when all are answered, MULTI ...
 * EXEC.
 */
void sim__ask_txn(struct sim_world *world, struct sim_client *client);
void sim__ask_watching(struct sim_world *world, struct sim_client *client, bool at_once);
/* The rest of the latter. */
void sim__ask_watched(struct sim_world *world, struct sim_client *client);
void sim__on_watched(struct sim_world *world, struct sim_client *client, uint32_t step,
                     struct moot_slice reply);
/* What EXEC answered, into as many steps as the transaction has; their values are kept as long as
 * the history. OK; FAIL when it was refused; INDOUBT after a violation. */
enum moot_outcome sim__read_txn(struct sim_world *world, struct sim_client *client,
                                const struct sim_expected *expected, struct moot_slice reply,
                                struct moot_history_step steps[SIM_TXN_STEPS_MAX]);
/* Once the history is whole: what came of transactions in doubt, for the marks. */
void sim__note_txns(const struct sim_world *world);

/* any.c */
/* As sim__ask; `more`: not only what was begun. */
bool sim__ask_any(struct sim_world *world, struct sim_client *client, bool more);
void sim__on_any(struct sim_world *world, struct sim_client *client, struct moot_slice reply);
void sim__any_unanswered(struct sim_world *world, struct sim_client *client);
bool sim__any_has_finished(const struct sim_world *world, const struct sim_client *client);
/* Is what it asked first a command that may wait? */
bool sim__any_waits(const struct sim_client *client);
void sim__any_free(struct sim_client *client);
bool sim__any_is_large(uint64_t seed); /* Values of this world may be. */

/* judge.c */
void sim__judge(struct sim_world *world);

/* nemesis.c */
void sim__swarm(struct sim_world *world);
void sim__strike(struct sim_world *world);
void sim__mend(struct sim_world *world, uint64_t number);
/* It reaches nobody for a while. */
void sim__isolate(struct sim_world *world, const struct sim_machine *machine);
void sim__flap(struct sim_world *world, const struct sim_event *event);
void sim__heal(struct sim_world *world);
/* All processes die, and start again one by one. */
void sim__power(struct sim_world *world);
moot_node_id sim__leader(struct sim_world *world, moot_group_id group); /* 0: none */

/* forced.c */
/* The rare choices of a brain that is opened now. */
struct moot_chance sim__chance(struct sim_world *world, struct sim_machine *machine);
/* After a turn: which of the forced ones it took. */
void sim__note_forced(struct sim_world *world, struct sim_machine *machine);
void sim__forced_end(struct sim_machine *machine);

/* behind.c */
/* This leader's clock is ahead of all others', and it will be felled soon. */
void sim__set_ahead(struct sim_world *world, struct sim_machine *leader);
void sim__fell(struct sim_world *world, struct sim_machine *machine);
/* A node leads that has not before. */
void sim__note_behind(struct sim_world *world, const struct sim_machine *machine,
                      const struct moot_group_view *view);

/* rehearsal.c */
bool sim__is_guest(uint64_t connection);
void sim__to_guest(struct sim_world *world, uint64_t connection, struct moot_block *block,
                   uint64_t delay_ns);
void sim__guest_gets(struct sim_world *world, const struct sim_event *event);
void sim__guests_reset(struct sim_world *world, const struct sim_machine *machine);
/* Faults are drawn from a stream of their own, so that who visits does not change them. */
void sim__rehearse_strike(struct sim_world *world);

/* sweep.c */
/* Counts one of `kind`; true when this is the one that shall fail. */
bool sim__sweep(struct sim_world *world, enum moot_sim_sweep kind);
/* A disk changes while its process starts: which of these changes from now on the process dies at
 * (0: none), and then, how many there were. */
uint64_t sim__sweep_open(const struct sim_world *world);
void sim__swept_open(struct sim_world *world, uint64_t changes);
/* It dies; if that is for good, in its next start, too. */
void sim__sweep_again(const struct sim_world *world, struct sim_machine *machine);
/* Until when that disk or store is dead; 0: it failed once. */
uint64_t sim__sweep_until(const struct sim_world *world);
/* moot_node_turn; false: memory ran out in the middle of it, and there is no node any more. */
bool sim__turn(struct sim_world *world, struct sim_machine *machine, struct moot_effects *effects);

/* witness.c */
/* A removal was taken: as far as was known for a while, enough of those who stay are alive. */
void sim__check_removal(struct sim_world *world, const struct sim_client *client,
                        const struct sim_machine *removed);
/* The process gives up its store: another one leads each group, who has it all. */
void sim__check_given_up(struct sim_world *world, const struct sim_machine *machine);
/* The process has opened its disk. */
void sim__witness_start(struct sim_world *world, struct sim_machine *machine);
/* After a turn, before invariants.c has remembered what it saw. */
void sim__witness(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                  const struct moot_group_view *view);
/* How far apart the clocks of leaders were that keys expired by. */
uint64_t sim__clocks_apart_ms(const struct sim_world *world);
void sim__witness_free(struct sim_world *world);
void sim__witness_free_machine(struct sim_machine *machine);

/* invariants.c */
/* `memory`, so large that it has an item at `index`; new ones are zeros. */
void *sim__grown(void *memory, size_t *capacity, uint64_t index, size_t item);
void sim__check(struct sim_world *world, struct sim_machine *machine);
void sim__check_forget(struct sim_machine *machine); /* The process has gone. */
/* By what db0's leader knows; true while there is none. */
bool sim__is_member(struct sim_world *world, const struct sim_machine *machine);
/* Every member of both groups runs and holds the same; else `why` says what is missing. */
bool sim__has_converged(struct sim_world *world, const char **why);
/* Nothing waits any more where nobody asks any more; else `what` does. */
bool sim__has_emptied(struct sim_world *world, const char **what);

#endif
