#include "lab/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "lab/scene.h"

static const struct lab_scene SCENES[] = {
    {"generals", "two generals: no number of acknowledgements is enough",
     "Can two processes agree for sure, when every message may be lost?", lab_scene_generals},
    {"clocks", "Lamport and vector clocks on one run",
     "Which pairs of events can each clock tell apart?", lab_scene_clocks},
    {"hybrid", "a hybrid clock meets one that jumps", "What do stamps keep when a clock is wrong?",
     lab_scene_hybrid},
    {"commit-wait", "an interval of time, and waiting it out",
     "When may a commit be shown, if no clock is exact?", lab_scene_commit_wait},
    {"siblings", "concurrent writes: last writer wins, and dotted version vectors",
     "Who loses a write when two clients write at once?", lab_scene_siblings},
    {"phi", "phi accrual against a fixed time-out, on a link that jitters",
     "How soon may silence be called death?", lab_scene_phi},
    {"swim", "SWIM: a false suspicion refuted, a dead member found",
     "How does a group learn who is gone, without everybody watching everybody?", lab_scene_swim},
    {"placement", "ring, rendezvous, jump and modulo when a node joins", "How many keys must move?",
     lab_scene_placement},
    {"quorums", "stale reads, by R and W", "When can a read miss an acknowledged write?",
     lab_scene_quorums},
    {"fencing", "a leader paused past its lease, and the token that saves the data",
     "Is a lock with a time-out enough?", lab_scene_fencing},
    {"figure-8", "Raft's Figure 8, played by the shipped core",
     "Is an entry on a majority committed?", lab_scene_figure8},
};

const struct lab_scene *lab_scenes(size_t *count)
{
    *count = MOOT_ARRAY_LEN(SCENES);
    return SCENES;
}

const struct lab_scene *lab_scene_of(const char *name)
{
    for (size_t i = 0; i < MOOT_ARRAY_LEN(SCENES); i++) {
        if (strcmp(SCENES[i].name, name) == 0) {
            return &SCENES[i];
        }
    }
    return NULL;
}

/* ---- words ---- */

enum { WORDS_MAX = 512 };

static struct moot_slice words(char out[WORDS_MAX], const char *format, va_list list)
{
    int size = vsnprintf(out, WORDS_MAX, format, list);
    MOOT_ASSERT(size >= 0);
    return moot_slice_make(out, moot_min_u64((uint64_t)size, WORDS_MAX - 1));
}

static uint64_t ns(uint64_t us) { return us * MOOT_USEC_NS; }

void lab_say(struct lab *lab, uint32_t line, const char *format, ...)
{
    char text[WORDS_MAX], head[64];
    va_list list;
    va_start(list, format);
    struct moot_slice said = words(text, format, list);
    va_end(list);
    snprintf(head, sizeof(head), "%9.1f ms  %-9s ", (double)lab->now_us / 1000,
             line == MOOT_PICTURE_NOBODY ? "" : lab_name(lab, line));
    moot_buffer_append_text(lab->text, head);
    moot_buffer_append_slice(lab->text, said);
    moot_buffer_append_text(lab->text, "\n");
    moot_picture_moment(lab->picture, line, ns(lab->now_us),
                        line == MOOT_PICTURE_NOBODY ? MOOT_PICTURE_PHASE : MOOT_PICTURE_DECISION,
                        said);
    lab->end_us = moot_max_u64(lab->end_us, lab->now_us);
}

void lab_tell(struct lab *lab, const char *format, ...)
{
    char text[WORDS_MAX];
    va_list list;
    va_start(list, format);
    moot_buffer_append_slice(lab->text, words(text, format, list));
    va_end(list);
    moot_buffer_append_text(lab->text, "\n");
}

void lab_mark(struct lab *lab, uint32_t line, enum moot_picture_moment_sort sort,
              const char *format, ...)
{
    char text[WORDS_MAX];
    va_list list;
    va_start(list, format);
    moot_picture_moment(lab->picture, line, ns(lab->now_us), sort, words(text, format, list));
    va_end(list);
    lab->end_us = moot_max_u64(lab->end_us, lab->now_us);
}

void lab_state(struct lab *lab, uint32_t line, const char *field, const char *format, ...)
{
    char text[WORDS_MAX];
    va_list list;
    va_start(list, format);
    moot_picture_state(lab->picture, line, ns(lab->now_us), moot_slice_text(field),
                       words(text, format, list));
    va_end(list);
}

void lab_role(struct lab *lab, uint32_t line, const char *role, uint64_t epoch)
{
    moot_picture_role(lab->picture, line, 0, ns(lab->now_us), moot_slice_text(role), epoch);
}

/* ---- things of the picture ---- */

uint32_t lab_line(struct lab *lab, enum moot_picture_sort sort, const char *name)
{
    MOOT_ASSERT(lab->lines < MOOT_ARRAY_LEN(lab->line_names));
    snprintf(lab->line_names[lab->lines], sizeof(lab->line_names[0]), "%s", name);
    uint32_t line = moot_picture_line(lab->picture, sort, moot_slice_text(name));
    MOOT_ASSERT(line == lab->lines);
    lab->lines++;
    return line;
}

const char *lab_name(const struct lab *lab, uint32_t line)
{
    MOOT_ASSERT(line < lab->lines);
    return lab->line_names[line];
}

void lab_message(struct lab *lab, uint32_t from, uint32_t to, const char *kind, uint64_t arrives_us,
                 bool lost, const char *text)
{
    size_t message = moot_picture_sent(
        lab->picture, &(struct moot_picture_message){.kind = moot_slice_text(kind),
                                                     .from = from,
                                                     .to = to,
                                                     .sent = ns(lab->now_us),
                                                     .text = moot_slice_text(text)});
    if (lost) {
        moot_picture_lost(lab->picture, message, ns(arrives_us), MOOT_SLICE_LITERAL("lost"));
    } else {
        moot_picture_arrived(lab->picture, message, ns(arrives_us));
    }
    lab->end_us = moot_max_u64(lab->end_us, arrives_us);
}

void lab_operation(struct lab *lab, uint32_t client, uint32_t by, uint64_t returned_us,
                   bool is_wrong, const char *asked, const char *answer)
{
    moot_picture_operation(lab->picture,
                           &(struct moot_picture_operation){.line = client,
                                                            .by = by,
                                                            .called = ns(lab->now_us),
                                                            .returned = ns(returned_us),
                                                            .outcome = MOOT_PICTURE_OK,
                                                            .asked = moot_slice_text(asked),
                                                            .answer = moot_slice_text(answer),
                                                            .is_wrong = is_wrong});
    lab->end_us = moot_max_u64(lab->end_us, returned_us);
}

void lab_fault(struct lab *lab, uint32_t line, uint64_t until_us, const char *name)
{
    (void)moot_picture_fault(lab->picture,
                             &(struct moot_picture_fault){.name = moot_slice_text(name),
                                                          .lines = UINT64_C(1) << line,
                                                          .from = ns(lab->now_us),
                                                          .until = ns(until_us)});
    lab->end_us = moot_max_u64(lab->end_us, until_us);
}

/* ---- claims ---- */

bool lab_claim(struct lab *lab, bool holds, const char *format, ...)
{
    char text[WORDS_MAX];
    va_list list;
    va_start(list, format);
    struct moot_slice said = words(text, format, list);
    va_end(list);
    moot_buffer_append_text(lab->text, holds ? "  ok     " : "  WRONG  ");
    moot_buffer_append_slice(lab->text, said);
    moot_buffer_append_text(lab->text, "\n");
    if (!holds) {
        lab->held = false;
        moot_picture_verdict(lab->picture, said);
    }
    return holds;
}

void lab_answer(struct lab *lab, const char *format, ...)
{
    char text[WORDS_MAX];
    va_list list;
    va_start(list, format);
    moot_buffer_append_text(lab->text, "\nAnswer: ");
    moot_buffer_append_slice(lab->text, words(text, format, list));
    va_end(list);
    moot_buffer_append_text(lab->text, "\n");
}

/* ---- a run ---- */

void lab_result_init(struct lab_result *result)
{
    result->held = false;
    moot_buffer_init(&result->text);
    moot_buffer_init(&result->page);
}

void lab_result_deinit(struct lab_result *result)
{
    moot_buffer_deinit(&result->text);
    moot_buffer_deinit(&result->page);
}

void lab_run(const struct lab_scene *scene, uint64_t seed, struct lab_result *result)
{
    char subtitle[128];
    snprintf(subtitle, sizeof(subtitle), "%s: moot lab run %s --seed %llu", scene->line,
             scene->name, (unsigned long long)seed);
    struct lab lab = {.text = &result->text, .held = true};
    moot_rng_init(&lab.rng, seed);
    lab.picture = moot_picture_make(&(struct moot_picture_options){
        .title = moot_slice_text(scene->question), .subtitle = moot_slice_text(subtitle)});
    lab_tell(&lab, "%s\n", scene->question);
    scene->run(&lab);
    moot_picture_page(lab.picture, ns(lab.end_us + 1), &result->page);
    moot_picture_free(lab.picture);
    result->held = lab.held;
}
