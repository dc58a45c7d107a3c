#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/edge/stream.h"

/* The leader is this node itself, so that what was sent can be looked at without decoding. */
enum { SELF = 1, SILENCE_MS = 400, INCARNATION = 9 };

struct world {
    struct moot_outbox outbox;
    struct moot_stream_edge stream;
    struct moot_instant now;
    uint64_t slot;
};

static void world_init(struct world *world)
{
    *world = (struct world){.now = {1000 * MOOT_SEC_NS}};
    moot_outbox_init(&world->outbox, SELF);
    moot_outbox_begin(&world->outbox);
    moot_stream_edge_init(&world->stream, MOOT_GROUP_DB0, INCARNATION);
}

static void world_deinit(struct world *world)
{
    world->outbox.local_next = world->outbox.local_count;
    moot_stream_edge_deinit(&world->stream);
    moot_outbox_deinit(&world->outbox);
}

static void add(struct world *world, bool is_write, const char *item)
{
    struct moot_ref ref = {.connection = 1, .slot = world->slot++};
    struct moot_buffer *out = moot_stream_edge_add(&world->stream, is_write, ref, world->now);
    moot_buffer_append_text(out, item);
    moot_stream_edge_added(&world->stream, strlen(item));
}

/* What this flush sent, as "w1 r1 w2": checks the session's sequence on the way. */
static const char *flush(struct world *world)
{
    static char text[4096];
    size_t size = 0;
    world->outbox.local_next = world->outbox.local_count;
    moot_outbox_begin(&world->outbox);
    uint64_t sequence = world->stream.sequence;
    if (moot_stream_edge_flush(&world->stream, &world->outbox, world->now)) {
        sequence = 0;
    }
    text[0] = '\0';
    for (size_t i = 0; i < world->outbox.local_count; i++) {
        const struct moot_submit *submit = &world->outbox.local[i].message.submit;
        assert_int_equal(world->outbox.local[i].message.kind, MOOT_MESSAGE_SUBMIT);
        assert_int_equal(submit->incarnation, INCARNATION);
        assert_int_equal(submit->epoch, world->stream.epoch);
        assert_int_equal(submit->sequence, sequence++);
        size +=
            (size_t)snprintf(text + size, sizeof(text) - size, "%s%c%d", i == 0 ? "" : " ",
                             submit->kind == MOOT_SUBMIT_WRITES ? 'w' : 'r', (int)submit->number);
    }
    return text;
}

static void answer(struct world *world, enum moot_submit_kind kind, uint64_t number)
{
    struct moot_submission *found = moot_stream_edge_find(&world->stream, kind, number);
    assert_non_null(found);
    moot_stream_edge_remove(&world->stream, found);
    assert_null(moot_stream_edge_find(&world->stream, kind, number));
}

/* Goal: a turn's items are one batch of each kind; reads leave before writes; numbers have no
 * holes. Method: mixed items over some turns. */
static void a_turn_is_one_batch_of_each_kind(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, true, "a");
    assert_string_equal(flush(&world), ""); /* Nobody leads. */
    moot_stream_edge_leader(&world.stream, SELF, 1);
    add(&world, true, "bc");
    add(&world, false, "d");
    assert_string_equal(flush(&world), "r1 w1");
    assert_int_equal(world.stream.epoch, 1);
    assert_true(
        moot_slice_equal(world.outbox.local[1].message.submit.items, MOOT_SLICE_LITERAL("abc")));
    assert_int_equal(moot_stream_edge_find(&world.stream, MOOT_SUBMIT_WRITES, 1)->ref_count, 2);
    assert_int_equal(moot_stream_edge_find(&world.stream, MOOT_SUBMIT_WRITES, 1)->refs[1].slot, 1);
    assert_string_equal(flush(&world), ""); /* Once. */
    add(&world, true, "e");
    assert_string_equal(flush(&world), "w2");
    add(&world, false, "f");
    assert_string_equal(flush(&world), "r2");
    assert_int_equal(world.stream.queued_commands, 5);
    assert_int_equal(world.stream.queued_bytes, 6);
    world_deinit(&world);
}

/* Goal: after a break everything unanswered is sent again, in the order it had, before anything
 * new, in a new session. Method: some answers, then a new leader, a lost link, a NACK. */
static void a_new_session_sends_all_again_in_order(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    for (int i = 0; i < 4; i++) {
        add(&world, true, "w");
        add(&world, false, "r");
        flush(&world);
    }
    answer(&world, MOOT_SUBMIT_WRITES, 1);
    answer(&world, MOOT_SUBMIT_READS, 2);
    moot_stream_edge_break(&world.stream, (struct moot_instant){0});
    add(&world, true, "new");
    assert_string_equal(flush(&world), "r1 w2 r3 w3 r4 w4 w5");
    assert_int_equal(world.stream.epoch, 2);
    assert_int_equal(world.stream.resent, 6);
    assert_string_equal(flush(&world), "");

    moot_stream_edge_leader(&world.stream, SELF, 1); /* The same: nothing has changed. */
    assert_string_equal(flush(&world), "");
    moot_stream_edge_leader(&world.stream, 0, 1);
    assert_string_equal(flush(&world), "");
    moot_stream_edge_leader(&world.stream, SELF, 1);
    assert_string_equal(flush(&world), "r1 w2 r3 w3 r4 w4 w5");
    assert_int_equal(world.stream.epoch, 3);

    /* A refusal asks for patience; what is refused after it does not shorten that. */
    struct moot_instant later = moot_instant_add(world.now, moot_ms(50));
    moot_stream_edge_break(&world.stream, later);
    moot_stream_edge_break(&world.stream, world.now);
    assert_string_equal(flush(&world), "");
    assert_true(moot_stream_edge_deadline(&world.stream).ns == later.ns);
    world.now = later;
    assert_string_equal(flush(&world), "r1 w2 r3 w3 r4 w4 w5");
    world_deinit(&world);
}

/* Goal: a leader that says nothing is asked again; one that is owed nothing is not. Method: time
 * goes by, with and without answers. */
static void silence_begins_a_new_session(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    flush(&world);
    world.now = moot_instant_add(world.now, moot_ms(10 * SILENCE_MS));
    assert_string_equal(flush(&world), "");
    assert_int_equal(world.stream.sessions, 1);
    add(&world, true, "w");
    assert_string_equal(flush(&world), "w1"); /* Not silent: nothing was asked. */
    assert_int_equal(world.stream.sessions, 1);
    struct moot_instant due = moot_instant_add(world.now, moot_ms(SILENCE_MS));
    assert_true(moot_stream_edge_deadline(&world.stream).ns == due.ns);
    world.now.ns = due.ns - 1;
    assert_string_equal(flush(&world), "");
    world.now = due;
    assert_string_equal(flush(&world), "w1");
    assert_int_equal(world.stream.sessions, 2);
    answer(&world, MOOT_SUBMIT_WRITES, 1);
    world.now = moot_instant_add(world.now, moot_ms(10 * SILENCE_MS));
    assert_string_equal(flush(&world), "");
    assert_true(moot_stream_edge_deadline(&world.stream).ns == MOOT_NEVER.ns);
    world_deinit(&world);
}

/* Goal: batches in flight are bounded; what waits becomes one batch, with the next number. Method:
 * more turns than may be in flight. */
static void writes_in_flight_are_bounded(void **state)
{
    (void)state;
    struct world world;
    char expected[16];
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    for (int i = 1; i <= MOOT_EDGE_BATCHES_MAX; i++) {
        add(&world, true, "w");
        snprintf(expected, sizeof(expected), "w%d", i);
        assert_string_equal(flush(&world), expected);
    }
    add(&world, true, "x");
    assert_string_equal(flush(&world), "");
    add(&world, true, "y");
    add(&world, false, "r");
    assert_string_equal(flush(&world), "r1"); /* Reads have a bound of their own. */
    answer(&world, MOOT_SUBMIT_WRITES, 3);    /* Any answer makes room. */
    snprintf(expected, sizeof(expected), "w%d", MOOT_EDGE_BATCHES_MAX + 1);
    assert_string_equal(flush(&world), expected);
    assert_true(
        moot_slice_equal(world.outbox.local[0].message.submit.items, MOOT_SLICE_LITERAL("xy")));
    world_deinit(&world);
}

/* Goal: a read never leaves after a write that came after it. Method: as many reads in flight as
 * may be, then a read and a write: both wait. */
static void a_write_waits_for_reads_before_it(void **state)
{
    (void)state;
    struct world world;
    uint64_t reads = 0;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    do {
        add(&world, false, "r");
        reads++;
        assert_true(reads < 1000);
    } while (flush(&world)[0] != '\0');
    add(&world, true, "w");
    assert_string_equal(flush(&world), "");
    answer(&world, MOOT_SUBMIT_READS, 1);
    flush(&world);
    assert_int_equal(world.outbox.local_count, 2);
    assert_int_equal(world.outbox.local[0].message.submit.kind, MOOT_SUBMIT_READS);
    assert_int_equal(world.outbox.local[0].message.submit.number, reads);
    assert_int_equal(world.outbox.local[1].message.submit.kind, MOOT_SUBMIT_WRITES);
    world_deinit(&world);
}

/* Goal: a batch whose clients were told "in doubt" is still executed exactly once: numbers have no
 * holes. Method: give one up, then a new session; it costs no more waking up for time-outs. */
static void a_given_up_batch_is_kept(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    add(&world, true, "a");
    flush(&world);
    moot_stream_edge_find(&world.stream, MOOT_SUBMIT_WRITES, 1)->given_up = true;
    moot_stream_edge_leader(&world.stream, 0, 1);
    assert_true(moot_stream_edge_deadline(&world.stream).ns == MOOT_NEVER.ns);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    add(&world, true, "b");
    assert_string_equal(flush(&world), "w1 w2");
    world_deinit(&world);
}

/* Goal: a batch that was never sent may be dropped, and leaves no hole. Method: drop one under
 * construction. */
static void a_dropped_batch_leaves_no_hole(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    add(&world, true, "a");
    struct moot_instant limit = moot_instant_add(world.now, moot_ms(MOOT_REQUEST_TIMEOUT_MS));
    assert_true(moot_stream_edge_deadline(&world.stream).ns == limit.ns);
    moot_stream_edge_drop_building(&world.stream.writes, &world.stream);
    assert_int_equal(world.stream.queued_bytes, 0);
    assert_int_equal(world.stream.queued_commands, 0);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    assert_string_equal(flush(&world), "");
    add(&world, true, "b");
    assert_string_equal(flush(&world), "w1");
    world_deinit(&world);
}

/* Goal: the queue of an edge is bounded by bytes and commands, and what is answered makes room.
 * Method: up to each bound. */
static void admission_is_bounded(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_true(moot_stream_edge_admits(&world.stream, MOOT_EDGE_QUEUE_BYTES_MAX));
    assert_false(moot_stream_edge_admits(&world.stream, MOOT_EDGE_QUEUE_BYTES_MAX + 1));
    add(&world, true, "abc");
    assert_false(moot_stream_edge_admits(&world.stream, MOOT_EDGE_QUEUE_BYTES_MAX - 2));
    for (int i = 1; i < MOOT_EDGE_QUEUE_COMMANDS_MAX; i++) {
        assert_true(moot_stream_edge_admits(&world.stream, 0));
        add(&world, true, "");
    }
    assert_false(moot_stream_edge_admits(&world.stream, 0));
    moot_stream_edge_leader(&world.stream, SELF, 1);
    flush(&world);
    answer(&world, MOOT_SUBMIT_WRITES, 1);
    assert_true(moot_stream_edge_admits(&world.stream, MOOT_EDGE_QUEUE_BYTES_MAX));
    world_deinit(&world);
}

/* Goal: what is left of a batch of reads is asked for before all that is behind it, as another
 * batch. Method: two of four reads are answered, two batches wait behind them. */
static void the_rest_of_reads_keeps_its_place(void **state)
{
    (void)state;
    static const char *const words[] = {"get a", "get b", "get c", "get d"};
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(words); i++) {
        struct moot_slice args[2] = {MOOT_SLICE_LITERAL("get"), moot_slice_text(words[i] + 4)};
        struct moot_ref ref = {.connection = 1, .slot = world.slot++};
        struct moot_buffer *out = moot_stream_edge_add(&world.stream, false, ref, world.now);
        size_t before = out->size;
        moot_item_put(out, 0, 0, (struct moot_slice){NULL, 0}, args, 2);
        moot_stream_edge_added(&world.stream, out->size - before);
    }
    assert_string_equal(flush(&world), "r1");
    uint64_t bytes = world.stream.queued_bytes;
    add(&world, true, "w");
    assert_string_equal(flush(&world), "w1");
    add(&world, false, "r");
    assert_string_equal(flush(&world), "r2");
    struct moot_submission *reads = moot_stream_edge_find(&world.stream, MOOT_SUBMIT_READS, 1);
    reads->refs[0].kind = reads->refs[1].kind = MOOT_REF_NONE;
    moot_stream_edge_shorten(&world.stream, reads);
    moot_stream_edge_break(&world.stream, world.now);
    assert_null(moot_stream_edge_find(&world.stream, MOOT_SUBMIT_READS, 1));
    assert_string_equal(flush(&world), "r3 w1 r2");
    assert_int_equal(world.outbox.local[0].message.submit.items.size, bytes / 2);
    reads = moot_stream_edge_find(&world.stream, MOOT_SUBMIT_READS, 3);
    assert_int_equal(reads->ref_count, 2);
    assert_int_equal(reads->refs[0].slot, 2);
    assert_int_equal(world.stream.queued_bytes, bytes / 2 + 2);
    assert_int_equal(world.stream.queued_commands, 4);
    answer(&world, MOOT_SUBMIT_READS, 3);
    answer(&world, MOOT_SUBMIT_READS, 2);
    answer(&world, MOOT_SUBMIT_WRITES, 1);
    assert_int_equal(world.stream.queued_bytes, 0);
    world_deinit(&world);
}

/* Goal: registrations of waiters have their place in the session. Method: between batches; none
 * without a session. */
static void waiters_go_in_sequence(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_false(
        moot_stream_edge_send_waiters(&world.stream, &world.outbox, MOOT_SLICE_LITERAL("x")));
    moot_stream_edge_leader(&world.stream, SELF, 1);
    assert_false(
        moot_stream_edge_send_waiters(&world.stream, &world.outbox, MOOT_SLICE_LITERAL("x")));
    add(&world, true, "a");
    flush(&world);
    assert_true(
        moot_stream_edge_send_waiters(&world.stream, &world.outbox, MOOT_SLICE_LITERAL("x")));
    assert_int_equal(world.outbox.local[1].message.submit.kind, MOOT_SUBMIT_WAITERS);
    assert_int_equal(world.outbox.local[1].message.submit.sequence, 1);
    add(&world, true, "b");
    flush(&world);
    assert_int_equal(world.outbox.local[0].message.submit.sequence, 2);
    world_deinit(&world);
}

/* Goal: a registration that was lost is noticed, though nothing else is asked. Method: silence with
 * and without its answer. */
static void lost_registrations_begin_a_new_session(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    flush(&world);
    assert_true(
        moot_stream_edge_send_waiters(&world.stream, &world.outbox, MOOT_SLICE_LITERAL("x")));
    uint64_t number = world.outbox.local[0].message.submit.number;
    struct moot_instant due = moot_instant_add(world.now, moot_ms(SILENCE_MS));
    assert_true(moot_stream_edge_deadline(&world.stream).ns == due.ns);
    moot_stream_edge_waiters_answered(&world.stream, number);
    assert_true(moot_stream_edge_deadline(&world.stream).ns == MOOT_NEVER.ns);
    world.now = moot_instant_add(world.now, moot_ms(10 * SILENCE_MS));
    flush(&world);
    assert_int_equal(world.stream.sessions, 1);
    assert_true(
        moot_stream_edge_send_waiters(&world.stream, &world.outbox, MOOT_SLICE_LITERAL("y")));
    moot_stream_edge_waiters_answered(&world.stream, number); /* An old answer says nothing. */
    world.now = moot_instant_add(world.now, moot_ms(SILENCE_MS));
    assert_true(moot_stream_edge_flush(&world.stream, &world.outbox, world.now));
    assert_int_equal(world.stream.sessions, 2);
    world_deinit(&world);
}

/* Goal: a leader that lost its office and has it again holds nothing of before. Method: the same
 * node, a later term, and no moment without it. */
static void a_later_term_is_a_new_session(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 3);
    add(&world, true, "w");
    assert_string_equal(flush(&world), "w1");
    moot_stream_edge_leader(&world.stream, SELF, 3);
    assert_string_equal(flush(&world), "");
    moot_stream_edge_leader(&world.stream, SELF, 5);
    assert_string_equal(flush(&world), "w1");
    assert_int_equal(world.stream.sessions, 2);
    world_deinit(&world);
}

/* Goal: clients whose writes were answered together are one batch again, and nobody waits long for
 * those that do not come back. Method: of eight some ask again, then most; or time runs out; one
 * client alone never waits, nor does a batch that is large already. */
static void a_batch_waits_for_those_just_answered(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    moot_stream_edge_leader(&world.stream, SELF, 1);
    add(&world, true, "w");
    flush(&world);
    answer(&world, MOOT_SUBMIT_WRITES, 1);
    moot_stream_edge_answered(&world.stream, 3, world.now);
    moot_stream_edge_answered(&world.stream, 5, world.now); /* Of the same turn. */
    for (int i = 0; i < 5; i++) {
        add(&world, true, "w");
        assert_string_equal(flush(&world), "");
    }
    struct moot_instant until = moot_instant_add(world.now, moot_ms(MOOT_EDGE_COMPANY_MS));
    assert_true(moot_stream_edge_deadline(&world.stream).ns == until.ns);
    add(&world, false, "r");
    assert_string_equal(flush(&world), "r1"); /* Reads do not wait. */
    answer(&world, MOOT_SUBMIT_READS, 1);
    add(&world, true, "w");
    assert_string_equal(flush(&world), "w2"); /* Six of eight. */
    assert_int_equal(moot_stream_edge_find(&world.stream, MOOT_SUBMIT_WRITES, 2)->ref_count, 6);
    add(&world, true, "w");
    assert_string_equal(flush(&world), "");
    world.now.ns = until.ns - 1;
    assert_string_equal(flush(&world), "");
    world.now = until;
    assert_string_equal(flush(&world), "w3");
    assert_true(moot_stream_edge_deadline(&world.stream).ns > until.ns);

    answer(&world, MOOT_SUBMIT_WRITES, 3);
    moot_stream_edge_answered(&world.stream, 1, world.now);
    add(&world, true, "w");
    assert_string_equal(flush(&world), "w4");
    moot_stream_edge_answered(&world.stream, 1000, world.now);
    for (int i = 0; i < MOOT_EDGE_COMPANY; i++) {
        assert_string_equal(flush(&world), "");
        add(&world, true, "w");
    }
    assert_string_equal(flush(&world), "w5");
    add(&world, true, "w");
    assert_string_equal(flush(&world), "");
    moot_stream_edge_leader(&world.stream, 0, 1); /* Then there is no hurry. */
    assert_string_equal(flush(&world), "");
    assert_true(moot_stream_edge_deadline(&world.stream).ns > until.ns + MOOT_MSEC_NS * 10);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_one_batch_of_each_kind),
        cmocka_unit_test(a_new_session_sends_all_again_in_order),
        cmocka_unit_test(silence_begins_a_new_session),
        cmocka_unit_test(writes_in_flight_are_bounded),
        cmocka_unit_test(a_batch_waits_for_those_just_answered),
        cmocka_unit_test(a_write_waits_for_reads_before_it),
        cmocka_unit_test(a_given_up_batch_is_kept),
        cmocka_unit_test(a_dropped_batch_leaves_no_hole),
        cmocka_unit_test(admission_is_bounded),
        cmocka_unit_test(the_rest_of_reads_keeps_its_place),
        cmocka_unit_test(waiters_go_in_sequence),
        cmocka_unit_test(lost_registrations_begin_a_new_session),
        cmocka_unit_test(a_later_term_is_a_new_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
