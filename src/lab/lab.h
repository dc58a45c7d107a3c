/* Small scenes that answer one question each: what the algorithms of libmoot do, seen.
 *
 * A scene is a deterministic run of the shipped modules, decided by a seed: a text that tells what
 * happens, a picture (src/picture), and an answer that code has checked. What a scene claims must
 * hold for every seed; a claim that does not is said, and the run has failed. */
#ifndef MOOT_LAB_LAB_H
#define MOOT_LAB_LAB_H

#include "base/buffer.h"
#include "moot/base.h"

struct lab;

struct lab_scene {
    const char *name;
    const char *line; /* What one sees, in a line. */
    const char *question;
    void (*run)(struct lab *lab);
};
/* All scenes, in the order in which a reader should meet them; *count of them. */
const struct lab_scene *lab_scenes(size_t *count);
/* NULL: there is none. */
const struct lab_scene *lab_scene_of(const char *name);

struct lab_result {
    bool held;               /* Every claim. */
    struct moot_buffer text; /* Lines for people. */
    struct moot_buffer page; /* One HTML file. */
};
void lab_result_init(struct lab_result *result);
void lab_result_deinit(struct lab_result *result);
/* The same seed, the same text and page. */
void lab_run(const struct lab_scene *scene, uint64_t seed, struct lab_result *result);

#endif
