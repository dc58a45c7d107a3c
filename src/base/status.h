/* Where every error of moot's own code is born; the codes are in moot/status.h. */
#ifndef MOOT_BASE_STATUS_H
#define MOOT_BASE_STATUS_H

#include "moot/status.h"

/* Every error is born here: one place for a breakpoint. */
int moot_fail(int status);
#ifdef __clang_analyzer__
#define MOOT_FAIL(status) (status) /* Tells it that a failure is never MOOT_OK. */
#else
#define MOOT_FAIL(status) moot_fail(status)
#endif

#endif
