/* Lamport's lock without a server (CACM 1978, pages 560-562): three processes, one resource, no
 * coordinator. Everybody keeps the requests in the clock's total order; who is first of those it
 * knows, and has heard something later from everybody else, may enter. */
#include <stdio.h>

#include "moot/lamport.h"

enum { PROCESSES = 3, NOT_ASKED = 0 };

struct process {
    struct moot_lamport clock;
    struct moot_lamport_stamp request[PROCESSES]; /* time 0: none */
    struct moot_lamport_stamp heard[PROCESSES];   /* The last stamp of any message. */
};

static struct process processes[PROCESSES];

static void deliver(int to, int from, struct moot_lamport_stamp stamp, const char *what)
{
    struct moot_lamport_stamp receipt;
    if (moot_lamport_receive(&processes[to].clock, stamp, &receipt) != 0) {
        printf("%c refuses a stamp from %c\n", 'A' + to, 'A' + from);
        return;
    }
    processes[to].heard[from] = stamp;
    printf("  %2llu  %c hears the %s of %c, sent at %llu\n", (unsigned long long)receipt.time,
           'A' + to, what, 'A' + from, (unsigned long long)stamp.time);
}

static bool may_enter(int me)
{
    const struct process *self = &processes[me];
    for (int other = 0; other < PROCESSES; other++) {
        if (other == me) {
            continue;
        }
        bool asked_first = self->request[other].time != NOT_ASKED &&
                           moot_lamport_compare(self->request[other], self->request[me]) < 0;
        if (asked_first || moot_lamport_compare(self->heard[other], self->request[me]) < 0) {
            return false;
        }
    }
    return self->request[me].time != NOT_ASKED;
}

int main(void)
{
    for (int i = 0; i < PROCESSES; i++) {
        moot_lamport_init(&processes[i].clock, (moot_node_id)(i + 1), 0, 1000);
    }
    printf("time\n");
    /* B and C ask before either has heard of the other: both requests get time 1. */
    struct moot_lamport_stamp asked[PROCESSES] = {{0, 0}};
    for (int asker = 1; asker < PROCESSES; asker++) {
        asked[asker] = moot_lamport_tick(&processes[asker].clock);
        processes[asker].request[asker] = asked[asker];
        printf("  %2llu  %c asks for the lock\n", (unsigned long long)asked[asker].time,
               'A' + asker);
    }
    /* The paper asks for messages in the order of their sending, from each to each. */
    for (int asker = 1; asker < PROCESSES; asker++) {
        for (int to = 0; to < PROCESSES; to++) {
            if (to != asker) {
                deliver(to, asker, asked[asker], "request");
                processes[to].request[asker] = asked[asker];
                deliver(asker, to, moot_lamport_tick(&processes[to].clock), "answer");
            }
        }
    }
    int entered[2] = {-1, -1};
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < PROCESSES; i++) {
            if (entered[turn] < 0 && may_enter(i)) {
                entered[turn] = i;
            }
        }
        int owner = entered[turn];
        if (owner < 0) {
            printf("nobody may enter: that would be a bug\n");
            return 1;
        }
        printf("      %c enters, with (%llu, %c), and leaves\n", 'A' + owner,
               (unsigned long long)asked[owner].time, 'A' + owner);
        struct moot_lamport_stamp release = moot_lamport_tick(&processes[owner].clock);
        for (int to = 0; to < PROCESSES; to++) {
            processes[to].request[owner].time = NOT_ASKED;
            if (to != owner) {
                deliver(to, owner, release, "release");
            }
        }
    }
    printf(
        "Both asked at time 1, so the order of the nodes decided, for everybody alike: %c, %c.\n",
        'A' + entered[0], 'A' + entered[1]);
    return entered[0] == 1 && entered[1] == 2 ? 0 : 1;
}
