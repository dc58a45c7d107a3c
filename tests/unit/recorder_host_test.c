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

#include "base/slice.h"
#include "base/status.h"
#include "host/folder.h"
#include "host/recorder.h"
#include "replay/player.h"
#include "sim/disk_sim.h"
#include "storage/store_memory.h"

enum { TURNS = 400, SEGMENT_BYTES = 4 << 20, PATH_BYTES = 512 };

struct fixture {
    char folder[64], path[PATH_BYTES];
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_node *node;
    struct recorder *recorder;
};

/* Answers what the next turn must hear of this one's effects. */
static size_t perform(struct fixture *fixture, const struct moot_effects *effects,
                      struct moot_input *inputs, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < effects->count && count < max; i++) {
        const struct moot_effect *effect = &effects->items[i];
        if (effect->kind == MOOT_EFFECT_JOURNAL) {
            inputs[count++] = (struct moot_input){.kind = MOOT_INPUT_DURABLE,
                                                  .ticket = effect->journal.where.batch};
        } else if (effect->kind == MOOT_EFFECT_STORE_WRITE) {
            int status = fixture->store->ops->write(fixture->store, effect->batch);
            assert_int_equal(status, MOOT_OK);
        } else if (effect->kind == MOOT_EFFECT_FLUSH) {
            inputs[count++] =
                (struct moot_input){.kind = MOOT_INPUT_FLUSHED, .ticket = effect->ticket};
        } else if (effect->kind == MOOT_EFFECT_FETCH) {
            for (uint32_t k = 0; k < effect->fetch.key_count; k++) {
                (void)fixture->store->ops->fetch(fixture->store, effect->fetch.keys[k]);
            }
            inputs[count++] =
                (struct moot_input){.kind = MOOT_INPUT_FETCHED, .ticket = effect->ticket};
        }
    }
    return count;
}

static void open_all(struct fixture *fixture, uint64_t limit)
{
    char why[256] = "";
    struct moot_identity identity = {.node = 1, .self = {.node = 1}, .initial_count = 1};
    snprintf(identity.self.peer, sizeof(identity.self.peer), "127.0.0.1:1");
    snprintf(identity.self.client, sizeof(identity.self.client), "127.0.0.1:2");
    identity.initial[0] = identity.self;
    fixture->disk = moot_disk_sim_make(1);
    fixture->store = moot_store_memory_open(&(struct moot_store_memory_options){1, 3});
    fixture->recorder = recorder__open(fixture->folder, limit, why, sizeof(why));
    assert_string_equal(why, "");
    struct moot_node_options options = {.disk = moot_disk_sim_disk(fixture->disk),
                                        .store = fixture->store,
                                        .format = &identity,
                                        .now = {{1000}, 1000000},
                                        .seed = 5,
                                        .journal = {SEGMENT_BYTES, 4}};
    int status = recorder__open_node(fixture->recorder, &options, &fixture->node, why);
    assert_int_equal(status, MOOT_OK);
}

/* A client that writes and reads; the time goes on by 20 ms a turn. */
static void live(struct fixture *fixture)
{
    struct moot_input inputs[64] = {
        {.kind = MOOT_INPUT_CLIENT_OPENED, .connection = 1, .bytes = MOOT_SLICE_LITERAL("x:1")}};
    size_t count = 1;
    for (uint64_t turn = 1; turn <= TURNS; turn++) {
        char text[64];
        struct moot_effects effects;
        int size = snprintf(text, sizeof(text), "%s k%d %d\r\n", turn % 3 == 0 ? "LPUSH" : "SET",
                            (int)(turn % 3 == 0 ? 100 + turn % 7 : turn % 50), (int)turn);
        inputs[count++] = (struct moot_input){.kind = MOOT_INPUT_CLIENT_BYTES,
                                              .connection = 1,
                                              .bytes = moot_slice_make(text, (size_t)size)};
        struct moot_now now = {{1000 + turn * 20 * MOOT_MSEC_NS}, 1000000 + turn * 20};
        recorder__turn(fixture->recorder, fixture->node, inputs, count, now, &effects);
        count = perform(fixture, &effects, inputs, MOOT_ARRAY_LEN(inputs) - 1);
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
    unlink(fixture->path);
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
    assert_null(recorder__open(fixture->folder, 1, why, sizeof(why))); /* And it is full now. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life_is_lived_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_limit_ends_it_honestly, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_first_turn_that_differs_is_named, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
