/* An allocator that fails, for the program `moot_scarce`: moot, linked with --wrap=malloc and its
 * kin, so that every allocation made by moot's own code (not by the libraries that it uses) comes
 * here first. Two ways to fail:
 *
 *   sim/scarcity.h     one allocation within a turn of a simulated node
 *   MOOT_SCARCE=N      the N-th allocation of the process, as if the machine had no memory left */
#include "sim/scarcity.h"

#include <stdatomic.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static struct moot_scarcity *watched; /* The simulator has one thread. */

bool moot_scarcity_is_there(void) { return true; }
void moot_scarcity_begin(struct moot_scarcity *scarcity) { watched = scarcity; }
void moot_scarcity_end(void) { watched = NULL; }

/* The leak sanitizer asks for this at a process's end: a node whose memory ran out within a turn is
 * abandoned, because nobody knows what its frames held. Any other process is looked at. */
static bool has_run_out;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return has_run_out; }

static uint64_t wanted_of_process(void)
{
    const char *text = getenv("MOOT_SCARCE");
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static bool fails(void)
{
    static atomic_uint_fast64_t made;
    static atomic_uint_fast64_t wanted = UINT64_MAX; /* Not known yet. */
    if (watched != NULL) {
        struct moot_scarcity *scarcity = watched;
        if (++scarcity->counted == scarcity->at) {
            watched = NULL;
            has_run_out = true;
            scarcity->run_out(scarcity->context);
        }
        return false;
    }
    if (atomic_load(&wanted) == UINT64_MAX) {
        atomic_store(&wanted, wanted_of_process());
    }
    return atomic_fetch_add(&made, 1) + 1 == atomic_load(&wanted);
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
