/* What all operations of a key tell together: which of those in doubt did happen, and which states
 * may not be left yet. */
#include "check/search.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/slice.h"

enum { NOTHING = MOOT_SEARCH_NOTHING };

static uint32_t place_of(struct moot_search *search, uint64_t state)
{
    uint32_t next = search->states.count;
    return (uint32_t)*moot_pairs_at(&search->states, state, 0, next);
}

/* The state that operation `i` has a role in, or MOOT_STATE_ANY; *number is what it is called. */
static uint64_t state_in_role(const struct moot_search *search, uint32_t i,
                              enum moot_search_role role, uint32_t *number)
{
    uint64_t leads_to, found;
    bool completed = i < search->completed_count;
    search->model->trace(moot_search_step(search, i), &leads_to, &found);
    *number = completed ? i : i - search->completed_count;
    if (completed == (role == MOOT_SEARCH_MAY_LEAD)) {
        return MOOT_STATE_ANY;
    }
    return role == MOOT_SEARCH_FINDS ? found : leads_to;
}

static void trace_role(struct moot_search *search, enum moot_search_role role)
{
    uint32_t count = search->completed_count + search->doubtful_count, number;
    struct moot_search_by_state *list = &search->roles[role];
    list->start = moot_alloc_zero((2 * (size_t)count + 4) * sizeof(*list->start));
    list->operations = moot_alloc((count + (size_t)1) * sizeof(*list->operations));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t state = state_in_role(search, i, role, &number);
        if (state != MOOT_STATE_ANY) {
            list->start[place_of(search, state) + 2]++;
        }
    }
    for (uint32_t i = 0; i < 2 * count + 2; i++) {
        list->start[i + 1] += list->start[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t state = state_in_role(search, i, role, &number);
        if (state != MOOT_STATE_ANY) {
            list->operations[list->start[place_of(search, state) + 1]++] = number;
        }
    }
}

/* Who leads to which state, and who found it. Completed operations are sorted by now. */
static void trace_states(struct moot_search *search)
{
    for (unsigned role = 0; role < MOOT_SEARCH_ROLES; role++) {
        trace_role(search, role);
    }
    const struct moot_search_by_state *leads = &search->roles[MOOT_SEARCH_LEADS];
    search->first_call = moot_alloc((search->completed_count + (size_t)1) * sizeof(uint64_t));
    for (uint32_t at = 0; at < search->states.count; at++) {
        uint64_t first = UINT64_MAX;
        for (uint32_t i = leads->start[at + 1]; i > leads->start[at]; i--) {
            first = moot_min_u64(first, search->completed[leads->operations[i - 1]].called);
            search->first_call[i - 1] = first;
        }
    }
}

/* Who needs which part of a state, last. Completed operations are sorted by now. */
static void note_needs(struct moot_search *search)
{
    for (uint32_t i = 0; i < search->completed_count; i++) {
        size_t count;
        const uint64_t *parts =
            search->model->needed(search->object, &search->completed[i].step, &count);
        for (size_t j = 0; j < count; j++) {
            if (parts[j] >= search->parts) {
                uint64_t more = 2 * parts[j] + 64;
                search->last_need =
                    moot_realloc(search->last_need, more * sizeof(*search->last_need));
                memset(search->last_need + search->parts, 0xff,
                       (more - search->parts) * sizeof(*search->last_need));
                search->parts = more;
            }
            search->last_need[parts[j]] = i;
        }
    }
}

/* ---- in doubt, and yet sure ---- */

/* Of a state: who leads to it, and when it was surely found. */
struct origin {
    uint64_t found_by; /* The least return of who found it. */
    uint32_t leaders;
    uint32_t doubtful; /* The last of them that is in doubt, or NOTHING. */
};

static void note_origins(struct moot_search *search, struct origin *origins)
{
    uint32_t count = search->completed_count + search->doubtful_count, number;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned role = 0; role < MOOT_SEARCH_ROLES; role++) {
            uint64_t state = state_in_role(search, i, role, &number);
            if (state == MOOT_STATE_ANY) {
                continue;
            }
            struct origin *origin = &origins[place_of(search, state)];
            if (role == MOOT_SEARCH_FINDS) {
                origin->found_by = moot_min_u64(origin->found_by, search->completed[number].end);
            } else {
                origin->leaders++;
                origin->doubtful = role == MOOT_SEARCH_MAY_LEAD ? number : origin->doubtful;
            }
        }
    }
}

/* The only one that leads to a state that was found did happen, before that was answered: in a
 * search it is one of the completed. So may be the one before it, whose state it has found. */
void moot_search_promote(struct moot_search *search)
{
    if (search->model->trace == NULL) {
        return;
    }
    uint32_t count = search->completed_count + search->doubtful_count, kept = 0;
    struct origin *origins = moot_alloc((2 * (size_t)count + 2) * sizeof(*origins));
    for (size_t i = 0; i < 2 * (size_t)count + 2; i++) {
        origins[i] = (struct origin){.found_by = UINT64_MAX, .doubtful = NOTHING};
    }
    origins[place_of(search, search->model->initial(search->object))].leaders++;
    note_origins(search, origins);
    for (uint32_t at = 0; at < search->states.count; at++) {
        struct origin *origin = &origins[at];
        while (origin->leaders == 1 && origin->doubtful != NOTHING &&
               origin->found_by != UINT64_MAX) {
            struct moot_placeable *one = &search->doubtful[origin->doubtful];
            uint64_t leads_to, found, end = origin->found_by;
            one->end = moot_max_u64(one->called, end); /* Found too early, it is found by nobody. */
            search->model->confirm(&one->step);
            origin->doubtful = NOTHING;
            search->model->trace(&one->step, &leads_to, &found);
            if (found != MOOT_STATE_ANY) {
                origin = &origins[place_of(search, found)];
                origin->found_by = moot_min_u64(origin->found_by, end);
            }
        }
    }
    for (uint32_t i = 0; i < search->doubtful_count; i++) {
        if (search->doubtful[i].end != MOOT_NEVER.ns) {
            search->completed[search->completed_count++] = search->doubtful[i];
        } else {
            search->doubtful[kept++] = search->doubtful[i];
        }
    }
    search->doubtful_count = kept;
    moot_free(origins);
}

/* The first of a state's operations in a role that is not before the frontier. */
static uint32_t first_from(const struct moot_search_by_state *list, uint32_t at, uint32_t frontier)
{
    uint32_t low = list->start[at], high = list->start[at + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool before = list->operations[middle] < frontier;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low;
}

/* True when some operation that is not placed, and was called by `end`, may lead to the state. */
static bool comes_back(const struct moot_search *search, const struct moot_configuration *parent,
                       uint32_t at, uint64_t end, uint32_t doubtful)
{
    const struct moot_search_by_state *leads = &search->roles[MOOT_SEARCH_LEADS],
                                      *may = &search->roles[MOOT_SEARCH_MAY_LEAD];
    const uint64_t *used = moot_search_used(search, parent);
    for (uint32_t i = first_from(leads, at, parent->frontier);
         i < leads->start[at + 1] && search->first_call[i] <= end; i++) {
        uint32_t number = leads->operations[i];
        if (search->completed[number].called <= end &&
            !moot_search_is_placed(search->draft, search->draft_count, number)) {
            return true;
        }
    }
    for (uint32_t i = may->start[at]; i < may->start[at + 1]; i++) {
        uint32_t number = may->operations[i];
        if (search->doubtful[number].called > end) {
            break;
        }
        if (number != doubtful && (used[number / 64] >> (number % 64) & 1) == 0) {
            return true;
        }
    }
    return false;
}

/* True when the parent's state is left while somebody who is not in the draft must still find it,
 * and nothing leads back in time. `doubtful` is in the draft, or NOTHING. */
static bool is_missed(struct moot_search *search, const struct moot_configuration *parent,
                      uint32_t doubtful)
{
    if (search->first_call == NULL) {
        return false;
    }
    const struct moot_search_by_state *finds = &search->roles[MOOT_SEARCH_FINDS];
    uint32_t at = place_of(search, parent->state);
    for (uint32_t i = first_from(finds, at, parent->frontier); i < finds->start[at + 1]; i++) {
        uint32_t finder = finds->operations[i];
        if (!moot_search_is_placed(search->draft, search->draft_count, finder)) {
            uint64_t end = search->completed[finder].end;
            return !comes_back(search, parent, at, end, doubtful);
        }
    }
    return false;
}

static bool needs(const struct moot_search *search, uint32_t number, uint64_t part)
{
    size_t count;
    const uint64_t *parts =
        search->model->needed(search->object, &search->completed[number].step, &count);
    for (size_t i = 0; i < count; i++) {
        if (parts[i] == part) {
            return true;
        }
    }
    return false;
}

/* True when a part of the parent's state goes for good that somebody not in the draft needs. */
static bool is_bereft(const struct moot_search *search, const struct moot_configuration *parent,
                      uint64_t state)
{
    uint64_t part = search->last_need == NULL
                        ? MOOT_STATE_ANY
                        : search->model->gone(search->object, parent->state, state);
    uint32_t last = part < search->parts ? search->last_need[part] : NOTHING;
    if (last == NOTHING || last < parent->frontier) {
        return false;
    }
    size_t open_count;
    const uint32_t *open = moot_search_open(search, parent->frontier, &open_count);
    bool bereft = !moot_search_is_placed(search->draft, search->draft_count, last);
    for (size_t i = 0; i < open_count && open[i] < last && !bereft; i++) {
        bereft = !moot_search_is_placed(search->draft, search->draft_count, open[i]) &&
                 needs(search, open[i], part);
    }
    return bereft;
}

void moot_search_note(struct moot_search *search)
{
    if (search->model->trace != NULL) {
        trace_states(search);
    }
    if (search->model->needed != NULL) {
        note_needs(search);
    }
}

void moot_search_forget(struct moot_search *search)
{
    moot_pairs_deinit(&search->states);
    for (unsigned role = 0; role < MOOT_SEARCH_ROLES; role++) {
        moot_free(search->roles[role].start);
        moot_free(search->roles[role].operations);
    }
    moot_free(search->first_call);
    moot_free(search->last_need);
}

bool moot_search_is_lost(struct moot_search *search, const struct moot_configuration *parent,
                         uint64_t state, uint32_t doubtful)
{
    return is_missed(search, parent, doubtful) || is_bereft(search, parent, state);
}
