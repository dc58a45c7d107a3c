#include "base/rule.h"

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

bool moot_chance_take(const struct moot_chance *chance, const char *name)
{
    if (chance->one_in == 0) {
        return false;
    }
    uint64_t site = moot_hash64(moot_slice_text(name), 0);
    uint64_t visit = moot_hash_mix(moot_hash_mix(chance->seed, site), chance->turn);
    return moot_hash_mix(visit, chance->node) % chance->one_in == 0;
}
