/* Operations as text: a lane for each process. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/shrink.h"

struct mark {
    uint64_t at;
    size_t bar;
    bool is_end;
};

struct bar {
    const struct moot_operation *operation;
    struct moot_buffer label;
    size_t from, to; /* Columns. */
};

/* Calls before returns where instants are equal, so that such operations overlap in the picture. */
static int compare_marks(const void *left, const void *right)
{
    const struct mark *a = left, *b = right;
    if (a->at != b->at) {
        return (a->at > b->at) - (a->at < b->at);
    }
    if (a->is_end != b->is_end) {
        return a->is_end ? 1 : -1;
    }
    return (a->bar > b->bar) - (a->bar < b->bar);
}

static void label(const struct moot_operation *operation, struct moot_buffer *out)
{
    struct moot_operation plain = *operation;
    struct moot_buffer all;
    moot_buffer_init(&all);
    plain.called = plain.returned = (struct moot_instant){0};
    moot_operation_describe(&plain, &all);
    /* From the kind on, without the times. */
    const uint8_t *text = all.data;
    size_t from = 0, to = all.size;
    for (int blanks = 0; blanks < 2 && from < all.size; from++) {
        blanks += text[from] == ' ';
    }
    while (to > from && text[to - 1] != ',') {
        to--;
    }
    moot_buffer_append(out, text + from, to > from ? to - from - 1 : 0);
    moot_buffer_deinit(&all);
}

/* Columns in the order of the marks, each bar as wide as its label. */
static void lay_out(struct bar *bars, struct mark *marks, size_t marks_count)
{
    size_t column = 0;
    for (size_t i = 0; i < marks_count; i++) {
        struct bar *bar = &bars[marks[i].bar];
        if (marks[i].is_end) {
            bar->to = column;
            size_t wanted = bar->from + bar->label.size + 3;
            bar->to = bar->to < wanted ? wanted : bar->to;
            column = bar->to;
        } else {
            bar->from = column;
        }
        column++;
    }
}

static void draw_bar(const struct bar *bar, size_t *column, struct moot_buffer *out)
{
    bool doubt = bar->operation->outcome == MOOT_OUTCOME_INDOUBT;
    for (; *column < bar->from; ++*column) {
        moot_buffer_append_text(out, " ");
    }
    size_t spare = bar->to - bar->from - 1 - bar->label.size;
    moot_buffer_append_text(out, "|");
    for (size_t i = 0; i < spare; i++) {
        if (i == spare / 2) {
            moot_buffer_append_slice(out, moot_buffer_slice(&bar->label));
        }
        moot_buffer_append_text(out, "-");
    }
    moot_buffer_append_text(out, doubt ? "?" : "|");
    *column = bar->to + 1;
}

static int compare_lanes(const void *left, const void *right)
{
    const struct bar *a = left, *b = right;
    if (a->operation->process != b->operation->process) {
        return (a->operation->process > b->operation->process) -
               (a->operation->process < b->operation->process);
    }
    if (a->from != b->from) {
        return (a->from > b->from) - (a->from < b->from);
    }
    return (a->to > b->to) - (a->to < b->to);
}

void moot_draw_lanes(const struct moot_history *history, const uint32_t *operations, size_t count,
                     struct moot_buffer *out)
{
    struct bar *bars = moot_alloc(count * sizeof(*bars));
    struct mark *marks = moot_alloc(2 * count * sizeof(*marks));
    for (size_t i = 0; i < count; i++) {
        MOOT_ASSERT(operations[i] < history->count);
        bars[i] = (struct bar){.operation = &history->operations[operations[i]]};
        moot_buffer_init(&bars[i].label);
        label(bars[i].operation, &bars[i].label);
        marks[2 * i] = (struct mark){bars[i].operation->called.ns, i, false};
        marks[2 * i + 1] = (struct mark){moot_evidence_end(bars[i].operation), i, true};
    }
    qsort(marks, 2 * count, sizeof(*marks), compare_marks);
    lay_out(bars, marks, 2 * count);
    qsort(bars, count, sizeof(*bars), compare_lanes);
    size_t column = 0;
    for (size_t i = 0; i < count; i++) {
        const struct bar *before = i == 0 ? NULL : &bars[i - 1];
        bool same = before != NULL && before->operation->process == bars[i].operation->process &&
                    column <= bars[i].from;
        if (!same) {
            struct moot_buffer name;
            moot_buffer_init(&name);
            moot_buffer_append_text(&name, i == 0 ? "  process " : "\n  process ");
            moot_buffer_append_u64(&name, bars[i].operation->process);
            while (name.size < 16) {
                moot_buffer_append_text(&name, " ");
            }
            moot_buffer_append_text(&name, " ");
            moot_buffer_append_slice(out, moot_buffer_slice(&name));
            moot_buffer_deinit(&name);
            column = 0;
        }
        draw_bar(&bars[i], &column, out);
    }
    moot_buffer_append_text(out, "\n");
    for (size_t i = 0; i < count; i++) {
        moot_buffer_deinit(&bars[i].label);
    }
    moot_free(bars);
    moot_free(marks);
}
