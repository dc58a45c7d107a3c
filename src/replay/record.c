/* The codec of a recording's records, and the digests of effects. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"
#include "replay/stream.h"

enum { INPUT_BYTES_MIN = 6, TEXT_MAX = 64, IDENTITY_MAX = 64 * 1024 };

const char *moot_replay_call_text(enum moot_replay_call call)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MOOT_REPLAY_CALLS(X)
#undef X
    };
    MOOT_ASSERT(call < MOOT_REPLAY_CALL_COUNT);
    return texts[call];
}

const char *moot_replay_end_text(enum moot_replay_end end)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MOOT_REPLAY_ENDS(X)
#undef X
    };
    MOOT_ASSERT(end < MOOT_REPLAY_END_COUNT);
    return texts[end];
}

/* Statuses are small negative numbers. */
static void put_status(struct moot_buffer *out, int status)
{
    moot_put_varint(out, (uint32_t)-status);
}

static int get_status(struct moot_reader *reader)
{
    uint64_t value = moot_get_varint(reader);
    reader->failed = reader->failed || value > UINT32_MAX || value == UINT32_C(1) << 31;
    return reader->failed ? 0 : -(int)(uint32_t)value;
}

/* ---- one kind after the other ---- */

static void put_now(struct moot_buffer *out, struct moot_now now)
{
    moot_put_varint(out, now.instant.ns);
    moot_put_varint(out, now.wall_ms);
}

static struct moot_now get_now(struct moot_reader *reader)
{
    struct moot_now now;
    now.instant.ns = moot_get_varint(reader);
    now.wall_ms = moot_get_varint(reader);
    return now;
}

static void put_open(struct moot_buffer *out, const struct moot_replay_open *open)
{
    moot_put_bytes(out, open->version);
    moot_put_u64(out, open->program);
    put_now(out, open->now);
    moot_put_u64(out, open->seed);
    moot_put_varint(out, open->segment_bytes);
    moot_put_varint(out, open->segments_max);
    moot_put_varint(out, open->election_ms);
    moot_put_varint(out, open->heartbeat_ms);
    moot_put_varint(out, open->flush_bytes);
    moot_put_varint(out, open->log_memory_bytes);
    moot_put_varint(out, open->recent_bytes);
    moot_put_varint(out, open->feature_level);
    moot_put_u8(out, (uint8_t)(open->raft_trace | open->store_lost << 1 | open->has_format << 2 |
                               open->has_mac << 3));
    moot_put_bytes(out, open->format);
}

static void get_open(struct moot_reader *reader, struct moot_replay_open *open)
{
    open->version = moot_get_bytes(reader);
    open->program = moot_get_u64(reader);
    open->now = get_now(reader);
    open->seed = moot_get_u64(reader);
    open->segment_bytes = moot_get_varint(reader);
    open->segments_max = moot_get_varint(reader);
    open->election_ms = moot_get_varint(reader);
    open->heartbeat_ms = moot_get_varint(reader);
    open->flush_bytes = moot_get_varint(reader);
    open->log_memory_bytes = moot_get_varint(reader);
    open->recent_bytes = moot_get_varint(reader);
    uint64_t level = moot_get_varint(reader);
    uint8_t flags = moot_get_u8(reader);
    open->feature_level = (uint32_t)level;
    open->raft_trace = flags & 1;
    open->store_lost = flags >> 1 & 1;
    open->has_format = flags >> 2 & 1;
    open->has_mac = flags >> 3 & 1;
    open->format = moot_get_bytes(reader);
    reader->failed = reader->failed || flags > 15 || level > UINT32_MAX ||
                     open->version.size > TEXT_MAX || open->format.size > IDENTITY_MAX;
}

static void put_inputs(struct moot_buffer *out, const struct moot_input *inputs, size_t count)
{
    moot_put_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        moot_put_u8(out, (uint8_t)inputs[i].kind);
        put_status(out, inputs[i].status);
        moot_put_varint(out, inputs[i].node);
        moot_put_varint(out, inputs[i].amount);
        moot_put_varint(out, inputs[i].ticket);
        moot_put_bytes(out, inputs[i].bytes);
    }
}

static const struct moot_input *get_inputs(struct moot_reader *reader, struct moot_arena *arena,
                                           size_t *count)
{
    uint64_t claimed = moot_get_varint(reader);
    *count = 0;
    if (claimed > moot_reader_left(reader) / INPUT_BYTES_MIN) {
        reader->failed = true;
        return NULL;
    }
    struct moot_input *inputs = moot_arena_alloc(arena, claimed * sizeof(*inputs));
    for (; *count < claimed && !reader->failed; (*count)++) {
        struct moot_input *input = &inputs[*count];
        uint8_t kind = moot_get_u8(reader);
        *input = (struct moot_input){.kind = kind, .status = get_status(reader)};
        uint64_t node = moot_get_varint(reader);
        input->node = (moot_node_id)node;
        input->amount = moot_get_varint(reader);
        input->ticket = moot_get_varint(reader);
        input->bytes = moot_get_bytes(reader);
        reader->failed = reader->failed || kind >= MOOT_INPUT_KINDS || node > UINT32_MAX;
    }
    return inputs;
}

static void put_effects(struct moot_buffer *out, const struct moot_replay_effects *effects)
{
    uint32_t present = 0;
    for (uint32_t kind = 0; kind < MOOT_EFFECT_KINDS; kind++) {
        present |= (uint32_t)(effects->count[kind] > 0) << kind;
    }
    moot_put_varint(out, effects->turn);
    moot_put_u64(out, effects->deadline_ns);
    moot_put_u64(out, effects->order);
    moot_put_varint(out, present);
    for (uint32_t kind = 0; kind < MOOT_EFFECT_KINDS; kind++) {
        if (effects->count[kind] > 0) {
            moot_put_varint(out, effects->count[kind]);
            moot_put_u32(out, effects->hash[kind]);
        }
    }
}

static void get_effects(struct moot_reader *reader, struct moot_replay_effects *effects)
{
    *effects = (struct moot_replay_effects){.turn = moot_get_varint(reader)};
    effects->deadline_ns = moot_get_u64(reader);
    effects->order = moot_get_u64(reader);
    uint64_t present = moot_get_varint(reader);
    reader->failed = reader->failed || present >> MOOT_EFFECT_KINDS != 0;
    for (uint32_t kind = 0; kind < MOOT_EFFECT_KINDS && !reader->failed; kind++) {
        if (present >> kind & 1) {
            effects->count[kind] = moot_get_varint(reader);
            effects->hash[kind] = moot_get_u32(reader);
            reader->failed = reader->failed || effects->count[kind] == 0;
        }
    }
}

/* ---- records ---- */

void moot_replay_encode(const struct moot_replay_record *record, struct moot_buffer *out)
{
    moot_put_u8(out, (uint8_t)record->kind);
    switch (record->kind) {
    case MOOT_REPLAY_OPEN:
        put_open(out, &record->open);
        break;
    case MOOT_REPLAY_ANSWER:
        moot_put_u8(out, (uint8_t)record->answer.call);
        put_status(out, record->answer.status);
        moot_put_u32(out, record->answer.question);
        moot_put_bytes(out, record->answer.a);
        moot_put_bytes(out, record->answer.b);
        break;
    case MOOT_REPLAY_OPENED:
        put_status(out, record->opened.status);
        moot_put_varint(out, record->opened.incarnation);
        break;
    case MOOT_REPLAY_TURN:
        moot_put_varint(out, record->turn.number);
        put_now(out, record->turn.now);
        put_inputs(out, record->turn.inputs, record->turn.count);
        break;
    case MOOT_REPLAY_EFFECTS:
        put_effects(out, &record->effects);
        break;
    case MOOT_REPLAY_END:
        moot_put_u8(out, (uint8_t)record->end);
        break;
    default:
        MOOT_UNREACHABLE();
    }
}

static void get_answer(struct moot_reader *reader, struct moot_replay_answer *answer)
{
    uint8_t call = moot_get_u8(reader);
    answer->call = call;
    answer->status = get_status(reader);
    answer->question = moot_get_u32(reader);
    answer->a = moot_get_bytes(reader);
    answer->b = moot_get_bytes(reader);
    reader->failed = reader->failed || call >= MOOT_REPLAY_CALL_COUNT;
}

int moot_replay_decode(struct moot_reader *reader, struct moot_arena *arena,
                       struct moot_replay_record *out)
{
    uint8_t kind = moot_get_u8(reader);
    *out = (struct moot_replay_record){.kind = kind};
    switch (kind) {
    case MOOT_REPLAY_OPEN:
        get_open(reader, &out->open);
        break;
    case MOOT_REPLAY_ANSWER:
        get_answer(reader, &out->answer);
        break;
    case MOOT_REPLAY_OPENED:
        out->opened.status = get_status(reader);
        out->opened.incarnation = moot_get_varint(reader);
        break;
    case MOOT_REPLAY_TURN:
        out->turn.number = moot_get_varint(reader);
        out->turn.now = get_now(reader);
        out->turn.inputs = get_inputs(reader, arena, &out->turn.count);
        break;
    case MOOT_REPLAY_EFFECTS:
        get_effects(reader, &out->effects);
        break;
    case MOOT_REPLAY_END: {
        uint8_t end = moot_get_u8(reader);
        out->end = end;
        reader->failed = reader->failed || end >= MOOT_REPLAY_END_COUNT;
        break;
    }
    default:
        reader->failed = true;
    }
    return reader->failed ? MOOT_FAIL(MOOT_EINVALID) : MOOT_OK;
}

/* ---- digests ---- */

bool moot_replay_is_trace(const struct moot_effect *effect)
{
    return effect->kind == MOOT_EFFECT_LOG &&
           (moot_slice_starts_with(effect->log.text, MOOT_SLICE_LITERAL("db0 raft: ")) ||
            moot_slice_starts_with(effect->log.text, MOOT_SLICE_LITERAL("system raft: ")));
}

static uint64_t mix_range(uint64_t hash, const struct moot_range *range)
{
    return moot_hash64(range->to, moot_hash64(range->from, hash));
}

static uint64_t mix_batch(uint64_t hash, const struct moot_batch *batch)
{
    return moot_hash64(moot_buffer_slice(&batch->bytes), moot_hash_mix(hash, batch->count));
}

static uint64_t mix_journal(uint64_t hash, const struct moot_effect *effect)
{
    const struct moot_journal_write *where = &effect->journal.where;
    hash = moot_hash64(moot_slice_text(where->segment), hash);
    hash = moot_hash64(moot_slice_text(where->recycles), hash);
    hash = moot_hash_mix(hash, where->offset);
    hash = moot_hash_mix(hash, where->batch);
    hash = moot_hash_mix(hash, where->creates_segment);
    hash = moot_hash_mix(hash, effect->journal.answers_wait);
    return moot_hash64(effect->journal.bytes, hash);
}

static uint64_t mix_fetch(uint64_t hash, const struct moot_effect *effect)
{
    for (uint32_t i = 0; i < effect->fetch.key_count; i++) {
        hash = moot_hash64(effect->fetch.keys[i], hash);
    }
    for (uint32_t i = 0; i < effect->fetch.range_count; i++) {
        hash = mix_range(hash, &effect->fetch.ranges[i]);
        hash = moot_hash_mix(hash, effect->fetch.reverse[i]);
    }
    return moot_hash_mix(hash, effect->fetch.range_limit);
}

static uint64_t mix_ingest(uint64_t hash, const struct moot_effect *effect)
{
    hash = moot_hash_mix(hash, effect->ingest.step);
    switch (effect->ingest.step) {
    case MOOT_INGEST_BEGIN:
        for (uint32_t i = 0; i < effect->ingest.range_count; i++) {
            hash = mix_range(hash, &effect->ingest.ranges[i]);
        }
        break;
    case MOOT_INGEST_ADD:
        hash = moot_hash64(effect->ingest.chunk, hash);
        break;
    case MOOT_INGEST_COMMIT:
        if (effect->ingest.extra != NULL) {
            hash = mix_batch(hash, effect->ingest.extra);
        }
        break;
    case MOOT_INGEST_ABORT:
        break;
    }
    return hash;
}

static uint64_t mix_long_read(uint64_t hash, const struct moot_effect *effect)
{
    const struct moot_long_read *read = &effect->long_read;
    hash = moot_hash_mix(hash, read->pin);
    hash = moot_hash_mix(hash, read->group);
    hash = moot_hash_mix(hash, read->now_ms);
    hash = moot_hash_mix(hash, read->seed);
    hash = moot_hash_mix(hash, read->replies_max);
    hash = moot_hash_mix(hash, read->rest);
    for (uint32_t i = 0; i < read->item_count; i++) {
        hash = moot_hash_mix(hash, read->items[i]);
    }
    return moot_hash64(read->batch, hash);
}

static uint64_t mix_send(uint64_t hash, const struct moot_effect *effect)
{
    hash = moot_hash_mix(hash, effect->send.node);
    hash = moot_hash_mix(hash, effect->send.urgent);
    hash = moot_hash_mix(hash, effect->send.after);
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        hash = moot_hash64(effect->send.parts[i].bytes, hash);
    }
    return hash;
}

static uint64_t mix_effect(uint64_t hash, const struct moot_effect *effect)
{
    hash = moot_hash_mix(hash, effect->ticket);
    hash = moot_hash_mix(hash, (uint64_t)(uint32_t)effect->status);
    switch (effect->kind) {
    case MOOT_EFFECT_JOURNAL:
        return mix_journal(hash, effect);
    case MOOT_EFFECT_STORE_WRITE:
        return mix_batch(hash, effect->batch);
    case MOOT_EFFECT_FETCH:
        return mix_fetch(hash, effect);
    case MOOT_EFFECT_PIN_READ:
        hash = moot_hash_mix(hash, effect->pin_read.pin);
        hash = moot_hash_mix(hash, effect->pin_read.bytes_max);
        return mix_range(hash, &effect->pin_read.range);
    case MOOT_EFFECT_INGEST:
        return mix_ingest(hash, effect);
    case MOOT_EFFECT_LONG_READ:
        return mix_long_read(hash, effect);
    case MOOT_EFFECT_SEND:
        return mix_send(hash, effect);
    case MOOT_EFFECT_PEER:
        return moot_hash64(effect->peer.address, moot_hash_mix(hash, effect->peer.node));
    case MOOT_EFFECT_REPLY:
    case MOOT_EFFECT_CLIENT_KEEP:
        return moot_hash64(effect->client.bytes, moot_hash_mix(hash, effect->client.connection));
    case MOOT_EFFECT_CLIENT_PAUSE:
        hash = moot_hash_mix(hash, effect->client.on);
        return moot_hash_mix(hash, effect->client.connection);
    case MOOT_EFFECT_CLIENT_CLOSE:
        return moot_hash_mix(hash, effect->client.connection);
    case MOOT_EFFECT_LOG:
    case MOOT_EFFECT_STOP:
        return moot_hash64(effect->log.text, hash);
    default:
        return hash;
    }
}

void moot_replay_digest(const struct moot_effects *effects, uint64_t turn,
                        struct moot_replay_effects *out)
{
    *out = (struct moot_replay_effects){.turn = turn, .deadline_ns = effects->deadline.ns};
    uint64_t hashes[MOOT_EFFECT_KINDS] = {0};
    for (size_t i = 0; i < effects->count; i++) {
        const struct moot_effect *effect = &effects->items[i];
        MOOT_ASSERT(effect->kind < MOOT_EFFECT_KINDS);
        if (!moot_replay_is_trace(effect)) {
            out->count[effect->kind]++;
            hashes[effect->kind] = mix_effect(hashes[effect->kind], effect);
            out->order = moot_hash_mix(out->order, effect->kind);
        }
    }
    for (uint32_t kind = 0; kind < MOOT_EFFECT_KINDS; kind++) {
        out->hash[kind] = (uint32_t)(hashes[kind] ^ hashes[kind] >> 32);
    }
}

bool moot_replay_effects_equal(const struct moot_replay_effects *left,
                               const struct moot_replay_effects *right)
{
    return left->turn == right->turn && left->deadline_ns == right->deadline_ns &&
           left->order == right->order &&
           memcmp(left->count, right->count, sizeof(left->count)) == 0 &&
           memcmp(left->hash, right->hash, sizeof(left->hash)) == 0;
}
