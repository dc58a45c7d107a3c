/* Figure 8 of the Raft paper (Ongaro and Ousterhout 2014, section 5.4.2), by the production core:
 * an entry of an older term stands on a majority, and is erased; so counting copies does not commit
 * it. A leader's first entry is its no-op: the entries of the figure are those. */
#include "lab/raft_world.h"

enum { ALL = 0x3E, S1 = 1 << 1, S2 = 1 << 2, S3 = 1 << 3, S4 = 1 << 4, S5 = 1 << 5 };

struct scene {
    struct raft_world *world;
    moot_term old; /* Of the entry at index 2 that the figure is about. */
    bool led;      /* Every election so far went as in the figure. */
};

static void elect(struct scene *scene, moot_node_id id, uint32_t among)
{
    scene->led = raft_world_elect(scene->world, id, among) && scene->led;
}

/* (a), (b), (c): entry 2 of the old term comes to stand on S1, S2 and S3. */
static void until_c(struct lab *lab, struct scene *scene)
{
    struct raft_world *world = scene->world;
    elect(scene, 1, ALL);
    raft_world_deliver(world, ALL, WORLD_LOG);
    raft_world_crash(world, 1);
    raft_world_start(world, 1);
    lab_say(lab, MOOT_PICTURE_NOBODY, "(a) S1 leads, and brings entry 2 to S2 only");
    elect(scene, 1, ALL);
    scene->old = world->servers[1].term;
    raft_world_deliver(world, S1 | S2, WORLD_LOG);
    raft_world_crash(world, 1);
    lab_say(lab, MOOT_PICTURE_NOBODY,
            "(b) S1 crashes; S5 leads with votes of S3 and S4, and makes another entry 2");
    elect(scene, 5, S3 | S4 | S5);
    raft_world_deliver(world, S5, WORLD_LOG);
    raft_world_crash(world, 5);
    raft_world_start(world, 1);
    lab_say(lab, MOOT_PICTURE_NOBODY,
            "(c) S5 crashes; S1 leads again, and brings its old entry 2 to S3");
    elect(scene, 1, S1 | S2 | S3 | S4);
}

static void erased(struct lab *lab, struct scene *scene)
{
    struct raft_world *world = scene->world;
    until_c(lab, scene);
    raft_world_deliver(world, S1 | S2 | S3, 2); /* Its entry 3 reaches nobody. */
    uint32_t copies = raft_world_copies(world, 2, scene->old);
    moot_index commit = world->servers[1].commit;
    lab_say(lab, world->servers[1].line, "entry 2 is on %u of 5 disks; commit stays at %llu",
            copies, (unsigned long long)commit);
    lab_claim(lab, scene->led && copies == 3 && commit < 2,
              "(c) on a majority, and S1 does not call it committed");
    raft_world_crash(world, 1);
    raft_world_start(world, 5);
    lab_say(lab, MOOT_PICTURE_NOBODY, "(d) S1 crashes; S5 leads with votes of S2, S3 and S4");
    elect(scene, 5, S2 | S3 | S4 | S5);
    raft_world_deliver(world, S2 | S3 | S4 | S5, WORLD_LOG);
    lab_claim(lab, scene->led && raft_world_copies(world, 2, scene->old) == 1,
              "(d) S5's entries stand everywhere but on S1: what was on a majority is gone");
    lab_claim(lab, world->servers[5].commit >= 2, "and S5's are committed, rightly");
}

static void safe(struct lab *lab, struct scene *scene)
{
    struct raft_world *world = scene->world;
    until_c(lab, scene);
    lab_say(lab, MOOT_PICTURE_NOBODY, "(e) instead, S1 also brings an entry of its own term there");
    raft_world_deliver(world, S1 | S2 | S3, WORLD_LOG);
    lab_claim(lab, scene->led && world->servers[1].commit >= 3,
              "(e) an entry of the leader's own term on a majority commits all before it");
    raft_world_crash(world, 1);
    raft_world_start(world, 5);
    bool usurped = raft_world_elect(world, 5, S2 | S3 | S4 | S5);
    lab_claim(lab, !usurped, "then S5 cannot be elected: S2 and S3 refuse it");
    bool heir = raft_world_elect(world, 2, S2 | S3 | S4 | S5);
    raft_world_deliver(world, S2 | S3 | S4 | S5, WORLD_LOG);
    lab_claim(lab, heir && raft_world_copies(world, 2, scene->old) == 5,
              "S2 can, and everybody holds entry 2");
}

void lab_scene_figure8(struct lab *lab)
{
    struct scene first = {.world = raft_world_make(lab), .led = true};
    erased(lab, &first);
    raft_world_free(first.world);
    lab->now_us += 20000;
    lab_say(lab, MOOT_PICTURE_NOBODY, "once more, on other machines");
    struct scene second = {.world = raft_world_make(lab), .led = true};
    safe(lab, &second);
    raft_world_free(second.world);
    lab_answer(lab, "Only if it is of the leader's own term. An older one is committed by a later "
                    "one of that leader; Raft's leaders begin with a no-op for this.");
}
