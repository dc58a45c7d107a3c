/* What clients try now and then beside their workload, in worlds whose faults say so: orders that
 * must be refused, ids that come again with another command, lists of many elements, the whole
 * database flushed. And two looks at answers that no history shows: whether a read has seen a write
 * that stands behind it on its own connection, and whether somebody was told INDOUBT who must not
 * be. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "sim/world.h"

enum { LITTER_KEYS = 4, LITTER_MANY = 100, LITTER_FEW = 5, CALM_S = 6 };

static bool is_from_afar(const struct sim_world *world, const struct sim_client *client)
{
    return world->swarm.knobs[SIM_FAULT_ORDERS] != 0 && !client->is_admin &&
           client->number % 2 == 1;
}

struct moot_slice sim__address_of(const struct sim_world *world, uint64_t connection)
{
    uint64_t number = connection % SIM_CLIENTS_MAX;
    return !sim__is_guest(connection) && is_from_afar(world, &world->clients[number])
               ? MOOT_SLICE_LITERAL("10.20.30.40:5000")
               : MOOT_SLICE_LITERAL("127.0.0.1:5000");
}

/* ---- asking ---- */

static void ask_order(struct sim_world *world, struct sim_client *client)
{
    char digits[24];
    struct moot_slice args[4] = {MOOT_SLICE_LITERAL("MOOT"), MOOT_SLICE_LITERAL("CLUSTER"),
                                 MOOT_SLICE_LITERAL("TRANSFER")};
    uint32_t argc = 3;
    if (sim__one_in(world, 2)) {
        uint32_t slot = (uint32_t)sim__below(world, world->swarm.nodes);
        args[2] = MOOT_SLICE_LITERAL("REMOVE");
        args[argc++] =
            moot_slice_make(digits, moot_text_u64(digits, world->machines[slot]->identity.node));
    }
    sim__count(world, SIM_FAULT_ORDERS);
    sim__command(client, args, argc, (struct sim_expected){SIM_STEP_REFUSED, SIZE_MAX, 0});
}

/* The last id that was answered, with a command that it did not have. */
static void ask_mismatch(struct sim_world *world, struct sim_client *client)
{
    struct sim_once *once = &client->once;
    char digits[24];
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("WITH"),
                                MOOT_SLICE_LITERAL("ID"),
                                moot_slice_text(once->id),
                                MOOT_SLICE_LITERAL("INCRBY"),
                                moot_slice_text(world->keys[once->key].name),
                                {NULL, 0}};
    args[5] = moot_slice_make(digits, moot_text_i64(digits, once->by + 1000));
    sim__count(world, SIM_FAULT_ID_AGAIN);
    sim__command(client, args, 6, (struct sim_expected){SIM_STEP_MISMATCH, SIZE_MAX, 0});
}

static void select_database(struct sim_client *client, uint64_t number)
{
    char digits[24];
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("SELECT"), {NULL, 0}};
    args[1] = moot_slice_make(digits, moot_text_u64(digits, number % MOOT_DATABASES));
    sim__command(client, args, 2, (struct sim_expected){SIM_STEP_READY, SIZE_MAX, 0});
}

static void make_litter(struct sim_world *world, struct sim_client *client)
{
    char name[] = "litter0";
    name[sizeof(name) - 2] = (char)('0' + sim__below(world, LITTER_KEYS));
    struct moot_slice args[2 + LITTER_MANY] = {MOOT_SLICE_LITERAL("DEL"), moot_slice_text(name)};
    uint32_t argc = 2;
    if (!sim__one_in(world, 3)) {
        uint32_t count = sim__one_in(world, 2) ? LITTER_MANY : LITTER_FEW;
        args[0] = MOOT_SLICE_LITERAL("RPUSH");
        for (; argc < 2 + count; argc++) {
            args[argc] = MOOT_SLICE_LITERAL("litter");
        }
    }
    sim__command(client, args, argc, (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
}

/* Many elements become garbage when they go, a few go with their key; or they go with all of a
 * database in which nobody does anything else, so that garbage lies within garbage. Who asks for
 * all keys at once is behind that. */
static void ask_litter(struct sim_world *world, struct sim_client *client)
{
    struct moot_slice flush = MOOT_SLICE_LITERAL("FLUSHDB");
    bool elsewhere = sim__one_in(world, 2);
    sim__count(world, SIM_FAULT_LITTER);
    if (elsewhere) {
        select_database(client, world->swarm.database + UINT64_C(1));
    }
    make_litter(world, client);
    if (elsewhere && sim__one_in(world, 3)) {
        sim__command(client, &flush, 1, (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
    }
    if (moot_hash_mix(world->options->seed, world->now) % 4 == 0) {
        struct moot_slice all[] = {MOOT_SLICE_LITERAL("KEYS"), MOOT_SLICE_LITERAL("*")};
        sim__command(client, all, 2, (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
    }
    if (elsewhere) {
        select_database(client, world->swarm.database);
    }
}

bool sim__probe(struct sim_world *world, struct sim_client *client)
{
    bool may_again = client->once.was_answered && !client->once.active;
    if (is_from_afar(world, client) && sim__one_in(world, sim__level(world, SIM_FAULT_ORDERS))) {
        ask_order(world, client);
    } else if (may_again && sim__one_in(world, sim__level(world, SIM_FAULT_ID_AGAIN))) {
        ask_mismatch(world, client);
    } else if (sim__one_in(world, sim__level(world, SIM_FAULT_LITTER))) {
        ask_litter(world, client);
    } else {
        return false;
    }
    return true;
}

/* ---- answers ---- */

static bool begins(struct moot_slice text, const char *with)
{
    return moot_slice_starts_with(text, moot_slice_text(with));
}

/* True when it was one of those above. */
bool sim__probe_answer(struct sim_world *world, struct sim_client *client,
                       const struct sim_expected *expected, const struct moot_resp_value *head)
{
    static const char *const passes[] = {"IDMISMATCH ",  "IDEXPIRED ", "INDOUBT ",
                                         "CLUSTERDOWN ", "TRYAGAIN ",  "OVERLOADED ",
                                         "LOADING ",     "OOM ",       "ERR the id must not be"};
    bool is_error = head->type == MOOT_RESP_ERROR, good = false;
    if (expected->step == SIM_STEP_REFUSED) {
        good = is_error && begins(head->text, "NOPERM ");
    } else if (expected->step == SIM_STEP_MISMATCH) {
        for (size_t i = 0; i < MOOT_ARRAY_LEN(passes) && is_error; i++) {
            good = good || begins(head->text, passes[i]);
        }
    } else {
        return false;
    }
    if (!good) {
        sim__violation(world, "m%u answered client %u, whose %s: %.*s", client->machine,
                       client->number,
                       expected->step == SIM_STEP_REFUSED ? "order came from another machine"
                                                          : "id had another command",
                       (int)head->text.size, (const char *)head->text.data);
    }
    return true;
}

static bool is_any_of(struct moot_slice text, const struct moot_history_value *value)
{
    bool found = value->kind == MOOT_HISTORY_BYTES ? moot_slice_equal(value->bytes, text) : false;
    for (size_t i = 0; i < value->count && value->kind == MOOT_HISTORY_LIST && !found; i++) {
        found = moot_slice_equal(value->items[i], text);
    }
    return found;
}

/* What is still expected of this connection was sent after what has just been read, or popped. */
void sim__probe_order(struct sim_world *world, const struct sim_client *client,
                      const struct moot_operation *read, const struct moot_history_value *value)
{
    bool has_bytes = value->kind == MOOT_HISTORY_BYTES || value->kind == MOOT_HISTORY_LIST;
    for (size_t i = 0; i < client->expected_count && has_bytes; i++) {
        size_t operation = client->expected[i].operation;
        const struct moot_operation *later =
            operation == SIZE_MAX ? NULL : &world->history.operations[operation];
        if (later == NULL ||
            (later->kind != MOOT_OPERATION_WRITE && later->kind != MOOT_OPERATION_PUSH) ||
            !moot_slice_equal(later->key, read->key)) {
            continue;
        }
        bool many = later->argument.kind == MOOT_HISTORY_LIST;
        const struct moot_slice *items = many ? later->argument.items : &later->argument.bytes;
        for (size_t j = 0; j < (many ? later->argument.count : 1); j++) {
            if (items[j].size > 0 && is_any_of(items[j], value)) {
                sim__violation(world,
                               "client %u has read what its own connection wrote behind the "
                               "read: %.*s",
                               client->number, (int)items[j].size, (const char *)items[j].data);
            }
        }
    }
}

/* An element that was taken for somebody who was told that nobody knows is lost, unless it is given
 * back, as to who sends no more; and where nothing fails any more everybody can be told. */
void sim__probe_doubt(struct sim_world *world, const struct sim_client *client,
                      const struct sim_expected *expected, struct moot_slice text)
{
    bool in_time = begins(text, "INDOUBT no answer");
    if (!in_time || expected->operation == SIZE_MAX) {
        return;
    }
    const struct moot_operation *operation = &world->history.operations[expected->operation];
    if (expected->step == SIM_STEP_POP && !client->has_ended) {
        sim__violation(world, "m%u told client %u, which waits for an element, that nobody knows",
                       client->machine, client->number);
    }
    if (world->phase != SIM_PHASE_FAULTS && operation->called.ns > world->healed_at &&
        operation->called.ns - world->healed_at > CALM_S * MOOT_SEC_NS) {
        sim__violation(world, "m%u left client %u in doubt, and nothing had failed for %u s",
                       client->machine, client->number, CALM_S);
    }
}
