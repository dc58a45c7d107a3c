/* How stale is "eventually"? Probabilistically bounded staleness.
 *
 * Intuition: with R + W <= N a read may miss the last write, but usually it does not: the write
 * goes on to all N replicas while the client goes home, and most reads come later than that. How
 * often, and how late, can be computed from how long messages take. (Bailis, Venkataraman,
 * Franklin, Hellerstein, Stoica: "Probabilistically Bounded Staleness for Practical Partial
 * Quorums", PVLDB 5(8), 2012.)
 *
 *   k-staleness (section 3.1, a closed form): a read misses all of the last k versions, if each was
 *   written to W nodes chosen at random, with probability  (C(N-W, R) / C(N, R)) ^ k.
 *   It ignores that writes spread on: an upper bound.
 *
 *   t-visibility (section 4, by sampling): the probability that a read begun t after a write was
 *   acknowledged returns it. The model is WARS: the write reaches a replica after W, its
 *   acknowledgement returns after A; the read request arrives after R, the response returns after
 * S. The read takes the first `read` responses, and is stale if at each of those replicas the write
 *   had not arrived before the read request did. One trial draws all of these, and tells the least
 * t at which its read would have been fresh; sorted trials are the whole curve.
 *
 * Delays are a mixture of a Pareto body and an exponential tail, the form that the paper fits to
 * LinkedIn's and Yammer's measurements (table 3). Everything is integers and a seed: the same
 * trials give the same curve on every machine. */
#ifndef MOOT_PBS_H
#define MOOT_PBS_H

#include "moot/base.h"
#include "moot/status.h"

enum { MOOT_PBS_NODES_MAX = 16, MOOT_PBS_ONE_PPB = 1000000000 };

/* Probability of missing the last `k` versions, in 10^-9. n, r, w: 1 .. n <= MOOT_PBS_NODES_MAX. */
uint64_t moot_pbs_k_staleness_ppb(uint32_t n, uint32_t r, uint32_t w, uint32_t k);

/* With probability pareto_ppm a Pareto delay (at least pareto_least_us, exponent alpha), else an
 * exponential one. */
struct moot_pbs_delay {
    uint32_t pareto_ppm;          /* 0 .. 1,000,000 */
    uint32_t pareto_least_us;     /* x_m */
    uint32_t pareto_alpha_milli;  /* Not 0, unless pareto_ppm is. */
    uint32_t exponential_mean_us; /* 1 / lambda */
};
struct moot_pbs_model {
    uint32_t n, r, w;
    /* W, A, R, S of the paper. */
    struct moot_pbs_delay write, write_reply, read, read_reply;
};
/* The caller's memory, one number a trial. `read_us` and `write_us` (how long the operations took)
 * may be NULL. */
struct moot_pbs_trials {
    uint32_t *fresh_after_us; /* A read begun this long after the acknowledgement is fresh. */
    uint32_t *read_us, *write_us;
    size_t count;
};

/* Runs the trials and sorts each array. MOOT_EINVALID: the model makes no sense. */
int moot_pbs_run(const struct moot_pbs_model *model, uint64_t seed,
                 struct moot_pbs_trials *trials) MOOT_MUST_USE;
/* Of sorted numbers, the least that at least `ppm` of them do not exceed: t-visibility for a
 * probability; a percentile of latencies. */
uint32_t moot_pbs_quantile(const uint32_t *sorted, size_t count, uint32_t ppm);
/* How many of them, in 10^-6, do not exceed `us`: the probability of freshness after that time. */
uint32_t moot_pbs_share_within(const uint32_t *sorted, size_t count, uint32_t us);

#endif
