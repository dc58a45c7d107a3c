#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "database/peers.h"

enum { IDS = 3 * MOOT_PEERS_MAX, STEPS = 100 * 1000 };

static void same(struct moot_peers *peers, const uint64_t *model)
{
    uint32_t count = 0;
    for (moot_node_id node = 1; node < IDS; node++) {
        const struct moot_peer *peer = moot_peers_look(peers, node);
        assert_int_equal(peer != NULL, model[node] != 0);
        if (peer != NULL) {
            assert_ptr_equal(peer, &peers->all[count]); /* In order. */
            assert_int_equal(peer->node, node);
            assert_int_equal(peer->linked_at.ns, model[node]);
            assert_int_equal(moot_peers_linked(peers, node), model[node] % 2 == 1);
            count++;
        }
        assert_ptr_equal(moot_peers_find(peers, node), peer);
    }
    assert_int_equal(peers->count, count);
}

/* Goal: rows are found by their id, keep what they hold while others come and go, and are never
 * more than there is room for. Method: random ones, added and removed, beside an array by id. */
static void rows_are_as_an_array_by_id(void **state)
{
    (void)state;
    static struct moot_peers peers;
    static uint64_t model[IDS];
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    uint32_t full = 0;
    for (uint64_t step = 1; step <= STEPS; step++) {
        moot_node_id node = 1 + (moot_node_id)moot_rng_below(&rng, IDS - 1);
        bool grows = step / 2000 % 2 == 0;
        if (moot_rng_below(&rng, 4) != 0 ? grows : !grows) {
            bool room = model[node] != 0 || peers.count < MOOT_PEERS_MAX;
            struct moot_peer *peer = moot_peers_add(&peers, node);
            assert_int_equal(peer != NULL, room);
            full += !room;
            if (peer != NULL) {
                assert_int_equal(peer->linked_at.ns, model[node]);
                peer->linked_at.ns = model[node] = step;
                peer->linked = step % 2 == 1;
            }
        } else if (model[node] != 0) {
            moot_peers_remove(&peers, moot_peers_find(&peers, node));
            model[node] = 0;
        }
        if (step % 97 == 0) {
            same(&peers, model);
        }
    }
    assert_true(full > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_an_array_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
