/* The verdict: every history judged, and the run in a screenful of words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "check/expiry.h"
#include "check/linearizability.h"
#include "check/set.h"
#include "check/transaction.h"
#include "cli/check_show.h"
#include "cli/live.h"

static const struct moot_model *model_of(int model)
{
    switch (model) {
    case LIVE_REGISTER:
    case LIVE_LARGE:
        return &moot_model_register;
    case LIVE_COUNTER:
        return &moot_model_counter;
    case LIVE_APPEND:
        return &moot_model_append;
    default:
        return NULL;
    }
}

static void conclude(struct live_report *report)
{
    const char *broken = NULL, *open = NULL;
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        if (report->verdicts[model].judgement == MOOT_JUDGEMENT_VIOLATION && broken == NULL) {
            broken = live_model_promises[model];
        } else if (report->verdicts[model].judgement == MOOT_JUDGEMENT_UNKNOWN && open == NULL) {
            open = live_model_promises[model];
        }
    }
    size_t size = sizeof(report->verdict);
    report->status = LIVE_UNKNOWN;
    if (broken != NULL) {
        report->status = LIVE_VIOLATION;
        snprintf(report->verdict, size, "broken: %s", broken);
    } else if (report->faults->stuck[0] != '\0') {
        report->status = LIVE_VIOLATION;
        snprintf(report->verdict, size, "broken: %s", report->faults->stuck);
    } else if (report->faults->ended_alone > 0) {
        report->status = LIVE_VIOLATION;
        snprintf(report->verdict, size, "broken: %u times a node ended by itself",
                 report->faults->ended_alone);
    } else if (report->result->outcomes[MOOT_OUTCOME_OK] == 0) {
        snprintf(report->verdict, size, "not known: nothing was acknowledged");
    } else if (!report->read_all) {
        snprintf(report->verdict, size, "not known: the last reads were not answered");
    } else if (open != NULL) {
        snprintf(report->verdict, size, "not known: %s", open);
    } else {
        report->status = LIVE_VALID;
        snprintf(report->verdict, size, "every promise was kept");
    }
}

static void judge(const struct live_report *report, int model, struct moot_verdict *verdict)
{
    const struct moot_linearizability_options how = {0};
    const struct moot_expiry_options expiry = moot_expiry_within(report->clocks_ms);
    const struct moot_history *history = &report->result->histories[model];
    switch (model) {
    case LIVE_SET:
        moot_check_set(history, verdict);
        return;
    case LIVE_QUEUE:
        moot_check_queue(history, verdict);
        return;
    case LIVE_BANK:
        moot_check_bank(history, 0, verdict);
        return;
    case LIVE_APPEND_TXN:
        moot_check_append_txns(history, MOOT_ISOLATION_STRICT_SERIALIZABLE, verdict);
        return;
    case LIVE_REGISTER_TXN:
        moot_check_register_txns(history, MOOT_ISOLATION_STRICT_SERIALIZABLE, verdict);
        return;
    case LIVE_IDS:
        moot_check_ids(history, verdict);
        return;
    case LIVE_ONCE:
        moot_check_exactly_once(history, verdict);
        return;
    case LIVE_EXPIRY:
        moot_check_expiry(history, &expiry, verdict);
        return;
    default:
        moot_check_linearizable(history, model_of(model), &how, verdict);
    }
}

void live_report_judge(struct live_report *report)
{
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        moot_verdict_init(&report->verdicts[model]);
        if (report->result->histories[model].count > 0) {
            judge(report, model, &report->verdicts[model]);
        }
    }
    conclude(report);
}

/* ---- figures ---- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(const uint32_t *sorted, size_t count, uint64_t of_thousand)
{
    return count == 0 ? 0 : sorted[moot_min_u64(count * of_thousand / 1000, count - 1)];
}

void live_report_figures(const struct live_report *report, struct live_figures *figures)
{
    const struct live_result *result = report->result;
    uint32_t *took = moot_alloc((result->count + 1) * sizeof(*took));
    uint64_t *times = moot_alloc((result->count + 1) * sizeof(*times));
    size_t count = 0;
    *figures = (struct live_figures){0};
    for (size_t i = 0; i < result->count; i++) {
        if (result->samples[i].outcome == MOOT_OUTCOME_OK) {
            took[count] = result->samples[i].took_us;
            times[count++] = result->samples[i].at_ns;
        }
    }
    qsort(took, count, sizeof(*took), compare_u32);
    qsort(times, count, sizeof(*times), compare_u64);
    figures->p50 = percentile(took, count, 500);
    figures->p90 = percentile(took, count, 900);
    figures->p99 = percentile(took, count, 990);
    figures->p999 = percentile(took, count, 999);
    figures->max = percentile(took, count, 1000);
    figures->seconds = (report->end_ns - report->start_ns) / 1000000000u;
    uint64_t last = report->start_ns, seen = UINT64_MAX;
    for (size_t i = 0; i < count && times[i] <= report->end_ns; i++) {
        uint64_t second =
            times[i] < report->start_ns ? 0 : (times[i] - report->start_ns) / 1000000000u;
        uint64_t gap = times[i] > last ? (times[i] - last) / 1000000u : 0;
        figures->seconds_served += second != seen && second < figures->seconds ? 1 : 0;
        figures->longest_gap_ms = moot_max_u64(figures->longest_gap_ms, gap);
        seen = second;
        last = times[i] > last ? times[i] : last;
    }
    uint64_t rest = report->end_ns > last ? (report->end_ns - last) / 1000000u : 0;
    figures->longest_gap_ms = moot_max_u64(figures->longest_gap_ms, rest);
    moot_free(took);
    moot_free(times);
}

/* ---- words ---- */

static void print_faults(const struct live_faults *faults)
{
    printf("faults done: %u", faults->count);
    for (uint32_t i = 0; i < LIVE_FAULTS_COUNT; i++) {
        uint32_t count = 0;
        for (uint32_t k = 0; k < faults->count; k++) {
            count += faults->bands[k].fault == i ? 1 : 0;
        }
        if (count > 0) {
            printf("  %s %u", live_fault_names[i], count);
        }
    }
    printf("\n");
}

static void print_figures(const struct live_report *report)
{
    struct live_figures figures;
    const struct live_result *result = report->result;
    live_report_figures(report, &figures);
    double seconds = (double)(report->end_ns - report->start_ns) * 1e-9;
    printf("operations: %llu acknowledged (%.0f/s), %llu refused, %llu in doubt\n",
           (unsigned long long)result->outcomes[MOOT_OUTCOME_OK],
           seconds > 0 ? (double)result->outcomes[MOOT_OUTCOME_OK] / seconds : 0.0,
           (unsigned long long)result->outcomes[MOOT_OUTCOME_FAIL],
           (unsigned long long)result->outcomes[MOOT_OUTCOME_INDOUBT]);
    printf("latency: p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f, longest %.1f\n",
           figures.p50 * 1e-3, figures.p90 * 1e-3, figures.p99 * 1e-3, figures.p999 * 1e-3,
           figures.max * 1e-3);
    printf("availability: %llu of %llu seconds with answers; longest time without any: %.2f s\n",
           (unsigned long long)figures.seconds_served, (unsigned long long)figures.seconds,
           (double)figures.longest_gap_ms * 1e-3);
    if (report->packets.carried > 0) {
        printf("packets: %llu carried, %llu of them late; %llu cut off, %llu lost\n",
               (unsigned long long)report->packets.carried,
               (unsigned long long)report->packets.delayed, (unsigned long long)report->packets.cut,
               (unsigned long long)report->packets.lost);
    }
}

void live_report_print(struct live_report *report)
{
    print_faults(report->faults);
    print_figures(report);
    for (size_t i = 0; i < report->result->strange_count; i++) {
        printf("an unexpected reply, taken as in doubt: %s\n", report->result->strange[i]);
    }
    printf("promised:\n");
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        struct moot_verdict *verdict = &report->verdicts[model];
        const struct moot_history *history = &report->result->histories[model];
        printf("  %-9s %s: %zu operations, %zu keys\n",
               history->count == 0 ? "not asked" : moot_judgement_text(verdict->judgement),
               live_model_promises[model], history->count, verdict->keys);
        if (verdict->words.size > 0) {
            fwrite(verdict->words.data, 1, verdict->words.size, stdout);
        }
        if (verdict->judgement == MOOT_JUDGEMENT_VIOLATION) {
            moot_check_show_evidence(history, model_of(model), verdict);
        }
    }
    static const char *const names[] = {"valid", "VIOLATION", "unknown"};
    printf("verdict: %s: %s\n", names[report->status], report->verdict);
    fflush(stdout);
}

bool live_report_histories(const struct live_report *report, const char *folder)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    bool good = true;
    for (int model = 0; model < LIVE_MODELS_COUNT && good; model++) {
        char path[CLI_PATH_BYTES + 32];
        snprintf(path, sizeof(path), "%.4000s/%s.json", folder, live_model_names[model]);
        moot_buffer_reset(&text, 1 << 20);
        moot_history_write(&report->result->histories[model], &text);
        FILE *file = fopen(path, "wb");
        good = file != NULL && fwrite(text.data, 1, text.size, file) == text.size;
        good = file != NULL && fclose(file) == 0 && good;
        if (!good) {
            cli_fail("cannot write %s: %s", path, strerror(errno));
        }
    }
    moot_buffer_deinit(&text);
    return good;
}
