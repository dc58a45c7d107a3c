#include "cli/replay_picture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"
#include "cli/sim_picture.h"
#include "moot/raft.h"
#include "picture/picture.h"
#include "sim/record_words.h"

enum { WORDS_MAX = 512, SAME_CLOCK_MS = 20, CLOCKS_MAX = 256, AGREEING = 3, AGREEING_MS = 2 };

/* The groups as the page shows them: data first. */
static const struct {
    moot_group_id group;
    const char *name;
} TRACKS[MOOT_GROUPS_MAX] = {{MOOT_GROUP_DB0, "db0"}, {MOOT_GROUP_SYSTEM, "system"}};

/* One end of a message between nodes. */
struct end {
    moot_node_id from, to;
    uint64_t hash, at;
    size_t order;
    size_t kind; /* Where its words begin in `texts`: the kind, NUL, the content, NUL. */
};

struct ends {
    struct end *items;
    size_t count, capacity;
};

/* A node's lines in the picture; MOOT_PICTURE_NOBODY: it has none yet. A ring has lost what was
 * before its first instant; from then on whatever it has not got did not arrive. */
struct lines {
    moot_node_id node;
    uint32_t own, clients;
    uint64_t since; /* UINT64_MAX: it is not recorded. */
};

struct replay_picture {
    struct moot_picture *picture;
    struct lines *lines;
    size_t line_count, line_capacity;
    struct ends sent, received;
    struct moot_buffer texts, words;
    struct moot_arena arena;
    uint64_t zero_ns;  /* Wall time at which the picture begins. */
    uint64_t begin_ms; /* As it was asked for; 0: it was not. */
    bool has_zero;
    uint64_t clocks[CLOCKS_MAX]; /* What wall clocks were ahead of monotonic ones. */
    uint32_t clock_count;

    /* The recording under way. */
    moot_node_id node;
    uint64_t opened_ns;
    uint64_t ahead_ns;     /* What its wall clock is ahead of its monotonic one, modulo 2^64. */
    uint64_t candidate_ns; /* What the last `agreeing` turns say instead. */
    uint32_t agreeing;
};

struct replay_picture *replay_picture_make(uint64_t begin_ms)
{
    struct replay_picture *replay = moot_alloc_zero(sizeof(*replay));
    replay->begin_ms = begin_ms;
    replay->zero_ns = begin_ms * MOOT_MSEC_NS;
    replay->has_zero = begin_ms > 0;
    replay->picture = moot_picture_make(&(struct moot_picture_options){
        .title = MOOT_SLICE_LITERAL("moot replay"),
        .subtitle = MOOT_SLICE_LITERAL("recorded by moot server --record"),
    });
    for (uint32_t track = 0; track < MOOT_GROUPS_MAX; track++) {
        moot_picture_track_name(replay->picture, track, moot_slice_text(TRACKS[track].name));
    }
    moot_buffer_init(&replay->texts);
    moot_buffer_init(&replay->words);
    moot_arena_init(&replay->arena);
    return replay;
}

/* Good until the next call. */
static struct lines *lines_of(struct replay_picture *replay, moot_node_id node)
{
    for (size_t i = 0; i < replay->line_count; i++) {
        if (replay->lines[i].node == node) {
            return &replay->lines[i];
        }
    }
    if (replay->line_count == replay->line_capacity) {
        replay->line_capacity = replay->line_capacity == 0 ? 16 : 2 * replay->line_capacity;
        replay->lines = moot_realloc(replay->lines, replay->line_capacity * sizeof(*replay->lines));
    }
    struct lines *lines = &replay->lines[replay->line_count++];
    *lines = (struct lines){node, MOOT_PICTURE_NOBODY, MOOT_PICTURE_NOBODY, UINT64_MAX};
    return lines;
}

static uint32_t line_of(struct replay_picture *replay, moot_node_id node)
{
    if (node == 0 || node > MOOT_NODE_ID_MAX) {
        return MOOT_PICTURE_NOBODY;
    }
    uint32_t *line = &lines_of(replay, node)->own;
    if (*line == MOOT_PICTURE_NOBODY) {
        char name[24];
        snprintf(name, sizeof(name), "n%u", node);
        *line = moot_picture_line(replay->picture, MOOT_PICTURE_NODE, moot_slice_text(name));
    }
    return *line;
}

static uint32_t clients_of(struct replay_picture *replay)
{
    uint32_t *line = &lines_of(replay, replay->node)->clients;
    if (*line == MOOT_PICTURE_NOBODY) {
        char name[40];
        snprintf(name, sizeof(name), "clients of n%u", replay->node);
        *line = moot_picture_line(replay->picture, MOOT_PICTURE_CLIENT, moot_slice_text(name));
    }
    return *line;
}

/* Where an instant of the recording under way is in the picture; one that began before the first
 * is cut at the left edge. */
static uint64_t place(struct replay_picture *replay, struct moot_instant instant)
{
    uint64_t wall = instant.ns + replay->ahead_ns;
    uint64_t at = wall > replay->zero_ns ? wall - replay->zero_ns : 0;
    return at;
}

static bool is_recorded(struct replay_picture *replay, moot_node_id node, uint64_t at)
{
    return lines_of(replay, node)->since <= at;
}

/* ---- roles and states ---- */

static void look_at(struct replay_picture *replay, const struct moot_node *node, uint64_t at)
{
    uint32_t line = line_of(replay, replay->node);
    for (uint32_t track = 0; track < MOOT_GROUPS_MAX; track++) {
        struct moot_group_view view;
        moot_node_group(node, TRACKS[track].group, &view);
        const struct {
            const char *name;
            uint64_t value;
        } numbers[] = {{"term", view.term},     {"leader", view.leader},
                       {"commit", view.commit}, {"applied", view.applied},
                       {"last", view.last},     {"durable", view.durable},
                       {"first", view.first},   {"waiting", view.waiters}};
        moot_picture_role(replay->picture, line, track, at,
                          moot_slice_text(moot_group_role_text(&view, replay->node)), view.term);
        for (size_t i = 0; i < MOOT_ARRAY_LEN(numbers); i++) {
            char field[48];
            snprintf(field, sizeof(field), "%s %s", TRACKS[track].name, numbers[i].name);
            moot_picture_number(replay->picture, line, at, moot_slice_text(field),
                                numbers[i].value);
        }
    }
}

static bool is_near(uint64_t ahead, uint64_t other, uint64_t within_ms)
{
    uint64_t near = within_ms * MOOT_MSEC_NS;
    return ahead - other + near <= 2 * near;
}

/* Recordings of one machine have the same monotonic clock, which is finer than the wall clock's
 * milliseconds, and the same steps of the wall clock: what is nearly the same is the same. Those of
 * others, and of a machine that was started again, only have the wall clock. */
static uint64_t known_clock(const struct replay_picture *replay, uint64_t ahead)
{
    for (uint32_t i = 0; i < replay->clock_count; i++) {
        if (is_near(ahead, replay->clocks[i], SAME_CLOCK_MS)) {
            return replay->clocks[i];
        }
    }
    return ahead;
}

/* A process that is interrupted between its readings of the two clocks says what never was: some
 * readings in a row must agree, but for the wall clock's milliseconds, before they say anything. */
static void lay_over(struct replay_picture *replay, struct moot_now now, bool is_first)
{
    uint64_t wall_ns = now.wall_ms * MOOT_MSEC_NS;
    uint64_t ahead = wall_ns - now.instant.ns;
    if (!replay->has_zero) {
        replay->has_zero = true;
        replay->zero_ns = wall_ns;
    }
    if (is_first || !is_near(ahead, replay->candidate_ns, AGREEING_MS)) {
        replay->candidate_ns = ahead;
        replay->agreeing = 0;
    }
    replay->agreeing++;
    if (is_first) {
        replay->ahead_ns = known_clock(replay, ahead);
    }
    if (replay->agreeing == AGREEING) {
        replay->ahead_ns = known_clock(replay, replay->candidate_ns);
        if (replay->ahead_ns == replay->candidate_ns && replay->clock_count < CLOCKS_MAX) {
            replay->clocks[replay->clock_count++] = replay->candidate_ns;
        }
    }
}

void replay_picture_opened(struct replay_picture *replay, const struct moot_replay_open *open,
                           const struct moot_node *node)
{
    replay->node = moot_node_identity(node)->node;
    replay->opened_ns = open->now.instant.ns;
    lay_over(replay, open->now, true);
    struct lines *lines = lines_of(replay, replay->node);
    lines->since = moot_min_u64(lines->since, place(replay, open->now.instant));
    if (open->now.wall_ms < replay->begin_ms) {
        return; /* Before the picture begins. */
    }
    char words[WORDS_MAX];
    snprintf(words, sizeof(words), "starts as node %u, incarnation %llu", replay->node,
             (unsigned long long)moot_node_incarnation(node));
    uint64_t at = place(replay, open->now.instant);
    moot_picture_moment(replay->picture, line_of(replay, replay->node), at, MOOT_PICTURE_START,
                        moot_slice_text(words));
    look_at(replay, node, at);
}

/* ---- messages ---- */

static void add_end(struct replay_picture *replay, struct ends *ends, moot_node_id from,
                    moot_node_id to, uint64_t at, struct moot_slice bytes)
{
    if (ends->count >= MOOT_PICTURE_EVENTS_MAX) {
        return;
    }
    if (ends->count == ends->capacity) {
        ends->capacity = ends->capacity == 0 ? 1024 : 2 * ends->capacity;
        ends->items = moot_realloc(ends->items, ends->capacity * sizeof(*ends->items));
    }
    moot_arena_reset(&replay->arena);
    moot_buffer_reset(&replay->words, WORDS_MAX);
    struct moot_slice kind = sim_record_message(bytes, &replay->arena, &replay->words);
    ends->items[ends->count] = (struct end){
        .from = from,
        .to = to,
        .hash = moot_hash64(bytes, 0),
        .at = at,
        .order = ends->count,
        .kind = replay->texts.size,
    };
    ends->count++;
    moot_buffer_append_slice(&replay->texts, kind);
    moot_buffer_append(&replay->texts, "", 1);
    moot_buffer_append_slice(&replay->texts, moot_buffer_slice(&replay->words));
    moot_buffer_append(&replay->texts, "", 1);
}

static void add_send(struct replay_picture *replay, const struct moot_effect *effect, uint64_t at)
{
    struct moot_buffer whole;
    moot_buffer_init(&whole);
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        moot_buffer_append_slice(&whole, effect->send.parts[i].bytes);
    }
    add_end(replay, &replay->sent, replay->node, effect->send.node, at, moot_buffer_slice(&whole));
    moot_buffer_deinit(&whole);
}

static void add_client(struct replay_picture *replay, struct moot_slice bytes, bool to_node,
                       uint64_t at)
{
    uint32_t node = line_of(replay, replay->node), clients = clients_of(replay);
    moot_buffer_reset(&replay->words, WORDS_MAX);
    sim_record_resp(bytes, &replay->words);
    size_t number = moot_picture_sent(
        replay->picture,
        &(struct moot_picture_message){.kind = to_node ? MOOT_SLICE_LITERAL("request")
                                                       : MOOT_SLICE_LITERAL("reply"),
                                       .from = to_node ? clients : node,
                                       .to = to_node ? node : clients,
                                       .sent = at,
                                       .text = moot_buffer_slice(&replay->words)});
    moot_picture_arrived(replay->picture, number, at);
}

static void see_input(struct replay_picture *replay, const struct moot_input *input, uint64_t at)
{
    if (input->kind == MOOT_INPUT_PEER_MESSAGE) {
        add_end(replay, &replay->received, input->node, replay->node, at, input->bytes);
    } else if (input->kind == MOOT_INPUT_CLIENT_BYTES) {
        add_client(replay, input->bytes, true, at);
    } else if (input->kind == MOOT_INPUT_PEER_UP || input->kind == MOOT_INPUT_PEER_DOWN) {
        char words[48];
        snprintf(words, sizeof(words), "link to n%u %s", input->node,
                 input->kind == MOOT_INPUT_PEER_UP ? "is up" : "is down");
        moot_picture_moment(replay->picture, line_of(replay, replay->node), at, MOOT_PICTURE_LOG,
                            moot_slice_text(words));
    }
}

static void see_effect(struct replay_picture *replay, const struct moot_effect *effect, uint64_t at)
{
    if (effect->kind == MOOT_EFFECT_SEND) {
        add_send(replay, effect, at);
    } else if (effect->kind == MOOT_EFFECT_REPLY) {
        add_client(replay, effect->client.bytes, false, at);
    } else if (effect->kind == MOOT_EFFECT_LOG) {
        moot_picture_moment(replay->picture, line_of(replay, replay->node), at,
                            moot_replay_is_trace(effect) ? MOOT_PICTURE_DECISION : MOOT_PICTURE_LOG,
                            effect->log.text);
    }
}

void replay_picture_turn(struct replay_picture *replay, const struct moot_player_turn *turn,
                         const struct moot_node *node, const struct moot_effects *effects)
{
    lay_over(replay, turn->now, false);
    uint64_t at = place(replay, turn->now.instant);
    for (size_t i = 0; i < turn->count; i++) {
        see_input(replay, &turn->inputs[i], at);
    }
    look_at(replay, node, at);
    for (size_t i = 0; i < effects->count; i++) {
        see_effect(replay, &effects->items[i], at);
    }
}

void replay_picture_ended(struct replay_picture *replay, const struct moot_replay_stream *stream,
                          const struct moot_player_result *result)
{
    if (result->lives == 0) {
        return;
    }
    uint32_t line = line_of(replay, replay->node);
    uint64_t at =
        place(replay, moot_instant_add((struct moot_instant){replay->opened_ns}, result->age));
    if (result->differs) {
        moot_picture_moment(replay->picture, line, at, MOOT_PICTURE_WRONG,
                            moot_slice_text(result->why));
        moot_picture_verdict(replay->picture, moot_slice_text(result->why));
    } else if (stream->ending != MOOT_REPLAY_MORE) {
        moot_picture_moment(replay->picture, line, at, MOOT_PICTURE_END,
                            stream->ending == MOOT_REPLAY_MARKED
                                ? moot_slice_text(moot_replay_end_text(stream->marked))
                                : MOOT_SLICE_LITERAL("its recording ends without a mark"));
        for (uint32_t track = 0; track < MOOT_GROUPS_MAX; track++) {
            moot_picture_role(replay->picture, line, track, at, MOOT_SLICE_LITERAL("down"), 0);
        }
    }
}

/* ---- joining ---- */

static int compare_place(const struct end *a, const struct end *b)
{
    if (a->from != b->from) {
        return a->from < b->from ? -1 : 1;
    }
    if (a->to != b->to) {
        return a->to < b->to ? -1 : 1;
    }
    return a->hash != b->hash ? (a->hash < b->hash ? -1 : 1) : 0;
}

static int compare_ends(const void *left, const void *right)
{
    const struct end *a = left, *b = right;
    int order = compare_place(a, b);
    if (order == 0 && a->at != b->at) {
        order = a->at < b->at ? -1 : 1;
    }
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static size_t draw(struct replay_picture *replay, const struct end *end)
{
    const char *kind = (const char *)replay->texts.data + end->kind;
    return moot_picture_sent(
        replay->picture,
        &(struct moot_picture_message){.kind = moot_slice_text(kind),
                                       .from = line_of(replay, end->from),
                                       .to = line_of(replay, end->to),
                                       .sent = end->at,
                                       .text = moot_slice_text(kind + strlen(kind) + 1)});
}

static void draw_unmatched(struct replay_picture *replay, const struct end *end, bool is_sent)
{
    size_t number = draw(replay, end);
    if (is_sent && is_recorded(replay, end->to, end->at)) {
        moot_picture_lost(replay->picture, number, end->at,
                          MOOT_SLICE_LITERAL("the recording of the other end has not got it"));
    } else {
        moot_picture_arrived(replay->picture, number, end->at); /* When is not known. */
    }
}

static void join(struct replay_picture *replay)
{
    struct ends *sent = &replay->sent, *received = &replay->received;
    size_t s = 0, r = 0;
    if (sent->count > 0) {
        qsort(sent->items, sent->count, sizeof(*sent->items), compare_ends);
    }
    if (received->count > 0) {
        qsort(received->items, received->count, sizeof(*received->items), compare_ends);
    }
    while (s < sent->count || r < received->count) {
        int order = s == sent->count       ? 1
                    : r == received->count ? -1
                                           : compare_place(&sent->items[s], &received->items[r]);
        if (order < 0) {
            draw_unmatched(replay, &sent->items[s++], true);
        } else if (order > 0) {
            draw_unmatched(replay, &received->items[r++], false);
        } else {
            const struct end *from = &sent->items[s++], *to = &received->items[r++];
            size_t number = draw(replay, from); /* Clocks apart must not make it fly back. */
            moot_picture_arrived(replay->picture, number, moot_max_u64(from->at, to->at));
        }
    }
}

bool replay_picture_write(struct replay_picture *replay, const char *path)
{
    join(replay);
    bool good = moot_cli_write_picture(replay->picture, 0, path);
    moot_picture_free(replay->picture);
    moot_free(replay->lines);
    moot_free(replay->sent.items);
    moot_free(replay->received.items);
    moot_buffer_deinit(&replay->texts);
    moot_buffer_deinit(&replay->words);
    moot_arena_deinit(&replay->arena);
    moot_free(replay);
    return good;
}
