/* Goal: what the simulator notices where it is the driver is noticed: a journal's write or a
 * store's that fails for no reason, work beside turns that fails, a process that ends itself, does
 * not start or spins; strangers that link, an identity that is none, a frame whose wrong bit nobody
 * sees; and, at the end of a run, clients without answers, replicas that differ, queues that stay
 * full. Method: disks, stores and nodes that are made up do twice what they should, the second time
 * with one thing changed. */
#define moot_node_open        claimed_open
#define moot_node_close       claimed_close
#define moot_node_incarnation claimed_incarnation
#define moot_node_take_spare  claimed_spare
#define moot_handshake_input  claimed_handshake
#define moot_frame_receive    claimed_frame
#define sim__has_converged    claimed_converged
#define sim__has_emptied      claimed_emptied

#include "sim_claims.h"

#include "../../src/sim/network.c"
#include "../../src/sim/world.c"
#define options_of node_options_of
#include "../../src/sim/machine.c"
#undef options_of
#include "../../src/sim/admission.c"

static struct {
    int opens, frame, store; /* Statuses. */
    enum moot_handshake_state handshake;
    bool converges, empties;
} lies;

int claimed_open(const struct moot_node_options *options, struct moot_node **out, char why[256])
{
    assert_non_null(options->disk);
    assert_non_null(why);
    *out = NULL;
    return lies.opens;
}

void claimed_close(struct moot_node *node) { assert_non_null(node); }

uint64_t claimed_incarnation(const struct moot_node *node)
{
    assert_non_null(node);
    return 1;
}

bool claimed_spare(struct moot_node *node, char name[32])
{
    (void)node, (void)name;
    return false;
}

enum moot_handshake_state claimed_handshake(struct moot_handshake *handshake,
                                            struct moot_slice *bytes, struct moot_buffer *output)
{
    (void)bytes;
    moot_buffer_append_text(output, "a word"); /* So that the other side is asked, too. */
    handshake->state = lies.handshake;
    return lies.handshake;
}

int claimed_frame(struct moot_frame_receiver *receiver, struct moot_slice *bytes,
                  struct moot_frame_message *message)
{
    (void)receiver, (void)bytes, (void)message;
    return lies.frame;
}

bool claimed_converged(struct sim_world *world, const char **why)
{
    (void)world;
    *why = "node 2 is elsewhere";
    return lies.converges;
}

bool claimed_emptied(struct sim_world *world, const char **what)
{
    (void)world;
    *what = "a pin";
    return lies.empties;
}

/* ---- a store and a disk for the first machine ---- */

static int store_write(struct moot_store *store, const struct moot_batch *batch)
{
    (void)store, (void)batch;
    return lies.store;
}

static int store_flush(struct moot_store *store)
{
    (void)store;
    return lies.store;
}

static const struct moot_store_ops STORE_OPS = {.write = store_write, .flush = store_flush};
static struct moot_store claimed_store = {&STORE_OPS};

static struct sim_machine *machine(uint32_t node) { return claims.world->machines[node]; }

static struct sim_machine *with_disk(void)
{
    struct sim_machine *first = machine(0);
    memset(&lies, 0, sizeof(lies));
    first->disk = moot_disk_sim_make(1);
    first->store = &claimed_store;
    claims.world->swarm.segment_bytes = 16 * MOOT_JOURNAL_ALIGN;
    return first;
}

static void forget(struct sim_machine *first)
{
    sim__jobs_drop(first);
    moot_disk_sim_free(first->disk);
    moot_arena_deinit(&first->arena);
    moot_free(first->inputs);
    moot_free(first->owners);
    moot_free(claims.world->aligned);
    claims.world->aligned = NULL;
}

static void perform(struct sim_machine *first, struct moot_effect effect)
{
    sim__perform(claims.world, first, &effect, 1);
}

/* ---- effects ---- */

static void journal(bool broken)
{
    struct sim_machine *first = with_disk();
    uint8_t bytes[MOOT_JOURNAL_ALIGN] = {0};
    struct moot_effect effect = {.kind = MOOT_EFFECT_JOURNAL, .ticket = 1};
    effect.journal.where =
        (struct moot_journal_write){.segment = "a", .batch = 1, .creates_segment = true};
    effect.journal.bytes = moot_slice_make(bytes, sizeof(bytes));
    moot_disk_sim_fail_at(first->disk, broken ? 2 : 0, false); /* The write after the creation. */
    perform(first, effect);
    forget(first);
}

static void store(bool broken)
{
    struct sim_machine *first = with_disk();
    struct moot_batch batch;
    moot_batch_init(&batch);
    lies.store = broken ? MOOT_ENOSPACE : 0;
    perform(first, (struct moot_effect){.kind = MOOT_EFFECT_STORE_WRITE, .batch = &batch});
    moot_batch_deinit(&batch);
    forget(first);
}

static void work(bool broken)
{
    struct sim_machine *first = with_disk();
    lies.store = broken ? MOOT_EIO : 0;
    perform(first, (struct moot_effect){.kind = MOOT_EFFECT_FLUSH, .ticket = 1});
    sim__job_done(claims.world, first, 1);
    forget(first);
}

/* As it was asked to, or by itself. */
static void ended(bool broken)
{
    struct sim_machine *first = with_disk();
    struct moot_store *memory = new_store(claims.world);
    first->store = memory;
    first->node = NULL;
    first->stopping = true;
    perform(first,
            (struct moot_effect){.kind = MOOT_EFFECT_STOP, .status = broken ? MOOT_ECORRUPT : 0});
    assert_true(broken || !first->running);
    memory->ops->close(memory);
    forget(first);
}

/* ---- processes ---- */

static void starts(bool broken)
{
    struct sim_machine *first = with_disk();
    first->running = false;
    first->is_older = !broken; /* Else its program knows what its disk says. */
    lies.opens = MOOT_EVERSION;
    claims.world->swarm.nodes = NODES;
    sim__machine_start(claims.world, first);
    forget(first);
}

static void spins(bool broken)
{
    for (uint32_t i = 0; i <= SPINS_MAX; i++) {
        watch_for_spin(claims.world, machine(0), true, 0);
        claims.world->now += broken ? 1 : MOOT_MSEC_NS;
    }
}

/* ---- who is taken in, and who is linked ---- */

static void identity(bool broken)
{
    struct moot_identity made = {.node = 4, .initial_count = 1};
    claims.world->swarm.ids_from = 1;
    address_of(claims.world, 0, &made.initial[0]);
    address_of(claims.world, 3, &made.self);
    struct moot_buffer bytes, hex;
    moot_buffer_init(&bytes);
    moot_buffer_init(&hex);
    moot_identity_encode(&made, &bytes);
    for (size_t i = 0; i < bytes.size - (broken ? 1 : 0); i++) {
        char pair[3];
        snprintf(pair, sizeof(pair), "%02x", bytes.data[i]);
        moot_buffer_append_text(&hex, pair);
    }
    claims.world->swarm.nodes = NODES;
    claims.world->swarm.sector = MOOT_DISK_SIM_SECTOR;
    sim__on_joined(claims.world, NODES, moot_buffer_slice(&hex));
    assert_true(broken || claims.world->machines[NODES]->id == 4);
    sim__machine_free(claims.world->machines[NODES]);
    claims.world->machines[NODES] = NULL;
    moot_buffer_deinit(&bytes);
    moot_buffer_deinit(&hex);
}

static void stranger(bool broken)
{
    for (uint32_t i = 0; i < 2; i++) {
        address_of(claims.world, i, &machine(i)->identity.self);
        machine(i)->identity.cluster[0] = 1;
    }
    lies.handshake = broken ? MOOT_HANDSHAKE_DONE : MOOT_HANDSHAKE_REFUSED;
    sim__meet_stranger(claims.world, machine(0), machine(1));
}

static void frame(bool broken)
{
    struct moot_block *block = moot_block_copy(MOOT_SLICE_LITERAL("what is sent"));
    lies.frame = broken ? 0 : MOOT_ECORRUPT;
    send_damaged(claims.world, machine(0), machine(1), block);
    moot_block_release(block);
}

/* ---- the end of a run ---- */

/* What the watch sees `seconds` after the phase began. */
static void look(enum sim_phase phase, uint64_t seconds)
{
    claims.world->phase = phase;
    claims.world->now = seconds * MOOT_SEC_NS;
    claims.world->swarm.clients = 1;
    watch(claims.world);
}

static void answers(bool broken)
{
    claims.world->clients[0].expected_count = 1;
    look(SIM_PHASE_HEALED, HEALED_MAX_S + (broken ? 1 : 0));
}

static void replicas(bool broken)
{
    lies.converges = false;
    look(SIM_PHASE_CONVERGE, CONVERGE_MAX_S + (broken ? 1 : 0));
}

static void queues(bool broken)
{
    claims.world->clients[0].is_admin = true; /* It reads nothing last. */
    lies.empties = !broken;
    look(SIM_PHASE_LAST_READS, READS_MAX_S + 1);
}

static void reads(bool broken)
{
    lies.empties = true;
    claims.world->swarm.keys = 1;
    claims.world->clients[0].last_reads = broken ? 0 : 1;
    look(SIM_PHASE_LAST_READS, READS_MAX_S + 1);
}

static const struct told told[] = {
    {"a journal's write", journal, "m0: the journal's write failed"},
    {"a store's", store, "m0: the store refused a batch"},
    {"work beside turns", work, "m0: work beside turns failed"},
    {"an end", ended, "m0 ended itself"},
    {"a start", starts, "machine 0 did not start"},
    {"idle turns", spins, "m0 spins: 101 turns within 20 ms with nothing to do"},
    {"an identity", identity, "MOOT JOIN answered something that is no identity"},
    {"a stranger", stranger, "has linked with"},
    {"a frame", frame, "a frame with a wrong bit was not noticed"},
    {"answers at the end", answers, "clients have not finished after all was healed"},
    {"replicas at the end", replicas, "do not come to hold the same: node 2 is elsewhere"},
    {"queues at the end", queues, "the last reads do not end, or a queue is not empty: a pin"},
    {"last reads", reads, "the last reads do not end, or a queue is not empty"},
};

static void every_check_can_fail(void **state)
{
    (void)state;
    tell_all(told, MOOT_ARRAY_LEN(told));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_check_can_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
