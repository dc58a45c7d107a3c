#include "base/status.h"

#include "base/assert.h"

const char *moot_status_text(int status)
{
    switch (status) {
    case MOOT_OK:
        return "ok";
#define X(name, value, text, definite, fatal)                                                      \
    case value:                                                                                    \
        return text;
        MOOT_STATUS_TABLE(X)
#undef X
    default:
        return "unknown status";
    }
}

bool moot_status_is_definite(int status)
{
    switch (status) {
#define X(name, value, text, definite, fatal)                                                      \
    case value:                                                                                    \
        return definite;
        MOOT_STATUS_TABLE(X)
#undef X
    default:
        return false;
    }
}

bool moot_status_is_fatal(int status)
{
    switch (status) {
#define X(name, value, text, definite, fatal)                                                      \
    case value:                                                                                    \
        return fatal;
        MOOT_STATUS_TABLE(X)
#undef X
    default:
        return false;
    }
}

int moot_fail(int status)
{
    MOOT_ASSERT(status < 0);
    return status;
}
