/* MOOT JOIN: a node that is to be taken in proves that it knows the cluster's secret before it gets
 * an identity. */
#include "base/assert.h"
#include "base/memory.h"
#include "base/rule.h"
#include "database/edge/edge.h"

static void challenge(struct moot_edge *edge, struct moot_connection *connection)
{
    char hex[MOOT_ADMISSION_HEX];
    moot_admission_nonce(&edge->admission, edge->identity->node, edge->incarnation,
                         ++edge->nonces_given, connection->nonce);
    connection->has_nonce = true;
    moot_admission_to_hex(connection->nonce, hex);
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_bulk(&resp, moot_slice_make(hex, sizeof(hex)));
    edge__reply_scratch(edge, connection);
}

static bool is_proven(const struct moot_edge *edge, const struct moot_connection *connection,
                      const struct moot_slice *args)
{
    uint8_t wanted[MOOT_MAC_BYTES], given[MOOT_MAC_BYTES];
    moot_admission_proof(&edge->admission, connection->nonce, args[2], args[3], wanted);
    return moot_admission_from_hex(args[4], given) && moot_admission_equal(wanted, given);
}

/* args: MOOT JOIN [peer client proof] */
void edge__join(struct moot_edge *edge, struct moot_connection *connection,
                const struct moot_slice *args, uint32_t argc)
{
    MOOT_ASSERT(argc >= 2);
    if (edge->admission.mac.compute == NULL) {
        edge__error(edge, connection, "NOPERM this node takes nobody in: it was given no secret");
        return;
    }
    if (argc == 2) {
        challenge(edge, connection);
        return;
    }
    if (argc != 5) {
        edge__error(edge, connection,
                    "NOAUTH joining takes a proof of the cluster's secret: MOOT JOIN gives a "
                    "nonce, then MOOT JOIN peer client proof; `moot server --join` does it");
        return;
    }
    bool asked = connection->has_nonce;
    bool proven = asked && is_proven(edge, connection, args);
    connection->has_nonce = false; /* A nonce is for one attempt. */
    if (!MOOT_RULE(join_only_with_secret, proven)) {
        edge__error(edge, connection,
                    asked ? "WRONGPASS wrong cluster secret: copy the file `secret` of a node of "
                            "this cluster, and name it with --secret-file"
                          : "NOAUTH no nonce was given on this connection: send MOOT JOIN first");
        return;
    }
    struct moot_slice join[3] = {MOOT_SLICE_LITERAL("moot.join"), args[2], args[3]};
    edge__submit(edge, connection, MOOT_GROUP_SYSTEM, true, 0, 0, join, 3, MOOT_REF_REPLY);
}
