/* How stale may a read be? The arithmetic for k versions, and a simulation for t milliseconds, of
 * three replicas whose disks are slow to write (Bailis and others, VLDB 2012). */
#include <stdio.h>
#include <stdlib.h>

#include "moot/pbs.h"

enum { TRIALS = 20000 };

int main(void)
{
    printf("probability of missing the last k versions, N=3\n   R W      k=1      k=2      k=5\n");
    for (uint32_t r = 1; r <= 2; r++) {
        for (uint32_t w = 1; w <= 2; w++) {
            printf("   %u %u", r, w);
            for (uint32_t k = 1; k <= 5; k += k == 2 ? 3 : 1) {
                printf(" %7.4f%%", (double)moot_pbs_k_staleness_ppb(3, r, w, k) / 1e7);
            }
            printf("%s\n", r + w > 3 ? "   quorums overlap: never" : "");
        }
    }
    /* Writes reach a replica after 20 ms on average, everything else takes 2 ms. */
    struct moot_pbs_model model = {.n = 3,
                                   .r = 1,
                                   .w = 1,
                                   .write = {.exponential_mean_us = 20000},
                                   .write_reply = {.exponential_mean_us = 2000},
                                   .read = {.exponential_mean_us = 2000},
                                   .read_reply = {.exponential_mean_us = 2000}};
    uint32_t *fresh = malloc(TRIALS * sizeof(*fresh));
    struct moot_pbs_trials trials = {.fresh_after_us = fresh, .count = TRIALS};
    if (fresh == NULL || moot_pbs_run(&model, 42, &trials) != 0) {
        return 1;
    }
    printf("\nR=1 W=1, slow writes: a read begun t after the acknowledgement is fresh\n");
    for (uint32_t ms = 0; ms <= 80; ms += 20) {
        printf("   t=%2u ms  %6.2f%%\n", ms,
               (double)moot_pbs_share_within(fresh, TRIALS, ms * 1000) / 1e4);
    }
    printf("99.9%% of reads are fresh from %.1f ms on\n",
           moot_pbs_quantile(fresh, TRIALS, 999000) / 1e3);
    free(fresh);
    return 0;
}
