/* The answer in words. */
#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"
#include "moot/quorum_math.h"

struct text {
    char *at, *end; /* `end` is where the NUL must fit at the latest. */
    bool full;
};

static void say(struct text *text, const char *words)
{
    size_t size = strlen(words);
    size_t room = (size_t)(text->end - text->at);
    if (text->full || size > room) {
        text->full = true;
        return;
    }
    memcpy(text->at, words, size);
    text->at += size;
    *text->at = 0;
}

static void say_count(struct text *text, uint32_t count, const char *one, const char *many)
{
    char digits[24];
    digits[moot_text_u64(digits, count)] = 0;
    say(text, digits);
    say(text, " ");
    say(text, count == 1 ? one : many);
}

static void say_nodes(struct text *text, uint32_t count)
{
    say_count(text, count, "node", "nodes");
}

static void say_rule(struct text *text, const struct moot_plan *plan, struct moot_quorum_rule rule)
{
    if (rule.zones == 0) {
        say(text, "any ");
        say_nodes(text, rule.nodes);
        return;
    }
    say_nodes(text, rule.nodes);
    if (rule.zones == plan->zone_count) {
        say(text, " in each zone");
    } else if (rule.zones == 1) {
        say(text, " in any one zone");
    } else {
        say(text, " in each of any ");
        say_count(text, rule.zones, "zone", "zones");
    }
}

static void say_survival(struct text *text, const char *who, struct moot_plan_survival survival,
                         uint32_t zone_count)
{
    say(text, who);
    say(text, " go on while at most ");
    say_nodes(text, survival.nodes);
    say(text, " fail");
    say(text, survival.nodes == 1 ? "s" : "");
    if (zone_count > 1) {
        say(text, ", or ");
        say_count(text, survival.zones, "whole zone", "whole zones");
    }
    say(text, ", whichever.\n");
}

static void say_meeting(struct text *text, const struct moot_plan *plan,
                        const struct moot_plan_answer *answer)
{
    bool consensus = plan->use == MOOT_PLAN_CONSENSUS;
    if (answer->is_safe) {
        say(text, consensus ? "A new leader learns of every decision: elections and replications "
                              "share at least "
                            : "Reads see every acknowledged write: they share at least ");
        say_nodes(text, answer->read_write_meet);
        say(text, ".\n");
    } else {
        say(text, consensus ? "UNSAFE: a new leader may be elected by nodes that know nothing of a "
                              "decision.\n"
                            : "A read may miss an acknowledged write: they may share no node.\n");
    }
    if (consensus) {
        if (!answer->writes_meet) {
            say(text, "Replications need not share a node with each other (flexible Paxos).\n");
        }
        return;
    }
    if (answer->writes_meet) {
        say(text, "Two writes share at least ");
        say_nodes(text, answer->write_write_meet);
        say(text, ": one notices the other.\n");
    } else {
        say(text, "Two writes may share no node: both may be accepted, and are merged later.\n");
    }
}

int moot_plan_explain(const struct moot_plan *plan, char *out, size_t size)
{
    MOOT_ASSERT(size > 0);
    bool consensus = plan->use == MOOT_PLAN_CONSENSUS;
    struct moot_plan_answer answer;
    moot_plan_judge(plan, &answer);
    struct text text = {.at = out, .end = out + size - 1};
    *out = 0;
    say_nodes(&text, answer.nodes);
    if (plan->zone_count > 1) {
        say(&text, " in ");
        say_count(&text, plan->zone_count, "zone", "zones");
    }
    say(&text, consensus ? ". Election: " : ". Read: ");
    say_rule(&text, plan, plan->read);
    say(&text, consensus ? ". Replication: " : ". Write: ");
    say_rule(&text, plan, plan->write);
    say(&text, ".\n");
    say_meeting(&text, plan, &answer);
    say_survival(&text, consensus ? "Elections" : "Reads", answer.reads, plan->zone_count);
    say_survival(&text, consensus ? "Replications" : "Writes", answer.writes, plan->zone_count);
    if (plan->sloppy) {
        say(&text, "Sloppy: ");
        say_count(&text, plan->spares, "spare node stands", "spare nodes stand");
        say(&text, " in for home nodes. ");
        if (answer.is_safe) {
            say(&text, "While more than ");
            say_nodes(&text, answer.absent_max);
            say(&text, " of the home nodes cannot be reached, a read may miss a write that waits "
                       "as a hint. Two writes may miss each other as soon as one cannot.\n");
        } else {
            say(&text, "A read may miss a write that waits as a hint.\n");
        }
    }
    return text.full ? MOOT_FAIL(MOOT_ELIMIT) : 0;
}
