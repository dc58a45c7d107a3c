#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/outbox.h"
#include "sim/disk_sim.h"

enum { SELF = 1, SEGMENT = 1024 * 1024, TICKETS_MAX = 1024 };

struct world {
    struct moot_disk_sim *disk;
    struct moot_journal *journal;
    struct moot_outbox outbox;
    struct moot_effects effects;
    moot_ticket tickets[TICKETS_MAX]; /* In flight, in order. */
    size_t first, count;
};

static int ignore(void *context, const struct moot_record *record)
{
    (void)context;
    (void)record;
    return 0;
}

static void world_init(struct world *world)
{
    *world = (struct world){.disk = moot_disk_sim_make(1)};
    struct moot_journal_options options = {.segment_bytes = SEGMENT, .segments_max = 16};
    struct moot_journal_report report;
    assert_int_equal(moot_journal_open(moot_disk_sim_disk(world->disk), &options, ignore, NULL,
                                       &report, &world->journal),
                     0);
    moot_outbox_init(&world->outbox, SELF);
    moot_outbox_begin(&world->outbox);
}

static void world_deinit(struct world *world)
{
    moot_outbox_deinit(&world->outbox);
    moot_journal_close(world->journal);
    moot_disk_sim_free(world->disk);
}

/* The end of a turn; remembers the journal's tickets. */
static void finish(struct world *world, bool idle_mark)
{
    assert_int_equal(moot_outbox_finish(&world->outbox, world->journal, idle_mark, &world->effects),
                     0);
    for (size_t i = 0; i < world->effects.count; i++) {
        if (world->effects.items[i].kind == MOOT_EFFECT_JOURNAL) {
            assert_true(world->first + world->count < TICKETS_MAX);
            world->tickets[world->first + world->count++] = world->effects.items[i].ticket;
        }
    }
}

static void durable(struct world *world)
{
    assert_true(world->count > 0);
    world->count--;
    moot_outbox_durable(&world->outbox, world->tickets[world->first++]);
}

static size_t count_of(const struct world *world, enum moot_effect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < world->effects.count; i++) {
        count += world->effects.items[i].kind == kind;
    }
    return count;
}

static uint64_t record(struct world *world, moot_index index)
{
    struct moot_record entry = {.kind = MOOT_RECORD_ENTRY,
                                .group = MOOT_GROUP_DB0,
                                .index = index,
                                .term = 1,
                                .bytes = MOOT_SLICE_LITERAL("an entry")};
    return moot_outbox_record(&world->outbox, &entry, NULL);
}

/* CHAIN messages, told apart by `number`. */
static void post(struct world *world, moot_node_id to, uint64_t number, bool after_durable)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_CHAIN, .group = MOOT_GROUP_DB0};
    message.chain.index = number;
    struct moot_post what = {.to = to, .message = &message, .after_durable = after_durable};
    moot_outbox_post(&world->outbox, &what);
}

static uint64_t number_of(const struct moot_effect *send)
{
    struct moot_arena arena;
    struct moot_message message;
    moot_arena_init(&arena);
    assert_int_equal(moot_message_decode(send->send.parts[0].bytes, &arena, &message), 0);
    moot_arena_deinit(&arena);
    return message.chain.index;
}

/* The number of the n-th send of this turn; 0: there is none. */
static uint64_t sent(const struct world *world, size_t n)
{
    for (size_t i = 0; i < world->effects.count; i++) {
        if (world->effects.items[i].kind == MOOT_EFFECT_SEND && n-- == 0) {
            return number_of(&world->effects.items[i]);
        }
    }
    return 0;
}

/* Goal: nothing leaves before what it depends on is durable; all else leaves at once. Method: a
 * send of each sort after a record, and one before it. */
static void a_send_waits_for_its_records(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    post(&world, 2, 1, true); /* Nothing to wait for. */
    record(&world, 1);
    post(&world, 2, 2, true);
    post(&world, 2, 3, false);
    finish(&world, false);
    assert_int_equal(sent(&world, 0), 1);
    assert_int_equal(sent(&world, 1), 3);
    assert_int_equal(sent(&world, 2), 0);
    moot_outbox_begin(&world.outbox);
    finish(&world, false);
    assert_int_equal(sent(&world, 0), 0);
    moot_outbox_begin(&world.outbox);
    durable(&world);
    finish(&world, false);
    assert_int_equal(sent(&world, 0), 2);
    assert_int_equal(count_of(&world, MOOT_EFFECT_SEND), 1);
    assert_true(world.effects.items[0].send.after != 0);
    world_deinit(&world);
}

/* Goal: the same, always, and in order. Method: random records, sends and completions; each send
 * knows which record it must wait for. */
static void no_send_ever_leaves_early(void **state)
{
    (void)state;
    struct world world;
    struct moot_rng rng;
    static uint64_t needs[20000];
    uint64_t next = 1, released = 0, left = 0;
    moot_rng_init(&rng, 11);
    world_init(&world);
    for (int turn = 0; turn < 900; turn++) {
        if (world.count > 0 && moot_rng_below(&rng, 3) == 0) {
            durable(&world);
        }
        for (uint64_t i = moot_rng_below(&rng, 6); i > 0; i--) {
            if (moot_rng_below(&rng, 2) == 0) {
                record(&world, (moot_index)turn + 1);
            }
            needs[next] = world.outbox.recorded;
            post(&world, 2, next++, true);
        }
        finish(&world, false);
        for (size_t i = 0; i < world.effects.count; i++) {
            const struct moot_effect *effect = &world.effects.items[i];
            if (effect->kind == MOOT_EFFECT_SEND) {
                uint64_t number = number_of(effect);
                assert_true(needs[number] <= world.outbox.durable);
                assert_true(effect->send.after == world.outbox.durable_batch);
                assert_int_equal(number, ++released); /* Each once, none overtaken. */
                left++;
            }
        }
        moot_outbox_begin(&world.outbox);
    }
    assert_true(left > 100);
    world_deinit(&world);
}

/* Goal: a slow disk makes batches larger, not queues longer. Method: turns with records while two
 * batches are in flight. */
static void records_collect_while_two_batches_are_in_flight(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    for (moot_index index = 1; index <= 10; index++) {
        assert_int_equal(record(&world, index), index);
        finish(&world, true);
        assert_int_equal(count_of(&world, MOOT_EFFECT_JOURNAL), index <= 2);
        assert_int_equal(moot_outbox_is_waiting(&world.outbox), index > 2);
        moot_outbox_begin(&world.outbox);
    }
    durable(&world);
    assert_int_equal(world.outbox.durable, 1);
    finish(&world, false);
    assert_int_equal(count_of(&world, MOOT_EFFECT_JOURNAL), 1); /* The other eight, together. */
    assert_false(moot_outbox_is_waiting(&world.outbox));
    moot_outbox_begin(&world.outbox);
    durable(&world);
    assert_int_equal(world.outbox.durable, 2);
    durable(&world);
    assert_int_equal(world.outbox.durable, 10);
    assert_false(moot_outbox_in_flight(&world.outbox));
    finish(&world, false);
    assert_int_equal(world.effects.count, 0);
    moot_outbox_begin(&world.outbox);
    finish(&world, true); /* A closing mark. */
    assert_int_equal(count_of(&world, MOOT_EFFECT_JOURNAL), 1);
    world_deinit(&world);
}

/* Goal: effects come in the order that the driver counts on. Method: one of each, asked for the
 * other way round. */
static void effects_are_in_order(void **state)
{
    (void)state;
    static const enum moot_effect_kind expected[] = {
        MOOT_EFFECT_JOURNAL, MOOT_EFFECT_SEND,        MOOT_EFFECT_SEND, MOOT_EFFECT_REPLY,
        MOOT_EFFECT_REPLY,   MOOT_EFFECT_STORE_WRITE, MOOT_EFFECT_PIN,  MOOT_EFFECT_LOG};
    struct world world;
    world_init(&world);
    moot_outbox_effect(&world.outbox, MOOT_EFFECT_PIN)->ticket = 9;
    moot_outbox_log(&world.outbox, MOOT_LOG_INFO, MOOT_SLICE_LITERAL("text"));
    moot_batch_put(&world.outbox.batch, MOOT_SLICE_LITERAL("k"), MOOT_SLICE_LITERAL("v"));
    moot_outbox_reply(&world.outbox, 5, MOOT_SLICE_LITERAL("+OK\r\n"));
    moot_outbox_reply(&world.outbox, 4, MOOT_SLICE_LITERAL(":1\r\n"));
    post(&world, 3, 1, false);
    post(&world, 2, 2, false);
    record(&world, 1);
    finish(&world, false);
    assert_int_equal(world.effects.count, MOOT_ARRAY_LEN(expected));
    for (size_t i = 0; i < MOOT_ARRAY_LEN(expected); i++) {
        assert_int_equal(world.effects.items[i].kind, expected[i]);
    }
    assert_int_equal(world.effects.items[1].send.node, 3);
    assert_int_equal(world.effects.items[3].client.connection, 5);
    assert_true(
        moot_slice_equal(world.effects.items[4].client.bytes, MOOT_SLICE_LITERAL(":1\r\n")));
    assert_int_equal(world.effects.items[6].ticket, 9);
    world_deinit(&world);
}

/* Goal: what a node says to itself is not encoded, keeps its bytes, and keeps its order. Method:
 * two posts to itself, one with a block. */
static void local_posts_stay_local(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct moot_block *block = moot_block_copy(MOOT_SLICE_LITERAL("items"));
    struct moot_message message = {.kind = MOOT_MESSAGE_SUBMIT, .group = MOOT_GROUP_DB0};
    message.submit.items = moot_block_slice(block);
    struct moot_post what = {.to = SELF, .message = &message, .owner = block};
    moot_outbox_post(&world.outbox, &what);
    post(&world, SELF, 7, true);
    assert_int_equal(world.outbox.local_count, 2);
    assert_ptr_equal(world.outbox.local[0].message.submit.items.data, block->data);
    assert_int_equal(world.outbox.local[1].message.chain.index, 7);
    assert_int_equal(block->references, 2);
    finish(&world, false);
    assert_int_equal(world.effects.count, 0);
    world.outbox.local_next = 2;
    moot_outbox_begin(&world.outbox);
    assert_int_equal(block->references, 1);
    moot_block_release(block);
    world_deinit(&world);
}

/* Goal: what a turn did not come to is the first of the next turn, with its bytes and in its order.
 * Method: of three posts one is taken; then a fourth; then all. */
static void local_posts_are_carried(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct moot_block *block = moot_block_copy(MOOT_SLICE_LITERAL("items"));
    struct moot_message message = {.kind = MOOT_MESSAGE_SUBMIT, .group = MOOT_GROUP_DB0};
    message.submit.items = moot_block_slice(block);
    struct moot_post what = {.to = SELF, .message = &message, .owner = block};
    for (uint64_t number = 1; number <= 3; number++) {
        message.submit.number = number;
        moot_outbox_post(&world.outbox, &what);
    }
    world.outbox.local_next = 1;
    finish(&world, false);
    moot_outbox_begin(&world.outbox);
    assert_int_equal(world.outbox.local_next, 0);
    assert_int_equal(world.outbox.local_count, 2);
    assert_int_equal(block->references, 3);
    message.submit.number = 4;
    moot_outbox_post(&world.outbox, &what);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(world.outbox.local[i].message.submit.number, i + 2);
        assert_ptr_equal(world.outbox.local[i].message.submit.items.data, block->data);
    }
    world.outbox.local_next = 3;
    finish(&world, false);
    moot_outbox_begin(&world.outbox);
    assert_int_equal(world.outbox.local_count, 0);
    assert_int_equal(block->references, 1);
    moot_block_release(block);
    world_deinit(&world);
}

/* Goal: a full journal is said, and loses nothing. Method: records until there is no segment. */
static void a_full_journal_keeps_the_records(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct moot_block *large = moot_block_make(SEGMENT / 2);
    memset(large->data, 1, large->size);
    int status = 0;
    moot_index index = 0;
    while (status == 0) {
        index++;
        assert_true(index < 100);
        struct moot_record entry = {.kind = MOOT_RECORD_ENTRY,
                                    .group = MOOT_GROUP_DB0,
                                    .index = index,
                                    .term = 1,
                                    .bytes = moot_block_slice(large)};
        moot_outbox_record(&world.outbox, &entry, large);
        status = moot_outbox_finish(&world.outbox, world.journal, false, &world.effects);
        if (status == 0) {
            moot_outbox_durable(&world.outbox, world.effects.items[0].ticket);
        }
        moot_outbox_begin(&world.outbox);
    }
    assert_int_equal(status, MOOT_ENOSPACE);
    assert_true(moot_outbox_is_waiting(&world.outbox));
    assert_int_equal(world.outbox.durable, index - 1);
    moot_journal_free(world.journal, MOOT_GROUP_DB0, index - 1);
    finish(&world, false);
    assert_int_equal(count_of(&world, MOOT_EFFECT_JOURNAL), 1);
    assert_false(moot_outbox_is_waiting(&world.outbox));
    moot_block_release(large);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_waits_for_its_records),
        cmocka_unit_test(no_send_ever_leaves_early),
        cmocka_unit_test(records_collect_while_two_batches_are_in_flight),
        cmocka_unit_test(effects_are_in_order),
        cmocka_unit_test(local_posts_stay_local),
        cmocka_unit_test(local_posts_are_carried),
        cmocka_unit_test(a_full_journal_keeps_the_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
