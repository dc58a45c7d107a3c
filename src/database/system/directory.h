/* The directory: which nodes there are, where they listen, and what they are meant to be; kept by
 * the system group.
 *
 * The state machine holds wishes (a node is a member, or removed); the leaders of the groups bring
 * their configurations in line with them, step by step (node_members.c). So a membership change
 * survives any change of leader, and asking twice is harmless. Ids are never used again: a node
 * that lost its disk comes back under a new one.
 *
 * Records: 01 system 'n' id(4): state u8, peer, client. 01 system 'N': the next id. 01 system 'C':
 * the identity that the cluster was formed with. */
#ifndef MOOT_DATABASE_SYSTEM_DIRECTORY_H
#define MOOT_DATABASE_SYSTEM_DIRECTORY_H

#include "database/command/command.h"
#include "database/node.h"

enum moot_node_state { MOOT_NODE_MEMBER = 1, MOOT_NODE_REMOVED = 2 };

struct moot_directory_node {
    struct moot_address address;
    enum moot_node_state state;
};

struct moot_directory {
    bool formed; /* The first entry of the system group has been executed. */
    struct moot_directory_node nodes[MOOT_NODES_MAX];
    uint32_t count;
};

/* Before anything is in the store: the nodes that the cluster was formed with. */
void moot_directory_from_identity(struct moot_directory *directory,
                                  const struct moot_identity *identity);
/* Reads what the system group has applied. MOOT_EWOULDBLOCK: later; then nothing has changed. */
int moot_directory_load(struct moot_directory *directory, struct moot_view *view) MOOT_MUST_USE;
const struct moot_directory_node *moot_directory_find(const struct moot_directory *directory,
                                                      moot_node_id node);

/* How many joins and removals it knows of: who judges an order by a directory says by which. */
uint64_t moot_directory_changes(const struct moot_directory *directory);

/* Addresses of a configuration's nodes, as far as they are known: they follow the configuration in
 * its entry of the log. So whoever has to reach a member before anything can be executed knows
 * where it is: the address is as durable as the membership. (node u32, peer, client)* */
void moot_directory_put_addresses(const struct moot_directory *directory,
                                  const struct moot_members *members, struct moot_buffer *out);
/* The next of them. False at the end, or when malformed (reader->failed). */
struct moot_reader;
bool moot_directory_next_address(struct moot_reader *reader, struct moot_address *out);

/* Commands of the state machine (flag SYSTEM):
 *   moot.form IDENTITY-HEX          once; later ones change nothing
 *   moot.join PEER CLIENT           a new node: answers its identity in hex
 *   moot.remove ID CHANGES          MOOT_NODE_REMOVED, if the directory still is the one that this
 * was judged by */
int moot_directory_form(struct moot_call *call);
int moot_directory_join(struct moot_call *call);
int moot_directory_remove(struct moot_call *call);

#endif
