/* A new leader whose wall clock is behind the stamps that the old one has put into the log. Stamps
 * go on from the log's last one, whatever the own clock says (Lamport 1978; Kulkarni et al., HLC,
 * 2014), and keys that the old leader let expire stay so. In a mixture it takes two that are rare:
 * clocks that differ in the right direction, and a leader that falls. Here both are arranged. */
#include "base/assert.h"
#include "sim/world.h"

enum { FELLED_US = 100 * 1000, WAYS = 4 };

static void set_clock(struct sim_world *world, struct sim_machine *machine, int64_t off_ms)
{
    machine->wall_offset_ms = off_ms;
    world->nudged_ms = moot_max_u64(world->nudged_ms, (uint64_t)(off_ms < 0 ? -off_ms : off_ms));
    sim__record_fault(world, "wrong clock", machine->slot, 1U << machine->slot, 0, UINT64_MAX,
                      "%+lld ms", (long long)off_ms);
    sim__trace(world, "m%u has a wall clock %lld ms off", machine->slot, (long long)off_ms);
}

void sim__set_ahead(struct sim_world *world, struct sim_machine *leader)
{
    /* Together no more than the bound, or the leader would have to give up its office itself; and
     * not much less, for time goes on while another is elected. */
    uint64_t most_ms = MOOT_CLOCK_BOUND_MS / 2;
    for (uint32_t i = 0; i < world->machine_count; i++) {
        struct sim_machine *machine = world->machines[i];
        int64_t off_ms = (int64_t)(most_ms - sim__below(world, most_ms / 4));
        if (machine != NULL) {
            set_clock(world, machine, machine == leader ? off_ms : -off_ms);
        }
    }
    sim__at(world, world->now + sim__around(world, FELLED_US),
            (struct sim_event){.kind = SIM_FELL, .machine = leader->slot, .epoch = leader->epoch});
}

void sim__fell(struct sim_world *world, struct sim_machine *machine)
{
    MOOT_ASSERT(machine->running);
    uint64_t way = sim__below(world, WAYS);
    if (sim__level(world, SIM_FAULT_BEHIND) == 0) {
        return;
    }
    sim__trace(world, "m%u falls", machine->slot);
    if (way == 0) {
        sim__process_ends(world, machine);
    } else if (way == 1) {
        sim__isolate(world, machine);
    } else { /* The quickest. */
        world->admin_wish = SIM_FAULT_TRANSFER;
    }
}

void sim__note_behind(struct sim_world *world, const struct sim_machine *machine,
                      const struct moot_group_view *view)
{
    bool is_behind = view->stamp_ms > sim__machine_now(world, machine).wall_ms;
    if (is_behind && sim__level(world, SIM_FAULT_BEHIND) != 0) {
        sim__count(world, SIM_FAULT_BEHIND);
    }
}
