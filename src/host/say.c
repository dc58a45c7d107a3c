#include "host/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/slice.h"

enum { LINE_MAX_BYTES = 2048 };

void host__say_slice(enum moot_log_level level, struct moot_slice text)
{
    static const char *const names[] = {"info ", "warn ", "ERROR"};
    MOOT_ASSERT(level < MOOT_ARRAY_LEN(names));
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char line[LINE_MAX_BYTES];
    size_t size = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &utc);
    size += (size_t)snprintf(line + size, sizeof(line) - size, ".%03ldZ %s ", now.tv_nsec / 1000000,
                             names[level]);
    for (size_t i = 0; i < text.size && size < sizeof(line) - 1; i++) {
        line[size++] = text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : (char)text.data[i];
    }
    line[size++] = '\n';
    /* One write: lines of several threads do not mix. A log that cannot be written is no reason to
     * stop serving. */
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written;
}

static void say_list(enum moot_log_level level, const char *format, va_list list)
{
    char text[LINE_MAX_BYTES];
    vsnprintf(text, sizeof(text), format, list);
    host__say_slice(level, moot_slice_text(text));
}

void host__say(enum moot_log_level level, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(level, format, list);
    va_end(list);
}

_Noreturn void host__die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(MOOT_LOG_ERROR, format, list);
    va_end(list);
    abort();
}

_Noreturn void moot_assert_failed(const char *expression, const char *file, int line)
{
    host__die("assertion failed: %s (%s:%d)", expression, file, line);
}

/* No core: it would be as large as the memory that there is not. */
_Noreturn void moot_memory_ran_out(size_t size)
{
    host__say(MOOT_LOG_ERROR,
              "out of memory: %zu bytes are not to be had. This process ends; what it has "
              "acknowledged is in its journal: give it more memory, or less to hold "
              "(--store-cache-mb), and start it again",
              size);
    _exit(HOST_EXIT_MEMORY);
}
