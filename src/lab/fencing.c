/* A lock with a lease, a holder that is paused past it, and a store with and without fencing tokens
 * (Kleppmann, "How to do distributed locking", 2016; Chubby's sequencers, Burrows 2006, 2.4). */
#include "lab/scene.h"

#include <stdio.h>

enum { LEASE_US = 10000 };

struct lock {
    uint64_t until_us, token;
};
struct store {
    bool fences;
    uint64_t token, balance, refused;
};

/* A token greater than all before, or 0: the lock is taken. */
static uint64_t take(struct lock *lock, uint64_t now_us)
{
    if (now_us < lock->until_us) {
        return 0;
    }
    lock->until_us = now_us + LEASE_US;
    return ++lock->token;
}

static bool put(struct store *store, uint64_t token, uint64_t balance)
{
    if (store->fences && token < store->token) {
        store->refused++;
        return false;
    }
    store->token = token;
    store->balance = balance;
    return true;
}

/* A adds 100 and B adds 10 to a balance, each under the lock; A sleeps between read and write. */
static struct store play(struct lab *lab, const uint32_t lines[4], bool fences)
{
    struct lock lock = {.until_us = 0, .token = 32};
    struct store store = {.fences = fences, .balance = 1000};
    char text[64];
    uint64_t began = lab->now_us;
    uint64_t a = take(&lock, lab->now_us), a_saw = store.balance;
    snprintf(text, sizeof(text), "token %llu", (unsigned long long)a);
    lab_say(lab, lines[0], "takes the lock, %s, and reads %llu", text, (unsigned long long)a_saw);
    lab_message(lab, lines[2], lines[0], "grant", lab->now_us + 500, false, text);
    lab_role(lab, lines[0], "leader", a);
    lab->now_us += 1000;
    uint64_t pause_us = LEASE_US + 5000 + lab_below(lab, 10000);
    lab_fault(lab, lines[0], lab->now_us + pause_us, "pause");
    lab_say(lab, lines[0], "is paused for %.1f ms; its lease is %.1f ms", (double)pause_us / 1000,
            (double)LEASE_US / 1000);
    uint64_t wakes = lab->now_us + pause_us;
    lab->now_us = began + LEASE_US / 2;
    uint64_t early = take(&lock, lab->now_us);
    lab_say(lab, lines[1], "asks for the lock: %s", early == 0 ? "taken" : "granted");
    lab->now_us = began + LEASE_US + 500;
    uint64_t b = take(&lock, lab->now_us), b_saw = store.balance;
    snprintf(text, sizeof(text), "token %llu", (unsigned long long)b);
    lab_message(lab, lines[2], lines[1], "grant", lab->now_us + 500, false, text);
    lab_role(lab, lines[1], "leader", b);
    lab_say(lab, lines[1], "takes the lock, %s, reads %llu and writes %llu", text,
            (unsigned long long)b_saw, (unsigned long long)(b_saw + 10));
    (void)put(&store, b, b_saw + 10);
    lab_message(lab, lines[1], lines[3], "write", lab->now_us + 500, false, text);
    lab->now_us = wakes;
    snprintf(text, sizeof(text), "token %llu", (unsigned long long)a);
    lab_message(lab, lines[0], lines[3], "write", lab->now_us + 500, false, text);
    bool taken = put(&store, a, a_saw + 100);
    lab_say(lab, lines[0], "wakes, believes that it still holds the lock, writes %llu: %s",
            (unsigned long long)(a_saw + 100), taken ? "taken" : "refused, its token is old");
    lab_role(lab, lines[0], "follower", 0);
    if (!taken) { /* It learns, and does it again. */
        lab->now_us += LEASE_US;
        a = take(&lock, lab->now_us);
        (void)put(&store, a, store.balance + 100);
        lab_say(lab, lines[0], "takes the lock again, token %llu, writes %llu",
                (unsigned long long)a, (unsigned long long)store.balance);
    }
    lab->now_us += 5000;
    return store;
}

void lab_scene_fencing(struct lab *lab)
{
    const uint32_t lines[4] = {
        lab_line(lab, MOOT_PICTURE_NODE, "A"), lab_line(lab, MOOT_PICTURE_NODE, "B"),
        lab_line(lab, MOOT_PICTURE_NODE, "lock"), lab_line(lab, MOOT_PICTURE_NODE, "store")};
    lab_say(lab, MOOT_PICTURE_NOBODY, "a store that takes what it gets; balance 1000");
    struct store plain = play(lab, lines, false);
    lab_say(lab, MOOT_PICTURE_NOBODY, "a store that refuses tokens older than one it has seen");
    struct store fenced = play(lab, lines, true);
    lab_claim(lab, plain.balance == 1100, "without tokens B's 10 are lost: %llu, not 1110",
              (unsigned long long)plain.balance);
    lab_claim(lab, fenced.refused == 1 && fenced.balance == 1110,
              "with them the late write was refused, and the balance is %llu",
              (unsigned long long)fenced.balance);
    lab_answer(lab, "No: who holds it cannot know that its time is over while it does not run. The "
                    "thing that the lock protects must refuse old tokens.");
}
