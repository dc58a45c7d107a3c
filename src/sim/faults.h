/* Every fault the simulator knows, in one table.
 *
 * A *strike* is done by the nemesis at times of its own; its knob is a weight against other
 * strikes. All others *last*: they hold for as long as faults are allowed, and the knob says how
 * often they show (in the unit that the words name). Each seed turns a random subset on (swarm
 * testing: Groce et al., ISSTA 2012), and of a lasting one draws the knob from its range.
 *
 * Whether a fault is on in a seed, and its knob, is a hash of (seed, the fault's name): so a new
 * row changes nothing for worlds that do not have it, and a world with a fault taken away is
 * otherwise drawn as before. Every fault counts how often it showed; the line of a result prints
 * what is not 0.
 *
 * How to add one: a row here; the place that does it asks sim__level(world, SIM_FAULT_X) (0: not in
 * this world, or all is healed) and calls sim__count(world, SIM_FAULT_X) when it happens. A strike
 * also needs a case in nemesis.c. */
#ifndef MOOT_SIM_FAULTS_H
#define MOOT_SIM_FAULTS_H

#include "moot/base.h"

/* X(constant, name, strikes or lasts, present in one world of n, knob from, to, what it does) */
#define SIM_FAULT_TABLE(X)                                                                         \
    X(CRASH, "crash", STRIKES, 1, 1, 8,                                                            \
      "a process dies, mostly between two effects of its next turn, and starts again")             \
    X(CRASH_LEADER, "crash-leader", STRIKES, 1, 1, 8, "a leader dies like that, and starts again") \
    X(POWER, "power", STRIKES, 2, 1, 2, "all processes die at once")                               \
    X(STOP, "stop", STRIKES, 1, 1, 8, "a process is asked to end, and starts again")               \
    X(REOPEN, "reopen", STRIKES, 2, 1, 8,                                                          \
      "a brain is exchanged for a fresh one beneath its clients, as for a recording")              \
    X(PAUSE, "pause", STRIKES, 1, 1, 8, "a process stands still for a while, then goes on")        \
    X(PARTITION, "partition", STRIKES, 1, 1, 8, "two sides that do not reach each other")          \
    X(ISOLATE_LEADER, "isolate-leader", STRIKES, 1, 1, 8, "a leader reaches nobody")               \
    X(ONE_WAY, "one-way", STRIKES, 1, 1, 8, "one side does not reach the other; back it works")    \
    X(CUT, "cut", STRIKES, 1, 1, 8, "one pair does not reach each other; all others do")           \
    X(BREAK_LINK, "break-link", STRIKES, 1, 1, 8,                                                  \
      "a link between two nodes ends and is made again")                                           \
    X(BREAK_CLIENT, "break-client", STRIKES, 1, 1, 8, "a client's connection ends")                \
    X(CLOCK_JUMP, "clock-jump", STRIKES, 1, 1, 8, "a wall clock jumps up to a minute either way")  \
    X(SLOW_DISK, "slow-disk", STRIKES, 1, 1, 8, "a disk takes twenty times as long for a while")   \
    X(JOIN, "join", STRIKES, 2, 1, 8, "a new machine asks to be taken in")                         \
    X(REMOVE, "remove", STRIKES, 2, 1, 8, "a member is removed")                                   \
    X(TRANSFER, "transfer", STRIKES, 1, 1, 8, "a leader is asked to hand over")                    \
    X(LONG_PAUSE, "long-pause", STRIKES, 2, 1, 4, "a process stands still for many seconds")       \
    X(DROP_CLIENTS, "drop-clients", STRIKES, 1, 1, 4, "an edge loses all its connections")         \
    X(FLAP, "flap", STRIKES, 2, 1, 4, "a partition comes and goes several times")                  \
    X(SLOW_LINK, "slow-link", STRIKES, 1, 1, 8,                                                    \
      "one way of a link takes a hundred times as long, and carries 50 KB a second")               \
    X(CLOG, "clog", STRIKES, 1, 1, 8, "one way of a link delivers nothing, then all of it")        \
    X(CLOCK_FAR, "clock-far", STRIKES, 3, 1, 4, "a wall clock jumps by days either way")           \
    X(STALL_DISK, "stall-disk", STRIKES, 1, 1, 8, "a disk makes nothing durable for a while")      \
    X(FAIL_SYNC, "fail-sync", STRIKES, 2, 1, 4, "a sync fails, and the process ends")              \
    X(FULL_DISK, "full-disk", STRIKES, 2, 1, 4,                                                    \
      "a disk has no room at all: no further segment, nothing taken as a follower")                \
    X(LOW_SPACE, "low-space", STRIKES, 2, 1, 4, "a node is told that its disk is full, or nearly") \
    X(LOSE_DISK, "lose-disk", STRIKES, 4, 1, 2,                                                    \
      "a machine is gone with its disk; it is removed, and a new one joins")                       \
    X(STORE_CHECKSUM, "store-checksum", STRIKES, 4, 1, 2,                                          \
      "the store finds a wrong checksum; the replica is replaced, or helps itself")                \
    X(STORE_WRITE, "store-write", STRIKES, 2, 1, 4, "the store refuses a write; the process ends") \
    X(ROT_OLD, "rot-old", LASTS, 3, 1, 8,                                                          \
      "bits of old journal batches flip at one death of a process in so many")                     \
    X(ROT_RECENT, "rot-recent", LASTS, 3, 1, 8, "the same to recent ones")                         \
    X(ROT_PADDING, "rot-padding", LASTS, 3, 1, 8, "the same to padding and to unused space")       \
    X(MISDIRECT, "misdirect", LASTS, 3, 1, 8,                                                      \
      "a journal write lies where another should, at one death in so many")                        \
    X(CRASH_OPEN, "crash-open", LASTS, 2, 1, 8, "one start in so many dies while it recovers")     \
    X(BAD_CLOCK, "bad-clock", LASTS, 3, 100000, 400000, "one clock runs wrong by so many ppm")     \
    X(CORRUPT, "corrupt", LASTS, 1, 100, 20000,                                                    \
      "messages damaged, in a million: the frame's check ends the link")                           \
    X(GARBAGE, "garbage", LASTS, 2, 100, 20000,                                                    \
      "messages followed by malformed ones with a good checksum, in a million")                    \
    X(SLOW_READER, "slow-reader", STRIKES, 1, 1, 4, "a client reads nothing for a while")          \
    X(VANISH, "vanish", LASTS, 2, 10, 200,                                                         \
      "one client in so many requests ends in the middle of one, or sends no more after one")      \
    X(LOSE, "lose", LASTS, 1, 1000, 100000, "messages lost, in a million")                         \
    X(REPEAT, "repeat", LASTS, 1, 1000, 50000, "messages that come twice, in a million")           \
    X(REORDER, "reorder", LASTS, 1, 1, 1, "messages of a lane overtake each other")                \
    X(LATE, "late", LASTS, 1, 20, 1000, "one message in so many takes fifty times as long")        \
    X(DRIFT, "drift", LASTS, 1, 100, 20000, "clocks run fast or slow by up to so many ppm")        \
    X(TEAR_BYTES, "tear-bytes", LASTS, 1, 1, 10, "one request in so many arrives in pieces")       \
    X(WOULDBLOCK, "wouldblock", LASTS, 1, 2, 100,                                                  \
      "one key in so many is not in memory and has to be fetched")                                 \
    X(REMOVE_TWO, "remove-two", STRIKES, 4, 1, 4,                                                  \
      "two members are to be removed at once, whoever is left")                                    \
    X(LOSE_JOURNAL, "lose-journal", STRIKES, 4, 1, 2,                                              \
      "the files of a journal are gone, and the store is there")                                   \
    X(ROT_CHUNK, "rot-chunk", LASTS, 2, 2, 20,                                                     \
      "one chunk of a snapshot in so many comes with a wrong bit")                                 \
    X(CRASH_INSTALL, "crash-install", LASTS, 2, 1, 4,                                              \
      "of processes that have installed a snapshot one in so many dies before it knows")           \
    X(STRANGER, "stranger", LASTS, 2, 2, 20,                                                       \
      "one dial in so many meets a node of another cluster, or one without the secret")            \
    X(OLDER, "older", LASTS, 4, 1, 1,                                                              \
      "one node has an older program: all go by its rules, or it stops and says so")               \
    X(TINY_JOURNAL, "tiny-journal", LASTS, 4, 96, 192,                                             \
      "four segments of so many KiB: they are full, and used again, all the time")                 \
    X(NARROW, "narrow", LASTS, 3, 1000, 8000,                                                      \
      "edges have room for so many bytes of commands that wait")                                   \
    X(ORDERS, "orders", LASTS, 2, 5, 100,                                                          \
      "one client request in so many orders the cluster about, from another machine")              \
    X(ID_AGAIN, "id-again", LASTS, 1, 2, 20,                                                       \
      "one increment in so many comes again under its id, by another amount")                      \
    X(LITTER, "litter", LASTS, 2, 2, 50,                                                           \
      "one client request in so many makes or deletes a list of many elements")                    \
    X(FLUSH_ALL, "flush-all", LASTS, 1, 5, 100,                                                    \
      "one request in so many to a single register flushes the database")                          \
    X(CRAMPED, "cramped", LASTS, 3, 64, 256,                                                       \
      "an edge's clients may hold so many KiB together, and few replies are kept")                 \
    X(SLOW_STORE, "slow-store", LASTS, 3, 10, 1000,                                                \
      "a write of the store takes about so many ms: what a flush frees is long in coming")         \
    X(LIE, "lie", LASTS, 1, 2, 200,                                                                \
      "before one turn in so many a failure detector says something untrue")                       \
    X(RARELY, "rarely", LASTS, 1, 20, 2000, "one legal but rare choice in so many is taken")       \
    X(PARTIAL, "partial", STRIKES, 2, 1, 8,                                                        \
      "a bridge: one node alone reaches both sides; or a ring: each reaches its two neighbours")   \
    X(ROT_ALL, "rot-all", STRIKES, 6, 1, 2,                                                        \
      "all processes die, and every voter's journal rots, each in other entries")                  \
    X(BEHIND, "behind", STRIKES, 2, 1, 8,                                                          \
      "a leader's clock is ahead, within the bound; it is felled, and those left are behind it")   \
    X(COMPACT, "compact", LASTS, 2, 2, 50,                                                         \
      "in one turn in so many a log forgets what was executed, though it has room")                \
    X(SNAPSHOT, "snapshot", LASTS, 3, 2, 50,                                                       \
      "in one turn in so many also what followers still want: they get a snapshot")                \
    X(FLUSH, "flush", LASTS, 2, 2, 50, "in one turn in so many the store flushes for no reason")   \
    X(UPGRADE, "upgrade", STRIKES, 4, 1, 8,                                                        \
      "all run the last release; one gets this one, which takes up what the journal has")          \
    X(LEVEL, "level", LASTS, 4, 5, 200,                                                            \
      "in one turn in so many a leader has the cluster go over to the newest rules it knows")      \
    X(FAIL_WRITE, "fail-write", STRIKES, 2, 1, 4,                                                  \
      "a write of a journal fails, and the process ends")                                          \
    X(LOSE_STORE, "lose-store", STRIKES, 4, 1, 2,                                                  \
      "the files of a store are gone, and the journal is there")

enum sim_fault {
#define X(constant, name, sort, one_in, from, to, words) SIM_FAULT_##constant,
    SIM_FAULT_TABLE(X)
#undef X
        SIM_FAULTS
};

enum sim_fault_sort { SIM_FAULT_STRIKES, SIM_FAULT_LASTS };
struct sim_fault_row {
    const char *name;
    enum sim_fault_sort sort;
    uint32_t one_in, from, to;
    const char *words;
};
extern const struct sim_fault_row SIM_FAULT_ROWS[SIM_FAULTS];

/* A set of faults. */
typedef struct {
    uint64_t words[2];
} sim_fault_set;
enum { SIM_FAULT_LIST_BYTES = 1024 };
_Static_assert(SIM_FAULTS <= 128, "a set of faults is two words");

static inline bool sim_fault_has(sim_fault_set set, uint32_t fault)
{
    return (set.words[fault / 64] >> fault % 64 & 1) != 0;
}

static inline void sim_fault_put(sim_fault_set *set, uint32_t fault, bool on)
{
    uint64_t bit = UINT64_C(1) << fault % 64, *word = &set->words[fault / 64];
    *word = on ? *word | bit : *word & ~bit;
}

static inline bool sim_fault_any(sim_fault_set set) { return (set.words[0] | set.words[1]) != 0; }

/* What the command line wants of the seeds. All zeros: as each seed says. */
struct sim_fault_wish {
    bool is_chosen;       /* `chosen` are on and no others, whatever the seed says. */
    sim_fault_set chosen; /* The knob of one is as in a seed that has it. */
    sim_fault_set never;  /* Off, whatever the seed says. */
};
/* "a,b": these and no others; "-a,-b": not these; "none". False: a name is unknown. */
bool sim_fault_wish_parse(const char *text, struct sim_fault_wish *wish);
/* The names in `set`, with commas; "none" for the empty one. sim_fault_wish_parse reads it back. */
void sim_fault_list(sim_fault_set set, char out[SIM_FAULT_LIST_BYTES]);

/* Which faults this seed has. */
sim_fault_set sim_faults_of(uint64_t seed, const struct sim_fault_wish *wish);
/* The knob that `fault` has in this seed, if the seed has it. */
uint32_t sim_fault_knob(uint64_t seed, enum sim_fault fault);

#endif
