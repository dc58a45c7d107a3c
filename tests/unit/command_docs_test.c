#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/slice.h"
#include "database/command/command.h"
#include "database/command/docs.h"
#include "database/command/syntax.h"

/* The reply to a line of words, as one line of text. */
static const char *answer(struct moot_buffer *out, uint8_t protocol, const char *line)
{
    struct moot_slice args[16];
    uint32_t argc = 0;
    for (const char *at = line; *at != '\0';) {
        size_t size = strcspn(at, " ");
        args[argc++] = moot_slice_make(at, size);
        at += size;
        at += *at == ' ';
    }
    struct moot_arena arena;
    moot_arena_init(&arena);
    moot_buffer_reset(out, 0);
    struct moot_resp reply = {out, protocol};
    moot_command_answer(&reply, args, argc, &arena);
    moot_arena_deinit(&arena);
    size_t consumed;
    assert_int_equal(moot_resp_skip(moot_buffer_slice(out), &consumed), 0);
    assert_int_equal(consumed, out->size);
    /* Line ends become blanks. */
    size_t size = 0;
    for (size_t i = 0; i < out->size; i++) {
        if (out->data[i] != '\n') {
            out->data[size++] = out->data[i] == '\r' ? ' ' : out->data[i];
        }
    }
    out->data[size - 1] = '\0';
    return (const char *)out->data;
}

/* Goal: the shapes are those of Redis 7, in both protocols. Method: replies written down from a
 * Redis 7.0 and compared whole. */
static void answers_have_the_shape_of_redis(void **state)
{
    (void)state;
#define SPEC_2                                                                                     \
    "*6 $5 flags *2 +RO +access $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 "      \
    "$9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :-1 $7 keystep :1 $5 limit :0"
#define SPEC_3                                                                                     \
    "%3 $5 flags ~2 +RO +access $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 "      \
    "$9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :-1 $7 keystep :1 $5 limit :0"
    static const struct {
        const char *line;
        uint8_t protocol;
        const char *reply;
    } cases[] = {
        {"COMMAND INFO mget nosuch", 2,
         "*2 *10 $4 mget :-2 *2 +readonly +fast :1 :-1 :1 *3 +@read +@string +@fast *0 *1 " SPEC_2
         " *0 $-1"},
        {"COMMAND INFO MGET", 3,
         "*1 *10 $4 mget :-2 ~2 +readonly +fast :1 :-1 :1 ~3 +@read +@string +@fast ~0 ~1 " SPEC_3
         " ~0"},
        {"COMMAND INFO moot.form", 2, "*1 $-1"}, /* Between nodes only. */
        {"COMMAND LIST FILTERBY PATTERN moot.*", 2, "*0"},
        {"COMMAND INFO ping", 2,
         "*1 *10 $4 ping :-1 *3 +loading +stale +fast :0 :0 :0 *2 +@fast +@connection *0 *0 *0"},
        {"COMMAND DOCS nosuch mset", 3,
         "%1 $4 mset %5 $7 summary $28 Sets several strings as one. $5 since $5 1.0.1 $5 group $6 "
         "string $10 complexity $30 O(N) with N the number of keys $9 arguments *1 %4 $4 name $4 "
         "data $4 type $5 block $5 flags ~1 +multiple $9 arguments *2 %3 $4 name $3 key $4 type $3 "
         "key $14 key_spec_index :0 %2 $4 name $5 value $4 type $6 string"},
        {"COMMAND GETKEYS mset a b c d", 2, "*2 $1 a $1 c"},
        {"COMMAND GETKEYS blpop a b 0", 2, "*2 $1 a $1 b"},
        {"COMMAND GETKEYS object encoding a", 2, "*1 $1 a"},
        {"COMMAND GETKEYSANDFLAGS get a", 3, "*1 *2 $1 a ~2 +RO +access"},
        {"COMMAND GETKEYS", 2, "-ERR wrong number of arguments for 'command|getkeys' command"},
        {"COMMAND GETKEYS nosuch a", 2, "-ERR Invalid command specified"},
        {"COMMAND GETKEYS get a b", 2, "-ERR Invalid number of arguments specified for command"},
        {"COMMAND GETKEYS ping x", 2, "-ERR The command has no key arguments"},
        {"COMMAND LIST FILTERBY PATTERN geta*", 2, "*0"},
        {"COMMAND LIST FILTERBY pattern GETD*", 2, "*1 $6 getdel"},
        {"COMMAND LIST FILTERBY ACLCAT transaction", 2,
         "*5 $7 discard $4 exec $5 multi $7 unwatch $5 watch"},
        {"COMMAND LIST FILTERBY MODULE json", 2, "*0"},
        {"COMMAND LIST x", 2, "-ERR syntax error"},
        {"COMMAND FOO", 2, "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."},
        {"COMMAND COUNT x", 2, "-ERR wrong number of arguments for 'command|count' command"},
    };
    struct moot_buffer out;
    moot_buffer_init(&out);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        const char *reply = answer(&out, cases[i].protocol, cases[i].line);
        if (strcmp(reply, cases[i].reply) != 0) {
            print_error("%s\n  want %s\n  got  %s\n", cases[i].line, cases[i].reply, reply);
            fail();
        }
    }
    moot_buffer_deinit(&out);
}

/* Goal: whatever is asked about all commands is one well-formed reply, with as many entries as
 * COUNT says. Method: both protocols. */
static void all_commands_are_described(void **state)
{
    (void)state;
    struct moot_buffer out;
    moot_buffer_init(&out);
    size_t count = 0, rows;
    const struct moot_command *table = moot_command_table(&rows);
    for (size_t i = 0; i < rows; i++) {
        count += (table[i].flags & MOOT_FLAG_SYSTEM) == 0;
    }
    char array[16], map[16], flat[16], number[16];
    snprintf(array, sizeof array, "*%zu ", count);
    snprintf(map, sizeof map, "%%%zu ", count);
    snprintf(flat, sizeof flat, "*%zu ", 2 * count);
    snprintf(number, sizeof number, ":%zu", count);
    assert_string_equal(answer(&out, 2, "COMMAND COUNT"), number);
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        assert_memory_equal(answer(&out, protocol, "COMMAND"), array, strlen(array));
        assert_memory_equal(answer(&out, protocol, "COMMAND INFO"), array, strlen(array));
        assert_memory_equal(answer(&out, protocol, "COMMAND LIST"), array, strlen(array));
        const char *docs = protocol == 2 ? flat : map;
        assert_memory_equal(answer(&out, protocol, "COMMAND DOCS"), docs, strlen(docs));
        answer(&out, protocol, "COMMAND HELP");
    }
    moot_buffer_deinit(&out);
}

/* Goal: the table can be searched and believed. Method: every row. */
static void the_table_is_sound(void **state)
{
    (void)state;
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct moot_command *command = &table[i];
        assert_true(i == 0 || strcmp(table[i - 1].name, command->name) < 0);
        assert_ptr_equal(moot_command_find(moot_slice_text(command->name)), command);
        assert_int_equal(command->run == NULL, command->place == MOOT_PLACE_EDGE);
        assert_true(command->arity != 0);
        assert_true(strlen(command->summary) > 5);
        assert_true(strlen(command->complexity) > 0);
        for (const char *c = command->name; *c != '\0'; c++) {
            assert_true((*c >= 'a' && *c <= 'z') || *c == '.');
        }
        /* Keys are inside what the arity promises. */
        uint32_t least = (uint32_t)abs(command->arity);
        uint32_t keys[8], found = moot_command_keys(command, least, keys, 8);
        assert_true(found <= 8);
        for (uint32_t k = 0; k < found; k++) {
            assert_true(keys[k] > 0 && keys[k] < least);
        }
    }
}

static void names_are_found_without_case(void **state)
{
    (void)state;
    assert_string_equal(moot_command_find(moot_slice_text("GeT"))->name, "get");
    assert_null(moot_command_find(moot_slice_text("")));
    assert_null(moot_command_find(moot_slice_text("ge")));
    assert_null(moot_command_find(moot_slice_text("getx")));
    assert_null(moot_command_find(moot_slice_text("a name that is longer than any other")));
    assert_null(moot_command_find(MOOT_SLICE_LITERAL("get\0")));
    assert_null(moot_command_find(MOOT_SLICE_LITERAL("get\0x")));
}

/* Goal: the argument tree is what redis-cli needs. Method: one syntax with everything. */
static void syntax_is_taken_apart(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    const struct moot_argument *at = moot_syntax_parse(
        &arena, "key value [NX | XX] [EX seconds] [field score ...] LEFT|RIGHT [value [AUTH a b]]");
    assert_int_equal(moot_argument_count(at), 7);
    assert_string_equal(at->type, "key");
    at = at->next;
    assert_string_equal(at->type, "string");
    at = at->next;
    assert_string_equal(at->type, "oneof");
    assert_true(at->optional);
    assert_int_equal(moot_argument_count(at->children), 2);
    assert_string_equal(at->children->type, "pure-token");
    at = at->next;
    assert_true(moot_slice_equal(at->token, MOOT_SLICE_LITERAL("EX")));
    assert_true(moot_slice_equal(at->name, MOOT_SLICE_LITERAL("seconds")));
    assert_string_equal(at->type, "integer");
    at = at->next;
    assert_true(at->optional);
    assert_true(at->multiple);
    assert_string_equal(at->type, "block");
    at = at->next;
    assert_string_equal(at->type, "oneof");
    assert_false(at->optional);
    at = at->next;
    assert_string_equal(at->type, "block");
    assert_string_equal(at->children->next->type, "block");
    assert_true(moot_slice_equal(at->children->next->token, MOOT_SLICE_LITERAL("AUTH")));
    assert_null(at->next);
    moot_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_the_shape_of_redis),
        cmocka_unit_test(all_commands_are_described),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(names_are_found_without_case),
        cmocka_unit_test(syntax_is_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
