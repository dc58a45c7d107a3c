/* Assertions say what we believe; they are always on. What was *received* (bytes, files, flags) is
 * never asserted: it is checked and answered with an error.
 *
 * MOOT_ASSERT       always on; one condition each.
 * MOOT_ASSERT_SLOW  O(n) conditions; on in debug, sanitizer and simulator test builds.
 * MOOT_MAYBE        documents that both outcomes happen. */
#ifndef MOOT_BASE_ASSERT_H
#define MOOT_BASE_ASSERT_H

/* The one door out of a failed assertion. The host's version prints and aborts; the library's
 * default traps. Never returns. */
_Noreturn void moot_assert_failed(const char *expression, const char *file, int line);

#define MOOT_ASSERT(cond)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            moot_assert_failed(#cond, __FILE__, __LINE__);                                         \
        }                                                                                          \
    } while (0)

#ifdef MOOT_SLOW_ASSERTS
#define MOOT_ASSERT_SLOW(cond) MOOT_ASSERT(cond)
#else
#define MOOT_ASSERT_SLOW(cond)                                                                     \
    do {                                                                                           \
        (void)sizeof(cond);                                                                        \
    } while (0)
#endif

#define MOOT_UNREACHABLE() moot_assert_failed("unreachable", __FILE__, __LINE__)
#define MOOT_MAYBE(cond)                                                                           \
    do {                                                                                           \
        (void)sizeof((cond));                                                                      \
    } while (0)

#endif
