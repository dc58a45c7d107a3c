/* Five members on one machine find each other, lose one, and hear it back.
 *
 * A program of its own would send the packets over UDP; here a queue stands for the network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moot/swim.h"

enum { MEMBERS = 5, QUEUE = 256 };

static struct {
    int to;
    uint32_t size;
    uint8_t bytes[MOOT_SWIM_PACKET_MAX];
} queue[QUEUE];
static uint32_t first, count;
static struct moot_swim *members[MEMBERS + 1];
static int down;

/* An address may be anything; here it is the member's number. */
static struct moot_swim_address address_of(int member)
{
    return (struct moot_swim_address){.size = 1, .bytes = {(uint8_t)member}};
}

static void deliver_later(int from, const struct moot_swim_out *out)
{
    for (uint32_t i = 0; i < out->count && count < QUEUE; i++) {
        int to = out->sends[i].address.bytes[0];
        if (from != down && to != down) {
            uint32_t at = (first + count++) % QUEUE;
            queue[at].to = to;
            queue[at].size = out->sends[i].size;
            memcpy(queue[at].bytes, out->sends[i].bytes, out->sends[i].size);
        }
    }
}

static void tell_changes(int at, double seconds)
{
    struct moot_swim_change change;
    while (moot_swim_next_change(members[at], &change)) {
        printf("%5.1f s  member %d: %u is %s\n", seconds, at, change.id,
               change.forgotten ? "forgotten" : moot_swim_state_text(change.state));
    }
}

static void run_until(double *seconds, double end)
{
    static struct moot_swim_out out;
    for (; *seconds < end; *seconds += 0.05) {
        struct moot_instant now = {(uint64_t)(*seconds * 1e9)};
        for (int i = 1; i <= MEMBERS; i++) {
            if (i != down && !moot_instant_before(now, moot_swim_deadline(members[i]))) {
                moot_swim_tick(members[i], now, &out);
                deliver_later(i, &out);
            }
        }
        for (; count > 0; count--, first = (first + 1) % QUEUE) {
            int to = queue[first].to;
            if (moot_swim_receive(members[to], now,
                                  (struct moot_slice){queue[first].bytes, queue[first].size},
                                  &out) == 0) {
                deliver_later(to, &out);
            }
        }
        for (int i = 1; i <= MEMBERS; i++) {
            tell_changes(i, *seconds);
        }
    }
}

int main(void)
{
    static struct moot_swim_out out;
    size_t bytes = moot_swim_memory(MEMBERS);
    for (int i = 1; i <= MEMBERS; i++) {
        struct moot_swim_config config = {.self = (moot_node_id)i,
                                          .address = address_of(i),
                                          .incarnation = 1,
                                          .seed = 42,
                                          .interval = moot_ms(200)};
        if (moot_swim_init(&config, MEMBERS, malloc(bytes), bytes, (struct moot_instant){0},
                           &members[i]) != 0) {
            return 1;
        }
    }
    for (int i = 2; i <= MEMBERS; i++) {
        struct moot_swim_address seed = address_of(1);
        moot_swim_join(members[i], (struct moot_instant){0}, &seed, 1, &out);
        deliver_later(i, &out);
    }
    double seconds = 0;
    run_until(&seconds, 3);
    puts("         member 3 is cut off");
    down = 3;
    run_until(&seconds, 12);
    puts("         and is back");
    down = 0;
    run_until(&seconds, 20);
    for (int i = 1; i <= MEMBERS; i++) {
        printf("member %d counts %u\n", i, moot_swim_count(members[i]));
        free(members[i]);
    }
    return 0;
}
