/* The engine: batches of commands against a view, restarts, EXEC, WATCH, ids, expiry. */
#include "engine_contents.h"

#include <stdio.h>
#include <stdlib.h>

/* Goal: a batch answers each item in order, and errors undo only their own command. Method: a few
 * commands by hand. */
static void answers_in_order(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    world_add(&world, 0, 0, NULL, "SET a 1");
    world_add(&world, 0, 0, NULL, "INCR a");
    world_add(&world, 0, 0, NULL, "GET a");
    world_add(&world, 0, 0, NULL, "HSET h f v");
    world_add(&world, 0, 0, NULL, "INCR h");
    world_add(&world, 0, 0, NULL, "NONSENSE");
    world_add(&world, MOOT_ITEM_BLOCKING, 0, NULL, "BLPOP l 0");
    world_add(&world, MOOT_ITEM_RESP3, 0, NULL, "HGETALL h");
    world_add(&world, 0, 3, NULL, "GET a");
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(world_replies(&world),
                        "+OK.:2.$1.2.:1.-WRONGTYPE Operation against a key holding the wrong kind "
                        "of value.-ERR unknown command 'NONSENSE' in this release.~%1.$1.f.$1.v."
                        "$-1.");
    assert_string_equal(world_read(&world, "GET a"), "$1.2.");
    assert_string_equal(world_read(&world, "SET a 3"),
                        "-ERR a command that writes was sent as a read.");
    assert_string_equal(world_read(&world, "GET a"), "$1.2.");
    assert_string_equal(world_read(&world, "DBSIZE"), ":2.");
    assert_string_equal(world_write(&world, "PING"), "-ERR this command is not for a log.");
    contents_check(&world);
    world_end(&world);
}

/* Goal: replies of every size come back whole; larger than one byte of size can say. Method: values
 * around the sizes where the size's own length changes. */
static void replies_of_every_size(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    static const size_t sizes[] = {0, 100, 121, 122, 123, 128, 16373, 16374, 16375, 20000, 2097200};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(sizes); i++) {
        char *value = malloc(sizes[i] + 1);
        memset(value, 'x', sizes[i]);
        struct moot_slice args[] = {MOOT_SLICE_LITERAL("SET"), MOOT_SLICE_LITERAL("k"),
                                    moot_slice_make(value, sizes[i])};
        struct moot_slice get[] = {MOOT_SLICE_LITERAL("GET"), MOOT_SLICE_LITERAL("k")};
        moot_item_put(&world.batch, 0, 0, (struct moot_slice){0}, args, 3);
        moot_item_put(&world.batch, 0, 0, (struct moot_slice){0}, get, 2);
        assert_int_equal(world_run(&world), MOOT_OK);
        struct moot_reader reader = moot_reader_make(moot_buffer_slice(&world.replies));
        assert_true(moot_slice_equal(moot_get_bytes(&reader), MOOT_SLICE_LITERAL("+OK\r\n")));
        struct moot_slice reply = moot_get_bytes(&reader);
        assert_int_equal(moot_reader_left(&reader), 0);
        assert_false(reader.failed);
        assert_memory_equal(reply.data + reply.size - 2 - sizes[i], value, sizes[i]);
        free(value);
    }
    world_end(&world);
}

/* ---- random histories ---- */

static void random_command(struct moot_rng *rng, char line[256])
{
    static const char *const forms[] = {
        "SET k%u v%u",
        "SET k%u v%u PX 40",
        "SET k%u %u KEEPTTL",
        "INCRBY k%u %u",
        "APPEND k%u x%u",
        "DEL k%u k%u",
        "HSET k%u f%u v g w",
        "HSET k%u f%u other",
        "HDEL k%u f%u g",
        "HINCRBY k%u n %u",
        "LPUSH k%u a%u b",
        "RPUSH k%u a%u",
        "LPOP k%u",
        "RPOP k%u %u",
        "PEXPIRE k%u 3%u",
        "PERSIST k%u",
        "RENAME k%u k%u",
        "MOVE k%u %u",
        "GETDEL k%u",
        "GETEX k%u PX 2%u",
        "COPY k%u k%u",
        "MSETNX k%u a k%u b",
        "LMOVE k%u k%u LEFT RIGHT",
        "LTRIM k%u 1 %u",
        "LSET k%u 0 v%u",
        "HGETALL k%u",
        "LRANGE k%u 0 %u",
        "SCAN 0 COUNT %u",
        "BLPOP k%u k%u 0",
        "SETRANGE k%u %u zz",
        "EXPIREAT k%u %u",
        "KEYS k%u*",
        "SWAPDB 0 1",
        "FLUSHDB",
        "NOSUCH k%u",
        "GET k%u",
    };
    size_t form = moot_rng_below(rng, MOOT_ARRAY_LEN(forms));
    if (form >= 32 && form < 34 && moot_rng_chance(rng, 3, 4)) {
        form = 0; /* Whole databases less often. */
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(line, 256, forms[form], (unsigned)moot_rng_below(rng, 12),
             (unsigned)moot_rng_below(rng, 12));
#pragma GCC diagnostic pop
}

/* Puts an EXEC of some commands, watching a key with the stamp given. */
static void add_exec(struct world *world, const char *const *lines, size_t count, const char *watch,
                     struct moot_stamp stamp, uint8_t flags)
{
    moot_put_u8(&world->batch, (uint8_t)(flags | MOOT_ITEM_EXEC));
    moot_put_u8(&world->batch, 0);
    moot_put_varint(&world->batch, watch != NULL);
    if (watch != NULL) {
        moot_put_u8(&world->batch, 0);
        moot_put_bytes(&world->batch, moot_slice_text(watch));
        moot_put_u64(&world->batch, stamp.time);
        moot_put_u32(&world->batch, stamp.ordinal);
    }
    moot_put_varint(&world->batch, count);
    for (size_t i = 0; i < count; i++) {
        struct moot_slice args[64];
        moot_item_put_body(&world->batch, args, world_split(lines[i], args, 64));
    }
}

/* One entry of 1 to 5 items, the same on every replica. */
static void random_entry(struct moot_rng *rng, struct world *replicas, size_t count)
{
    uint64_t items = moot_rng_between(rng, 1, 5);
    char lines[3][256];
    for (uint64_t i = 0; i < items; i++) {
        bool is_exec = moot_rng_chance(rng, 1, 5);
        for (size_t j = 0; j < 3; j++) {
            random_command(rng, lines[j]);
        }
        uint8_t database = moot_rng_chance(rng, 1, 5), flags = moot_rng_chance(rng, 1, 3);
        for (size_t r = 0; r < count; r++) {
            if (is_exec) {
                const char *const all[] = {lines[0], "SELECT 1", lines[1], "PING", lines[2]};
                add_exec(&replicas[r], all, 5, NULL, (struct moot_stamp){0, 0}, flags);
            } else {
                world_add(&replicas[r], flags, database, NULL, lines[0]);
            }
        }
    }
}

/* As a leader does: what is due by its clock is expired by an entry on every replica. */
static void expire_due(struct world *replicas, size_t count, uint32_t max)
{
    struct moot_buffer body;
    uint32_t due;
    uint64_t next_ms;
    int status;
    moot_buffer_init(&body);
    struct world *leader = &replicas[0];
    while ((status = moot_engine_due(leader->engine, leader->now_ms, max, &body, &due, &next_ms)) ==
           MOOT_EWOULDBLOCK) {
        world_fetch(leader);
    }
    assert_int_equal(status, MOOT_OK);
    assert_true(due <= max);
    assert_true(due > 0 || next_ms > leader->now_ms);
    for (size_t r = 0; r < count && due > 0; r++) {
        struct world *world = &replicas[r];
        world->index++;
        struct moot_stamp stamp = {moot_hlc_pack(world->now_ms, (uint16_t)world->index), 0};
        while ((status = moot_engine_expire(world->engine, world->index, stamp,
                                            moot_buffer_slice(&body))) == MOOT_EWOULDBLOCK) {
            world_fetch(world);
        }
        assert_int_equal(status, MOOT_OK);
        world->chain =
            moot_hash_mix(world->chain, moot_view_take_hash(moot_engine_view(world->engine)));
    }
    moot_buffer_deinit(&body);
}

/* A replica restarts from its store. */
static void restart(struct world *world)
{
    world_flush(world);
    struct moot_call_shared *before = malloc(sizeof(*before));
    *before = *moot_engine_shared(world->engine);
    moot_engine_destroy(world->engine);
    world->engine = moot_engine_make(world->store, MOOT_GROUP_DB0);
    assert_int_equal(moot_engine_status(world->engine), MOOT_OK);
    const struct moot_call_shared *after = moot_engine_shared(world->engine);
    assert_memory_equal(before->keyspace_of, after->keyspace_of, sizeof(after->keyspace_of));
    assert_memory_equal(before->sums, after->sums, sizeof(after->sums));
    assert_true(before->contents_digest == after->contents_digest);
    free(before);
}

/* Entries that do nothing else, until nothing dead is left in the store. */
static void collect_all(struct world *world)
{
    for (int i = 0; moot_engine_shared(world->engine)->garbage_count > 0; i++) {
        assert_true(i < 10000);
        (void)world_write(world, "DEL nothing");
    }
}

/* Goal: replicas whose stores block at other moments, that flush, restart and remember differently,
 * give the same replies, chain and contents; and at every flush the number of keys, the digests,
 * the expiry index and the elements are what the contents say. Method: random entries on three
 * engines, one of which never blocks. */
static void replicas_agree(void **state)
{
    (void)state;
    uint64_t restarts = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct moot_rng rng;
        struct world replicas[3];
        moot_rng_init(&rng, seed);
        for (size_t r = 0; r < 3; r++) {
            world_make(&replicas[r], seed * 10 + r, r == 0 ? 0 : 2 + (uint32_t)r);
            moot_view_remember(moot_engine_view(replicas[r].engine), r == 1 ? 0 : 64 * 1024);
            replicas[r].flush_each = r == 1;
        }
        for (int i = 0; i < 250; i++) {
            random_entry(&rng, replicas, 3);
            for (size_t r = 0; r < 3; r++) {
                assert_int_equal(world_run(&replicas[r]), MOOT_OK);
                assert_true(moot_slice_equal(moot_buffer_slice(&replicas[r].replies),
                                             moot_buffer_slice(&replicas[0].replies)));
                assert_true(replicas[r].chain == replicas[0].chain);
                replicas[r].now_ms += 3 * (i % 2 == 0);
            }
            if (i % 5 == 0) {
                expire_due(replicas, 3, 4);
                assert_true(replicas[2].chain == replicas[0].chain);
            }
            if (moot_rng_chance(&rng, 1, 10)) {
                size_t r = moot_rng_below(&rng, 3);
                world_flush(&replicas[r]);
                contents_check(&replicas[r]);
            }
            if (moot_rng_chance(&rng, 1, 40)) {
                restart(&replicas[moot_rng_below(&rng, 3)]);
            }
        }
        for (size_t r = 0; r < 3; r++) {
            collect_all(&replicas[r]);
            world_flush(&replicas[r]);
            contents_check(&replicas[r]);
            assert_true(moot_store_memory_digest(replicas[r].store) ==
                        moot_store_memory_digest(replicas[0].store));
            restarts += replicas[r].restarts;
        }
        for (size_t r = 0; r < 3; r++) {
            world_end(&replicas[r]);
        }
    }
    assert_true(restarts > 100);
}

/* Goal: one fetch serves a batch: what later items will miss is found too. Method: 200 cold keys of
 * two kinds in one batch; heads and then elements are two rounds, not four hundred. */
static void one_fetch_serves_a_batch(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 3, 1); /* Everything blocks until it is fetched. */
    moot_view_remember(moot_engine_view(world.engine), 0);
    char line[64];
    for (int round = 0; round < 2; round++) {
        world.restarts = 0;
        for (int i = 0; i < 100; i++) {
            snprintf(line, sizeof(line), "SET s%d x", i);
            world_add(&world, 0, 0, NULL, line);
            snprintf(line, sizeof(line), "HSET h%d f x g x", i);
            world_add(&world, 0, 0, NULL, line);
        }
        world.is_read = false;
        assert_int_equal(world_run(&world), MOOT_OK);
        assert_true(world.restarts > 0);
        assert_true(world.restarts <= 4);
    }
    world_end(&world);
}

/* ---- EXEC and WATCH ---- */

static struct moot_stamp stamp_of(struct world *world, const char *key)
{
    char line[64];
    snprintf(line, sizeof(line), "WATCH %s", key);
    world->is_read = true;
    world_add(world, MOOT_ITEM_STAMP, 0, NULL, line);
    assert_int_equal(world_run(world), MOOT_OK);
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&world->replies));
    assert_int_equal(moot_get_varint(&reader), 12);
    struct moot_stamp stamp;
    stamp.time = moot_get_u64(&reader);
    stamp.ordinal = moot_get_u32(&reader);
    assert_false(reader.failed);
    return stamp;
}

/* Goal: EXEC runs exactly when the watched key was not touched: by any kind of write, deletion,
 * expiry, rename, flush or exchange; touching another key does not matter. Method: a table of what
 * happens between WATCH and EXEC, for a key that is there and one that is not. */
static void watch_sees_every_change(void **state)
{
    (void)state;
    static const struct {
        const char *before, *between;
        bool runs;
    } cases[] = {
        {"SET k 1", NULL, true},
        {"DEL k", NULL, true},
        {"SET k 1", "SET other 1", true},
        {"SET k 1", "GET k", true},
        {"SET k 1", "INCRBY k x", true}, /* failed: undone */
        {"SET k 1", "SET k 1", false},   /* the same value again */
        {"SET k 1", "INCR k", false},
        {"SET k 1", "DEL k", false},
        {"DEL k", "SET k 1", false},
        {"HSET k f v", "HSET k g v", false},
        {"HSET k f v", "HDEL k f", false},
        {"RPUSH k a", "LPOP k", false},
        {"SET k 1", "EXPIRE k 100", false},
        {"SET k 1", "RENAME k other", false},
        {"SET k 1", "FLUSHDB", false},
        {"SET k 1", "SWAPDB 0 1", false},
        {"SET k 1", "MOVE k 1", false},
        {"SET k 1 PX 10", "EXPIRE", false}, /* time passes */
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        for (int again = 0; again < 2; again++) {
            struct world world;
            world_make(&world, i, 2);
            (void)world_write(&world, cases[i].before);
            struct moot_stamp stamp = stamp_of(&world, "k");
            if (cases[i].between != NULL && strcmp(cases[i].between, "EXPIRE") == 0) {
                world.now_ms += 11;
            } else if (cases[i].between != NULL) {
                (void)world_write(&world, cases[i].between);
                if (again == 1 && strncmp(cases[i].between, "SET k", 5) == 0) {
                    (void)world_write(&world, "DEL k"); /* There and gone. */
                }
            }
            static const char *const body[] = {"SET done 1", "GET done"};
            world.is_read = false;
            add_exec(&world, body, 2, "k", stamp, 0);
            assert_int_equal(world_run(&world), MOOT_OK);
            assert_string_equal(world_replies(&world), cases[i].runs ? "*2.+OK.$1.1." : "*-1.");
            assert_string_equal(world_read(&world, "EXISTS done"), cases[i].runs ? ":1." : ":0.");
            contents_check(&world);
            world_end(&world);
        }
    }
}

/* ---- replies that are too large ---- */

/* How many replies of the last run are errors that begin so; and how many there are. */
static uint32_t count_errors(struct world *world, const char *begin, uint32_t *all)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&world->replies));
    uint32_t count = 0;
    for (*all = 0; moot_reader_left(&reader) > 0; (*all)++) {
        struct moot_slice reply = moot_get_bytes(&reader);
        assert_false(reader.failed);
        count += reply.size >= strlen(begin) && memcmp(reply.data, begin, strlen(begin)) == 0;
    }
    return count;
}

/* Goal: what one run answers is bounded, as reads, as an entry, and as EXEC; what is refused has
 * done nothing, and short replies are always given. Method: a value of 7 MB, asked for in each way
 * until it is too much. */
static void replies_are_bounded(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 5, 0);
    world_add(&world, 0, 0, NULL, "setrange k 7339999 x");
    assert_int_equal(world_run(&world), MOOT_OK);
    for (int is_read = 0; is_read < 2; is_read++) {
        world.is_read = is_read == 1;
        for (int i = 0; i < 5; i++) {
            world_add(&world, 0, 0, NULL, "get k");
        }
        world_add(&world, 0, 0, NULL, "strlen k");
        world_add(&world, 0, 0, NULL, "mget k k k");
        assert_int_equal(world_run(&world), MOOT_OK);
        uint32_t all;
        assert_int_equal(count_errors(&world, "-TRYAGAIN ", &all), 3);
        assert_int_equal(count_errors(&world, "-ERR the reply would be larger", &all), 1);
        assert_int_equal(count_errors(&world, ":7340000", &all), 1);
        assert_int_equal(all, 7);
        assert_true(world.replies.size <= MOOT_REPLIES_BYTES_MAX);
    }
    world.is_read = false;
    world_add(&world, 0, 0, NULL, "get k");
    world_add(&world, 0, 0, NULL, "get k");
    world_add(&world, 0, 0, NULL, "getdel k");
    world_add(&world, 0, 0, NULL, "set other y");
    assert_int_equal(world_run(&world), MOOT_OK);
    uint32_t all;
    assert_int_equal(count_errors(&world, "-TRYAGAIN ", &all), 1);
    static const char *const body[] = {"set other z", "get k", "get k", "get k", "del k"};
    add_exec(&world, body, MOOT_ARRAY_LEN(body), NULL, (struct moot_stamp){0, 0}, 0);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_int_equal(count_errors(&world, "-ERR the reply would be larger", &all), 1);
    assert_int_equal(all, 1);
    world_add(&world, 0, 0, NULL, "get other");
    world_add(&world, 0, 0, NULL, "strlen k");
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(world_replies(&world), "$1.y.:7340000.");
    world_end(&world);
}

/* Goal: inside EXEC errors stay inside, SELECT moves the following commands, a command that would
 * wait answers null, and what an edge answers is answered. Method: one EXEC with all of it. */
static void exec_answers_each(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    static const char *const body[] = {"SET a 1",   "HSET a f v", "SELECT 2",  "SET a 2",
                                       "SELECT 16", "BLPOP l 0",  "PING",      "PING x",
                                       "ECHO y",    "TIME",       "CLIENT ID", "NOSUCH",
                                       "GET a",     "SELECT 0",   "INCR a"};
    add_exec(&world, body, MOOT_ARRAY_LEN(body), NULL, (struct moot_stamp){0, 0}, 0);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(
        world_replies(&world),
        "*15.+OK.-WRONGTYPE Operation against a key holding the wrong kind of value.+OK.+OK."
        "-ERR DB index is out of range.*-1.+PONG.$1.x.$1.y.*2.$7.1000000.$1.0."
        "-ERR this command is not allowed inside a transaction."
        "-ERR unknown command 'NOSUCH' in this release.$1.2.+OK.:2.");
    add_exec(&world, body, 0, NULL, (struct moot_stamp){0, 0}, 0);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(world_replies(&world), "*0.");
    contents_check(&world);
    world_end(&world);
}

/* ---- limits and refusals ---- */

/* Goal: past its budget a command is refused with an error, and leaves nothing; the others of its
 * batch are untouched. Method: an EXEC that reads a hash of 20,000 fields until a million. */
static void budget_is_a_clear_error(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    struct moot_slice *args = malloc(sizeof(*args) * 40002);
    char(*fields)[8] = malloc(sizeof(*fields) * 20000);
    args[0] = MOOT_SLICE_LITERAL("HSET");
    args[1] = MOOT_SLICE_LITERAL("h");
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(fields[i], sizeof(fields[i]), "%u", i);
        args[2 + 2 * i] = args[3 + 2 * i] = moot_slice_text(fields[i]);
    }
    moot_item_put(&world.batch, 0, 0, (struct moot_slice){0}, args, 40002);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(world_replies(&world), ":20000.");
    const char *body[60];
    for (size_t i = 0; i < 60; i++) {
        body[i] = i == 58 ? "SET late 1" : "HLEN h";
        body[i] = i < 55 ? "HKEYS h" : body[i];
    }
    add_exec(&world, body, 60, NULL, (struct moot_stamp){0, 0}, 0);
    world_add(&world, 0, 0, NULL, "SET after 1");
    assert_int_equal(world_run(&world), MOOT_OK);
    const char *text = world_replies(&world);
    assert_non_null(strstr(text, "-ERR this command touches more elements than one write may."));
    assert_string_equal(text + strlen(text) - 5, ".+OK.");
    assert_string_equal(world_read(&world, "EXISTS late after"), ":1.");
    contents_check(&world);
    free(args);
    free(fields);
    world_end(&world);
}

/* Goal: when space is short what grows is refused, and deleting goes on. Method: by hand. */
static void growth_is_refused(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    (void)world_write(&world, "SET a 1");
    world.refuse_growth = true;
    assert_string_equal(world_write(&world, "SET b 1"),
                        "-OOM command not allowed: the disk is nearly full.");
    static const char *const body[] = {"DEL a", "SET b 1"};
    add_exec(&world, body, 2, NULL, (struct moot_stamp){0, 0}, 0);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(
        world_replies(&world),
        "-EXECABORT Transaction discarded because of: OOM the disk is nearly full.");
    add_exec(&world, body, 1, NULL, (struct moot_stamp){0, 0}, 0);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(world_replies(&world), "*1.:1.");
    world_end(&world);
}

/* Goal: a blocking command whose turn has not come takes nothing, and fails as it would anyway; one
 * that has waited passes over what is no list. Method: DEFER, RETRY. */
static void deferred_does_not_try(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    (void)world_write(&world, "RPUSH l a");
    assert_int_equal(moot_engine_shared(world.engine)->signal_count, 1);
    world_add(&world, MOOT_ITEM_BLOCKING | MOOT_ITEM_DEFER, 0, NULL, "BLPOP l 0");
    world_add(&world, MOOT_ITEM_BLOCKING, 0, NULL, "BLPOP l 0");
    uint64_t length;
    assert_true(moot_engine_list_length(world.engine, 0, MOOT_SLICE_LITERAL("l"), &length));
    assert_int_equal(length, 1);
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(world_replies(&world), "~*2.$1.l.$1.a.");
    assert_false(moot_engine_list_length(world.engine, 0, MOOT_SLICE_LITERAL("l"), &length));
    (void)world_write(&world, "SET s x");
    (void)world_write(&world, "RPUSH l b");
    world_add(&world, MOOT_ITEM_BLOCKING | MOOT_ITEM_DEFER, 0, NULL, "BLPOP s l 0");
    world_add(&world, MOOT_ITEM_BLOCKING | MOOT_ITEM_DEFER, 0, NULL, "BLPOP l s 0");
    world_add(&world, MOOT_ITEM_BLOCKING | MOOT_ITEM_RETRY, 0, NULL, "BLPOP s 0");
    world_add(&world, MOOT_ITEM_BLOCKING | MOOT_ITEM_RETRY, 0, NULL, "BLPOP s l 0");
    world_add(&world, MOOT_ITEM_DEFER, 0, NULL, "SET s y");
    assert_int_equal(world_run(&world), MOOT_OK);
    assert_string_equal(
        world_replies(&world),
        "-WRONGTYPE Operation against a key holding the wrong kind of value.~~*2.$1.l.$1.b.~");
    world_end(&world);
}

/* Goal: a malformed batch changes nothing and answers nothing, whatever is wrong with it. Method:
 * every truncation and random damage of a good batch. */
static void malformed_changes_nothing(void **state)
{
    (void)state;
    struct world world;
    struct moot_rng rng;
    world_make(&world, 1, 0);
    moot_rng_init(&rng, 5);
    static const char *const body[] = {"SET a 1", "GET a"};
    world_add(&world, 0, 0, NULL, "SET k v");
    add_exec(&world, body, 2, "k", (struct moot_stamp){0, 0}, 0);
    world_add(&world, 0, 0, "1000000000:x", "SET k v");
    struct moot_buffer good;
    moot_buffer_init(&good);
    moot_buffer_append_slice(&good, moot_buffer_slice(&world.batch));
    for (size_t i = 0; i < good.size + 2000; i++) {
        world.batch.size = 0;
        moot_buffer_append(&world.batch, good.data, i < good.size ? i : good.size);
        if (i >= good.size) {
            size_t at = moot_rng_below(&rng, good.size);
            world.batch.data[at] = (uint8_t)moot_rng_next(&rng);
        }
        uint64_t chain = world.chain, digest = moot_engine_shared(world.engine)->contents_digest;
        int status = world_run(&world);
        assert_true(status == MOOT_OK || status == MOOT_EINVALID);
        if (status == MOOT_EINVALID) {
            assert_int_equal(world.replies.size, 0);
            assert_true(chain == world.chain);
            assert_true(digest == moot_engine_shared(world.engine)->contents_digest);
        }
    }
    contents_check(&world);
    moot_buffer_deinit(&good);
    world_end(&world);
}

/* ---- time to live ---- */

/* Goal: a read never shows a key past its expiry, and asks for it to be expired; after that entry
 * it is gone. A key that was given a longer life in between stays. Method: the clock by hand. */
static void due_keys_are_absent(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 3);
    (void)world_write(&world, "SET k v PX 100");
    (void)world_write(&world, "SET longer v PX 100");
    world.now_ms += 99;
    assert_string_equal(world_read(&world, "GET k"), "$1.v.");
    world.now_ms += 1;
    world.is_read = true;
    world_add(&world, 0, 0, NULL, "GET k");
    assert_int_equal(world_run(&world), MOOT_EDUE);
    assert_int_equal(world.replies.size, 0);
    const struct moot_call_shared *shared = moot_engine_shared(world.engine);
    assert_true(moot_slice_equal(shared->due_key, MOOT_SLICE_LITERAL("k")));
    assert_int_equal(shared->sums[0].count, 2); /* A read deletes nothing. */
    struct moot_buffer body;
    uint32_t count;
    uint64_t next_ms;
    moot_buffer_init(&body);
    for (int i = 0; i < 2; i++) { /* Until it is executed it is asked for again. */
        body.size = 0;
        while (moot_engine_due(world.engine, world.now_ms, 10, &body, &count, &next_ms) ==
               MOOT_EWOULDBLOCK) {
            world_fetch(&world);
        }
        assert_int_equal(count, 2);
    }
    assert_string_equal(world_write(&world, "GET longer"), "$-1."); /* In the log it is deleted. */
    (void)world_write(&world, "SET longer v PX 100");
    struct moot_stamp stamp = {moot_hlc_pack(world.now_ms, 1000), 0};
    int status;
    while ((status = moot_engine_expire(world.engine, ++world.index, stamp,
                                        moot_buffer_slice(&body))) == MOOT_EWOULDBLOCK) {
        world_fetch(&world);
    }
    assert_int_equal(status, MOOT_OK);
    world_flush(&world);
    assert_string_equal(world_read(&world, "EXISTS k longer"), ":1.");
    contents_check(&world);
    body.size = 0;
    while (moot_engine_due(world.engine, world.now_ms, 10, &body, &count, &next_ms) ==
           MOOT_EWOULDBLOCK) {
        world_fetch(&world);
    }
    assert_int_equal(count, 0);
    assert_true(next_ms == world.now_ms + 100);
    (void)world_write(&world, "SET sooner v PX 5");
    assert_int_equal(moot_engine_due(world.engine, world.now_ms, 10, &body, &count, &next_ms),
                     MOOT_OK);
    assert_true(next_ms == world.now_ms + 5);
    moot_buffer_deinit(&body);
    world_end(&world);
}

/* ---- ids ---- */

#define ID "1000000000:a"

/* Goal: a command sent again under its id is answered as the first time and not run; everything
 * else about ids is a clear refusal that does nothing. Method: by hand, across a restart. */
static void ids_run_once(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 3);
    assert_string_equal(world_write_id(&world, ID, "INCR n"), ":1.");
    assert_string_equal(world_write_id(&world, ID, "INCR n"), ":1.");
    restart(&world);
    assert_string_equal(world_write_id(&world, ID, "INCR n"), ":1.");
    assert_string_equal(world_write_id(&world, ID, "INCR m"),
                        "-IDMISMATCH this id was used with another command; nothing was done.");
    assert_string_equal(world_write_id(&world, "1000000000:b", "INCR n"), ":2.");
    assert_string_equal(world_write_id(&world, "1000000000:c", "HSET n f v"),
                        "-WRONGTYPE Operation against a key holding the wrong kind of value.");
    (void)world_write(&world, "DEL n");
    assert_string_equal(world_write_id(&world, "1000000000:c", "HSET n f v"),
                        "-WRONGTYPE Operation against a key holding the wrong kind of value.");
    static const char *const bad[] = {"x",
                                      "123",
                                      ":x",
                                      "12",
                                      "1000000000:",
                                      "01:x",
                                      "00003b9a-ca00-4000-8000-000000000000",
                                      "00003b9a-ca00-7000-0000-000000000000",
                                      "00003b9a-ca00-7000-8000-00000000000g"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad); i++) {
        assert_string_equal(world_write_id(&world, bad[i], "INCR bad"),
                            "-ERR the id must be a UUID of version 7, or milliseconds:anything.");
    }
    /* 0x3b9aca00 ms is the moment at which this world began. */
    assert_string_equal(world_write_id(&world, "00003b9a-ca00-7abc-8def-0123456789ab", "INCR uuid"),
                        ":1.");
    assert_string_equal(world_write_id(&world, "00003b9a-ca00-7abc-8def-0123456789ab", "INCR uuid"),
                        ":1.");
    assert_string_equal(world_write_id(&world, "2000000000:x", "INCR bad"),
                        "-ERR the id must not be made in the future; nothing was done.");
    world.now_ms += MOOT_ID_RETENTION_MS;
    assert_string_equal(world_write_id(&world, "1000000000:b", "INCR n"), ":2.");
    world.now_ms += 1;
    assert_string_equal(world_write_id(&world, "1000000000:b", "INCR n"),
                        "-IDEXPIRED this id is older than ids are remembered; nothing was done.");
    assert_string_equal(world_read(&world, "EXISTS n bad"), ":0.");
    world_end(&world);
}

/* Goal: what a waiting command has not done is not remembered: once woken it runs, then not again.
 * Method: BLPOP under an id before and after a push. */
static void ids_of_waiting_commands(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    assert_string_equal(world_write_id(&world, ID, "BLPOP l 0"), "~");
    (void)world_write(&world, "RPUSH l a b");
    assert_string_equal(world_write_id(&world, ID, "BLPOP l 0"), "*2.$1.l.$1.a.");
    assert_string_equal(world_write_id(&world, ID, "BLPOP l 0"), "*2.$1.l.$1.a.");
    assert_string_equal(world_read(&world, "LLEN l"), ":1.");
    world_end(&world);
}

static uint64_t count_records(struct world *world)
{
    struct moot_store *store = world->store;
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_store_iterator *iterator;
    struct moot_slice key, value;
    struct moot_range all = {MOOT_SLICE_LITERAL("\x01"), MOOT_SLICE_LITERAL("\x02")};
    uint64_t count = 0;
    assert_int_equal(store->ops->iterate(store, pin, all, false, &iterator), MOOT_OK);
    while (store->ops->entry(iterator, &key, &value) == MOOT_OK) {
        count++;
        (void)store->ops->next(iterator);
    }
    store->ops->iterate_end(iterator);
    store->ops->unpin(store, pin);
    return count;
}

/* Goal: ids are bounded in bytes by refusing new ones, never by forgetting; when they are old they
 * go, and there is room again. Method: replies of 60 KiB under new ids until it is full. */
static void ids_are_bounded(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    char *value = calloc(1, 60001), id[64], line[64];
    memset(value, 'x', 60000);
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("SET"), MOOT_SLICE_LITERAL("k"),
                                moot_slice_make(value, 60000)};
    moot_item_put(&world.batch, 0, 0, (struct moot_slice){0}, args, 3);
    assert_int_equal(world_run(&world), MOOT_OK);
    int done = 0;
    for (;; done++) {
        snprintf(id, sizeof(id), "1000000000:%d", done);
        const char *reply = world_write_id(&world, id, "GETRANGE k 0 -1");
        if (reply[0] == '-') {
            assert_memory_equal(reply, "-OVERLOADED", 11);
            break;
        }
        assert_true(done < 1000);
    }
    assert_true(done > 200);
    assert_string_equal(world_write_id(&world, "1000000000:0", "SET k other"),
                        "-IDMISMATCH this id was used with another command; nothing was done.");
    world.now_ms += MOOT_ID_RETENTION_MS + 1;
    for (int i = 0; i < done / MOOT_ID_REMOVE_MAX + 2; i++) {
        snprintf(line, sizeof(line), "SET other %d", i);
        (void)world_write(&world, line);
    }
    assert_int_equal(count_records(&world), 1); /* The engine's own. */
    snprintf(id, sizeof(id), "%llu:again", (unsigned long long)world.now_ms);
    assert_string_equal(world_write_id(&world, id, "SET k 1"), "+OK.");
    free(value);
    world_end(&world);
}

/* ---- garbage ---- */

static void add_many(struct world *world, const char *command, const char *key, int count)
{
    char line[64];
    for (int i = 0; i < count; i++) {
        snprintf(line, sizeof(line), "%s %s f%d%s", command, key, i,
                 strcmp(command, "HSET") == 0 ? " v" : "");
        world_add(world, 0, 0, NULL, line);
    }
    world->is_read = false;
    assert_int_equal(world_run(world), MOOT_OK);
}

/* Goal: deleting, replacing, expiring or flushing what is large costs little at once, hides it at
 * once, and leaves nothing in the end; a name used again meanwhile is untouched by the collection.
 * Method: each of them on 500 elements, counting the keys that each entry takes from the store. */
static void large_remains_go_by_pieces(void **state)
{
    (void)state;
    static const char *const ends[] = {"DEL big",        "SET big v",
                                       "FLUSHDB",        "RENAME other big",
                                       "PEXPIRE big -1", "COPY other big REPLACE"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(ends); i++) {
        struct world world;
        world_make(&world, i + 1, 3);
        (void)world_write(&world, "SET other x");
        add_many(&world, i % 2 == 0 ? "HSET" : "RPUSH", "big", 500);
        add_many(&world, "HSET", "stays", 500);
        (void)world_write(&world, ends[i]);
        assert_true(moot_engine_shared(world.engine)->garbage_count > 0);
        contents_check(&world);
        assert_string_equal(world_read(&world, "HLEN stays"), i == 2 ? ":0." : ":500.");
        (void)world_write(&world, "DEL big");
        add_many(&world, "HSET", "big", 100);
        restart(&world);
        collect_all(&world);
        contents_check(&world); /* With no garbage noted every key must be alive. */
        assert_string_equal(world_read(&world, "HLEN big"), ":100.");
        world_end(&world);
    }
}

/* Goal: garbage that begins where other garbage does, which lies within it, is collected with it,
 * and nothing is counted twice. Method: a list is half collected when all is flushed; whatever
 * number of keys is before it, one of them ends a piece of the flushed keyspace just where the list
 * goes on. */
static void garbage_lies_within_garbage(void **state)
{
    (void)state;
    for (int before = 1; before < 4 * MOOT_COLLECT_MAX; before++) {
        struct world world;
        char line[32];
        world_make(&world, (uint64_t)before + 1, 3);
        for (int i = 0; i < before; i++) {
            snprintf(line, sizeof(line), "SET a%03d x", i);
            world_add(&world, 0, 0, NULL, line);
        }
        world.is_read = false;
        assert_int_equal(world_run(&world), MOOT_OK);
        add_many(&world, "RPUSH", "big", 300);
        (void)world_write(&world, "DEL big");
        assert_true(moot_engine_shared(world.engine)->garbage_count == 1);
        (void)world_write(&world, "FLUSHDB");
        collect_all(&world);
        (void)world_write(&world, "SET again x");
        contents_check(&world);
        world_end(&world);
    }
}

/* Goal: generations of a keyspace come round, and are never shared with remains. Method: 5,000
 * flushes one by one, then 4,200 in one entry, so that the next generation is not yet collected. */
static void generations_come_round(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    for (int i = 0; i < 5000; i++) {
        world_add(&world, 0, 0, NULL, "SET k v");
        world_add(&world, 0, 0, NULL, "FLUSHDB");
        assert_int_equal(world_run(&world), MOOT_OK);
    }
    collect_all(&world);
    contents_check(&world);
    for (int i = 0; i < 4200; i++) {
        world_add(&world, 0, 0, NULL, "SET k v");
        world_add(&world, 0, 0, NULL, "FLUSHDB");
    }
    world_add(&world, 0, 0, NULL, "SET k last");
    world_add(&world, 0, 0, NULL, "KEYS *");
    assert_int_equal(world_run(&world), MOOT_OK);
    collect_all(&world);
    contents_check(&world);
    assert_string_equal(world_read(&world, "GET k"), "$4.last.");
    assert_string_equal(world_read(&world, "DBSIZE"), ":1.");
    world_end(&world);
}

/* Goal: an expiry entry that was made before a flush touches nothing after it, and a waiter whose
 * keyspace was flushed is told to look again. Method: by hand. */
static void a_flush_overtakes(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 0);
    (void)world_write(&world, "SET k v PX 10");
    world.now_ms += 20;
    struct moot_buffer body;
    uint32_t due;
    uint64_t next_ms, length;
    moot_buffer_init(&body);
    assert_int_equal(moot_engine_due(world.engine, world.now_ms, 10, &body, &due, &next_ms),
                     MOOT_OK);
    assert_int_equal(due, 1);
    (void)world_write(&world, "FLUSHDB");
    assert_true(moot_engine_shared(world.engine)->signals_lost);
    assert_true(moot_engine_list_length(world.engine, 0, MOOT_SLICE_LITERAL("l"), &length));
    struct moot_stamp stamp = {moot_hlc_pack(world.now_ms, 1000), 0};
    assert_int_equal(
        moot_engine_expire(world.engine, ++world.index, stamp, moot_buffer_slice(&body)), MOOT_OK);
    world_flush(&world);
    contents_check(&world);
    moot_buffer_deinit(&body);
    world_end(&world);
}

/* Goal: after a snapshot the engine shows the new contents. Method: another engine's store. */
static void reset_reads_anew(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, 1, 1);
    (void)world_write(&world, "SET a 1");
    struct moot_engine *other = moot_engine_make(world.store, MOOT_GROUP_DB0);
    (void)world_write(&world, "SET b 1");
    (void)world_write(&world, "SWAPDB 0 5");
    moot_engine_reset(other);
    assert_int_equal(moot_engine_status(other), MOOT_OK);
    assert_int_equal(moot_engine_shared(other)->sums[0].count, 2);
    assert_int_equal(moot_engine_shared(other)->keyspace_of[5], 0);
    assert_true(moot_engine_shared(other)->contents_digest ==
                moot_engine_shared(world.engine)->contents_digest);
    moot_engine_destroy(other);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_order),
        cmocka_unit_test(replies_of_every_size),
        cmocka_unit_test(replicas_agree),
        cmocka_unit_test(one_fetch_serves_a_batch),
        cmocka_unit_test(watch_sees_every_change),
        cmocka_unit_test(exec_answers_each),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(budget_is_a_clear_error),
        cmocka_unit_test(growth_is_refused),
        cmocka_unit_test(deferred_does_not_try),
        cmocka_unit_test(malformed_changes_nothing),
        cmocka_unit_test(due_keys_are_absent),
        cmocka_unit_test(ids_run_once),
        cmocka_unit_test(ids_of_waiting_commands),
        cmocka_unit_test(ids_are_bounded),
        cmocka_unit_test(large_remains_go_by_pieces),
        cmocka_unit_test(garbage_lies_within_garbage),
        cmocka_unit_test(generations_come_round),
        cmocka_unit_test(a_flush_overtakes),
        cmocka_unit_test(reset_reads_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
