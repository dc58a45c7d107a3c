/* The handshake that opens a link between two nodes: each proves to the other that it knows the
 * cluster's secret, and says who it is.
 *
 * Intuition: each side makes up a number that was never used before and asks the other to seal both
 * numbers. Only who knows the secret can; and a seal seen yesterday is about yesterday's numbers.
 *
 *     initiator                                acceptor
 *       HELLO   identity, purpose, nonce  -->
 *                                        <--   REPLY    identity, nonce, proof "acceptor"
 *       CONFIRM proof "initiator"         -->
 *
 * A proof is a MAC, keyed by the secret, of a role and of every byte of HELLO and REPLY before it:
 * identities, both nonces, the versions offered. The role is in it so that a proof cannot be sent
 * back to its maker. Both sides then speak the highest version that both know (no lower one can be
 * slipped in: the offers are in the proof) and derive one frame key for each direction.
 *
 * Instead of its next message a side may send REFUSED with a reason, so that an operator reads on
 * both nodes why two of them do not talk. It is not proven, and only ever ends the link. (An
 * initiator is done when it has sent CONFIRM; should that be refused, its frame receiver sees it as
 * damage.)
 *
 * A node that is no member yet links with purpose JOIN, without an id, and learns the cluster's.
 *
 * Not handled: secrecy of what follows (TLS), somebody who relays both sides' bytes unchanged, time
 * (the owner closes a link whose handshake takes long), and whether the peer is still a member or
 * its incarnation is out of date (the owner decides when it is done). */
#ifndef MOOT_WIRE_HANDSHAKE_H
#define MOOT_WIRE_HANDSHAKE_H

#include "base/buffer.h"
#include "base/limits.h"

enum {
    MOOT_PEER_VERSION_MIN = 1, /* What this release speaks. */
    MOOT_PEER_VERSION_MAX = 1,
    MOOT_NONCE_BYTES = 32,
    MOOT_MAC_BYTES = 32,
};
enum moot_link_purpose {
    MOOT_LINK_PEER = 1, /* Between members. */
    MOOT_LINK_JOIN = 2, /* From a node without an id, which asks to join. */
};

/* A MAC function: host's is HMAC-SHA256; the simulator may have a cheaper one. */
struct moot_mac {
    void (*compute)(void *context, struct moot_slice key, struct moot_slice message,
                    uint8_t out[MOOT_MAC_BYTES]);
    void *context;
};

/* X(NAME, value on the wire, text) */
#define MOOT_REFUSAL_TABLE(X)                                                                      \
    X(NONE, 0, "not refused")                                                                      \
    X(NOT_MOOT, 1, "the other end does not speak moot's peer protocol")                            \
    X(MALFORMED, 2, "malformed handshake")                                                         \
    X(OVERSIZED, 3, "oversized handshake")                                                         \
    X(VERSION, 4, "no common version of the peer protocol")                                        \
    X(OTHER_CLUSTER, 5, "a node of another cluster")                                               \
    X(SELF, 6, "this node itself, or another with its id")                                         \
    X(PROOF, 7, "wrong cluster secret, or a replayed handshake")                                   \
    X(OTHER_NODE, 8, "another node answers at this address")                                       \
    X(NO_ID, 9, "a node without an id may only ask to join")                                       \
    X(HAS_ID, 10, "a node that has an id cannot ask to join")                                      \
    X(NOT_MEMBER, 11, "the node that was asked is no member of a cluster yet")
enum moot_refusal {
#define X(name, value, text) MOOT_REFUSED_##name = (value),
    MOOT_REFUSAL_TABLE(X)
#undef X
};
const char *moot_refusal_text(enum moot_refusal reason);

/* All that one side brings. The secret must outlive the handshake; the rest is copied. */
struct moot_handshake_options {
    bool initiator;
    enum moot_link_purpose purpose;            /* The initiator's; JOIN only with node id 0. */
    uint16_t version_min, version_max;         /* 0, 0: what this release speaks. */
    uint32_t feature_level;                    /* 0: what this release knows. */
    uint8_t cluster_id[MOOT_CLUSTER_ID_BYTES]; /* All zeros only without an id: not known yet. */
    moot_node_id node;
    uint64_t incarnation;
    struct moot_slice address;       /* Where this node's peers reach it: HOST:PORT. */
    moot_node_id expected;           /* The initiator's: who should answer; 0: anyone. */
    uint8_t nonce[MOOT_NONCE_BYTES]; /* Fresh randomness, never used before. */
    struct moot_slice secret;
    struct moot_mac mac;
};

struct moot_peer_identity {
    enum moot_link_purpose purpose;
    uint16_t version;       /* To be spoken on this link. */
    uint32_t feature_level; /* That its release knows; 0: it does not say. */
    uint8_t cluster_id[MOOT_CLUSTER_ID_BYTES];
    moot_node_id node; /* 0: asks to join. */
    uint64_t incarnation;
    char address[MOOT_ADDRESS_MAX]; /* Text, ends with NUL. */
    uint64_t send_key, receive_key; /* For this side's frames. */
};

enum moot_handshake_state {
    MOOT_HANDSHAKE_MORE, /* Bytes of the other side are needed. */
    MOOT_HANDSHAKE_DONE,
    MOOT_HANDSHAKE_REFUSED,
};

/* initiator: [begin] WAIT_REPLY -> DONE | REFUSED
 * acceptor:  [begin] WAIT_HELLO -> WAIT_CONFIRM -> DONE | REFUSED
 * Copyable; holds no memory of its own. */
struct moot_handshake {
    struct moot_peer_identity
        peer;                  /* read-only: complete when DONE, and not to be believed before */
    enum moot_refusal refusal; /* read-only: when REFUSED */
    bool refused_by_peer;      /* read-only: it was the other side that refused */
    /* private */
    enum moot_handshake_state state;
    uint8_t awaited; /* Type of the next message. */
    struct moot_handshake_options options;
    char address[MOOT_ADDRESS_MAX];
    uint32_t input_size, transcript_size;
    uint8_t input[MOOT_HANDSHAKE_BYTES_MAX];          /* The message that is arriving. */
    uint8_t transcript[2 * MOOT_HANDSHAKE_BYTES_MAX]; /* HELLO, and REPLY up to its proof. */
};

/* Begins; an initiator's HELLO is appended to `output`. Options that no node may have abort. */
void moot_handshake_begin(struct moot_handshake *handshake,
                          const struct moot_handshake_options *options, struct moot_buffer *output);
/* Takes bytes from the front of *bytes, torn anywhere, and appends what is to be sent to `output`
 * (send it also when REFUSED, then close). Once DONE, what is left in *bytes are frames. */
enum moot_handshake_state moot_handshake_input(struct moot_handshake *handshake,
                                               struct moot_slice *bytes,
                                               struct moot_buffer *output);

#endif
