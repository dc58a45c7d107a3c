/* The recorder beside a brain, without a server: what it wrote is lived again; a brain that is told
 * something else is found; a full folder is refused, and a limit ends a recording honestly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/slice.h"
#include "base/status.h"
#include "host/folder.h"
#include "host/recorder.h"
#include "replay/player.h"
#include "sim/disk_sim.h"
#include "storage/store_memory.h"

enum { TURNS = 400, SEGMENT_BYTES = 4 << 20, PATH_BYTES = 512, INPUTS_MAX = 64 };

struct fixture {
    char folder[64], path[PATH_BYTES];
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_node *node;
    struct recorder *recorder;
    bool ring;

    struct moot_input inputs[INPUTS_MAX]; /* For the next turn. */
    size_t count;
    uint64_t turn, connection;
    bool stopped;
};

static struct moot_input *input(struct fixture *fixture, enum moot_input_kind kind)
{
    assert_true(fixture->count < INPUTS_MAX);
    struct moot_input *made = &fixture->inputs[fixture->count++];
    *made = (struct moot_input){.kind = kind};
    return made;
}

static void write_journal(struct fixture *fixture, const struct moot_effect *effect)
{
    struct moot_slice bytes = effect->journal.bytes;
    void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, bytes.size);
    memcpy(aligned, bytes.data, bytes.size);
    int status = moot_journal_write_now(moot_disk_sim_disk(fixture->disk), SEGMENT_BYTES,
                                        &effect->journal.where, aligned, bytes.size);
    assert_int_equal(status, MOOT_OK);
    moot_free(aligned);
    input(fixture, MOOT_INPUT_DURABLE)->ticket = effect->journal.where.batch;
}

static void perform(struct fixture *fixture, const struct moot_effect *effect)
{
    struct moot_store *store = fixture->store;
    if (effect->kind == MOOT_EFFECT_JOURNAL) {
        write_journal(fixture, effect);
    } else if (effect->kind == MOOT_EFFECT_STORE_WRITE) {
        assert_int_equal(store->ops->write(store, effect->batch), MOOT_OK);
    } else if (effect->kind == MOOT_EFFECT_FLUSH) {
        assert_int_equal(store->ops->flush(store), MOOT_OK);
        input(fixture, MOOT_INPUT_FLUSHED)->ticket = effect->ticket;
    } else if (effect->kind == MOOT_EFFECT_FETCH) {
        for (uint32_t k = 0; k < effect->fetch.key_count; k++) {
            (void)store->ops->fetch(store, effect->fetch.keys[k]);
        }
        input(fixture, MOOT_INPUT_FETCHED)->ticket = effect->ticket;
    } else if (effect->kind == MOOT_EFFECT_STOP) {
        fixture->stopped = true;
    }
}

static struct moot_now now_of(const struct fixture *fixture)
{
    return (struct moot_now){{1000 + fixture->turn * 20 * MOOT_MSEC_NS},
                             1000000 + fixture->turn * 20};
}

/* One turn; the time goes on by 20 ms. */
static void turn(struct fixture *fixture)
{
    struct moot_effects effects;
    struct moot_input inputs[INPUTS_MAX];
    size_t count = fixture->count;
    memcpy(inputs, fixture->inputs, sizeof(inputs[0]) * count);
    fixture->count = 0;
    fixture->turn++;
    recorder__turn(fixture->recorder, fixture->node, inputs, count, now_of(fixture), &effects);
    for (size_t i = 0; i < effects.count; i++) {
        perform(fixture, &effects.items[i]);
    }
}

static void open_node(struct fixture *fixture)
{
    char why[256] = "";
    struct moot_identity identity = {.node = 1, .self = {.node = 1}, .initial_count = 1};
    snprintf(identity.self.peer, sizeof(identity.self.peer), "127.0.0.1:1");
    snprintf(identity.self.client, sizeof(identity.self.client), "127.0.0.1:2");
    identity.initial[0] = identity.self;
    struct moot_node_options options = {.disk = moot_disk_sim_disk(fixture->disk),
                                        .store = fixture->store,
                                        .format = &identity,
                                        .now = now_of(fixture),
                                        .seed = 5,
                                        .journal = {SEGMENT_BYTES, 4}};
    int status = recorder__open_node(fixture->recorder, &options, &fixture->node, why);
    assert_int_equal(status, MOOT_OK);
}

static void open_all(struct fixture *fixture, uint64_t limit)
{
    char why[256] = "";
    fixture->disk = moot_disk_sim_make(1);
    fixture->store = moot_store_memory_open(&(struct moot_store_memory_options){1, 3});
    const struct recorder_options record = {
        .dir = fixture->folder, .limit_bytes = limit, .once = !fixture->ring};
    fixture->recorder = recorder__open(&record, why, sizeof(why));
    assert_string_equal(why, "");
    open_node(fixture);
}

/* A client that writes. */
static void live(struct fixture *fixture)
{
    uint64_t connection = ++fixture->connection;
    struct moot_input *opened = input(fixture, MOOT_INPUT_CLIENT_OPENED);
    opened->connection = connection;
    opened->bytes = MOOT_SLICE_LITERAL("x:1");
    for (int i = 1; i <= TURNS; i++) {
        char text[64];
        int size = snprintf(text, sizeof(text), "%s k%d %d\r\n", i % 3 == 0 ? "LPUSH" : "SET",
                            i % 3 == 0 ? 100 + i % 7 : i % 50, i);
        struct moot_input *bytes = input(fixture, MOOT_INPUT_CLIENT_BYTES);
        bytes->connection = connection;
        bytes->bytes = moot_slice_make(text, (size_t)size);
        turn(fixture);
    }
}

static void close_all(struct fixture *fixture)
{
    moot_node_close(fixture->node);
    recorder__close(fixture->recorder);
    fixture->store->ops->close(fixture->store);
    moot_disk_sim_free(fixture->disk);
}

static void record(struct fixture *fixture, uint64_t limit, struct moot_buffer *file)
{
    open_all(fixture, limit);
    live(fixture);
    close_all(fixture);
    moot_buffer_init(file);
    assert_int_equal(host__read_file(fixture->path, SIZE_MAX / 2, file), MOOT_OK);
}

static int make_folder(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/moot-recorder-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/000001.mootrec", fixture->folder);
    *state = fixture;
    return 0;
}

static int remove_folder(void **state)
{
    struct fixture *fixture = *state;
    for (int number = 1; number <= 99; number++) {
        snprintf(fixture->path, sizeof(fixture->path), "%s/%06d.mootrec", fixture->folder, number);
        unlink(fixture->path);
    }
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void play(struct moot_slice file, struct moot_player_result *result,
                 enum moot_replay_ending *ending, enum moot_replay_end *marked)
{
    struct moot_replay_stream stream;
    const struct moot_player_calls calls = {NULL, NULL, NULL, NULL};
    assert_int_equal(moot_replay_stream_open(&stream, file), MOOT_OK);
    moot_player_run(&stream, true, &calls, result);
    *ending = stream.ending;
    *marked = stream.marked;
    moot_replay_stream_close(&stream);
}

static void a_life_is_lived_again(void **state)
{
    struct moot_buffer file;
    struct moot_player_result result;
    enum moot_replay_ending ending;
    enum moot_replay_end marked;
    record(*state, UINT64_MAX, &file);
    play(moot_buffer_slice(&file), &result, &ending, &marked);
    assert_string_equal(result.why, "");
    assert_false(result.differs);
    assert_int_equal(result.turns, TURNS);
    assert_int_equal(result.identity.node, 1);
    assert_int_equal(ending, MOOT_REPLAY_MARKED);
    assert_int_equal(marked, MOOT_REPLAY_STOPPED);
    moot_buffer_deinit(&file);
}

static void the_limit_ends_it_honestly(void **state)
{
    struct moot_buffer file;
    struct moot_player_result result;
    enum moot_replay_ending ending;
    enum moot_replay_end marked;
    record(*state, 1, &file); /* The first chunk is already too much. */
    play(moot_buffer_slice(&file), &result, &ending, &marked);
    assert_false(result.differs);
    assert_true(result.turns < TURNS);
    assert_int_equal(ending, MOOT_REPLAY_MARKED);
    assert_int_equal(marked, MOOT_REPLAY_LIMIT);
    char why[256] = "";
    struct fixture *fixture = *state;
    const struct recorder_options again = {.dir = fixture->folder, .limit_bytes = 1, .once = true};
    assert_null(recorder__open(&again, why, sizeof(why))); /* And it is full now. */
    assert_non_null(strstr(why, "limit"));
    moot_buffer_deinit(&file);
}

/* Writes the records again, in one chunk, with one of them changed. */
static void rewrite(struct moot_slice file, void (*change)(struct moot_replay_record *record),
                    struct moot_buffer *out)
{
    struct moot_replay_stream stream;
    struct moot_replay_record each;
    struct moot_buffer all;
    moot_buffer_init(&all);
    moot_buffer_init(out);
    assert_int_equal(moot_replay_stream_open(&stream, file), MOOT_OK);
    while (moot_replay_stream_next(&stream, &each)) {
        change(&each);
        moot_replay_encode(&each, &all);
    }
    moot_replay_file_header(out);
    moot_replay_chunk(0, moot_buffer_slice(&all), out);
    moot_replay_stream_close(&stream);
    moot_buffer_deinit(&all);
}

static void other_command(struct moot_replay_record *each)
{
    static struct moot_input input;
    if (each->kind == MOOT_REPLAY_TURN && each->turn.number == 200) {
        input = each->turn.inputs[each->turn.count - 1];
        input.bytes = MOOT_SLICE_LITERAL("SET other 1\r\n");
        each->turn.inputs = &input;
        each->turn.count = 1;
    }
}

static void other_answer(struct moot_replay_record *each)
{
    if (each->kind == MOOT_REPLAY_EFFECTS && each->effects.turn == 100) {
        each->effects.hash[MOOT_EFFECT_JOURNAL] ^= 1;
        each->effects.count[MOOT_EFFECT_JOURNAL] += each->effects.count[MOOT_EFFECT_JOURNAL] == 0;
    }
}

static void the_first_turn_that_differs_is_named(void **state)
{
    struct moot_buffer file, changed;
    struct moot_player_result result;
    enum moot_replay_ending ending;
    enum moot_replay_end marked;
    record(*state, UINT64_MAX, &file);

    rewrite(moot_buffer_slice(&file), other_answer, &changed);
    play(moot_buffer_slice(&changed), &result, &ending, &marked);
    assert_true(result.differs);
    assert_int_equal(result.turn, 100);
    assert_int_equal(result.turns, 99);
    assert_non_null(strstr(result.why, "journal writes"));
    moot_buffer_deinit(&changed);

    rewrite(moot_buffer_slice(&file), other_command, &changed);
    play(moot_buffer_slice(&changed), &result, &ending, &marked);
    assert_true(result.differs);
    assert_true(result.turn >= 200 && result.turn < 210);
    moot_buffer_deinit(&changed);
    moot_buffer_deinit(&file);
}

/* How many files there are, and that they all replay: each ends for the next, the last one with
 * `last`. */
static int play_all(const struct fixture *fixture, uint64_t limit, enum moot_replay_end last)
{
    char path[PATH_BYTES];
    int files = 0;
    uint64_t bytes = 0;
    enum moot_replay_end marked = MOOT_REPLAY_NEXT;
    for (int number = 1; number <= 99; number++) {
        struct moot_buffer file;
        struct moot_player_result result;
        enum moot_replay_ending ending;
        moot_buffer_init(&file);
        snprintf(path, sizeof(path), "%s/%06d.mootrec", fixture->folder, number);
        if (host__read_file(path, SIZE_MAX / 2, &file) == MOOT_OK) {
            assert_int_equal(marked, MOOT_REPLAY_NEXT);
            play(moot_buffer_slice(&file), &result, &ending, &marked);
            assert_string_equal(result.why, "");
            assert_int_equal(result.lives, 1);
            assert_int_equal(ending, MOOT_REPLAY_MARKED);
            bytes += file.size;
            files++;
        }
        moot_buffer_deinit(&file);
    }
    assert_int_equal(marked, last);
    assert_true(bytes <= limit);
    return files;
}

static void next_life(struct fixture *fixture)
{
    struct moot_disk *disk = moot_disk_sim_disk(fixture->disk);
    char spare[32];
    input(fixture, MOOT_INPUT_REOPEN);
    fixture->stopped = false;
    for (int i = 0; i < TURNS && !fixture->stopped; i++) {
        turn(fixture);
    }
    assert_true(fixture->stopped);
    while (moot_node_take_spare(fixture->node, spare)) {
        assert_int_equal(disk->ops->remove(disk, spare), MOOT_OK);
    }
    moot_node_close(fixture->node);
    assert_int_equal(fixture->store->ops->flush(fixture->store), MOOT_OK);
    recorder__next(fixture->recorder);
    fixture->count = 0;
    open_node(fixture);
    live(fixture);
}

/* Goal: the ring never takes more than its limit, keeps at least the last two files, and each lives
 * again. Method: many lives, together more than the limit. */
static void the_ring_forgets_its_oldest(void **state)
{
    struct fixture *fixture = *state;
    enum { LIMIT = 256 * 1024 };
    fixture->ring = true;
    open_all(fixture, LIMIT);
    live(fixture);
    for (int i = 0; i < 20; i++) {
        next_life(fixture);
    }
    close_all(fixture);
    int files = play_all(fixture, LIMIT, MOOT_REPLAY_STOPPED);
    assert_true(files >= 2 && files < 21);
    assert_int_not_equal(access(fixture->path, F_OK), 0); /* The first one is gone. */
}

/* Goal: a file that reaches the limit by itself ends honestly, and the next one goes on. */
static void the_ring_may_have_a_gap(void **state)
{
    struct fixture *fixture = *state;
    enum { LIMIT = 128 * 1024 };
    fixture->ring = true;
    open_all(fixture, LIMIT);
    for (int i = 0; i < 20; i++) {
        live(fixture);
    }
    next_life(fixture);
    close_all(fixture);
    assert_int_equal(play_all(fixture, LIMIT, MOOT_REPLAY_STOPPED), 1);
}

/* Goal: two servers do not remove each other's files. */
static void a_folder_is_one_servers(void **state)
{
    struct fixture *fixture = *state;
    char why[256] = "";
    open_all(fixture, UINT64_MAX);
    const struct recorder_options other = {.dir = fixture->folder, .limit_bytes = UINT64_MAX};
    assert_null(recorder__open(&other, why, sizeof(why)));
    assert_non_null(strstr(why, "another server"));
    close_all(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life_is_lived_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_limit_ends_it_honestly, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_first_turn_that_differs_is_named, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_ring_forgets_its_oldest, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_ring_may_have_a_gap, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_is_one_servers, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
