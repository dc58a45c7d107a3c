/* The envelope of a log entry: what every kind of entry carries, whatever its body.
 *
 *   version u8, kind u8, flags u16, stamp time u64, seed u64,
 *   edge node u32, edge incarnation u64, batch number u64, body
 *
 * The edge fields name the numbered batch of an edge stream that the entry executes (0: none). The
 * stamp is a hybrid logical time, strictly increasing along the log. Fixed size, so that an edge
 * can leave room for it in front of a batch and the leader fills it in without copying. All numbers
 * little-endian. */
#ifndef MOOT_DATABASE_GROUP_ENTRY_H
#define MOOT_DATABASE_GROUP_ENTRY_H

#include "base/buffer.h"
#include "moot/hlc.h"
#include "moot/quorum.h"

enum { MOOT_ENTRY_VERSION = 1, MOOT_ENTRY_HEADER_BYTES = 40 };

/* Numbers are for ever. */
enum moot_entry_kind {
    MOOT_ENTRY_NOOP = 0,          /* A new leader's first entry. */
    MOOT_ENTRY_COMMANDS = 1,      /* A batch: execute/engine.h */
    MOOT_ENTRY_EFFECTS = 2,       /* reserved: a write set */
    MOOT_ENTRY_PREPARE = 3,       /* reserved: transactions */
    MOOT_ENTRY_DECIDE = 4,        /* reserved: transactions */
    MOOT_ENTRY_EXPIRE = 5,        /* Keys whose time has come. */
    MOOT_ENTRY_MEMBERS = 6,       /* A configuration. */
    MOOT_ENTRY_SETTINGS = 7,      /* Limits that can change a result. */
    MOOT_ENTRY_FEATURE_LEVEL = 8, /* u32: from here on, the rules of that level hold. */
    MOOT_ENTRY_CUT = 9,           /* reserved: every replica pins a snapshot */
};

enum moot_entry_flag {
    MOOT_ENTRY_REFUSE_GROWTH = 1 << 0,
    MOOT_ENTRY_LEAVE_CHAINED = 1 << 1, /* As if no reply of a chained item fitted. */
};

struct moot_entry {
    enum moot_entry_kind kind;
    uint16_t flags;
    moot_hlc_stamp stamp;
    uint64_t seed;
    moot_node_id edge;
    uint64_t edge_incarnation;
    uint64_t batch;
    struct moot_slice body;
};

/* Writes the header's MOOT_ENTRY_HEADER_BYTES to `out`; `entry->body` is not looked at. */
void moot_entry_put_header(uint8_t *out, const struct moot_entry *entry);
/* MOOT_EINVALID, MOOT_EVERSION. `out->body` points into `bytes`. */
int moot_entry_decode(struct moot_slice bytes, struct moot_entry *out) MOOT_MUST_USE;

void moot_members_encode(const struct moot_members *members, struct moot_buffer *out);
/* Also checks that it is a valid configuration. */
struct moot_reader;
bool moot_members_decode(struct moot_reader *reader, struct moot_members *out);

#endif
