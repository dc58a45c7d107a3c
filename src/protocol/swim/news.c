#include "protocol/swim/swim.h"

#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"

/* ---- time-outs and counts, in fixed point ---- */

/* 65536 * log2(n): the fraction by squaring (Knuth, volume 1, section 1.2.2, exercise 25). */
static uint64_t log2_q16(uint32_t n)
{
    MOOT_ASSERT(n > 0);
    uint64_t whole = 31 - (uint64_t)__builtin_clz(n);
    uint64_t result = whole << 16;
    uint64_t x = ((uint64_t)n << 32) >> whole; /* 32.32, in [1, 2) */
    for (uint64_t bit = 1u << 15; bit > 0; bit >>= 1) {
        x = (uint64_t)((unsigned __int128)x * x >> 32);
        if (x >= UINT64_C(2) << 32) {
            x >>= 1;
            result |= bit;
        }
    }
    return result;
}

enum { LOG10_OF_2_Q16 = 19728 };

uint32_t swim__transmits_max(const struct moot_swim *swim)
{
    uint64_t times = (swim->config.gossip_multiplier * log2_q16(swim->listed + 1) + 65535) >> 16;
    return (uint32_t)moot_min_u64(times, 250);
}

/* Lifeguard IV.B: from max with one suspicion down to min with K more that agree, in steps of
 * log(C + 1) / log(K + 1). */
struct moot_instant swim__suspicion_end(const struct moot_swim *swim, const struct swim_slot *slot)
{
    const struct moot_swim_config *config = &swim->config;
    uint64_t scale_q16 = (log2_q16(swim->listed > 10 ? swim->listed : 10) * LOG10_OF_2_Q16) >> 16;
    uint64_t least = (config->interval.ns / 1024 * config->suspicion_multiplier * scale_q16) >> 16;
    least *= 1024;
    uint64_t most = least * config->suspicion_max_multiplier;
    uint32_t others = swim->listed > 2 ? swim->listed - 2 : 0;
    uint32_t wanted = (uint32_t)moot_min_u64(config->confirmations, others);
    uint32_t agreed = (uint32_t)moot_min_u64(slot->confirmed - 1u, wanted);
    uint64_t span = most;
    if (wanted == 0 || agreed >= wanted) {
        span = least;
    } else if (agreed > 0) {
        uint64_t part = (log2_q16(agreed + 1) << 16) / log2_q16(wanted + 1);
        span = most - (((most - least) >> 10) * part >> 16 << 10);
    }
    return moot_instant_add(slot->member.since, (struct moot_duration){span});
}

/* Lifeguard IV.A: local health. */
void swim__aware(struct moot_swim *swim, int change)
{
    int value = (int)swim->awareness + change;
    int most = swim->config.awareness_max - 1;
    swim->awareness = (uint32_t)(value < 0 ? 0 : value > most ? most : value);
}

/* ---- what is believed ---- */

/* SWIM 4.2, with LEFT above DEAD, and a higher incarnation bringing back the dead. */
static bool overrides(const struct swim_saying *saying, const struct moot_swim_member *now)
{
    if (saying->state == MOOT_SWIM_ALIVE) {
        return MOOT_RULE(swim_alive_needs_a_higher_incarnation,
                         saying->incarnation > now->incarnation);
    }
    if (saying->incarnation != now->incarnation) {
        return saying->incarnation > now->incarnation;
    }
    return saying->state > now->state;
}

static void rumour(struct moot_swim *swim, uint32_t index)
{
    swim->slots[index].transmits = 0;
    if (swim__set_has(swim, SWIM_SET_RUMOURS, index)) {
        swim__set_remove(swim, SWIM_SET_RUMOURS, index); /* The newest is passed on first. */
    }
    swim__set_add(swim, SWIM_SET_RUMOURS, index);
}

static void place_in(struct moot_swim *swim, enum swim_set_kind kind, uint32_t index, bool wanted)
{
    if (wanted && !swim__set_has(swim, kind, index)) {
        swim__set_add(swim, kind, index);
    } else if (!wanted && swim__set_has(swim, kind, index)) {
        swim__set_remove(swim, kind, index);
    }
}

/* SWIM 4.3: a newcomer goes to a random place of the order. */
static void into_order(struct moot_swim *swim, uint32_t index)
{
    struct swim_set *order = &swim->sets[SWIM_SET_ORDER];
    swim__set_add(swim, SWIM_SET_ORDER, index);
    uint32_t at = (uint32_t)moot_rng_below(&swim->rng, order->count);
    uint32_t other = order->items[at];
    order->items[order->count - 1] = other;
    swim->slots[other].at[SWIM_SET_ORDER] = order->count - 1;
    order->items[at] = index;
    swim->slots[index].at[SWIM_SET_ORDER] = at;
}

/* Those already asked stand before next_probe: the last of them fills the gap, so that nobody who
 * waits is passed over, and 2n - 1 periods stay the bound. */
static void out_of_order(struct moot_swim *swim, uint32_t index)
{
    struct swim_set *order = &swim->sets[SWIM_SET_ORDER];
    uint32_t at = swim->slots[index].at[SWIM_SET_ORDER];
    if (at < swim->next_probe) {
        uint32_t other = order->items[--swim->next_probe];
        order->items[at] = other;
        swim->slots[other].at[SWIM_SET_ORDER] = at;
        order->items[swim->next_probe] = index;
        swim->slots[index].at[SWIM_SET_ORDER] = swim->next_probe;
    }
    swim__set_remove(swim, SWIM_SET_ORDER, index);
}

static void settle(struct moot_swim *swim, uint32_t index)
{
    struct swim_slot *slot = &swim->slots[index];
    bool listed = swim__is_listed(slot);
    if (listed != slot->counted) {
        slot->counted = listed;
        swim->listed += listed ? 1 : UINT32_MAX;
    }
    place_in(swim, SWIM_SET_SUSPECTS, index, slot->member.state == MOOT_SWIM_SUSPECT);
    place_in(swim, SWIM_SET_CHANGED, index, slot->told != slot->member.state);
    if (index == 0) {
        return;
    }
    place_in(swim, SWIM_SET_GONE, index, !listed);
    bool ordered = swim__set_has(swim, SWIM_SET_ORDER, index);
    if (listed && !ordered) {
        into_order(swim, index);
    } else if (!listed && ordered) {
        out_of_order(swim, index);
    }
}

static void become(struct moot_swim *swim, struct moot_instant now, uint32_t index,
                   const struct swim_saying *saying)
{
    struct swim_slot *slot = &swim->slots[index];
    struct moot_swim_member *member = &slot->member;
    if (member->state != saying->state || saying->state == MOOT_SWIM_SUSPECT) {
        member->since = now;
    }
    swim->counts.deaths += saying->state == MOOT_SWIM_DEAD && member->state != MOOT_SWIM_DEAD;
    swim->counts.suspicions += saying->state == MOOT_SWIM_SUSPECT;
    member->state = (uint8_t)saying->state;
    member->incarnation = saying->incarnation;
    if (saying->address.size > 0) {
        member->address = saying->address;
    }
    slot->confirmed = saying->state == MOOT_SWIM_SUSPECT ? 1 : 0;
    slot->by[0] = saying->by;
    settle(swim, index);
    rumour(swim, index);
}

/* SWIM 4.2: only the member itself raises its incarnation; above whatever is said of it. */
static void refute(struct moot_swim *swim, struct moot_instant now,
                   const struct swim_saying *saying)
{
    struct moot_swim_member *self = &swim->slots[0].member;
    bool is_bad = saying->state != MOOT_SWIM_ALIVE;
    /* An incarnation that this life never had: an earlier one used it. */
    bool is_foreign = saying->incarnation > self->incarnation;
    if (swim->leaving || !(is_foreign || (is_bad && saying->incarnation == self->incarnation))) {
        return;
    }
    MOOT_SOMETIMES(saying->state == MOOT_SWIM_SUSPECT, "a member refutes a suspicion");
    self->incarnation = saying->incarnation + (saying->incarnation < UINT64_MAX);
    self->since = now;
    swim->counts.refuted_self++;
    if (is_bad) {
        swim__aware(swim, 1);
    }
    rumour(swim, 0);
}

/* Lifeguard IV.B: another that suspects it too. It is news for those who count, K times at most. */
static void confirm(struct moot_swim *swim, uint32_t index, const struct swim_saying *saying)
{
    struct swim_slot *slot = &swim->slots[index];
    if (saying->by == 0 || slot->confirmed > swim->config.confirmations ||
        slot->confirmed == MOOT_SWIM_CONFIRM_MAX) {
        return;
    }
    for (uint32_t i = 0; i < slot->confirmed; i++) {
        if (slot->by[i] == saying->by) {
            return;
        }
    }
    slot->by[slot->confirmed++] = saying->by;
    rumour(swim, index);
}

void swim__believe(struct moot_swim *swim, struct moot_instant now,
                   const struct swim_saying *saying)
{
    if (saying->id == swim->config.self) {
        refute(swim, now, saying);
        return;
    }
    uint32_t index = swim__slot_of(swim, saying->id);
    if (index == SWIM_NONE) {
        if (saying->state == MOOT_SWIM_DEAD || saying->state == MOOT_SWIM_LEFT) {
            return; /* Was never here, or is long forgotten. */
        }
        index = swim__slot_make(swim, saying->id);
        if (index != SWIM_NONE) {
            become(swim, now, index, saying);
        }
        return;
    }
    struct swim_slot *slot = &swim->slots[index];
    if (overrides(saying, &slot->member)) {
        become(swim, now, index, saying);
    } else if (saying->state == MOOT_SWIM_SUSPECT && slot->member.state == MOOT_SWIM_SUSPECT &&
               saying->incarnation == slot->member.incarnation) {
        confirm(swim, index, saying);
    }
}

void swim__suspect(struct moot_swim *swim, struct moot_instant now, uint32_t index)
{
    const struct moot_swim_member *member = &swim->slots[index].member;
    swim__believe(swim, now,
                  &(struct swim_saying){.id = member->id,
                                        .by = swim->config.self,
                                        .incarnation = member->incarnation,
                                        .state = MOOT_SWIM_SUSPECT});
}

/* ---- time ---- */

static void forget(struct moot_swim *swim, struct moot_instant now)
{
    struct swim_set *gone = &swim->sets[SWIM_SET_GONE];
    for (uint32_t i = gone->count; i > 0; i--) {
        uint32_t index = gone->items[i - 1];
        struct swim_slot *slot = &swim->slots[index];
        if (moot_instant_since(now, slot->member.since).ns < swim->config.forget.ns) {
            continue;
        }
        if (swim->forgotten_count == MOOT_ARRAY_LEN(swim->forgotten)) {
            return; /* When the caller has heard of those. */
        }
        swim->forgotten[swim->forgotten_count++] = slot->member.id;
        swim__slot_forget(swim, index);
    }
}

void swim__expire(struct moot_swim *swim, struct moot_instant now)
{
    struct swim_set *suspects = &swim->sets[SWIM_SET_SUSPECTS];
    for (uint32_t i = suspects->count; i > 0; i--) {
        uint32_t index = suspects->items[i - 1];
        const struct swim_slot *slot = &swim->slots[index];
        if (!moot_instant_before(now, swim__suspicion_end(swim, slot))) {
            swim__believe(swim, now,
                          &(struct swim_saying){.id = slot->member.id,
                                                .incarnation = slot->member.incarnation,
                                                .state = MOOT_SWIM_DEAD});
        }
    }
    if (!moot_instant_before(now, swim->forget_at)) {
        swim->forget_at = moot_instant_add(now, swim->config.interval);
        forget(swim, now);
    }
}

void swim__forgive(struct moot_swim *swim, struct moot_duration gap)
{
    struct swim_set *suspects = &swim->sets[SWIM_SET_SUSPECTS];
    for (uint32_t i = 0; i < suspects->count; i++) {
        struct moot_swim_member *member = &swim->slots[suspects->items[i]].member;
        member->since = moot_instant_add(member->since, gap);
    }
}

struct moot_instant swim__news_deadline(const struct moot_swim *swim)
{
    struct moot_instant first = swim->forget_at;
    const struct swim_set *suspects = &swim->sets[SWIM_SET_SUSPECTS];
    for (uint32_t i = 0; i < suspects->count; i++) {
        first =
            moot_instant_min(first, swim__suspicion_end(swim, &swim->slots[suspects->items[i]]));
    }
    return first;
}

void moot_swim_leave(struct moot_swim *swim, struct moot_instant now)
{
    struct swim_slot *self = &swim->slots[0];
    if (swim->leaving) {
        return;
    }
    swim->leaving = true;
    self->member.state = MOOT_SWIM_LEFT;
    self->member.since = now;
    settle(swim, 0);
    rumour(swim, 0);
}

bool moot_swim_has_left(const struct moot_swim *swim)
{
    return swim->leaving &&
           (!swim__set_has(swim, SWIM_SET_RUMOURS, 0) || swim->sets[SWIM_SET_ORDER].count == 0);
}

const char *moot_swim_state_text(enum moot_swim_state state)
{
    static const char *const TEXTS[] = {"alive", "suspect", "dead", "left"};
    MOOT_ASSERT(state < MOOT_ARRAY_LEN(TEXTS));
    return TEXTS[state];
}
