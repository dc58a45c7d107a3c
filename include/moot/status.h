/* One table of everything that can go wrong.
 *
 * A status is an int: 0, or one of these negative codes. Each says whether the failure is
 * definite (surely nothing happened) or indefinite (it may have happened, and may yet), and
 * whether it ends the process. */
#ifndef MOOT_STATUS_H
#define MOOT_STATUS_H

#include "moot/base.h"

/* X(NAME, value, text, definite, fatal) */
#define MOOT_STATUS_TABLE(X)                                                                       \
    X(NOTFOUND, -1, "not found", true, false)                                                      \
    X(WOULDBLOCK, -2, "not in memory; fetch it and run again", true, false)                        \
    X(CORRUPT, -3, "checksum or structure is wrong", true, false)                                  \
    X(INVALID, -4, "malformed input", true, false)                                                 \
    X(LIMIT, -5, "over a limit", true, false)                                                      \
    X(NOTLEADER, -6, "this node does not lead the group", true, false)                             \
    X(OVERLOADED, -7, "a queue is full", true, false)                                              \
    X(INDOUBT, -8, "the outcome is not known", false, false)                                       \
    X(IO, -9, "the disk refused", false, true)                                                     \
    X(NOSPACE, -10, "the disk is full", true, false)                                               \
    X(VERSION, -11, "written by a version that this one cannot read", true, false)                 \
    X(BUSY, -12, "another operation of this kind is under way", true, false)                       \
    X(REFUSED, -13, "refused: it would break a promise", true, false)                              \
    X(MEMORY, -14, "out of memory", true, true)                                                    \
    X(AGAIN, -15, "more bytes are needed", true, false)                                            \
    X(DUE, -16, "the key is past its expiry; expire it through the log first", true, false)        \
    X(BUDGET, -17, "touches more elements than one command may", true, false)

enum moot_status {
    MOOT_OK = 0,
#define X(name, value, text, definite, fatal) MOOT_E##name = (value),
    MOOT_STATUS_TABLE(X)
#undef X
};

/* The sentence of a status; "ok" for 0, "unknown status" for a number outside the table. */
const char *moot_status_text(int status);
/* True when `status` means that surely nothing happened. */
bool moot_status_is_definite(int status);
/* True when the process must end. */
bool moot_status_is_fatal(int status);

#endif
