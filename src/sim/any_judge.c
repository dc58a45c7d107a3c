/* What a client's keys may hold, and so what it may be told. See any.h. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/rule.h"
#include "database/execute/engine.h"
#include "sim/any.h"

_Static_assert((int)ANY_PENDINGS_MAX <= 32, "open is a mask of them");

enum { LATE_MS = 5 };
/* An expiry before this is a short one. */
#define SOON_MS (SIM_REFERENCE_NOW_MS + UINT64_C(1000000000))

/* ---- generations ---- */

/* Names with what a client may put there: blanks, line ends, marks of patterns, zeros. */
static void name_keys(struct any_generation *generation)
{
    static const struct moot_slice names[ANY_KEYS] = {
        MOOT_SLICE_LITERAL("s"),      MOOT_SLICE_LITERAL("string"), MOOT_SLICE_LITERAL("h"),
        MOOT_SLICE_LITERAL("ha\r\n"), MOOT_SLICE_LITERAL("l"),      MOOT_SLICE_LITERAL("[l]*?"),
        MOOT_SLICE_LITERAL(""),       MOOT_SLICE_LITERAL("\0\xff ")};
    for (uint32_t i = 0; i < ANY_KEYS; i++) {
        char *name = generation->names[i];
        int size = snprintf(name, ANY_KEY_BYTES, "%u:", generation->number);
        memcpy(name + size, names[i].data, names[i].size);
        generation->keys[i] = moot_slice_make(name, (size_t)size + names[i].size);
    }
}

static void candidate_free(struct any_candidate *candidate)
{
    sim_reference_free(candidate->reference);
    moot_buffer_deinit(&candidate->watches);
}

struct any_generation *any_generation_make(uint32_t number, uint8_t database,
                                           uint8_t database_count)
{
    struct any_generation *generation = moot_alloc_zero(sizeof(*generation));
    generation->number = number;
    generation->database = database;
    generation->database_count = database_count;
    generation->count = 1;
    generation->candidates[0].reference = sim_reference_make();
    moot_buffer_init(&generation->candidates[0].watches);
    name_keys(generation);
    return generation;
}

void any_generation_free(struct any_generation *generation)
{
    if (generation == NULL) {
        return;
    }
    for (uint32_t i = 0; i < generation->count; i++) {
        candidate_free(&generation->candidates[i]);
    }
    for (uint32_t i = 0; i < generation->pending_count; i++) {
        moot_buffer_deinit(&generation->pendings[i].item);
    }
    moot_free(generation);
}

static uint32_t open_of(const struct any_generation *generation)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < generation->count; i++) {
        open |= generation->candidates[i].open;
    }
    return open;
}

bool any_generation_in_doubt(const struct any_generation *generation)
{
    return generation->count > 1 || open_of(generation) != 0;
}

static uint32_t global_of(const struct any_generation *generation)
{
    uint32_t open = open_of(generation), global = 0;
    for (uint32_t i = 0; i < generation->pending_count; i++) {
        bool may_be = (open >> i & 1) != 0 || generation->is_lost;
        global |= may_be && generation->pendings[i].is_global ? UINT32_C(1) << i : 0;
    }
    return global;
}

bool any_generation_in_global_doubt(const struct any_generation *generation)
{
    return global_of(generation) != 0;
}

struct any_generation *any_generation_next(const struct any_generation *generation)
{
    struct any_generation *next = any_generation_make(generation->number + 1, generation->database,
                                                      generation->database_count);
    uint32_t global = global_of(generation);
    next->is_lost = next->is_haunted = generation->is_haunted;
    for (uint32_t i = 0; i < generation->pending_count; i++) {
        if ((global >> i & 1) != 0) {
            struct any_pending *pending = &next->pendings[next->pending_count];
            *pending = generation->pendings[i];
            moot_buffer_init(&pending->item);
            moot_buffer_append_slice(&pending->item,
                                     moot_buffer_slice(&generation->pendings[i].item));
            next->candidates[0].open |= UINT32_C(1) << next->pending_count++;
        }
    }
    return next;
}

void any_forget_watches(struct any_generation *generation)
{
    for (uint32_t i = 0; i < generation->count; i++) {
        moot_buffer_reset(&generation->candidates[i].watches, 256);
    }
}

/* ---- items ---- */

enum { WATCH_STAMP_BYTES = 8 + 4 };

static void make_item(const struct any_meaning *meaning, const struct moot_buffer *watches,
                      struct moot_buffer *item)
{
    uint8_t flags = meaning->protocol == 3 ? MOOT_ITEM_RESP3 : 0;
    flags |= meaning->kind == ANY_EXEC ? MOOT_ITEM_EXEC : 0;
    flags |= meaning->kind == ANY_WATCH ? MOOT_ITEM_STAMP : 0;
    moot_buffer_reset(item, 64 * 1024);
    moot_put_u8(item, flags);
    moot_put_u8(item, meaning->database);
    if (meaning->kind == ANY_EXEC) {
        uint64_t count = 0;
        struct moot_reader reader = {0};
        if (watches != NULL) {
            reader = moot_reader_make(moot_buffer_slice(watches));
        }
        for (; watches != NULL && moot_reader_left(&reader) > 0; count++) {
            (void)moot_get_u8(&reader);
            (void)moot_get_bytes(&reader);
            (void)moot_get_raw(&reader, WATCH_STAMP_BYTES);
        }
        moot_put_varint(item, count);
        if (watches != NULL) {
            moot_buffer_append_slice(item, moot_buffer_slice(watches));
        }
    }
    moot_buffer_append_slice(item, moot_buffer_slice(&meaning->said));
}

void any_doubt(struct any_generation *generation, const struct any_meaning *meaning,
               uint64_t connection)
{
    bool matters = meaning->writes && meaning->kind != ANY_WATCH;
    if (!matters || (generation->is_lost && !meaning->is_global)) {
        return;
    }
    /* Who waits, and is gone, may be given an element, which comes back: twice as much to doubt. */
    uint32_t room = meaning->is_global ? ANY_PENDINGS_MAX : ANY_PENDINGS_MAX - ANY_GLOBAL_ROOM;
    if (meaning->may_wait || generation->pending_count >= room) {
        generation->is_lost = true;
        generation->is_haunted = generation->is_haunted || meaning->is_global;
        return;
    }
    struct any_pending *pending = &generation->pendings[generation->pending_count];
    *pending = (struct any_pending){
        .touches = meaning->touches, .connection = connection, .is_global = meaning->is_global};
    moot_buffer_init(&pending->item);
    make_item(meaning, NULL, &pending->item);
    for (uint32_t i = 0; i < generation->count; i++) {
        generation->candidates[i].open |= UINT32_C(1) << generation->pending_count;
    }
    generation->pending_count++;
}

/* ---- kinds of answers ---- */

static struct moot_slice behind(struct moot_slice bytes, size_t at)
{
    return (struct moot_slice){bytes.data + at, bytes.size - at};
}

/* The first value of an answer, and where it ends. */
static struct moot_slice first_of(struct moot_slice bytes)
{
    size_t size = 0;
    int status = bytes.size == 0 ? -1 : moot_resp_skip(bytes, &size);
    return (struct moot_slice){bytes.data, status == 0 ? size : 0};
}

static struct moot_resp_value head_of(struct moot_slice bytes, size_t *at)
{
    struct moot_resp_value head = {.type = MOOT_RESP_ERROR};
    *at = bytes.size;
    if (bytes.size == 0 || moot_resp_read(bytes, &head, at) != 0) {
        head = (struct moot_resp_value){.type = MOOT_RESP_ERROR};
    }
    return head;
}

bool any_is_alike(struct moot_slice a, struct moot_slice b)
{
    size_t at;
    struct moot_resp_value one = head_of(a, &at), other = head_of(b, &at);
    bool counts = one.type == MOOT_RESP_ARRAY || one.type == MOOT_RESP_MAP;
    return one.type == other.type && (!counts || one.integer == other.integer);
}

/* What TTL and others may say of a short expiry: a time soon, or from now on, in either unit; as
 * clocks say that may be off by years. */
static bool is_soon(int64_t time)
{
    const int64_t now_s = (int64_t)(SIM_REFERENCE_NOW_MS / 1000), far_s = 400000000;
    return time < far_s || (time > now_s - far_s && time < now_s + far_s) ||
           (time > (now_s - far_s) * 1000 && time < (now_s + far_s) * 1000);
}

/* Times of expiry: years apart are different ones (sim/grammar.h), others are not. */
static bool is_near(struct moot_slice a, struct moot_slice b)
{
    const uint64_t far_s = UINT64_C(1000000000);
    size_t at;
    struct moot_resp_value one = head_of(a, &at), other = head_of(b, &at);
    if (one.type != MOOT_RESP_INTEGER || other.type != MOOT_RESP_INTEGER) {
        return moot_slice_equal(a, b);
    }
    bool are_soon = one.integer >= 0 && other.integer >= 0 && is_soon(one.integer) &&
                    (is_soon(other.integer) || other.integer < (int64_t)far_s * 400);
    if (are_soon || one.integer < (int64_t)far_s || other.integer < (int64_t)far_s) {
        return are_soon || moot_slice_equal(a, b);
    }
    uint64_t apart = one.integer > other.integer ? (uint64_t)(one.integer - other.integer)
                                                 : (uint64_t)(other.integer - one.integer);
    bool in_ms = one.integer >= (int64_t)(far_s * 1000);
    return apart <= (in_ms ? far_s * 1000 / 2 : far_s / 2);
}

/* The answer of a question to the reference. */
static bool holds(struct sim_reference *reference, uint8_t database, struct moot_slice *args,
                  uint32_t argc)
{
    struct moot_buffer reply;
    moot_buffer_init(&reply);
    sim_reference_ask(reference, database, args, argc, &reply);
    bool yes = moot_slice_equal(moot_buffer_slice(&reply), MOOT_SLICE_LITERAL(":1\r\n"));
    moot_buffer_deinit(&reply);
    return yes;
}

/* What an answer is compared by. */
struct look {
    const struct any_generation *generation;
    struct sim_reference *reference; /* After the command; NULL within EXEC. */
    uint8_t database;
    const struct moot_slice *args;
    uint32_t argc;
};

static bool is_of_others(const struct look *look, struct moot_slice key)
{
    char mine[ANY_KEY_BYTES];
    int size = snprintf(mine, sizeof(mine), "%u:", look->generation->number);
    return !moot_slice_starts_with(key, moot_slice_make(mine, (size_t)size));
}

static bool is_random_key(const struct look *look, struct moot_slice expected,
                          struct moot_slice reply)
{
    size_t at;
    struct moot_resp_value head = head_of(reply, &at);
    struct moot_slice exists[] = {MOOT_SLICE_LITERAL("EXISTS"), head.text};
    bool others = look->generation->number > 0;
    if (head.type != MOOT_RESP_BULK) {
        return head.type == MOOT_RESP_NULL && moot_slice_equal(expected, reply);
    }
    return (others && is_of_others(look, head.text)) || look->reference == NULL ||
           holds(look->reference, look->database, exists, 2);
}

/* Those of this generation, in the same order. */
static bool are_same_keys(const struct look *look, struct moot_slice expected,
                          struct moot_slice reply)
{
    size_t at, end;
    struct moot_resp_value wanted = head_of(expected, &at), got = head_of(reply, &end);
    if (wanted.type != MOOT_RESP_ARRAY || got.type != MOOT_RESP_ARRAY) {
        return moot_slice_equal(expected, reply);
    }
    expected = behind(expected, at);
    reply = behind(reply, end);
    for (int64_t left = got.integer; left > 0; left--) {
        struct moot_resp_value key = head_of(reply, &end);
        reply = behind(reply, end);
        if (look->generation->number > 0 && is_of_others(look, key.text)) {
            continue;
        }
        struct moot_resp_value next = head_of(expected, &at);
        if (expected.size == 0 || !moot_slice_equal(next.text, key.text)) {
            return false;
        }
        expected = behind(expected, at);
    }
    return expected.size == 0;
}

static bool is_field(const struct look *look, struct moot_slice field)
{
    struct moot_slice exists[] = {MOOT_SLICE_LITERAL("HEXISTS"), look->args[1], field};
    return look->reference == NULL || holds(look->reference, look->database, exists, 3);
}

/* Of HRANDFIELD: as many, and each of them is a field. */
static bool are_fields(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    size_t at;
    struct moot_resp_value head = head_of(reply, &at);
    bool with_values = look->argc > 3;
    if (head.type == MOOT_RESP_ERROR || head.type == MOOT_RESP_NULL) {
        return moot_slice_equal(expected, reply);
    }
    if (!any_is_alike(expected, reply)) {
        return false;
    }
    if (head.type == MOOT_RESP_BULK) {
        return is_field(look, head.text);
    }
    reply = behind(reply, at);
    bool good = true, is_value = false;
    while (reply.size > 0 && good) {
        head = head_of(reply, &at);
        reply = behind(reply, at);
        if (head.type == MOOT_RESP_ARRAY) { /* RESP3: a pair. */
            good = head.integer == 2;
            continue;
        }
        good = is_value || is_field(look, head.text);
        is_value = with_values && !is_value;
    }
    return good;
}

/* A number that other keys may make larger. */
static bool is_count(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    size_t at;
    struct moot_resp_value wanted = head_of(expected, &at), got = head_of(reply, &at);
    bool numbers = wanted.type == MOOT_RESP_INTEGER && got.type == MOOT_RESP_INTEGER;
    return look->generation->number > 0 && numbers ? got.integer >= wanted.integer
                                                   : moot_slice_equal(expected, reply);
}

static bool is_any(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    (void)look;
    return any_is_alike(expected, reply);
}

static bool is_time(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    (void)look;
    return is_near(expected, reply);
}

/* Where others' keys lie between, a part of the walk is another part. */
static bool is_part(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    return look->generation->number > 0 ? any_is_alike(expected, reply)
                                        : moot_slice_equal(expected, reply);
}

static bool is_about(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    bool idle = look->argc > 1 && moot_slice_equal_nocase(look->args[1], "idletime");
    return idle ? any_is_alike(expected, reply) : moot_slice_equal(expected, reply);
}

static const struct {
    const char *name;
    bool (*fits)(const struct look *look, struct moot_slice expected, struct moot_slice reply);
} RULES[] = {
    {"ttl", is_time},
    {"pttl", is_time},
    {"expiretime", is_time},
    {"pexpiretime", is_time},
    {"keys", are_same_keys},
    {"dbsize", is_count},
    {"randomkey", is_random_key},
    {"hrandfield", are_fields},
    {"scan", is_part},
    {"object", is_about},
    {"time", is_any},
};

static bool fits(const struct look *look, struct moot_slice expected, struct moot_slice reply)
{
    for (size_t i = 0; i < MOOT_ARRAY_LEN(RULES); i++) {
        if (moot_slice_equal_nocase(look->args[0], RULES[i].name)) {
            return RULES[i].fits(look, expected, reply);
        }
    }
    return moot_slice_equal(expected, reply);
}

/* One answer for each command. */
static bool exec_fits(const struct any_generation *generation, const struct any_meaning *meaning,
                      struct moot_slice expected, struct moot_slice reply)
{
    struct moot_reader bodies = moot_reader_make(moot_buffer_slice(&meaning->said));
    struct moot_arena arena;
    size_t at, end;
    struct moot_resp_value wanted = head_of(expected, &at), got = head_of(reply, &end);
    uint64_t count = moot_get_varint(&bodies);
    if (wanted.type != MOOT_RESP_ARRAY || got.type != MOOT_RESP_ARRAY ||
        got.integer != wanted.integer || got.integer != (int64_t)count) {
        return moot_slice_equal(expected, reply);
    }
    expected = behind(expected, at);
    reply = behind(reply, end);
    bool good = true;
    moot_arena_init(&arena);
    for (uint64_t i = 0; i < count && good; i++) {
        struct look look = {.generation = generation};
        struct moot_slice *args;
        bool whole = moot_item_args(&bodies, &arena, &args, &look.argc);
        MOOT_ASSERT(whole);
        look.args = args;
        struct moot_slice one = first_of(expected), other = first_of(reply);
        good = fits(&look, one, other);
        expected = behind(expected, one.size);
        reply = behind(reply, other.size);
    }
    moot_arena_deinit(&arena);
    return good;
}

/* ---- candidates ---- */

static void drop(struct any_generation *generation, uint32_t at)
{
    candidate_free(&generation->candidates[at]);
    generation->candidates[at] = generation->candidates[--generation->count];
}

static void lose(struct any_generation *generation)
{
    MOOT_SOMETIMES(true, "what a client's keys hold was too much in doubt");
    generation->is_lost = true;
}

/* A copy; NULL: there are too many. */
static struct any_candidate *add_candidate(struct any_generation *generation, uint32_t from)
{
    if (generation->count == ANY_CANDIDATES_MAX) {
        lose(generation);
        return NULL;
    }
    struct any_candidate *candidate = &generation->candidates[generation->count++];
    const struct any_candidate *before = &generation->candidates[from];
    *candidate = (struct any_candidate){.reference = sim_reference_copy(before->reference),
                                        .open = before->open,
                                        .contents = before->contents};
    moot_buffer_init(&candidate->watches);
    moot_buffer_append_slice(&candidate->watches, moot_buffer_slice(&before->watches));
    return candidate;
}

/* Another candidate, in which the pending command has been done: then those of its connection that
 * were before it, and touch the same, are done or never will be. */
static void add_done(struct any_generation *generation, uint32_t from, uint32_t pending)
{
    const struct any_pending *done = &generation->pendings[pending];
    struct any_candidate *candidate = add_candidate(generation, from);
    struct moot_buffer reply;
    if (candidate == NULL) {
        return;
    }
    candidate->open &= ~(UINT32_C(1) << pending);
    for (uint32_t i = 0; i < pending; i++) {
        if (generation->pendings[i].connection == done->connection &&
            (generation->pendings[i].touches & done->touches) != 0) {
            candidate->open &= ~(UINT32_C(1) << i);
        }
    }
    moot_buffer_init(&reply);
    sim_reference_run(candidate->reference, moot_buffer_slice(&done->item), &reply);
    candidate->contents = 0;
    moot_buffer_deinit(&reply);
}

/* Those that may matter to a command that touches these keys, or that comes from the same
 * connection; and to them, and so on. All others can be done later just as well. */
static uint32_t find_related(const struct any_generation *generation, uint64_t touched,
                             uint64_t connection)
{
    uint32_t related = 0, before;
    do {
        before = related;
        for (uint32_t p = 0; p < generation->pending_count; p++) {
            const struct any_pending *pending = &generation->pendings[p];
            if ((pending->touches & touched) != 0 || pending->connection == connection) {
                related |= UINT32_C(1) << p;
                touched |= pending->touches;
            }
        }
    } while (related != before);
    return related;
}

/* Whatever may be done before a command, in every order that may be. */
static void expand(struct any_generation *generation, uint64_t touched, uint64_t connection)
{
    uint32_t related = find_related(generation, touched, connection) & open_of(generation);
    for (uint32_t i = 0; i < generation->count && related != 0 && !generation->is_lost; i++) {
        uint32_t may_come = generation->candidates[i].open & related;
        for (uint32_t p = 0; p < generation->pending_count && !generation->is_lost; p++) {
            if ((may_come >> p & 1) != 0) {
                add_done(generation, i, p);
            }
        }
    }
    for (uint32_t i = 0; i < generation->count; i++) {
        for (uint32_t p = 0; p < generation->pending_count; p++) {
            if (generation->pendings[p].connection == connection) {
                generation->candidates[i].open &= ~(UINT32_C(1) << p);
            }
        }
    }
}

/* ---- expiry ---- */

/* When the key of this candidate expires soon; 0: not soon, or never. */
static uint64_t soon_of(const struct any_candidate *candidate, uint8_t database,
                        struct moot_slice key)
{
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("PEXPIRETIME"), key};
    struct moot_buffer reply;
    size_t at;
    moot_buffer_init(&reply);
    sim_reference_ask(candidate->reference, database, args, 2, &reply);
    struct moot_resp_value head = head_of(moot_buffer_slice(&reply), &at);
    moot_buffer_deinit(&reply);
    bool is_soon = head.integer > 0 && (uint64_t)head.integer < SOON_MS;
    return is_soon ? (uint64_t)head.integer : 0;
}

static bool may_be_gone(const struct any_generation *generation, uint64_t at_ms, uint64_t wall_ms)
{
    MOOT_ASSERT(at_ms > SIM_REFERENCE_NOW_MS);
    uint64_t lives_ms = at_ms - SIM_REFERENCE_NOW_MS;
    bool is_timed = lives_ms % 2 == 1 && lives_ms < SIM_GRAMMAR_SHORT_MAX_MS;
    return !is_timed || generation->drawn_ms[lives_ms] + lives_ms <= wall_ms + LATE_MS;
}

/* Beside every candidate in which the key may be gone by now, one in which it is. */
static void expire_key(struct any_generation *generation, uint8_t database, struct moot_slice key,
                       uint64_t wall_ms)
{
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("DEL"), key};
    struct moot_buffer reply;
    uint32_t count = generation->count;
    moot_buffer_init(&reply);
    for (uint32_t i = 0; i < count && !generation->is_lost; i++) {
        uint64_t at_ms = soon_of(&generation->candidates[i], database, key);
        if (at_ms != 0 && may_be_gone(generation, at_ms, wall_ms)) {
            struct any_candidate *gone = add_candidate(generation, i);
            if (gone != NULL) {
                sim_reference_ask(gone->reference, database, args, 2, &reply);
                gone->contents = 0;
            }
        }
    }
    moot_buffer_deinit(&reply);
}

static void expire(struct any_generation *generation, uint64_t touched, uint64_t wall_ms)
{
    for (uint32_t k = 0; k < ANY_KEYS && generation->has_shorts; k++) {
        for (uint8_t d = 0; d < generation->database_count; d++) {
            if ((any_touch(generation->keys[k]) & touched) != 0) {
                expire_key(generation, generation->database + d, generation->keys[k], wall_ms);
            }
        }
    }
}

static bool has_soon(const struct any_generation *generation)
{
    bool found = false;
    for (uint32_t i = 0; i < generation->count && generation->has_shorts; i++) {
        for (uint32_t k = 0; k < ANY_KEYS * generation->database_count && !found; k++) {
            found =
                soon_of(&generation->candidates[i], generation->database + (uint8_t)(k / ANY_KEYS),
                        generation->keys[k % ANY_KEYS]) != 0;
        }
    }
    return found;
}

/* Of those that cannot be told apart one is enough. */
static void merge(struct any_generation *generation)
{
    for (uint32_t i = 0; i < generation->count && generation->count > 1; i++) {
        struct any_candidate *candidate = &generation->candidates[i];
        if (candidate->contents == 0) {
            candidate->contents =
                1 | sim_reference_contents(candidate->reference, generation->database,
                                           generation->database_count);
        }
        for (uint32_t j = 0; j < i; j++) {
            const struct any_candidate *other = &generation->candidates[j];
            if (candidate->contents == other->contents && candidate->open == other->open &&
                candidate->watches.size == 0) {
                drop(generation, i--);
                break;
            }
        }
    }
}

/* WATCH: the stamps are kept. */
static void keep_stamps(struct any_candidate *candidate, const struct any_meaning *meaning,
                        struct moot_slice stamps)
{
    for (uint32_t i = 1; i < meaning->argc; i++) {
        moot_put_u8(&candidate->watches, meaning->database);
        moot_put_bytes(&candidate->watches, meaning->args[i]);
        moot_buffer_append(&candidate->watches, stamps.data + (i - 1) * WATCH_STAMP_BYTES,
                           WATCH_STAMP_BYTES);
    }
}

/* Runs it; true when the candidate would have answered so. */
static bool would_say(struct any_generation *generation, struct any_candidate *candidate,
                      const struct any_meaning *meaning, const struct any_answer *answer,
                      struct moot_buffer *expected)
{
    struct moot_buffer item;
    moot_buffer_init(&item);
    make_item(meaning, meaning->kind == ANY_EXEC ? &candidate->watches : NULL, &item);
    sim_reference_run(candidate->reference, moot_buffer_slice(&item), expected);
    candidate->contents = meaning->writes ? 0 : candidate->contents;
    moot_buffer_deinit(&item);
    struct look look = {generation, candidate->reference, meaning->database, meaning->args,
                        meaning->argc};
    if (meaning->kind == ANY_WATCH) {
        keep_stamps(candidate, meaning, moot_buffer_slice(expected));
        moot_buffer_reset(expected, 4096);
        moot_buffer_append_text(expected, "+OK\r\n");
    } else if (expected->size == 0) { /* It waits, and there is nobody who would push. */
        struct moot_resp out = {expected, meaning->protocol};
        moot_resp_null_array(&out);
    }
    if (!answer->is_known) {
        return true;
    }
    return meaning->kind == ANY_EXEC
               ? exec_fits(generation, meaning, moot_buffer_slice(expected), answer->reply)
               : fits(&look, moot_buffer_slice(expected), answer->reply);
}

/* Whatever may have been done before the command, to its keys and to those that have to do with
 * them. A key may be gone before a pending command is done, or after it. */
static void look_ahead(struct any_generation *generation, uint64_t touched,
                       const struct any_answer *answer)
{
    uint32_t related = find_related(generation, touched, answer->connection) & open_of(generation);
    uint64_t all = touched;
    for (uint32_t p = 0; p < generation->pending_count; p++) {
        all |= (related >> p & 1) != 0 ? generation->pendings[p].touches : 0;
    }
    if (related != 0) {
        expire(generation, all, answer->wall_ms);
    }
    expand(generation, touched, answer->connection);
    if (!generation->is_lost) {
        expire(generation, all, answer->wall_ms);
    }
}

/* What walks over all keys leaves out those that are past their expiry, and they stay: another
 * leader may see them still. Nothing is learned from it. */
static bool is_unclear(const struct any_generation *generation, const struct any_meaning *meaning)
{
    return meaning->touches == ANY_TOUCHES_ALL && has_soon(generation);
}

bool any_judge(struct any_generation *generation, const struct any_meaning *meaning,
               const struct any_answer *answer, struct moot_buffer *expected)
{
    struct moot_buffer said;
    struct any_answer told = *answer;
    bool was_in_doubt = generation->pending_count > 0;
    bool is_vague = !generation->is_lost && is_unclear(generation, meaning);
    if (is_vague) {
        told.is_known = false;
        if ((meaning->kind == ANY_EXEC && meaning->writes) || open_of(generation) != 0) {
            lose(generation);
        }
    } else if (!generation->is_lost) {
        look_ahead(generation, meaning->touches, answer);
    }
    if (generation->is_lost) {
        return true;
    }
    moot_buffer_init(&said);
    uint32_t first = generation->count;
    for (uint32_t i = 0; i < generation->count;) {
        if (would_say(generation, &generation->candidates[i], meaning, &told, &said)) {
            i++;
            continue;
        }
        if (expected->size == 0) {
            moot_buffer_append_slice(expected, moot_buffer_slice(&said));
        }
        drop(generation, i);
    }
    MOOT_SOMETIMES(was_in_doubt && first > 1 && generation->count == 1,
                   "an answer told what had come of a command in doubt");
    merge(generation);
    moot_buffer_deinit(&said);
    return generation->count > 0;
}
