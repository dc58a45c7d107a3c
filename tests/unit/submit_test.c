/* What edges send to a leader. A cluster of one, and the test as the edge of a node that is not
 * there. */
#include "database/execute/engine.h"
#include "database/group/message.h"
#include "node_cluster.h"

enum { EDGE = 2, KEPT_MAX = 64 };

struct world {
    struct cluster *cluster;
    struct moot_arena arena;
    struct moot_message kept[KEPT_MAX]; /* What the leader said to the edge since the last send. */
    size_t kept_count;
};

static void spy(void *context, moot_node_id from, moot_node_id to, struct moot_slice bytes)
{
    struct world *world = context;
    struct moot_message message;
    (void)from;
    bytes = moot_arena_copy(&world->arena, bytes);
    assert_int_equal(moot_message_decode(bytes, &world->arena, &message), 0);
    if (to == EDGE && message.kind != MOOT_MESSAGE_CHAIN) {
        assert_true(world->kept_count < KEPT_MAX);
        world->kept[world->kept_count++] = message;
    }
}

static void steps(struct world *world, int count)
{
    for (int i = 0; i < count; i++) {
        cluster_step(world->cluster);
    }
}

static struct world *world_make(void)
{
    struct world *world = moot_alloc_zero(sizeof(*world));
    world->cluster = moot_alloc_zero(sizeof(*world->cluster));
    moot_arena_init(&world->arena);
    cluster_init(world->cluster, 1, 0);
    cluster_expect(world->cluster, 1, "SET n 0\r\n", "+OK\r\n");
    world->cluster->spy = spy;
    world->cluster->spy_context = world;
    return world;
}

static void world_free(struct world *world)
{
    cluster_deinit(world->cluster);
    moot_arena_deinit(&world->arena);
    moot_free(world);
}

static void send(struct world *world, const struct moot_submit *submit)
{
    struct moot_message message = {
        .kind = MOOT_MESSAGE_SUBMIT, .group = MOOT_GROUP_DB0, .submit = *submit};
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    moot_message_encode(&message, &bytes);
    struct moot_input input = {.kind = MOOT_INPUT_PEER_MESSAGE, .node = EDGE};
    input.bytes = moot_buffer_slice(&bytes);
    cluster_input(&world->cluster->nodes[1], input, &world->arena);
    moot_buffer_deinit(&bytes);
}

/* A batch of one command, words between blanks. */
static struct moot_slice items_of(struct world *world, uint8_t flags, const char *line)
{
    struct moot_slice args[8];
    uint32_t argc = 0;
    for (; *line != '\0'; line += strcspn(line, " "), line += *line == ' ') {
        args[argc++] = moot_slice_make(line, strcspn(line, " "));
    }
    struct moot_buffer items;
    moot_buffer_init(&items);
    moot_item_put(&items, flags, 0, (struct moot_slice){NULL, 0}, args, argc);
    struct moot_slice copy = moot_arena_copy(&world->arena, moot_buffer_slice(&items));
    moot_buffer_deinit(&items);
    return copy;
}

/* One write of incarnation, epoch, sequence, batch; what is said to it within some milliseconds is
 * in world->kept. */
static void write_batch(struct world *world, uint64_t incarnation, uint64_t epoch,
                        uint64_t sequence, uint64_t number, const char *line)
{
    struct moot_submit submit = {MOOT_SUBMIT_WRITES, incarnation, epoch,
                                 sequence,           number,      items_of(world, 0, line)};
    world->kept_count = 0;
    send(world, &submit);
    steps(world, 40);
}

static void answered(struct world *world, uint64_t number, const char *reply)
{
    assert_int_equal(world->kept_count, 1);
    assert_int_equal(world->kept[0].kind, MOOT_MESSAGE_ANSWER);
    assert_int_equal(world->kept[0].answer.kind, MOOT_SUBMIT_WRITES);
    assert_int_equal(world->kept[0].answer.number, number);
    assert_int_equal(world->kept[0].answer.status, 0);
    struct moot_reader reader = moot_reader_make(world->kept[0].answer.replies);
    assert_true(moot_slice_equal(moot_get_bytes(&reader), moot_slice_text(reply)));
}

static void nacked(struct world *world, uint64_t epoch, int status)
{
    assert_int_equal(world->kept_count, 1);
    assert_int_equal(world->kept[0].kind, MOOT_MESSAGE_NACK);
    assert_int_equal(world->kept[0].nack.epoch, epoch);
    assert_int_equal(world->kept[0].nack.status, status);
    assert_int_equal(world->kept[0].nack.leader, 1);
}

static struct moot_group_view view(struct world *world)
{
    struct moot_group_view view;
    moot_node_group(world->cluster->nodes[1].node, MOOT_GROUP_DB0, &view);
    return view;
}

/* Goal: a batch is executed once however often it is sent, and the answer is the same bytes each
 * time. Method: the same in one session (dropped: the network's copy), and in later ones. */
static void a_batch_sent_again_is_answered_from_the_ring(void **state)
{
    (void)state;
    struct world *world = world_make();
    write_batch(world, 5, 1, 0, 1, "INCR n");
    answered(world, 1, ":1\r\n");
    struct moot_slice first = world->kept[0].answer.replies;
    moot_hlc_stamp stamp = world->kept[0].answer.stamp;
    moot_index last = view(world).last;
    write_batch(world, 5, 1, 0, 1, "INCR n");
    assert_int_equal(world->kept_count, 0);
    for (uint64_t epoch = 2; epoch < 5; epoch++) {
        write_batch(world, 5, epoch, 0, 1, "INCR n");
        answered(world, 1, ":1\r\n");
        assert_true(moot_slice_equal(world->kept[0].answer.replies, first));
        assert_true(world->kept[0].answer.stamp == stamp);
    }
    assert_int_equal(view(world).last, last);
    write_batch(world, 5, 4, 1, 2, "INCR n");
    answered(world, 2, ":2\r\n");
    world_free(world);
}

/* Goal: a batch that is in the log, but not executed yet, is not appended again. Method: the same
 * batch in two sessions within one turn, before the journal has it. */
static void a_batch_in_the_log_is_not_appended_again(void **state)
{
    (void)state;
    struct world *world = world_make();
    moot_index last = view(world).last;
    struct moot_submit submit = {MOOT_SUBMIT_WRITES, 5, 1, 0, 1, items_of(world, 0, "INCR n")};
    world->kept_count = 0;
    send(world, &submit);
    submit.epoch = 2;
    send(world, &submit);
    cluster_step(world->cluster);
    assert_int_equal(view(world).last, last + 1);
    steps(world, 40);
    assert_int_equal(view(world).last, last + 1);
    answered(world, 1, ":1\r\n");
    world_free(world);
}

/* Goal: a hole is never filled by guessing: in the sequence, or in the numbers. Method: both; and
 * that the edge can go on in a new session. */
static void a_gap_is_refused(void **state)
{
    (void)state;
    struct world *world = world_make();
    write_batch(world, 5, 1, 1, 1, "INCR n"); /* A session begins with sequence 0. */
    nacked(world, 1, MOOT_EAGAIN);
    write_batch(world, 5, 1, 0, 1, "INCR n");
    answered(world, 1, ":1\r\n");
    write_batch(world, 5, 1, 2, 2, "INCR n");
    nacked(world, 1, MOOT_EAGAIN);
    write_batch(world, 5, 1, 1, 3, "INCR n");
    nacked(world, 1, MOOT_EAGAIN);
    cluster_expect(world->cluster, 1, "GET n\r\n", "$1\r\n1\r\n");
    write_batch(world, 5, 2, 0, 2, "INCR n");
    answered(world, 2, ":2\r\n");
    world_free(world);
}

/* Goal: what comes late from an older session or a dead incarnation changes nothing, and is not
 * answered. Method: both, after the newer one has begun. */
static void the_dead_are_not_heard(void **state)
{
    (void)state;
    struct world *world = world_make();
    write_batch(world, 5, 3, 0, 1, "INCR n");
    answered(world, 1, ":1\r\n");
    write_batch(world, 5, 2, 0, 2, "INCR n");
    assert_int_equal(world->kept_count, 0);
    write_batch(world, 6, 1, 0, 1, "INCR n");
    answered(world, 1, ":2\r\n");
    write_batch(world, 5, 9, 0, 2, "INCR n");
    assert_int_equal(world->kept_count, 0);
    write_batch(world, 6, 1, 1, 3, "INCR n"); /* Not the dead one's numbers: 2 is next. */
    nacked(world, 1, MOOT_EAGAIN);
    cluster_expect(world->cluster, 1, "GET n\r\n", "$1\r\n2\r\n");
    world_free(world);
}

/* Goal: a batch whose replies are no longer kept is answered so, and never executed again. Method:
 * as many more as the ring holds. */
static void an_evicted_reply_is_in_doubt(void **state)
{
    (void)state;
    struct world *world = world_make();
    write_batch(world, 5, 1, 0, 1, "SET k v");
    write_batch(world, 5, 1, 1, 2, "INCR n");
    for (uint64_t number = 3; number <= MOOT_REPLY_RING_BATCHES + 4; number++) {
        struct moot_submit submit = {MOOT_SUBMIT_WRITES, 5,      1,
                                     number - 1,         number, items_of(world, 0, "SET k v")};
        world->kept_count = 0;
        send(world, &submit);
        steps(world, 4);
    }
    steps(world, 100);
    write_batch(world, 5, 2, 0, 2, "INCR n");
    assert_int_equal(world->kept_count, 1);
    assert_int_equal(world->kept[0].kind, MOOT_MESSAGE_ANSWER);
    assert_int_equal(world->kept[0].answer.number, 2);
    assert_int_equal(world->kept[0].answer.status, MOOT_EINDOUBT);
    assert_int_equal(world->kept[0].answer.replies.size, 0);
    cluster_expect(world->cluster, 1, "GET n\r\n", "$1\r\n1\r\n");
    world_free(world);
}

/* Goal: a batch that is not well-formed does not get into the log, where it would stop every
 * replica. Method: bytes of no item; the group goes on. */
static void a_malformed_batch_is_kept_out(void **state)
{
    (void)state;
    struct world *world = world_make();
    moot_index last = view(world).last;
    struct moot_submit submit = {
        MOOT_SUBMIT_WRITES, 5, 1, 0, 1, MOOT_SLICE_LITERAL("\xff\xff\xff garbage")};
    send(world, &submit);
    steps(world, 40);
    nacked(world, 1, MOOT_EINVALID);
    assert_int_equal(view(world).last, last);
    assert_false(view(world).fenced);
    write_batch(world, 5, 2, 0, 1, "INCR n");
    answered(world, 1, ":1\r\n");
    world_free(world);
}

/* Goal: exactly once holds across a crash of the leader: what was executed, and what is only in the
 * log, is not executed again. Method: crash, then the same batches in new sessions. */
static void a_restarted_leader_knows_what_it_has(void **state)
{
    (void)state;
    struct world *world = world_make();
    for (uint64_t number = 1; number <= 20; number++) {
        write_batch(world, 5, 1, number - 1, number, "INCR n");
    }
    cluster_kill(world->cluster, 1);
    cluster_open(world->cluster, 1, 0);
    cluster_expect(world->cluster, 1, "GET n\r\n", "$2\r\n20\r\n");
    uint64_t epoch = 2;
    for (uint64_t number = 1; number <= 20; number++) {
        write_batch(world, 5, epoch++, 0, number, "INCR n");
        assert_int_equal(world->kept_count, 1);
        assert_int_equal(world->kept[0].kind, MOOT_MESSAGE_ANSWER);
        int status = world->kept[0].answer.status;
        assert_true(status == 0 || status == MOOT_EINDOUBT);
    }
    answered(world, 20, ":20\r\n"); /* Executed again from the journal, so the ring has it. */
    cluster_expect(world->cluster, 1, "GET n\r\n", "$2\r\n20\r\n");
    write_batch(world, 5, epoch, 0, 21, "INCR n");
    answered(world, 21, ":21\r\n");
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_sent_again_is_answered_from_the_ring),
        cmocka_unit_test(a_batch_in_the_log_is_not_appended_again),
        cmocka_unit_test(a_gap_is_refused),
        cmocka_unit_test(the_dead_are_not_heard),
        cmocka_unit_test(an_evicted_reply_is_in_doubt),
        cmocka_unit_test(a_malformed_batch_is_kept_out),
        cmocka_unit_test(a_restarted_leader_knows_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
