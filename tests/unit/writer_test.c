/* The fixed writer says what moot_reader reads, and never writes past its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"

static void write_all(struct moot_writer *writer)
{
    moot_write_u8(writer, 0xA1);
    moot_write_u16(writer, 0xB2C3);
    moot_write_u32(writer, 0xD4E5F607u);
    moot_write_u64(writer, UINT64_C(0x0102030405060708));
    moot_write_varint(writer, 0);
    moot_write_varint(writer, 127);
    moot_write_varint(writer, 128);
    moot_write_varint(writer, UINT64_MAX);
    moot_write_bytes(writer, (struct moot_slice){(const uint8_t *)"moot", 4});
}

/* Goal: what one writes the other reads. Method: every kind once, and edges of the varint. */
static void the_reader_reads_it_back(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct moot_writer writer = moot_writer_make(bytes, sizeof bytes);
    write_all(&writer);
    assert_false(writer.failed);
    struct moot_reader reader =
        moot_reader_make((struct moot_slice){bytes, (size_t)(writer.at - bytes)});
    assert_int_equal(moot_get_u8(&reader), 0xA1);
    assert_int_equal(moot_get_u16(&reader), 0xB2C3);
    assert_int_equal(moot_get_u32(&reader), 0xD4E5F607u);
    assert_true(moot_get_u64(&reader) == UINT64_C(0x0102030405060708));
    assert_int_equal(moot_get_varint(&reader), 0);
    assert_int_equal(moot_get_varint(&reader), 127);
    assert_int_equal(moot_get_varint(&reader), 128);
    assert_true(moot_get_varint(&reader) == UINT64_MAX);
    struct moot_slice name = moot_get_bytes(&reader);
    assert_int_equal(name.size, 4);
    assert_memory_equal(name.data, "moot", 4);
    assert_false(reader.failed);
    assert_int_equal(moot_reader_left(&reader), 0);
}

/* Goal: too little room is told, and the byte after the room stays. Method: every shorter room. */
static void a_short_room_fails_and_nothing_is_past_it(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct moot_writer whole = moot_writer_make(bytes, sizeof bytes);
    write_all(&whole);
    size_t needed = (size_t)(whole.at - bytes);
    for (size_t size = 0; size < needed; size++) {
        memset(bytes, 0xEE, sizeof bytes);
        struct moot_writer writer = moot_writer_make(bytes, size);
        write_all(&writer);
        assert_true(writer.failed);
        assert_int_equal(bytes[size], 0xEE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_reads_it_back),
        cmocka_unit_test(a_short_room_fails_and_nothing_is_past_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
