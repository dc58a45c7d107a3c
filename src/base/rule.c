#include "base/rule.h"

#include <string.h>

#include "base/hash.h"
#include "base/slice.h"

/* The linker defines these at the ends of the section; weak, for a program that links no mark. */
extern struct moot_mark __start_moot_marks[] __attribute__((weak));
extern struct moot_mark __stop_moot_marks[] __attribute__((weak));

struct moot_mark *moot_marks(size_t *count)
{
    *count = __start_moot_marks == NULL ? 0 : (size_t)(__stop_moot_marks - __start_moot_marks);
    return __start_moot_marks;
}

static uint64_t draw(const struct moot_chance *chance, const char *name)
{
    uint64_t site = moot_hash64(moot_slice_text(name), 0);
    uint64_t visit = moot_hash_mix(moot_hash_mix(chance->seed, site), chance->turn);
    return moot_hash_mix(visit, chance->node);
}

bool moot_chance_force(const struct moot_chance *chance, const char *name)
{
    bool taken = false;
    for (size_t i = 0; i < chance->knob_count && !taken; i++) {
        struct moot_chance_knob *knob = &chance->knobs[i];
        if (knob->one_in != 0 && strcmp(knob->name, name) == 0) {
            taken = moot_hash_mix(draw(chance, name), i + 1) % knob->one_in == 0;
            knob->taken += taken;
        }
    }
    return taken;
}

bool moot_chance_take(const struct moot_chance *chance, const char *name)
{
    bool taken = chance->one_in != 0 && draw(chance, name) % chance->one_in == 0;
    return taken || moot_chance_force(chance, name);
}
