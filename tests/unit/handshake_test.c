#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/slice.h"
#include "wire/handshake.h"

/* Not a secure MAC; enough to be different whenever key or message are. */
static void test_mac(void *context, struct moot_slice key, struct moot_slice message,
                     uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        uint64_t word = moot_hash64(message, moot_hash64(key, i));
        memcpy(out + 8 * i, &word, 8);
    }
}

/* A node of cluster 'C', told apart by its id; every handshake has its own nonce. */
static struct moot_handshake_options node_options(bool initiator, moot_node_id node)
{
    static uint32_t nonces = 0;
    nonces++;
    struct moot_handshake_options options = {
        .initiator = initiator,
        .purpose = node == 0 ? MOOT_LINK_JOIN : MOOT_LINK_PEER,
        .node = node,
        .incarnation = 1000 + node,
        .address = MOOT_SLICE_LITERAL("127.0.0.1:7100"),
        .secret = MOOT_SLICE_LITERAL("the secret"),
        .mac = {test_mac, NULL},
    };
    memset(options.cluster_id, node == 0 ? 0 : 'C', sizeof(options.cluster_id));
    memset(options.nonce, 0x5a, sizeof(options.nonce));
    memcpy(options.nonce, &nonces, sizeof(nonces));
    return options;
}

struct side {
    struct moot_handshake handshake;
    struct moot_buffer sent; /* All it ever sent. */
    size_t delivered;        /* Of these, what the other side got. */
};

static void side_begin(struct side *side, const struct moot_handshake_options *options)
{
    *side = (struct side){0};
    moot_buffer_init(&side->sent);
    moot_handshake_begin(&side->handshake, options, &side->sent);
}

static void side_end(struct side *side) { moot_buffer_deinit(&side->sent); }

static enum moot_handshake_state feed(struct side *side, struct moot_slice bytes)
{
    return moot_handshake_input(&side->handshake, &bytes, &side->sent);
}

/* Carries what `from` has sent to `to`, in pieces of `step` bytes. */
static void deliver(struct side *from, struct side *to, size_t step)
{
    while (from->delivered < from->sent.size) {
        size_t left = from->sent.size - from->delivered;
        size_t size = left < step ? left : step;
        feed(to, moot_slice_make(from->sent.data + from->delivered, size));
        from->delivered += size;
    }
}

static void run(struct side *initiator, const struct moot_handshake_options *initiator_options,
                struct side *acceptor, const struct moot_handshake_options *acceptor_options,
                size_t step)
{
    side_begin(initiator, initiator_options);
    side_begin(acceptor, acceptor_options);
    for (int round = 0; round < 3; round++) {
        deliver(initiator, acceptor, step);
        deliver(acceptor, initiator, step);
    }
}

/* Goal: two members learn who the other is, prove it, and agree on version and keys, however the
 * bytes are torn. */
static void members_shake_hands(void **state)
{
    (void)state;
    for (size_t step = 1; step < 400; step += step < 10 ? 1 : 37) {
        struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
        a.expected = 2;
        b.address = MOOT_SLICE_LITERAL("b.example:7200");
        struct side initiator, acceptor;
        run(&initiator, &a, &acceptor, &b, step);
        assert_int_equal(initiator.handshake.state, MOOT_HANDSHAKE_DONE);
        assert_int_equal(acceptor.handshake.state, MOOT_HANDSHAKE_DONE);
        const struct moot_peer_identity *at_a = &initiator.handshake.peer;
        const struct moot_peer_identity *at_b = &acceptor.handshake.peer;
        assert_int_equal(at_a->node, 2);
        assert_int_equal(at_a->incarnation, 1002);
        assert_string_equal(at_a->address, "b.example:7200");
        assert_int_equal(at_b->node, 1);
        assert_int_equal(at_b->incarnation, 1001);
        assert_string_equal(at_b->address, "127.0.0.1:7100");
        assert_int_equal(at_b->purpose, MOOT_LINK_PEER);
        assert_int_equal(at_a->version, MOOT_PEER_VERSION_MAX);
        assert_true(at_a->send_key == at_b->receive_key);
        assert_true(at_a->receive_key == at_b->send_key);
        assert_true(at_a->send_key != at_a->receive_key);
        side_end(&initiator);
        side_end(&acceptor);
    }
}

/* Goal: frames that follow the handshake in the same bytes are left to the frame receiver. */
static void bytes_behind_the_handshake_are_left(void **state)
{
    (void)state;
    struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
    struct side initiator, acceptor;
    side_begin(&initiator, &a);
    side_begin(&acceptor, &b);
    deliver(&initiator, &acceptor, 1000);
    deliver(&acceptor, &initiator, 1000);
    moot_buffer_append_text(&initiator.sent, "frames");
    struct moot_slice bytes = {initiator.sent.data + initiator.delivered,
                               initiator.sent.size - initiator.delivered};
    assert_int_equal(moot_handshake_input(&acceptor.handshake, &bytes, &acceptor.sent),
                     MOOT_HANDSHAKE_DONE);
    assert_true(moot_slice_equal(bytes, MOOT_SLICE_LITERAL("frames")));
    side_end(&initiator);
    side_end(&acceptor);
}

/* Goal: a node without an id may ask to join, and learns the cluster's id. */
static void joiner_learns_the_cluster(void **state)
{
    (void)state;
    struct moot_handshake_options a = node_options(true, 0), b = node_options(false, 2);
    struct side initiator, acceptor;
    run(&initiator, &a, &acceptor, &b, 1000);
    assert_int_equal(initiator.handshake.state, MOOT_HANDSHAKE_DONE);
    assert_int_equal(acceptor.handshake.state, MOOT_HANDSHAKE_DONE);
    assert_int_equal(acceptor.handshake.peer.purpose, MOOT_LINK_JOIN);
    assert_int_equal(acceptor.handshake.peer.node, 0);
    assert_memory_equal(initiator.handshake.peer.cluster_id, b.cluster_id, MOOT_CLUSTER_ID_BYTES);
    side_end(&initiator);
    side_end(&acceptor);
}

/* Runs a handshake that must end in a refusal by one side, told to the other. */
static void expect_refusal(const struct moot_handshake_options *a,
                           const struct moot_handshake_options *b, bool by_initiator,
                           enum moot_refusal reason)
{
    struct side initiator, acceptor;
    run(&initiator, a, &acceptor, b, 1000);
    struct moot_handshake *refuser = by_initiator ? &initiator.handshake : &acceptor.handshake;
    struct moot_handshake *refused = by_initiator ? &acceptor.handshake : &initiator.handshake;
    assert_int_equal(refuser->state, MOOT_HANDSHAKE_REFUSED);
    assert_int_equal(refuser->refusal, reason);
    assert_false(refuser->refused_by_peer);
    assert_int_equal(refused->state, MOOT_HANDSHAKE_REFUSED);
    assert_int_equal(refused->refusal, reason);
    assert_true(refused->refused_by_peer);
    side_end(&initiator);
    side_end(&acceptor);
}

/* Goal: each kind of node that may not link is refused, with its reason on both sides. */
static void strangers_are_refused_with_the_reason(void **state)
{
    (void)state;
    struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
    a.secret = MOOT_SLICE_LITERAL("another secret");
    expect_refusal(&a, &b, true, MOOT_REFUSED_PROOF);

    a = node_options(true, 1);
    a.cluster_id[3] ^= 1;
    expect_refusal(&a, &b, false, MOOT_REFUSED_OTHER_CLUSTER);

    a = node_options(true, 0); /* Was told to join another cluster than this one. */
    memset(a.cluster_id, 'D', sizeof(a.cluster_id));
    expect_refusal(&a, &b, false, MOOT_REFUSED_OTHER_CLUSTER);

    a = node_options(true, 2);
    expect_refusal(&a, &b, false, MOOT_REFUSED_SELF);

    a = node_options(true, 1);
    memcpy(a.nonce, b.nonce, sizeof(a.nonce));
    expect_refusal(&a, &b, false, MOOT_REFUSED_SELF);

    a = node_options(true, 1);
    a.expected = 3;
    expect_refusal(&a, &b, true, MOOT_REFUSED_OTHER_NODE);

    a = node_options(true, 1);
    b = node_options(false, 0);
    expect_refusal(&a, &b, false, MOOT_REFUSED_NOT_MEMBER);
}

/* Goal: the highest version both know is spoken; without one, both say so. */
static void versions_are_agreed_or_refused(void **state)
{
    (void)state;
    static const struct {
        uint16_t a_min, a_max, b_min, b_max, agreed;
    } cases[] = {
        {1, 3, 2, 5, 3}, {2, 5, 1, 3, 3}, {2, 2, 1, 9, 2}, {1, 2, 3, 4, 0}, {3, 4, 1, 2, 0}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
        a.version_min = cases[i].a_min;
        a.version_max = cases[i].a_max;
        b.version_min = cases[i].b_min;
        b.version_max = cases[i].b_max;
        if (cases[i].agreed == 0) {
            expect_refusal(&a, &b, false, MOOT_REFUSED_VERSION);
            continue;
        }
        struct side initiator, acceptor;
        run(&initiator, &a, &acceptor, &b, 1000);
        assert_int_equal(initiator.handshake.peer.version, cases[i].agreed);
        assert_int_equal(acceptor.handshake.peer.version, cases[i].agreed);
        side_end(&initiator);
        side_end(&acceptor);
    }
}

/* Goal: who recorded a good handshake cannot use it again, on either side. */
static void replay_is_refused(void **state)
{
    (void)state;
    struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
    struct side initiator, acceptor;
    run(&initiator, &a, &acceptor, &b, 1000);

    struct side victim;
    struct moot_handshake_options fresh = node_options(false, 2);
    side_begin(&victim, &fresh);
    assert_int_equal(feed(&victim, moot_buffer_slice(&initiator.sent)), MOOT_HANDSHAKE_REFUSED);
    assert_int_equal(victim.handshake.refusal, MOOT_REFUSED_PROOF);
    side_end(&victim);

    fresh = node_options(true, 1);
    side_begin(&victim, &fresh);
    assert_int_equal(feed(&victim, moot_buffer_slice(&acceptor.sent)), MOOT_HANDSHAKE_REFUSED);
    assert_int_equal(victim.handshake.refusal, MOOT_REFUSED_PROOF);
    side_end(&victim);
    side_end(&initiator);
    side_end(&acceptor);
}

/* Goal: who does not know the secret cannot have a node prove something to itself. Method: an
 * attacker says HELLO as node 1 and sends the acceptor's own proof back as its CONFIRM; and one
 * that sends an initiator its own HELLO, as it is and dressed up as a REPLY. */
static void reflection_is_refused(void **state)
{
    (void)state;
    struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
    struct side attacker, acceptor;
    side_begin(&attacker, &a);
    side_begin(&acceptor, &b);
    deliver(&attacker, &acceptor, 1000);
    struct moot_buffer confirm;
    moot_buffer_init(&confirm);
    moot_buffer_append(&confirm, "MOOT\x01\x03\x20\x00", 8);
    moot_buffer_append(&confirm, acceptor.sent.data + acceptor.sent.size - MOOT_MAC_BYTES,
                       MOOT_MAC_BYTES);
    assert_int_equal(feed(&acceptor, moot_buffer_slice(&confirm)), MOOT_HANDSHAKE_REFUSED);
    assert_int_equal(acceptor.handshake.refusal, MOOT_REFUSED_PROOF);

    struct moot_buffer hello;
    moot_buffer_init(&hello);
    moot_buffer_append_slice(&hello, moot_buffer_slice(&attacker.sent));
    struct side victim;
    struct moot_handshake_options fresh = node_options(true, 1);
    side_begin(&victim, &fresh);
    assert_int_equal(feed(&victim, moot_buffer_slice(&hello)), MOOT_HANDSHAKE_REFUSED);
    side_end(&victim);
    fresh = node_options(true, 1);
    side_begin(&victim, &fresh);
    hello.size = 0;
    moot_buffer_append_slice(&hello, moot_buffer_slice(&victim.sent));
    moot_buffer_append(&hello, acceptor.sent.data, MOOT_MAC_BYTES); /* In place of a proof. */
    hello.data[5] = 2;
    hello.data[6] = (uint8_t)(hello.data[6] + MOOT_MAC_BYTES);
    assert_int_equal(feed(&victim, moot_buffer_slice(&hello)), MOOT_HANDSHAKE_REFUSED);
    assert_int_equal(victim.handshake.refusal, MOOT_REFUSED_SELF);
    side_end(&victim);
    moot_buffer_deinit(&hello);
    moot_buffer_deinit(&confirm);
    side_end(&attacker);
    side_end(&acceptor);
}

/* Goal: whoever changes a byte on the way is noticed: no side ends DONE with something false.
 * Method: each byte of HELLO, REPLY and CONFIRM changed in turn. */
static void any_changed_byte_is_refused(void **state)
{
    (void)state;
    bool all_done = false;
    for (size_t at = 0; !all_done; at++) {
        struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
        struct side initiator, acceptor;
        side_begin(&initiator, &a);
        side_begin(&acceptor, &b);
        size_t hello_size = initiator.sent.size, reply_size = 0;
        if (at < hello_size) {
            initiator.sent.data[at] ^= 0x10;
        }
        deliver(&initiator, &acceptor, 1000);
        if (acceptor.handshake.state == MOOT_HANDSHAKE_MORE) {
            reply_size = acceptor.sent.size;
            if (at >= hello_size && at < hello_size + reply_size) {
                acceptor.sent.data[at - hello_size] ^= 0x10;
            }
            deliver(&acceptor, &initiator, 1000);
            if (at >= hello_size + reply_size &&
                at - hello_size - reply_size < initiator.sent.size - hello_size) {
                initiator.sent.data[at - reply_size] ^= 0x10;
            }
            all_done = at == hello_size + reply_size + 8 + MOOT_MAC_BYTES;
            deliver(&initiator, &acceptor, 1000);
        }
        if (all_done) {
            assert_int_equal(acceptor.handshake.state, MOOT_HANDSHAKE_DONE);
        } else {
            assert_int_not_equal(acceptor.handshake.state, MOOT_HANDSHAKE_DONE);
        }
        side_end(&initiator);
        side_end(&acceptor);
    }
}

static void expect_bytes_refused(struct moot_slice bytes, enum moot_refusal reason)
{
    struct moot_handshake_options b = node_options(false, 2);
    struct side acceptor;
    for (size_t step = 1; step <= bytes.size; step += bytes.size - 1) {
        side_begin(&acceptor, &b);
        for (size_t at = 0; at < bytes.size; at += step) {
            feed(&acceptor, moot_slice_make(bytes.data + at, step));
        }
        assert_int_equal(acceptor.handshake.state, MOOT_HANDSHAKE_REFUSED);
        assert_int_equal(acceptor.handshake.refusal, reason);
        side_end(&acceptor);
    }
}

/* Goal: each hears which feature level the other knows; a release from before that was said is
 * understood all the same. Method: a handshake of two; a HELLO without its last field. */
static void levels_are_said(void **state)
{
    (void)state;
    struct moot_handshake_options a = node_options(true, 1), b = node_options(false, 2);
    b.feature_level = MOOT_FEATURE_LEVEL + 7;
    struct side initiator, acceptor;
    run(&initiator, &a, &acceptor, &b, 1000);
    assert_int_equal(initiator.handshake.state, MOOT_HANDSHAKE_DONE);
    assert_int_equal(initiator.handshake.peer.feature_level, MOOT_FEATURE_LEVEL + 7);
    assert_int_equal(acceptor.handshake.peer.feature_level, MOOT_FEATURE_LEVEL);
    side_end(&initiator);
    side_end(&acceptor);
    side_begin(&initiator, &a);
    side_begin(&acceptor, &b);
    initiator.sent.size -= 4;
    initiator.sent.data[6] -= 4;
    deliver(&initiator, &acceptor, 1000);
    assert_int_equal(acceptor.handshake.state, MOOT_HANDSHAKE_MORE);
    assert_true(acceptor.sent.size > 0); /* It goes on. */
    assert_int_equal(acceptor.handshake.peer.feature_level, 0);
    side_end(&initiator);
    side_end(&acceptor);
}

/* Goal: what is no handshake is refused at once, and nothing is collected without bound. */
static void malformed_and_oversized_are_refused(void **state)
{
    (void)state;
    expect_bytes_refused(MOOT_SLICE_LITERAL("PI"), MOOT_REFUSED_NOT_MOOT);
    expect_bytes_refused(MOOT_SLICE_LITERAL("*1\r\n$4\r\nPING\r\n"), MOOT_REFUSED_NOT_MOOT);
    expect_bytes_refused(MOOT_SLICE_LITERAL("MOOT\x02"), MOOT_REFUSED_VERSION);
    expect_bytes_refused(MOOT_SLICE_LITERAL("MOOT\x01\x03"), MOOT_REFUSED_MALFORMED);
    expect_bytes_refused(MOOT_SLICE_LITERAL("MOOT\x01\x01\xff\xff"), MOOT_REFUSED_OVERSIZED);
    expect_bytes_refused(MOOT_SLICE_LITERAL("MOOT\x01\x01\x02\x00\x01\x01"),
                         MOOT_REFUSED_MALFORMED);
    expect_bytes_refused(MOOT_SLICE_LITERAL("MOOT\x01\x01\x00\x00"), MOOT_REFUSED_MALFORMED);

    /* A HELLO with one field made impossible: purpose, then address. */
    struct moot_handshake_options a = node_options(true, 1);
    struct side initiator;
    side_begin(&initiator, &a);
    initiator.sent.data[8] = 9;
    expect_bytes_refused(moot_buffer_slice(&initiator.sent), MOOT_REFUSED_MALFORMED);
    initiator.sent.data[8] = MOOT_LINK_JOIN;
    expect_bytes_refused(moot_buffer_slice(&initiator.sent), MOOT_REFUSED_HAS_ID);
    initiator.sent.data[8] = MOOT_LINK_PEER;
    initiator.sent.data[initiator.sent.size - 1 - 4] = '\n'; /* The level stands behind it. */
    expect_bytes_refused(moot_buffer_slice(&initiator.sent), MOOT_REFUSED_MALFORMED);
    side_end(&initiator);

    a = node_options(true, 0);
    side_begin(&initiator, &a);
    initiator.sent.data[8] = MOOT_LINK_PEER;
    expect_bytes_refused(moot_buffer_slice(&initiator.sent), MOOT_REFUSED_NO_ID);
    side_end(&initiator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_shake_hands),
        cmocka_unit_test(bytes_behind_the_handshake_are_left),
        cmocka_unit_test(joiner_learns_the_cluster),
        cmocka_unit_test(strangers_are_refused_with_the_reason),
        cmocka_unit_test(versions_are_agreed_or_refused),
        cmocka_unit_test(replay_is_refused),
        cmocka_unit_test(reflection_is_refused),
        cmocka_unit_test(any_changed_byte_is_refused),
        cmocka_unit_test(levels_are_said),
        cmocka_unit_test(malformed_and_oversized_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
