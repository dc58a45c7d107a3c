#include "sim/compare.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "sim/world.h"

enum { BEFORE = 6, AFTER = 16 }; /* Events whose trace is shown. */

struct side {
    struct moot_sim_options options;
    struct moot_sim_result result;
    struct sim_world *world;
    FILE *file; /* Writes to `text`: of the event under way. */
    char *text;
    size_t size;
    bool more;
};

static void side_open(struct side *side, const struct moot_sim_options *options)
{
    side->options = *options;
    side->options.picture = NULL;
    side->options.break_ns = 0;
    side->options.from_ns = 0;
    side->file = open_memstream(&side->text, &side->size);
    MOOT_ASSERT(side->file != NULL);
    side->options.trace = side->file;
    moot_sim_result_init(&side->result);
    side->world = sim__open(&side->options, &side->result, NULL, NULL);
    side->more = true;
}

static void side_close(struct side *side)
{
    sim__close(side->world);
    fclose(side->file);
    free(side->text); /* The stream's own. */
    moot_sim_result_deinit(&side->result);
}

static struct moot_slice side_step(struct side *side)
{
    rewind(side->file);
    side->more = side->more && sim__step(side->world);
    fflush(side->file);
    return (struct moot_slice){(const uint8_t *)side->text, side->size};
}

static uint64_t digest(const struct side *side)
{
    const struct sim_world *world = side->world;
    uint64_t hash = moot_hash_mix(side->result.hash, world->now);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(world->rng.state); i++) {
        hash = moot_hash_mix(hash, world->rng.state[i]);
    }
    return moot_hash_mix(hash, world->events.count << 8 ^ (uint64_t)world->phase << 1 ^ side->more);
}

static void tell(struct side *sides, struct moot_slice *last, uint64_t events,
                 struct moot_buffer *words)
{
    char line[96];
    snprintf(line, sizeof(line), "they part at event %llu, at %.6f s\n", (unsigned long long)events,
             (double)moot_min_u64(sides[0].world->now, sides[1].world->now) / 1e9);
    moot_buffer_append_text(words, line);
    for (int i = 0; i < 2; i++) {
        moot_buffer_append_text(words, i == 0 ? "---- the first:\n" : "---- the second:\n");
        moot_buffer_append_slice(words,
                                 last[i].size > 0 ? last[i] : MOOT_SLICE_LITERAL("(nothing)\n"));
        for (int k = 0; k < AFTER; k++) {
            moot_buffer_append_slice(words, side_step(&sides[i]));
        }
    }
}

bool moot_sim_compare(const struct moot_sim_options *options, struct moot_buffer *words)
{
    struct side sides[2];
    struct moot_buffer before[BEFORE];
    uint64_t events = 0, shown = 0;
    bool same = true;
    for (int i = 0; i < 2; i++) {
        side_open(&sides[i], options);
    }
    for (int i = 0; i < BEFORE; i++) {
        moot_buffer_init(&before[i]);
    }
    while (same && sides[0].more) {
        struct moot_slice last[2] = {side_step(&sides[0]), side_step(&sides[1])};
        events++;
        same = digest(&sides[0]) == digest(&sides[1]);
        for (uint64_t i = 1; !same && i <= BEFORE; i++) {
            moot_buffer_append_slice(words, moot_buffer_slice(&before[(shown + i) % BEFORE]));
        }
        if (!same) {
            tell(sides, last, events, words);
        } else if (last[0].size > 0) {
            struct moot_buffer *oldest = &before[++shown % BEFORE];
            moot_buffer_reset(oldest, 4096);
            moot_buffer_append_slice(oldest, last[0]);
        }
    }
    for (int i = 0; i < BEFORE; i++) {
        moot_buffer_deinit(&before[i]);
    }
    side_close(&sides[0]);
    side_close(&sides[1]);
    return !same;
}
