/* Three machines of the simulator whose nodes are made up: each claims what a test lets it claim.
 * Include it before the file of src/sim that is to hear the claims. */
#ifndef MOOT_TESTS_SIM_CLAIMS_H
#define MOOT_TESTS_SIM_CLAIMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define moot_node_group   claimed_group
#define moot_node_entry   claimed_entry
#define moot_node_term    claimed_term
#define moot_node_stream  claimed_stream
#define moot_node_check   claimed_check
#define moot_node_has_rot claimed_rot
#define sim__leader       claimed_leader

#include "base/assert.h"
#include "base/memory.h"
#include "sim/world.h"

enum { NODES = 3, LOG_MAX = 32, GROUP = MOOT_GROUP_DB0 };

struct claims {
    struct moot_sim_options options;
    struct moot_sim_result result;
    struct sim_world *world;
    struct moot_members members;
    moot_node_id leader;
    struct claim {
        struct moot_group_view view; /* Of GROUP. */
        struct {
            moot_term term;
            uint64_t hash;
        } log[LOG_MAX];           /* By index. */
        struct sim_stream stream; /* Of node 1. */
    } nodes[NODES];
};
static struct claims claims;

static const struct claim *claim_of(const struct moot_node *node)
{
    return (const struct claim *)(const void *)node;
}

void claimed_group(const struct moot_node *node, moot_group_id group, struct moot_group_view *out)
{
    *out = group == GROUP ? claim_of(node)->view
                          : (struct moot_group_view){.first = 1, .members = &claims.members};
}

/* Only who claims to be impaired. */
bool claimed_rot(const struct moot_node *node) { return claim_of(node)->view.impaired; }

bool claimed_term(const struct moot_node *node, moot_group_id group, moot_index index,
                  moot_term *term)
{
    bool known =
        group == GROUP && index < LOG_MAX && (index == 0 || claim_of(node)->log[index].term != 0);
    *term = known ? claim_of(node)->log[index].term : 0;
    return known;
}

bool claimed_entry(const struct moot_node *node, moot_group_id group, moot_index index,
                   moot_term *term, uint64_t *hash)
{
    bool known = index > 0 && claimed_term(node, group, index, term);
    *hash = known ? claim_of(node)->log[index].hash : 0;
    return known;
}

bool claimed_stream(const struct moot_node *node, moot_group_id group, size_t number,
                    moot_node_id *edge, uint64_t *incarnation, uint64_t *executed)
{
    const struct sim_stream *stream = &claim_of(node)->stream;
    *edge = 1;
    *incarnation = stream->incarnation;
    *executed = stream->executed;
    return group == GROUP && number == 0 && stream->incarnation != 0;
}

void claimed_check(const struct moot_node *node) { assert_non_null(node); }

moot_node_id claimed_leader(struct sim_world *world, moot_group_id group)
{
    (void)world;
    return group == GROUP ? claims.leader : 0;
}

/* Three voters with a log of three entries, all of term 1, and nobody leads. */
static void claims_begin(void)
{
    memset(&claims, 0, sizeof(claims));
    moot_sim_result_init(&claims.result);
    claims.world = moot_alloc_zero(sizeof(*claims.world));
    claims.world->options = &claims.options;
    claims.world->result = &claims.result;
    claims.world->machine_count = NODES;
    moot_history_init(&claims.world->history);
    moot_rng_init(&claims.world->rng, 1);
    sim_events_init(&claims.world->events);
    for (uint32_t i = 0; i < NODES; i++) {
        struct sim_machine *machine = moot_alloc_zero(sizeof(*machine));
        claims.world->machines[i] = machine;
        claims.members.voters[i] = i + 1;
        *machine = (struct sim_machine){.slot = i, .id = i + 1, .running = true, .starts = 1};
        machine->node = (struct moot_node *)(void *)&claims.nodes[i];
        machine->journal_last = machine->journal_durable = 5;
        claims.nodes[i].view = (struct moot_group_view){.exists = true,
                                                        .term = 1,
                                                        .first = 1,
                                                        .last = 3,
                                                        .durable = 3,
                                                        .members = &claims.members};
        for (moot_index index = 1; index <= 3; index++) {
            claims.nodes[i].log[index].term = 1;
            claims.nodes[i].log[index].hash = index;
        }
    }
    claims.members.voter_count = NODES;
}

static inline void claims_append(uint32_t node, moot_index index, moot_term term)
{
    MOOT_ASSERT(index < LOG_MAX);
    claims.nodes[node].log[index].term = term;
    claims.nodes[node].log[index].hash = 100 * term + index;
    claims.nodes[node].view.last = moot_max_u64(claims.nodes[node].view.last, index);
}

static void claims_end(void)
{
    struct sim_world *world = claims.world;
    for (uint32_t i = 0; i < NODES; i++) {
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            moot_free(world->machines[i]->logs[group].lines);
            moot_free(world->machines[i]->logs[group].floors);
        }
        moot_free(world->machines[i]);
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_free(world->groups[group].lineage);
        moot_free(world->groups[group].committed);
        moot_free(world->groups[group].applied);
        moot_free(world->groups[group].leaders);
    }
    moot_history_deinit(&world->history);
    sim_events_deinit(&world->events);
    moot_free(world);
    moot_sim_result_deinit(&claims.result);
}

/* What is told once as it should be, and nobody minds; and once with one thing changed. */
struct told {
    const char *name;
    void (*tell)(bool broken);
    const char *words; /* That must be said when it is broken. */
};

static void tell_all(const struct told *told, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int broken = 0; broken < 2; broken++) {
            claims_begin();
            told[i].tell(broken != 0);
            struct moot_buffer *words = &claims.result.words;
            moot_buffer_append(words, "", 1);
            if (claims.result.violated != (broken != 0) ||
                (broken != 0 && strstr((const char *)words->data, told[i].words) == NULL)) {
                fail_msg("%s, %s: %s", told[i].name, broken != 0 ? "broken" : "as it should be",
                         (const char *)words->data);
            }
            claims_end();
        }
    }
}

#endif
