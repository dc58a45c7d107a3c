/* Goal: the simulator's clients may send every command of the table, and know what they must be
 * told. Method: each command is drawn many times and run on a lone engine; then a client's
 * judgement is told the truth, lies, and things that may be true where something is in doubt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/slice.h"
#include "database/execute/engine.h"
#include "sim/any.h"
#include "sim/grammar.h"

enum { DRAWS = 400, DATABASE = 4, DATABASES = 2 };

struct stage {
    struct moot_rng rng;
    struct moot_arena arena;
    struct any_generation *generation;
    struct sim_grammar grammar;
    struct moot_buffer reply;
};

static void stage_init(struct stage *stage, uint64_t seed)
{
    moot_rng_init(&stage->rng, seed);
    moot_arena_init(&stage->arena);
    moot_buffer_init(&stage->reply);
    stage->generation = any_generation_make(0, DATABASE, DATABASES);
    stage->grammar = (struct sim_grammar){.rng = &stage->rng,
                                          .arena = &stage->arena,
                                          .keys = stage->generation->keys,
                                          .key_count = ANY_KEYS,
                                          .database = DATABASE,
                                          .database_count = DATABASES};
}

static void stage_deinit(struct stage *stage)
{
    any_generation_free(stage->generation);
    moot_buffer_deinit(&stage->reply);
    moot_arena_deinit(&stage->arena);
}

static bool is_for_group(const struct moot_command *command)
{
    return command->place != MOOT_PLACE_EDGE && (command->flags & MOOT_FLAG_SYSTEM) == 0;
}

/* One call that is put together at random, as a client would. */
static uint32_t draw(struct stage *stage, const struct moot_command *command,
                     struct moot_slice args[SIM_GRAMMAR_ARGS_MAX])
{
    moot_arena_reset(&stage->arena);
    return sim_grammar_draw(&stage->grammar, command, args);
}

static bool run(struct stage *stage, const struct moot_slice *args, uint32_t argc)
{
    sim_reference_ask(stage->generation->candidates[0].reference, DATABASE, args, argc,
                      &stage->reply);
    return stage->reply.size == 0 || stage->reply.data[0] != '-'; /* It waits, or has an answer. */
}

static void fill(struct stage *stage, const struct moot_command *table, size_t count)
{
    struct moot_slice args[SIM_GRAMMAR_ARGS_MAX];
    for (int left = 20; left > 0;) {
        const struct moot_command *command = &table[moot_rng_below(&stage->rng, count)];
        if (is_for_group(command)) {
            (void)run(stage, args, draw(stage, command, args));
            left--;
        }
    }
}

static void every_command_is_sent_and_works(void **state)
{
    (void)state;
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (!is_for_group(&table[i])) {
            continue;
        }
        uint64_t good = 0;
        struct stage stage;
        struct moot_slice args[SIM_GRAMMAR_ARGS_MAX];
        stage_init(&stage, i);
        assert_true(any_may_ask(&table[i], MOOT_DATABASES));
        for (int d = 0; d < DRAWS; d++) {
            if (d % 20 == 0) {
                fill(&stage, table, count);
            }
            uint32_t argc = draw(&stage, &table[i], args);
            good += moot_command_arity_fits(&table[i], argc) && run(&stage, args, argc);
        }
        if (good < DRAWS / 50) {
            fail_msg("%s does something in %llu of %u calls", table[i].name,
                     (unsigned long long)good, DRAWS);
        }
        stage_deinit(&stage);
    }
}

static void nobody_touches_what_others_have(void **state)
{
    (void)state;
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    struct moot_slice args[SIM_GRAMMAR_ARGS_MAX],
        secret[] = {MOOT_SLICE_LITERAL("SET"), MOOT_SLICE_LITERAL("0:s"),
                    MOOT_SLICE_LITERAL("secret")};
    struct moot_slice other[] = {MOOT_SLICE_LITERAL("SET"), MOOT_SLICE_LITERAL("another"),
                                 MOOT_SLICE_LITERAL("secret")};
    struct stage stage;
    stage_init(&stage, 77);
    struct sim_reference *reference = stage.generation->candidates[0].reference;
    for (uint8_t database = 0; database < MOOT_DATABASES; database++) {
        bool is_own = database >= DATABASE && database < DATABASE + DATABASES;
        sim_reference_ask(reference, database, is_own ? other : secret, 3, &stage.reply);
    }
    uint64_t before = sim_reference_contents(reference, 0, DATABASE);
    uint64_t behind = sim_reference_contents(reference, DATABASE + DATABASES,
                                             MOOT_DATABASES - DATABASE - DATABASES);
    for (int d = 0; d < 20000; d++) {
        const struct moot_command *command = &table[moot_rng_below(&stage.rng, count)];
        bool is_whole =
            is_for_group(command) && command->place == MOOT_PLACE_WRITE && command->key_first == 0;
        if (is_for_group(command) &&
            (any_may_ask(command, DATABASES) && (d >= 10000 || !is_whole))) {
            uint32_t argc = draw(&stage, command, args);
            if (moot_command_arity_fits(command, argc)) {
                (void)run(&stage, args, argc);
            }
        }
        if (d == 9999) { /* Without FLUSHDB and SWAPDB also other keys of the same databases. */
            struct moot_slice get[] = {MOOT_SLICE_LITERAL("GET"), other[1]};
            sim_reference_ask(reference, DATABASE, get, 2, &stage.reply);
            assert_memory_equal(stage.reply.data, "$6\r\nsecret", 10);
        }
    }
    assert_int_equal(before, sim_reference_contents(reference, 0, DATABASE));
    assert_int_equal(behind, sim_reference_contents(reference, DATABASE + DATABASES,
                                                    MOOT_DATABASES - DATABASE - DATABASES));
    stage_deinit(&stage);
}

/* ---- what a client believes ---- */

struct talk {
    struct sim_client client;
    struct any_mirror mirror;
    struct any_meaning meaning;
    struct any_generation *generation;
    struct moot_buffer expected;
    uint64_t connection, passed_ms;
};

static void talk_init(struct talk *talk)
{
    *talk = (struct talk){.connection = 1, .client = {.protocol = 2}};
    moot_buffer_init(&talk->mirror.queue);
    moot_buffer_init(&talk->meaning.said);
    moot_buffer_init(&talk->expected);
    any_mirror_begin(&talk->mirror, &talk->client, DATABASE);
    talk->generation = any_generation_make(0, DATABASE, DATABASES);
}

static void talk_deinit(struct talk *talk)
{
    any_generation_free(talk->generation);
    moot_buffer_deinit(&talk->mirror.queue);
    moot_buffer_deinit(&talk->meaning.said);
    moot_buffer_deinit(&talk->expected);
}

/* Words apart by blanks. */
static void say(struct talk *talk, const char *words)
{
    static struct moot_slice args[16];
    uint32_t argc = 0;
    for (const char *at = words; *at != '\0';) {
        size_t size = strcspn(at, " ");
        args[argc++] = moot_slice_make(at, size);
        at += size + (at[size] == ' ');
    }
    any_mirror_step(&talk->mirror, args, argc, &talk->meaning);
}

static bool believes(struct talk *talk, const char *words, const char *reply)
{
    say(talk, words);
    if (talk->meaning.kind == ANY_SAID) {
        return moot_slice_equal(moot_buffer_slice(&talk->meaning.said), moot_slice_text(reply));
    }
    moot_buffer_reset(&talk->expected, 4096);
    struct any_answer answer = {talk->connection, SIM_REFERENCE_NOW_MS + talk->passed_ms, true,
                                moot_slice_text(reply)};
    bool good = any_judge(talk->generation, &talk->meaning, &answer, &talk->expected);
    if (talk->meaning.ends_watch) {
        any_forget_watches(talk->generation);
    }
    return good;
}

static void doubt(struct talk *talk, const char *words)
{
    say(talk, words);
    any_doubt(talk->generation, &talk->meaning, talk->connection);
}

static void answers_are_the_same_bytes(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    assert_true(believes(&talk, "RPUSH 0:l a b", ":2\r\n"));
    assert_true(believes(&talk, "LRANGE 0:l 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"));
    assert_true(believes(&talk, "GET 0:l",
                         "-WRONGTYPE Operation against a key holding the wrong "
                         "kind of value\r\n"));
    assert_true(believes(&talk, "EXPIRE 0:l 8000000000", ":1\r\n"));
    assert_true(believes(&talk, "TTL 0:l", ":7999999990\r\n"));
    assert_true(believes(&talk, "NOTHING",
                         "-ERR unknown command 'NOTHING', with args beginning "
                         "with: \r\n"));
    assert_false(believes(&talk, "LLEN 0:l", ":3\r\n")); /* As if it had been pushed twice. */
    talk_deinit(&talk);
}

static void an_expiry_is_another_one(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    assert_true(believes(&talk, "SET 0:s a EX 8000000000", "+OK\r\n"));
    assert_false(believes(&talk, "TTL 0:s", ":-1\r\n"));
    talk_deinit(&talk);
    talk_init(&talk);
    assert_true(believes(&talk, "SET 0:s a EX 8000000000", "+OK\r\n"));
    assert_false(believes(&talk, "TTL 0:s", ":3999999990\r\n"));
    talk_deinit(&talk);
}

static void transactions_are_judged_whole(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    assert_true(believes(&talk, "WATCH 0:s", "+OK\r\n"));
    assert_true(believes(&talk, "MULTI", "+OK\r\n"));
    assert_true(believes(&talk, "INCR 0:s", "+QUEUED\r\n"));
    assert_true(believes(&talk, "TTL 0:s", "+QUEUED\r\n"));
    assert_true(believes(&talk, "EXEC", "*2\r\n:1\r\n:-1\r\n"));
    assert_true(believes(&talk, "WATCH 0:s", "+OK\r\n"));
    assert_true(believes(&talk, "INCR 0:s", ":2\r\n"));
    assert_true(believes(&talk, "MULTI", "+OK\r\n"));
    assert_true(believes(&talk, "INCR 0:s", "+QUEUED\r\n"));
    assert_true(believes(&talk, "EXEC", "*-1\r\n"));
    assert_true(believes(&talk, "MULTI", "+OK\r\n"));
    assert_true(believes(&talk, "INCR", "-ERR wrong number of arguments for 'incr' command\r\n"));
    assert_true(believes(&talk, "EXEC",
                         "-EXECABORT Transaction discarded because of previous "
                         "errors.\r\n"));
    assert_true(believes(&talk, "MULTI", "+OK\r\n"));
    assert_true(believes(&talk, "INCR 0:s", "+QUEUED\r\n"));
    assert_false(believes(&talk, "EXEC", "*1\r\n:4\r\n"));
    talk_deinit(&talk);
}

/* Done, or not; but not twice, and not in another order than it was sent. */
static void what_is_in_doubt_may_be_done(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        bool may_be;
    } cases[] = {{"*0\r\n", true},
                 {"*1\r\n$1\r\na\r\n", true},
                 {"*1\r\n$1\r\nb\r\n", true},
                 {"*2\r\n$1\r\na\r\n$1\r\nb\r\n", true},
                 {"*2\r\n$1\r\nb\r\n$1\r\na\r\n", false},
                 {"*2\r\n$1\r\na\r\n$1\r\na\r\n", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct talk talk;
        talk_init(&talk);
        doubt(&talk, "RPUSH 0:l a");
        doubt(&talk, "RPUSH 0:l b");
        talk.connection = 2;
        assert_int_equal(cases[i].may_be, believes(&talk, "LRANGE 0:l 0 -1", cases[i].reply));
        talk_deinit(&talk);
    }
}

static void what_is_in_doubt_may_come_late_but_once(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    doubt(&talk, "INCR 0:s");
    talk.connection = 2;
    assert_true(believes(&talk, "GET 0:s", "$-1\r\n"));
    assert_true(believes(&talk, "GET 0:s", "$1\r\n1\r\n"));
    assert_true(believes(&talk, "INCR 0:s", ":2\r\n"));
    assert_false(believes(&talk, "GET 0:s", "$1\r\n3\r\n"));
    talk_deinit(&talk);
}

/* On the same connection nothing overtakes it. */
static void who_goes_on_knows_that_it_is_settled(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    doubt(&talk, "INCR 0:s");
    assert_true(believes(&talk, "GET 0:s", "$-1\r\n"));
    assert_false(believes(&talk, "GET 0:s", "$1\r\n1\r\n"));
    talk_deinit(&talk);
}

/* What is disjoint needs no order; what is between brings it. */
static void order_is_kept_through_others(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    doubt(&talk, "RPUSH 0:l a");
    doubt(&talk, "RENAME 0:l 0:[l]*?");
    doubt(&talk, "LPUSH 0:[l]*? b");
    talk.connection = 2;
    assert_true(believes(&talk, "LRANGE 0:[l]*? 0 -1", "*2\r\n$1\r\nb\r\n$1\r\na\r\n"));
    assert_false(believes(&talk, "LLEN 0:l", ":1\r\n"));
    talk_deinit(&talk);
}

static void what_expires_goes_once_and_not_early(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    talk.generation->has_shorts = true;
    talk.generation->drawn_ms[101] = SIM_REFERENCE_NOW_MS;
    assert_true(believes(&talk, "SET 0:s a PX 101", "+OK\r\n"));
    assert_true(believes(&talk, "PTTL 0:s", ":99\r\n"));
    assert_true(believes(&talk, "RENAME 0:s 0:string", "+OK\r\n"));
    assert_true(believes(&talk, "GET 0:string", "$1\r\na\r\n"));
    talk.passed_ms = 110;
    assert_true(believes(&talk, "GET 0:string", "$1\r\na\r\n")); /* Clocks differ a little. */
    assert_true(believes(&talk, "GET 0:string", "$-1\r\n"));
    assert_false(believes(&talk, "GET 0:string", "$1\r\na\r\n"));
    talk_deinit(&talk);
    talk_init(&talk);
    talk.generation->has_shorts = true;
    talk.generation->drawn_ms[101] = SIM_REFERENCE_NOW_MS;
    assert_true(believes(&talk, "SET 0:s a PX 101", "+OK\r\n"));
    talk.passed_ms = 90;
    assert_false(believes(&talk, "GET 0:s", "$-1\r\n"));
    talk_deinit(&talk);
}

/* What is in doubt may find a key, or find that it is gone. */
static void what_expires_may_be_gone_before_what_is_in_doubt(void **state)
{
    (void)state;
    struct talk talk;
    talk_init(&talk);
    talk.generation->has_shorts = true;
    talk.generation->drawn_ms[101] = SIM_REFERENCE_NOW_MS;
    assert_true(believes(&talk, "SET 0:s a PX 101", "+OK\r\n"));
    doubt(&talk, "HSETNX 0:s f v");
    talk.connection = 2;
    talk.passed_ms = 200;
    assert_true(believes(&talk, "PEXPIRETIME 0:s", ":-1\r\n"));
    assert_true(believes(&talk, "HGET 0:s f", "$1\r\nv\r\n"));
    talk_deinit(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_sent_and_works),
        cmocka_unit_test(nobody_touches_what_others_have),
        cmocka_unit_test(answers_are_the_same_bytes),
        cmocka_unit_test(an_expiry_is_another_one),
        cmocka_unit_test(transactions_are_judged_whole),
        cmocka_unit_test(what_is_in_doubt_may_be_done),
        cmocka_unit_test(what_is_in_doubt_may_come_late_but_once),
        cmocka_unit_test(who_goes_on_knows_that_it_is_settled),
        cmocka_unit_test(order_is_kept_through_others),
        cmocka_unit_test(what_expires_goes_once_and_not_early),
        cmocka_unit_test(what_expires_may_be_gone_before_what_is_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
