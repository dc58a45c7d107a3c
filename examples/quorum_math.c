/* EXPLAIN for quorums: a few plans in words, and how stale "eventually" is for one of them. */
#include <stdio.h>

#include "moot/pbs.h"
#include "moot/quorum_math.h"

static bool explain(const char *title, const struct moot_plan *plan)
{
    char text[MOOT_PLAN_TEXT_MAX];
    if (moot_plan_check(plan) != 0 || moot_plan_explain(plan, text, sizeof(text)) != 0) {
        return false;
    }
    printf("--- %s\n%s\n", title, text);
    return true;
}

enum { TRIALS = 20000 };
static uint32_t fresh_us[TRIALS];

int main(void)
{
    static const struct moot_plan majority = {
        .zone_count = 1, .zone_nodes = {3}, .read = {2, 0}, .write = {2, 0}};
    static const struct moot_plan zones = {
        .zone_count = 3, .zone_nodes = {3, 3, 3}, .read = {2, 1}, .write = {2, 3}};
    static const struct moot_plan paxos = {.use = MOOT_PLAN_CONSENSUS,
                                           .zone_count = 1,
                                           .zone_nodes = {6},
                                           .read = {5, 0},
                                           .write = {2, 0}};
    static const struct moot_plan fast = {.zone_count = 1,
                                          .zone_nodes = {3},
                                          .read = {1, 0},
                                          .write = {1, 0},
                                          .sloppy = true,
                                          .spares = 2};
    bool fine = explain("the usual majority", &majority) &&
                explain("reads in one zone, writes in all three", &zones) &&
                explain("flexible Paxos: cheap replication, dear elections", &paxos) &&
                explain("as fast as can be", &fast);

    /* Disks: writes take 5 ms with a tail, everything else half a millisecond. */
    static const struct moot_pbs_delay quick = {900000, 250, 10000, 600};
    static const struct moot_pbs_delay slow = {400000, 1000, 1500, 5500};
    struct moot_pbs_model model = {3, 1, 1, slow, quick, quick, quick};
    struct moot_pbs_trials trials = {fresh_us, NULL, NULL, TRIALS};
    fine = fine && moot_pbs_run(&model, 1, &trials) == 0;
    printf("--- how stale that is, with slow disks\n");
    static const uint32_t after_us[] = {0, 1000, 5000, 20000, 100000};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(after_us); i++) {
        uint32_t ppm = moot_pbs_share_within(fresh_us, TRIALS, after_us[i]);
        printf("a read %6.1f ms after the write is fresh in %7.3f %% of cases\n",
               (double)after_us[i] / 1000, (double)ppm / 10000);
    }
    printf("and it misses each of the last three versions in at most %.1f %%\n",
           (double)moot_pbs_k_staleness_ppb(3, 1, 1, 3) / 10000000);
    return fine ? 0 : 1;
}
