/* Datagrams between nodes of one cluster: who may say what a failure detector hears.
 *
 * Intuition: anybody can throw a postcard into the letterbox. Only a card that is sealed with the
 * cluster's secret is read; everything else is counted and thrown away, unanswered.
 *
 *     0  version u8
 *     1  cluster id       16 bytes
 *    17  from u32         the node that sends it
 *    21  proof            first half of a MAC, keyed by the secret, of a label, and of all the rest
 *    37  body             1 to MOOT_DATAGRAM_BODY_MAX bytes
 *
 * Half a MAC (RFC 2104, section 5) keeps a full body within the least packet that IPv6 carries over
 * Ethernet whole.
 *
 * Not handled: secrecy, and replays. What travels in here must not mind old news: SWIM orders all
 * sayings about a member by its incarnation, which a replay cannot raise. */
#ifndef MOOT_WIRE_DATAGRAM_H
#define MOOT_WIRE_DATAGRAM_H

#include "wire/admission.h"

enum {
    MOOT_DATAGRAM_VERSION = 1,
    MOOT_DATAGRAM_PROOF_BYTES = 16,
    MOOT_DATAGRAM_HEAD_BYTES = 1 + MOOT_CLUSTER_ID_BYTES + 4 + MOOT_DATAGRAM_PROOF_BYTES,
    MOOT_DATAGRAM_BODY_MAX = 1400,
    MOOT_DATAGRAM_BYTES_MAX = MOOT_DATAGRAM_HEAD_BYTES + MOOT_DATAGRAM_BODY_MAX,
};
_Static_assert(MOOT_DATAGRAM_BYTES_MAX <= 1500 - 40 - 8, "no packet is cut by IPv6 over Ethernet");

/* What was done with a datagram; the order is that of the checks. */
enum moot_datagram_verdict {
    MOOT_DATAGRAM_ACCEPTED,
    MOOT_DATAGRAM_MALFORMED, /* Too short or long, another version. */
    MOOT_DATAGRAM_FOREIGN,   /* Of another cluster. */
    MOOT_DATAGRAM_FORGED,    /* The proof is wrong. */
    MOOT_DATAGRAM_VERDICTS,
};

/* Returns how many bytes of `out` it takes. The body is of 1 to MOOT_DATAGRAM_BODY_MAX bytes. */
size_t moot_datagram_seal(const struct moot_admission *admission,
                          const uint8_t cluster[MOOT_CLUSTER_ID_BYTES], moot_node_id from,
                          struct moot_slice body, uint8_t out[MOOT_DATAGRAM_BYTES_MAX]);
/* When accepted, *body is a view into `bytes`; else *from and *body are not set. */
enum moot_datagram_verdict moot_datagram_open(const struct moot_admission *admission,
                                              const uint8_t cluster[MOOT_CLUSTER_ID_BYTES],
                                              struct moot_slice bytes, moot_node_id *from,
                                              struct moot_slice *body) MOOT_MUST_USE;

#endif
