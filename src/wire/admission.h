/* Proof of the cluster's secret by a node that asks a client port to take it in.
 *
 *     joiner                                    node
 *       MOOT JOIN                       -->
 *                                      <--      nonce: never used before, for this connection
 *       MOOT JOIN peer client proof     -->
 *
 * The proof is a MAC, keyed by the secret, of the nonce and both addresses: it admits this node, at
 * these addresses, over this connection, once. The nonce is itself a MAC, of what never comes again
 * (node, incarnation, counter): nobody without the secret can foresee it, and the brain needs no
 * randomness for it.
 *
 * Not handled: whether the node that asks for the proof knows the secret. A false one learns
 * nothing from it that is of use elsewhere, and the links of who believed it are refused. */
#ifndef MOOT_WIRE_ADMISSION_H
#define MOOT_WIRE_ADMISSION_H

#include "wire/handshake.h"

/* What makes proofs: the cluster's secret and the driver's MAC. The secret must outlive it. */
struct moot_admission {
    struct moot_slice secret;
    struct moot_mac mac; /* compute == NULL: nobody is ever admitted. */
};

enum { MOOT_ADMISSION_HEX = 2 * MOOT_MAC_BYTES };

void moot_admission_nonce(const struct moot_admission *admission, moot_node_id node,
                          uint64_t incarnation, uint64_t counter, uint8_t out[MOOT_MAC_BYTES]);
void moot_admission_proof(const struct moot_admission *admission,
                          const uint8_t nonce[MOOT_MAC_BYTES], struct moot_slice peer,
                          struct moot_slice client, uint8_t out[MOOT_MAC_BYTES]);
/* In time that does not tell how much of it is right. */
bool moot_admission_equal(const uint8_t left[MOOT_MAC_BYTES], const uint8_t right[MOOT_MAC_BYTES]);

/* Nonces and proofs travel as lower-case hex. False: not exactly that many digits. */
void moot_admission_to_hex(const uint8_t bytes[MOOT_MAC_BYTES], char out[MOOT_ADMISSION_HEX]);
bool moot_admission_from_hex(struct moot_slice hex, uint8_t out[MOOT_MAC_BYTES]);

#endif
