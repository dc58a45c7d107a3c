#include "base/assert.h"

/* Weak so that a program that embeds libmoot, or the host, can print before it dies. */
__attribute__((weak)) _Noreturn void moot_assert_failed(const char *expression, const char *file,
                                                        int line)
{
    (void)expression;
    (void)file;
    (void)line;
    __builtin_trap();
}
