/* What clients ask when they may ask anything. See any.h. */
#include "sim/any.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/rule.h"
#include "database/execute/engine.h"

enum {
    BLOCK_MAX = 10,     /* Commands asked as one. */
    QUEUED_MAX = 5,     /* Of a MULTI. */
    GLOBAL_ONE_IN = 12, /* Of the commands on whole databases that are drawn. */
    LEAVE_ONE_IN = 4,   /* Of the times that something is in doubt. */
    QUESTIONS = 4,      /* That tell all of a key. */
    WAITED_S = 5,       /* So long one who waited may still seem to. */
    SHOWN_MAX = 300,
    INLINE_ONE_IN = 12,
    INLINE_MAX = 4000,
    QUIT_ONE_IN = 40,
    KILL_ONE_IN = 4,
    FEW_TIMES = 30, /* Of the same command. */
    MANY_TIMES = 1500,
    MANY_BYTES = 20000, /* Of all of them. */
    LARGE_BYTES = 300000,
    LARGE_TIMES = 60,
    LARGE_ONE_IN = 8,
    SHORTS_EVERY = 3, /* Of the generations one has keys that expire soon. */
    FAR_MS = 1000000,
};

static struct sim_any *any_of(struct sim_world *world, struct sim_client *client)
{
    if (client->any != NULL) {
        return client->any;
    }
    struct sim_any *any = moot_alloc_zero(sizeof(*any));
    uint32_t users = world->swarm.clients - 1;
    MOOT_ASSERT(client->number > 0 && users <= MOOT_DATABASES);
    any->database_count = (uint8_t)(MOOT_DATABASES / users);
    any->database = (uint8_t)((client->number - 1) * any->database_count);
    any->now = any_generation_make(0, any->database, any->database_count);
    moot_buffer_init(&any->mirror.queue);
    moot_buffer_init(&any->again.bodies);
    moot_buffer_init(&any->meaning.said);
    moot_arena_init(&any->arena);
    client->any = any;
    return any;
}

static void forget_units(struct sim_any *any)
{
    for (uint32_t i = 0; i < any->unit_count; i++) {
        moot_buffer_deinit(&any->units[i].body);
    }
    any->unit_count = 0;
}

void sim__any_free(struct sim_client *client)
{
    struct sim_any *any = client->any;
    if (any == NULL) {
        return;
    }
    forget_units(any);
    any_generation_free(any->now);
    for (uint32_t i = 0; i < any->kept_count; i++) {
        any_generation_free(any->kept[i]);
    }
    moot_buffer_deinit(&any->mirror.queue);
    moot_buffer_deinit(&any->again.bodies);
    moot_buffer_deinit(&any->meaning.said);
    moot_arena_deinit(&any->arena);
    moot_free(any);
    client->any = NULL;
}

bool sim__any_is_large(uint64_t seed) { return moot_hash_mix(seed, 0x1a26e) % LARGE_ONE_IN == 0; }

/* ---- words ---- */

static void show(struct moot_slice bytes, char *out, size_t *size)
{
    for (size_t i = 0; i < bytes.size && *size + 8 < SHOWN_MAX; i++) {
        uint8_t c = bytes.data[i];
        bool plain = c >= ' ' && c <= '~';
        *size += (size_t)snprintf(out + *size, SHOWN_MAX - *size, plain ? "%c" : "\\x%02x", c);
    }
    out[*size] = '\0';
}

static void show_args(const struct moot_slice *args, uint32_t argc, char out[SHOWN_MAX])
{
    size_t size = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < argc; i++) {
        show(i == 0 ? (struct moot_slice){NULL, 0} : MOOT_SLICE_LITERAL(" "), out, &size);
        show(args[i].size == 0 ? MOOT_SLICE_LITERAL("''") : args[i], out, &size);
    }
}

static void show_bytes(struct moot_slice bytes, char out[SHOWN_MAX])
{
    size_t size = 0;
    show(bytes, out, &size);
}

/* ---- asking ---- */

static const struct sim_expected EXPECTED = {SIM_STEP_ANY, SIZE_MAX, 0};

struct asking {
    struct sim_world *world;
    struct sim_client *client;
    struct sim_any *any;
    struct sim_grammar grammar;
    struct any_generation *generation;
    uint32_t last; /* Of the last reads: which comes next. */
    bool in_multi;
};

static struct asking asking_of(struct sim_world *world, struct sim_client *client)
{
    struct sim_any *any = any_of(world, client);
    const uint32_t *knobs = world->swarm.knobs;
    moot_arena_reset(&any->arena);
    return (struct asking){
        world,
        client,
        any,
        {.rng = &world->rng,
         .arena = &any->arena,
         .keys = any->now->keys,
         .key_count = ANY_KEYS,
         .database = any->database,
         .database_count = any->database_count,
         .is_small = knobs[SIM_FAULT_NARROW] != 0 || knobs[SIM_FAULT_TINY_JOURNAL] != 0 ||
                     knobs[SIM_FAULT_CRAMPED] != 0,
         .is_large = sim__any_is_large(world->options->seed),
         .expiries = any->expiries,
         .values = any->values,
         .shorts = any->shorts,
         .cursor = any->cursor},
        any->now,
        0,
        false,
    };
}

static void asked(struct asking *asking)
{
    asking->any->expiries = asking->grammar.expiries;
    asking->any->values = asking->grammar.values;
    asking->any->shorts = asking->grammar.shorts;
}

static uint64_t below(struct asking *asking, uint64_t bound)
{
    return sim__below(asking->world, bound);
}

/* The same so many times, one behind the other; all but the first are expected as that is answered.
 */
static void ask_times(struct asking *asking, const struct moot_slice *args, uint32_t argc,
                      uint32_t times)
{
    struct sim_client *client = asking->client;
    struct sim_any *any = asking->any;
    char words[SHOWN_MAX];
    MOOT_ASSERT(any->unit_count < SIM_EXPECTED_MAX && times > 0);
    struct any_unit *unit = &any->units[any->unit_count++];
    *unit =
        (struct any_unit){.generation = asking->generation, .last = asking->last, .times = times};
    moot_buffer_init(&unit->body);
    moot_item_put_body(&unit->body, args, argc);
    if (asking->world->options->trace != NULL) {
        show_args(args, argc, words);
        sim__trace(asking->world, "c%u asks m%u%s: %s", client->number, client->machine,
                   times > 1 ? " again and again" : "", words);
    }
    bool is_inline = unit->body.size < INLINE_MAX && below(asking, INLINE_ONE_IN) == 0;
    size_t expected = client->expected_count;
    for (; times > 0; times--) {
        client->expected_count = expected;
        if (is_inline) {
            sim__command_inline(client, args, argc, EXPECTED);
        } else {
            sim__command(client, args, argc, EXPECTED);
        }
    }
}

static void ask(struct asking *asking, const struct moot_slice *args, uint32_t argc)
{
    ask_times(asking, args, argc, 1);
}

static void ask_words(struct asking *asking, const char *first, struct moot_slice second)
{
    struct moot_slice args[] = {moot_slice_text(first), second};
    ask(asking, args, second.data == NULL ? 1 : 2);
}

static const struct moot_slice NONE = {NULL, 0};

static void ask_select(struct asking *asking, uint8_t database)
{
    char digits[24];
    ask_words(asking, "SELECT", moot_slice_make(digits, moot_text_u64(digits, database)));
}

static uint8_t any_database(struct asking *asking)
{
    return asking->any->database + (uint8_t)below(asking, asking->any->database_count);
}

bool any_may_ask(const struct moot_command *command, uint32_t database_count)
{
    bool of_group = command->place != MOOT_PLACE_EDGE && (command->flags & MOOT_FLAG_SYSTEM) == 0;
    return of_group && (strcmp(command->name, "flushall") != 0 || database_count == MOOT_DATABASES);
}

/* Any that the group runs. Some are for the owner of all databases, and those of whole databases
 * come less often. */
static const struct moot_command *any_command(struct asking *asking)
{
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    for (;;) {
        const struct moot_command *command = &table[below(asking, count)];
        bool on_keys = command->key_first > 0;
        if (asking->in_multi && !on_keys && asking->generation->has_shorts) {
            continue; /* Too little is known of what it does. */
        }
        if (!any_may_ask(command, asking->any->database_count)) {
            continue;
        }
        if (on_keys || command->place == MOOT_PLACE_READ || below(asking, GLOBAL_ONE_IN) == 0) {
            return command;
        }
    }
}

/* What was left to be read at the end is no longer as it was left. */
static void drop_kept(struct sim_any *any)
{
    for (uint32_t i = 0; i < any->kept_count; i++) {
        any_generation_free(any->kept[i]);
    }
    any->kept_count = 0;
}

static uint32_t draw(struct asking *asking, struct moot_slice args[SIM_GRAMMAR_ARGS_MAX])
{
    const struct moot_command *command = any_command(asking);
    asking->grammar.in_multi = asking->in_multi;
    uint32_t argc = sim_grammar_draw(&asking->grammar, command, args);
    if (command->place == MOOT_PLACE_WRITE && command->key_first == 0) {
        drop_kept(asking->any);
    }
    asking->world->result->counts.operations++;
    return argc;
}

static void ask_any(struct asking *asking)
{
    struct moot_slice args[SIM_GRAMMAR_ARGS_MAX];
    uint32_t argc = draw(asking, args);
    ask(asking, args, argc);
}

/* May the same words follow each other? Not where they may wait or are of a whole database, nor
 * where the second is compared with the first, which was a little before. */
static bool may_repeat(const struct moot_slice *args, uint32_t argc)
{
    const struct moot_command *command = moot_command_find(args[0]);
    bool compares = false;
    for (uint32_t i = 1; i < argc; i++) {
        compares = compares || moot_slice_equal_nocase(args[i], "gt") ||
                   moot_slice_equal_nocase(args[i], "lt");
    }
    return command->key_first != 0 && (command->flags & MOOT_FLAG_BLOCKING) == 0 && argc <= 8 &&
           !compares;
}

/* Deep pipelines. */
static void ask_many(struct asking *asking)
{
    struct moot_slice args[SIM_GRAMMAR_ARGS_MAX];
    uint32_t argc;
    do {
        argc = draw(asking, args);
    } while (!may_repeat(args, argc));
    uint64_t most = asking->grammar.is_small || below(asking, 4) != 0 ? FEW_TIMES : MANY_TIMES;
    size_t size = 0; /* What is sent at once must fit a segment of the journal. */
    for (uint32_t i = 0; i < argc; i++) {
        size += args[i].size;
    }
    most = moot_min_u64(most, (asking->grammar.is_large ? LARGE_BYTES : MANY_BYTES) / size);
    most = asking->grammar.is_large ? moot_min_u64(most, LARGE_TIMES) : most;
    ask_times(asking, args, argc, 1 + (uint32_t)below(asking, moot_max_u64(1, most)));
}

enum { WORDS_MAX = 5 };
static const char *const NODE_PLAIN[][WORDS_MAX] = {
    {"PING"},
    {"PING", "a word"},
    {"ECHO", "\r\n"},
    {"UNWATCH"},
    {"TIME"},
    {"CLIENT", "GETNAME"},
    {"READONLY"},
    {"READWRITE"},
    {"ASKING"},
    {"CLIENT", "SETNAME", "any"},
    {"SELECT", "16"},
    {"SELECT", "x"},
    {"GETT", "it"},
    {"PING", "two", "words"},
    {"EXEC"},
    {"DISCARD"},
    {"HELLO", "7"},
    {"MOOT.FORM", "a"},
    {"WAIT", "1", "10"},
    {"CLIENT", "ID"},
    {"WITH"},
    {"WITH", "ID"},
    {"ECHO"},
    {"AUTH", "a", "b"},
};
static const char *const NODE_RARE[][WORDS_MAX] = {
    {"INFO"},
    {"INFO", "everything"},
    {"COMMAND"},
    {"COMMAND", "DOCS"},
    {"COMMAND", "INFO", "get", "nothing"},
    {"COMMAND", "GETKEYS", "mset", "a", "b"},
    {"CONFIG", "GET", "*"},
    {"CLUSTER", "NODES"},
    {"CLUSTER", "SHARDS"},
    {"CLUSTER", "INFO"},
    {"CLUSTER", "KEYSLOT", "{a}b"},
    {"ROLE"},
    {"LOLWUT"},
    {"ACL", "WHOAMI"},
    {"SLOWLOG", "GET"},
    {"LATENCY", "LATEST"},
    {"MOOT", "STATUS"},
    {"CLIENT", "LIST"},
    {"CLIENT", "INFO"},
    {"CLIENT", "NO-EVICT", "ON"},
    {"CLIENT", "TRACKINGINFO"},
    {"CLIENT", "UNBLOCK", "3"},
    {"CLIENT", "UNBLOCK", "2", "ERROR"},
    {"CLIENT", "KILL", "TYPE", "normal"},
};

/* What the connection's node answers itself; what ends others' connections only while all may. */
static void ask_node(struct asking *asking)
{
    const char *const *chosen = NODE_PLAIN[below(asking, MOOT_ARRAY_LEN(NODE_PLAIN))];
    if (below(asking, 5) == 0) {
        chosen = NODE_RARE[below(asking, MOOT_ARRAY_LEN(NODE_RARE))];
    }
    bool kills = chosen[1] != NULL && strcmp(chosen[1], "KILL") == 0;
    if (kills && (asking->world->phase != SIM_PHASE_FAULTS || below(asking, KILL_ONE_IN) != 0)) {
        chosen = NODE_PLAIN[0];
    }
    struct moot_slice args[WORDS_MAX];
    uint32_t argc = 0;
    while (argc < WORDS_MAX && chosen[argc] != NULL) {
        args[argc] = moot_slice_text(chosen[argc]);
        argc++;
    }
    bool ends = strcmp(chosen[0], "EXEC") == 0 || strcmp(chosen[0], "DISCARD") == 0;
    asking->in_multi = asking->in_multi && !ends;
    ask(asking, args, argc);
}

/* Another state of the connection, in which it has a database of the client's own. */
static void ask_state(struct asking *asking)
{
    uint64_t which = below(asking, 4);
    if (which == 0) {
        ask_words(asking, "RESET", NONE);
        ask_words(asking, "HELLO",
                  below(asking, 2) == 0 ? MOOT_SLICE_LITERAL("2") : MOOT_SLICE_LITERAL("3"));
    } else if (which == 1) {
        ask_words(asking, "HELLO",
                  below(asking, 2) == 0 ? MOOT_SLICE_LITERAL("2") : MOOT_SLICE_LITERAL("3"));
    }
    ask_select(asking, any_database(asking));
}

static void ask_queued(struct asking *asking)
{
    uint64_t which = below(asking, 14);
    if (which == 0) {
        ask_node(asking);
    } else if (which == 1) {
        ask_select(asking, any_database(asking));
    } else {
        asking->grammar.waits = asking->in_multi; /* Nothing does within MULTI. */
        ask_any(asking);
        asking->grammar.waits = false;
    }
}

static void ask_watch(struct asking *asking)
{
    struct moot_slice args[4] = {MOOT_SLICE_LITERAL("WATCH")};
    uint32_t argc = 2 + (uint32_t)below(asking, 3);
    for (uint32_t i = 1; i < argc; i++) {
        args[i] = sim_grammar_key(&asking->grammar);
    }
    ask(asking, args, argc);
    if (below(asking, 2) == 0) {
        ask_any(asking); /* Perhaps it writes there. */
    }
}

static void ask_multi(struct asking *asking)
{
    if (below(asking, 3) == 0) {
        ask_watch(asking);
    }
    ask_words(asking, "MULTI", NONE);
    asking->in_multi = true;
    for (uint64_t left = below(asking, QUEUED_MAX + 1); left > 0; left--) {
        ask_queued(asking);
    }
    asking->in_multi = false;
    ask_words(asking, below(asking, 8) == 0 ? "DISCARD" : "EXEC", NONE);
}

/* ---- under an id ---- */

static void ask_again(struct asking *asking)
{
    struct sim_any *any = asking->any;
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&any->again.bodies));
    ask_select(asking, any->again.database);
    any->again.tries++;
    while (moot_reader_left(&reader) > 0) {
        struct moot_reader body = moot_reader_make(moot_get_bytes(&reader));
        struct moot_slice *args;
        uint32_t argc;
        bool whole = moot_item_args(&body, &any->arena, &args, &argc);
        MOOT_ASSERT(whole);
        ask(asking, args, argc);
    }
}

static void keep_again(struct sim_any *any, const struct moot_slice *args, uint32_t argc)
{
    struct moot_buffer body;
    moot_buffer_init(&body);
    moot_item_put_body(&body, args, argc);
    moot_put_bytes(&any->again.bodies, moot_buffer_slice(&body));
    moot_buffer_deinit(&body);
}

static struct moot_slice make_id(struct asking *asking)
{
    char id[48];
    uint64_t wall_ms = UINT64_C(1700000000000) + asking->world->now / MOOT_MSEC_NS;
    int size = snprintf(id, sizeof(id), "%llu:%llu", (unsigned long long)wall_ms,
                        (unsigned long long)++asking->world->values);
    return moot_arena_copy(&asking->any->arena, moot_slice_make(id, (size_t)size));
}

/* One command, or a transaction. Those that may wait have no id. */
static void begin_again(struct asking *asking)
{
    struct sim_any *any = asking->any;
    struct moot_slice args[3 + SIM_GRAMMAR_ARGS_MAX] = {MOOT_SLICE_LITERAL("WITH"),
                                                        MOOT_SLICE_LITERAL("ID")};
    args[2] = make_id(asking);
    moot_buffer_reset(&any->again.bodies, 4096);
    any->again.active = true;
    any->again.tries = 0;
    any->again.database = any_database(asking);
    if (below(asking, 3) == 0) {
        struct moot_slice multi = MOOT_SLICE_LITERAL("MULTI");
        keep_again(any, &multi, 1);
        asking->in_multi = true;
        for (uint64_t left = 1 + below(asking, 3); left > 0; left--) {
            uint32_t argc = draw(asking, args + 3);
            keep_again(any, args + 3, argc);
        }
        asking->in_multi = false;
        args[3] = MOOT_SLICE_LITERAL("EXEC");
        keep_again(any, args, 4);
    } else {
        const struct moot_command *command;
        uint32_t argc;
        do {
            argc = draw(asking, args + 3);
            command = moot_command_find(args[3]);
        } while ((command->flags & MOOT_FLAG_BLOCKING) != 0);
        keep_again(any, args, 3 + argc);
    }
    ask_again(asking);
}

/* ---- generations ---- */

static void begin_generation(struct asking *asking)
{
    struct any_generation *now = asking->any->now;
    now->has_shorts = (now->number + asking->world->options->seed) % SHORTS_EVERY == 0;
    asking->generation = now;
    asking->grammar.keys = now->keys;
    asking->grammar.wall_ms = now->has_shorts ? sim__wall_ms(asking->world) : 0;
    asking->grammar.drawn_ms = now->drawn_ms;
}

static void leave_perhaps(struct asking *asking)
{
    struct sim_any *any = asking->any;
    struct any_generation *old = any->now;
    bool leaves = old->is_lost ? !old->is_haunted
                               : any_generation_in_doubt(old) && below(asking, LEAVE_ONE_IN) == 0;
    if (!leaves) {
        return;
    }
    any->now = any_generation_next(old);
    bool is_kept = !old->is_lost && !any_generation_in_global_doubt(old);
    if (is_kept && any->kept_count < ANY_KEPT_MAX) {
        any_forget_watches(old);
        any->kept[any->kept_count++] = old;
    } else {
        any_generation_free(old);
    }
}

/* ---- the last reads ---- */

static struct any_generation *last_generation(struct sim_any *any)
{
    return any->last_generation < any->kept_count ? any->kept[any->last_generation] : any->now;
}

/* All of every key, one database after the other; the rest when these are answered. */
static void ask_last(struct asking *asking)
{
    struct sim_any *any = asking->any;
    uint32_t reads = any->database_count * ANY_KEYS * QUESTIONS;
    while (last_generation(any)->is_lost || any->last_read == reads) {
        any->last_read = 0;
        if (last_generation(any) == any->now) {
            any->last_done = true;
            return;
        }
        any->last_generation++;
    }
    asking->generation = last_generation(any);
    uint32_t at = any->last_read, of_database = ANY_KEYS * QUESTIONS;
    uint32_t database = at / of_database;
    ask_select(asking, (uint8_t)(any->database + database));
    for (; at < reads && at / of_database == database &&
           asking->client->expected_count < SIM_EXPECTED_MAX;
         at++) {
        static const char *const words[QUESTIONS] = {"PEXPIRETIME", "GET", "HGETALL", "LRANGE"};
        struct moot_slice args[] = {moot_slice_text(words[at % QUESTIONS]),
                                    asking->generation->keys[at / QUESTIONS % ANY_KEYS],
                                    MOOT_SLICE_LITERAL("0"), MOOT_SLICE_LITERAL("-1")};
        asking->last = at + 1;
        ask(asking, args, at % QUESTIONS == QUESTIONS - 1 ? 4 : 2);
    }
}

/* ---- a pipeline ---- */

static void ask_one(struct asking *asking)
{
    uint64_t which = below(asking, 20);
    if (which == 0 && below(asking, 4) == 0) {
        ask_many(asking);
    } else if (which < 14) {
        ask_any(asking);
    } else if (which < 17) {
        ask_multi(asking);
    } else if (which < 19) {
        ask_node(asking);
    } else {
        ask_state(asking);
    }
}

bool sim__ask_any(struct sim_world *world, struct sim_client *client, bool more)
{
    struct asking asking = asking_of(world, client);
    struct sim_any *any = asking.any;
    bool is_last = world->phase == SIM_PHASE_LAST_READS;
    if ((is_last && any->last_done) || (!is_last && !more && !any->again.active)) {
        return false;
    }
    MOOT_ASSERT(any->unit_count == 0);
    bool is_new = any->mirror.connection != client->connection;
    if (is_new) {
        any_mirror_begin(&any->mirror, client, world->swarm.database);
        any_forget_watches(any->now);
    }
    if (is_last) {
        ask_last(&asking);
        return client->expected_count > 0;
    }
    if (any->again.active) {
        ask_again(&asking);
        return true;
    }
    leave_perhaps(&asking);
    begin_generation(&asking);
    if (is_new) {
        ask_select(&asking, any_database(&asking));
    } else if (below(&asking, 12) == 0) {
        begin_again(&asking);
        asked(&asking);
        return true;
    }
    uint64_t count = 1 + below(&asking, moot_max_u64(2, UINT64_C(3) * world->swarm.pipeline));
    while (count-- > 0 && client->expected_count + BLOCK_MAX <= SIM_EXPECTED_MAX) {
        ask_one(&asking);
    }
    if (below(&asking, QUIT_ONE_IN) == 0 && client->expected_count < SIM_EXPECTED_MAX) {
        ask_words(&asking, "QUIT", NONE);
    }
    asked(&asking);
    return true;
}

/* ---- answers ---- */

static bool have_clock_faults(const struct sim_world *world)
{
    static const enum sim_fault faults[] = {SIM_FAULT_BEHIND, SIM_FAULT_CLOCK_JUMP,
                                            SIM_FAULT_CLOCK_FAR, SIM_FAULT_BAD_CLOCK,
                                            SIM_FAULT_DRIFT};
    bool any = false;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(faults); i++) {
        any = any || world->swarm.knobs[faults[i]] != 0;
    }
    return any;
}

enum outcome { DONE, NOT_DONE, IN_DOUBT, DONE_UNKNOWN, ID_IS_OVER };

static bool begins(struct moot_slice text, const char *with)
{
    return moot_slice_starts_with(text, moot_slice_text(with));
}

/* What the cluster says of itself, instead of an answer. */
static enum outcome outcome_of(const struct any_meaning *meaning,
                               const struct moot_resp_value *head)
{
    static const char *const not_done[] = {"CLUSTERDOWN ", "TRYAGAIN ", "OVERLOADED ", "LOADING "};
    bool of_group =
        meaning->kind == ANY_COMMAND || meaning->kind == ANY_WATCH || meaning->kind == ANY_EXEC;
    if (head->type != MOOT_RESP_ERROR || !of_group) {
        return DONE;
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(not_done); i++) {
        if (begins(head->text, not_done[i])) {
            return NOT_DONE;
        }
    }
    bool is_short = begins(head->text, "OOM ") ||
                    (meaning->kind == ANY_EXEC &&
                     begins(head->text, "EXECABORT Transaction discarded because of: OOM "));
    if (is_short && meaning->grows) {
        return NOT_DONE;
    }
    if (begins(head->text, "INDOUBT ")) {
        return IN_DOUBT;
    }
    if (meaning->id.size > 0 && begins(head->text, "IDDONE ")) {
        return DONE_UNKNOWN;
    }
    bool is_over = begins(head->text, "IDEXPIRED ") ||
                   begins(head->text, "ERR the id must not be made in the future");
    return meaning->id.size > 0 && is_over ? ID_IS_OVER : DONE;
}

static void tell_wrong(struct sim_world *world, const struct sim_client *client,
                       const struct any_meaning *meaning, struct moot_slice reply,
                       struct moot_slice expected)
{
    char command[SHOWN_MAX], told[SHOWN_MAX], right[SHOWN_MAX];
    show_args(meaning->args, meaning->argc, command);
    show_bytes(reply, told);
    show_bytes(expected, right);
    sim__violation(world,
                   "client %u asked m%u in database %u: %s; it was told %s, and a lone node says "
                   "%s",
                   client->number, client->machine, meaning->database, command, told, right);
}

/* Said by the node itself. */
static void check_said(struct sim_world *world, const struct sim_client *client,
                       const struct any_meaning *meaning, struct moot_slice reply)
{
    struct moot_slice said = moot_buffer_slice(&meaning->said);
    bool good =
        meaning->kind == ANY_SAID_ALL ||
        (meaning->kind == ANY_SAID_SO ? any_is_alike(said, reply) : moot_slice_equal(said, reply));
    if (!good) {
        tell_wrong(world, client, meaning, reply, said);
    }
}

static void keep_cursor(struct sim_any *any, struct moot_slice reply)
{
    struct moot_resp_value head;
    size_t at = sim__read_head(reply, 0, &head);
    if (head.type == MOOT_RESP_ARRAY && head.integer == 2) {
        (void)sim__read_head(reply, at, &head);
        if (head.type != MOOT_RESP_BULK || !moot_slice_to_u64(head.text, &any->cursor)) {
            any->cursor = 0;
        }
    }
}

static void judge(struct sim_world *world, struct sim_client *client, const struct any_unit *unit,
                  bool is_known, struct moot_slice reply)
{
    struct sim_any *any = client->any;
    struct moot_buffer expected;
    struct any_answer answer = {client->connection, sim__wall_ms(world), is_known, reply};
    if (have_clock_faults(world)) {
        answer.wall_ms += FAR_MS; /* Whatever expires may be gone at once. */
    }
    moot_buffer_init(&expected);
    if (!any_judge(unit->generation, &any->meaning, &answer, &expected)) {
        tell_wrong(world, client, &any->meaning, reply, moot_buffer_slice(&expected));
    }
    moot_buffer_deinit(&expected);
    bool ran = reply.size > 2 && reply.data[0] == '*' && reply.data[1] != '-';
    if (any->meaning.kind == ANY_EXEC && ran) {
        any->mirror.database = any->meaning.database_then;
    }
    if (moot_slice_equal_nocase(any->meaning.args[0], "scan")) {
        keep_cursor(any, reply);
    }
}

/* Who waits for a list has its place behind those who do so already, and a pop whose time is over,
 * or whose client is gone, is one of them until the leader has heard of it. */
static bool came_too_late(const struct sim_world *world, struct sim_any *any,
                          const struct moot_resp_value *head)
{
    bool waits = any->meaning.kind == ANY_COMMAND && any->meaning.may_wait;
    if (waits && head->type == MOOT_RESP_ERROR && begins(head->text, "UNBLOCKED ")) {
        return true; /* CLIENT UNBLOCK. */
    }
    bool nothing = waits && head->type == MOOT_RESP_NULL;
    bool behind = nothing && world->now < any->waited_until;
    if (nothing) {
        any->waited_until = world->now + WAITED_S * MOOT_SEC_NS;
    }
    return behind;
}

/* The transaction watched something, or nothing: only that it did nothing is clear. */
static bool was_refused_for_watch(struct sim_any *any, const struct moot_resp_value *head)
{
    return any->meaning.kind == ANY_EXEC && any->meaning.watch_refused &&
           head->type == MOOT_RESP_NULL;
}

static void on_outcome(struct sim_world *world, struct sim_client *client,
                       const struct any_unit *unit, enum outcome outcome, struct moot_slice reply)
{
    struct sim_any *any = client->any;
    struct moot_sim_counts *counts = &world->result->counts;
    bool has_id = any->meaning.id.size > 0;
    switch (outcome) {
    case DONE:
    case DONE_UNKNOWN:
        judge(world, client, unit, outcome == DONE, reply);
        any->again.active = any->again.active && !has_id;
        counts->ok++;
        client->fails = 0;
        if (unit->last != 0 && unit->last == any->last_read + 1) {
            any->last_read++;
        }
        return;
    case ID_IS_OVER:
        if (any->again.tries > 1) {
            any_doubt(unit->generation, &any->meaning, client->connection);
        }
        any->again.active = false;
        counts->in_doubt++;
        break;
    case IN_DOUBT:
        if (!has_id) {
            any_doubt(unit->generation, &any->meaning, client->connection);
        }
        counts->in_doubt++;
        break;
    case NOT_DONE:
        counts->failed++;
        break;
    }
    client->fails++;
    any->mirror.watch_refused = any->mirror.watch_refused || any->meaning.kind == ANY_WATCH;
}

/* The oldest of what was asked is answered, once. */
static void drop_unit(struct sim_any *any)
{
    MOOT_ASSERT(any->unit_count > 0 && any->units[0].times > 0);
    if (--any->units[0].times == 0) {
        moot_buffer_deinit(&any->units[0].body);
        any->unit_count--;
        memmove(any->units, any->units + 1, sizeof(any->units[0]) * any->unit_count);
    }
}

static void understand(struct sim_any *any, const struct any_unit *unit)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&unit->body));
    struct moot_slice *args;
    uint32_t argc;
    moot_arena_reset(&any->arena);
    bool whole = moot_item_args(&reader, &any->arena, &args, &argc);
    MOOT_ASSERT(whole);
    any_mirror_step(&any->mirror, args, argc, &any->meaning);
}

void sim__on_any(struct sim_world *world, struct sim_client *client, struct moot_slice reply)
{
    struct sim_any *any = client->any;
    struct any_unit unit = any->units[0];
    struct moot_resp_value head;
    (void)sim__read_head(reply, 0, &head);
    MOOT_ASSERT(any->unit_count > 0);
    if (unit.times > 1) { /* The next one is expected. */
        MOOT_ASSERT(client->expected_count < SIM_EXPECTED_MAX);
        memmove(client->expected + 1, client->expected, sizeof(EXPECTED) * client->expected_count);
        client->expected[0] = EXPECTED;
        client->expected_count++;
    }
    understand(any, &unit);
    bool of_group = any->meaning.kind == ANY_COMMAND || any->meaning.kind == ANY_WATCH ||
                    any->meaning.kind == ANY_EXEC;
    if (!of_group) {
        check_said(world, client, &any->meaning, reply);
        any->again.active = any->again.active && any->meaning.id.size == 0;
    } else if (was_refused_for_watch(any, &head) || came_too_late(world, any, &head)) {
        any->again.active = any->again.active && any->meaning.id.size == 0;
    } else {
        on_outcome(world, client, &unit, outcome_of(&any->meaning, &head), reply);
    }
    if (any->meaning.ends_watch) {
        any_forget_watches(unit.generation);
    }
    drop_unit(any);
}

/* What was asked under an id is asked again; all else may be done, or not. Behind a transaction
 * that selects another database, nobody knows in which. */
void sim__any_unanswered(struct sim_world *world, struct sim_client *client)
{
    struct sim_any *any = client->any;
    bool is_somewhere = false;
    while (any != NULL && any->unit_count > 0) {
        struct any_unit unit = any->units[0];
        understand(any, &unit);
        if (any->meaning.id.size == 0) {
            any->meaning.may_wait |= is_somewhere;
            any_doubt(unit.generation, &any->meaning, client->connection);
            world->result->counts.in_doubt += any->meaning.writes;
        }
        if (any->meaning.may_wait) {
            any->waited_until = world->now + WAITED_S * MOOT_SEC_NS;
        }
        is_somewhere = is_somewhere || (any->meaning.kind == ANY_EXEC &&
                                        any->meaning.database_then != any->meaning.database);
        drop_unit(any);
    }
}

bool sim__any_waits(const struct sim_client *client)
{
    MOOT_ASSERT(client->any->unit_count > 0);
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&client->any->units[0].body));
    (void)moot_get_varint(&reader);
    const struct moot_command *command = moot_command_find(moot_get_bytes(&reader));
    return command != NULL && (command->flags & MOOT_FLAG_BLOCKING) != 0;
}

bool sim__any_has_finished(const struct sim_world *world, const struct sim_client *client)
{
    bool is_last = world->phase == SIM_PHASE_LAST_READS;
    return is_last ? client->any != NULL && client->any->last_done
                   : client->any == NULL || !client->any->again.active;
}
