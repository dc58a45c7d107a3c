#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "picture/picture.h"

static struct moot_picture *small(uint64_t from, uint64_t until)
{
    struct moot_picture *picture = moot_picture_make(&(struct moot_picture_options){
        .title = MOOT_SLICE_LITERAL("a </script> & a \"title\""), .from = from, .until = until});
    assert_int_equal(moot_picture_line(picture, MOOT_PICTURE_NODE, MOOT_SLICE_LITERAL("a")), 0);
    assert_int_equal(moot_picture_line(picture, MOOT_PICTURE_CLIENT, MOOT_SLICE_LITERAL("b")), 1);
    return picture;
}

static size_t count(const struct moot_buffer *text, const char *what)
{
    size_t times = 0, size = strlen(what);
    for (size_t at = 0; at + size <= text->size; at++) {
        times += memcmp(text->data + at, what, size) == 0;
    }
    return times;
}

static struct moot_buffer json_of(struct moot_picture *picture)
{
    struct moot_buffer out;
    moot_buffer_init(&out);
    moot_picture_json(picture, 100, &out);
    moot_picture_free(picture);
    return out;
}

/* Goal: no text can end the page's script, and bytes that are no UTF-8 make no broken JSON.
 * Method: the worst texts, and what they become. */
static void texts_are_safe(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xff, 0xc3, 0xa9, 0xed, 0xa0, 0x80, 0x00, '\n', '\\'};
    struct moot_picture *picture = small(0, 0);
    moot_picture_moment(picture, 0, 1, MOOT_PICTURE_LOG, moot_slice_make(bytes, sizeof(bytes)));
    struct moot_buffer out = json_of(picture);
    assert_int_equal(count(&out, "</script>"), 0);
    assert_int_equal(count(&out, "a \\u003c/script\\u003e \\u0026 a \\u0022title\\u0022"), 1);
    assert_int_equal(count(&out, "\"\\\\xff\xc3\xa9\\\\xed\\\\xa0\\\\x80\\u0000\\n\\u005c\""), 1);
    moot_buffer_deinit(&out);
}

/* Goal: what is not in the window is left out, but a state or role from before it is known in it.
 */
static void window_knows_how_it_began(void **state)
{
    (void)state;
    struct moot_picture *picture = small(50, 60);
    struct moot_slice kind = MOOT_SLICE_LITERAL("hello");
    for (uint64_t at = 40; at <= 70; at += 10) {
        size_t sent = moot_picture_sent(
            picture, &(struct moot_picture_message){.kind = kind, .from = 0, .to = 1, .sent = at});
        assert_true((sent != SIZE_MAX) == (at == 50 || at == 60));
        moot_picture_arrived(picture, sent, at + 1);
        moot_picture_number(picture, 0, at, MOOT_SLICE_LITERAL("field"), at);
        moot_picture_moment(picture, 0, at, MOOT_PICTURE_LOG, kind);
    }
    struct moot_buffer out = json_of(picture);
    assert_int_equal(count(&out, "[0,0,1,"), 2);
    assert_int_equal(count(&out, "[0,40,0,40]"), 1);
    assert_int_equal(count(&out, "[0,70,0,70]"), 0);
    assert_int_equal(count(&out, "\"log\""), 2);
    moot_buffer_deinit(&out);
}

/* Goal: what is said again costs nothing; what was said first of a message may be taken back. */
static void only_changes_are_kept(void **state)
{
    (void)state;
    struct moot_picture *picture = small(0, 0);
    for (uint64_t at = 0; at < 10; at++) {
        moot_picture_role(picture, 0, 0, at, MOOT_SLICE_LITERAL("leader"), 1 + at / 5);
        moot_picture_state(picture, 0, at, MOOT_SLICE_LITERAL("empty"), MOOT_SLICE_LITERAL(""));
    }
    size_t sent = moot_picture_sent(
        picture,
        &(struct moot_picture_message){
            .kind = MOOT_SLICE_LITERAL("k"), .from = 0, .to = MOOT_PICTURE_NOBODY, .sent = 3});
    moot_picture_lost(picture, sent, 9, MOOT_SLICE_LITERAL("why"));
    size_t fault = moot_picture_fault(
        picture, &(struct moot_picture_fault){
                     .name = MOOT_SLICE_LITERAL("f"), .lines = 1, .from = 2, .until = UINT64_MAX});
    moot_picture_fault_ends(picture, fault, 7);
    moot_picture_fault_ends(picture, fault, 8);
    struct moot_buffer out = json_of(picture);
    assert_int_equal(count(&out, "\"leader\""), 2);
    assert_int_equal(count(&out, "[0,0,0,\"\"]"), 1);
    assert_int_equal(count(&out, "[0,0,-1,3,9,\"lost\",\"\",\"why\"]"), 1);
    assert_int_equal(count(&out, "[2,7,\"f\",[0],[],\"\"]"), 1);
    moot_buffer_deinit(&out);
}

/* Goal: the page is whole, and the data stands in it once. */
static void page_has_the_data(void **state)
{
    (void)state;
    struct moot_picture *picture = small(0, 0);
    struct moot_buffer out;
    moot_buffer_init(&out);
    moot_picture_page(picture, 100, &out);
    moot_picture_free(picture);
    assert_int_equal(count(&out, "{\"picture\":1"), 1);
    assert_int_equal(count(&out, "@DATA@"), 0);
    assert_int_equal(count(&out, "<!DOCTYPE html>"), 1);
    assert_int_equal(count(&out, "</html>"), 1);
    assert_int_equal(count(&out, " src=\""), 0); /* Nothing is fetched. */
    moot_buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_safe),
        cmocka_unit_test(window_knows_how_it_began),
        cmocka_unit_test(only_changes_are_kept),
        cmocka_unit_test(page_has_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
