/* Listening sockets, on loopback unless told otherwise. */
#ifndef MOOT_HOST_LISTEN_H
#define MOOT_HOST_LISTEN_H

#include "moot/base.h"

/* Binds and listens on `host` (name or number) and `port` (0: any free one). On success *fd and the
 * real *bound_port; on failure MOOT_EREFUSED, and `why` is a sentence that says what to do.
 * `beyond_loopback` allows addresses that others can reach. */
int host__listen(const char *host, int port, bool beyond_loopback, int *fd, int *bound_port,
                 char *why, size_t why_size) MOOT_MUST_USE;

#endif
