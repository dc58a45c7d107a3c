/* The rules that a group goes by: its feature level, an entry of its log.
 *
 * A replica that does not know the level stops rather than go on by other rules. So a leader raises
 * it only when every member of the group has said, since this leader's process began, that it knows
 * the new one (nodes say it when they link). A member that is away may be of an older release: it
 * is waited for, or removed by whoever wants to go on without it.
 *
 * A new group has nothing to lose, and is not kept waiting: it gets the least level of those that
 * its first leader has met. An older one that comes later stops, and says why. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "database/group/entry.h"
#include "database/group/group.h"

/* What the members know, as far as they were met. */
struct known {
    uint32_t least;       /* That each of them knows, with this one. */
    moot_node_id ignores; /* Who knows no more than that; 0: nobody knows less than this one. */
    moot_node_id unmet;   /* 0: all were met. */
};

static struct known look(const struct moot_group *group)
{
    moot_node_id all[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX];
    size_t count = moot_members_all(&group->members, all);
    struct known known = {.least = group->context->feature_level};
    for (size_t i = 0; i < count; i++) {
        const struct moot_peer *peer = moot_peers_look(group->context->peers, all[i]);
        if (all[i] == group->context->self) {
            continue;
        }
        if (peer == NULL || peer->level == 0) {
            known.unmet = all[i];
        } else if (peer->level < known.least) {
            known.least = peer->level;
            known.ignores = all[i];
        }
    }
    return known;
}

bool group__knows_level(const struct moot_group *group, uint32_t level)
{
    return MOOT_RULE(feature_level_known, level <= group->context->feature_level);
}

/* Once for each that is in the way. */
static void tell(struct moot_group *group, uint32_t level, const struct known *known)
{
    moot_node_id who = known->least < level ? known->ignores : known->unmet;
    if (group->level_told == who) {
        return;
    }
    group->level_told = who;
    group__log(group, MOOT_LOG_WARN,
               "newer rules are wanted, but not every member knows them: upgrade or remove node ",
               who,
               known->least < level ? ", whose release knows no more than feature level "
                                    : ", which this leader has not met; wanted is feature level ",
               known->least < level ? known->least : level);
}

/* To what the group asked for, if all know it. (It may go over at any time to what all know: in
 * tests it does.) */
static uint32_t raised(struct moot_group *group, const struct known *known, bool at_once)
{
    uint32_t level =
        at_once ? group->context->feature_level : moot_engine_shared(group->engine)->level_wanted;
    bool all_know = known->unmet == 0 && known->least >= level;
    if (MOOT_RULE(level_rises_when_all_know, all_know)) {
        return level;
    }
    MOOT_SOMETIMES(true, "a cluster did not go over to rules that not all know");
    if (!at_once) {
        tell(group, level, known);
        return 0;
    }
    return known->unmet == 0 ? known->least : 0;
}

void group__give_level(struct moot_group *group)
{
    if (group->applied_term != group->term) {
        return; /* What its log says of the level it has not executed yet. */
    }
    bool is_new = group->feature_level == 0;
    bool at_once = !is_new && MOOT_FORCED(group->context->chance, level_rises);
    uint32_t wanted = moot_engine_shared(group->engine)->level_wanted;
    bool is_wanted = wanted > group->feature_level && wanted <= group->context->feature_level;
    if (group->feature_asked || (!is_new && !at_once && !is_wanted)) {
        return;
    }
    struct known known = look(group);
    uint32_t level = is_new ? known.least : raised(group, &known, at_once);
    MOOT_ASSERT(level <= group->context->feature_level);
    if (level <= group->feature_level) {
        return;
    }
    uint8_t body[4];
    moot_store_le32(body, level);
    moot_index index;
    struct moot_block *block =
        group__entry_block(group, MOOT_ENTRY_FEATURE_LEVEL, moot_slice_make(body, sizeof(body)));
    group->feature_asked = group__append(group, block, &index) == 0;
}
