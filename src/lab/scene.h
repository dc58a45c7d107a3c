/* What scenes are made of: lines, messages, claims. Times are microseconds of the scene. */
#ifndef MOOT_LAB_SCENE_H
#define MOOT_LAB_SCENE_H

#include "base/rng.h"
#include "lab/lab.h"
#include "picture/picture.h"

struct lab {
    struct moot_rng rng;
    struct moot_picture *picture;
    uint64_t now_us, end_us; /* now: of what is said next. */
    struct moot_buffer *text;
    bool held;
    char line_names[64][24];
    uint32_t lines;
};

/* A process or a client: a line of the picture. */
uint32_t lab_line(struct lab *lab, enum moot_picture_sort sort, const char *name);
const char *lab_name(const struct lab *lab, uint32_t line);

/* A line of text with its time, and a mark on the picture's line (or MOOT_PICTURE_NOBODY). */
void lab_say(struct lab *lab, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text only. */
void lab_tell(struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A mark only. */
void lab_mark(struct lab *lab, uint32_t line, enum moot_picture_moment_sort sort,
              const char *format, ...) __attribute__((format(printf, 4, 5)));
void lab_state(struct lab *lab, uint32_t line, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void lab_role(struct lab *lab, uint32_t line, const char *role, uint64_t epoch);
/* From now until arrives_us; lost: it is not there then. */
void lab_message(struct lab *lab, uint32_t from, uint32_t to, const char *kind, uint64_t arrives_us,
                 bool lost, const char *text);
/* An operation of a client. */
void lab_operation(struct lab *lab, uint32_t client, uint32_t by, uint64_t returned_us,
                   bool is_wrong, const char *asked, const char *answer);
void lab_fault(struct lab *lab, uint32_t line, uint64_t until_us, const char *name);

/* What the scene says about the world. Told with `ok` or `WRONG`. */
bool lab_claim(struct lab *lab, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The answer to the scene's question; after the claims that carry it. */
void lab_answer(struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline uint64_t lab_below(struct lab *lab, uint64_t bound)
{
    return moot_rng_below(&lab->rng, bound);
}

void lab_scene_clocks(struct lab *lab);
void lab_scene_hybrid(struct lab *lab);
void lab_scene_commit_wait(struct lab *lab);
void lab_scene_siblings(struct lab *lab);
void lab_scene_phi(struct lab *lab);
void lab_scene_swim(struct lab *lab);
void lab_scene_placement(struct lab *lab);
void lab_scene_quorums(struct lab *lab);
void lab_scene_generals(struct lab *lab);
void lab_scene_fencing(struct lab *lab);
void lab_scene_figure8(struct lab *lab);

#endif
