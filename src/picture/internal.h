/* What a picture holds; for this room's files only. */
#ifndef MOOT_PICTURE_INTERNAL_H
#define MOOT_PICTURE_INTERNAL_H

#include "base/memory.h"
#include "picture/picture.h"

enum { PICTURE_NAMES_MAX = 128, PICTURE_TRACKS_MAX = 8 };

/* Words that many things share, by number. */
struct picture_names {
    struct moot_slice items[PICTURE_NAMES_MAX];
    uint32_t count;
};

enum picture_fate { PICTURE_ON_THE_WAY, PICTURE_ARRIVED, PICTURE_LOST };
struct picture_message {
    uint32_t kind, from, to;
    enum picture_fate fate;
    uint64_t sent, ended;
    struct moot_slice text, why;
};
struct picture_line {
    enum moot_picture_sort sort;
    struct moot_slice name;
    struct {
        struct moot_slice role;
        uint64_t epoch;
        bool known;
    } tracks[PICTURE_TRACKS_MAX];
    struct moot_slice values[PICTURE_NAMES_MAX]; /* The last said of each field; data NULL: none. */
};
struct picture_role {
    uint32_t line, track;
    uint64_t at, epoch;
    struct moot_slice role;
};
struct picture_state {
    uint32_t line, field;
    uint64_t at;
    struct moot_slice value;
    bool is_number;
};
struct picture_moment {
    uint32_t line;
    enum moot_picture_moment_sort sort;
    uint64_t at;
    struct moot_slice text;
};

/* An array that grows; `items` is of the type that the name says. */
struct picture_array {
    void *items;
    size_t count, capacity;
};

struct moot_picture {
    struct moot_arena arena; /* Owns every text. */
    struct moot_slice title, subtitle, wrong;
    uint64_t from, until, latest;
    struct picture_line *lines;
    uint32_t line_count;
    struct picture_names kinds, fields;
    struct moot_slice tracks[PICTURE_TRACKS_MAX];
    struct picture_array messages;   /* struct picture_message */
    struct picture_array roles;      /* struct picture_role */
    struct picture_array states;     /* struct picture_state */
    struct picture_array moments;    /* struct picture_moment */
    struct picture_array faults;     /* struct moot_picture_fault */
    struct picture_array operations; /* struct moot_picture_operation */
    uint64_t left_out;
};

/* The page: what stands before the data and after it (made from page.html, page.css, *.js). */
extern const uint8_t picture__page[];
extern const uint64_t picture__page_size;

#endif
