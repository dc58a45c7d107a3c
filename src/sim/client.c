#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "sim/world.h"
#include "wire/resp.h"

static const struct moot_slice NO_BYTES = {NULL, 0};
enum { CALM_S = 6 };

/* ---- the client's side ---- */

void sim__client_wake(struct sim_world *world, struct sim_client *client, uint64_t delay_ns)
{
    client->epoch++;
    sim__at(
        world, world->now + delay_ns,
        (struct sim_event){.kind = SIM_CLIENT, .machine = client->number, .epoch = client->epoch});
}

void sim__client_init(struct sim_world *world, uint32_t number, bool is_admin)
{
    struct sim_client *client = &world->clients[number];
    *client = (struct sim_client){.number = number, .process = number, .is_admin = is_admin};
    moot_buffer_init(&client->in);
    moot_buffer_init(&client->out);
    sim__client_wake(world, client, sim__around(world, 1000));
}

void sim__client_deinit(struct sim_client *client)
{
    sim__any_free(client);
    moot_buffer_deinit(&client->in);
    moot_buffer_deinit(&client->out);
}

bool sim__client_is_idle(const struct sim_client *client) { return client->expected_count == 0; }

struct sim_client *sim__client_of(struct sim_world *world, uint64_t connection)
{
    struct sim_client *client = &world->clients[connection % SIM_CLIENTS_MAX];
    return client->connected && client->connection == connection ? client : NULL;
}

void sim__command(struct sim_client *client, const struct moot_slice *args, uint32_t argc,
                  struct sim_expected expected)
{
    struct moot_buffer *out = &client->out;
    moot_buffer_append_text(out, "*");
    moot_buffer_append_u64(out, argc);
    moot_buffer_append_text(out, "\r\n");
    for (uint32_t i = 0; i < argc; i++) {
        moot_buffer_append_text(out, "$");
        moot_buffer_append_u64(out, args[i].size);
        moot_buffer_append_text(out, "\r\n");
        moot_buffer_append_slice(out, args[i]);
        moot_buffer_append_text(out, "\r\n");
    }
    MOOT_ASSERT(client->expected_count < SIM_EXPECTED_MAX);
    client->expected[client->expected_count++] = expected;
}

void sim__command_inline(struct sim_client *client, const struct moot_slice *args, uint32_t argc,
                         struct sim_expected expected)
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < argc; i++) {
        moot_buffer_append_text(&client->out, i == 0 ? "\"" : " \"");
        for (size_t k = 0; k < args[i].size; k++) {
            uint8_t c = args[i].data[k];
            char escaped[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
            bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
            moot_buffer_append(&client->out, plain ? (const char *)&c : escaped, plain ? 1 : 4);
        }
        moot_buffer_append_text(&client->out, "\"");
    }
    moot_buffer_append_text(&client->out, "\r\n");
    MOOT_ASSERT(client->expected_count < SIM_EXPECTED_MAX);
    client->expected[client->expected_count++] = expected;
}

/* What is in `out` leaves, whole or in pieces; pieces arrive in order. */
static void send_out(struct sim_world *world, struct sim_client *client)
{
    const struct sim_swarm *swarm = &world->swarm;
    size_t sent = 0;
    bool is_torn = sim__one_in(world, sim__level(world, SIM_FAULT_TEAR_BYTES));
    if (is_torn) {
        sim__count(world, SIM_FAULT_TEAR_BYTES);
    }
    if (sim__one_in(world, sim__level(world, SIM_FAULT_VANISH))) {
        /* The client dies in the middle of its words. */
        sim__count(world, SIM_FAULT_VANISH);
        client->out.size = (size_t)sim__below(world, client->out.size);
        sim__at(world, world->now + sim__around(world, 1000),
                (struct sim_event){.kind = SIM_CLIENT_GIVEUP,
                                   .machine = client->number,
                                   .epoch = client->epoch + 1});
    }
    while (sent < client->out.size) {
        size_t left = client->out.size - sent;
        size_t size = is_torn ? 1 + (size_t)sim__below(world, left) : left;
        uint64_t at = world->now + 1 + sim__around(world, swarm->delay_us + 10);
        client->to_node_at = moot_max_u64(at, client->to_node_at);
        struct moot_slice piece = {client->out.data + sent, size};
        sim__record_bytes(world, client, true, piece, client->to_node_at);
        sim__at(world, client->to_node_at,
                (struct sim_event){.kind = SIM_TO_NODE,
                                   .machine = client->machine,
                                   .epoch = client->machine_epoch,
                                   .number = client->connection,
                                   .block = moot_block_copy(piece)});
        sent += size;
    }
    moot_buffer_reset(&client->out, 4096);
}

/* As `printf ... | nc` does. Whoever is taken in goes on after the answer. */
static void end_perhaps(struct sim_world *world, struct sim_client *client)
{
    bool may = world->phase == SIM_PHASE_FAULTS || world->phase == SIM_PHASE_HEALED;
    if (!may || client->is_admin || !sim__one_in(world, world->swarm.knobs[SIM_FAULT_VANISH])) {
        return;
    }
    sim__count(world, SIM_FAULT_VANISH);
    sim__trace(world, "c%u sends no more", client->number);
    client->has_ended = true;
    sim__at(world, client->to_node_at,
            (struct sim_event){.kind = SIM_TO_NODE,
                               .machine = client->machine,
                               .other = 1,
                               .epoch = client->machine_epoch,
                               .number = client->connection});
}

static void expect_answer(struct sim_world *world, struct sim_client *client)
{
    client->epoch++;
    uint64_t patience_ms = world->phase == SIM_PHASE_FAULTS ? world->swarm.patience_ms : 15000;
    sim__at(world, world->now + patience_ms * MOOT_MSEC_NS,
            (struct sim_event){
                .kind = SIM_CLIENT_GIVEUP, .machine = client->number, .epoch = client->epoch});
}

static void connect(struct sim_world *world, struct sim_client *client)
{
    uint32_t slot = (uint32_t)sim__below(world, world->machine_count);
    if (client->is_admin && sim__leader(world, MOOT_GROUP_DB0) != 0) {
        slot = sim__machine_of(world, sim__leader(world, MOOT_GROUP_DB0))->slot;
    }
    struct sim_machine *machine = world->machines[slot];
    if (machine == NULL || !machine->running || machine->connection_count == SIM_CONNECTIONS_MAX) {
        sim__client_wake(world, client, sim__around(world, 10 * 1000)); /* Refused. */
        return;
    }
    client->connected = true;
    client->has_ended = false;
    client->machine = slot;
    client->machine_epoch = machine->epoch;
    client->connections++;
    client->connection = (world->connection_number += SIM_CLIENTS_MAX) + client->number;
    client->to_node_at = client->to_client_at = client->slow_until = world->now;
    client->protocol = client->connections % 2 == client->number % 2 ? 3 : 2;
    moot_buffer_reset(&client->in, 4096);
    sim__connection_open(world, machine, client->connection);
    struct moot_slice hello[] = {MOOT_SLICE_LITERAL("HELLO"), MOOT_SLICE_LITERAL("3")};
    if (client->protocol == 3) {
        sim__command(client, hello, 2, (struct sim_expected){SIM_STEP_READY, SIZE_MAX, 0});
    }
    char digits[24];
    struct moot_slice select[] = {MOOT_SLICE_LITERAL("SELECT"), NO_BYTES};
    select[1] = moot_slice_make(digits, moot_text_u64(digits, world->swarm.database));
    sim__command(client, select, 2, (struct sim_expected){SIM_STEP_READY, SIZE_MAX, 0});
    send_out(world, client);
    expect_answer(world, client);
}

void sim__client_act(struct sim_world *world, struct sim_client *client)
{
    if (!client->connected) {
        connect(world, client);
    } else if (client->has_ended) {
        expect_answer(world, client); /* It is to be closed. */
    } else if (client->expected_count == 0 && sim__ask(world, client)) {
        send_out(world, client);
        end_perhaps(world, client);
        expect_answer(world, client);
    } else if (client->expected_count == 0) {
        sim__client_wake(world, client, sim__around(world, 20 * 1000)); /* Nothing now. */
    }
}

/* Ours, or the network's: what was asked is in doubt. The node learns of it later. */
void sim__client_break(struct sim_world *world, struct sim_client *client)
{
    if (!client->connected) {
        return;
    }
    sim__trace(world, "c%u loses its connection to m%u", client->number, client->machine);
    uint64_t at = world->now + sim__around(world, sim__one_in(world, 4) ? 500 * 1000 : 100);
    sim__at(world, moot_max_u64(at, client->to_node_at),
            (struct sim_event){.kind = SIM_TO_NODE,
                               .machine = client->machine,
                               .epoch = client->machine_epoch,
                               .number = client->connection});
    client->connected = false;
    sim__unanswered(world, client);
    moot_buffer_reset(&client->out, 4096);
    sim__client_wake(world, client, sim__around(world, 5 * 1000));
}

void sim__client_give_up(struct sim_world *world, struct sim_client *client)
{
    if (world->phase != SIM_PHASE_FAULTS && world->machines[client->machine]->running &&
        world->now - world->phase_since > 15 * MOOT_SEC_NS) {
        sim__violation(world, "liveness: client %u got no answer from m%u in 15 s without faults",
                       client->number, client->machine);
    }
    sim__client_break(world, client);
}

/* Who sends no more is answered before it is closed, up to a pop that would have to wait; unless
 * others need the memory, or the node serves nobody any more. */
static void check_closed(struct sim_world *world, const struct sim_client *client)
{
    bool in_calm = world->phase != SIM_PHASE_FAULTS && world->swarm.knobs[SIM_FAULT_CRAMPED] == 0 &&
                   world->now - world->healed_at > CALM_S * MOOT_SEC_NS &&
                   !world->machines[client->machine]->removed;
    bool is_owed = client->expected_count > 0 && client->expected[0].step != SIM_STEP_POP &&
                   !(client->expected[0].step == SIM_STEP_ANY && sim__any_waits(client));
    MOOT_SOMETIMES(client->has_ended && client->expected_count > 0 && !is_owed,
                   "who sent no more was closed at a pop that would have waited");
    if (in_calm && client->has_ended && is_owed) {
        sim__violation(world, "m%u closed the connection of client %u before it had all answers",
                       client->machine, client->number);
    }
}

void sim__client_bytes(struct sim_world *world, struct sim_client *client,
                       const struct sim_event *event)
{
    if (event->block == NULL) {
        check_closed(world, client);
        client->connected = false;
        sim__unanswered(world, client);
        moot_buffer_reset(&client->out, 4096);
        sim__client_wake(world, client, sim__around(world, 5 * 1000));
        return;
    }
    moot_buffer_append_slice(&client->in, moot_block_slice(event->block));
    size_t done = 0;
    while (client->connected) {
        struct moot_slice bytes = {client->in.data + done, client->in.size - done};
        size_t consumed = 0;
        int status = bytes.size == 0 ? MOOT_EAGAIN : moot_resp_skip(bytes, &consumed);
        if (status == MOOT_EAGAIN) {
            break;
        }
        if (status != 0 || client->expected_count == 0) {
            sim__violation(world, "m%u sent client %u %s", client->machine, client->number,
                           status != 0 ? "bytes that are no reply" : "a reply nobody asked for");
            return;
        }
        struct sim_expected expected = client->expected[0];
        client->expected_count--;
        memmove(client->expected, client->expected + 1, sizeof(expected) * client->expected_count);
        sim__answer(world, client, &expected, (struct moot_slice){bytes.data, consumed});
        done += consumed;
    }
    moot_buffer_consume(&client->in, done);
    if (client->connected && client->out.size > 0) { /* The answer led to a further command. */
        send_out(world, client);
        expect_answer(world, client);
    } else if (client->connected && client->expected_count == 0) {
        sim__client_wake(world, client,
                         1 + sim__around(world, world->phase == SIM_PHASE_FAULTS
                                                    ? world->swarm.think_us
                                                    : 1000));
    }
}

/* ---- the node's side ---- */

static struct sim_connection *find_connection(struct sim_machine *machine, uint64_t id)
{
    for (size_t i = 0; i < machine->connection_count; i++) {
        if (machine->connections[i].id == id) {
            return &machine->connections[i];
        }
    }
    return NULL;
}

void sim__connection_open(struct sim_world *world, struct sim_machine *machine, uint64_t id)
{
    MOOT_ASSERT(machine->connection_count < SIM_CONNECTIONS_MAX);
    struct sim_connection *made = &machine->connections[machine->connection_count++];
    *made = (struct sim_connection){.id = id};
    moot_buffer_init(&made->backlog);
    moot_buffer_init(&made->kept);
    sim__input(world, machine, MOOT_INPUT_CLIENT_OPENED, sim__address_of(world, id))->connection =
        id;
}

static void closed(struct sim_world *world, struct sim_machine *machine,
                   struct sim_connection *connection)
{
    uint64_t id = connection->id;
    moot_buffer_deinit(&connection->backlog);
    moot_buffer_deinit(&connection->kept);
    *connection = machine->connections[--machine->connection_count];
    sim__input(world, machine, MOOT_INPUT_CLIENT_CLOSED, NO_BYTES)->connection = id;
}

/* After all that came before, which the node may not read yet. */
static void end_of_bytes(struct sim_world *world, struct sim_machine *machine,
                         struct sim_connection *connection)
{
    if (connection->ended && !connection->paused) {
        connection->ended = false;
        sim__input(world, machine, MOOT_INPUT_CLIENT_ENDED, NO_BYTES)->connection = connection->id;
    }
}

void sim__to_node(struct sim_world *world, const struct sim_event *event)
{
    struct sim_machine *machine = world->machines[event->machine];
    struct sim_connection *connection = find_connection(machine, event->number);
    if (connection == NULL) {
        return;
    }
    if (event->block == NULL && event->other == 1) {
        connection->ended = true;
        end_of_bytes(world, machine, connection);
    } else if (event->block == NULL) {
        closed(world, machine, connection);
    } else if (connection->paused) {
        moot_buffer_append_slice(&connection->backlog, moot_block_slice(event->block));
    } else {
        sim__input_block(world, machine, MOOT_INPUT_CLIENT_BYTES, event->block)->connection =
            event->number;
    }
}

static void to_client(struct sim_world *world, uint64_t id, struct moot_block *block,
                      uint64_t delay_ns)
{
    struct sim_client *client = sim__client_of(world, id);
    if (sim__is_guest(id)) {
        sim__to_guest(world, id, block, delay_ns);
        return;
    }
    if (client == NULL) {
        moot_block_release(block);
        return;
    }
    client->to_client_at = moot_max_u64(client->to_client_at, world->now + delay_ns);
    client->to_client_at = moot_max_u64(client->to_client_at, client->slow_until);
    sim__record_bytes(world, client, false,
                      block == NULL ? MOOT_SLICE_LITERAL("closed") : moot_block_slice(block),
                      client->to_client_at);
    sim__at(world, client->to_client_at,
            (struct sim_event){
                .kind = SIM_TO_CLIENT, .machine = client->number, .number = id, .block = block});
}

void sim__reads(struct sim_world *world, const struct sim_event *event)
{
    struct sim_machine *machine = world->machines[event->machine];
    if (find_connection(machine, event->number) != NULL) {
        sim__input(world, machine, MOOT_INPUT_CLIENT_SENT, NO_BYTES)->connection = event->number;
    }
}

void sim__reply(struct sim_world *world, struct sim_machine *machine,
                const struct moot_effect *effect)
{
    sim__note_bytes(world, effect->client.bytes);
    if (find_connection(machine, effect->client.connection) == NULL) {
        return;
    }
    sim__trace(world, "m%u to c%u: %.*s", machine->slot,
               (uint32_t)(effect->client.connection % SIM_CLIENTS_MAX),
               (int)moot_min_u64(effect->client.bytes.size, 100),
               (const char *)effect->client.bytes.data);
    to_client(world, effect->client.connection, moot_block_copy(effect->client.bytes),
              sim__around(world, world->swarm.delay_us + 10));
}

void sim__client_pause(struct sim_world *world, struct sim_machine *machine,
                       const struct moot_effect *effect)
{
    struct sim_connection *connection = find_connection(machine, effect->client.connection);
    if (connection == NULL) {
        return;
    }
    connection->paused = effect->client.on;
    if (!connection->paused && connection->backlog.size > 0) {
        sim__input(world, machine, MOOT_INPUT_CLIENT_BYTES, moot_buffer_slice(&connection->backlog))
            ->connection = connection->id;
        moot_buffer_reset(&connection->backlog, 4096);
    }
    end_of_bytes(world, machine, connection);
}

void sim__client_keep(struct sim_world *world, struct sim_machine *machine,
                      const struct moot_effect *effect)
{
    sim__note_bytes(world, effect->client.bytes);
    struct sim_connection *connection = find_connection(machine, effect->client.connection);
    if (connection != NULL) {
        moot_buffer_reset(&connection->kept, 4096);
        moot_buffer_append_slice(&connection->kept, effect->client.bytes);
    }
}

/* What was on its way, or in the kernel, comes to the fresh brain. */
void sim__connections_kept(struct sim_world *world, struct sim_machine *machine)
{
    for (size_t i = machine->connection_count; i-- > 0;) {
        struct sim_connection *connection = &machine->connections[i];
        if (connection->kept.size == 0) {
            to_client(world, connection->id, NULL, sim__around(world, 200));
            closed(world, machine, connection);
            continue;
        }
        struct sim_client *client = sim__client_of(world, connection->id);
        if (!sim__is_guest(connection->id) && client != NULL) {
            client->machine_epoch = machine->epoch;
        }
        sim__input(world, machine, MOOT_INPUT_CLIENT_KEPT, moot_buffer_slice(&connection->kept))
            ->connection = connection->id;
        moot_buffer_reset(&connection->kept, 4096);
        connection->paused = false;
        if (connection->backlog.size > 0) {
            sim__input(world, machine, MOOT_INPUT_CLIENT_BYTES,
                       moot_buffer_slice(&connection->backlog))
                ->connection = connection->id;
            moot_buffer_reset(&connection->backlog, 4096);
        }
        end_of_bytes(world, machine, connection);
    }
}

void sim__client_close(struct sim_world *world, struct sim_machine *machine,
                       const struct moot_effect *effect)
{
    struct sim_connection *connection = find_connection(machine, effect->client.connection);
    if (connection != NULL) {
        to_client(world, connection->id, NULL, sim__around(world, world->swarm.delay_us + 10));
        closed(world, machine, connection);
    }
}

/* Who still holds a connection to the process that was here before is told so. */
void sim__connections_reset(struct sim_world *world, struct sim_machine *machine)
{
    for (uint32_t i = 0; i < world->swarm.clients; i++) {
        const struct sim_client *client = &world->clients[i];
        if (client->connected && client->machine == machine->slot) {
            to_client(world, client->connection, NULL, sim__around(world, 200 * 1000));
        }
    }
    sim__guests_reset(world, machine);
}

void sim__connections_break(struct sim_world *world, struct sim_machine *machine)
{
    for (size_t i = machine->connection_count; i-- > 0;) {
        struct sim_connection *connection = &machine->connections[i];
        to_client(world, connection->id, NULL, sim__around(world, 200));
        closed(world, machine, connection);
    }
}

void sim__connections_drop(struct sim_world *world, struct sim_machine *machine, bool is_quiet)
{
    for (size_t i = 0; i < machine->connection_count; i++) {
        moot_buffer_deinit(&machine->connections[i].backlog);
        moot_buffer_deinit(&machine->connections[i].kept);
        if (!is_quiet) { /* Else the client's patience ends. */
            to_client(world, machine->connections[i].id, NULL, sim__around(world, 200));
        }
    }
    machine->connection_count = 0;
}
