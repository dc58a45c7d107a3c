#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"
#include "check_histories.h"

/* Goal: what the recorder saw comes back from the file, byte for byte, of every kind and value.
 * Method: record, write, read, write again. */
static void file_gives_back_what_was_recorded(void **state)
{
    (void)state;
    struct moot_history history, again;
    moot_history_init(&history);
    const uint8_t odd[] = {0, 1, '"', '\\', '\n', 0x7f, 0x80, 0xff, 'a'};
    struct moot_slice key = moot_slice_make(odd, sizeof(odd));
    const struct moot_slice items[] = {key, ITEM(""), ITEM("x")};
    struct moot_instant now = {5};
    const struct moot_history_value values[] = {
        moot_history_none(),     moot_history_nil(),          moot_history_integer(INT64_MIN),
        moot_history_bytes(key), moot_history_list(items, 3), moot_history_list(items, 0),
    };
    const struct moot_history_step steps[] = {
        {.kind = MOOT_OPERATION_APPEND, .key = key, .value = values[3]},
        {.kind = MOOT_OPERATION_READ, .key = items[1], .value = values[4]},
        {.kind = MOOT_OPERATION_READ, .key = items[2]},
    };
    size_t txn = moot_history_call_txn(&history, 9, steps, 3, now);
    moot_history_return_txn(&history, txn, MOOT_OUTCOME_OK, steps, now);
    moot_history_call_txn(&history, 9, NULL, 0, now);
    for (unsigned kind = 0; kind < MOOT_OPERATION_TXN; kind++) {
        struct moot_history_value value = values[kind % MOOT_ARRAY_LEN(values)];
        size_t number = kind == MOOT_OPERATION_CAS
                            ? moot_history_call_cas(&history, kind, key, values[1], value, now)
                            : moot_history_call(&history, kind, kind, key, value, now);
        if (kind % 4 != 3) { /* The others were never answered. */
            moot_history_return(&history, number, kind % 3, value, now);
        }
    }
    struct moot_buffer first, second;
    moot_buffer_init(&first);
    moot_buffer_init(&second);
    moot_history_write(&history, &first);
    moot_history_init(&again);
    size_t line;
    const char *why;
    assert_int_equal(moot_history_read(&again, moot_buffer_slice(&first), &line, &why), MOOT_OK);
    moot_history_write(&again, &second);
    assert_true(moot_slice_equal(moot_buffer_slice(&first), moot_buffer_slice(&second)));
    assert_int_equal(again.count, history.count);
    for (size_t i = 0; i < history.count; i++) {
        const struct moot_operation *a = &history.operations[i], *b = &again.operations[i];
        assert_true(moot_slice_equal(a->key, b->key));
        assert_true(moot_history_value_equal(&a->argument, &b->argument));
        assert_true(moot_history_value_equal(&a->expected, &b->expected));
        assert_true(moot_history_value_equal(&a->result, &b->result));
        assert_int_equal(a->steps_count, b->steps_count);
        for (size_t j = 0; j < a->steps_count; j++) {
            assert_int_equal(a->steps[j].kind, b->steps[j].kind);
            assert_true(moot_slice_equal(a->steps[j].key, b->steps[j].key));
            assert_true(moot_history_value_equal(&a->steps[j].value, &b->steps[j].value));
        }
        assert_true(a->called.ns == b->called.ns && a->returned.ns == b->returned.ns);
        assert_true(a->process == b->process && a->kind == b->kind && a->outcome == b->outcome);
    }
    moot_buffer_deinit(&first);
    moot_buffer_deinit(&second);
    moot_history_deinit(&history);
    moot_history_deinit(&again);
}

/* Goal: the recorder's events have different instants, in the order of the calls, so that a client
 * that calls at the instant of its last answer comes after it. */
static void recorder_breaks_ties(void **state)
{
    (void)state;
    struct moot_history history;
    struct moot_instant now = {0};
    moot_history_init(&history);
    size_t a = moot_history_call(&history, 1, MOOT_OPERATION_WRITE, moot_slice_text("k"),
                                 moot_history_integer(1), now);
    moot_history_return(&history, a, MOOT_OUTCOME_OK, moot_history_none(), now);
    size_t b = moot_history_call(&history, 1, MOOT_OPERATION_READ, moot_slice_text("k"),
                                 moot_history_none(), now);
    moot_history_return(&history, b, MOOT_OUTCOME_OK, moot_history_nil(), now);
    assert_true(history.operations[a].returned.ns < history.operations[b].called.ns);
    assert_int_equal(judge(&history, &moot_model_register, false, false), MOOT_JUDGEMENT_VIOLATION);
    moot_history_deinit(&history);
}

/* Goal: a malformed line is refused, with its number, and never crashes. */
static void malformed_lines_are_refused(void **state)
{
    (void)state;
    static const char good[] = "{\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,"
                               "\"return\":2,\"outcome\":\"ok\",\"result\":null}";
    static const char *const bad[] = {
        "{",
        "[]",
        "{}",
        "{\"process\":1}",
        "nonsense",
        "{\"process\":1,\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":"
        "\"indoubt\"}",
        "{\"process\":1,\"kind\":\"fly\",\"key\":\"k\",\"call\":1,\"outcome\":\"indoubt\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":\"maybe\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":\"ok\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":3,\"return\":2,\"outcome\":"
        "\"ok\"}",
        "{\"process\":1,\"kind\":\"cas\",\"key\":\"k\",\"call\":1,\"return\":2,\"outcome\":\"ok\"}",
        "{\"process\":-1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":\"indoubt\"}",
        "{\"process\":1.5,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":\"indoubt\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"k,\"call\":1,\"outcome\":\"indoubt\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"\\u0100\",\"call\":1,\"outcome\":\"indoubt\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"\\x\",\"call\":1,\"outcome\":\"indoubt\"}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":\"indoubt\",\"r\":"
        "1}",
        "{\"process\":1,\"kind\":\"read\",\"key\":\"k\",\"call\":1,\"outcome\":\"indoubt\"} x",
        "{\"process\":1,\"kind\":\"write\",\"key\":\"k\",\"argument\":[1,],\"call\":1,\"outcome\":"
        "\"indoubt\"}",
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad) + strlen(good); i++) {
        char text[512];
        bool cut = i >= MOOT_ARRAY_LEN(bad); /* Every beginning of a good line. */
        size_t size = strlen(good), cut_at = cut ? i - MOOT_ARRAY_LEN(bad) : 0;
        memcpy(text, good, size);
        memcpy(text + size, "\n\n", 2);
        size_t rest = cut ? cut_at : strlen(bad[i]);
        memcpy(text + size + 2, cut ? good : bad[i], rest);
        struct moot_history history;
        size_t line;
        const char *why;
        moot_history_init(&history);
        int status =
            moot_history_read(&history, moot_slice_make(text, size + 2 + rest), &line, &why);
        if (rest > 0) {
            assert_int_equal(status, MOOT_EINVALID);
            assert_int_equal(line, 3);
            assert_non_null(why);
        }
        assert_int_equal(history.count, 1);
        moot_history_deinit(&history);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_gives_back_what_was_recorded),
        cmocka_unit_test(recorder_breaks_ties),
        cmocka_unit_test(malformed_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
