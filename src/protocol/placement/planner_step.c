/* The way from a map to its target, in steps; and the encodings of both. */
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "moot/planner.h"

enum { PLANNER_MAP_VERSION = 1, PLANNER_MOVES_VERSION = 1, MOVE_BYTES = 17 };

struct step {
    const struct moot_planner_options *options;
    const struct moot_planner_member *members;
    size_t member_count;
    const moot_node_id *now, *target;
    const struct moot_planner_limits *limits;
    uint32_t *load, *in, *out; /* Of each member. */
    struct moot_planner_move *moves;
    size_t count;
};

static size_t place_of(const struct step *step, moot_node_id node)
{
    size_t i = 0;
    while (i < step->member_count && (node == 0 || step->members[i].node != node)) {
        i += 1;
    }
    return i;
}

static bool is_alive(const struct step *step, moot_node_id node)
{
    return place_of(step, node) < step->member_count;
}

static uint32_t place_in(const moot_node_id *list, uint32_t count, moot_node_id node)
{
    uint32_t i = 0;
    while (i < count && list[i] != node) {
        i += 1;
    }
    return i;
}

/* No node twice in a list; no node of the target in another place of `now`. */
static bool lists_are_valid(const struct step *step)
{
    uint32_t replicas = step->options->replicas;
    for (uint32_t shard = 0; shard < step->options->shards; shard++) {
        const moot_node_id *now = &step->now[(size_t)shard * replicas];
        const moot_node_id *target = &step->target[(size_t)shard * replicas];
        for (uint32_t i = 0; i < replicas; i++) {
            uint32_t there = target[i] == 0 ? replicas : place_in(now, replicas, target[i]);
            if ((now[i] != 0 && place_in(now, replicas, now[i]) < i) ||
                (target[i] != 0 && place_in(target, replicas, target[i]) < i) ||
                (there != i && there != replicas) ||
                (target[i] != 0 && !is_alive(step, target[i]))) {
                return false;
            }
        }
    }
    return true;
}

static uint32_t alive_count(const struct step *step, uint32_t shard)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < step->options->replicas; i++) {
        alive += is_alive(step, step->now[(size_t)shard * step->options->replicas + i]);
    }
    return alive;
}

/* From whom to copy: who gives the replica up, or else whoever sends least in this step. Returns
 * its place; member_count when nobody is alive. */
static size_t choose_source(const struct step *step, uint32_t shard, moot_node_id from)
{
    size_t best = place_of(step, from);
    if (best < step->member_count && step->out[best] < step->limits->node_max) {
        return best;
    }
    for (uint32_t i = 0; i < step->options->replicas; i++) {
        size_t place = place_of(step, step->now[(size_t)shard * step->options->replicas + i]);
        if (place < step->member_count &&
            (best == step->member_count || step->out[place] < step->out[best])) {
            best = place;
        }
    }
    return best;
}

/* Move replica i of a shard, if limits let it. */
static bool try_move(struct step *step, uint32_t shard, uint32_t i, bool must_have_room)
{
    size_t at = (size_t)shard * step->options->replicas + i;
    moot_node_id from = step->now[at];
    moot_node_id to = step->target[at];
    if (to == 0 || to == from) {
        return false;
    }
    size_t place = place_of(step, to);
    MOOT_ASSERT(place < step->member_count);
    uint32_t most = step->members[place].replicas_max;
    bool has_room = most == 0 || step->load[place] + step->in[place] < most;
    size_t source = choose_source(step, shard, from);
    if (step->in[place] >= step->limits->node_max || (must_have_room && !has_room) ||
        (source < step->member_count && step->out[source] >= step->limits->node_max)) {
        return false;
    }
    step->in[place] += 1;
    moot_node_id sender = 0;
    if (source < step->member_count) {
        step->out[source] += 1;
        sender = step->members[source].node;
    }
    step->moves[step->count++] = (struct moot_planner_move){
        .shard = shard, .to = to, .from = from, .source = sender, .place = i};
    return true;
}

/* At most one move for a shard: what is missing before what only moves. */
static void try_shard(struct step *step, uint32_t shard, bool must_have_room)
{
    uint32_t replicas = step->options->replicas;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < replicas; i++) {
            bool is_missing = !is_alive(step, step->now[(size_t)shard * replicas + i]);
            if (is_missing == (pass == 0) && try_move(step, shard, i, must_have_room)) {
                return;
            }
        }
    }
}

static void choose_moves(struct step *step, bool must_have_room)
{
    for (uint32_t alive = 0; alive <= step->options->replicas; alive++) {
        for (uint32_t shard = 0; shard < step->options->shards; shard++) {
            if (step->count == step->limits->moves_max) {
                return;
            }
            if (alive_count(step, shard) == alive) {
                try_shard(step, shard, must_have_room);
            }
        }
    }
}

int moot_planner_step(const struct moot_planner_options *options,
                      const struct moot_planner_member *members, size_t member_count,
                      const moot_node_id *now, const moot_node_id *target,
                      const struct moot_planner_limits *limits, uint32_t *scratch,
                      struct moot_planner_move *moves, size_t *count)
{
    struct step step = {.options = options,
                        .members = members,
                        .member_count = member_count,
                        .now = now,
                        .target = target,
                        .limits = limits,
                        .load = scratch,
                        .in = scratch + member_count,
                        .out = scratch + 2 * member_count,
                        .moves = moves};
    *count = 0;
    if (options->shards > MOOT_PLANNER_SHARDS_MAX || options->replicas > MOOT_PLACE_REPLICAS_MAX ||
        member_count > MOOT_PLANNER_MEMBERS_MAX || limits->moves_max == 0 ||
        limits->node_max == 0 || !lists_are_valid(&step)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    memset(scratch, 0, 3 * member_count * sizeof(*scratch));
    for (size_t i = 0; i < (size_t)options->shards * options->replicas; i++) {
        size_t place = place_of(&step, now[i]);
        if (place < member_count) {
            step.load[place] += 1;
        }
    }
    choose_moves(&step, true);
    if (step.count == 0) {
        choose_moves(&step, false); /* Full nodes that must exchange: over the limit for a while. */
    }
    *count = step.count;
    return MOOT_OK;
}

void moot_planner_apply(const struct moot_planner_options *options, moot_node_id *map,
                        const struct moot_planner_move *move)
{
    MOOT_ASSERT(move->shard < options->shards);
    moot_node_id *list = &map[(size_t)move->shard * options->replicas];
    MOOT_ASSERT(place_in(list, options->replicas, move->to) == options->replicas);
    MOOT_ASSERT(move->place < options->replicas);
    MOOT_ASSERT(list[move->place] == move->from);
    list[move->place] = move->to;
}

/* ---- encoding ---- */

int moot_planner_map_encode(const struct moot_planner_options *options, const moot_node_id *map,
                            uint8_t *out, size_t size, size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, PLANNER_MAP_VERSION);
    moot_write_varint(&writer, options->shards);
    moot_write_varint(&writer, options->replicas);
    for (size_t i = 0; i < (size_t)options->shards * options->replicas; i++) {
        moot_write_varint(&writer, map[i]);
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

int moot_planner_map_decode(const struct moot_planner_options *options, struct moot_slice bytes,
                            moot_node_id *map)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t version = moot_get_u8(&reader);
    uint64_t shards = moot_get_varint(&reader);
    uint64_t replicas = moot_get_varint(&reader);
    if (!reader.failed && version != PLANNER_MAP_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (reader.failed || shards != options->shards || replicas != options->replicas) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    for (uint32_t shard = 0; shard < options->shards; shard++) {
        moot_node_id *list = &map[(size_t)shard * options->replicas];
        for (uint32_t i = 0; i < options->replicas; i++) {
            uint64_t node = moot_get_varint(&reader);
            if (reader.failed || node > UINT32_MAX ||
                (node != 0 && place_in(list, i, (moot_node_id)node) < i)) {
                return MOOT_FAIL(MOOT_EINVALID);
            }
            list[i] = (moot_node_id)node;
        }
    }
    return moot_reader_left(&reader) == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
}

int moot_planner_moves_encode(const struct moot_planner_move *moves, size_t count, uint8_t *out,
                              size_t size, size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, PLANNER_MOVES_VERSION);
    moot_write_varint(&writer, count);
    for (size_t i = 0; i < count; i++) {
        moot_write_u32(&writer, moves[i].shard);
        moot_write_u32(&writer, moves[i].to);
        moot_write_u32(&writer, moves[i].from);
        moot_write_u32(&writer, moves[i].source);
        moot_write_u8(&writer, (uint8_t)moves[i].place);
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

int moot_planner_moves_decode(struct moot_slice bytes, struct moot_planner_move *moves,
                              size_t capacity, size_t *count)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t version = moot_get_u8(&reader);
    uint64_t announced = moot_get_varint(&reader);
    *count = 0;
    if (!reader.failed && version != PLANNER_MOVES_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (reader.failed || announced != moot_reader_left(&reader) / MOVE_BYTES ||
        moot_reader_left(&reader) % MOVE_BYTES != 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (announced > capacity) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    for (uint64_t i = 0; i < announced; i++) {
        struct moot_planner_move move = {.shard = moot_get_u32(&reader)};
        move.to = moot_get_u32(&reader);
        move.from = moot_get_u32(&reader);
        move.source = moot_get_u32(&reader);
        move.place = moot_get_u8(&reader);
        if (move.place >= MOOT_PLACE_REPLICAS_MAX || move.shard >= MOOT_PLANNER_SHARDS_MAX ||
            move.to == 0 || move.to == move.from) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        moves[i] = move;
    }
    *count = (size_t)announced;
    return MOOT_OK;
}
