#include "cli/check_show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "check/explain.h"
#include "check/intern.h"
#include "picture/picture.h"

enum { PAGE_MAX = 5000, LINES_MAX = 60 };

void moot_check_show_evidence(const struct moot_history *history, const struct moot_model *model,
                              struct moot_verdict *verdict)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_explain_evidence(history, model, verdict, &text);
    fwrite(text.data, 1, text.size, stdout);
    moot_buffer_deinit(&text);
}

/* The part of a history that a page shows. */
struct page {
    const struct moot_history *history;
    const struct moot_verdict *verdict;
    struct moot_picture *picture;
    struct moot_pairs lines; /* process -> line */
    uint64_t from, until;
    bool one_key;
    struct moot_slice key;
};

static bool is_evidence(const struct page *page, size_t operation)
{
    size_t count;
    const uint32_t *operations = moot_evidence_of(page->verdict, &count);
    for (size_t i = 0; i < count; i++) {
        if (operations[i] == operation) {
            return true;
        }
    }
    return false;
}

/* From the first call to the last return of the evidence, and a little around. */
static void find_window(struct page *page)
{
    size_t count;
    const uint32_t *operations = moot_evidence_of(page->verdict, &count);
    page->from = count > 0 ? UINT64_MAX : 0;
    page->until = count > 0 ? 0 : UINT64_MAX - 1;
    page->one_key = count > 0;
    for (size_t i = 0; i < count; i++) {
        const struct moot_operation *one = &page->history->operations[operations[i]];
        uint64_t end = one->outcome == MOOT_OUTCOME_OK ? one->returned.ns : one->called.ns;
        page->from = moot_min_u64(page->from, one->called.ns);
        page->until = moot_max_u64(page->until, end);
        page->one_key &=
            one->kind != MOOT_OPERATION_TXN && (i == 0 || moot_slice_equal(one->key, page->key));
        page->key = one->key;
    }
    uint64_t around = count > 0 ? (page->until - page->from) / 4 + 1 : 0;
    page->from -= moot_min_u64(around, page->from);
    page->until = page->until > UINT64_MAX / 2 ? page->until : page->until + around;
}

static uint32_t line_of(struct page *page, uint32_t process)
{
    uint64_t *line = moot_pairs_at(&page->lines, process, 0, UINT64_MAX);
    if (*line == UINT64_MAX && page->lines.count <= LINES_MAX) {
        char name[32];
        snprintf(name, sizeof(name), "process %" PRIu32, process);
        *line = moot_picture_line(page->picture, MOOT_PICTURE_CLIENT, moot_slice_text(name));
    }
    return *line == UINT64_MAX ? MOOT_PICTURE_NOBODY : (uint32_t)*line;
}

static void add_operation(struct page *page, size_t number)
{
    const struct moot_operation *one = &page->history->operations[number];
    uint32_t line = line_of(page, one->process);
    struct moot_buffer asked;
    if (line == MOOT_PICTURE_NOBODY) {
        return;
    }
    moot_buffer_init(&asked);
    moot_operation_describe(one, &asked);
    bool doubt = one->outcome == MOOT_OUTCOME_INDOUBT;
    moot_picture_operation(page->picture,
                           &(struct moot_picture_operation){
                               .line = line,
                               .by = MOOT_PICTURE_NOBODY,
                               .called = one->called.ns,
                               .returned = doubt ? page->until : one->returned.ns,
                               .outcome = doubt                               ? MOOT_PICTURE_INDOUBT
                                          : one->outcome == MOOT_OUTCOME_FAIL ? MOOT_PICTURE_FAIL
                                                                              : MOOT_PICTURE_OK,
                               .asked = moot_buffer_slice(&asked),
                               .is_wrong = page->verdict->judgement == MOOT_JUDGEMENT_VIOLATION &&
                                           page->verdict->operation == number,
                               .is_evidence = is_evidence(page, number),
                           });
    moot_buffer_deinit(&asked);
}

/* The evidence has its lines before the others fill them up. */
static void add_operations(struct page *page)
{
    size_t count, shown = 0;
    const uint32_t *operations = moot_evidence_of(page->verdict, &count);
    for (size_t i = 0; i < count; i++) {
        line_of(page, page->history->operations[operations[i]].process);
    }
    for (size_t i = 0; i < page->history->count && shown < PAGE_MAX; i++) {
        const struct moot_operation *one = &page->history->operations[i];
        uint64_t end = one->outcome == MOOT_OUTCOME_INDOUBT ? one->called.ns : one->returned.ns;
        bool near = one->called.ns <= page->until && end >= page->from &&
                    (!page->one_key || moot_slice_equal(one->key, page->key));
        if (near || is_evidence(page, i)) {
            add_operation(page, i);
            shown++;
        }
    }
}

static bool write_file(const char *name, const struct moot_buffer *text)
{
    FILE *file = fopen(name, "wb");
    bool good = file != NULL && fwrite(text->data, 1, text->size, file) == text->size;
    good = file != NULL && fclose(file) == 0 && good;
    if (!good) {
        fprintf(stderr, "moot check: cannot write %s: %s\n", name, strerror(errno));
    }
    return good;
}

bool moot_check_write_page(const struct moot_history *history, const struct moot_verdict *verdict,
                           const char *title, const char *file)
{
    struct page page = {.history = history, .verdict = verdict};
    struct moot_buffer text;
    find_window(&page);
    moot_pairs_init(&page.lines);
    moot_buffer_init(&text);
    struct moot_picture_options options = {.title = moot_slice_text(title)};
    options.subtitle = moot_slice_text(moot_judgement_text(verdict->judgement));
    page.picture = moot_picture_make(&options);
    add_operations(&page);
    moot_picture_verdict(page.picture, moot_buffer_slice(&verdict->words));
    uint64_t end = page.until > UINT64_MAX / 2 ? 0 : page.until;
    moot_picture_page(page.picture, end, &text);
    bool written = write_file(file, &text);
    moot_picture_free(page.picture);
    moot_buffer_deinit(&text);
    moot_pairs_deinit(&page.lines);
    return written;
}
