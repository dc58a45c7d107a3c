/* The report as one page that needs nothing else: faults as bands behind availability and latency,
 * each over the time of the run; what was promised; how to run it again. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "cli/live.h"

enum {
    SLICES = 240,
    WIDTH = 1000,
    LEFT = 60,
    RIGHT = 10,
    COUNTS_HEIGHT = 170,
    TIMES_HEIGHT = 210,
    BOTTOM = 22,
    TOP = 6,
    DECADES = 6, /* of latency: 10 us to 10 s */
};

/* What happened in one slice of the time. */
struct slice {
    uint64_t outcomes[3];
    uint32_t p50, p99, max; /* us, of the acknowledged */
};

struct page {
    const struct live_report *report;
    struct moot_buffer *out;
    struct slice slices[SLICES];
    uint64_t highest; /* operations of one slice */
};

static void add(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct page *page, const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    MOOT_ASSERT(size >= 0 && (size_t)size < sizeof(text));
    moot_buffer_append(page->out, text, (size_t)size);
}

/* As text: whoever wrote it, it stays text. */
static void add_text(struct page *page, struct moot_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = (char)text.data[i];
        const char *name = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
        name = c == '"' ? "&quot;" : name;
        if (name != NULL) {
            moot_buffer_append_text(page->out, name);
        } else {
            moot_buffer_append(page->out, c < ' ' && c >= 0 && c != '\n' ? " " : &c, 1);
        }
    }
}

/* ---- slices ---- */

static uint64_t span_of(const struct page *page)
{
    return moot_max_u64(page->report->end_ns - page->report->start_ns, SLICES);
}

static size_t slice_of(const struct page *page, uint64_t at_ns)
{
    uint64_t since = at_ns > page->report->start_ns ? at_ns - page->report->start_ns : 0;
    return (size_t)moot_min_u64(since / (span_of(page) / SLICES), SLICES - 1);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Counted, sorted into slices, and each slice by itself. */
static void fill_slices(struct page *page)
{
    const struct live_result *result = page->report->result;
    size_t starts[SLICES + 1] = {0}, next[SLICES];
    uint32_t *took = moot_alloc((result->count + 1) * sizeof(*took));
    for (size_t i = 0; i < result->count; i++) {
        const struct live_sample *sample = &result->samples[i];
        struct slice *slice = &page->slices[slice_of(page, sample->at_ns)];
        slice->outcomes[sample->outcome]++;
    }
    for (size_t i = 0; i < SLICES; i++) {
        const struct slice *slice = &page->slices[i];
        next[i] = starts[i];
        starts[i + 1] = starts[i] + slice->outcomes[MOOT_OUTCOME_OK];
        page->highest = moot_max_u64(page->highest,
                                     slice->outcomes[0] + slice->outcomes[1] + slice->outcomes[2]);
    }
    for (size_t i = 0; i < result->count; i++) {
        const struct live_sample *sample = &result->samples[i];
        if (sample->outcome == MOOT_OUTCOME_OK) {
            took[next[slice_of(page, sample->at_ns)]++] = sample->took_us;
        }
    }
    for (size_t i = 0; i < SLICES; i++) {
        size_t count = starts[i + 1] - starts[i];
        if (count > 0) {
            uint32_t *mine = took + starts[i];
            qsort(mine, count, sizeof(*mine), compare);
            page->slices[i].p50 = mine[count / 2];
            page->slices[i].p99 = mine[count * 99 / 100];
            page->slices[i].max = mine[count - 1];
        }
    }
    moot_free(took);
}

/* ---- drawing ---- */

static double x_of(const struct page *page, uint64_t at_ns)
{
    uint64_t since = at_ns > page->report->start_ns ? at_ns - page->report->start_ns : 0;
    double part = (double)moot_min_u64(since, span_of(page)) / (double)span_of(page);
    return LEFT + part * (WIDTH - LEFT - RIGHT);
}

static double x_of_slice(size_t slice)
{
    return LEFT + (double)slice / SLICES * (WIDTH - LEFT - RIGHT);
}

/* Of a time, on a scale of powers of ten; without libm: decades, and straight lines in them. */
static double y_of_time(uint32_t us)
{
    double height = TIMES_HEIGHT - TOP - BOTTOM, decade = 0, low = 10;
    while (us >= low * 10 && decade < DECADES) {
        low *= 10;
        decade++;
    }
    double part = us <= low ? 0 : ((double)us - low) / (low * 9);
    double at = decade + part < DECADES ? decade + part : DECADES;
    return TIMES_HEIGHT - BOTTOM - at / DECADES * height;
}

static void add_bands(struct page *page, int height)
{
    const struct live_faults *faults = page->report->faults;
    for (uint32_t i = 0; i < faults->count; i++) {
        const struct live_band *band = &faults->bands[i];
        double from = x_of(page, band->from_ns), healed = x_of(page, band->healed_ns),
               serving = x_of(page, band->serving_ns);
        add(page, "<g class=\"band %s\"><title>%s ", live_fault_names[band->fault],
            live_fault_names[band->fault]);
        add_text(page, moot_slice_text(band->words));
        add(page, "</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", from, TOP,
            healed - from + 0.5, height - TOP - BOTTOM);
        add(page, "<rect class=\"after\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/></g>\n",
            healed, TOP, serving - healed, height - TOP - BOTTOM);
    }
}

/* Where the operations are that nothing explains. */
static void add_wrongs(struct page *page, int height)
{
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        const struct moot_verdict *verdict = &page->report->verdicts[model];
        const struct moot_history *history = &page->report->result->histories[model];
        if (verdict->judgement == MOOT_JUDGEMENT_VIOLATION && verdict->operation < history->count) {
            uint64_t at = history->operations[verdict->operation].called.ns;
            add(page,
                "<g class=\"wrong\"><title>%s: the operation that nothing explains</title>"
                "<path d=\"M%.1f %dV%d\"/></g>\n",
                live_model_names[model], x_of(page, page->report->start_ns + at), TOP,
                height - BOTTOM);
        }
    }
}

static void add_seconds(struct page *page, int height)
{
    uint64_t seconds = span_of(page) / 1000000000u;
    uint64_t step = seconds / 10 + 1;
    for (uint64_t at = 0; at <= seconds; at += step) {
        double x = x_of(page, page->report->start_ns + at * 1000000000u);
        add(page, "<text class=\"axis\" x=\"%.1f\" y=\"%d\">%" PRIu64 " s</text>\n", x, height - 6,
            at);
    }
}

static void begin_svg(struct page *page, const char *id, int height, const char *title)
{
    add(page, "<h2>%s</h2>\n<svg id=\"%s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
        title, id, WIDTH, height, title);
    add_bands(page, height);
    add_seconds(page, height);
}

static void add_counts(struct page *page)
{
    static const struct {
        enum moot_outcome outcome;
        const char *name;
    } parts[] = {
        {MOOT_OUTCOME_OK, "ok"}, {MOOT_OUTCOME_FAIL, "fail"}, {MOOT_OUTCOME_INDOUBT, "doubt"}};
    double room = COUNTS_HEIGHT - TOP - BOTTOM;
    double slice_seconds = (double)span_of(page) * 1e-9 / SLICES;
    begin_svg(page, "availability", COUNTS_HEIGHT, "Operations a second");
    add(page, "<text class=\"scale\" x=\"%d\" y=\"%d\">%.0f</text>\n", LEFT - 6, TOP + 10,
        (double)page->highest / slice_seconds);
    for (size_t i = 0; i < SLICES; i++) {
        double bottom = COUNTS_HEIGHT - BOTTOM;
        for (size_t k = 0; k < MOOT_ARRAY_LEN(parts) && page->highest > 0; k++) {
            uint64_t count = page->slices[i].outcomes[parts[k].outcome];
            double height = (double)count / (double)page->highest * room;
            height = count > 0 && height < 1.5 ? 1.5 : height;
            bottom -= height;
            if (count > 0) {
                add(page,
                    "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>\n",
                    parts[k].name, x_of_slice(i), bottom, x_of_slice(1) - LEFT - 0.3, height);
            }
        }
    }
    add_wrongs(page, COUNTS_HEIGHT);
    add(page, "</svg>\n<p class=\"key\"><i class=\"ok\"></i>acknowledged <i "
              "class=\"fail\"></i>refused, surely not done <i class=\"doubt\"></i>in doubt</p>\n");
}

static void add_curve(struct page *page, const char *name, size_t offset)
{
    bool open = false;
    add(page, "<path class=\"%s\" d=\"", name);
    for (size_t i = 0; i < SLICES; i++) {
        uint32_t us;
        memcpy(&us, (const char *)&page->slices[i] + offset, sizeof(us));
        if (page->slices[i].outcomes[MOOT_OUTCOME_OK] > 0) {
            add(page, "%s%.1f %.1f", open ? "L" : "M", x_of_slice(i), y_of_time(us));
        }
        open = page->slices[i].outcomes[MOOT_OUTCOME_OK] > 0;
    }
    add(page, "\"/>\n");
}

static void add_times(struct page *page)
{
    static const char *const labels[DECADES + 1] = {"10 µs", "0.1 ms", "1 ms", "10 ms",
                                                    "0.1 s", "1 s",    "10 s"};
    begin_svg(page, "latency", TIMES_HEIGHT, "Latency of the acknowledged");
    uint32_t us = 10;
    for (int i = 0; i <= DECADES; i++, us *= 10) {
        double y = y_of_time(us);
        add(page,
            "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"scale\" x=\"%d\" "
            "y=\"%.1f\">%s</text>\n",
            LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, labels[i]);
    }
    add_curve(page, "max", offsetof(struct slice, max));
    add_curve(page, "p99", offsetof(struct slice, p99));
    add_curve(page, "p50", offsetof(struct slice, p50));
    add_wrongs(page, TIMES_HEIGHT);
    add(page, "</svg>\n<p class=\"key\"><i class=\"p50\"></i>median <i class=\"p99\"></i>99 of 100 "
              "<i class=\"max\"></i>longest <i class=\"band\"></i>a fault <i class=\"band "
              "after\"></i>healed, not all serve yet; point at a band to see which</p>\n");
}

/* ---- words ---- */

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--ok:#2a8f5a;--fail:#c98a1b;--doubt:#b5403a;--ink:#1d2430;"
    "--paper:#fff;--soft:#8a93a3;--line:#dfe3ea}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e8ef;--paper:#14181f;--line:#2c3440}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:1080px;margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.4em}h2{font-size:1.05em;margin:1.6em 0 .3em}svg{width:100%;height:auto}\n"
    ".verdict{border-left:6px solid;padding:.5em 1em;font-size:1.15em}\n"
    ".valid{border-color:var(--ok)}.violation{border-color:var(--doubt)}"
    ".unknown{border-color:var(--fail)}\n"
    "text{font-size:11px;fill:var(--soft)}.scale{text-anchor:end}.axis{text-anchor:middle}\n"
    ".grid{stroke:var(--line);fill:none}path{fill:none;stroke-width:1.4}\n"
    "rect.ok{fill:var(--ok)}rect.fail{fill:var(--fail)}rect.doubt{fill:var(--doubt)}\n"
    ".p50{stroke:#2f6fd0}.p99{stroke:#8a4fc4}.max{stroke:#b9bfca}\n"
    ".wrong path{stroke:#d0021b;stroke-width:2;stroke-dasharray:4 2}\n"
    ".band rect{fill:#e2574c;opacity:.22}.band.pause rect{fill:#e0a100}"
    ".band.replace rect,.band.disk-full rect{fill:#7a4fd0}"
    ".band.skew rect,.band.jump rect{fill:#1f9d8f}.band.delay rect,.band.loss rect{fill:#2f9fd0}"
    ".band.isolate rect,.band.halves rect,.band.bridge rect,.band.one-way rect,"
    ".band.flap rect{fill:#2f6fd0}\n"
    ".band rect.after{opacity:.08}.band:hover rect{opacity:.4}\n"
    ".key{color:var(--soft);font-size:.85em;margin:.2em 0}.key i{display:inline-block;width:12px;"
    "height:10px;margin:0 .3em 0 1em}\n"
    "i.ok{background:var(--ok)}i.fail{background:var(--fail)}i.doubt{background:var(--doubt)}"
    "i.p50{background:#2f6fd0}i.p99{background:#8a4fc4}i.max{background:#b9bfca}"
    "i.band{background:#e2574c66}i.after{background:#e2574c22}\n"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25em .8em .25em 0;"
    "border-bottom:1px solid var(--line);vertical-align:top}td.n{text-align:right}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.6em;margin:0}\n"
    "</style>\n";

static void add_head(struct page *page)
{
    static const char *const names[] = {"valid", "violation", "unknown"};
    const struct live_report *report = page->report;
    struct live_figures figures;
    live_report_figures(report, &figures);
    add(page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<title>moot check --live: %s</title>\n",
        names[report->status]);
    moot_buffer_append_text(page->out, style);
    add(page, "</head><body>\n<h1>moot check: ");
    add_text(page, moot_slice_text(report->what));
    add(page, "</h1>\n<p class=\"verdict %s\"><b>%s</b>: ", names[report->status],
        names[report->status]);
    add_text(page, moot_slice_text(report->verdict));
    add(page, "</p>\n<p>Network: ");
    add_text(page, moot_slice_text(report->network));
    add(page,
        ". %" PRIu64 " operations acknowledged, %" PRIu64 " refused, %" PRIu64 " in doubt. "
        "Latency: median %.2f ms, 99 of 100 below %.2f ms, longest %.1f ms. Answers in %" PRIu64
        " of %" PRIu64 " seconds; longest time without any: %.2f s.</p>\n",
        report->result->outcomes[MOOT_OUTCOME_OK], report->result->outcomes[MOOT_OUTCOME_FAIL],
        report->result->outcomes[MOOT_OUTCOME_INDOUBT], figures.p50 * 1e-3, figures.p99 * 1e-3,
        figures.max * 1e-3, figures.seconds_served, figures.seconds,
        (double)figures.longest_gap_ms * 1e-3);
}

static void add_promises(struct page *page)
{
    add(page, "<h2>What was promised</h2>\n<table id=\"promises\"><tr><th>verdict<th>promise"
              "<th>operations<th>keys</tr>\n");
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        const struct moot_verdict *verdict = &page->report->verdicts[model];
        bool asked = page->report->result->histories[model].count > 0;
        add(page, "<tr><td>%s<td>", asked ? moot_judgement_text(verdict->judgement) : "not asked");
        add_text(page, moot_slice_text(live_model_promises[model]));
        if (verdict->words.size > 0) {
            add(page, "<pre>");
            add_text(page, moot_buffer_slice(&verdict->words));
            add(page, "</pre>");
        }
        add(page, "<td class=\"n\">%zu<td class=\"n\">%zu</tr>\n",
            page->report->result->histories[model].count, verdict->keys);
    }
    add(page, "</table>\n");
}

static void add_faults(struct page *page)
{
    const struct live_faults *faults = page->report->faults;
    add(page, "<h2>What was done</h2>\n<table id=\"faults\"><tr><th>at<th>fault<th>whom<th>lasted"
              "<th>all served again after</tr>\n");
    for (uint32_t i = 0; i < faults->count; i++) {
        const struct live_band *band = &faults->bands[i];
        add(page, "<tr><td>%.2f s<td>%s<td>",
            (double)(band->from_ns - page->report->start_ns) * 1e-9, live_fault_names[band->fault]);
        add_text(page, moot_slice_text(band->words));
        add(page, "<td>%.2f s<td>%.2f s</tr>\n", (double)(band->healed_ns - band->from_ns) * 1e-9,
            (double)(band->serving_ns - band->healed_ns) * 1e-9);
    }
    add(page, "</table>\n<h2>Again</h2>\n<pre>");
    add_text(page, moot_slice_text(page->report->again));
    add(page, "</pre>\n<p>The seed repeats every choice; real machines do not repeat the "
              "times.</p>\n</body></html>\n");
}

bool live_report_page(const struct live_report *report, const char *name)
{
    struct moot_buffer text;
    struct page *page = moot_alloc_zero(sizeof(*page));
    moot_buffer_init(&text);
    page->report = report;
    page->out = &text;
    fill_slices(page);
    add_head(page);
    add_counts(page);
    add_times(page);
    add_promises(page);
    add_faults(page);
    FILE *file = fopen(name, "wb");
    bool good = file != NULL && fwrite(text.data, 1, text.size, file) == text.size;
    good = file != NULL && fclose(file) == 0 && good;
    if (!good) {
        cli_fail("cannot write %s: %s", name, strerror(errno));
    }
    moot_buffer_deinit(&text);
    moot_free(page);
    return good;
}
