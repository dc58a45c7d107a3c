#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* Goal: create gives a file of zeros of the asked size, once; names are found, listed sorted, and
 * go away. Method: each call and its error. */
static void append_name(void *context, const char *name)
{
    char *names = context;
    strcat(names, name);
    strcat(names, " ");
}

static void names_and_sizes(void **state)
{
    (void)state;
    static _Alignas(4096) uint8_t block[4096];
    struct moot_disk_posix *posix = open_folder();
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    assert_int_equal(disk->ops->create(disk, "b", 3 * 4096), MOOT_OK);
    assert_int_equal(disk->ops->create(disk, "b", 3 * 4096), MOOT_EBUSY);
    assert_int_equal(disk->ops->create(disk, "a", 4096), MOOT_OK);
    uint64_t size = 0;
    assert_int_equal(disk->ops->size(disk, "b", &size), MOOT_OK);
    assert_int_equal(size, 3 * 4096);
    struct stat stat_b;
    char path[128];
    snprintf(path, sizeof(path), "%s/b", folder);
    assert_int_equal(stat(path, &stat_b), 0);
    assert_true(stat_b.st_blocks * 512 >= 3 * 4096); /* Written, not a hole. */
    memset(block, 'x', sizeof(block));
    assert_int_equal(disk->ops->read(disk, "b", 2 * 4096, block, sizeof(block)), MOOT_OK);
    assert_true(block[0] == 0 && memcmp(block, block + 1, sizeof(block) - 1) == 0);
    assert_int_equal(disk->ops->read(disk, "b", 3 * 4096, block, sizeof(block)), MOOT_EIO);
    assert_int_equal(disk->ops->write(disk, "none", 0, block, sizeof(block)), MOOT_ENOTFOUND);
    assert_int_equal(disk->ops->rename(disk, "b", "a"), MOOT_EBUSY);
    assert_int_equal(disk->ops->rename(disk, "b", "c"), MOOT_OK);
    char names[64] = "";
    assert_int_equal(disk->ops->list(disk, append_name, names), MOOT_OK);
    assert_string_equal(names, "a c ");
    assert_int_equal(disk->ops->remove(disk, "a"), MOOT_OK);
    assert_int_equal(disk->ops->remove(disk, "a"), MOOT_ENOTFOUND);
    assert_int_equal(disk->ops->size(disk, "a", &size), MOOT_ENOTFOUND);
    moot_disk_posix_close(posix);
}

/* Goal: more files than the pool holds, memory aligned or not, and renames of open files all read
 * back what was written. Method: 20 files, each with its own bytes. */
static void many_files_read_back(void **state)
{
    (void)state;
    static _Alignas(4096) uint8_t memory[2 * 4096 + 1];
    struct moot_disk_posix *posix = open_folder();
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    for (int i = 0; i < 20; i++) {
        char name[16], renamed[16];
        snprintf(name, sizeof(name), "file-%d", i);
        snprintf(renamed, sizeof(renamed), "renamed-%d", i);
        uint8_t *bytes = memory + i % 2;
        memset(bytes, i + 1, 2 * 4096);
        assert_int_equal(disk->ops->create(disk, name, 4 * 4096), MOOT_OK);
        assert_int_equal(disk->ops->write(disk, name, 4096, bytes, 2 * 4096), MOOT_OK);
        assert_int_equal(disk->ops->rename(disk, name, renamed), MOOT_OK);
    }
    for (int i = 0; i < 20; i++) {
        char renamed[16];
        snprintf(renamed, sizeof(renamed), "renamed-%d", i);
        uint8_t *bytes = memory + (i + 1) % 2;
        assert_int_equal(disk->ops->read(disk, renamed, 4096, bytes, 2 * 4096), MOOT_OK);
        assert_int_equal(bytes[0], i + 1);
        assert_int_equal(bytes[2 * 4096 - 1], i + 1);
    }
    moot_disk_posix_close(posix);
}

/* Goal: a file that was half made when the power failed is not there. Method: leave one under its
 * working name. */
static void half_made_files_are_gone(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/journal-0000000000000001.making", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    struct moot_disk_posix *posix = open_folder();
    char names[64] = "";
    assert_int_equal(
        moot_disk_posix_disk(posix)->ops->list(moot_disk_posix_disk(posix), append_name, names),
        MOOT_OK);
    assert_string_equal(names, "");
    assert_int_not_equal(access(path, F_OK), 0);
    moot_disk_posix_close(posix);
}

/* Goal: what is made beforehand is a file like any other: zeros, of the size asked for, found only
 * under its own name; and none is left behind. Method: five files, each written past its half, so
 * that a spare is made; one of another size among them. */
static void spares_are_files_like_others(void **state)
{
    (void)state;
    static _Alignas(4096) uint8_t block[4096], found[64 * 4096];
    struct moot_disk_posix *posix = open_folder();
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 5; i++) {
        char name[2] = {(char)('a' + i), 0}, names[64] = "";
        uint64_t pages = i == 3 ? 32 : 64, size;
        assert_int_equal(disk->ops->create(disk, name, pages * 4096), MOOT_OK);
        assert_int_equal(disk->ops->size(disk, name, &size), MOOT_OK);
        assert_int_equal(size, pages * 4096);
        assert_int_equal(disk->ops->read(disk, name, 0, found, size), MOOT_OK);
        assert_true(found[0] == 0 && memcmp(found, found + 1, size - 1) == 0);
        for (uint64_t page = 0; page < pages; page++) {
            assert_int_equal(disk->ops->write(disk, name, page * 4096, block, 4096), MOOT_OK);
        }
        assert_int_equal(disk->ops->list(disk, append_name, names), MOOT_OK);
        assert_int_equal(strlen(names), 2 * (i + 1));
    }
    moot_disk_posix_close(posix);
    char path[128];
    snprintf(path, sizeof(path), "%s/spare.making", folder);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- what is durable ---- */

static char synced[64]; /* The names that were in the folder when it was last synced. */

/* In the C library's place: the kernel would not say what a power cut leaves. */
int fsync(int fd)
{
    struct stat stat;
    struct stat ours;
    if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode) && lstat(folder, &ours) == 0 &&
        stat.st_ino == ours.st_ino) {
        DIR *entries = opendir(folder);
        assert_non_null(entries);
        synced[0] = 0;
        for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
            size_t used = strlen(synced);
            if (strlen(entry->d_name) == 1 && entry->d_name[0] != '.' &&
                used + 1 < sizeof(synced)) {
                synced[used] = entry->d_name[0];
                synced[used + 1] = 0;
            }
        }
        closedir(entries);
    }
    return (int)syscall(SYS_fsync, fd);
}

/* Goal: a file's name is on disk before it is said to be made, renamed or removed. Method: look at
 * what the folder held when it was last synced. */
static void names_are_durable(void **state)
{
    (void)state;
    struct moot_disk_posix *posix = open_folder();
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    synced[0] = 0;
    assert_int_equal(disk->ops->create(disk, "a", 4096), MOOT_OK);
    assert_string_equal(synced, "a");
    assert_int_equal(disk->ops->rename(disk, "a", "b"), MOOT_OK);
    assert_string_equal(synced, "b");
    assert_int_equal(disk->ops->remove(disk, "b"), MOOT_OK);
    assert_string_equal(synced, "");
    moot_disk_posix_close(posix);
}

/* Goal: a write that is done is on disk. Method: the file it went through is one whose writes wait
 * for the disk (O_DSYNC), as the kernel tells it. */
static void writes_are_durable(void **state)
{
    (void)state;
    static _Alignas(4096) uint8_t block[4096];
    struct moot_disk_posix *posix = open_folder();
    struct moot_disk *disk = moot_disk_posix_disk(posix);
    assert_int_equal(disk->ops->create(disk, "a", 4 * 4096), MOOT_OK);
    assert_int_equal(disk->ops->write(disk, "a", 0, block, sizeof(block)), MOOT_OK);
    char path[80];
    struct stat file, open_one;
    snprintf(path, sizeof(path), "%s/a", folder);
    assert_int_equal(stat(path, &file), 0);
    int found = 0;
    for (int fd = 0; fd < 1024; fd++) {
        if (fstat(fd, &open_one) == 0 && open_one.st_ino == file.st_ino &&
            open_one.st_dev == file.st_dev) {
            found++;
            assert_true((fcntl(fd, F_GETFL) & O_DSYNC) != 0);
        }
    }
    assert_true(found > 0);
    moot_disk_posix_close(posix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(journal_comes_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(names_and_sizes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(many_files_read_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(half_made_files_are_gone, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(spares_are_files_like_others, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(names_are_durable, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(writes_are_durable, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
