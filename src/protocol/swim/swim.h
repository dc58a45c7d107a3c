/* What the files of SWIM share. table.c keeps members, news.c what is believed and passed on,
 * probe.c asks whether others live, sync.c exchanges whole states, packet.c is the wire form. */
#ifndef MOOT_PROTOCOL_SWIM_SWIM_H
#define MOOT_PROTOCOL_SWIM_SWIM_H

#include "base/codec.h"
#include "base/rng.h"
#include "moot/swim.h"

enum { SWIM_NONE = UINT32_MAX, SWIM_VERSION = 1, SWIM_CHUNKS_A_TICK = 8 };

/* A set of slots of the table: each member knows its place in each set. */
enum swim_set_kind {
    SWIM_SET_ORDER,    /* To be probed, in this order. */
    SWIM_SET_RUMOURS,  /* To be passed on. */
    SWIM_SET_SUSPECTS, /* With a time-out. */
    SWIM_SET_GONE,     /* Dead and left. */
    SWIM_SET_CHANGED,  /* To be told to the caller. */
    SWIM_SETS
};
struct swim_set {
    uint32_t *items;
    uint32_t count;
};

struct swim_slot {
    struct moot_swim_member member; /* id 0: free; `since` then holds nothing. */
    uint32_t at[SWIM_SETS];
    uint32_t next_free;
    uint8_t transmits; /* How often the rumour of its state was sent. */
    uint8_t confirmed; /* Of the suspicion: by so many, at first one. */
    uint8_t told;      /* The state the caller knows, or 0xFF. */
    bool counted;      /* Is it part of `listed`? */
    moot_node_id by[MOOT_SWIM_CONFIRM_MAX];
};

struct swim_relay {
    uint32_t seq; /* Ours; 0: free. */
    uint32_t origin_seq;
    moot_node_id origin;
    struct moot_swim_address address;
    struct moot_instant nack_at, until;
    bool nacked;
};

struct swim_sync {
    bool active, wants_reply;
    moot_node_id to; /* 0: only an address is known. */
    struct moot_swim_address address;
    uint32_t next; /* Slot to go on with. */
};

struct swim_probe {
    moot_node_id target; /* 0: none under way. */
    uint32_t seq;
    struct moot_instant indirect_at, end;
    bool acked, went_indirect;
    uint8_t nacks_expected, nacks;
};

struct moot_swim {
    struct moot_swim_config config;
    struct moot_rng rng;
    struct moot_swim_counts counts;
    uint32_t capacity, mask; /* mask: of the hash table. */
    struct swim_slot *slots; /* The first is oneself. */
    uint32_t *hash;          /* Slot + 1 by id, linear probing; 0: empty. */
    struct swim_set sets[SWIM_SETS];
    uint32_t free_slot, used, listed; /* listed: alive and suspect. */
    uint32_t next_probe;              /* Place in the order. */
    uint32_t seq, awareness;
    bool leaving;
    struct swim_probe probe;
    struct swim_relay relays[MOOT_SWIM_RELAYS_MAX];
    struct swim_sync syncs[MOOT_SWIM_SYNCS_MAX];
    struct moot_instant sync_at, reconnect_at, forget_at;
    struct moot_instant due; /* When the next tick was to come: later is a pause of ours. */
    /* The caller hears of a member that was forgotten. */
    moot_node_id forgotten[64];
    uint32_t forgotten_count;
};

/* ---- table.c ---- */
uint32_t swim__slot_of(const struct moot_swim *swim, moot_node_id id); /* SWIM_NONE */
/* SWIM_NONE: the table is full. */
uint32_t swim__slot_make(struct moot_swim *swim, moot_node_id id);
void swim__slot_forget(struct moot_swim *swim, uint32_t slot);
void swim__set_add(struct moot_swim *swim, enum swim_set_kind kind, uint32_t slot);
void swim__set_remove(struct moot_swim *swim, enum swim_set_kind kind, uint32_t slot);
bool swim__set_has(const struct moot_swim *swim, enum swim_set_kind kind, uint32_t slot);
static inline bool swim__is_listed(const struct swim_slot *slot)
{
    return slot->member.state == MOOT_SWIM_ALIVE || slot->member.state == MOOT_SWIM_SUSPECT;
}

/* ---- news.c ---- */
/* One saying about a member. */
struct swim_saying {
    moot_node_id id, by; /* by: who suspects it; 0 when that is not told. */
    uint64_t incarnation;
    enum moot_swim_state state;
    struct moot_swim_address address;
};
void swim__believe(struct moot_swim *swim, struct moot_instant now,
                   const struct swim_saying *saying);
void swim__suspect(struct moot_swim *swim, struct moot_instant now, uint32_t slot);
/* Suspects whose time is over die; the long dead are forgotten. */
void swim__expire(struct moot_swim *swim, struct moot_instant now);
/* This member was not running for `gap`: nobody dies of that. */
void swim__forgive(struct moot_swim *swim, struct moot_duration gap);
struct moot_instant swim__news_deadline(const struct moot_swim *swim);
/* How often a rumour is passed on, and when a suspicion ends. */
uint32_t swim__transmits_max(const struct moot_swim *swim);
struct moot_instant swim__suspicion_end(const struct moot_swim *swim, const struct swim_slot *slot);
void swim__aware(struct moot_swim *swim, int change);

/* ---- packet.c ---- */
enum swim_kind { SWIM_PING, SWIM_ACK, SWIM_NACK, SWIM_PING_REQ, SWIM_SYNC, SWIM_KINDS };
struct swim_packet {
    enum swim_kind kind;
    moot_node_id from, target; /* target: of PING and PING_REQ. */
    uint64_t incarnation;
    struct moot_swim_address from_address, target_address;
    uint32_t seq;
    bool wants_reply; /* SYNC */
};
/* A packet begun in `out`: its head is written, rumours or a part of the state follow, then it is
 * closed. Not begun (false): no room, counted. */
struct swim_writing {
    struct moot_swim_out *out;
    struct moot_writer writer;
    uint8_t *count_at; /* Of sayings, u8. */
    uint8_t count;
};
bool swim__packet_begin(struct moot_swim *swim, struct moot_swim_out *out, moot_node_id to,
                        const struct moot_swim_address *address, const struct swim_packet *packet,
                        struct swim_writing *writing);
/* False: it does not fit, and nothing was written. */
bool swim__packet_say(struct moot_swim *swim, struct swim_writing *writing, uint32_t slot);
void swim__packet_end(struct moot_swim *swim, struct swim_writing *writing);
/* With as many rumours as fit; a suspect `to` is told of its own suspicion first. */
void swim__send(struct moot_swim *swim, struct moot_swim_out *out, moot_node_id to,
                const struct moot_swim_address *address, const struct swim_packet *packet);
int swim__packet_read(struct moot_reader *reader, struct swim_packet *packet) MOOT_MUST_USE;
bool swim__saying_read(struct moot_reader *reader, struct swim_saying *saying);

/* ---- probe.c ---- */
void swim__probe_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out);
struct moot_instant swim__probe_deadline(const struct moot_swim *swim);
void swim__on_ping(struct moot_swim *swim, const struct swim_packet *packet,
                   struct moot_swim_out *out);
void swim__on_ping_req(struct moot_swim *swim, struct moot_instant now,
                       const struct swim_packet *packet, struct moot_swim_out *out);
void swim__on_ack(struct moot_swim *swim, const struct swim_packet *packet,
                  struct moot_swim_out *out);
void swim__on_nack(struct moot_swim *swim, const struct swim_packet *packet);
/* Random member out of a set, or SWIM_NONE. */
uint32_t swim__pick(struct moot_swim *swim, enum swim_set_kind kind);

/* ---- sync.c ---- */
void swim__sync_begin(struct moot_swim *swim, moot_node_id to,
                      const struct moot_swim_address *address, bool wants_reply);
void swim__sync_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out);
struct moot_instant swim__sync_deadline(const struct moot_swim *swim);

#endif
