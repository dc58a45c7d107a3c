/* The time that stamps are made of, and that keys expire by.
 *
 * A leader gives each entry a stamp, and stamps never go back: one stamp from a clock that has just
 * jumped an hour ahead expires every key that had less than an hour to live, everywhere and for
 * good. The wrong-clock rule of Raft takes the office from such a leader, but only after it has
 * heard others, and what it stamps until then counts.
 *
 * So a wall clock that moves against the steady clock by more than the bound is not believed at
 * once: stamps go on by the steady clock from where they were. (Who has leapt also gives up its
 * office, where somebody shows another time: raft/clock.c.) It is believed when a majority has
 * shown the same time for a few election time-outs (by then what a leader had heard before is
 * forgotten, or it is none any more), and when it comes back. What was found wrong before it jumped
 * is believed at once: somebody has put it right. */
#include "base/assert.h"
#include "base/rule.h"
#include "database/node_internal.h"

static int64_t offset_ms(const struct moot_node *node)
{
    const struct moot_now *now = &node->context.now;
    uint64_t wall_ms = moot_min_u64(now->wall_ms, INT64_MAX / 4);
    return (int64_t)wall_ms - (int64_t)(now->instant.ns / MOOT_MSEC_NS);
}

static void tell(struct moot_node *node, const char *text, int64_t moved_ms)
{
    struct moot_buffer line;
    moot_buffer_init(&line);
    moot_buffer_append_text(&line, text);
    moot_buffer_append_i64(&line, moved_ms);
    moot_buffer_append_text(&line, " ms");
    moot_outbox_log(&node->outbox, MOOT_LOG_WARN, moot_buffer_slice(&line));
    moot_buffer_deinit(&line);
}

/* What the groups have heard: a follower hears few, so one group that knows is enough. */
static bool is_found_wrong(const struct moot_node *node)
{
    bool wrong = false;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_raft_status raft;
        moot_raft_status(node->groups[id]->raft, &raft);
        wrong = wrong || raft.clock_is_wrong;
    }
    return wrong;
}

static bool is_agreed(const struct moot_node *node)
{
    bool agreed = false;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        agreed = agreed || moot_raft_clock_is_agreed(node->groups[id]->raft);
    }
    return agreed;
}

/* People are told when others lead because of it, and when it may lead again. */
static void tell_found(struct moot_node *node, bool wrong)
{
    if (wrong != node->clock_found_wrong) {
        node->clock_found_wrong = wrong;
        const char *text = wrong ? "this node's wall clock is off the others', or leapt: it leads "
                                   "nothing until they agree"
                                 : "this node's wall clock is no longer found wrong";
        moot_outbox_log(&node->outbox, MOOT_LOG_WARN, moot_slice_text(text));
    }
}

/* Whether a clock that has moved so far is believed now. */
static bool is_believed(struct moot_node *node, int64_t moved_ms)
{
    struct moot_instant now = node->context.now.instant;
    bool wrong = is_found_wrong(node);
    tell_found(node, wrong);
    if (moved_ms <= MOOT_CLOCK_BOUND_MS && moved_ms >= -MOOT_CLOCK_BOUND_MS) {
        node->wall_was_wrong = wrong;
        return true;
    }
    if (node->wall_was_wrong) {
        return true;
    }
    if (node->wall_last_doubt.ns == MOOT_NEVER.ns) {
        MOOT_SOMETIMES(true, "a wall clock jumped, and was not believed");
        tell(node, "the wall clock jumped, and is not believed before others agree; it moved by ",
             moved_ms);
    }
    if (node->wall_last_doubt.ns == MOOT_NEVER.ns || wrong || !is_agreed(node)) {
        node->wall_last_doubt = now;
    }
    uint64_t agreed_ns = moot_instant_since(now, node->wall_last_doubt).ns;
    return MOOT_RULE(node_leap_is_agreed, agreed_ns >= node->wall_agree_ns);
}

void node__clock_init(struct moot_node *node, uint64_t election_ms)
{
    node->wall_agree_ns = MOOT_CLOCK_AGREE_ELECTIONS * MOOT_MSEC_NS *
                          (election_ms != 0 ? election_ms : MOOT_ELECTION_MS);
    node->wall_offset_ms = offset_ms(node);
    node->wall_last_doubt = MOOT_NEVER;
    node->context.stamp_ms = node->context.now.wall_ms;
}

/* At the beginning of each turn. */
void node__clock(struct moot_node *node)
{
    int64_t moved_ms = offset_ms(node) - node->wall_offset_ms;
    if (is_believed(node, moved_ms)) {
        if (node->wall_last_doubt.ns != MOOT_NEVER.ns && moved_ms != 0) {
            tell(node, "the wall clock is believed again; it moved by ", moved_ms);
        }
        node->wall_last_doubt = MOOT_NEVER;
        node->wall_offset_ms += moved_ms;
        node->context.stamp_ms = node->context.now.wall_ms;
        return;
    }
    int64_t steady_ms = (int64_t)(node->context.now.instant.ns / MOOT_MSEC_NS);
    int64_t stamp_ms = steady_ms + node->wall_offset_ms;
    MOOT_ASSERT(node->wall_last_doubt.ns != MOOT_NEVER.ns);
    node->context.stamp_ms = stamp_ms > 0 ? (uint64_t)stamp_ms : 0;
}
