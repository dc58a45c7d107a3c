#include "lab/raft_world.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

static bool in(uint32_t among, moot_node_id id) { return (among >> id & 1) != 0; }

static void show(struct raft_world *world, moot_node_id id)
{
    struct world_server *server = &world->servers[id];
    char log[128] = "";
    size_t at = 0;
    for (moot_index i = 0; i < server->last; i++) {
        at += (size_t)snprintf(log + at, sizeof(log) - at, "%s%llu", i == 0 ? "" : " ",
                               (unsigned long long)server->log[i].term);
    }
    lab_state(world->lab, server->line, "terms of its log", "%s", log);
    lab_state(world->lab, server->line, "commit", "%llu", (unsigned long long)server->commit);
}

static void step(struct raft_world *world, moot_node_id id, struct moot_raft_event *event,
                 const struct world_packet *packet);

static void do_appended(struct world_server *server, const struct moot_raft_effect *effect,
                        const struct world_packet *packet)
{
    MOOT_ASSERT(effect->appended.last <= WORLD_LOG);
    for (moot_index i = effect->appended.first; i <= effect->appended.last; i++) {
        uint64_t nth = i - effect->appended.first;
        server->log[i - 1] = packet != NULL
                                 ? packet->entries[effect->appended.offset + nth]
                                 : (struct moot_raft_entry){.term = effect->appended.term,
                                                            .size = 1,
                                                            .kind = effect->appended.kind};
    }
    server->last = effect->appended.last;
}

static void do_send(struct raft_world *world, const struct world_server *server,
                    const struct moot_raft_message *message)
{
    MOOT_ASSERT(world->packet_count < WORLD_PACKETS);
    struct world_packet *packet = &world->packets[world->packet_count++];
    packet->message = *message;
    if (message->kind == MOOT_RAFT_APPEND) {
        for (uint32_t i = 0; i < message->append.count; i++) {
            packet->entries[i] = server->log[message->append.previous_index + i];
        }
    }
}

static void do_state(struct raft_world *world, moot_node_id id,
                     const struct moot_raft_effect *effect)
{
    static const char *const ROLES[] = {"follower", "pre-candidate", "candidate", "leader"};
    lab_role(world->lab, world->servers[id].line, ROLES[effect->state.role], effect->state.term);
}

/* Performs the effects of one step; what must be durable is so at once, and said at the end. */
static void perform(struct raft_world *world, moot_node_id id, const struct world_packet *packet)
{
    struct world_server *server = &world->servers[id];
    struct moot_raft_event durable[2], applied;
    uint32_t durables = 0;
    bool commits = false;
    for (uint32_t i = 0; i < world->effects.count; i++) {
        const struct moot_raft_effect *effect = &world->effects.items[i];
        switch (effect->kind) {
        case MOOT_RAFT_EFFECT_HARD_STATE:
            server->term = effect->hard_state.term;
            server->vote = effect->hard_state.vote;
            durable[0] = (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_DURABLE,
                                                  .durable = {0, effect->hard_state.term}};
            durables |= 1;
            break;
        case MOOT_RAFT_EFFECT_APPENDED:
            do_appended(server, effect, packet);
            durable[1] =
                (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_DURABLE,
                                         .durable = {effect->appended.last, effect->appended.term}};
            durables |= 2;
            break;
        case MOOT_RAFT_EFFECT_SEND:
            do_send(world, server, &effect->message);
            break;
        case MOOT_RAFT_EFFECT_COMMIT:
            server->commit = effect->commit;
            applied = (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_APPLIED,
                                               .applied = effect->commit};
            commits = true;
            break;
        case MOOT_RAFT_EFFECT_STATE:
            do_state(world, id, effect);
            break;
        default:
            break; /* Nobody reads, changes members or installs snapshots here. */
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        if ((durables >> i & 1) != 0) {
            step(world, id, &durable[i], NULL);
        }
    }
    if (commits) {
        step(world, id, &applied, NULL);
    }
}

static void step(struct raft_world *world, moot_node_id id, struct moot_raft_event *event,
                 const struct world_packet *packet)
{
    event->now = (struct moot_instant){world->now_ns};
    int status = moot_raft_step(world->servers[id].raft, event, &world->effects);
    MOOT_ASSERT(status == 0);
    perform(world, id, packet);
    moot_raft_check(world->servers[id].raft);
}

static void turn(struct raft_world *world, moot_node_id id, struct moot_raft_event event,
                 const struct world_packet *packet)
{
    step(world, id, &event, packet);
    struct moot_raft_event flush = {.kind = MOOT_RAFT_EVENT_FLUSH};
    step(world, id, &flush, NULL);
    show(world, id);
}

struct raft_world *raft_world_make(struct lab *lab)
{
    struct raft_world *world = moot_alloc_zero(sizeof(*world));
    world->lab = lab;
    world->now_ns = MOOT_SEC_NS;
    /* One entry a message, so that the scene can lose the second and deliver the first. */
    world->options = (struct moot_raft_options){.election_min = moot_ms(1000),
                                                .heartbeat = moot_ms(100),
                                                .append_bytes_max = 1 << 20,
                                                .append_entries_max = 1,
                                                .window = 4,
                                                .uncommitted_bytes_max = 1 << 20,
                                                .log_entries_max = 1024};
    world->members.voter_count = WORLD_SERVERS;
    for (moot_node_id id = 1; id <= WORLD_SERVERS; id++) {
        world->members.voters[id - 1] = id;
    }
    for (moot_node_id id = 1; id <= WORLD_SERVERS; id++) {
        char name[8];
        snprintf(name, sizeof(name), "S%u", id);
        world->servers[id].line = lab_line(lab, MOOT_PICTURE_NODE, name);
        raft_world_start(world, id);
    }
    return world;
}

void raft_world_free(struct raft_world *world)
{
    for (moot_node_id id = 1; id <= WORLD_SERVERS; id++) {
        moot_free(world->servers[id].memory);
    }
    moot_free(world);
}

void raft_world_start(struct raft_world *world, moot_node_id id)
{
    struct world_server *server = &world->servers[id];
    struct moot_raft_options options = world->options;
    options.self = id;
    options.seed = moot_rng_next(&world->lab->rng);
    size_t size = (moot_raft_size(&options) + 15) / 16 * 16;
    moot_free(server->memory);
    server->memory = moot_alloc_aligned(16, size);
    struct moot_raft_restore restore = {.term = server->term,
                                        .vote = server->vote,
                                        .members = world->members,
                                        .entries = server->log,
                                        .entry_count = server->last};
    server->commit = 0;
    int status = moot_raft_init(server->memory, &options, &restore,
                                (struct moot_instant){world->now_ns}, &server->raft);
    MOOT_ASSERT(status == 0);
    lab_role(world->lab, server->line, "follower", server->term);
    show(world, id);
}

void raft_world_crash(struct raft_world *world, moot_node_id id)
{
    world->servers[id].raft = NULL;
    lab_role(world->lab, world->servers[id].line, "down", 0);
}

static const char *const KINDS[MOOT_RAFT_MESSAGE_KINDS] = {
    "pre-vote", "pre-vote reply", "vote",           "vote reply", "append",
    "reply",    "snapshot",       "snapshot reply", "transfer"};

static bool is_of_votes(const struct moot_raft_message *message)
{
    return message->kind <= MOOT_RAFT_VOTE_REPLY;
}

/* Would it make the receiver's log longer than `highest`? One that will be refused does not. */
static bool is_too_high(const struct raft_world *world, const struct moot_raft_message *message,
                        moot_index highest)
{
    const struct world_server *to = &world->servers[message->to];
    moot_index previous = message->append.previous_index;
    return message->kind == MOOT_RAFT_APPEND && previous + message->append.count > highest &&
           previous <= to->last &&
           (previous == 0 || to->log[previous - 1].term == message->append.previous_term);
}

static bool passes(const struct raft_world *world, const struct world_packet *packet,
                   uint32_t among, moot_index highest)
{
    const struct moot_raft_message *message = &packet->message;
    return in(among, message->from) && in(among, message->to) &&
           world->servers[message->to].raft != NULL && !is_too_high(world, message, highest);
}

static void deliver_one(struct raft_world *world, struct world_packet *packet, bool arrives)
{
    struct lab *lab = world->lab;
    struct moot_raft_message *message = &packet->message;
    char text[64];
    snprintf(text, sizeof(text), "term %llu", (unsigned long long)message->term);
    lab_message(lab, world->servers[message->from].line, world->servers[message->to].line,
                KINDS[message->kind], lab->now_us + 900, !arrives, text);
    if (!arrives) {
        return;
    }
    if (message->kind == MOOT_RAFT_APPEND) {
        message->append.entries = packet->entries;
    }
    uint64_t sent_us = lab->now_us;
    lab->now_us += 900;
    turn(world, message->to,
         (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_RECEIVE, .message = message},
         message->kind == MOOT_RAFT_APPEND ? packet : NULL);
    lab->now_us = sent_us + 50;
}

/* Rounds: all that is queued, then what that has queued. Keeps (rather than loses) other kinds when
 * only votes may pass. */
static void rounds(struct raft_world *world, uint32_t among, moot_index highest, bool votes_only)
{
    struct world_packet *kept = moot_alloc(sizeof(world->packets));
    struct world_packet *going = moot_alloc(sizeof(world->packets));
    uint32_t kept_count = 0;
    while (world->packet_count > 0) {
        uint32_t count = world->packet_count;
        memcpy(going, world->packets, count * sizeof(*going));
        world->packet_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (votes_only && !is_of_votes(&going[i].message)) {
                MOOT_ASSERT(kept_count < WORLD_PACKETS);
                kept[kept_count++] = going[i];
            } else {
                deliver_one(world, &going[i], passes(world, &going[i], among, highest));
            }
        }
        world->lab->now_us += 1000;
    }
    memcpy(world->packets, kept, kept_count * sizeof(*kept));
    world->packet_count = kept_count;
    moot_free(kept);
    moot_free(going);
}

void raft_world_deliver(struct raft_world *world, uint32_t among, moot_index highest)
{
    rounds(world, among, highest, false);
}

bool raft_world_elect(struct raft_world *world, moot_node_id id, uint32_t among)
{
    struct moot_raft_status status;
    for (int tries = 0; tries < 4; tries++) {
        world->now_ns += 10 * MOOT_SEC_NS;
        world->packet_count = 0;
        turn(world, id, (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_TICK}, NULL);
        rounds(world, among, 0, true);
        moot_raft_status(world->servers[id].raft, &status);
        if (status.role == MOOT_RAFT_LEADER) {
            return true;
        }
    }
    return false;
}

uint32_t raft_world_copies(const struct raft_world *world, moot_index index, moot_term term)
{
    uint32_t copies = 0;
    for (moot_node_id id = 1; id <= WORLD_SERVERS; id++) {
        const struct world_server *server = &world->servers[id];
        copies += server->last >= index && server->log[index - 1].term == term;
    }
    return copies;
}
