/* Lines for people on standard error, and the two ways to die. */
#ifndef MOOT_HOST_SAY_H
#define MOOT_HOST_SAY_H

#include "database/turn.h"

/* One line: wall time, level, text; control characters become '?', so that a line stays one. */
void host__say_slice(enum moot_log_level level, struct moot_slice text);
void host__say(enum moot_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says it and aborts: for what must never be retried. */
_Noreturn void host__die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a process that runs out of memory ends with (moot_memory_ran_out, base/memory.h), at once:
 * what it has acknowledged is in its journal. */
enum { HOST_EXIT_MEMORY = 12 };

#endif
