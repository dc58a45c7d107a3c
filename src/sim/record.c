#include "sim/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "moot/raft.h"
#include "picture/picture.h"
#include "sim/record_words.h"
#include "sim/world.h"

enum { IN_FORCE_MAX = 256, WORDS_MAX = 512 };

struct sim_record {
    struct moot_picture *picture;
    uint32_t machines[SIM_MACHINES_MAX], clients[SIM_CLIENTS_MAX]; /* Lines. */
    struct {
        const char *name;
        uint64_t number;
        size_t fault;
    } in_force[IN_FORCE_MAX];
    size_t in_force_count;
    size_t wrong;                /* SIZE_MAX: no operation is. */
    struct moot_buffer evidence; /* uint32_t: operations. */
    struct moot_buffer words;
    struct moot_arena arena;
};

/* The groups as the page shows them: data first. */
static const struct {
    moot_group_id group;
    const char *name;
} TRACKS[MOOT_GROUPS_MAX] = {{MOOT_GROUP_DB0, "db0"}, {MOOT_GROUP_SYSTEM, "system"}};

static uint32_t line_of(struct sim_record *record, const struct sim_machine *machine)
{
    uint32_t *line = &record->machines[machine->slot];
    if (*line == MOOT_PICTURE_NOBODY) {
        char name[24];
        snprintf(name, sizeof(name), "n%u", machine->id);
        *line = moot_picture_line(record->picture, MOOT_PICTURE_NODE, moot_slice_text(name));
    }
    return *line;
}

static void describe_world(struct sim_world *world)
{
    const struct sim_swarm *swarm = &world->swarm;
    char words[WORDS_MAX], lists[SIM_FAULT_LIST_BYTES];
    sim_fault_list(world->result->faults, lists);
    snprintf(words, sizeof(words), "%u nodes, %u clients, %s on %u keys; faults: %.300s",
             swarm->nodes, swarm->clients - 1, sim__workload_name(swarm->workload), swarm->keys,
             lists);
    moot_picture_moment(world->record->picture, MOOT_PICTURE_NOBODY, 0, MOOT_PICTURE_PHASE,
                        moot_slice_text(words));
}

void sim__record_begin(struct sim_world *world)
{
    if (world->options->picture == NULL) {
        return;
    }
    struct sim_record *record = world->record = moot_alloc_zero(sizeof(*record));
    record->picture = world->options->picture;
    record->wrong = SIZE_MAX;
    moot_buffer_init(&record->words);
    moot_buffer_init(&record->evidence);
    moot_arena_init(&record->arena);
    memset(record->machines, 0xff, sizeof(record->machines));
    for (uint32_t track = 0; track < MOOT_GROUPS_MAX; track++) {
        moot_picture_track_name(record->picture, track, moot_slice_text(TRACKS[track].name));
    }
    for (uint32_t i = 0; i < world->swarm.nodes; i++) {
        (void)line_of(record, world->machines[i]);
    }
    for (uint32_t i = 0; i < world->swarm.clients; i++) {
        char name[24];
        snprintf(name, sizeof(name), "c%u", i);
        record->clients[i] =
            moot_picture_line(record->picture, MOOT_PICTURE_CLIENT,
                              moot_slice_text(world->clients[i].is_admin ? "admin" : name));
    }
    describe_world(world);
}

static bool is_evidence(const struct sim_world *world, size_t number)
{
    const struct sim_record *record = world->record;
    const struct moot_operation *operations = world->history.operations;
    const uint32_t *shown = (const uint32_t *)(const void *)record->evidence.data;
    size_t count = record->evidence.size / sizeof(*shown);
    if (count == 0) {
        return record->wrong != SIZE_MAX &&
               sim_record_is_evidence(&operations[number], &operations[record->wrong]);
    }
    for (size_t i = 0; i < count; i++) {
        if (shown[i] == number) {
            return true;
        }
    }
    return false;
}

static void add_operation(struct sim_world *world, size_t number)
{
    struct sim_record *record = world->record;
    const struct moot_operation *operation = &world->history.operations[number];
    static const enum moot_picture_outcome outcomes[] = {[MOOT_OUTCOME_INDOUBT] =
                                                             MOOT_PICTURE_INDOUBT,
                                                         [MOOT_OUTCOME_OK] = MOOT_PICTURE_OK,
                                                         [MOOT_OUTCOME_FAIL] = MOOT_PICTURE_FAIL};
    uint32_t slot = sim__asked(world, number).machine;
    bool open = operation->returned.ns < operation->called.ns || operation->returned.ns == 0;
    moot_buffer_reset(&record->words, WORDS_MAX);
    sim_record_asked(operation, &record->words);
    size_t asked = record->words.size;
    sim_record_answered(operation, &record->words);
    struct moot_slice words = moot_buffer_slice(&record->words);
    moot_picture_operation(
        record->picture,
        &(struct moot_picture_operation){
            .line = record->clients[operation->process % SIM_CLIENTS_MAX],
            .by = slot < SIM_MACHINES_MAX ? record->machines[slot] : MOOT_PICTURE_NOBODY,
            .called = operation->called.ns,
            .returned = open ? world->now : operation->returned.ns,
            .outcome = open ? MOOT_PICTURE_OPEN : outcomes[operation->outcome],
            .asked = {words.data, asked},
            .answer = {words.data + asked, words.size - asked},
            .is_wrong = number == record->wrong,
            .is_evidence = is_evidence(world, number)});
}

void sim__record_end(struct sim_world *world)
{
    struct sim_record *record = world->record;
    if (record == NULL) {
        return;
    }
    for (size_t i = 0; i < world->history.count; i++) {
        add_operation(world, i);
    }
    moot_buffer_deinit(&record->words);
    moot_arena_deinit(&record->arena);
    moot_buffer_deinit(&record->evidence);
    moot_free(record);
    world->record = NULL;
}

/* ---- machines ---- */

static void role(struct sim_world *world, const struct sim_machine *machine, uint32_t track,
                 const char *name, moot_term term)
{
    moot_picture_role(world->record->picture, line_of(world->record, machine), track, world->now,
                      moot_slice_text(name), term);
}

void sim__record_start(struct sim_world *world, const struct sim_machine *machine)
{
    if (world->record == NULL) {
        return;
    }
    char words[WORDS_MAX];
    uint64_t incarnation = moot_node_incarnation(machine->node);
    uint32_t line = line_of(world->record, machine);
    snprintf(words, sizeof(words), "m%u starts as node %u, incarnation %llu", machine->slot,
             machine->id, (unsigned long long)incarnation);
    moot_picture_moment(world->record->picture, line, world->now, MOOT_PICTURE_START,
                        moot_slice_text(words));
    snprintf(words, sizeof(words), "start %llu", (unsigned long long)incarnation);
    moot_picture_state(world->record->picture, line, world->now, MOOT_SLICE_LITERAL("process"),
                       moot_slice_text(words));
    sim__record_turn(world, machine, NULL);
}

void sim__record_gone(struct sim_world *world, const struct sim_machine *machine, bool is_quiet)
{
    if (world->record == NULL) {
        return;
    }
    uint32_t line = line_of(world->record, machine);
    moot_picture_moment(
        world->record->picture, line, world->now, MOOT_PICTURE_END,
        moot_slice_text(is_quiet ? "dies; nobody is told" : "ends; its connections close"));
    moot_picture_state(world->record->picture, line, world->now, MOOT_SLICE_LITERAL("process"),
                       MOOT_SLICE_LITERAL("down"));
    for (uint32_t track = 0; track < MOOT_GROUPS_MAX; track++) {
        role(world, machine, track, "down", 0);
    }
}

static void members_words(const struct moot_group_view *view, struct moot_buffer *out)
{
    moot_buffer_reset(out, WORDS_MAX);
    for (uint32_t i = 0; i < view->members->voter_count; i++) {
        moot_buffer_append_text(out, i == 0 ? "n" : " n");
        moot_buffer_append_u64(out, view->members->voters[i]);
    }
    for (uint32_t i = 0; i < view->members->learner_count; i++) {
        moot_buffer_append_text(out, " (n");
        moot_buffer_append_u64(out, view->members->learners[i]);
        moot_buffer_append_text(out, ")");
    }
    moot_buffer_append_text(out, view->changing ? ", changing" : "");
}

static void look_at_group(struct sim_world *world, const struct sim_machine *machine,
                          uint32_t track)
{
    struct sim_record *record = world->record;
    uint32_t line = line_of(record, machine);
    struct moot_group_view view;
    moot_node_group(machine->node, TRACKS[track].group, &view);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"term", view.term},       {"leader", view.leader},  {"commit", view.commit},
                   {"applied", view.applied}, {"last", view.last},      {"durable", view.durable},
                   {"first", view.first},     {"waiting", view.waiters}};
    const char *name = moot_group_role_text(&view, machine->id);
    char field[48];
    role(world, machine, track, name, view.term);
    snprintf(field, sizeof(field), "%s role", TRACKS[track].name);
    moot_picture_state(record->picture, line, world->now, moot_slice_text(field),
                       moot_slice_text(name));
    for (size_t i = 0; i < MOOT_ARRAY_LEN(numbers); i++) {
        snprintf(field, sizeof(field), "%s %s", TRACKS[track].name, numbers[i].name);
        moot_picture_number(record->picture, line, world->now, moot_slice_text(field),
                            numbers[i].value);
    }
    members_words(&view, &record->words);
    snprintf(field, sizeof(field), "%s members", TRACKS[track].name);
    moot_picture_state(record->picture, line, world->now, moot_slice_text(field),
                       moot_buffer_slice(&record->words));
}

/* "db0 raft: votes are enough" is a decision; all else is said to people. */
static bool is_decision(const struct moot_effect *effect)
{
    return effect->kind == MOOT_EFFECT_LOG &&
           (moot_slice_starts_with(effect->log.text, MOOT_SLICE_LITERAL("db0 raft: ")) ||
            moot_slice_starts_with(effect->log.text, MOOT_SLICE_LITERAL("system raft: ")));
}

void sim__record_turn(struct sim_world *world, const struct sim_machine *machine,
                      struct moot_effects *effects)
{
    if (world->record == NULL) {
        return;
    }
    uint32_t line = line_of(world->record, machine);
    size_t kept = 0;
    for (size_t i = 0; effects != NULL && i < effects->count; i++) {
        if (is_decision(&effects->items[i])) {
            moot_picture_moment(world->record->picture, line, world->now, MOOT_PICTURE_DECISION,
                                effects->items[i].log.text);
        } else {
            effects->items[kept++] = effects->items[i];
        }
    }
    if (effects != NULL) {
        effects->count = kept;
    }
    for (uint32_t track = 0; track < MOOT_GROUPS_MAX; track++) {
        look_at_group(world, machine, track);
    }
    moot_picture_number(world->record->picture, line, world->now, MOOT_SLICE_LITERAL("connections"),
                        machine->connection_count);
}

void sim__record_says(struct sim_world *world, const struct sim_machine *machine,
                      struct moot_slice text)
{
    if (world->record != NULL) {
        moot_picture_moment(world->record->picture, line_of(world->record, machine), world->now,
                            MOOT_PICTURE_LOG, text);
    }
}

void sim__record_strike(struct sim_world *world, const struct sim_machine *machine,
                        const char *words)
{
    if (world->record != NULL) {
        moot_picture_moment(world->record->picture, line_of(world->record, machine), world->now,
                            MOOT_PICTURE_FAULT, moot_slice_text(words));
    }
}

void sim__record_phase(struct sim_world *world, const char *name)
{
    if (world->record != NULL) {
        moot_picture_moment(world->record->picture, MOOT_PICTURE_NOBODY, world->now,
                            MOOT_PICTURE_PHASE, moot_slice_text(name));
    }
}

void sim__record_violation(struct sim_world *world, struct moot_slice words)
{
    if (world->record != NULL) {
        moot_picture_moment(world->record->picture, MOOT_PICTURE_NOBODY, world->now,
                            MOOT_PICTURE_WRONG, words);
        moot_picture_verdict(world->record->picture, words);
    }
}

void sim__record_wrong(struct sim_world *world, size_t operation)
{
    if (world->record != NULL && operation < world->history.count) {
        world->record->wrong = operation;
    }
}

void sim__record_evidence(struct sim_world *world, const uint32_t *operations, size_t count)
{
    if (world->record != NULL) {
        moot_buffer_append(&world->record->evidence, operations, count * sizeof(*operations));
    }
}

/* ---- messages ---- */

uint64_t sim__record_send(struct sim_world *world, const struct sim_machine *from,
                          const struct sim_machine *to, struct moot_slice bytes)
{
    struct sim_record *record = world->record;
    if (record == NULL) {
        return 0;
    }
    struct moot_picture_message message = {.from = line_of(record, from),
                                           .to = to == NULL ? MOOT_PICTURE_NOBODY
                                                            : line_of(record, to),
                                           .sent = world->now};
    moot_buffer_reset(&record->words, WORDS_MAX);
    moot_arena_reset(&record->arena);
    message.kind = sim_record_message(bytes, &record->arena, &record->words);
    message.text = moot_buffer_slice(&record->words);
    return moot_picture_sent(record->picture, &message);
}

void sim__record_arrive(struct sim_world *world, uint64_t message)
{
    if (world->record != NULL) {
        moot_picture_arrived(world->record->picture, (size_t)message, world->now);
    }
}

void sim__record_lost(struct sim_world *world, uint64_t message, const char *why)
{
    if (world->record != NULL) {
        moot_picture_lost(world->record->picture, (size_t)message, world->now,
                          moot_slice_text(why));
    }
}

void sim__record_bytes(struct sim_world *world, const struct sim_client *client, bool to_node,
                       struct moot_slice bytes, uint64_t at)
{
    struct sim_record *record = world->record;
    if (record == NULL || world->machines[client->machine] == NULL) {
        return;
    }
    uint32_t node = line_of(record, world->machines[client->machine]);
    uint32_t mine = record->clients[client->number];
    moot_buffer_reset(&record->words, WORDS_MAX);
    sim_record_resp(bytes, &record->words);
    size_t number = moot_picture_sent(
        record->picture,
        &(struct moot_picture_message){.kind = to_node ? MOOT_SLICE_LITERAL("request")
                                                       : MOOT_SLICE_LITERAL("reply"),
                                       .from = to_node ? mine : node,
                                       .to = to_node ? node : mine,
                                       .sent = world->now,
                                       .text = moot_buffer_slice(&record->words)});
    moot_picture_arrived(record->picture, number, at);
}

/* ---- faults ---- */

static uint64_t lines_of(struct sim_world *world, uint32_t slots)
{
    uint64_t lines = 0;
    for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
        const struct sim_machine *machine = world->machines[i];
        if ((slots >> i & 1) != 0 && machine != NULL && machine->id != 0) {
            lines |= UINT64_C(1) << line_of(world->record, machine);
        }
    }
    return lines;
}

void sim__record_fault(struct sim_world *world, const char *name, uint64_t number, uint32_t lines,
                       uint32_t others, uint64_t until, const char *format, ...)
{
    struct sim_record *record = world->record;
    if (record == NULL) {
        return;
    }
    char words[WORDS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    sim__record_fault_ends(world, name, number);
    size_t fault = moot_picture_fault(
        record->picture, &(struct moot_picture_fault){.name = moot_slice_text(name),
                                                      .text = moot_slice_text(words),
                                                      .lines = lines_of(world, lines),
                                                      .others = lines_of(world, others),
                                                      .from = world->now,
                                                      .until = until});
    if (record->in_force_count < IN_FORCE_MAX) {
        size_t i = record->in_force_count++;
        record->in_force[i].name = name;
        record->in_force[i].number = number;
        record->in_force[i].fault = fault;
    }
}

void sim__record_fault_ends(struct sim_world *world, const char *name, uint64_t number)
{
    struct sim_record *record = world->record;
    for (size_t i = 0; record != NULL && i < record->in_force_count; i++) {
        if (record->in_force[i].number == number && strcmp(record->in_force[i].name, name) == 0) {
            moot_picture_fault_ends(record->picture, record->in_force[i].fault, world->now);
            record->in_force[i] = record->in_force[--record->in_force_count];
            return;
        }
    }
}

void sim__record_healed(struct sim_world *world)
{
    struct sim_record *record = world->record;
    for (size_t i = 0; record != NULL && i < record->in_force_count; i++) {
        moot_picture_fault_ends(record->picture, record->in_force[i].fault, world->now);
    }
    if (record != NULL) {
        record->in_force_count = 0;
    }
}
