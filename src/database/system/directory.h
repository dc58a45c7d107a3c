/* The directory: which nodes there are, where they listen, and what they are meant to be; kept by
 * the system group.
 *
 * The state machine holds wishes (a node is a member, or removed); the leaders of the groups bring
 * their configurations in line with them, step by step (node_members.c). So a membership change
 * survives any change of leader, and asking twice is harmless.
 *
 * Ids are given in order and never again: a node that lost its disk comes back under a new one. So
 * who was removed need not be remembered for ever: every id below the next one that is not in the
 * directory was (or never was anybody). The last few that were are listed, with where they
 * listened, so that whoever missed its removal is found and told; a join takes others off the list.
 *
 * Records: 01 system 'n' id(4): state u8, peer, client, from version 2 the number of the change
 * that removed it u64. 01 system 'N': the next id u32, and how many were taken off the list u32,
 * when it is not 0. 01 system 'C': the identity that the cluster was formed with.
 *
 * Under feature level 1 nobody was taken off the list, so a cluster had MOOT_NODES_MAX ids for its
 * whole life. A join that finds them all given asks for level 2. */
#ifndef MOOT_DATABASE_SYSTEM_DIRECTORY_H
#define MOOT_DATABASE_SYSTEM_DIRECTORY_H

#include "database/command/command.h"
#include "database/node.h"

enum {
    DIRECTORY_LEVEL_LISTS = 2, /* The feature level from which on all but the last are taken off. */
};
/* UNKNOWN: as far as this directory knows, its id was not given yet. */
enum moot_node_state { MOOT_NODE_UNKNOWN, MOOT_NODE_MEMBER, MOOT_NODE_REMOVED };

struct moot_directory_node {
    struct moot_address address;
    enum moot_node_state state;
    uint64_t removed_as; /* moot_directory_changes() then; 0: a member, or removed under level 1. */
};

struct moot_directory {
    bool formed; /* The first entry of the system group has been executed. */
    struct moot_directory_node nodes[MOOT_NODES_MAX]; /* By id. */
    uint32_t count;
    moot_node_id next; /* Lower ids have been given; 0: not formed. */
    uint32_t unlisted; /* So many were removed and are not in `nodes` any more. */
};

/* Before anything is in the store: the nodes that the cluster was formed with. */
void moot_directory_from_identity(struct moot_directory *directory,
                                  const struct moot_identity *identity);
/* Reads what the system group has applied. MOOT_EWOULDBLOCK: later; then nothing has changed. */
int moot_directory_load(struct moot_directory *directory, struct moot_view *view) MOOT_MUST_USE;
/* Where it listens; NULL: it is not listed. */
const struct moot_directory_node *moot_directory_find(const struct moot_directory *directory,
                                                      moot_node_id node);
/* Also of those that are not listed. */
enum moot_node_state moot_directory_state(const struct moot_directory *directory,
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
