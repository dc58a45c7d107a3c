/* Machines that ask to be taken in, some of them with the secret of another cluster. */
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
    machine->id = machine->identity.node;
    sim__count(world, SIM_FAULT_JOIN);
    sim__trace(world, "m%u joined as node %u", slot, machine->id);
    sim__at(world, world->now + sim__around(world, 20 * 1000),
            (struct sim_event){.kind = SIM_START, .machine = slot});
}
