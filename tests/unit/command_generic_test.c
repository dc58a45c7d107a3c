#include "command_script.h"

#define RUN(steps) script_run(steps, MOOT_ARRAY_LEN(steps))
#define NOT_INT    "-ERR value is not an integer or out of range"

static void deleting_and_counting(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"MSET a 1 b 2 c 3", "+OK"},
        {"HSET h f v", ":1"},
        {"RPUSH l x", ":1"},
        {"DBSIZE", ":5"},
        {"EXISTS a b a nosuch", ":3"},
        {"TOUCH a nosuch", ":1"},
        {"TYPE a", "+string"},
        {"TYPE h", "+hash"},
        {"TYPE l", "+list"},
        {"TYPE nosuch", "+none"},
        {"DEL a nosuch a", ":1"},
        {"UNLINK h l", ":2"},
        {"DBSIZE", ":2"},
        {"EXISTS h l a", ":0"},
        {"HGETALL h", "*0"},
        {"HSET h g w", ":1"},
        {"HGETALL h", "*2 $1 g $1 w"},
        {"!db 1", ""},
        {"DBSIZE", ":0"},
        {"SET a 9", "+OK"},
        {"FLUSHDB", "+OK"},
        {"DBSIZE", ":0"},
        {"!db 0", ""},
        {"DBSIZE", ":3"},
        {"FLUSHDB ASYNC", "+OK"},
        {"DBSIZE", ":0"},
        {"KEYS *", "*0"},
        {"HSET h f v", ":1"},
        {"FLUSHALL FOO", "-ERR syntax error"},
        {"FLUSHALL SYNC", "+OK"},
        {"HGETALL h", "*0"},
        {"SCAN 0", "*2 $1 0 *0"},
        {"RANDOMKEY", "$-1"},
    };
    RUN(steps);
}

static void expiry_with_every_option(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"EXPIRE k 10", ":0"},
        {"TTL k", ":-2"},
        {"EXPIRETIME k", ":-2"},
        {"SET k v", "+OK"},
        {"PTTL k", ":-1"},
        {"PEXPIRETIME k", ":-1"},
        {"EXPIRE k 10 XX", ":0"},
        {"EXPIRE k 10 GT", ":0"},
        {"EXPIRE k 10 NX", ":1"},
        {"EXPIRE k 20 NX", ":0"},
        {"EXPIRE k 5 GT", ":0"},
        {"EXPIRE k 20 GT", ":1"},
        {"EXPIRE k 30 LT", ":0"},
        {"EXPIRE k 10 LT XX", ":1"},
        {"TTL k", ":10"},
        {"PEXPIRE k 1234", ":1"},
        {"PTTL k", ":1234"},
        {"EXPIREAT k 1700000077", ":1"},
        {"TTL k", ":77"},
        {"PEXPIREAT k 1700000077777", ":1"},
        {"PEXPIRETIME k", ":1700000077777"},
        {"EXPIRETIME k", ":1700000078"},
        {"PERSIST k", ":1"},
        {"PERSIST k", ":0"},
        {"PERSIST nosuch", ":0"},
        {"EXPIRE k 10 LT", ":1"},
        {"EXPIRE k 10 NX XX",
         "-ERR NX and XX, GT or LT options at the same time are not compatible"},
        {"EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible"},
        {"EXPIRE k 10 FOO", "-ERR Unsupported option FOO"},
        {"EXPIRE k x FOO", "-ERR Unsupported option FOO"},
        {"EXPIRE k x", NOT_INT},
        {"EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"},
        {"PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"},
        {"EXPIREAT k -9223372036854775807", "-ERR invalid expire time in 'expireat' command"},
        {"!pass 9999", ""},
        {"EXISTS k", ":1"},
        {"!pass 1", ""},
        {"EXISTS k", ":0"},
        {"SET k v", "+OK"},
        {"EXPIRE k -1", ":1"},
        {"EXISTS k", ":0"},
        {"SET k v", "+OK"},
        {"PEXPIREAT k -5", ":1"},
        {"EXISTS k", ":0"},
        {"SET k v", "+OK"},
        {"EXPIRE k 0", ":1"},
        {"DBSIZE", ":0"},
        /* Due keys are gone for every command. */
        {"HSET h f v", ":1"},
        {"EXPIRE h 1", ":1"},
        {"!pass 2000", ""},
        {"KEYS *", "*0"},
        {"SCAN 0", "*2 $1 0 *0"},
        {"HSET h g w", ":1"},
        {"HGETALL h", "*2 $1 g $1 w"},
        {"TTL h", ":-1"},
        {"SET s 1 PX 5", "+OK"},
        {"!pass 5", ""},
        {"INCR s", ":1"},
        {"PTTL s", ":-1"},
    };
    RUN(steps);
}

static void renaming_and_copying(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"RENAME nosuch b", "-ERR no such key"},
        {"RENAME nosuch nosuch", "-ERR no such key"},
        {"RENAMENX nosuch b", "-ERR no such key"},
        {"SET a 1 EX 100", "+OK"},
        {"RENAME a a", "+OK"},
        {"RENAMENX a a", ":0"},
        {"RENAME a b", "+OK"},
        {"TTL b", ":100"},
        {"EXISTS a", ":0"},
        {"SET a 2", "+OK"},
        {"RENAMENX a b", ":0"},
        {"RENAMENX a c", ":1"},
        {"HSET h f v g w", ":2"},
        {"EXPIRE h 50", ":1"},
        {"RENAME h i", "+OK"},
        {"HGETALL h", "*0"},
        {"HGETALL i", "~ *4 $1 f $1 v $1 g $1 w"},
        {"TTL i", ":50"},
        {"HLEN i", ":2"},
        {"RPUSH l x y z", ":3"},
        {"LPOP l", "$1 x"},
        {"RENAME l i", "+OK"},
        {"LRANGE i 0 -1", "*2 $1 y $1 z"},
        {"LPUSH i x", ":3"},
        {"LRANGE i 0 -1", "*3 $1 x $1 y $1 z"},
        {"TTL i", ":-1"},
        {"COPY nosuch x", ":0"},
        {"COPY i i", "-ERR source and destination objects are the same"},
        {"COPY i j", ":1"},
        {"COPY i j", ":0"},
        {"COPY b j", ":0"},
        {"LPUSH j w", ":4"},
        {"LRANGE i 0 -1", "*3 $1 x $1 y $1 z"},
        {"COPY b j REPLACE", ":1"},
        {"TTL j", ":100"},
        {"GET j", "$1 1"},
        {"COPY i i DB 3", ":1"},
        {"COPY i i DB 16", "-ERR DB index is out of range"},
        {"COPY i i DB x", NOT_INT},
        {"COPY i i FOO", "-ERR syntax error"},
        {"COPY i j DB", "-ERR syntax error"},
        {"!db 3", ""},
        {"LRANGE i 0 -1", "*3 $1 x $1 y $1 z"},
        {"DBSIZE", ":1"},
    };
    RUN(steps);
}

static void databases(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"SET a 0", "+OK"},
        {"HSET h f v", ":1"},
        {"MOVE a 0", "-ERR source and destination objects are the same"},
        {"MOVE a 16", "-ERR DB index is out of range"},
        {"MOVE a -1", "-ERR DB index is out of range"},
        {"MOVE a x", NOT_INT},
        {"MOVE nosuch 1", ":0"},
        {"EXPIRE h 70", ":1"},
        {"MOVE h 1", ":1"},
        {"EXISTS h", ":0"},
        {"!db 1", ""},
        {"HGETALL h", "*2 $1 f $1 v"},
        {"TTL h", ":70"},
        {"SET a 1", "+OK"},
        {"!db 0", ""},
        {"MOVE a 1", ":0"},
        {"SWAPDB 0 1", "+OK"},
        {"GET a", "$1 1"},
        {"HGET h f", "$1 v"},
        {"DBSIZE", ":2"},
        {"!db 1", ""},
        {"GET a", "$1 0"},
        {"SWAPDB 1 1", "+OK"},
        {"GET a", "$1 0"},
        {"SWAPDB a b", "-ERR invalid first DB index"},
        {"SWAPDB 0 b", "-ERR invalid second DB index"},
        {"SWAPDB 0 16", "-ERR DB index is out of range"},
        {"FLUSHALL", "+OK"},
        {"DBSIZE", ":0"},
        {"!db 0", ""},
        {"DBSIZE", ":0"},
    };
    RUN(steps);
}

static void object_tells_what_redis_would(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"OBJECT ENCODING nosuch", "$-1"},
        {"SET k 12", "+OK"},
        {"OBJECT ENCODING k", "$3 int"},
        {"SET k short", "+OK"},
        {"OBJECT encoding k", "$6 embstr"},
        {"SET k 123456789012345678901234567890123456789012345", "+OK"},
        {"OBJECT ENCODING k", "$3 raw"},
        {"HSET h f v", ":1"},
        {"OBJECT ENCODING h", "$8 listpack"},
        {"RPUSH l v", ":1"},
        {"OBJECT ENCODING l", "$9 quicklist"},
        {"OBJECT REFCOUNT k", ":1"},
        {"SET k v", "+OK"},
        {"!pass 2500", ""},
        {"OBJECT IDLETIME k", ":2"},
        {"OBJECT FOO k", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP."},
        {"OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"},
        {"OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command"},
    };
    RUN(steps);
}

/* Splits a SCAN reply "*2 $n cursor *m $n key ..." and marks the keys that begin with `k`. */
static uint64_t scan_page(struct script *script, const char *line, uint8_t *seen, uint64_t *count)
{
    script_split(script, line);
    struct moot_slice reply = script_call(script);
    uint64_t cursor = 0;
    *count = 0;
    for (int value = 0; reply.size > 0; value++) {
        struct moot_resp_value read;
        size_t consumed;
        assert_int_equal(moot_resp_read(reply, &read, &consumed), 0);
        reply.data += consumed;
        reply.size -= consumed;
        if (value == 1) {
            assert_true(moot_slice_to_u64(read.text, &cursor));
        }
        if (value >= 3) {
            uint64_t number;
            assert_true(moot_slice_to_u64(moot_slice_make(read.text.data + 1, read.text.size - 1),
                                          &number));
            seen[number]++;
            ++*count;
        }
    }
    return cursor;
}

/* Goal: a scan of a database that changes meanwhile gives every key that was there all the time,
 * once; and stays cheap beside a large hash. Method: a thousand keys, hashes among them, pages of
 * random size, other keys coming and going. */
static void scan_finds_every_key_once(void **state)
{
    (void)state;
    enum { KEYS = 1000 };
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct script *script = script_make(seed, seed == 1 ? 0 : 5);
        char line[128];
        for (int i = 0; i < KEYS; i++) {
            snprintf(line, sizeof line, i % 3 == 0 ? "HSET k%d f v g w" : "SET k%d v", i);
            script_reply(script, line);
        }
        uint8_t seen[KEYS] = {0};
        uint64_t cursor = 0, count;
        do {
            uint64_t size = moot_rng_between(&script->rng, 1, 200);
            snprintf(line, sizeof line, "SCAN %lu COUNT %lu MATCH k*", (unsigned long)cursor,
                     (unsigned long)size);
            cursor = scan_page(script, line, seen, &count);
            assert_true(count <= size + 3);
            assert_true(cursor < UINT64_C(1) << 46);
            snprintf(line, sizeof line, "SET other%lu v", (unsigned long)size);
            script_reply(script, line);
            snprintf(line, sizeof line, "DEL other%lu",
                     (unsigned long)moot_rng_between(&script->rng, 1, 200));
            script_reply(script, line);
        } while (cursor != 0);
        for (int i = 0; i < KEYS; i++) {
            assert_int_equal(seen[i], 1);
        }
        memset(seen, 0, sizeof seen);
        assert_int_equal(scan_page(script, "SCAN 0 COUNT 5000 TYPE hash", seen, &count), 0);
        assert_int_equal(count, (KEYS + 2) / 3);
        script_reply(script, "FLUSHALL");
        script_reply(script, "SET k1 v");
        assert_string_equal(script_reply(script, "KEYS *"), "*1 $2 k1");
        assert_string_equal(script_reply(script, "KEYS x*"), "*0");
        assert_string_equal(script_reply(script, "RANDOMKEY"), "$2 k1");
        script_end(script);
    }
}

/* Goal: RANDOMKEY gives every key of a slot a chance. Method: keys with one tag. */
static void random_keys_are_spread(void **state)
{
    (void)state;
    struct script *script = script_make(9, 0);
    char line[64];
    for (int i = 0; i < 20; i++) {
        snprintf(line, sizeof line, "SET {tag}%d v", i);
        script_reply(script, line);
    }
    uint32_t drawn[20] = {0}, kinds = 0;
    for (int i = 0; i < 2000; i++) {
        const char *reply = script_reply(script, "RANDOMKEY");
        kinds += drawn[atoi(strchr(reply, '}') + 1)]++ == 0;
    }
    assert_int_equal(kinds, 20);
    script_end(script);
}

static void scan_refuses_what_redis_refuses(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"SCAN x", "-ERR invalid cursor"},
        {"SCAN 0 COUNT 0", "-ERR syntax error"},
        {"SCAN 0 COUNT x", NOT_INT},
        {"SCAN 0 FOO", "-ERR syntax error"},
        {"SCAN 0 TYPE", "-ERR syntax error"},
        {"SCAN 0 NOVALUES", "-ERR syntax error"},
        {"SCAN 0 TYPE nosuch", "*2 $1 0 *0"},
        {"SET k v", "+OK"},
        {"SCAN 0 TYPE STRING MATCH k? COUNT 10", "*2 $1 0 *0"},
        {"SCAN 0 TYPE STRING MATCH ?", "*2 $1 0 *1 $1 k"},
        {"SCAN 99999999999999", "*2 $1 0 *0"},
    };
    RUN(steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deleting_and_counting),
        cmocka_unit_test(expiry_with_every_option),
        cmocka_unit_test(renaming_and_copying),
        cmocka_unit_test(databases),
        cmocka_unit_test(object_tells_what_redis_would),
        cmocka_unit_test(scan_finds_every_key_once),
        cmocka_unit_test(random_keys_are_spread),
        cmocka_unit_test(scan_refuses_what_redis_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
