/* PITFALLS T16: overload, in the simulator's virtual time, where it is the same each time.
 *
 * Nodes pay for every byte that they take in, send or write (moot_sim_options, byte_ns), so the
 * cluster has a capacity: about 20,000 writes a second here. Clients ask open loop: new commands
 * come whether or not old ones are answered, up to what a connection may have open; what comes
 * beyond that stays with the client, as it does when its socket is full. So much may be open
 * altogether as is done in an eighth of a second: about what 500 pipelining clients have open at a
 * node that does ten times as much, or the whole queue of an edge (limits.h) at one that does a
 * million. Who is told OVERLOADED asks nothing for the 40 ms that the answer speaks of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "database/node_internal.h"
#include "sim/rehearsal.h"

_Noreturn void moot_assert_failed(const char *expression, const char *file, int line)
{
    printf("# %s:%d: %s\n", file, line, expression);
    fflush(stdout);
    __builtin_trap();
}

enum {
    NODES = 3,
    REGULARS = 5,      /* They are there all the time, */
    CROWD = 50,        /* and these come at once. */
    TIMES = 10,        /* Capacity. */
    WINDOW = 8,        /* Commands that a connection has open at most, */
    CROWD_WINDOW = 64, /* and one of the crowd when there is too much. */
    BYTE_NS = 400,
    BACK_OFF_MS = 40,
    PEAK_S = 2,
    OVERLOAD_S = 8,
    RECOVERY_S = 10,
    LEAST = 70,          /* Percent of the capacity that is done when there is too much, */
    LEAST_REFUSING = 30, /* and where time goes into refusing most of it. */
    LATENCIES = 4096,    /* Of a millisecond each. */
};

struct guest {
    uint64_t id;
    bool is_regular;
    uint64_t due;                   /* Commands that came, in thousandths. */
    uint64_t sent_ms[CROWD_WINDOW]; /* Of those that are open, in order. */
    uint32_t first, open;
    uint64_t silent_until;
    char line[128];
    size_t line_size;
};

static struct {
    struct moot_rehearsal *rehearsal;
    struct guest guests[REGULARS + CROWD];
    uint32_t keys, crowd_window;
    uint64_t now_ms, asked;
    uint64_t good, refused, wrong; /* Since they were last set to 0, */
    uint64_t late[LATENCIES];      /* and how long the good ones of regulars took. */
    uint64_t regular_good;
} it;

static struct guest *guest_of(uint64_t id)
{
    for (uint32_t i = 0; i < MOOT_ARRAY_LEN(it.guests); i++) {
        if (it.guests[i].id == id) {
            return &it.guests[i];
        }
    }
    return NULL;
}

static void on_line(struct guest *guest)
{
    assert_true(guest->open > 0); /* Nothing that nobody asked for. */
    uint64_t took = it.now_ms - guest->sent_ms[guest->first];
    guest->first = (guest->first + 1) % CROWD_WINDOW;
    guest->open--;
    if (strncmp(guest->line, "+OK", 3) == 0) {
        it.good++;
        it.regular_good += guest->is_regular;
        it.late[moot_min_u64(took, LATENCIES - 1)] += guest->is_regular;
    } else if (strncmp(guest->line, "-OVERLOADED", 11) == 0) {
        it.refused++;
        guest->silent_until = it.now_ms + BACK_OFF_MS;
    } else {
        if (it.wrong++ == 0) {
            printf("# %s\n", guest->line);
        }
    }
}

static void on_bytes(void *context, uint64_t id, struct moot_slice bytes)
{
    (void)context;
    struct guest *guest = guest_of(id);
    for (size_t i = 0; guest != NULL && i < bytes.size; i++) {
        if (bytes.data[i] == '\n') {
            guest->line[guest->line_size] = '\0';
            on_line(guest);
            guest->line_size = 0;
        } else if (bytes.data[i] != '\r' && guest->line_size + 1 < sizeof(guest->line)) {
            guest->line[guest->line_size++] = (char)bytes.data[i];
        }
    }
}

static void on_closed(void *context, uint64_t id)
{
    (void)context;
    fail_msg("connection %llu was closed", (unsigned long long)id);
}

static void ask(struct guest *guest)
{
    char text[64];
    uint64_t key = it.asked++ * 2654435761U % it.keys;
    int size = snprintf(text, sizeof(text), "SET k%llu 0123456789\r\n", (unsigned long long)key);
    guest->sent_ms[(guest->first + guest->open) % CROWD_WINDOW] = it.now_ms;
    guest->open++;
    moot_rehearsal_send(it.rehearsal, guest->id,
                        moot_slice_make((const uint8_t *)text, (size_t)size));
}

/* So many commands a second come to each regular, and to each of the crowd. */
static void run(uint64_t ms, uint64_t regular_rate, uint64_t crowd_rate)
{
    for (uint64_t end = it.now_ms + ms; it.now_ms < end;) {
        it.now_ms++;
        for (uint32_t i = 0; i < MOOT_ARRAY_LEN(it.guests); i++) {
            struct guest *guest = &it.guests[i];
            guest->due += guest->is_regular ? regular_rate : crowd_rate;
            for (; guest->due >= 1000; guest->due -= 1000) {
                if (guest->open < (guest->is_regular ? WINDOW : it.crowd_window) &&
                    guest->silent_until <= it.now_ms) {
                    ask(guest);
                }
            }
        }
        assert_true(moot_rehearsal_run(it.rehearsal, it.now_ms * MOOT_MSEC_NS));
    }
}

static void count_anew(void)
{
    it.good = it.refused = it.regular_good = 0;
    memset(it.late, 0, sizeof(it.late));
}

static uint64_t p99_ms(void)
{
    uint64_t seen = 0, ms = 0;
    while (ms + 1 < LATENCIES && (seen += it.late[ms]) * 100 < it.regular_good * 99) {
        ms++;
    }
    return ms;
}

/* What all nodes together have come to. */
struct state {
    moot_term term;
    uint64_t resent, batches;
};

static struct state state_of(void)
{
    struct state state = {0};
    for (uint32_t slot = 0; slot < NODES; slot++) {
        const struct moot_node *node = moot_rehearsal_node(it.rehearsal, slot);
        const struct moot_stream_edge *stream = &node->edge.streams[MOOT_GROUP_DB0];
        struct moot_group_view view;
        moot_node_group(node, MOOT_GROUP_DB0, &view);
        state.term = view.term > state.term ? view.term : state.term;
        state.resent += stream->resent;
        state.batches += stream->next_write + stream->next_read;
    }
    return state;
}

static struct moot_rehearsal_options options;
static struct moot_sim_result result;

static void begin(uint64_t seed, uint32_t keys, const char *faults)
{
    memset(&it, 0, sizeof(it));
    it.keys = keys;
    options = (struct moot_rehearsal_options){
        .sim = {.seed = seed, .nodes = NODES, .operations = UINT64_MAX, .byte_ns = BYTE_NS},
        .calls = {.bytes = on_bytes, .closed = on_closed}};
    assert_true(sim_fault_wish_parse(faults, &options.sim.faults));
    moot_sim_result_init(&result);
    it.rehearsal = moot_rehearsal_open(&options, &result);
    run(3000, 0, 0); /* A leader is elected. */
    for (uint32_t i = 0; i < MOOT_ARRAY_LEN(it.guests); i++) {
        it.guests[i].is_regular = i < REGULARS;
        it.guests[i].id = moot_rehearsal_connect(it.rehearsal, i % NODES);
        assert_int_not_equal(it.guests[i].id, 0);
    }
    run(1000, 1000, 0);
    it.wrong = 0; /* Who was first may have met no leader yet. */
}

static void end(void)
{
    moot_rehearsal_close(it.rehearsal);
    if (result.violated) {
        fail_msg("%.*s", (int)result.words.size, (const char *)result.words.data);
    }
    moot_sim_result_deinit(&result);
}

/* Goal: ten times the capacity is asked for, eight seconds long: what is done meanwhile is at least
 * 70 % of the capacity; nobody else is elected; few batches are sent again; nobody is told anything
 * but that it is done, or that it was refused; and within 10 s after it all is as before, also how
 * long it takes. Method: everybody asks as much as fits a small window: that is the capacity; some
 * ask for a tenth of it, and how long that takes; then the crowd. */
static void overload(uint64_t seed, uint32_t keys, const char *faults, uint64_t least_percent)
{
    begin(seed, keys, faults);
    it.crowd_window = WINDOW;
    run(1000, 10000, 10000);
    count_anew();
    run(PEAK_S * 1000, 10000, 10000);
    uint64_t peak = it.good / PEAK_S, usual_rate = peak / 10 / REGULARS;
    run(2000, usual_rate, 0);
    count_anew();
    run(PEAK_S * 1000, usual_rate, 0);
    uint64_t usual = it.good / PEAK_S, usual_ms = p99_ms();
    struct state before = state_of();

    count_anew();
    it.crowd_window = CROWD_WINDOW;
    run(OVERLOAD_S * 1000, usual_rate, peak * TIMES / CROWD);
    uint64_t during = it.good / OVERLOAD_S, refused = it.refused, during_ms = p99_ms();
    struct state after = state_of();

    uint64_t took_s = 0, again = 0, again_ms = 0;
    do { /* The crowd asks for nothing more, but for what is under way. */
        count_anew();
        run(1000, usual_rate, 0);
        again = it.regular_good;
        again_ms = p99_ms();
        took_s++;
    } while (took_s < RECOVERY_S && (again < usual * 95 / 100 || again_ms > 2 * usual_ms + 1));
    printf("# seed %llu: at most %llu/s; %llu/s: p99 %llu ms; %d times as much as at most: %llu/s "
           "done, %llu refused, regulars' p99 %llu ms; of %llu batches %llu sent again; after "
           "%llu s: %llu/s, p99 %llu ms\n",
           (unsigned long long)seed, (unsigned long long)peak, (unsigned long long)usual,
           (unsigned long long)usual_ms, TIMES, (unsigned long long)during,
           (unsigned long long)refused, (unsigned long long)during_ms,
           (unsigned long long)(after.batches - before.batches),
           (unsigned long long)(after.resent - before.resent), (unsigned long long)took_s,
           (unsigned long long)again, (unsigned long long)again_ms);
    assert_true(peak > 0 && during * 100 >= peak * least_percent);
    assert_true((refused > 0) == (least_percent < LEAST));
    assert_int_equal(after.term, before.term);
    assert_true((after.resent - before.resent) * 10 <= after.batches - before.batches);
    assert_int_equal(it.wrong, 0);
    assert_true(again >= usual * 95 / 100 && again_ms <= 2 * usual_ms + 1);
    end();
}

static void a_crowd_takes_its_turn(void **state)
{
    (void)state;
    overload(1, 10000, "none", LEAST);
}

static void a_crowd_on_one_key(void **state)
{
    (void)state;
    overload(4, 1, "none", LEAST);
}

/* Goal: the same where edges have little room, and refuse. Then clients have not chosen to wait: to
 * read and refuse nine of ten takes its time, too. */
static void a_crowd_that_is_refused(void **state)
{
    (void)state;
    overload(5, 10000, "narrow", LEAST_REFUSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_takes_its_turn),
        cmocka_unit_test(a_crowd_on_one_key),
        cmocka_unit_test(a_crowd_that_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
