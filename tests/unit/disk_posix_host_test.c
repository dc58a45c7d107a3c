#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"
#include "host/disk_posix.h"
#include "storage/journal.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/moot-disk-XXXXXX", sizeof("/tmp/moot-disk-XXXXXX"));
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static void remove_one(void *context, const char *name)
{
    struct moot_disk *disk = context;
    (void)disk->ops->remove(disk, name);
}

static int remove_folder(void **state)
{
    (void)state;
    struct moot_disk_posix *posix = NULL;
    if (moot_disk_posix_open(folder, &posix) != MOOT_OK) {
        return -1;
    }
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    int status = disk->ops->list(disk, remove_one, disk);
    moot_disk_posix_close(posix);
    return rmdir(folder) != 0 || status != MOOT_OK ? -1 : 0;
}

static struct moot_disk_posix *open_folder(void)
{
    struct moot_disk_posix *posix = NULL;
    assert_int_equal(moot_disk_posix_open(folder, &posix), MOOT_OK);
    return posix;
}

/* Goal: a journal written to a real folder comes back after it was closed. Method: batches over
 * several segments, then open again through a second disk. */
static int count_entry(void *context, const struct moot_record *record)
{
    uint64_t *sum = context;
    *sum += record->kind == MOOT_RECORD_ENTRY ? record->index : 0;
    return MOOT_OK;
}

static void journal_comes_back(void **state)
{
    (void)state;
    const struct moot_journal_options options = {64 * 1024, 8};
    for (int round = 0; round < 2; round++) {
        struct moot_disk_posix *posix = open_folder();
        struct moot_disk *disk = moot_disk_posix_disk(posix);
        struct moot_journal *journal = NULL;
        struct moot_journal_report report;
        uint64_t sum = 0;
        assert_int_equal(moot_journal_open(disk, &options, count_entry, &sum, &report, &journal),
                         MOOT_OK);
        assert_int_equal(report.damage, MOOT_DAMAGE_NONE);
        assert_int_equal(sum, round == 0 ? 0 : 40 * 41 / 2);
        struct moot_buffer out;
        moot_buffer_init(&out);
        for (uint64_t i = 1; i <= 40 && round == 0; i++) {
            struct moot_record record = {.kind = MOOT_RECORD_ENTRY, .group = 1, .index = i};
            record.bytes = moot_slice_text("some bytes");
            struct moot_journal_write where;
            assert_int_equal(moot_journal_layout(journal, &record, 1, i - 1, &out, &where),
                             MOOT_OK);
            assert_int_equal(
                moot_journal_write_now(disk, options.segment_bytes, &where, out.data, out.size),
                MOOT_OK);
        }
        moot_buffer_deinit(&out);
        moot_journal_close(journal);
        moot_disk_posix_close(posix);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(journal_comes_back, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
