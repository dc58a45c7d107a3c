/* The flight recorder's codec: what is written comes back; what is bent, cut or left out is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "base/status.h"
#include "replay/stream.h"

static const struct moot_input INPUTS[] = {
    {.kind = MOOT_INPUT_TICK},
    {.kind = MOOT_INPUT_CLIENT_BYTES, .connection = UINT64_MAX, .bytes = {(uint8_t *)"SET a b", 7}},
    {.kind = MOOT_INPUT_PEER_DOWN, .node = 3, .status = MOOT_EIO},
    {.kind = MOOT_INPUT_SPACE, .amount = UINT64_MAX},
};

static void put_open(struct moot_buffer *out)
{
    moot_replay_encode(&(struct moot_replay_record){.kind = MOOT_REPLAY_OPEN,
                                                    .open = {.version = MOOT_SLICE_LITERAL("v"),
                                                             .program = 7,
                                                             .now = {{123}, 456},
                                                             .seed = 99,
                                                             .segments_max = 4,
                                                             .feature_level = 1,
                                                             .store_lost = true,
                                                             .has_mac = true}},
                       out);
}

static void put_turn(struct moot_buffer *out, uint64_t number)
{
    moot_replay_encode(
        &(struct moot_replay_record){
            .kind = MOOT_REPLAY_TURN,
            .turn = {number, {{1000 * number}, number}, INPUTS, MOOT_ARRAY_LEN(INPUTS)}},
        out);
    struct moot_replay_record effects = {.kind = MOOT_REPLAY_EFFECTS};
    effects.effects.turn = number;
    effects.effects.count[MOOT_EFFECT_REPLY] = 2;
    effects.effects.hash[MOOT_EFFECT_REPLY] = 0xfeedbeef;
    moot_replay_encode(&effects, out);
}

static void put_answer(struct moot_buffer *out, size_t size)
{
    uint8_t *bytes = test_malloc(size + 1);
    memset(bytes, 'x', size);
    moot_replay_encode(&(struct moot_replay_record){.kind = MOOT_REPLAY_ANSWER,
                                                    .answer = {.call = MOOT_REPLAY_STORE_ENTRY,
                                                               .status = MOOT_EWOULDBLOCK,
                                                               .question = 5,
                                                               .a = moot_slice_make(bytes, size),
                                                               .b = MOOT_SLICE_LITERAL("b")}},
                       out);
    test_free(bytes);
}

/* Three chunks: an opening, a turn with a long answer, the end when asked for. */
static void make_file(struct moot_buffer *file, bool is_marked)
{
    struct moot_buffer records;
    moot_buffer_init(&records);
    moot_buffer_init(file);
    moot_replay_file_header(file);
    put_open(&records);
    moot_replay_chunk(0, moot_buffer_slice(&records), file);
    moot_buffer_reset(&records, SIZE_MAX);
    put_turn(&records, 1);
    put_answer(&records, 100000);
    moot_replay_chunk(1, moot_buffer_slice(&records), file);
    if (is_marked) {
        moot_buffer_reset(&records, SIZE_MAX);
        moot_replay_encode(
            &(struct moot_replay_record){.kind = MOOT_REPLAY_END, .end = MOOT_REPLAY_LIMIT},
            &records);
        moot_replay_chunk(2, moot_buffer_slice(&records), file);
    }
    moot_buffer_deinit(&records);
}

static enum moot_replay_ending read_all(struct moot_slice file, size_t *count)
{
    struct moot_replay_stream stream;
    struct moot_replay_record record;
    *count = 0;
    assert_int_equal(moot_replay_stream_open(&stream, file), MOOT_OK);
    while (moot_replay_stream_next(&stream, &record)) {
        (*count)++;
    }
    enum moot_replay_ending ending = stream.ending;
    moot_replay_stream_close(&stream);
    return ending;
}

static void records_come_back(void **state)
{
    (void)state;
    struct moot_buffer file;
    struct moot_replay_stream stream;
    struct moot_replay_record record;
    make_file(&file, true);
    assert_true(file.size < 10000); /* The answer is compressed. */
    assert_int_equal(moot_replay_stream_open(&stream, moot_buffer_slice(&file)), MOOT_OK);

    assert_true(moot_replay_stream_next(&stream, &record));
    assert_int_equal(record.kind, MOOT_REPLAY_OPEN);
    assert_int_equal(record.open.seed, 99);
    assert_int_equal(record.open.now.wall_ms, 456);
    assert_true(record.open.store_lost && record.open.has_mac);
    assert_false(record.open.has_format || record.open.raft_trace);

    assert_true(moot_replay_stream_next(&stream, &record));
    assert_int_equal(record.kind, MOOT_REPLAY_TURN);
    assert_int_equal(record.turn.count, MOOT_ARRAY_LEN(INPUTS));
    for (size_t i = 0; i < MOOT_ARRAY_LEN(INPUTS); i++) {
        assert_int_equal(record.turn.inputs[i].kind, INPUTS[i].kind);
        assert_int_equal(record.turn.inputs[i].status, INPUTS[i].status);
        assert_int_equal(record.turn.inputs[i].node, INPUTS[i].node);
        assert_int_equal(record.turn.inputs[i].amount, INPUTS[i].amount);
        assert_int_equal(record.turn.inputs[i].connection, INPUTS[i].connection);
        assert_true(moot_slice_equal(record.turn.inputs[i].bytes, INPUTS[i].bytes));
    }

    assert_true(moot_replay_stream_next(&stream, &record));
    assert_int_equal(record.kind, MOOT_REPLAY_EFFECTS);
    assert_int_equal(record.effects.count[MOOT_EFFECT_REPLY], 2);
    assert_int_equal(record.effects.hash[MOOT_EFFECT_REPLY], 0xfeedbeef);

    assert_true(moot_replay_stream_next(&stream, &record));
    assert_int_equal(record.answer.status, MOOT_EWOULDBLOCK);
    assert_int_equal(record.answer.a.size, 100000);
    assert_int_equal(record.answer.b.size, 1);

    assert_false(moot_replay_stream_next(&stream, &record));
    assert_int_equal(stream.ending, MOOT_REPLAY_MARKED);
    assert_int_equal(stream.marked, MOOT_REPLAY_LIMIT);
    moot_replay_stream_close(&stream);
    moot_buffer_deinit(&file);
}

static void every_bent_byte_is_found(void **state)
{
    (void)state;
    struct moot_buffer file;
    make_file(&file, true);
    size_t whole, count;
    assert_int_equal(read_all(moot_buffer_slice(&file), &whole), MOOT_REPLAY_MARKED);
    for (size_t at = MOOT_REPLAY_HEADER_BYTES; at < file.size; at++) {
        file.data[at] ^= 0x10;
        assert_int_equal(read_all(moot_buffer_slice(&file), &count), MOOT_REPLAY_ROTTEN);
        assert_true(count <= whole);
        file.data[at] ^= 0x10;
    }
    moot_buffer_deinit(&file);
}

static void every_cut_is_said(void **state)
{
    (void)state;
    struct moot_buffer file;
    make_file(&file, false);
    size_t count, unmarked = 0;
    for (size_t size = MOOT_REPLAY_HEADER_BYTES; size <= file.size; size++) {
        enum moot_replay_ending ending = read_all(moot_slice_make(file.data, size), &count);
        assert_true(ending == MOOT_REPLAY_CUT || ending == MOOT_REPLAY_UNMARKED);
        unmarked += ending == MOOT_REPLAY_UNMARKED;
    }
    assert_int_equal(unmarked, 3); /* After the header, and after each chunk. */
    moot_buffer_deinit(&file);
}

static void a_missing_chunk_is_found(void **state)
{
    (void)state;
    struct moot_buffer file, records;
    moot_buffer_init(&file);
    moot_buffer_init(&records);
    moot_replay_file_header(&file);
    put_open(&records);
    moot_replay_chunk(0, moot_buffer_slice(&records), &file);
    moot_replay_chunk(2, moot_buffer_slice(&records), &file);
    size_t count;
    assert_int_equal(read_all(moot_buffer_slice(&file), &count), MOOT_REPLAY_ROTTEN);
    assert_int_equal(count, 1);
    moot_buffer_deinit(&file);
    moot_buffer_deinit(&records);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    struct moot_replay_stream stream;
    struct moot_buffer file;
    make_file(&file, false);
    assert_int_equal(moot_replay_stream_open(&stream, MOOT_SLICE_LITERAL("")), MOOT_EINVALID);
    file.data[8]++;
    assert_int_equal(moot_replay_stream_open(&stream, moot_buffer_slice(&file)), MOOT_EVERSION);
    file.data[0]++;
    assert_int_equal(moot_replay_stream_open(&stream, moot_buffer_slice(&file)), MOOT_EINVALID);
    moot_buffer_deinit(&file);
}

/* What differs in an effect differs in its digest; Raft's trace does not count. */
static void digests_see_what_differs(void **state)
{
    (void)state;
    struct moot_effect items[3] = {
        {.kind = MOOT_EFFECT_REPLY,
         .client = {.connection = 1, .bytes = MOOT_SLICE_LITERAL("+OK")}},
        {.kind = MOOT_EFFECT_LOG, .log = {.text = MOOT_SLICE_LITERAL("db0 raft: votes")}},
        {.kind = MOOT_EFFECT_CLIENT_CLOSE, .client = {.connection = 1}},
    };
    struct moot_effects effects = {items, 3, {5}};
    struct moot_replay_effects first, second;
    moot_replay_digest(&effects, 1, &first);
    assert_int_equal(first.count[MOOT_EFFECT_LOG], 0);
    items[1].log.text = MOOT_SLICE_LITERAL("system raft: other");
    moot_replay_digest(&effects, 1, &second);
    assert_true(moot_replay_effects_equal(&first, &second));
    items[0].client.connection = 2;
    moot_replay_digest(&effects, 1, &second);
    assert_false(moot_replay_effects_equal(&first, &second));
    assert_int_not_equal(first.hash[MOOT_EFFECT_REPLY], second.hash[MOOT_EFFECT_REPLY]);
    items[0].client.connection = 1;
    struct moot_effect swapped = items[0];
    items[0] = items[2];
    items[2] = swapped;
    moot_replay_digest(&effects, 1, &second);
    assert_false(moot_replay_effects_equal(&first, &second)); /* The order. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),       cmocka_unit_test(every_bent_byte_is_found),
        cmocka_unit_test(every_cut_is_said),       cmocka_unit_test(a_missing_chunk_is_found),
        cmocka_unit_test(other_files_are_refused), cmocka_unit_test(digests_see_what_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
