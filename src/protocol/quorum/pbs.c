/* k-staleness in closed form, t-visibility by sampling: fixed point throughout. */
#include "moot/pbs.h"

#include "base/assert.h"
#include "base/rng.h"
#include "base/status.h"

enum { MILLION = 1000000, ONE_BITS = 50 };

uint64_t moot_pbs_k_staleness_ppb(uint32_t n, uint32_t r, uint32_t w, uint32_t k)
{
    MOOT_ASSERT(n > 0 && n <= MOOT_PBS_NODES_MAX);
    MOOT_ASSERT(r > 0 && r <= n);
    MOOT_ASSERT(w > 0 && w <= n);
    /* C(n-w, r) / C(n, r) is the product of (n-w-i) / (n-i): the i-th node of the read is not one
     * of the write either. */
    const uint64_t one = UINT64_C(1) << ONE_BITS;
    uint64_t miss = one;
    for (uint32_t i = 0; i < r; i++) {
        miss = w + i >= n ? 0 : miss * (n - w - i) / (n - i);
    }
    uint64_t all = one;
    for (uint32_t i = 0; i < k && all > 0; i++) {
        all = (uint64_t)((unsigned __int128)all * miss >> ONE_BITS);
    }
    return (uint64_t)(((unsigned __int128)all * MOOT_PBS_ONE_PPB + one / 2) >> ONE_BITS);
}

/* ---- delays ---- */

/* 2^(1/2), 2^(1/4), 2^(1/8) ... with 62 bits behind the point. */
static const uint64_t ROOTS_Q62[] = {
    UINT64_C(0x5a827999fcef3242), UINT64_C(0x4c1bf828c6dc54b8), UINT64_C(0x45cae0f1f545eb73),
    UINT64_C(0x42d561b3e6243d8a), UINT64_C(0x4166c34c5615d0ec), UINT64_C(0x40b268f9de0183ba),
    UINT64_C(0x4058f6a7ecccd5b6), UINT64_C(0x402c6be96af2fb58), UINT64_C(0x4016321b687027a8),
    UINT64_C(0x400b18178ba33b14), UINT64_C(0x40058bce410147e8), UINT64_C(0x4002c5d7bff71daf),
    UINT64_C(0x400162e807ee7e5b), UINT64_C(0x4000b1730df6a524), UINT64_C(0x400058b9497b8152),
    UINT64_C(0x40002c5c955dd701), UINT64_C(0x4000162e46d6f26c), UINT64_C(0x40000b1722757b1b),
    UINT64_C(0x4000058b90fd3e0c), UINT64_C(0x400002c5c86f3f26), UINT64_C(0x40000162e433c79b),
    UINT64_C(0x400000b17218edd0), UINT64_C(0x40000058b90c3968), UINT64_C(0x4000002c5c860d54),
    UINT64_C(0x400000162e4302d2), UINT64_C(0x4000000b17218073),
};

/* -log2 of a uniform number in (0, 1), with 32 bits behind the point. The fraction comes bit by
 * bit: squaring a number doubles its logarithm. */
static uint64_t minus_log2_q32(uint64_t uniform)
{
    uniform |= 1; /* Never 0. */
    uint64_t shift = (uint64_t)__builtin_clzll(uniform);
    uint64_t x = uniform << shift; /* 1 <= x < 2, with 63 bits behind the point. */
    uint64_t log = 0;
    for (int bit = 0; bit < 32; bit++) {
        unsigned __int128 square = (unsigned __int128)x * x;
        bool carry = (square >> 127) != 0; /* 2 or more. */
        log = log << 1 | carry;
        x = (uint64_t)(square >> (carry ? 64 : 63));
    }
    return ((shift + 1) << 32) - log;
}

/* -ln(u) * mean. */
static uint64_t exponential_us(uint64_t uniform, uint32_t mean_us)
{
    static const uint64_t ln2_q32 = 2977044472; /* ln 2 * 2^32, rounded. */
    unsigned __int128 nats_q64 = (unsigned __int128)minus_log2_q32(uniform) * ln2_q32;
    return (uint64_t)((nats_q64 >> 32) * mean_us >> 32);
}

/* least * u^(-1/alpha) = least * 2^(-log2(u) / alpha). */
static uint64_t pareto_us(uint64_t uniform, uint32_t least_us, uint32_t alpha_milli)
{
    MOOT_ASSERT(alpha_milli > 0);
    uint64_t power_q32 = minus_log2_q32(uniform) * 1000 / alpha_milli;
    uint64_t whole = power_q32 >> 32;
    if (whole >= 30) {
        return UINT32_MAX;
    }
    uint64_t factor_q62 = UINT64_C(1) << 62;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(ROOTS_Q62); i++) {
        if ((power_q32 >> (31 - i) & 1) != 0) {
            factor_q62 = (uint64_t)((unsigned __int128)factor_q62 * ROOTS_Q62[i] >> 62);
        }
    }
    unsigned __int128 delay = (unsigned __int128)factor_q62 * least_us << whole;
    return (uint64_t)(delay >> 62);
}

static uint64_t draw_us(struct moot_rng *rng, const struct moot_pbs_delay *delay)
{
    bool pareto = moot_rng_below(rng, MILLION) < delay->pareto_ppm;
    uint64_t uniform = moot_rng_next(rng);
    uint64_t us = pareto ? pareto_us(uniform, delay->pareto_least_us, delay->pareto_alpha_milli)
                         : exponential_us(uniform, delay->exponential_mean_us);
    return moot_min_u64(us, UINT32_MAX / 4); /* 18 minutes; sums of four still fit. */
}

/* ---- sorting: a heap, in place ---- */

static void sift(uint32_t *values, size_t at, size_t count)
{
    uint32_t one = values[at];
    while (2 * at + 1 < count) {
        size_t child = 2 * at + 1;
        child += child + 1 < count && values[child + 1] > values[child];
        if (values[child] <= one) {
            break;
        }
        values[at] = values[child];
        at = child;
    }
    values[at] = one;
}

static void sort(uint32_t *values, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(values, i, count);
    }
    for (size_t last = count; last-- > 1;) {
        uint32_t greatest = values[0];
        values[0] = values[last];
        values[last] = greatest;
        sift(values, 0, last);
    }
}

/* ---- trials ---- */

static bool delay_is_valid(const struct moot_pbs_delay *delay)
{
    return delay->pareto_ppm <= MILLION &&
           (delay->pareto_ppm == 0 || delay->pareto_alpha_milli > 0);
}

struct replica {
    uint64_t written_us;  /* The write arrives. */
    uint64_t asked_us;    /* The read request arrives, after the read began. */
    uint64_t answered_us; /* Its response is back. */
};

/* The `rank`-th smallest of a few, from 1. */
static uint64_t smallest(const uint64_t *values, uint32_t count, uint32_t rank)
{
    uint64_t sorted[MOOT_PBS_NODES_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] > values[i]) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = values[i];
    }
    MOOT_ASSERT(rank >= 1 && rank <= count);
    return sorted[rank - 1];
}

/* Section 4.1: one write and one read through WARS. */
static void run_one(const struct moot_pbs_model *model, struct moot_rng *rng, size_t trial,
                    struct moot_pbs_trials *out)
{
    struct replica replicas[MOOT_PBS_NODES_MAX];
    uint64_t acknowledged[MOOT_PBS_NODES_MAX] = {0};
    uint64_t answered[MOOT_PBS_NODES_MAX] = {0};
    for (uint32_t i = 0; i < model->n; i++) {
        replicas[i].written_us = draw_us(rng, &model->write);
        acknowledged[i] = replicas[i].written_us + draw_us(rng, &model->write_reply);
        replicas[i].asked_us = draw_us(rng, &model->read);
        answered[i] = replicas[i].asked_us + draw_us(rng, &model->read_reply);
        replicas[i].answered_us = answered[i];
    }
    uint64_t commit_us = smallest(acknowledged, model->n, model->w);
    uint64_t done_us = smallest(answered, model->n, model->r);
    uint64_t fresh_after_us = UINT64_MAX;
    for (uint32_t i = 0; i < model->n; i++) {
        if (replicas[i].answered_us <= done_us) { /* One of the first; equal ones are all in. */
            uint64_t seen_us = commit_us + replicas[i].asked_us;
            uint64_t needed_us =
                replicas[i].written_us > seen_us ? replicas[i].written_us - seen_us : 0;
            fresh_after_us = moot_min_u64(fresh_after_us, needed_us);
        }
    }
    MOOT_ASSERT(fresh_after_us <= UINT32_MAX);
    out->fresh_after_us[trial] = (uint32_t)fresh_after_us;
    if (out->read_us != NULL) {
        out->read_us[trial] = (uint32_t)done_us;
    }
    if (out->write_us != NULL) {
        out->write_us[trial] = (uint32_t)commit_us;
    }
}

int moot_pbs_run(const struct moot_pbs_model *model, uint64_t seed, struct moot_pbs_trials *trials)
{
    MOOT_ASSERT(trials->fresh_after_us != NULL);
    if (model->n == 0 || model->n > MOOT_PBS_NODES_MAX || model->r == 0 || model->r > model->n ||
        model->w == 0 || model->w > model->n || !delay_is_valid(&model->write) ||
        !delay_is_valid(&model->write_reply) || !delay_is_valid(&model->read) ||
        !delay_is_valid(&model->read_reply)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    struct moot_rng rng;
    moot_rng_init(&rng, seed);
    for (size_t trial = 0; trial < trials->count; trial++) {
        run_one(model, &rng, trial, trials);
    }
    sort(trials->fresh_after_us, trials->count);
    if (trials->read_us != NULL) {
        sort(trials->read_us, trials->count);
    }
    if (trials->write_us != NULL) {
        sort(trials->write_us, trials->count);
    }
    return 0;
}

uint32_t moot_pbs_quantile(const uint32_t *sorted, size_t count, uint32_t ppm)
{
    MOOT_ASSERT(count > 0);
    MOOT_ASSERT(ppm <= MILLION);
    uint64_t rank = ((uint64_t)count * ppm + MILLION - 1) / MILLION;
    return sorted[rank == 0 ? 0 : rank - 1];
}

uint32_t moot_pbs_share_within(const uint32_t *sorted, size_t count, uint32_t us)
{
    MOOT_ASSERT(count > 0);
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted[middle] <= us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (uint32_t)((uint64_t)low * MILLION / count);
}
