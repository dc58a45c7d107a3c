#include "moot/rendezvous.h"

#include "base/assert.h"
#include "protocol/placement/mix.h"

static uint64_t cost_of(uint64_t key, moot_node_id node)
{
    return place__cost(place__mix2(key, node));
}

int32_t moot_rendezvous_pick(const struct moot_place_member *members, size_t count, uint64_t key)
{
    MOOT_ASSERT(count <= MOOT_PLACE_MEMBERS_MAX);
    size_t best = count;
    uint64_t best_cost = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].weight == 0) {
            continue;
        }
        uint64_t cost = cost_of(key, members[i].node);
        if (best == count ||
            place__cost_before(cost, members[i].weight, best_cost, members[best].weight) ||
            (members[i].node < members[best].node &&
             !place__cost_before(best_cost, members[best].weight, cost, members[i].weight))) {
            best = i;
            best_cost = cost;
        }
    }
    return best == count ? -1 : (int32_t)best;
}

/* Those chosen so far: their places, costs and zones. */
struct chosen {
    size_t place[MOOT_PLACE_REPLICAS_MAX];
    size_t count;
};

static bool is_chosen(const struct chosen *chosen, size_t place)
{
    for (size_t i = 0; i < chosen->count; i++) {
        if (chosen->place[i] == place) {
            return true;
        }
    }
    return false;
}

static size_t zone_uses(const struct chosen *chosen, const struct moot_place_member *members,
                        uint32_t zone)
{
    size_t uses = 0;
    for (size_t i = 0; i < chosen->count; i++) {
        uses += members[chosen->place[i]].zone == zone;
    }
    return uses;
}

/* The next replica: of the zones least used, the best score. */
static size_t choose_next(const struct chosen *chosen, const struct moot_place_member *members,
                          size_t count, uint64_t key)
{
    size_t best = count;
    size_t best_uses = 0;
    uint64_t best_cost = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].weight == 0 || is_chosen(chosen, i)) {
            continue;
        }
        size_t uses = zone_uses(chosen, members, members[i].zone);
        if (best < count && uses > best_uses) {
            continue;
        }
        uint64_t cost = cost_of(key, members[i].node);
        if (best == count || uses < best_uses ||
            place__cost_before(cost, members[i].weight, best_cost, members[best].weight) ||
            (members[i].node < members[best].node &&
             !place__cost_before(best_cost, members[best].weight, cost, members[i].weight))) {
            best = i;
            best_uses = uses;
            best_cost = cost;
        }
    }
    return best;
}

size_t moot_rendezvous_replicas(const struct moot_place_member *members, size_t count, uint64_t key,
                                size_t replicas, moot_node_id out[MOOT_PLACE_REPLICAS_MAX])
{
    MOOT_ASSERT(count <= MOOT_PLACE_MEMBERS_MAX);
    MOOT_ASSERT(replicas <= MOOT_PLACE_REPLICAS_MAX);
    struct chosen chosen = {.count = 0};
    while (chosen.count < replicas) {
        size_t place = choose_next(&chosen, members, count, key);
        if (place == count) {
            break;
        }
        out[chosen.count] = members[place].node;
        chosen.place[chosen.count++] = place;
    }
    return chosen.count;
}
