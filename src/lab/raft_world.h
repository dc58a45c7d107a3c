/* Five Raft cores whose messages the scene delivers, or does not; disks are instant. */
#ifndef MOOT_LAB_RAFT_WORLD_H
#define MOOT_LAB_RAFT_WORLD_H

#include "lab/scene.h"
#include "moot/raft.h"

enum { WORLD_SERVERS = 5, WORLD_LOG = 16, WORLD_PACKETS = 256 };

struct world_server {
    struct moot_raft *raft; /* NULL: down. */
    void *memory;
    moot_term term;
    moot_node_id vote;
    struct moot_raft_entry log[WORLD_LOG]; /* Entry i at i - 1. */
    moot_index last, commit;
    uint32_t line;
};

struct world_packet {
    struct moot_raft_message message;
    struct moot_raft_entry entries[WORLD_LOG];
};

struct raft_world {
    struct lab *lab;
    struct world_server servers[WORLD_SERVERS + 1]; /* By id. */
    struct world_packet packets[WORLD_PACKETS];
    uint32_t packet_count;
    struct moot_raft_effects effects;
    uint64_t now_ns; /* Of the cores: jumps ahead at each election, the picture does not. */
    struct moot_raft_options options;
    struct moot_members members;
};

struct raft_world *raft_world_make(struct lab *lab);
void raft_world_free(struct raft_world *world);
void raft_world_start(struct raft_world *world, moot_node_id id);
void raft_world_crash(struct raft_world *world, moot_node_id id);
/* The server's time-out comes; votes travel among `among` (bit i: server i) and nothing else does.
 * True: it leads. What it then wants to send stays queued. */
bool raft_world_elect(struct raft_world *world, moot_node_id id, uint32_t among);
/* Delivers what is queued and what follows from it, among those; the rest is lost. Appends that
 * would make a log longer than `highest` are lost too. */
void raft_world_deliver(struct raft_world *world, uint32_t among, moot_index highest);
/* On how many servers' disks stands an entry of that term at that index? */
uint32_t raft_world_copies(const struct raft_world *world, moot_index index, moot_term term);

#endif
