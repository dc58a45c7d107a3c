#include "command_script.h"

#define RUN(steps) script_run(steps, MOOT_ARRAY_LEN(steps))
#define WRONG      "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT    "-ERR value is not an integer or out of range"

static void fields(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"HGET h f", "$-1"},
        {"HLEN h", ":0"},
        {"HEXISTS h f", ":0"},
        {"HSTRLEN h f", ":0"},
        {"HGETALL h", "*0"},
        {"HKEYS h", "*0"},
        {"HVALS h", "*0"},
        {"HMGET h a b", "*2 $-1 $-1"},
        {"HDEL h a", ":0"},
        {"HSET h f v g w", ":2"},
        {"HSET h f x i y", ":1"},
        {"HSET h a b c", "-ERR wrong number of arguments for 'hset' command"},
        {"HMSET h a b c", "-ERR wrong number of arguments for 'hmset' command"},
        {"HMSET h j 1 j 22", "+OK"},
        {"HLEN h", ":4"},
        {"HGET h f", "$1 x"},
        {"HGET h j", "$2 22"},
        {"HSTRLEN h j", ":2"},
        {"HEXISTS h g", ":1"},
        {"HMGET h f nosuch g f", "*4 $1 x $-1 $1 w $1 x"},
        {"HGETALL h", "~ *8 $1 f $1 x $1 g $1 w $1 i $1 y $1 j $2 22"},
        {"HKEYS h", "~ *4 $1 f $1 g $1 i $1 j"},
        {"HVALS h", "~ *4 $1 x $1 w $1 y $2 22"},
        {"HSETNX h f no", ":0"},
        {"HSETNX h n yes", ":1"},
        {"HDEL h n j nosuch n", ":2"},
        {"HLEN h", ":3"},
        {"EXPIRE h 100", ":1"},
        {"HSET h f z", ":0"},
        {"TTL h", ":100"},
        {"HDEL h f g i", ":3"},
        {"EXISTS h", ":0"},
        {"DBSIZE", ":0"},
        {"HSETNX h f v", ":1"},
        {"TTL h", ":-1"},
        {"HSET h \"\" empty", ":1"},
        {"HGET h \"\"", "$5 empty"},
        {"HSET h \"a b\\r\\n\\0\" \"\"", ":1"},
        {"HGET h \"a b\\r\\n\\0\"", "$0 "},
        {"!resp3", ""},
        {"HDEL h \"\" \"a b\\r\\n\\0\"", ":2"},
        {"HGETALL h", "%1 $1 f $1 v"},
        {"HGETALL nosuch", "%0"},
        {"HGET h nosuch", "_"},
        {"!resp2", ""},
        {"SET s v", "+OK"},
        {"HSET s f v", WRONG},
        {"HGET s f", WRONG},
        {"HMGET s f", WRONG},
        {"HGETALL s", WRONG},
        {"HDEL s f", WRONG},
        {"HLEN s", WRONG},
        {"HINCRBY s f 1", WRONG},
        {"HINCRBYFLOAT s f 1", WRONG},
        {"HSETNX s f 1", WRONG},
        {"HSCAN s 0", WRONG},
        {"HRANDFIELD s", WRONG},
        {"GET h", WRONG},
        {"LPUSH h x", WRONG},
        {"SET h v", "+OK"},
        {"DEL h", ":1"},
        {"HGETALL h", "*0"},
    };
    RUN(steps);
}

static void counters(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"HINCRBY h n 5", ":5"},
        {"HINCRBY h n -7", ":-2"},
        {"HGET h n", "$2 -2"},
        {"HINCRBY h n x", NOT_INT},
        {"HSET h n 9223372036854775807", ":0"},
        {"HINCRBY h n 1", "-ERR increment or decrement would overflow"},
        {"HSET h s abc", ":1"},
        {"HINCRBY h s 1", "-ERR hash value is not an integer"},
        {"HINCRBYFLOAT h s 1", "-ERR hash value is not a float"},
        {"HINCRBYFLOAT h f 10.5", "$4 10.5"},
        {"HINCRBYFLOAT h f 0.1", "$4 10.6"},
        {"HINCRBYFLOAT h f -10.6", "$1 0"},
        {"HINCRBYFLOAT h f x", "-ERR value is not a valid float"},
        {"HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity"},
        {"HINCRBY new n 9223372036854775808", NOT_INT},
        {"EXISTS new", ":0"},
        {"HLEN h", ":3"},
    };
    RUN(steps);
}

static void random_fields(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"HRANDFIELD h", "$-1"},
        {"HRANDFIELD h 5", "*0"},
        {"HRANDFIELD h -5", "*0"},
        {"HSET h f v", ":1"},
        {"HRANDFIELD h", "$1 f"},
        {"HRANDFIELD h 0", "*0"},
        {"HRANDFIELD h 5", "*1 $1 f"},
        {"HRANDFIELD h -3", "*3 $1 f $1 f $1 f"},
        {"HRANDFIELD h -2 WITHVALUES", "*4 $1 f $1 v $1 f $1 v"},
        {"HSET h g w", ":1"},
        {"HRANDFIELD h 2 withvalues", "~ *4 $1 f $1 v $1 g $1 w"},
        {"!resp3", ""},
        {"HRANDFIELD h 2 withvalues", "~ *2 *2 $1 f $1 v *2 $1 g $1 w"},
        {"HRANDFIELD nosuch", "_"},
        {"HRANDFIELD nosuch 2", "*0"},
        {"HRANDFIELD h x", NOT_INT},
        {"HRANDFIELD h 1 foo", "-ERR syntax error"},
        {"HRANDFIELD h 1 withvalues x", "-ERR syntax error"},
        {"HRANDFIELD h 9223372036854775807 withvalues", "-ERR value is out of range"},
        {"HRANDFIELD h -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and "
         "9223372036854775807"},
    };
    RUN(steps);
}

static void scans(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"HSCAN nosuch 0", "*2 $1 0 *0"},
        {"HSCAN nosuch x", "-ERR invalid cursor"},
        {"HSCAN nosuch 0 FOO", "*2 $1 0 *0"},
        {"HSET h f v g w", ":2"},
        {"HSCAN h 0", "~ *2 $1 0 *4 $1 f $1 v $1 g $1 w"},
        {"HSCAN h 0 MATCH f*", "*2 $1 0 *2 $1 f $1 v"},
        {"HSCAN h 0 MATCH f* NOVALUES", "*2 $1 0 *1 $1 f"},
        {"HSCAN h 0 COUNT 0", "-ERR syntax error"},
        {"HSCAN h 0 TYPE string", "-ERR syntax error"},
        {"HSCAN h 4294967296", "*2 $1 0 *0"},
    };
    RUN(steps);
}

/* Goal: a scan gives every field that is there all the time, once, with a cursor of 32 bits.
 * Method: a thousand fields, small pages, others changing meanwhile. */
static void hscan_finds_every_field_once(void **state)
{
    (void)state;
    enum { FIELDS = 1000 };
    struct script *script = script_make(4, 3);
    char line[128];
    uint8_t seen[FIELDS] = {0};
    for (int i = 0; i < FIELDS; i++) {
        snprintf(line, sizeof line, "HSET h k%d v", i);
        script_reply(script, line);
    }
    uint64_t cursor = 0;
    do {
        snprintf(line, sizeof line, "HSCAN h %lu COUNT 37 NOVALUES MATCH k*",
                 (unsigned long)cursor);
        char *reply = strdup(script_reply(script, line)), *at = reply;
        strsep(&at, " ");
        strsep(&at, " ");
        cursor = (uint64_t)atoll(strsep(&at, " "));
        assert_true(cursor <= UINT32_MAX);
        for (char *word; (word = strsep(&at, " ")) != NULL;) {
            if (word[0] == 'k') {
                seen[atoi(word + 1)]++;
            }
        }
        free(reply);
        snprintf(line, sizeof line, "HSET h other%lu v", (unsigned long)(cursor % 50));
        script_reply(script, line);
        snprintf(line, sizeof line, "HDEL h other%lu", (unsigned long)(cursor % 41));
        script_reply(script, line);
    } while (cursor != 0);
    for (int i = 0; i < FIELDS; i++) {
        assert_int_equal(seen[i], 1);
    }
    script_end(script);
}

/* ---- the cost of a change ---- */

/* Counts what is asked of the store behind it. */
struct counting {
    struct moot_store store;
    struct moot_store_ops ops;
    struct moot_store *inner;
    uint64_t touched;
};
static uint64_t *touched_here; /* Iterators know only their own store. */

static struct moot_store *inner_of(struct moot_store *store)
{
    return ((struct counting *)store)->inner;
}
static int counting_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                        struct moot_slice *value)
{
    ((struct counting *)store)->touched++;
    return inner_of(store)->ops->get(inner_of(store), key, arena, value);
}
static int counting_iterate(struct moot_store *store, struct moot_store_pin *pin,
                            struct moot_range range, bool reverse, struct moot_store_iterator **out)
{
    ((struct counting *)store)->touched++;
    return inner_of(store)->ops->iterate(inner_of(store), pin, range, reverse, out);
}
static int (*inner_next)(struct moot_store_iterator *iterator);
static int counting_next(struct moot_store_iterator *iterator)
{
    ++*touched_here;
    return inner_next(iterator);
}
static int counting_write(struct moot_store *store, const struct moot_batch *batch)
{
    ((struct counting *)store)->touched += batch->count;
    return inner_of(store)->ops->write(inner_of(store), batch);
}
static void counting_close(struct moot_store *store)
{
    inner_of(store)->ops->close(inner_of(store));
}

/* Goal: changing, reading, emptying and replacing a hash of many fields touches as much as a hash
 * of one. Method: the same commands against both, counting what the store is asked for and what is
 * written to it. */
static void the_cost_of_a_change_is_flat(void **state)
{
    (void)state;
    enum { FIELDS = 250000, AT_ONCE = 2000 };
    struct script *script = script_make(5, 0);
    struct counting counting = {.inner = script->store, .ops = *script->store->ops};
    counting.store.ops = &counting.ops;
    inner_next = counting.ops.next;
    touched_here = &counting.touched;
    counting.ops.get = counting_get;
    counting.ops.iterate = counting_iterate;
    counting.ops.next = counting_next;
    counting.ops.write = counting_write;
    counting.ops.close = counting_close;
    moot_engine_destroy(script->engine);
    script->store = &counting.store;
    script->engine = moot_engine_make(script->store, MOOT_GROUP_DB0);

    struct moot_slice args[2 + 2 * AT_ONCE] = {MOOT_SLICE_LITERAL("hset"),
                                               MOOT_SLICE_LITERAL("large")};
    static char names[AT_ONCE][16];
    for (int i = 0; i < FIELDS; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++) {
            int size = snprintf(names[j], sizeof names[j], "f%d", i + j);
            args[2 + 2 * j] = args[3 + 2 * j] = moot_slice_make(names[j], (size_t)size);
        }
        script->argc = MOOT_ARRAY_LEN(args);
        memcpy(script->args, args, sizeof args);
        script_call(script);
    }
    assert_string_equal(script_reply(script, "HLEN large"), ":250000");
    script_reply(script, "HSET small f1 v");
    static const char *const commands[] = {
        "HSET %s f777 changed",
        "HSET %s brand new",
        "HGET %s f777",
        "HDEL %s brand",
        "HINCRBY %s n 1",
        "HLEN %s",
        "HEXISTS %s f9",
        "HSCAN %s 0 COUNT 1",
        "HRANDFIELD %s",
        "HRANDFIELD %s 1",
        "EXPIRE %s 1000",
        "PERSIST %s",
        "SCAN 0 COUNT 1",
        "KEYS *",
        "DEL %s",
        "HSET %s f1 v",
        "SET %s v",
    };
    script_flush(script);
    counting.touched = 0;
    script_reply(script, "HSCAN large 0 COUNT 2000");
    assert_true(counting.touched > 1000); /* What is not flat is seen. */
    for (size_t i = 0; i < MOOT_ARRAY_LEN(commands); i++) {
        uint64_t cost[2];
        for (int large = 0; large < 2; large++) {
            char line[64];
            snprintf(line, sizeof line, commands[i], large ? "large" : "small");
            script_flush(script);
            counting.touched = 0;
            assert_true(script_reply(script, line)[0] != '-');
            script_flush(script);
            cost[large] = counting.touched;
        }
        /* What the large one left behind is collected by later commands, a piece each. */
        uint64_t collected = i + 3 < MOOT_ARRAY_LEN(commands)
                                 ? 0
                                 : 2 * (MOOT_COLLECT_MAX + MOOT_COLLECT_FOR_EACH) + 8;
        if (cost[1] > cost[0] + 8 + collected) {
            print_error("%s: %lu touches, and %lu for the large one\n", commands[i],
                        (unsigned long)cost[0], (unsigned long)cost[1]);
            fail();
        }
    }
    script_end(script);
}

/* Goal: as many different fields as asked for, from a large hash and a small one, any of them.
 * Method: every field of a small hash is drawn in the end. */
static void random_fields_are_different(void **state)
{
    (void)state;
    struct script *script = script_make(6, 0);
    char line[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(line, sizeof line, "HSET large f%d v", i);
        script_reply(script, line);
    }
    for (uint32_t want = 1; want <= 100; want += 9) {
        snprintf(line, sizeof line, "HRANDFIELD large %u", want);
        char *reply = strdup(script_reply(script, line)), *at = reply;
        uint8_t seen[2000] = {0};
        uint32_t count = 0;
        for (char *word; (word = strsep(&at, " ")) != NULL;) {
            if (word[0] == 'f') {
                assert_int_equal(seen[atoi(word + 1)]++, 0);
                count++;
            }
        }
        assert_int_equal(count, want);
        free(reply);
    }
    script_reply(script, "HSET small a 1 b 1 c 1 d 1");
    uint32_t drawn[4] = {0};
    for (int i = 0; i < 400; i++) {
        const char *reply = script_reply(script, i % 2 ? "HRANDFIELD small" : "HRANDFIELD small 1");
        drawn[reply[strlen(reply) - 1] - 'a']++;
    }
    for (int i = 0; i < 4; i++) {
        assert_true(drawn[i] > 10);
    }
    script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(counters),
        cmocka_unit_test(random_fields),
        cmocka_unit_test(random_fields_are_different),
        cmocka_unit_test(scans),
        cmocka_unit_test(hscan_finds_every_field_once),
        cmocka_unit_test(the_cost_of_a_change_is_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
