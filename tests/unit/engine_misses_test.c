/* Goal: what is not in memory, and when changes were flushed, changes neither what a command
 * answers nor what it does: else replicas come to differ, each by what it happened to have at hand.
 * Method: any commands of the table, with arguments drawn from its syntax, run on two engines, one
 * of whose stores often answers WOULDBLOCK; replies and hashes of the changes must be the same
 * after each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "command_engine.h"
#include "sim/grammar.h"

enum { SEEDS = 150, COMMANDS = 150, IN_ONE_MAX = 4, KEYS = 8 };

struct pair {
    struct script *whole, *missing; /* Of the latter much is not in memory. */
    struct moot_rng rng;
    struct moot_arena arena;
    struct sim_grammar grammar;
    struct moot_buffer batch;
};
static const struct moot_slice KEY[KEYS] = {MOOT_SLICE_LITERAL("s"), MOOT_SLICE_LITERAL("t"),
                                            MOOT_SLICE_LITERAL("h"), MOOT_SLICE_LITERAL("i"),
                                            MOOT_SLICE_LITERAL("l"), MOOT_SLICE_LITERAL("m"),
                                            MOOT_SLICE_LITERAL("x"), MOOT_SLICE_LITERAL("y")};

static void pair_init(struct pair *pair, uint64_t seed)
{
    pair->whole = script_make(seed + 1000000, 0);
    pair->missing = script_make(seed, 2 + (uint32_t)(seed % 3));
    moot_rng_init(&pair->rng, seed);
    moot_arena_init(&pair->arena);
    moot_buffer_init(&pair->batch);
    pair->grammar = (struct sim_grammar){.rng = &pair->rng,
                                         .arena = &pair->arena,
                                         .keys = KEY,
                                         .key_count = KEYS,
                                         .database_count = 2,
                                         .waits = true};
}

static void pair_deinit(struct pair *pair)
{
    script_end(pair->whole);
    script_end(pair->missing);
    moot_buffer_deinit(&pair->batch);
    moot_arena_deinit(&pair->arena);
}

static uint64_t below(struct pair *pair, uint64_t bound)
{
    return moot_rng_below(&pair->rng, bound);
}

static uint32_t draw(struct pair *pair, struct moot_slice args[SIM_GRAMMAR_ARGS_MAX])
{
    size_t count;
    const struct moot_command *table = moot_command_table(&count), *command;
    do {
        command = &table[below(pair, count)];
    } while (command->place == MOOT_PLACE_EDGE || (command->flags & MOOT_FLAG_SYSTEM) != 0);
    return sim_grammar_draw(&pair->grammar, command, args);
}

/* Some commands, alone or as a transaction: an entry of the log. */
static void make_batch(struct pair *pair)
{
    struct moot_slice args[SIM_GRAMMAR_ARGS_MAX];
    uint64_t count = 1 + below(pair, IN_ONE_MAX);
    bool is_exec = below(pair, 3) == 0;
    moot_arena_reset(&pair->arena);
    moot_buffer_reset(&pair->batch, 1 << 20);
    if (is_exec) {
        moot_put_u8(&pair->batch, MOOT_ITEM_EXEC);
        moot_put_u8(&pair->batch, 0);
        moot_put_varint(&pair->batch, 0);
        moot_put_varint(&pair->batch, count);
    }
    for (; count > 0; count--) {
        uint32_t argc = draw(pair, args);
        if (is_exec) {
            moot_item_put_body(&pair->batch, args, argc);
        } else {
            moot_item_put(&pair->batch, 0, 0, (struct moot_slice){NULL, 0}, args, argc);
        }
    }
}

static uint64_t run(struct script *script, struct moot_slice batch)
{
    int status;
    script->index++;
    moot_buffer_reset(&script->replies, 1 << 20);
    do {
        struct moot_engine_run run = {.index = script->index,
                                      .stamp = script_stamp(script),
                                      .now_ms = script->now_ms,
                                      .seed = script->index,
                                      .batch = batch,
                                      .replies = &script->replies};
        status = moot_engine_run(script->engine, &run);
        if (status == MOOT_EWOULDBLOCK) {
            script_fetch(script);
        }
    } while (status == MOOT_EWOULDBLOCK);
    assert_int_equal(status, 0);
    uint64_t hash = moot_view_take_hash(moot_engine_view(script->engine));
    if (moot_rng_chance(&script->rng, 1, 3)) { /* Each when it likes. */
        script_flush(script);
        moot_engine_reset(script->engine); /* What was just read is forgotten. */
    }
    return hash;
}

static void tell(struct moot_slice batch)
{
    for (size_t i = 0; i < batch.size; i++) {
        print_error(batch.data[i] > ' ' && batch.data[i] <= '~' ? "%c" : " ", batch.data[i]);
    }
    print_error("\n");
}

static void what_is_missing_changes_nothing(void **state)
{
    (void)state;
    uint64_t blocked = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct pair pair;
        pair_init(&pair, seed);
        for (int i = 0; i < COMMANDS; i++) {
            make_batch(&pair);
            struct moot_slice batch = moot_buffer_slice(&pair.batch);
            bool same = run(pair.whole, batch) == run(pair.missing, batch);
            same = same && moot_slice_equal(moot_buffer_slice(&pair.whole->replies),
                                            moot_buffer_slice(&pair.missing->replies));
            if (!same) {
                tell(batch);
                fail_msg("seed %llu: another change, or another answer", (unsigned long long)seed);
            }
        }
        blocked += pair.missing->blocked;
        pair_deinit(&pair);
    }
    assert_true(blocked > SEEDS * COMMANDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_missing_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
