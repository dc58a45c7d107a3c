/* HOST:PORT as people and configurations write it: a name, an IPv4 address, or an IPv6 address in
 * brackets. The one place that takes it apart. */
#ifndef MOOT_WIRE_ADDRESS_H
#define MOOT_WIRE_ADDRESS_H

#include "base/slice.h"

/* `host` is a view into `text`, without brackets. False, and nothing set, unless the host is not
 * empty and of printable ASCII, the port a number from 1 to 65535, and the whole is shorter than
 * MOOT_ADDRESS_MAX. A colon in a host needs the brackets: "::1:7001" says nothing clearly. */
bool moot_address_split(struct moot_slice text, struct moot_slice *host, uint16_t *port);
/* The same check; the text with its NUL into `out`, MOOT_ADDRESS_MAX bytes. */
bool moot_address_copy(struct moot_slice text, char *out);

#endif
