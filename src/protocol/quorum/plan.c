/* Least overlaps and worst failures, counted. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "moot/quorum_math.h"

enum { FORMAT = 1 };

static uint32_t nodes_of(const struct moot_plan *plan)
{
    uint32_t nodes = 0;
    for (uint32_t i = 0; i < plan->zone_count; i++) {
        nodes += plan->zone_nodes[i];
    }
    return nodes;
}

/* Zones that can give a quorum its share. */
static uint32_t eligible_zones(const struct moot_plan *plan, struct moot_quorum_rule rule)
{
    uint32_t eligible = 0;
    for (uint32_t i = 0; i < plan->zone_count; i++) {
        eligible += plan->zone_nodes[i] >= rule.nodes;
    }
    return eligible;
}

static bool rule_is_valid(const struct moot_plan *plan, struct moot_quorum_rule rule)
{
    if (rule.nodes == 0) {
        return false;
    }
    return rule.zones == 0 ? rule.nodes <= nodes_of(plan)
                           : rule.zones <= eligible_zones(plan, rule);
}

int moot_plan_check(const struct moot_plan *plan)
{
    bool fine = (plan->use == MOOT_PLAN_READ_WRITE || plan->use == MOOT_PLAN_CONSENSUS) &&
                plan->zone_count > 0 && plan->zone_count <= MOOT_PLAN_ZONES_MAX;
    for (uint32_t i = 0; fine && i < plan->zone_count; i++) {
        fine = plan->zone_nodes[i] > 0;
    }
    if (!fine || nodes_of(plan) > MOOT_PLAN_NODES_MAX || !rule_is_valid(plan, plan->read) ||
        !rule_is_valid(plan, plan->write)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    bool names_zones = plan->read.zones > 0 || plan->write.zones > 0;
    if (plan->sloppy ? (names_zones || plan->use == MOOT_PLAN_CONSENSUS ||
                        plan->spares > MOOT_PLAN_NODES_MAX)
                     : plan->spares > 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    return 0;
}

static uint32_t size_of(struct moot_quorum_rule rule)
{
    return rule.zones == 0 ? rule.nodes : (uint32_t)rule.nodes * rule.zones;
}

static uint32_t minus(uint32_t a, uint32_t b) { return a > b ? a - b : 0; }

/* Both rules choose zones. Zone by zone: for each number of zones taken by a and by b so far, the
 * least overlap; a zone may be taken by nobody, by one, or by both at a price. */
static uint32_t overlap_of_zones(const struct moot_plan *plan, struct moot_quorum_rule a,
                                 struct moot_quorum_rule b)
{
    enum { NONE = 1 << 20 };
    uint32_t least[MOOT_PLAN_ZONES_MAX + 1][MOOT_PLAN_ZONES_MAX + 1];
    for (uint32_t i = 0; i <= a.zones; i++) {
        for (uint32_t j = 0; j <= b.zones; j++) {
            least[i][j] = i == 0 && j == 0 ? 0 : NONE;
        }
    }
    for (uint32_t zone = 0; zone < plan->zone_count; zone++) {
        uint32_t has = plan->zone_nodes[zone];
        for (uint32_t i = a.zones + 1U; i-- > 0;) { /* Downwards: each zone is used once. */
            for (uint32_t j = b.zones + 1U; j-- > 0;) {
                uint32_t best = least[i][j];
                bool by_a = i > 0 && has >= a.nodes;
                bool by_b = j > 0 && has >= b.nodes;
                if (by_a && least[i - 1][j] < best) {
                    best = least[i - 1][j];
                }
                if (by_b && least[i][j - 1] < best) {
                    best = least[i][j - 1];
                }
                if (by_a && by_b) {
                    uint32_t shared = minus((uint32_t)a.nodes + b.nodes, has);
                    uint32_t both = least[i - 1][j - 1] + shared;
                    best = both < best ? both : best;
                }
                least[i][j] = best;
            }
        }
    }
    MOOT_ASSERT(least[a.zones][b.zones] < NONE);
    return least[a.zones][b.zones];
}

/* The least number of nodes that a quorum of `a` shares with one of `b`. */
static uint32_t overlap(const struct moot_plan *plan, struct moot_quorum_rule a,
                        struct moot_quorum_rule b)
{
    if (a.zones > 0 && b.zones > 0) {
        return overlap_of_zones(plan, a, b);
    }
    /* One of the two may pick its nodes anywhere, so it avoids the other's smallest quorum. */
    return minus(size_of(a) + size_of(b), nodes_of(plan));
}

/* Small numbers, upwards; insertion. */
static void sort(uint32_t *values, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint32_t one = values[i];
        uint32_t at = i;
        while (at > 0 && values[at - 1] > one) {
            values[at] = values[at - 1];
            at--;
        }
        values[at] = one;
    }
}

/* The enemy chooses what fails. */
static struct moot_plan_survival survival(const struct moot_plan *plan,
                                          struct moot_quorum_rule rule)
{
    uint32_t costs[MOOT_PLAN_ZONES_MAX];
    uint32_t count = 0;
    struct moot_plan_survival out = {0};
    if (rule.zones == 0) {
        uint32_t left = nodes_of(plan);
        out.nodes = left - rule.nodes;
        for (uint32_t i = 0; i < plan->zone_count; i++) {
            costs[count++] = plan->zone_nodes[i];
        }
        sort(costs, count);
        while (count > 0 && left - costs[count - 1] >= rule.nodes) { /* The largest zones first. */
            left -= costs[--count];
            out.zones += 1;
        }
        return out;
    }
    /* A zone is lost once it has fewer than its share left; the cheapest ones first, until one zone
     * too many is lost. */
    for (uint32_t i = 0; i < plan->zone_count; i++) {
        if (plan->zone_nodes[i] >= rule.nodes) {
            costs[count++] = plan->zone_nodes[i] - rule.nodes + 1U;
        }
    }
    MOOT_ASSERT(count >= rule.zones);
    sort(costs, count);
    out.zones = count - rule.zones;
    for (uint32_t i = 0; i <= out.zones; i++) {
        out.nodes += costs[i];
    }
    out.nodes -= 1;
    return out;
}

void moot_plan_judge(const struct moot_plan *plan, struct moot_plan_answer *out)
{
    MOOT_ASSERT(rule_is_valid(plan, plan->read));
    MOOT_ASSERT(rule_is_valid(plan, plan->write));
    struct moot_plan_answer answer = {
        .nodes = nodes_of(plan),
        .read_size = size_of(plan->read),
        .write_size = size_of(plan->write),
        .read_write_meet = overlap(plan, plan->read, plan->write),
        .write_write_meet = overlap(plan, plan->write, plan->write),
        .reads = survival(plan, plan->read),
        .writes = survival(plan, plan->write),
    };
    if (plan->sloppy) {
        answer.writes.nodes = answer.nodes + plan->spares - answer.write_size;
        answer.absent_max = minus(answer.read_write_meet, 1);
    }
    answer.both.nodes = (uint32_t)moot_min_u64(answer.reads.nodes, answer.writes.nodes);
    answer.both.zones = (uint32_t)moot_min_u64(answer.reads.zones, answer.writes.zones);
    answer.is_safe = answer.read_write_meet > 0;
    answer.writes_meet = answer.write_write_meet > 0;
    MOOT_ASSERT(answer.read_write_meet <= answer.read_size);
    *out = answer;
}

int moot_plan_encode(const struct moot_plan *plan, uint8_t *out, size_t size, size_t *written)
{
    MOOT_ASSERT(plan->zone_count <= MOOT_PLAN_ZONES_MAX);
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u8(&writer, (uint8_t)((plan->use == MOOT_PLAN_CONSENSUS) | plan->sloppy << 1));
    moot_write_u8(&writer, plan->zone_count);
    for (uint32_t i = 0; i < plan->zone_count; i++) {
        moot_write_u8(&writer, plan->zone_nodes[i]);
    }
    const struct moot_quorum_rule rules[] = {plan->read, plan->write};
    for (uint32_t i = 0; i < 2; i++) {
        moot_write_u8(&writer, rules[i].nodes);
        moot_write_u8(&writer, rules[i].zones);
    }
    moot_write_u8(&writer, plan->spares);
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written <= MOOT_PLAN_BYTES_MAX);
    return 0;
}

int moot_plan_decode(struct moot_slice bytes, struct moot_plan *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint8_t flags = moot_get_u8(&reader);
    struct moot_plan plan = {
        .use = (flags & 1) != 0 ? MOOT_PLAN_CONSENSUS : MOOT_PLAN_READ_WRITE,
        .zone_count = moot_get_u8(&reader),
        .sloppy = (flags & 2) != 0,
    };
    if (reader.failed || flags > 3 || plan.zone_count > MOOT_PLAN_ZONES_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    for (uint32_t i = 0; i < plan.zone_count; i++) {
        plan.zone_nodes[i] = moot_get_u8(&reader);
    }
    plan.read.nodes = moot_get_u8(&reader);
    plan.read.zones = moot_get_u8(&reader);
    plan.write.nodes = moot_get_u8(&reader);
    plan.write.zones = moot_get_u8(&reader);
    plan.spares = moot_get_u8(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0 || moot_plan_check(&plan) != 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = plan;
    return 0;
}
