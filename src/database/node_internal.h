/* The parts of a node, shared by node.c (turns), node_open.c (start), node_members.c
 * (membership and leadership), node_peers.c (whom the driver links with), node_reopen.c (a planned
 * restart), node_health.c (failure detectors; a leader that is ill), node_space.c (room on disks),
 * and node_clock.c (the time that stamps are made of). */
#ifndef MOOT_DATABASE_NODE_INTERNAL_H
#define MOOT_DATABASE_NODE_INTERNAL_H

#include "database/edge/edge.h"
#include "database/group/group.h"
#include "database/node.h"

struct moot_node {
    struct moot_identity identity;
    uint64_t incarnation;
    struct moot_journal *journal;
    struct moot_outbox outbox;
    struct moot_group_context context;
    struct moot_rng rng;
    struct moot_chance chance;
    struct moot_group *groups[MOOT_GROUPS_MAX];
    struct moot_edge edge;
    struct moot_directory directory;
    struct moot_arena arena; /* Of one message. */
    uint64_t flush_bytes;
    uint64_t journal_bytes_max; /* Of segments in use, before a flush is due. */
    bool journal_is_full;
    struct moot_record *restated;     /* Of all groups, while they are laid out. */
    uint64_t repaired_record;         /* 0, or: rot is repaired once this record is durable. */
    uint64_t rotten_until;            /* 0, or: newest segment when it was. To be left behind ... */
    bool rot_mark_due, rot_flush_due; /* ... by a batch, or a flush. */
    bool rotten; /* The journal was opened with rot that is not repaired yet. */
    bool flushing;
    moot_ticket flush_ticket;
    struct moot_peers peers;
    bool peers_told;          /* The driver knows what this node wishes of each. */
    bool directory_unflushed; /* It has changed since the last flush began. */
    bool told_removed;        /* A member said that this node is none any more. */
    struct moot_instant take_over_at[MOOT_GROUPS_MAX]; /* From a leader that was removed. */
    struct moot_instant led_at[MOOT_GROUPS_MAX]; /* Each group's leader was known here, or start. */
    struct moot_instant reconcile_next, form_next, mark_due;
    bool mark_wanted; /* A closing mark, once the journal has been idle for a while. */
    bool stopping, stopped;
    struct moot_instant stop_by;
    struct { /* node_reopen.c */
        bool wanted;
        bool told;                /* That it waits. */
        bool turned;              /* The journal has turned over, from segment `generation`. */
        bool flush_due, mark_due; /* So that what lies there may go. */
        uint64_t generation;
        struct moot_instant wanted_since, turned_by, rest_by, not_before;
    } reopen;
    uint64_t free_bytes;
    bool disk_is_low;
    enum moot_room room_told;
    bool is_crowded;                /* node_space.c */
    struct moot_instant space_told; /* Not to tell the leader the same again before. */
    /* node_health.c */
    struct moot_instant health_ticked;
    struct moot_instant disk_since; /* The disk was idle, or answered. */
    struct moot_instant slow_since; /* MOOT_NEVER: the links are as quick as others'. */
    struct moot_instant hung_next, slow_next, space_next; /* Not to hand over again before. */
    uint32_t space_offers; /* To so many others, since the disk became nearly full. */
    /* node_clock.c */
    int64_t wall_offset_ms; /* Of the wall clock that is believed, to the steady one. */
    struct moot_instant wall_last_doubt; /* MOOT_NEVER: the wall clock is believed. */
    uint64_t wall_agree_ns;
    bool wall_was_wrong;    /* Also before it jumped. */
    bool clock_found_wrong; /* As people were told last. */
    int fatal;
    char fatal_text[160];
};

void node__fail(struct moot_node *node, int status, const char *text);
void node__members_tick(struct moot_node *node);
void node__directory(struct moot_node *node);
void node__refused_by(struct moot_node *node, moot_node_id peer);
size_t node__restate(void *context, const struct moot_record **out);
/* node_peers.c */
/* Its link is up, and its release knows this feature level; or down. */
void node__link(struct moot_node *node, moot_node_id id, bool up, uint32_t level);
void node__late_addresses(struct moot_node *node);
void node__tell_peers(struct moot_node *node);
void node__peers_tick(struct moot_node *node);
void node__tell_leaders(struct moot_node *node);
void node__rot_tick(struct moot_node *node);
void node__stop_tick(struct moot_node *node);
/* Hands over what this node leads; false when it leads nothing that another could. */
bool node__hands_over(struct moot_node *node);
/* node_reopen.c: within a turn; and when nothing is left to do in it. */
void node__reopen_tick(struct moot_node *node);
void node__reopen_end(struct moot_node *node, bool again);
void node__reopen_ends(struct moot_node *node);
void node__health(struct moot_node *node, const struct moot_input *input);
/* node_space.c: so much is free; what another says of its disk; each turn. */
void node__space(struct moot_node *node, uint64_t free_bytes, uint64_t disk_bytes);
void node__room_of(struct moot_node *node, moot_node_id from, enum moot_room room);
void node__space_tick(struct moot_node *node);
void node__disk_answered(struct moot_node *node);
void node__health_tick(struct moot_node *node);
void node__clock_init(struct moot_node *node, uint64_t election_ms);
void node__clock(struct moot_node *node);

#endif
