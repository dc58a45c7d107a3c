#include "sim/faults.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/slice.h"

const struct sim_fault_row SIM_FAULT_ROWS[SIM_FAULTS] = {
#define X(constant, name, sort, one_in, from, to, words)                                           \
    {name, SIM_FAULT_##sort, one_in, from, to, words},
    SIM_FAULT_TABLE(X)
#undef X
};

static bool find(struct moot_slice name, enum sim_fault *fault)
{
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        if (moot_slice_equal(name, moot_slice_text(SIM_FAULT_ROWS[i].name))) {
            *fault = (enum sim_fault)i;
            return true;
        }
    }
    return false;
}

bool sim_fault_wish_parse(const char *text, struct sim_fault_wish *wish)
{
    bool more = true;
    for (const char *at = text; more; at++) {
        const char *end = strchr(at, ',');
        more = end != NULL;
        bool is_not = *at == '-';
        at += is_not;
        struct moot_slice name = {(const uint8_t *)at, more ? (size_t)(end - at) : strlen(at)};
        enum sim_fault fault;
        if (!is_not && moot_slice_equal(name, MOOT_SLICE_LITERAL("none"))) {
            wish->is_chosen = true;
        } else if (!find(name, &fault)) {
            return false;
        } else if (is_not) {
            sim_fault_put(&wish->never, fault, true);
        } else {
            wish->is_chosen = true;
            sim_fault_put(&wish->chosen, fault, true);
        }
        at += name.size;
    }
    return true;
}

void sim_fault_list(sim_fault_set set, char out[SIM_FAULT_LIST_BYTES])
{
    size_t size = 0;
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        size_t length = strlen(SIM_FAULT_ROWS[i].name);
        if (sim_fault_has(set, i)) {
            MOOT_ASSERT(size + length + 2 < SIM_FAULT_LIST_BYTES);
            out[size] = ',';
            size += size > 0;
            memcpy(out + size, SIM_FAULT_ROWS[i].name, length);
            size += length;
        }
    }
    out[size] = '\0';
    if (!sim_fault_any(set)) {
        memcpy(out, "none", sizeof("none"));
    }
}

static uint64_t hash_of(uint64_t seed, const char *name, uint64_t site)
{
    return moot_hash_mix(moot_hash64(moot_slice_text(name), site), seed);
}

/* Some paths need two faults that are rare together: where the first is, the second is in every
 * other world. */
static sim_fault_set companions(uint64_t seed, sim_fault_set set)
{
    static const enum sim_fault pairs[][2] = {
        {SIM_FAULT_TINY_JOURNAL,
         SIM_FAULT_SLOW_STORE},                   /* The journal is full until a flush ends. */
        {SIM_FAULT_REOPEN, SIM_FAULT_STALL_DISK}, /* A planned restart waits for its disk. */
        {SIM_FAULT_UPGRADE, SIM_FAULT_LEVEL},     /* Some know the newer rules, and some do not. */
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(pairs); i++) {
        if (sim_fault_has(set, pairs[i][0]) && hash_of(seed, "companion", i) % 2 == 0) {
            sim_fault_put(&set, pairs[i][1], true);
        }
    }
    return set;
}

sim_fault_set sim_faults_of(uint64_t seed, const struct sim_fault_wish *wish)
{
    static const uint64_t densities[] = {0, 1, 2, 3, 4, 4, 6, 6, 8, 10}; /* In sixteen. */
    uint64_t density = densities[hash_of(seed, "density", 1) % MOOT_ARRAY_LEN(densities)];
    sim_fault_set set = {0};
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        const struct sim_fault_row *row = &SIM_FAULT_ROWS[i];
        bool on = hash_of(seed, row->name, 2) % 16 < density &&
                  hash_of(seed, row->name, 3) % row->one_in == 0;
        sim_fault_put(&set, i, on);
    }
    set = wish->is_chosen ? wish->chosen : companions(seed, set);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(set.words); i++) {
        set.words[i] &= ~wish->never.words[i];
    }
    return set;
}

/* Small ones as likely as great ones: first its power of two, then the rest. */
uint32_t sim_fault_knob(uint64_t seed, enum sim_fault fault)
{
    const struct sim_fault_row *row = &SIM_FAULT_ROWS[fault];
    uint64_t doublings = 1;
    while ((uint64_t)row->from << doublings <= row->to) {
        doublings++;
    }
    uint64_t low = (uint64_t)row->from << hash_of(seed, row->name, 4) % doublings;
    return (uint32_t)moot_min_u64(low + hash_of(seed, row->name, 5) % low, row->to);
}
