#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/block.h"
#include "base/limits.h"
#include "database/system/directory.h"
#include "group_message_samples.h"

static struct moot_slice sample_bytes(int which, struct moot_arena *arena)
{
    struct moot_message message;
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    sample_message(which, arena, &message);
    sample_wire(&message, &bytes);
    struct moot_slice copy = moot_arena_copy(arena, moot_buffer_slice(&bytes));
    moot_buffer_deinit(&bytes);
    return copy;
}

/* Exact memory, so that a sanitizer sees a read past the end. */
static int decode(struct moot_slice bytes, struct moot_arena *arena)
{
    struct moot_block *block = moot_block_copy(bytes);
    struct moot_message message;
    int status = moot_message_decode(moot_block_slice(block), arena, &message);
    if (status == 0) {
        sample_accepted(&message, arena);
    }
    moot_block_release(block);
    return status;
}

/* Goal: every message arrives as it was sent. Method: the encoding of what was decoded is the same
 * bytes; fields that the encoding could exchange without that being seen are looked at. */
static void decode_undoes_encode(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    for (int which = 0; which < SAMPLES; which++) {
        struct moot_slice bytes = sample_bytes(which, &arena);
        struct moot_message message;
        struct moot_buffer again;
        assert_int_equal(moot_message_decode(bytes, &arena, &message), 0);
        moot_buffer_init(&again);
        sample_wire(&message, &again);
        assert_true(moot_slice_equal(bytes, moot_buffer_slice(&again)));
        moot_buffer_deinit(&again);
    }
    moot_arena_deinit(&arena);
}

static void fields_keep_their_places(void **state)
{
    (void)state;
    struct moot_arena arena;
    struct moot_message message;
    moot_arena_init(&arena);
    assert_int_equal(moot_message_decode(sample_bytes(MOOT_RAFT_APPEND, &arena), &arena, &message),
                     0);
    assert_int_equal(message.group, MOOT_GROUP_DB0);
    const struct moot_raft_message *raft = &message.raft.message;
    assert_int_equal(raft->from, 3);
    assert_int_equal(raft->to, 2);
    assert_true(raft->term == 1ull << 40);
    assert_int_equal(raft->append.previous_index, 21);
    assert_int_equal(raft->append.previous_term, 5);
    assert_int_equal(raft->append.commit, 20);
    assert_int_equal(raft->append.round, 9);
    assert_int_equal(raft->append.count, 2);
    assert_int_equal(raft->append.entries[0].term, 6);
    assert_null(raft->append.entries[0].members);
    assert_true(moot_members_equal(raft->append.entries[1].members, &SAMPLE_MEMBERS));
    assert_int_equal(message.raft.bytes[0].size, MOOT_ENTRY_HEADER_BYTES + 5);

    int submit = SAMPLES_RAFT;
    assert_int_equal(moot_message_decode(sample_bytes(submit, &arena), &arena, &message), 0);
    assert_int_equal(message.submit.kind, MOOT_SUBMIT_READS);
    assert_int_equal(message.submit.incarnation, 61);
    assert_int_equal(message.submit.epoch, 62);
    assert_int_equal(message.submit.sequence, 63);
    assert_int_equal(message.submit.number, 64);
    assert_true(moot_slice_equal(message.submit.items, MOOT_SLICE_LITERAL("some items")));
    assert_int_equal(moot_message_decode(sample_bytes(submit + 1, &arena), &arena, &message), 0);
    assert_int_equal(message.answer.status, MOOT_EINDOUBT);
    assert_int_equal(message.answer.stamp, 73);
    assert_int_equal(moot_message_decode(sample_bytes(submit + 2, &arena), &arena, &message), 0);
    assert_int_equal(message.nack.status, MOOT_EAGAIN);
    assert_int_equal(message.nack.leader, 2);
    moot_arena_deinit(&arena);
}

/* Goal: a message cut short is refused, unless its end is free bytes. Method: every length. */
static void truncations_are_refused(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    for (int which = 0; which < SAMPLES; which++) {
        struct moot_slice bytes = sample_bytes(which, &arena);
        size_t free_bytes = which == SAMPLES_RAFT       ? 10
                            : which == SAMPLES_RAFT + 1 ? 4
                            : which == SAMPLES_RAFT + 6 ? 5
                                                        : 0;
        for (size_t size = 0; size < bytes.size; size++) {
            int status = decode(moot_slice_make(bytes.data, size), &arena);
            assert_int_equal(status == 0, size >= bytes.size - free_bytes);
        }
    }
    moot_arena_deinit(&arena);
}

/* Goal: no message crashes the decoder, or brings in what a field may not be. Method: every byte of
 * every sample, changed to every value. */
static void changed_bytes_are_refused_or_valid(void **state)
{
    (void)state;
    struct moot_arena arena, work;
    moot_arena_init(&arena);
    moot_arena_init(&work);
    for (int which = 0; which < SAMPLES; which++) {
        struct moot_slice bytes = sample_bytes(which, &arena);
        uint8_t *data = (uint8_t *)bytes.data;
        for (size_t at = 0; at < bytes.size; at++) {
            uint8_t before = data[at];
            for (int value = 0; value < 256; value++) {
                data[at] = (uint8_t)value;
                int status = decode(bytes, &work);
                assert_true(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
                assert_true(status == 0 || value != before);
                moot_arena_reset(&work);
            }
            data[at] = before;
        }
    }
    moot_arena_deinit(&work);
    moot_arena_deinit(&arena);
}

/* Goal: what cannot be is refused. Method: bytes after the end, another version, an unknown kind,
 * group, kind of the core, and number of entries; a configuration that is not valid. */
static void the_impossible_is_refused(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_slice vote = sample_bytes(MOOT_RAFT_VOTE, &arena);
    uint8_t bytes[256];
    memcpy(bytes, vote.data, vote.size);
    bytes[vote.size] = 0;
    assert_int_equal(decode(moot_slice_make(bytes, vote.size + 1), &arena), MOOT_EINVALID);
    bytes[0] = MOOT_MESSAGE_VERSION + 1;
    assert_int_equal(decode(moot_slice_make(bytes, vote.size), &arena), MOOT_EVERSION);
    bytes[0] = MOOT_MESSAGE_VERSION;
    bytes[1] = MOOT_MESSAGE_HOLE_GIVE + 1;
    assert_int_equal(decode(moot_slice_make(bytes, vote.size), &arena), MOOT_EVERSION);
    bytes[1] = MOOT_MESSAGE_RAFT;
    bytes[2] = MOOT_GROUPS_MAX;
    assert_int_equal(decode(moot_slice_make(bytes, vote.size), &arena), MOOT_EINVALID);
    bytes[2] = 0;
    bytes[6] = MOOT_RAFT_MESSAGE_KINDS;
    assert_int_equal(decode(moot_slice_make(bytes, vote.size), &arena), MOOT_EINVALID);

    struct moot_slice append = sample_bytes(MOOT_RAFT_APPEND, &arena);
    size_t count_at = 6 + 1 + 8 + 24 + 32; /* head; kind, nodes, three numbers, four numbers */
    memcpy(bytes, append.data, append.size);
    assert_int_equal(moot_load_le32(bytes + count_at), 2);
    moot_store_le32(bytes + count_at, UINT32_MAX);
    assert_int_equal(decode(moot_slice_make(bytes, append.size), &arena), MOOT_EINVALID);

    struct moot_slice snapshot = sample_bytes(MOOT_RAFT_SNAPSHOT, &arena);
    size_t voters_at = 6 + 1 + 8 + 24 + 16 + 2; /* ...; two numbers, version and count */
    memcpy(bytes, snapshot.data, snapshot.size);
    assert_int_equal(moot_load_le32(bytes + voters_at), 1);
    moot_store_le32(bytes + voters_at, 2); /* Node 2 twice. */
    assert_int_equal(decode(moot_slice_make(bytes, snapshot.size), &arena), MOOT_EINVALID);
    moot_arena_deinit(&arena);
}

/* An append with one entry: the envelope's kind, and what follows its header. */
static int decode_append(enum moot_raft_entry_kind raft_kind, enum moot_entry_kind kind,
                         struct moot_slice body, size_t cut)
{
    struct moot_arena arena;
    struct moot_buffer envelope, wire;
    struct moot_message message = {.kind = MOOT_MESSAGE_RAFT, .group = MOOT_GROUP_DB0}, decoded;
    struct moot_entry entry = {.kind = kind, .stamp = 9};
    moot_arena_init(&arena);
    moot_buffer_init(&envelope);
    moot_buffer_init(&wire);
    moot_entry_put_header(moot_buffer_reserve(&envelope, MOOT_ENTRY_HEADER_BYTES), &entry);
    envelope.size = MOOT_ENTRY_HEADER_BYTES;
    moot_buffer_append_slice(&envelope, body);
    struct moot_slice bytes = {envelope.data, envelope.size - cut};
    struct moot_raft_entry head = {.term = 1, .size = (uint32_t)bytes.size, .kind = raft_kind};
    message.raft.message.kind = MOOT_RAFT_APPEND;
    message.raft.message.append.count = 1;
    message.raft.message.append.entries = &head;
    message.raft.bytes = &bytes;
    sample_wire(&message, &wire);
    int status = moot_message_decode(moot_buffer_slice(&wire), &arena, &decoded);
    moot_buffer_deinit(&envelope);
    moot_buffer_deinit(&wire);
    moot_arena_deinit(&arena);
    return status;
}

/* Goal: what a broken peer puts into the log is what it says it is: a header that every reader
 * counts on, a configuration with nothing behind it but addresses, and none in disguise. */
static void entries_are_what_they_say(void **state)
{
    (void)state;
    struct moot_buffer members;
    moot_buffer_init(&members);
    moot_members_encode(&SAMPLE_MEMBERS, &members);
    struct moot_slice whole = moot_buffer_slice(&members), none = {NULL, 0};
    assert_int_equal(decode_append(MOOT_RAFT_ENTRY_MEMBERS, MOOT_ENTRY_MEMBERS, whole, 0), 0);
    assert_int_equal(decode_append(MOOT_RAFT_ENTRY_DATA, MOOT_ENTRY_MEMBERS, whole, 0),
                     MOOT_EINVALID);
    assert_int_equal(decode_append(MOOT_RAFT_ENTRY_NOOP, MOOT_ENTRY_MEMBERS, whole, 0),
                     MOOT_EINVALID);
    assert_int_equal(decode_append(MOOT_RAFT_ENTRY_MEMBERS, MOOT_ENTRY_COMMANDS, whole, 0),
                     MOOT_EINVALID);
    assert_int_equal(decode_append(MOOT_RAFT_ENTRY_DATA, MOOT_ENTRY_COMMANDS, none, 0), 0);
    assert_int_equal(decode_append(MOOT_RAFT_ENTRY_DATA, MOOT_ENTRY_COMMANDS, none, 1),
                     MOOT_EINVALID);
    struct moot_directory directory = {.count = 1};
    directory.nodes[0].address = (struct moot_address){SAMPLE_MEMBERS.voters[0], "h:1", "h:2"};
    moot_directory_put_addresses(&directory, &SAMPLE_MEMBERS, &members);
    assert_true(members.size > whole.size);
    assert_int_equal(
        decode_append(MOOT_RAFT_ENTRY_MEMBERS, MOOT_ENTRY_MEMBERS, moot_buffer_slice(&members), 0),
        0);
    moot_put_u8(&members, 0);
    assert_int_equal(
        decode_append(MOOT_RAFT_ENTRY_MEMBERS, MOOT_ENTRY_MEMBERS, moot_buffer_slice(&members), 0),
        MOOT_EINVALID);
    moot_buffer_deinit(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_undoes_encode),
        cmocka_unit_test(fields_keep_their_places),
        cmocka_unit_test(truncations_are_refused),
        cmocka_unit_test(changed_bytes_are_refused_or_valid),
        cmocka_unit_test(the_impossible_is_refused),
        cmocka_unit_test(entries_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
