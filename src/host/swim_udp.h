/* SWIM on a UDP socket of its own: the same host and port number as the TCP port for peers.
 *
 * Members are the nodes that the brain keeps links to; each packet is sealed with the cluster's
 * secret (wire/datagram.h), and what is not is counted and dropped, unanswered. What comes out is
 * advice: whoever cannot have the port goes on without it. */
#ifndef MOOT_HOST_SWIM_UDP_H
#define MOOT_HOST_SWIM_UDP_H

#include "host/loop_internal.h"
#include "moot/swim.h"

struct swim_udp; /* opaque */

/* NULL when this node has no port for peers. */
struct swim_udp *swim_udp__start(struct moot_loop *loop);
/* A node of the cluster, at `address` (HOST:PORT); empty: no longer one. */
void swim_udp__member(struct swim_udp *swim, moot_node_id node, const char *address);
/* False: SWIM knows nothing of it. Who was once known stays what it was last. */
bool swim_udp__state(const struct swim_udp *swim, moot_node_id node, enum moot_swim_state *state);
/* Says goodbye; true while that takes a little longer. */
void swim_udp__leave(struct swim_udp *swim);
bool swim_udp__is_leaving(const struct swim_udp *swim);
void swim_udp__close(struct swim_udp *swim);
void swim_udp__deinit(struct swim_udp *swim); /* After uv has let go of all handles. */

#endif
