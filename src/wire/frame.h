/* Frames: how whole messages travel over one link between two nodes.
 *
 * Intuition: a link is one pipe, and a snapshot is a long train. A heartbeat that had to wait for
 * the train would cost an election; so messages are cut into frames of at most MOOT_FRAME_BYTES_MAX
 * and an urgent message goes between two frames of a bulk one. Order is kept within a lane, not
 * between lanes.
 *
 * A frame is a head of 24 bytes, little-endian, and a payload:
 *
 *     0  check u32     of bytes 4 to 24, so that a damaged length is seen before it is waited for
 *     4  magic u16     names the frame's version, too
 *     6  lane u8
 *     7  flags u8      FIRST, LAST frame of its message
 *     8  length u32    of the payload
 *    12  left u32      bytes of this message that follow in later frames
 *    16  checksum u64  of the payload
 *
 * Both checks are XXH3, seeded by the key of the session and direction and by the number of the
 * frame on the link. The number is not sent: a frame that is lost, repeated, moved, reflected or of
 * an older session has a wrong check. Any damage ends the link: nothing after it can be trusted.
 *
 * Not handled: an attacker on the wire. XXH3 is a checksum, its seed only keeps strangers' and
 * stale bytes out; secrecy and integrity against malice are TLS's. */
#ifndef MOOT_WIRE_FRAME_H
#define MOOT_WIRE_FRAME_H

#include "base/block.h"
#include "base/buffer.h"

enum { MOOT_FRAME_HEAD_BYTES = 24 };
enum moot_lane {
    MOOT_LANE_URGENT, /* Heartbeats, votes, read confirmations: small, and they overtake. */
    MOOT_LANE_BULK,
};
enum { MOOT_LANES = 2 };

/* ---- sending ---- */

/* A piece of a message: some bytes of a block. */
struct moot_frame_part {
    struct moot_block *block;
    uint32_t offset, size;
};
struct moot_frame_queued; /* A queued message; private. */

/* Invariant: queued_bytes is the cost of all messages in both lanes, and never more than
 * MOOT_PEER_QUEUE_BYTES_MAX. */
struct moot_frame_sender {
    struct moot_frame_queued *first[MOOT_LANES], *last[MOOT_LANES]; /* private */
    uint64_t key, number;                                           /* private */
    size_t queued_bytes; /* read-only: of messages not wholly taken, and their bookkeeping */
};
void moot_frame_sender_init(struct moot_frame_sender *sender, uint64_t key);
/* Drops what is queued. */
void moot_frame_sender_deinit(struct moot_frame_sender *sender);
/* Queues one message: `head` (copied; may be empty), then the parts, whose blocks are retained on
 * success until their bytes have been taken. MOOT_EOVERLOADED: the queue is full and nothing was
 * queued (the last MOOT_PEER_URGENT_BYTES are for urgent messages only). MOOT_ELIMIT: no link may
 * carry this message. */
int moot_frame_send(struct moot_frame_sender *sender, enum moot_lane lane, struct moot_slice head,
                    const struct moot_frame_part *parts, size_t part_count) MOOT_MUST_USE;
static inline bool moot_frame_sender_is_empty(const struct moot_frame_sender *sender)
{
    return sender->first[MOOT_LANE_URGENT] == NULL && sender->first[MOOT_LANE_BULK] == NULL;
}
/* Appends whole frames to `out`, urgent ones first, as long as they fit `budget` bytes, and returns
 * how many bytes that were. `budget` is at least MOOT_FRAME_BYTES_MAX, so something is written
 * whenever something is queued. What is in `out` can no longer be overtaken: take little at a time,
 * and only when the socket has room. */
size_t moot_frame_take(struct moot_frame_sender *sender, struct moot_buffer *out, size_t budget);

/* ---- receiving ---- */
struct moot_frame_message {
    enum moot_lane lane;
    struct moot_block *block; /* One reference, the caller's. */
};
struct moot_frame_receiver {
    struct {
        struct moot_block *block; /* The message being put together, or NULL. */
        uint32_t filled;
    } lanes[MOOT_LANES];     /* private */
    struct moot_buffer torn; /* private: the start of a frame of which the rest is to come */
    uint64_t key, number;    /* private */
    int failure;             /* private */
};
void moot_frame_receiver_init(struct moot_frame_receiver *receiver, uint64_t key);
void moot_frame_receiver_deinit(struct moot_frame_receiver *receiver);
/* Takes bytes from the front of *bytes up to the end of the next whole message. 0: *message is one;
 * call again. MOOT_EAGAIN: all bytes are taken and more are needed. MOOT_ECORRUPT: the link must be
 * closed; every later call says the same. */
int moot_frame_receive(struct moot_frame_receiver *receiver, struct moot_slice *bytes,
                       struct moot_frame_message *message) MOOT_MUST_USE;

/* What has come of the bulk message that is being put together; empty: none is. Valid until the
 * next call. */
struct moot_slice moot_frame_receiver_part(const struct moot_frame_receiver *receiver);

#endif
