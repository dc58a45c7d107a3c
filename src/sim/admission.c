/* Machines that ask to be taken in, some of them with the secret of another cluster; and strangers
 * that links meet. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "sim/world.h"

enum { STRANGER = UINT32_MAX, STRANGER_ONE_IN = 4 };

/* Differs whenever key or message do; nobody in here tries to forge it. */
static void cheap_mac(void *context, struct moot_slice key, struct moot_slice message,
                      uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        moot_store_le64(out + 8 * i, moot_hash64(message, moot_hash64(key, i)));
    }
}

struct moot_admission sim__admission(void)
{
    return (struct moot_admission){MOOT_SLICE_LITERAL("the secret of the simulated cluster"),
                                   {cheap_mac, NULL}};
}

void sim__ask_join(struct sim_world *world, struct sim_client *client)
{
    bool is_stranger = sim__one_in(world, STRANGER_ONE_IN);
    if (!is_stranger && world->machine_count == SIM_MACHINES_MAX) {
        return;
    }
    uint32_t slot = is_stranger ? (uint32_t)STRANGER : world->machine_count++;
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("MOOT"), MOOT_SLICE_LITERAL("JOIN")};
    sim__command(client, args, 2, (struct sim_expected){SIM_STEP_NONCE, SIZE_MAX, slot});
}

void sim__on_nonce(struct sim_world *world, struct sim_client *client, uint32_t slot,
                   struct moot_slice nonce)
{
    char peer[24], public[24], hex[MOOT_ADMISSION_HEX];
    uint8_t bytes[MOOT_MAC_BYTES], proof[MOOT_MAC_BYTES];
    if (!moot_admission_from_hex(nonce, bytes)) {
        sim__violation(world, "MOOT JOIN answered something that is no nonce");
        return;
    }
    snprintf(peer, sizeof(peer), "m%u:1", slot);
    snprintf(public, sizeof(public), "m%u:2", slot);
    struct moot_admission admission = sim__admission();
    if (slot == STRANGER) {
        admission.secret = MOOT_SLICE_LITERAL("the secret of another cluster");
    }
    moot_admission_proof(&admission, bytes, moot_slice_text(peer), moot_slice_text(public), proof);
    moot_admission_to_hex(proof, hex);
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("MOOT"), MOOT_SLICE_LITERAL("JOIN"),
                                moot_slice_text(peer), moot_slice_text(public),
                                moot_slice_make(hex, sizeof(hex))};
    sim__command(client, args, 5, (struct sim_expected){SIM_STEP_JOIN, SIZE_MAX, slot});
}

void sim__on_joined(struct sim_world *world, uint32_t slot, struct moot_slice hex)
{
    uint8_t bytes[2 * sizeof(struct moot_identity)];
    size_t size = 0;
    if (slot == STRANGER) {
        sim__violation(world, "a node with the secret of another cluster was taken in");
        return;
    }
    for (size_t i = 0; i + 1 < hex.size && size < sizeof(bytes); i += 2) {
        unsigned byte = 0;
        char pair[3] = {(char)hex.data[i], (char)hex.data[i + 1], '\0'};
        (void)sscanf(pair, "%2x", &byte);
        bytes[size++] = (uint8_t)byte;
    }
    struct sim_machine *machine = sim__machine_make(world, slot);
    world->machines[slot] = machine;
    if (moot_identity_decode(moot_slice_make(bytes, size), &machine->identity) != 0) {
        sim__violation(world, "MOOT JOIN answered something that is no identity");
        return;
    }
    if (sim__machine_of(world, machine->identity.node) != NULL) {
        sim__violation(world, "id %u was given twice", machine->identity.node);
        return;
    }
    machine->id = machine->identity.node;
    sim__count(world, SIM_FAULT_JOIN);
    sim__trace(world, "m%u joined as node %u", slot, machine->id);
    sim__at(world, world->now + sim__around(world, 20 * 1000),
            (struct sim_event){.kind = SIM_START, .machine = slot});
}

/* ---- strangers at the other end of a link ---- */

static struct moot_handshake_options options_of(struct sim_world *world,
                                                const struct sim_machine *machine)
{
    struct moot_admission admission = sim__admission();
    struct moot_handshake_options options = {.purpose = MOOT_LINK_PEER,
                                             .node = machine->id,
                                             .incarnation = moot_node_incarnation(machine->node),
                                             .address =
                                                 moot_slice_text(machine->identity.self.peer),
                                             .secret = admission.secret,
                                             .mac = admission.mac};
    memcpy(options.cluster_id, machine->identity.cluster, sizeof(options.cluster_id));
    for (size_t i = 0; i < sizeof(options.nonce); i++) {
        options.nonce[i] = (uint8_t)sim__below(world, 256);
    }
    return options;
}

/* What `from` has written, to the other side. */
static void hand_over(struct moot_handshake *to, struct moot_buffer *from, struct moot_buffer *back)
{
    struct moot_slice bytes = moot_buffer_slice(from);
    if (bytes.size > 0) {
        (void)moot_handshake_input(to, &bytes, back);
    }
    from->size = 0;
}

void sim__meet_stranger(struct sim_world *world, const struct sim_machine *from,
                        const struct sim_machine *to)
{
    struct moot_handshake_options options[2] = {options_of(world, from), options_of(world, to)};
    bool other_cluster = sim__one_in(world, 2);
    uint64_t stranger = sim__below(world, 2); /* Who dials, or who answers. */
    options[0].initiator = true;
    options[0].expected = to->id;
    if (other_cluster) {
        options[stranger].cluster_id[0] ^= 1;
    } else {
        options[stranger].secret = MOOT_SLICE_LITERAL("the secret of another cluster");
    }
    struct moot_handshake *sides = moot_alloc(2 * sizeof(*sides));
    struct moot_buffer out[2];
    for (int i = 0; i < 2; i++) {
        moot_buffer_init(&out[i]);
        moot_handshake_begin(&sides[i], &options[i], &out[i]);
    }
    for (int round = 0; round < 4; round++) {
        hand_over(&sides[1], &out[0], &out[1]);
        hand_over(&sides[0], &out[1], &out[0]);
    }
    const struct moot_handshake *honest = &sides[1 - stranger];
    sim__count(world, SIM_FAULT_STRANGER);
    if (honest->state == MOOT_HANDSHAKE_DONE) {
        sim__violation(world, "node %u has linked with %s", stranger == 1 ? from->id : to->id,
                       other_cluster ? "a node of another cluster" : "one without the secret");
    }
    moot_buffer_deinit(&out[0]);
    moot_buffer_deinit(&out[1]);
    moot_free(sides);
}
