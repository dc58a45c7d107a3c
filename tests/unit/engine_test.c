/* The engine: batches of commands against a view, restarts, EXEC, ids, expiry, digests. */
#include "engine_world.h"

/* Goal: a batch answers each item in order. Method: a few commands by hand. */
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
    assert_string_equal(world_read(&world, "DBSIZE"), ":2.");
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
