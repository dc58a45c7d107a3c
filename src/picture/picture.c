#include "picture/internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/slice.h"

static const struct moot_slice OTHER = {(const uint8_t *)"other", 5};

/* ---- small services ---- */

static struct moot_slice copy(struct moot_picture *picture, struct moot_slice text)
{
    return moot_arena_copy(&picture->arena, text);
}

/* One more item, zeroed; NULL when there are too many already. */
static void *add(struct moot_picture *picture, struct picture_array *array, size_t size)
{
    if (array->count == MOOT_PICTURE_EVENTS_MAX) {
        picture->left_out++;
        return NULL;
    }
    if (array->count == array->capacity) {
        array->capacity = array->capacity == 0 ? 64 : array->capacity * 2;
        array->items = moot_realloc(array->items, array->capacity * size);
    }
    void *item = (uint8_t *)array->items + array->count++ * size;
    memset(item, 0, size);
    return item;
}

/* Beyond the greatest number of names all others are one. */
static uint32_t number_of(struct moot_picture *picture, struct picture_names *names,
                          struct moot_slice name)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (moot_slice_equal(names->items[i], name)) {
            return i;
        }
    }
    if (names->count == PICTURE_NAMES_MAX - 1) {
        names->items[names->count++] = OTHER;
    }
    if (names->count == PICTURE_NAMES_MAX) {
        return PICTURE_NAMES_MAX - 1;
    }
    names->items[names->count] = copy(picture, name);
    return names->count++;
}

static bool is_shown(struct moot_picture *picture, uint64_t at)
{
    picture->latest = moot_max_u64(picture->latest, at);
    return at >= picture->from && at <= picture->until;
}

/* ---- beginning and end ---- */

struct moot_picture *moot_picture_make(const struct moot_picture_options *options)
{
    struct moot_picture *picture = moot_alloc_zero(sizeof(*picture));
    moot_arena_init(&picture->arena);
    picture->title = copy(picture, options->title);
    picture->subtitle = copy(picture, options->subtitle);
    picture->from = options->from;
    picture->until = options->until == 0 ? UINT64_MAX : options->until;
    MOOT_ASSERT(picture->from <= picture->until);
    return picture;
}

void moot_picture_free(struct moot_picture *picture)
{
    if (picture == NULL) {
        return;
    }
    struct picture_array *arrays[] = {&picture->messages, &picture->roles,  &picture->states,
                                      &picture->moments,  &picture->faults, &picture->operations};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(arrays); i++) {
        moot_free(arrays[i]->items);
    }
    moot_free(picture->lines);
    moot_arena_deinit(&picture->arena);
    moot_free(picture);
}

uint32_t moot_picture_line(struct moot_picture *picture, enum moot_picture_sort sort,
                           struct moot_slice name)
{
    MOOT_ASSERT(picture->line_count < MOOT_PICTURE_LINES_MAX);
    picture->lines =
        moot_realloc(picture->lines, (picture->line_count + 1) * sizeof(*picture->lines));
    struct picture_line *line = &picture->lines[picture->line_count];
    *line = (struct picture_line){.sort = sort, .name = copy(picture, name)};
    return picture->line_count++;
}

void moot_picture_track_name(struct moot_picture *picture, uint32_t track, struct moot_slice name)
{
    MOOT_ASSERT(track < PICTURE_TRACKS_MAX);
    picture->tracks[track] = copy(picture, name);
}

void moot_picture_verdict(struct moot_picture *picture, struct moot_slice words)
{
    picture->wrong = copy(picture, words);
}

uint64_t moot_picture_left_out(const struct moot_picture *picture) { return picture->left_out; }

/* ---- messages ---- */

size_t moot_picture_sent(struct moot_picture *picture, const struct moot_picture_message *message)
{
    MOOT_ASSERT(message->from < picture->line_count);
    MOOT_ASSERT(message->to == MOOT_PICTURE_NOBODY || message->to < picture->line_count);
    struct picture_message *made = NULL;
    if (is_shown(picture, message->sent)) {
        made = add(picture, &picture->messages, sizeof(*made));
    }
    if (made == NULL) {
        return SIZE_MAX;
    }
    *made = (struct picture_message){.kind = number_of(picture, &picture->kinds, message->kind),
                                     .from = message->from,
                                     .to = message->to,
                                     .sent = message->sent,
                                     .text = copy(picture, message->text)};
    return picture->messages.count - 1;
}

static struct picture_message *message_of(struct moot_picture *picture, size_t number)
{
    MOOT_ASSERT(number == SIZE_MAX || number < picture->messages.count);
    return number == SIZE_MAX ? NULL : (struct picture_message *)picture->messages.items + number;
}

void moot_picture_arrived(struct moot_picture *picture, size_t message, uint64_t at)
{
    struct picture_message *known = message_of(picture, message);
    if (known != NULL) {
        MOOT_ASSERT(at >= known->sent);
        known->fate = PICTURE_ARRIVED;
        known->ended = at;
    }
}

void moot_picture_lost(struct moot_picture *picture, size_t message, uint64_t at,
                       struct moot_slice why)
{
    struct picture_message *known = message_of(picture, message);
    if (known != NULL) {
        MOOT_ASSERT(at >= known->sent);
        known->fate = PICTURE_LOST;
        known->ended = at;
        known->why = copy(picture, why);
    }
}

/* ---- along a line ---- */

void moot_picture_role(struct moot_picture *picture, uint32_t line, uint32_t track, uint64_t at,
                       struct moot_slice role, uint64_t epoch)
{
    MOOT_ASSERT(line < picture->line_count && track < PICTURE_TRACKS_MAX);
    struct picture_line *of = &picture->lines[line];
    bool same = of->tracks[track].known && of->tracks[track].epoch == epoch &&
                moot_slice_equal(of->tracks[track].role, role);
    struct picture_role *made = NULL;
    if (!same && at <= picture->until) {
        made = add(picture, &picture->roles, sizeof(*made));
    }
    if (made != NULL) {
        *made = (struct picture_role){line, track, at, epoch, copy(picture, role)};
        of->tracks[track].role = made->role;
        of->tracks[track].epoch = epoch;
        of->tracks[track].known = true;
    }
}

static void set_state(struct moot_picture *picture, const struct picture_state *state)
{
    MOOT_ASSERT(state->line < picture->line_count);
    struct moot_slice *last = &picture->lines[state->line].values[state->field];
    bool same = last->data != NULL && moot_slice_equal(*last, state->value);
    struct picture_state *made = NULL;
    if (!same && state->at <= picture->until) {
        made = add(picture, &picture->states, sizeof(*made));
    }
    if (made != NULL) {
        *made = *state;
        made->value = copy(picture, state->value);
        *last = made->value.size == 0 ? MOOT_SLICE_LITERAL("") : made->value;
    }
}

void moot_picture_state(struct moot_picture *picture, uint32_t line, uint64_t at,
                        struct moot_slice field, struct moot_slice value)
{
    uint32_t number = number_of(picture, &picture->fields, field);
    set_state(picture, &(struct picture_state){line, number, at, value, false});
}

void moot_picture_number(struct moot_picture *picture, uint32_t line, uint64_t at,
                         struct moot_slice field, uint64_t value)
{
    char digits[24];
    uint32_t number = number_of(picture, &picture->fields, field);
    struct moot_slice text = moot_slice_make(digits, moot_text_u64(digits, value));
    set_state(picture, &(struct picture_state){line, number, at, text, true});
}

void moot_picture_moment(struct moot_picture *picture, uint32_t line, uint64_t at,
                         enum moot_picture_moment_sort sort, struct moot_slice text)
{
    MOOT_ASSERT(line == MOOT_PICTURE_NOBODY || line < picture->line_count);
    MOOT_ASSERT(sort < MOOT_PICTURE_MOMENT_SORTS);
    struct picture_moment *made = NULL;
    if (is_shown(picture, at)) {
        made = add(picture, &picture->moments, sizeof(*made));
    }
    if (made != NULL) {
        *made = (struct picture_moment){line, sort, at, copy(picture, text)};
    }
}

/* ---- faults and clients ---- */

size_t moot_picture_fault(struct moot_picture *picture, const struct moot_picture_fault *fault)
{
    MOOT_ASSERT(fault->from <= fault->until);
    struct moot_picture_fault *made = add(picture, &picture->faults, sizeof(*made));
    if (made == NULL) {
        return SIZE_MAX;
    }
    *made = *fault;
    made->name = copy(picture, fault->name);
    made->text = copy(picture, fault->text);
    return picture->faults.count - 1;
}

void moot_picture_fault_ends(struct moot_picture *picture, size_t number, uint64_t at)
{
    MOOT_ASSERT(number == SIZE_MAX || number < picture->faults.count);
    if (number != SIZE_MAX) {
        struct moot_picture_fault *fault =
            (struct moot_picture_fault *)picture->faults.items + number;
        fault->until = moot_min_u64(fault->until, moot_max_u64(at, fault->from));
    }
}

void moot_picture_operation(struct moot_picture *picture,
                            const struct moot_picture_operation *operation)
{
    MOOT_ASSERT(operation->line < picture->line_count);
    MOOT_ASSERT(operation->by == MOOT_PICTURE_NOBODY || operation->by < picture->line_count);
    bool shown = operation->called <= picture->until && operation->returned >= picture->from;
    struct moot_picture_operation *made = NULL;
    if (shown || operation->is_wrong) {
        made = add(picture, &picture->operations, sizeof(*made));
    }
    if (made != NULL) {
        *made = *operation;
        made->asked = copy(picture, operation->asked);
        made->answer = copy(picture, operation->answer);
    }
}
