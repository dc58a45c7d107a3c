/* What nodes say about their cluster: the reply of `MOOT STATUS`, read.
 *
 *     {"node": 1, "leader": 1, "term": 2, "commit": 10, "applied": 10, "ops": 123,
 *      "changing": false,
 *      "nodes": [{"node": 1, "client": "127.0.0.1:7001", "peer": "127.0.0.1:17001",
 *                 "role": "voter", "match": 10}, ...]}
 *
 * Numbers are db0's. What a node does not know may be missing: it reads as -1. */
#ifndef MOOT_CLI_VIEW_H
#define MOOT_CLI_VIEW_H

#include <stdint.h>

#include "base/limits.h"
#include "moot/base.h"

struct cli_member {
    int64_t node, match; /* match: as the leader knows it */
    char client[MOOT_ADDRESS_MAX], peer[MOOT_ADDRESS_MAX], role[16];
    char health[16]; /* As the node that was asked believes; advice. */
    int64_t phi_milli;
};
struct cli_view {
    int64_t node, leader, term, commit, applied, ops;
    bool changing;
    char handed_over[160]; /* Why the node last gave up leadership because it was ill. */
    struct cli_member members[MOOT_NODES_MAX];
    uint32_t member_count;
};

/* False: no JSON object. */
bool cli_view_read(struct cli_view *view, const char *json, size_t size);
/* Asks a node; false and `why`. */
bool cli_view_ask(struct cli_view *view, const char *address, int limit_ms, char why[256]);

#endif
