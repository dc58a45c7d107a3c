/* Opening a journal: what stands, what is torn, what is rotten.
 *
 * Batches are numbered without gaps, and each says which number was durable when it was written.
 * The greatest such mark anywhere divides the damage: a batch at or below it was acknowledged, so
 * it is lost to rot and its groups are impaired; the first bad one above it was never acknowledged,
 * so the tail is torn from there. (Alagappan et al., FAST 2018, section 3.3, tell the two apart by
 * an identifier stored away from the entry; here it is the next batch that stores it.)
 *
 * A leftover of a cut tail can stand behind later batches, whole and of the same generation. Each
 * open starts an epoch, and each batch names its epoch and where that began: of an older epoch only
 * what is below that beginning counts. So a cut is durable with the first batch after it, wherever
 * leftovers lie. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"
#include "storage/journal_internal.h"
#include "storage/journal_scan.h"

struct judge {
    struct journal_scan scan;
    struct moot_journal *journal;
    struct moot_journal_report *report;
    uint64_t mark; /* Greatest durable mark. */
    uint64_t cut;  /* First number that is not there, or torn. */
    uint64_t first_generation, first_batch;
    const struct journal_found *last; /* Greatest batch below the cut; NULL: none. */
    uint64_t hard_pending; /* A rotten batch; does the next one repeat its hard states? */
    bool identity_lost;
    bool fresh; /* Nothing was ever durable. */
    bool cuts;  /* Whole headers lie above the cut. */
};

static int by_epoch_start(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

static int by_batch(const void *a, const void *b)
{
    const struct journal_found *x = a, *y = b;
    if (x->batch != y->batch) {
        return (x->batch > y->batch) - (x->batch < y->batch);
    }
    if (x->epoch != y->epoch) {
        return (x->epoch < y->epoch) - (x->epoch > y->epoch); /* The newer first. */
    }
    if (x->file != y->file) {
        return (x->file > y->file) - (x->file < y->file);
    }
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Of each epoch: the least batch number at which a later epoch began. `table` is sorted pairs
 * (epoch, start), whose starts become that bound. */
static void epoch_bounds(uint64_t (*table)[2], size_t count)
{
    qsort(table, count, sizeof(table[0]), by_epoch_start);
    uint64_t bound = UINT64_MAX, start_least = UINT64_MAX;
    for (size_t i = count; i-- > 0;) {
        if (i + 1 < count && table[i][0] != table[i + 1][0]) {
            bound = start_least;
        }
        start_least = moot_min_u64(start_least, table[i][1]);
        table[i][1] = bound;
    }
}

static uint64_t epoch_bound(uint64_t (*table)[2], size_t count, uint64_t epoch)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle][0] < epoch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    MOOT_ASSERT(low < count && table[low][0] == epoch);
    return table[low][1];
}

/* Drops leftovers of cut tails; sorts the rest by number. */
static void drop_leftovers(struct journal_scan *scan)
{
    uint64_t(*table)[2] = moot_alloc(scan->found_count * sizeof(table[0]));
    size_t count = 0;
    for (size_t i = 0; i < scan->found_count; i++) {
        const struct journal_found *found = &scan->found[i];
        if (count == 0 || table[count - 1][0] != found->epoch ||
            table[count - 1][1] != found->epoch_start) {
            table[count][0] = found->epoch;
            table[count][1] = found->epoch_start;
            count++;
        }
    }
    epoch_bounds(table, count);
    size_t kept = 0;
    for (size_t i = 0; i < scan->found_count; i++) {
        struct journal_found *found = &scan->found[i];
        if (MOOT_RULE(journal_cut_stays_cut,
                      found->batch < epoch_bound(table, count, found->epoch))) {
            scan->found[kept++] = *found;
        }
    }
    MOOT_SOMETIMES(kept < scan->found_count, "journal: passed a leftover of a cut tail");
    moot_free(table);
    if (kept > 0) {
        qsort(scan->found, kept, sizeof(scan->found[0]), by_batch);
    }
    scan->found_count = 0;
    for (size_t i = 0; i < kept; i++) {
        const struct journal_found found = scan->found[i];
        if (scan->found_count == 0 || scan->found[scan->found_count - 1].batch != found.batch) {
            scan->found[scan->found_count++] = found;
        }
    }
}

static void link_chain(struct journal_scan *scan)
{
    for (size_t i = 1; i < scan->found_count; i++) {
        const struct journal_found *before = &scan->found[i - 1];
        struct journal_found *found = &scan->found[i];
        found->linked = before->batch + 1 != found->batch ||
                        MOOT_RULE(journal_chain, found->chain == before->checksum);
    }
}

static bool stands(const struct journal_found *found) { return found->body && found->linked; }

/* The mark, and the first number above it at which something is missing or bad. */
static void find_cut(struct judge *judge)
{
    const struct journal_scan *scan = &judge->scan;
    for (size_t i = 0; i < scan->found_count; i++) {
        judge->mark = moot_max_u64(judge->mark, scan->found[i].durable);
    }
    judge->cut = judge->mark + 1;
    size_t torn = 0;
    for (size_t i = 0; i < scan->found_count; i++) {
        const struct journal_found *found = &scan->found[i];
        if (found->batch < judge->cut) {
            judge->last = found;
        } else if (torn == 0 && found->batch == judge->cut && stands(found)) {
            judge->last = found;
            judge->cut++;
        } else {
            torn++;
        }
    }
    judge->report->durable_seen = judge->mark;
    judge->report->torn_batches = torn;
}

static void lose(struct judge *judge, const struct moot_journal_loss *loss)
{
    struct moot_journal_report *report = judge->report;
    struct journal_loss_set *lost = &judge->journal->lost;
    moot_group_id group = loss->group;
    if (report->loss_count == 1 && report->losses[0].group == JOURNAL_EVERY_GROUP) {
        return;
    }
    if (group == JOURNAL_EVERY_GROUP || report->loss_count == MOOT_JOURNAL_LOSSES_MAX) {
        report->losses[0] =
            (struct moot_journal_loss){JOURNAL_EVERY_GROUP, 0, UINT64_MAX, UINT64_MAX, true};
        report->loss_count = 1;
        lost->every = true;
        return;
    }
    report->losses[report->loss_count++] = *loss;
    for (uint32_t i = 0; i < lost->count; i++) {
        if (lost->groups[i] == group) {
            return;
        }
    }
    lost->groups[lost->count++] = group;
}

static void lose_all(struct judge *judge)
{
    lose(judge, &(struct moot_journal_loss){JOURNAL_EVERY_GROUP, 0, UINT64_MAX, UINT64_MAX, true});
}

/* A batch that retires segments is the first to name another one as the first. */
static bool retires(const struct journal_scan *scan, const struct journal_found *found)
{
    bool known = found > scan->found && found[-1].batch + 1 == found->batch;
    return !known || found[-1].first_batch != found->first_batch;
}

/* The header stands, so it says what the body held. */
static int lose_named(struct judge *judge, const struct journal_found *found)
{
    const uint8_t *block = NULL;
    int status =
        journal__scan_read(&judge->scan, found->file, found->offset, MOOT_JOURNAL_ALIGN, &block);
    if (status != MOOT_OK) {
        return status;
    }
    uint32_t spans = (found->header_size - JOURNAL_HEADER_BYTES) / JOURNAL_SPAN_BYTES;
    for (uint32_t i = 0; i < spans; i++) {
        struct journal_span span = journal_span_get(block, i);
        lose(judge, &(struct moot_journal_loss){span.group, span.first, span.last, found->batch,
                                                retires(&judge->scan, found)});
    }
    judge->identity_lost = judge->identity_lost || (found->flags & JOURNAL_HAS_IDENTITY) != 0;
    MOOT_SOMETIMES(true, "journal: rot in a body, its groups are known");
    return MOOT_OK;
}

/* True when a bad number below the cut is to be taken for torn: never, but in a mutant. */
static bool is_torn(struct judge *judge, uint64_t batch)
{
    if (!MOOT_RULE(journal_rot_is_not_torn, batch > judge->mark)) {
        return false;
    }
    judge->cut = batch;
    judge->report->torn_batches++;
    return true;
}

/* Batches `first` to `last` are rotten. */
static void lose_hard(struct judge *judge, uint64_t first, uint64_t last)
{
    struct moot_journal_report *report = judge->report;
    MOOT_ASSERT(first <= last);
    if (judge->hard_pending != 0) {
        report->hard_lost = moot_max_u64(report->hard_lost, judge->hard_pending);
    }
    if (first < last) {
        report->hard_lost = moot_max_u64(report->hard_lost, last - 1);
    }
    judge->hard_pending = last;
}

/* A batch that stands repeats what the one before held, unless it is a start's first. */
static void find_hard(struct judge *judge, const struct journal_found *found)
{
    if (judge->hard_pending != 0 && found->batch == found->epoch_start) {
        judge->report->hard_lost = moot_max_u64(judge->report->hard_lost, judge->hard_pending);
    }
    judge->hard_pending = 0;
}

static bool lose_missing(struct judge *judge, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return true;
    }
    if (is_torn(judge, from)) {
        return false;
    }
    judge->report->rotten_batches += to - from;
    lose_hard(judge, from, to - 1);
    lose_all(judge);
    MOOT_SOMETIMES(true, "journal: rot in a header, every group is impaired");
    return true;
}

/* Everything below the cut that does not stand is rot. */
static int find_rot(struct judge *judge)
{
    uint64_t expected = judge->first_batch;
    bool identity = false;
    for (size_t i = 0; i < judge->scan.found_count; i++) {
        const struct journal_found *found = &judge->scan.found[i];
        if (found->batch < judge->first_batch) {
            continue;
        }
        if (found->batch >= judge->cut || !lose_missing(judge, expected, found->batch)) {
            break;
        }
        expected = found->batch + 1;
        if (stands(found)) {
            find_hard(judge, found);
            identity = identity || (found->flags & JOURNAL_HAS_IDENTITY) != 0;
            continue;
        }
        if (is_torn(judge, found->batch)) {
            break;
        }
        judge->report->rotten_batches++;
        lose_hard(judge, found->batch, found->batch);
        int status = MOOT_OK;
        if (found->linked) {
            status = lose_named(judge, found);
        } else { /* Two whole batches that do not fit: nobody knows which is wrong. */
            lose_all(judge);
        }
        if (status != MOOT_OK) {
            return status;
        }
    }
    (void)lose_missing(judge, expected, judge->cut);
    judge->report->hard_lost = moot_max_u64(judge->report->hard_lost, judge->hard_pending);
    if (judge->identity_lost && !identity) {
        lose_all(judge);
    }
    return MOOT_OK;
}

/* Whether a header that was begun lies where the next batch would have: it shows a torn write, and
 * nothing else, so it only goes into the report. */
static int look_behind(struct judge *judge)
{
    struct journal_scan *scan = &judge->scan;
    if (judge->last == NULL) {
        judge->report->torn_batches += scan->file_count > 0 && scan->files[0].touched;
        return MOOT_OK;
    }
    const struct journal_file *file = &scan->files[judge->last->file];
    uint64_t end = judge->last->offset + judge->last->length;
    bool torn = judge->last->file + 1 < scan->file_count && file[1].touched;
    if (end + MOOT_JOURNAL_ALIGN <= file->size) {
        const uint8_t *block = NULL;
        int status = journal__scan_read(scan, judge->last->file, end, MOOT_JOURNAL_ALIGN, &block);
        if (status != MOOT_OK) {
            return status;
        }
        struct journal_header header;
        torn = torn || journal_header_get(block, file->generation, end, file->size, &header) ==
                           JOURNAL_DAMAGED;
    }
    judge->report->torn_batches += torn;
    return MOOT_OK;
}

/* A new journal may lose all of its first writes, as many as were in flight. */
enum { YOUNG_FILES_MAX = 4 };

/* Nothing can be made out when no header stands and these are not a journal's very first segments.
 * (One that lost every header while it was young looks as if it had never been written: the node
 * misses its identity then, and asks its store whether that can be.) */
static bool is_illegible(const struct journal_scan *scan)
{
    return scan->found_count == 0 && scan->file_count > 0 &&
           (scan->files[0].generation != 1 || scan->file_count > YOUNG_FILES_MAX);
}

static int judge_all(struct judge *judge)
{
    struct journal_scan *scan = &judge->scan;
    if (is_illegible(scan)) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    uint64_t epoch = 0;
    for (size_t i = 0; i < scan->found_count; i++) {
        epoch = moot_max_u64(epoch, scan->found[i].epoch);
    }
    judge->journal->epoch = epoch + 1;
    drop_leftovers(scan);
    link_chain(scan);
    find_cut(judge);
    judge->first_generation = judge->last == NULL ? 1 : judge->last->first_generation;
    judge->first_batch = judge->last == NULL ? 1 : judge->last->first_batch;
    int status = find_rot(judge);
    judge->cuts = judge->report->torn_batches > 0;
    judge->fresh = judge->last == NULL && judge->mark == 0;
    if (status == MOOT_OK && judge->report->torn_batches == 0) {
        status = look_behind(judge);
    }
    struct moot_journal_report *report = judge->report;
    if (report->rotten_batches > 0) {
        report->damage = MOOT_DAMAGE_ROT;
    } else if (report->torn_batches > 0) {
        report->damage = MOOT_DAMAGE_TORN;
    }
    MOOT_SOMETIMES(report->damage == MOOT_DAMAGE_TORN, "journal: opened with a torn tail");
    MOOT_SOMETIMES(report->rotten_batches > 0 && report->torn_batches > 0,
                   "journal: rot and a torn tail at once");
    return status;
}

static bool is_live(const struct judge *judge, const struct journal_found *found)
{
    return found->batch >= judge->first_batch && found->batch < judge->cut;
}

/* A file that no live batch lies in. */
static void idle_file(struct judge *judge, uint32_t at)
{
    struct moot_journal *journal = judge->journal;
    const struct journal_file *file = &judge->scan.files[at];
    /* Rot may have taken all of it: let it lie until that is repaired. */
    bool suspect = judge->report->rotten_batches > 0 && file->generation >= judge->first_generation;
    if (suspect || file->real_size != journal->options.segment_bytes) {
        return;
    }
    if (judge->fresh) { /* Its first write was torn. */
        if (file->generation == 1) {
            journal__segment_add(journal, 1, file->real_size, 1);
        }
        return;
    }
    char name[JOURNAL_NAME_BYTES];
    journal_name_put(name, file->generation);
    journal__spare_add(journal, name);
}

/* Segments from the batches below the cut, and where the next batch goes. */
static void build(struct judge *judge)
{
    struct moot_journal *journal = judge->journal;
    const struct journal_scan *scan = &judge->scan;
    uint64_t *used = moot_alloc_zero(scan->file_count * 2 * sizeof(uint64_t));
    uint64_t *first = used + scan->file_count;
    for (size_t i = 0; i < scan->found_count; i++) {
        const struct journal_found *found = &scan->found[i];
        if (is_live(judge, found)) {
            used[found->file] = moot_max_u64(used[found->file], found->offset + found->length);
            first[found->file] = first[found->file] == 0 ? found->batch : first[found->file];
        }
    }
    for (uint32_t i = 0; i < scan->file_count; i++) {
        const struct journal_file *file = &scan->files[i];
        journal->next_generation = moot_max_u64(journal->next_generation, file->generation + 1);
        if (used[i] == 0) {
            idle_file(judge, i);
            continue;
        }
        journal__segment_add(journal, file->generation, file->size, first[i])->used = used[i];
    }
    if (judge->fresh) { /* A journal begins with generation 1: is_illegible counts on it. */
        journal->next_generation = journal->segment_count + 1;
    }
    journal->next_batch = judge->cut;
    journal->durable = judge->cut - 1;
    bool known = judge->last != NULL && judge->last->batch == judge->cut - 1;
    journal->chain = known ? judge->last->checksum : 0;
    if (!known && judge->cut > 1 && journal->segment_count > 0) {
        /* Where the last batch ends is not known: never write over what was acknowledged. */
        struct journal_segment *current = &journal->segments[journal->segment_count - 1];
        current->used = current->size;
    }
    if (judge->last != NULL || judge->mark > 0) {
        journal->first_generation = judge->first_generation;
        journal->first_batch = judge->first_batch;
    }
    moot_free(used);
}

struct visitor {
    int (*visit)(void *context, const struct moot_record *record);
    void *context;
    bool carried; /* Which kind this pass is about. */
};

static struct journal_segment *segment_of(struct judge *judge, const struct journal_found *found)
{
    uint64_t generation = judge->scan.files[found->file].generation;
    for (uint32_t i = 0; i < judge->journal->segment_count; i++) {
        if (judge->journal->segments[i].generation == generation) {
            return &judge->journal->segments[i];
        }
    }
    MOOT_UNREACHABLE();
}

static int visit_records(struct judge *judge, const struct visitor *visitor,
                         const struct journal_found *found, const uint8_t *bytes)
{
    struct moot_reader reader =
        moot_reader_make((struct moot_slice){bytes + found->header_size, found->records_size});
    for (uint32_t i = 0; i < found->record_count; i++) {
        struct moot_record record;
        bool carried = false;
        if (!journal_record_get(&reader, &record, &carried)) {
            return MOOT_FAIL(MOOT_ECORRUPT); /* Both checksums are right: this was never ours. */
        }
        if (carried != visitor->carried) {
            continue;
        }
        record.batch = carried ? 0 : found->batch;
        journal__account(judge->journal, segment_of(judge, found), &record);
        judge->report->records++;
        judge->report->bytes += record.bytes.size;
        int status = visitor->visit(visitor->context, &record);
        if (status != MOOT_OK) {
            return status;
        }
    }
    return MOOT_OK;
}

static int visit_batch(struct judge *judge, const struct visitor *visitor,
                       const struct journal_found *found)
{
    const uint8_t *bytes = NULL;
    uint32_t mask = found->flags >> JOURNAL_MASK_SHIFT;
    int status =
        journal__scan_read(&judge->scan, found->file, found->offset, found->length, &bytes);
    if (status != MOOT_OK || mask == 0) {
        return status != MOOT_OK ? status : visit_records(judge, visitor, found, bytes);
    }
    uint8_t *copy = moot_alloc(found->length); /* The window may be read again. */
    memcpy(copy, bytes, found->length);
    journal_mask_apply(copy, found->length, mask);
    status = visit_records(judge, visitor, found, copy);
    moot_free(copy);
    return status;
}

static void note_whole(struct moot_journal_report *report, const struct journal_found *found)
{
    for (uint32_t i = 0; i < MOOT_JOURNAL_WHOLE_MAX; i++) {
        if ((found->flags >> (JOURNAL_WHOLE_SHIFT + i) & 1) != 0) {
            report->whole_batch[i] = moot_max_u64(report->whole_batch[i], found->batch);
        }
    }
}

/* What was carried comes first: it is older than everything else, wherever it lies. */
static int visit_all(struct judge *judge, struct visitor *visitor)
{
    for (int pass = 0; pass < 2; pass++) {
        visitor->carried = pass == 0;
        for (size_t i = 0; i < judge->scan.found_count; i++) {
            const struct journal_found *found = &judge->scan.found[i];
            bool concerned = pass == 1 || (found->flags & JOURNAL_HAS_CARRIED) != 0;
            if (!concerned || !is_live(judge, found) || !stands(found)) {
                continue;
            }
            judge->report->batches += pass == 1;
            note_whole(judge->report, found);
            int status = visit_batch(judge, visitor, found);
            if (status != MOOT_OK) {
                return status;
            }
        }
    }
    return MOOT_OK;
}

/* From now on everything found counts as durable: others may be told of it without any further
 * write. So a mark must cover it, or later rot would be taken for a torn tail; and with the mark's
 * epoch the cut is durable too. */
static int write_mark(struct judge *judge)
{
    bool covered = !judge->cuts;
    for (size_t i = 0; i < judge->scan.found_count; i++) {
        const struct journal_found *found = &judge->scan.found[i];
        covered = covered &&
                  !(is_live(judge, found) && found->batch > judge->mark && found->record_count > 0);
    }
    if (MOOT_RULE(journal_cut_is_durable_before_new_writes, covered) || judge->cut == 1) {
        return MOOT_OK;
    }
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    struct moot_journal_write where;
    judge->journal->opening = true;
    int status =
        moot_journal_layout(judge->journal, NULL, 0, judge->journal->durable, &bytes, &where);
    judge->journal->opening = false;
    if (status == MOOT_OK) {
        uint8_t *memory = moot_alloc(bytes.size + MOOT_JOURNAL_ALIGN);
        uintptr_t past = (uintptr_t)memory % MOOT_JOURNAL_ALIGN;
        uint8_t *aligned = memory + (past == 0 ? 0 : MOOT_JOURNAL_ALIGN - past);
        memcpy(aligned, bytes.data, bytes.size);
        status = moot_journal_write_now(judge->scan.disk, judge->journal->options.segment_bytes,
                                        &where, aligned, bytes.size);
        moot_free(memory);
    }
    if (status == MOOT_OK) {
        judge->journal->durable = where.batch;
    }
    moot_buffer_deinit(&bytes);
    return status;
}

/* Files that a crash left half made, or of another size than segments are now; of a fresh journal
 * all but the first. The last first, so that a crash in between leaves the first. */
static int remove_misfits(struct judge *judge)
{
    const struct journal_scan *scan = &judge->scan;
    for (uint32_t i = scan->file_count; i-- > 0;) {
        const struct journal_file *file = &scan->files[i];
        bool live = judge->report->rotten_batches > 0;
        for (uint32_t k = 0; k < judge->journal->segment_count; k++) {
            live = live || judge->journal->segments[k].generation == file->generation;
        }
        bool fits = file->real_size == judge->journal->options.segment_bytes;
        if (live || (fits && !judge->fresh)) {
            continue;
        }
        char name[JOURNAL_NAME_BYTES];
        journal_name_put(name, file->generation);
        MOOT_SOMETIMES(true, "journal: removed a half made segment");
        int status = scan->disk->ops->remove(scan->disk, name);
        if (status != MOOT_OK) {
            return status;
        }
    }
    return MOOT_OK;
}

int moot_journal_open(struct moot_disk *disk, const struct moot_journal_options *options,
                      int (*visit)(void *context, const struct moot_record *record), void *context,
                      struct moot_journal_report *report, struct moot_journal **out)
{
    MOOT_ASSERT(options->segment_bytes % MOOT_JOURNAL_ALIGN == 0);
    MOOT_ASSERT(options->segment_bytes >= 4 * MOOT_JOURNAL_ALIGN);
    MOOT_ASSERT(options->segment_bytes <= UINT32_MAX);
    MOOT_ASSERT(options->segments_max >= 3);
    *report = (struct moot_journal_report){.damage = MOOT_DAMAGE_NONE};
    struct moot_journal *journal = moot_alloc_zero(sizeof(*journal));
    journal->options = *options;
    journal->next_batch = journal->next_generation = 1;
    moot_buffer_init(&journal->identity);

    struct judge judge = {.journal = journal, .report = report};
    struct visitor visitor = {visit, context, false};
    int status = journal__scan_begin(&judge.scan, disk);
    if (status == MOOT_OK) {
        status = judge_all(&judge);
    }
    if (status == MOOT_OK) {
        journal->whole = report->rotten_batches > 0 ? 0 : (1u << MOOT_JOURNAL_WHOLE_MAX) - 1;
        build(&judge);
        status = visit_all(&judge, &visitor);
    }
    if (status == MOOT_OK) {
        status = write_mark(&judge);
    }
    if (status == MOOT_OK) {
        status = remove_misfits(&judge);
    }
    journal__scan_end(&judge.scan);
    if (status != MOOT_OK) {
        moot_journal_close(journal);
        journal = NULL;
    }
    *out = journal;
    return status;
}
