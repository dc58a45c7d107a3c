#include "replay/player.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/status.h"
#include "replay/question.h"

enum leap { LEAP_NONE, LEAP_DIFFERS, LEAP_ENDED };

struct player {
    struct moot_disk disk; /* Must be first: see player_of. */
    struct moot_store store;
    struct moot_replay_stream *stream;
    const struct moot_player_calls *calls;
    struct moot_player_result *result;
    struct moot_node *node;
    struct moot_instant begun;
    uint64_t turn; /* Under way; 0: opening. */
    bool trace, inside;
    struct moot_arena arena; /* Of a turn. */
    jmp_buf out;             /* From within the brain, which is then abandoned. */
};

static const char *const EFFECTS[MOOT_EFFECT_KINDS] = {
    [MOOT_EFFECT_JOURNAL] = "journal writes",
    [MOOT_EFFECT_STORE_WRITE] = "store writes",
    [MOOT_EFFECT_FLUSH] = "flushes",
    [MOOT_EFFECT_FETCH] = "fetches",
    [MOOT_EFFECT_PIN] = "pins",
    [MOOT_EFFECT_UNPIN] = "unpins",
    [MOOT_EFFECT_PIN_READ] = "pin reads",
    [MOOT_EFFECT_INGEST] = "ingest steps",
    [MOOT_EFFECT_LONG_READ] = "long reads",
    [MOOT_EFFECT_SEND] = "messages to peers",
    [MOOT_EFFECT_PEER] = "peer addresses",
    [MOOT_EFFECT_REPLY] = "replies",
    [MOOT_EFFECT_CLIENT_PAUSE] = "client pauses",
    [MOOT_EFFECT_CLIENT_CLOSE] = "client closes",
    [MOOT_EFFECT_LOG] = "log lines",
    [MOOT_EFFECT_STOP] = "stops",
    [MOOT_EFFECT_CLIENT_KEEP] = "clients kept",
};

__attribute__((format(printf, 2, 3))) static void differs(struct player *player, const char *format,
                                                          ...)
{
    struct moot_player_result *result = player->result;
    if (!result->differs) {
        va_list list;
        va_start(list, format);
        vsnprintf(result->why, sizeof(result->why), format, list);
        va_end(list);
        result->differs = true;
        result->turn = player->turn;
    }
}

/* ---- answers ---- */

/* The recorded answer to this question; leaps out of the brain when there is none. */
static struct moot_replay_answer answer(struct player *player, enum moot_replay_call call,
                                        uint64_t question)
{
    struct moot_replay_record record;
    MOOT_ASSERT(player->inside);
    if (!moot_replay_stream_next(player->stream, &record)) {
        longjmp(player->out, LEAP_ENDED);
    }
    if (record.kind != MOOT_REPLAY_ANSWER) {
        differs(player, "the replay asks more than was recorded: %s", moot_replay_call_text(call));
        longjmp(player->out, LEAP_DIFFERS);
    }
    if (record.answer.call != call || record.answer.question != (uint32_t)question) {
        differs(player, "the replay asks %s, the recording has %s%s", moot_replay_call_text(call),
                moot_replay_call_text(record.answer.call),
                record.answer.call == call ? " of something else" : "");
        longjmp(player->out, LEAP_DIFFERS);
    }
    return record.answer;
}

static struct player *player_of(struct moot_disk *disk) { return (struct player *)disk; }

static int disk_create(struct moot_disk *disk, const char *name, uint64_t size)
{
    return answer(player_of(disk), MOOT_REPLAY_DISK_CREATE, replay_ask_file(name, size, 0)).status;
}

static int disk_remove(struct moot_disk *disk, const char *name)
{
    return answer(player_of(disk), MOOT_REPLAY_DISK_REMOVE, replay_ask_file(name, 0, 0)).status;
}

static int disk_rename(struct moot_disk *disk, const char *from, const char *to)
{
    return answer(player_of(disk), MOOT_REPLAY_DISK_RENAME, replay_ask_names(from, to)).status;
}

/* What was recorded is of the wrong size: a malformed recording, whatever its checksums say. */
static void must_have(struct player *player, bool right)
{
    if (!right) {
        differs(player, "an answer in the recording has the wrong size");
        longjmp(player->out, LEAP_DIFFERS);
    }
}

static int disk_size(struct moot_disk *disk, const char *name, uint64_t *size)
{
    struct player *player = player_of(disk);
    struct moot_replay_answer got =
        answer(player, MOOT_REPLAY_DISK_SIZE, replay_ask_file(name, 0, 0));
    must_have(player, got.a.size == 8);
    *size = moot_load_le64(got.a.data);
    return got.status;
}

static int disk_read(struct moot_disk *disk, const char *name, uint64_t offset, void *out,
                     size_t size)
{
    struct player *player = player_of(disk);
    struct moot_replay_answer got =
        answer(player, MOOT_REPLAY_DISK_READ, replay_ask_file(name, offset, size));
    must_have(player, got.a.size == 0 || (got.status == 0 && got.a.size == size));
    if (got.a.size > 0) {
        memcpy(out, got.a.data, size);
    } else if (got.status == 0) {
        memset(out, 0, size);
    }
    return got.status;
}

static int disk_write(struct moot_disk *disk, const char *name, uint64_t offset, const void *bytes,
                      size_t size)
{
    uint64_t question =
        replay_ask_bytes(replay_ask_file(name, offset, size), moot_slice_make(bytes, size));
    return answer(player_of(disk), MOOT_REPLAY_DISK_WRITE, question).status;
}

static int disk_list(struct moot_disk *disk, void (*each)(void *context, const char *name),
                     void *context)
{
    struct player *player = player_of(disk);
    struct moot_replay_answer got = answer(player, MOOT_REPLAY_DISK_LIST, 0);
    must_have(player, got.a.size == 0 || got.a.data[got.a.size - 1] == '\0');
    struct moot_slice names = moot_arena_copy(&player->arena, got.a);
    for (size_t at = 0; at < names.size; at += strlen((const char *)names.data + at) + 1) {
        each(context, (const char *)names.data + at);
    }
    return got.status;
}

static const struct moot_disk_ops DISK = {
    .create = disk_create,
    .remove = disk_remove,
    .rename = disk_rename,
    .size = disk_size,
    .read = disk_read,
    .write = disk_write,
    .list = disk_list,
};

struct moot_store_iterator {
    struct player *player;
    struct moot_buffer key, value;
};

static struct player *player_in(struct moot_store *store)
{
    return (struct player *)((char *)store - offsetof(struct player, store));
}

static int store_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                     struct moot_slice *value)
{
    struct moot_replay_answer got =
        answer(player_in(store), MOOT_REPLAY_STORE_GET, replay_ask_bytes(0, key));
    if (got.status == 0) {
        *value = moot_arena_copy(arena, got.a);
    }
    return got.status;
}

static int store_fetch(struct moot_store *store, struct moot_slice key)
{
    return answer(player_in(store), MOOT_REPLAY_STORE_FETCH, replay_ask_bytes(0, key)).status;
}

static int store_iterate(struct moot_store *store, struct moot_store_pin *pin,
                         struct moot_range range, bool reverse, struct moot_store_iterator **out)
{
    MOOT_ASSERT(pin == NULL);
    struct player *player = player_in(store);
    int status =
        answer(player, MOOT_REPLAY_STORE_ITERATE, replay_ask_range(&range, reverse)).status;
    if (status == 0) {
        *out = moot_alloc_zero(sizeof(**out));
        (*out)->player = player;
        moot_buffer_init(&(*out)->key);
        moot_buffer_init(&(*out)->value);
    }
    return status;
}

static int store_entry(struct moot_store_iterator *iterator, struct moot_slice *key,
                       struct moot_slice *value)
{
    struct moot_replay_answer got = answer(iterator->player, MOOT_REPLAY_STORE_ENTRY, 0);
    if (got.status == 0) {
        moot_buffer_reset(&iterator->key, SIZE_MAX);
        moot_buffer_reset(&iterator->value, SIZE_MAX);
        moot_buffer_append_slice(&iterator->key, got.a);
        moot_buffer_append_slice(&iterator->value, got.b);
        *key = moot_buffer_slice(&iterator->key);
        *value = moot_buffer_slice(&iterator->value);
    }
    return got.status;
}

static int store_next(struct moot_store_iterator *iterator)
{
    return answer(iterator->player, MOOT_REPLAY_STORE_NEXT, 0).status;
}

static void store_iterate_end(struct moot_store_iterator *iterator)
{
    moot_buffer_deinit(&iterator->key);
    moot_buffer_deinit(&iterator->value);
    moot_free(iterator);
}

static int store_fetch_range(struct moot_store *store, struct moot_range range, bool reverse,
                             uint64_t limit)
{
    (void)limit;
    return answer(player_in(store), MOOT_REPLAY_STORE_FETCH_RANGE,
                  replay_ask_range(&range, reverse))
        .status;
}

static int store_write(struct moot_store *store, const struct moot_batch *batch)
{
    return answer(player_in(store), MOOT_REPLAY_STORE_WRITE,
                  replay_ask_bytes(0, moot_buffer_slice(&batch->bytes)))
        .status;
}

static int store_flush(struct moot_store *store)
{
    return answer(player_in(store), MOOT_REPLAY_STORE_FLUSH, 0).status;
}

static const struct moot_store_ops STORE = {
    .get = store_get,
    .fetch = store_fetch,
    .iterate = store_iterate,
    .entry = store_entry,
    .next = store_next,
    .iterate_end = store_iterate_end,
    .fetch_range = store_fetch_range,
    .write = store_write,
    .flush = store_flush,
};

static void mac(void *context, struct moot_slice key, struct moot_slice message,
                uint8_t out[MOOT_MAC_BYTES])
{
    (void)key; /* The secret is not recorded. */
    struct player *player = context;
    struct moot_replay_answer got = answer(player, MOOT_REPLAY_MAC, replay_ask_bytes(0, message));
    must_have(player, got.a.size == MOOT_MAC_BYTES);
    memcpy(out, got.a.data, MOOT_MAC_BYTES);
}

/* ---- opening ---- */

static void close_node(struct player *player)
{
    if (player->node != NULL) {
        moot_node_close(player->node);
        player->node = NULL;
    }
}

/* Opens a brain as `open` says, inside of setjmp. */
static int open_inside(struct player *player, const struct moot_replay_open *open,
                       const struct moot_identity *format)
{
    struct moot_node_options options = {
        .disk = &player->disk,
        .store = &player->store,
        .format = format,
        .now = open->now,
        .seed = open->seed,
        .journal = {open->segment_bytes, (uint32_t)open->segments_max},
        .election_ms = open->election_ms,
        .heartbeat_ms = open->heartbeat_ms,
        .flush_bytes = open->flush_bytes,
        .log_memory_bytes = open->log_memory_bytes,
        .recent_bytes = open->recent_bytes,
        .feature_level = open->feature_level,
        .raft_trace = open->raft_trace || player->trace,
        .store_lost = open->store_lost,
    };
    if (open->has_mac) {
        options.admission =
            (struct moot_admission){MOOT_SLICE_LITERAL("not recorded"), {mac, player}};
    }
    char why[256];
    return moot_node_open(&options, &player->node, why);
}

static bool play_opened(struct player *player, int status)
{
    struct moot_replay_record record;
    if (!moot_replay_stream_next(player->stream, &record)) {
        return false;
    }
    if (record.kind != MOOT_REPLAY_OPENED || record.opened.status != status ||
        (status == 0 && record.opened.incarnation != moot_node_incarnation(player->node))) {
        differs(player, "the node opens otherwise than recorded");
        return false;
    }
    if (status == 0) {
        player->result->lives++;
        player->result->identity = *moot_node_identity(player->node);
    }
    return true;
}

static bool play_open(struct player *player, const struct moot_replay_open *recorded)
{
    struct moot_replay_open open = *recorded;
    struct moot_identity format;
    open.version = moot_arena_copy(&player->arena, open.version);
    open.format = moot_arena_copy(&player->arena, open.format);
    close_node(player);
    player->turn = 0;
    player->begun = open.now.instant;
    player->result->program = open.program;
    if (open.segments_max > MOOT_JOURNAL_SEGMENTS_MAX ||
        (open.has_format && moot_identity_decode(open.format, &format) != MOOT_OK)) {
        differs(player, "the options in the recording make no sense");
        return false;
    }
    int leap = setjmp(player->out);
    if (leap != LEAP_NONE) {
        player->inside = false;
        player->node = NULL; /* Abandoned half-way: its memory is lost. */
        return false;
    }
    player->inside = true;
    int status = open_inside(player, &open, open.has_format ? &format : NULL);
    player->inside = false;
    bool same = play_opened(player, status);
    if (same && status == 0 && player->calls->opened != NULL) {
        player->calls->opened(player->calls->context, &open, player->node);
    }
    return same;
}

/* ---- turns ---- */

static void compare(struct player *player, const struct moot_replay_effects *recorded,
                    const struct moot_replay_effects *replayed)
{
    char words[MOOT_PLAYER_WHY_BYTES / 2] = "";
    size_t size = 0;
    for (uint32_t kind = 0; kind < MOOT_EFFECT_KINDS && size < sizeof(words); kind++) {
        bool same_count = recorded->count[kind] == replayed->count[kind];
        if (!same_count) {
            size += (size_t)snprintf(words + size, sizeof(words) - size,
                                     "%s%s (recorded %llu, replayed %llu)", size == 0 ? "" : ", ",
                                     EFFECTS[kind], (unsigned long long)recorded->count[kind],
                                     (unsigned long long)replayed->count[kind]);
        } else if (recorded->hash[kind] != replayed->hash[kind]) {
            size += (size_t)snprintf(words + size, sizeof(words) - size, "%s%s (other contents)",
                                     size == 0 ? "" : ", ", EFFECTS[kind]);
        }
    }
    differs(player, "other effects: %s",
            size > 0                                         ? words
            : recorded->deadline_ns != replayed->deadline_ns ? "the deadline"
                                                             : "their order");
}

static void copy_turn(struct player *player, const struct moot_replay_record *record,
                      struct moot_player_turn *turn)
{
    moot_arena_reset(&player->arena);
    size_t count = record->turn.count;
    struct moot_input *inputs = moot_arena_alloc(&player->arena, count * sizeof(*inputs));
    for (size_t i = 0; i < count; i++) {
        inputs[i] = record->turn.inputs[i];
        inputs[i].bytes = moot_arena_copy(&player->arena, inputs[i].bytes);
    }
    *turn = (struct moot_player_turn){
        .number = record->turn.number,
        .now = record->turn.now,
        .age = moot_instant_since(record->turn.now.instant, player->begun),
        .inputs = inputs,
        .count = count};
}

/* The brain may assert what a driver guarantees; a recording guarantees nothing. */
static bool makes_sense(struct player *player, const struct moot_player_turn *turn)
{
    if (player->node == NULL || turn->number <= player->turn) {
        differs(player, "a turn in the recording comes before its node, or twice");
        return false;
    }
    return true;
}

static bool play_turn(struct player *player, const struct moot_replay_record *record)
{
    struct moot_player_turn turn;
    struct moot_effects effects;
    copy_turn(player, record, &turn);
    if (!makes_sense(player, &turn)) {
        return false;
    }
    player->turn = turn.number;
    player->result->age = turn.age;
    if (player->calls->before != NULL && !player->calls->before(player->calls->context, &turn)) {
        return false;
    }
    if (setjmp(player->out) != LEAP_NONE) {
        player->inside = false;
        player->node = NULL; /* Abandoned within its turn. */
        player->result->within_turn = !player->result->differs;
        return false;
    }
    player->inside = true;
    moot_node_turn(player->node, turn.inputs, turn.count, turn.now, &effects);
    player->inside = false;
    struct moot_replay_record then;
    if (!moot_replay_stream_next(player->stream, &then)) {
        player->result->within_turn = true;
        return false;
    }
    if (then.kind != MOOT_REPLAY_EFFECTS) {
        differs(player, "the replay asks less than was recorded");
        return false;
    }
    struct moot_replay_effects recorded = then.effects, replayed;
    moot_replay_digest(&effects, turn.number, &replayed);
    if (!moot_replay_effects_equal(&recorded, &replayed)) {
        compare(player, &recorded, &replayed);
    } else {
        player->result->turns++;
    }
    if (player->calls->after != NULL) {
        player->calls->after(player->calls->context, &turn, player->node, &effects);
    }
    return !player->result->differs;
}

#if defined(__SANITIZE_ADDRESS__)
/* A brain that is abandoned within its turn cannot be closed: nobody knows what its frames held. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:moot_player_run\n"; }
#endif

void moot_player_run(struct moot_replay_stream *stream, bool trace,
                     const struct moot_player_calls *calls, struct moot_player_result *result)
{
    struct player *player = moot_alloc_zero(sizeof(*player));
    player->disk.ops = &DISK;
    player->store.ops = &STORE;
    player->stream = stream;
    player->calls = calls;
    player->result = result;
    player->trace = trace;
    *result = (struct moot_player_result){0};
    moot_arena_init(&player->arena);
    struct moot_replay_record record;
    bool go_on = true;
    while (go_on && moot_replay_stream_next(stream, &record)) {
        switch (record.kind) {
        case MOOT_REPLAY_OPEN:
            go_on = play_open(player, &record.open);
            break;
        case MOOT_REPLAY_TURN:
            go_on = play_turn(player, &record);
            break;
        default:
            differs(player, "the replay asks less than was recorded");
            go_on = false;
        }
    }
    close_node(player);
    moot_arena_deinit(&player->arena);
    moot_free(player);
}
