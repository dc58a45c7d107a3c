#include "command_script.h"

#define RUN(steps) script_run(steps, MOOT_ARRAY_LEN(steps))
#define WRONG      "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT    "-ERR value is not an integer or out of range"
#define POSITIVE   "-ERR value is out of range, must be positive"

static void both_ends(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"LLEN l", ":0"},
        {"LPOP l", "$-1"},
        {"RPOP l", "$-1"},
        {"LPOP l 3", "*-1"},
        {"LPUSHX l a", ":0"},
        {"RPUSHX l a", ":0"},
        {"EXISTS l", ":0"},
        {"RPUSH l a b c", ":3"},
        {"LPUSH l d e", ":5"},
        {"LPUSHX l f", ":6"},
        {"RPUSHX l g", ":7"},
        {"LRANGE l 0 -1", "*7 $1 f $1 e $1 d $1 a $1 b $1 c $1 g"},
        {"LRANGE l 1 2", "*2 $1 e $1 d"},
        {"LRANGE l -2 100", "*2 $1 c $1 g"},
        {"LRANGE l -100 0", "*1 $1 f"},
        {"LRANGE l 5 3", "*0"},
        {"LRANGE l 7 9", "*0"},
        {"LRANGE l -9223372036854775808 9223372036854775807",
         "*7 $1 f $1 e $1 d $1 a $1 b $1 c $1 g"},
        {"LRANGE nosuch 0 -1", "*0"},
        {"LRANGE l x 1", NOT_INT},
        {"LINDEX l 0", "$1 f"},
        {"LINDEX l -1", "$1 g"},
        {"LINDEX l 6", "$1 g"},
        {"LINDEX l 7", "$-1"},
        {"LINDEX l -8", "$-1"},
        {"LINDEX l x", NOT_INT},
        {"LINDEX nosuch x", "$-1"},
        {"EXPIRE l 100", ":1"},
        {"LPOP l", "$1 f"},
        {"RPOP l", "$1 g"},
        {"TTL l", ":100"},
        {"LPOP l 2", "*2 $1 e $1 d"},
        {"RPOP l 2", "*2 $1 c $1 b"},
        {"LPOP l 0", "*0"},
        {"LPOP l -1", POSITIVE},
        {"LPOP l x", POSITIVE},
        {"LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"},
        {"LPOP l 9223372036854775807", "*1 $1 a"},
        {"EXISTS l", ":0"},
        {"DBSIZE", ":0"},
        {"RPUSH l \"\" \"a b\\r\\n\"", ":2"},
        {"TTL l", ":-1"},
        {"LRANGE l 0 0", "*1 $0 "},
        {"RPOP l", "$5 a b "},
        {"!resp3", ""},
        {"LPOP nosuch", "_"},
        {"LPOP nosuch 2", "_"},
        {"!resp2", ""},
        {"SET s v", "+OK"},
        {"LPUSH s a", WRONG},
        {"RPUSHX s a", WRONG},
        {"LPOP s", WRONG},
        {"LLEN s", WRONG},
        {"LRANGE s 0 1", WRONG},
        {"LINDEX s 0", WRONG},
        {"LSET s 0 a", WRONG},
        {"LTRIM s 0 0", WRONG},
        {"BLPOP s 0", WRONG},
    };
    RUN(steps);
}

static void changing_inside(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"LSET l 0 x", "-ERR no such key"},
        {"RPUSH l a b c d e", ":5"},
        {"LSET l 0 x", "+OK"},
        {"LSET l -1 y", "+OK"},
        {"LSET l 5 z", "-ERR index out of range"},
        {"LSET l -6 z", "-ERR index out of range"},
        {"LSET l z z", NOT_INT},
        {"LRANGE l 0 -1", "*5 $1 x $1 b $1 c $1 d $1 y"},
        {"LTRIM l 1 -2", "+OK"},
        {"LRANGE l 0 -1", "*3 $1 b $1 c $1 d"},
        {"LTRIM l 0 -1", "+OK"},
        {"LLEN l", ":3"},
        {"LPUSH l a", ":4"},
        {"LTRIM l 0 100", "+OK"},
        {"LRANGE l 0 -1", "*4 $1 a $1 b $1 c $1 d"},
        {"LTRIM l 5 3", "+OK"},
        {"EXISTS l", ":0"},
        {"LTRIM nosuch 0 1", "+OK"},
        {"LTRIM l x 1", NOT_INT},
        {"RPUSH l a b", ":2"},
        {"SET l v", "+OK"},
        {"DEL l", ":1"},
        {"RPUSH l c", ":1"},
        {"LRANGE l 0 -1", "*1 $1 c"},
    };
    RUN(steps);
}

static void moving(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"RPOPLPUSH a b", "$-1"},
        {"LMOVE a b LEFT RIGHT", "$-1"},
        {"RPUSH a 1 2 3", ":3"},
        {"RPOPLPUSH a a", "$1 3"},
        {"LRANGE a 0 -1", "*3 $1 3 $1 1 $1 2"},
        {"LMOVE a a left right", "$1 3"},
        {"LRANGE a 0 -1", "*3 $1 1 $1 2 $1 3"},
        {"RPOPLPUSH a b", "$1 3"},
        {"LMOVE a b LEFT LEFT", "$1 1"},
        {"LMOVE a b RIGHT RIGHT", "$1 2"},
        {"EXISTS a", ":0"},
        {"LRANGE b 0 -1", "*3 $1 1 $1 3 $1 2"},
        {"LMOVE b b LEFT FOO", "-ERR syntax error"},
        {"LMOVE b b FOO LEFT", "-ERR syntax error"},
        {"SET s v", "+OK"},
        {"RPOPLPUSH b s", WRONG},
        {"RPOPLPUSH s b", WRONG},
        {"RPOPLPUSH nosuch s", "$-1"},
        {"LRANGE b 0 -1", "*3 $1 1 $1 3 $1 2"},
        {"DEL b", ":1"},
        {"RPUSH b x", ":1"},
        {"RPOPLPUSH b b", "$1 x"},
        {"LRANGE b 0 -1", "*1 $1 x"},
    };
    RUN(steps);
}

/* An empty reply means: it waits. */
static void blocking_pops_try_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"BLPOP a b 0", ""},
        {"BRPOP a 0.5", ""},
        {"RPUSH b 1 2 3", ":3"},
        {"BLPOP a b 0", "*2 $1 b $1 1"},
        {"BRPOP a b 0", "*2 $1 b $1 3"},
        {"RPUSH a x", ":1"},
        {"BLPOP a b 1", "*2 $1 a $1 x"},
        {"EXISTS a", ":0"},
        {"BLPOP a b x", "-ERR timeout is not a float or out of range"},
        {"BLPOP a b -1", "-ERR timeout is negative"},
        {"SET a v", "+OK"},
        {"BLPOP a b 0", WRONG},
        {"BLPOP b a 0", "*2 $1 b $1 2"},
        {"BLPOP b a 0", WRONG},
    };
    RUN(steps);
}

/* Goal: whatever makes a list grow tells its waiters. Method: the signals after each command. */
static void growth_is_signalled(void **state)
{
    (void)state;
    static const struct {
        const char *line, *key; /* NULL: nobody is told. */
    } cases[] = {
        {"RPUSH l a b", "l"},    {"LPUSH l c", "l"},     {"LPUSHX nosuch c", NULL},
        {"LPOP l", NULL},        {"RPOPLPUSH l m", "m"}, {"LMOVE m n LEFT LEFT", "n"},
        {"RENAME n o", "o"},     {"COPY o p", "p"},      {"MOVE p 1", "p"},
        {"LRANGE o 0 -1", NULL}, {"SET o v", NULL},
    };
    struct script *script = script_make(3, 4);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        assert_true(script_reply(script, cases[i].line)[0] != '-');
        const struct moot_call_shared *shared = moot_engine_shared(script->engine);
        assert_int_equal(shared->signal_count, cases[i].key != NULL);
        if (cases[i].key != NULL) {
            assert_true(moot_slice_equal(shared->signals[0].key, moot_slice_text(cases[i].key)));
        }
    }
    script_reply(script, "SWAPDB 0 1");
    assert_true(moot_engine_shared(script->engine)->signals_lost);
    script_end(script);
}

/* Goal: a list behaves as an array does. Method: random commands against a plain array, beside
 * misses and flushes. */
static void a_list_is_an_array(void **state)
{
    (void)state;
    enum { SIZE_MAX_HERE = 64 };
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct script *script = script_make(seed, seed % 2 == 0 ? 3 : 0);
        int model[SIZE_MAX_HERE], size = 0;
        for (int i = 0; i < 1000; i++) {
            char line[64], want[64];
            bool left = moot_rng_chance(&script->rng, 1, 2);
            uint64_t what = moot_rng_below(&script->rng, 4);
            if (what <= 1 && size < SIZE_MAX_HERE) {
                memmove(model + left, model, sizeof(int) * (size_t)size);
                model[left ? 0 : size] = i;
                snprintf(line, sizeof line, "%s l %d", left ? "LPUSH" : "RPUSH", i);
                snprintf(want, sizeof want, ":%d", ++size);
            } else if (what == 2 && size > 0) {
                int value = model[left ? 0 : size - 1];
                size--;
                memmove(model, model + left, sizeof(int) * (size_t)size);
                snprintf(line, sizeof line, "%s l", left ? "LPOP" : "RPOP");
                snprintf(want, sizeof want, "$%d %d", snprintf(NULL, 0, "%d", value), value);
            } else if (size > 0) {
                int at = (int)moot_rng_below(&script->rng, (uint64_t)size);
                snprintf(line, sizeof line, "LINDEX l %d", left ? at : at - size);
                snprintf(want, sizeof want, "$%d %d", snprintf(NULL, 0, "%d", model[at]),
                         model[at]);
            } else {
                continue;
            }
            assert_string_equal(script_reply(script, line), want);
        }
        script_end(script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends),
        cmocka_unit_test(changing_inside),
        cmocka_unit_test(moving),
        cmocka_unit_test(blocking_pops_try_once),
        cmocka_unit_test(growth_is_signalled),
        cmocka_unit_test(a_list_is_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
