/* What a node says of itself and its cluster: INFO, ROLE, CLUSTER, MOOT STATUS, and the orders MOOT
 * JOIN and MOOT CLUSTER. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "database/edge/edge.h"
#include "wire/address.h"

/* ---- INFO ---- */

static void field_text(struct moot_buffer *out, const char *name, const char *value)
{
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, ":");
    moot_buffer_append_text(out, value);
    moot_buffer_append_text(out, "\r\n");
}

static void field(struct moot_buffer *out, const char *name, uint64_t value)
{
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, ":");
    moot_buffer_append_u64(out, value);
    moot_buffer_append_text(out, "\r\n");
}

static uint64_t uptime(const struct moot_edge *edge)
{
    return moot_instant_since(edge->now.instant, edge->started).ns / MOOT_SEC_NS;
}

static void hex(struct moot_buffer *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        moot_buffer_append(out, pair, 2);
    }
}

static void info_server(const struct moot_edge *edge, struct moot_buffer *out)
{
    field_text(out, "redis_version", MOOT_REDIS_VERSION);
    field_text(out, "moot_version", MOOT_VERSION);
    field_text(out, "redis_mode", "standalone");
    field_text(out, "os", "Linux");
    field_text(out, "arch_bits", "64");
    moot_buffer_append_text(out, "run_id:");
    hex(out, edge->identity->cluster, MOOT_CLUSTER_ID_BYTES);
    moot_buffer_append_text(out, "00000000\r\n");
    field(out, "uptime_in_seconds", uptime(edge));
    field(out, "uptime_in_days", uptime(edge) / 86400);
}

static void info_clients(const struct moot_edge *edge, struct moot_buffer *out)
{
    field(out, "connected_clients", edge->connection_count);
    field(out, "maxclients", MOOT_CLIENTS_MAX);
    field(out, "blocked_clients", edge->blocked_count);
}

/* As Redis writes it: 512B, 1.50K, 3.25M. */
static void field_human(struct moot_buffer *out, const char *name, uint64_t bytes)
{
    static const char units[] = {'B', 'K', 'M', 'G', 'T'};
    uint64_t whole = bytes, rest = 0;
    size_t unit = 0;
    while (whole >= 1024 && unit + 1 < sizeof(units)) {
        rest = whole % 1024;
        whole /= 1024;
        unit++;
    }
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, ":");
    moot_buffer_append_u64(out, whole);
    if (unit > 0) {
        moot_buffer_append_text(out, rest * 100 / 1024 < 10 ? ".0" : ".");
        moot_buffer_append_u64(out, rest * 100 / 1024);
    }
    moot_buffer_append(out, &units[unit], 1);
    moot_buffer_append_text(out, "\r\n");
}

/* What the node counts itself; what its process takes of the machine is not known in here. */
static void info_memory(const struct moot_edge *edge, struct moot_buffer *out)
{
    uint64_t log = 0, unstored = 0, recent = 0, replies = 0;
    uint64_t clients = edge->clients_bytes + edge->table_capacity * sizeof(edge->table[0]);
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        log += edge->groups[id].log_bytes;
        unstored += edge->groups[id].unstored_bytes;
        recent += edge->groups[id].recent_bytes;
        replies += edge->groups[id].ring_bytes;
        clients += edge->streams[id].queued_bytes;
    }
    field(out, "used_memory", log + unstored + recent + replies + clients);
    field_human(out, "used_memory_human", log + unstored + recent + replies + clients);
    field(out, "moot_memory_log", log);
    field(out, "moot_memory_unstored", unstored);
    field(out, "moot_memory_recent_values", recent);
    field(out, "moot_memory_recent_replies", replies);
    field(out, "moot_memory_clients", clients);
    field_text(out, "moot_memory_not_counted", "store,libraries,code");
    field(out, "mem_clients_normal", edge->clients_bytes);
    field(out, "maxmemory_clients", MOOT_CLIENTS_BYTES_MAX);
    field_text(out, "maxmemory", "0");
    field_text(out, "maxmemory_human", "0B");
    field_text(out, "maxmemory_policy", "noeviction");
}

static void info_persistence(const struct moot_edge *edge, struct moot_buffer *out)
{
    (void)edge;
    field_text(out, "loading", "0");
    field_text(out, "async_loading", "0");
    field_text(out, "aof_enabled", "1");
    field_text(out, "rdb_bgsave_in_progress", "0");
}

static void info_stats(const struct moot_edge *edge, struct moot_buffer *out)
{
    const struct moot_edge_counts *counts = &edge->counts;
    field(out, "total_connections_received", counts->connections);
    field(out, "total_commands_processed", counts->commands);
    field(out, "rejected_connections", counts->rejected);
    field(out, "evicted_clients", counts->evicted);
    field(out, "total_net_input_bytes", counts->bytes_in);
    field(out, "total_net_output_bytes", counts->bytes_out);
    field(out, "moot_reads", counts->reads);
    field(out, "moot_writes", counts->writes);
    field(out, "moot_in_doubt", counts->in_doubt);
    field(out, "moot_overloaded", counts->overloaded);
    field(out, "moot_timed_out", counts->timed_out);
    field(out, "moot_batches_sent_again", edge->streams[MOOT_GROUP_DB0].resent);
}

static void info_replication(const struct moot_edge *edge, struct moot_buffer *out)
{
    const struct moot_group_view *db0 = &edge->groups[MOOT_GROUP_DB0];
    field_text(out, "role", "master"); /* Every node serves every command. */
    field(out, "connected_slaves",
          db0->members->voter_count == 0 ? 0 : db0->members->voter_count - 1u);
    field(out, "master_repl_offset", db0->applied);
    field_text(out, "moot_leads", db0->leads ? "1" : "0");
    field(out, "moot_leader", db0->leader);
    field(out, "moot_term", db0->term);
    field(out, "moot_commit", db0->commit);
    field(out, "moot_applied", db0->applied);
    field(out, "moot_last", db0->last);
    field(out, "moot_log_bytes", db0->log_bytes);
    field(out, "moot_waiters", db0->waiters);
    field(out, "moot_long_reads", db0->long_reads);
    field(out, "moot_long_reads_total", db0->long_reads_begun);
    field(out, "moot_feature_level", db0->feature_level);
    field_text(out, "moot_fenced", db0->fenced ? "1" : "0");
    field_text(out, "moot_impaired", db0->impaired ? "1" : "0");
}

static void info_cluster(const struct moot_edge *edge, struct moot_buffer *out)
{
    (void)edge;
    field_text(out, "cluster_enabled", "1"); /* Or RedisCluster of redis-py refuses. */
}

static void info_keyspace(const struct moot_edge *edge, struct moot_buffer *out)
{
    for (uint8_t database = 0; database < MOOT_DATABASES; database++) {
        uint64_t keys = edge->key_counts[database];
        if (keys > 0) {
            moot_buffer_append_text(out, "db");
            moot_buffer_append_u64(out, database);
            moot_buffer_append_text(out, ":keys=");
            moot_buffer_append_u64(out, keys);
            moot_buffer_append_text(out, ",expires=0,avg_ttl=0\r\n");
        }
    }
}

static const struct {
    const char *name, *title;
    void (*write)(const struct moot_edge *edge, struct moot_buffer *out);
} SECTIONS[] = {
    {"server", "# Server\r\n", info_server},
    {"clients", "# Clients\r\n", info_clients},
    {"memory", "# Memory\r\n", info_memory},
    {"persistence", "# Persistence\r\n", info_persistence},
    {"stats", "# Stats\r\n", info_stats},
    {"replication", "# Replication\r\n", info_replication},
    {"peers", "# Peers\r\n", edge__info_peers},
    {"cluster", "# Cluster\r\n", info_cluster},
    {"keyspace", "# Keyspace\r\n", info_keyspace},
};

void edge__info(struct moot_edge *edge, struct moot_connection *connection,
                const struct moot_slice *args, uint32_t argc)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(SECTIONS); i++) {
        bool wanted = argc == 1;
        for (uint32_t a = 1; a < argc; a++) {
            wanted = wanted || moot_slice_equal_nocase(args[a], SECTIONS[i].name) ||
                     moot_slice_equal_nocase(args[a], "all") ||
                     moot_slice_equal_nocase(args[a], "everything") ||
                     moot_slice_equal_nocase(args[a], "default");
        }
        if (wanted) {
            moot_buffer_append_text(&text, text.size > 0 ? "\r\n" : "");
            moot_buffer_append_text(&text, SECTIONS[i].title);
            SECTIONS[i].write(edge, &text);
        }
    }
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_verbatim(&resp, "txt", moot_buffer_slice(&text));
    edge__reply_scratch(edge, connection);
    moot_buffer_deinit(&text);
}

/* Every node takes every command: to a client each is a master with the log's offset. */
void edge__role(struct moot_edge *edge, struct moot_connection *connection)
{
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_array(&resp, 3);
    moot_resp_bulk_text(&resp, "master");
    moot_resp_integer(&resp, (int64_t)edge->groups[MOOT_GROUP_DB0].applied);
    moot_resp_array(&resp, 0);
    edge__reply_scratch(edge, connection);
}

/* ---- CLUSTER: all slots belong to this node, which forwards ---- */

/* Redis' node ids are 40 hex digits: the cluster's id and the node's number. */
static void node_name(const struct moot_edge *edge, moot_node_id node, struct moot_buffer *out)
{
    hex(out, edge->identity->cluster, MOOT_CLUSTER_ID_BYTES);
    uint8_t number[4] = {(uint8_t)(node >> 24), (uint8_t)(node >> 16), (uint8_t)(node >> 8),
                         (uint8_t)node};
    hex(out, number, sizeof(number));
}

/* Clients are told a host without the brackets of IPv6. An address that is none is told whole. */
static void split_address(const char *address, struct moot_slice *host, uint64_t *port)
{
    uint16_t number = 0;
    *host = moot_slice_text(address);
    (void)moot_address_split(*host, host, &number);
    *port = number;
}

/* The owner that a cluster-aware client is sent to: the leader if it is known, so that it need not
 * be forwarded; else this node. */
static const struct moot_address *owner(const struct moot_edge *edge)
{
    const struct moot_directory_node *leader =
        moot_directory_find(edge->directory, edge->groups[MOOT_GROUP_DB0].leader);
    return leader != NULL ? &leader->address : &edge->identity->self;
}

static void put_node(struct moot_edge *edge, struct moot_resp *resp,
                     const struct moot_address *address)
{
    struct moot_slice host;
    uint64_t port;
    split_address(address->client, &host, &port);
    struct moot_buffer name;
    moot_buffer_init(&name);
    node_name(edge, address->node, &name);
    moot_resp_array(resp, 4);
    moot_resp_bulk(resp, host);
    moot_resp_integer(resp, (int64_t)port);
    moot_resp_bulk(resp, moot_buffer_slice(&name));
    moot_resp_map(resp, 0);
    moot_buffer_deinit(&name);
}

static void cluster_slots(struct moot_edge *edge, struct moot_resp *resp)
{
    const struct moot_address *first = owner(edge);
    uint64_t others = 0;
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        const struct moot_directory_node *node = &edge->directory->nodes[i];
        others += node->state == MOOT_NODE_MEMBER && node->address.node != first->node;
    }
    moot_resp_array(resp, 1);
    moot_resp_array(resp, 3 + others);
    moot_resp_integer(resp, 0);
    moot_resp_integer(resp, MOOT_SLOTS - 1);
    put_node(edge, resp, first);
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        const struct moot_directory_node *node = &edge->directory->nodes[i];
        if (node->state == MOOT_NODE_MEMBER && node->address.node != first->node) {
            put_node(edge, resp, &node->address);
        }
    }
}

static void shard_node(struct moot_edge *edge, struct moot_resp *resp,
                       const struct moot_address *address, bool master)
{
    struct moot_slice host;
    uint64_t port;
    split_address(address->client, &host, &port);
    struct moot_buffer name;
    moot_buffer_init(&name);
    node_name(edge, address->node, &name);
    moot_resp_map(resp, 7);
    moot_resp_bulk_text(resp, "id");
    moot_resp_bulk(resp, moot_buffer_slice(&name));
    moot_resp_bulk_text(resp, "port");
    moot_resp_integer(resp, (int64_t)port);
    moot_resp_bulk_text(resp, "ip");
    moot_resp_bulk(resp, host);
    moot_resp_bulk_text(resp, "endpoint");
    moot_resp_bulk(resp, host);
    moot_resp_bulk_text(resp, "role");
    moot_resp_bulk_text(resp, master ? "master" : "replica");
    moot_resp_bulk_text(resp, "replication-offset");
    moot_resp_integer(resp, (int64_t)edge->groups[MOOT_GROUP_DB0].applied);
    uint32_t phi_milli;
    enum moot_health health = edge__health(edge, address->node, &phi_milli);
    bool gone = health == MOOT_HEALTH_FAILED || health == MOOT_HEALTH_LEFT;
    moot_resp_bulk_text(resp, "health");
    moot_resp_bulk_text(resp, gone ? "failed" : "online");
    moot_buffer_deinit(&name);
}

static uint64_t member_count(const struct moot_edge *edge)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        count += edge->directory->nodes[i].state == MOOT_NODE_MEMBER;
    }
    return count;
}

static void cluster_shards(struct moot_edge *edge, struct moot_resp *resp)
{
    moot_node_id master = owner(edge)->node;
    moot_resp_array(resp, 1);
    moot_resp_map(resp, 2);
    moot_resp_bulk_text(resp, "slots");
    moot_resp_array(resp, 2);
    moot_resp_integer(resp, 0);
    moot_resp_integer(resp, MOOT_SLOTS - 1);
    moot_resp_bulk_text(resp, "nodes");
    moot_resp_array(resp, member_count(edge));
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        const struct moot_directory_node *node = &edge->directory->nodes[i];
        if (node->state == MOOT_NODE_MEMBER) {
            shard_node(edge, resp, &node->address, node->address.node == master);
        }
    }
}

static void cluster_nodes(struct moot_edge *edge, struct moot_resp *resp)
{
    moot_node_id master = owner(edge)->node;
    struct moot_buffer text;
    moot_buffer_init(&text);
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        const struct moot_directory_node *node = &edge->directory->nodes[i];
        if (node->state != MOOT_NODE_MEMBER) {
            continue;
        }
        bool is_master = node->address.node == master;
        node_name(edge, node->address.node, &text);
        moot_buffer_append_text(&text, " ");
        moot_buffer_append_text(&text, node->address.client);
        moot_buffer_append_text(&text, "@0 ");
        moot_buffer_append_text(&text, node->address.node == edge->identity->node ? "myself," : "");
        moot_buffer_append_text(&text, is_master ? "master" : "slave");
        moot_buffer_append_text(&text, edge__cluster_flag(edge, node->address.node));
        moot_buffer_append_text(&text, is_master ? " - " : " ");
        if (!is_master) {
            node_name(edge, master, &text);
            moot_buffer_append_text(&text, " ");
        }
        moot_buffer_append_text(&text, "0 0 ");
        moot_buffer_append_u64(&text, edge->groups[MOOT_GROUP_DB0].term);
        moot_buffer_append_text(&text, is_master ? " connected 0-16383\n" : " connected\n");
    }
    moot_resp_verbatim(resp, "txt", moot_buffer_slice(&text));
    moot_buffer_deinit(&text);
}

static void cluster_info(struct moot_edge *edge, struct moot_resp *resp)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    field_text(&text, "cluster_enabled", "1");
    field_text(&text, "cluster_state", edge->groups[MOOT_GROUP_DB0].leader != 0 ? "ok" : "fail");
    field(&text, "cluster_slots_assigned", MOOT_SLOTS);
    field(&text, "cluster_slots_ok", MOOT_SLOTS);
    field(&text, "cluster_slots_pfail", 0);
    field(&text, "cluster_slots_fail", 0);
    field(&text, "cluster_known_nodes", member_count(edge));
    field(&text, "cluster_size", 1);
    field(&text, "cluster_current_epoch", edge->groups[MOOT_GROUP_DB0].term);
    field(&text, "cluster_my_epoch", edge->groups[MOOT_GROUP_DB0].term);
    moot_resp_verbatim(resp, "txt", moot_buffer_slice(&text));
    moot_buffer_deinit(&text);
}

void edge__cluster(struct moot_edge *edge, struct moot_connection *connection,
                   const struct moot_slice *args, uint32_t argc)
{
    struct moot_resp resp = edge__resp(edge, connection);
    if (moot_slice_equal_nocase(args[1], "slots")) {
        cluster_slots(edge, &resp);
    } else if (moot_slice_equal_nocase(args[1], "shards")) {
        cluster_shards(edge, &resp);
    } else if (moot_slice_equal_nocase(args[1], "nodes")) {
        cluster_nodes(edge, &resp);
    } else if (moot_slice_equal_nocase(args[1], "info")) {
        cluster_info(edge, &resp);
    } else if (moot_slice_equal_nocase(args[1], "myid")) {
        struct moot_buffer name;
        moot_buffer_init(&name);
        node_name(edge, edge->identity->node, &name);
        moot_resp_bulk(&resp, moot_buffer_slice(&name));
        moot_buffer_deinit(&name);
    } else if (moot_slice_equal_nocase(args[1], "keyslot") && argc == 3) {
        moot_resp_integer(&resp, moot_key_slot(args[2]));
    } else {
        moot_resp_error(&resp, "ERR unknown subcommand or wrong number of arguments for 'cluster'");
    }
    edge__reply_scratch(edge, connection);
}

/* ---- MOOT ---- */

static void json_text(struct moot_buffer *out, const char *name, const char *value)
{
    moot_buffer_append_text(out, "\"");
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, "\": \"");
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            moot_buffer_append(out, "\\", 1);
        }
        moot_buffer_append(out, at, 1);
    }
    moot_buffer_append_text(out, "\"");
}

static void json_number(struct moot_buffer *out, const char *name, uint64_t value)
{
    moot_buffer_append_text(out, "\"");
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, "\": ");
    moot_buffer_append_u64(out, value);
}

static const char *role_of(const struct moot_members *members, moot_node_id node)
{
    if (moot_members_has_voter(members, node)) {
        return "voter";
    }
    return moot_members_has_learner(members, node) ? "learner" : "none";
}

static bool is_changing(const struct moot_edge *edge)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        const struct moot_group_view *view = &edge->groups[group];
        if (view->changing || view->members->learner_count > 0) {
            return true;
        }
        for (uint8_t i = 0; i < view->members->voter_count; i++) {
            moot_node_id voter = view->members->voters[i];
            if (moot_directory_state(edge->directory, voter) == MOOT_NODE_REMOVED) {
                return true;
            }
        }
        for (uint32_t i = 0; i < edge->directory->count; i++) {
            const struct moot_directory_node *node = &edge->directory->nodes[i];
            if (node->state == MOOT_NODE_MEMBER &&
                !moot_members_has(view->members, node->address.node)) {
                return true;
            }
        }
    }
    return false;
}

static void status_node(const struct moot_edge *edge, const struct moot_directory_node *node,
                        struct moot_buffer *out)
{
    const struct moot_group_view *db0 = &edge->groups[MOOT_GROUP_DB0];
    moot_buffer_append_text(out, "{");
    json_number(out, "node", node->address.node);
    moot_buffer_append_text(out, ",");
    json_text(out, "client", node->address.client);
    moot_buffer_append_text(out, ",");
    json_text(out, "peer", node->address.peer);
    moot_buffer_append_text(out, ",");
    json_text(out, "role",
              node->state == MOOT_NODE_REMOVED ? "removed"
                                               : role_of(db0->members, node->address.node));
    edge__status_health(edge, node->address.node, out);
    for (uint32_t i = 0; i < edge->follower_count; i++) {
        const struct moot_edge_follower *follower = &edge->followers[i];
        if (follower->node == node->address.node) {
            moot_buffer_append_text(out, ",");
            json_number(out, "match", follower->match);
            moot_buffer_append_text(out, ",");
            json_number(out, "lag", db0->last > follower->match ? db0->last - follower->match : 0);
            moot_buffer_append_text(out,
                                    follower->active ? ",\"alive\": true" : ",\"alive\": false");
        }
    }
    moot_buffer_append_text(out, "}");
}

static void status_group(const struct moot_group_view *view, const char *name,
                         struct moot_buffer *out)
{
    moot_buffer_append_text(out, "{");
    json_text(out, "name", name);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"leader", view->leader},
                   {"term", view->term},
                   {"first", view->first},
                   {"last", view->last},
                   {"durable", view->durable},
                   {"commit", view->commit},
                   {"applied", view->applied},
                   {"log_bytes", view->log_bytes},
                   {"feature_level", view->feature_level}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(numbers); i++) {
        moot_buffer_append_text(out, ",");
        json_number(out, numbers[i].name, numbers[i].value);
    }
    moot_buffer_append_text(out, view->fenced ? ",\"fenced\": true" : ",\"fenced\": false");
    moot_buffer_append_text(out, view->impaired ? ",\"impaired\": true}" : ",\"impaired\": false}");
}

static void status(struct moot_edge *edge, struct moot_connection *connection)
{
    const struct moot_group_view *db0 = &edge->groups[MOOT_GROUP_DB0];
    struct moot_buffer text;
    moot_buffer_init(&text);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"node", edge->identity->node},
                   {"leader", db0->leader},
                   {"term", db0->term},
                   {"commit", db0->commit},
                   {"applied", db0->applied},
                   {"ops", edge->counts.commands},
                   {"connections", edge->connection_count},
                   {"uptime_s", uptime(edge)}};
    moot_buffer_append_text(&text, "{");
    for (size_t i = 0; i < MOOT_ARRAY_LEN(numbers); i++) {
        json_number(&text, numbers[i].name, numbers[i].value);
        moot_buffer_append_text(&text, ",");
    }
    moot_buffer_append_text(&text,
                            is_changing(edge) ? "\"changing\": true," : "\"changing\": false,");
    edge__status_hand_overs(edge, &text);
    moot_buffer_append_text(&text, "\"nodes\": [");
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        moot_buffer_append_text(&text, i > 0 ? "," : "");
        status_node(edge, &edge->directory->nodes[i], &text);
    }
    moot_buffer_append_text(&text, "],\"groups\": [");
    status_group(&edge->groups[MOOT_GROUP_SYSTEM], "system", &text);
    moot_buffer_append_text(&text, ",");
    status_group(db0, "db0", &text);
    moot_buffer_append_text(&text, "]}");
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_bulk(&resp, moot_buffer_slice(&text));
    edge__reply_scratch(edge, connection);
    moot_buffer_deinit(&text);
}

/* There is a link, and the leader of db0, if the node is in that group, gets answers. A new leader
 * takes everybody to have answered (check-quorum gives them a time-out): the link tells then. */
static bool is_alive(const struct moot_edge *edge, moot_node_id node)
{
    if (node == edge->identity->node) {
        return true;
    }
    for (uint32_t i = 0; i < edge->follower_count; i++) {
        if (edge->followers[i].node == node && !edge->followers[i].active) {
            return false;
        }
    }
    return moot_peers_linked(edge->peers, node);
}

/* Would the group still have a majority that is alive without this node? */
static bool removal_is_safe(const struct moot_edge *edge, moot_group_id group, moot_node_id gone,
                            const char **why)
{
    const struct moot_members *members = edge->groups[group].members;
    uint32_t left = 0, alive = 0;
    if (!moot_members_has_voter(members, gone)) {
        return true;
    }
    for (uint8_t i = 0; i < members->voter_count; i++) {
        moot_node_id node = members->voters[i];
        if (node == gone || moot_directory_state(edge->directory, node) == MOOT_NODE_REMOVED) {
            continue; /* Whoever was removed before it may still be a voter, but not for long. */
        }
        left++;
        alive += is_alive(edge, node);
    }
    *why = left == 0 ? "ERR refused: it is the only voter; removing it would lose everything"
                     : "ERR refused: too few of the other voters are alive; removing it would lose "
                       "the majority, and with it "
                       "every write until they come back. Bring them back, or add a node, first";
    return MOOT_RULE(remove_keeps_majority, left > 0 && alive > left / 2);
}

static bool to_node(struct moot_slice text, moot_node_id *node)
{
    uint64_t number;
    if (!moot_slice_to_u64(text, &number) || number == 0 || number > UINT32_MAX) {
        return false;
    }
    *node = (moot_node_id)number;
    return true;
}

static void order_remove(struct moot_edge *edge, struct moot_connection *connection,
                         struct moot_slice text, bool plan)
{
    moot_node_id node;
    char digits[24];
    const char *why;
    const struct moot_group_view *db0 = &edge->groups[MOOT_GROUP_DB0];
    if (!to_node(text, &node) || moot_directory_state(edge->directory, node) == MOOT_NODE_UNKNOWN) {
        edge__error(edge, connection, "ERR there is no such node; `moot status` lists them");
    } else if (!db0->leads) {
        edge__error(
            edge, connection,
            "NOTLEADER ask the leader's port: it knows who is alive; `moot status` names it");
    } else if (!removal_is_safe(edge, MOOT_GROUP_DB0, node, &why) ||
               !removal_is_safe(edge, MOOT_GROUP_SYSTEM, node, &why)) {
        edge__error(edge, connection, why);
    } else if (plan) {
        struct moot_resp resp = edge__resp(edge, connection);
        moot_resp_bulk_text(&resp, "plan: take it out of both groups, one after the other (joint "
                                   "consensus), moving leadership "
                                   "if it leads; then refuse its links. Its id is never used "
                                   "again. Nothing is lost: "
                                   "the others hold every acknowledged write.");
        edge__reply_scratch(edge, connection);
    } else {
        size_t size = moot_text_u64(digits, moot_directory_changes(edge->directory));
        struct moot_slice args[3] = {MOOT_SLICE_LITERAL("moot.remove"), text};
        args[2] = moot_slice_make(digits, size);
        edge__submit(edge, connection, MOOT_GROUP_SYSTEM, true, 0, 0, args, 3, MOOT_REF_REPLY);
    }
}

static void order_transfer(struct moot_edge *edge, struct moot_connection *connection,
                           const struct moot_slice *args, uint32_t argc, bool plan)
{
    moot_node_id node = 0;
    moot_node_id leader = edge->groups[MOOT_GROUP_DB0].leader;
    if (argc > 3 && (!to_node(args[3], &node) ||
                     !moot_members_has_voter(edge->groups[MOOT_GROUP_DB0].members, node))) {
        edge__error(edge, connection, "ERR that is not a voter; `moot status` lists them");
        return;
    }
    if (leader == 0) {
        edge__error(edge, connection, "CLUSTERDOWN there is no leader now; safe to retry");
        return;
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX && !plan; group++) {
        if (edge->groups[group].leader != 0) {
            struct moot_message message = {.kind = MOOT_MESSAGE_TRANSFER, .group = group};
            message.transfer_to = node;
            struct moot_post post = {.to = edge->groups[group].leader, .message = &message};
            moot_outbox_post(edge->outbox, &post);
        }
    }
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_bulk_text(&resp, plan ? "plan: the leader stops taking writes, brings the target up "
                                      "to date, and tells it to stand "
                                      "for election at once; writes wait meanwhile, none is lost"
                                    : "transfer asked for; it is given up after one election "
                                      "time-out if the target does not "
                                      "catch up");
    edge__reply_scratch(edge, connection);
}

/* A client port asks nobody for a proof, so what changes the cluster is taken from this machine
 * only: whoever is on it can stop the node anyway. */
static bool is_from_here(const struct moot_connection *connection)
{
    struct moot_slice from = moot_slice_text(connection->address);
    return moot_slice_starts_with(from, MOOT_SLICE_LITERAL("127.")) ||
           moot_slice_starts_with(from, MOOT_SLICE_LITERAL("[::1]:")) ||
           moot_slice_starts_with(from, MOOT_SLICE_LITERAL("[::ffff:127."));
}

static void order(struct moot_edge *edge, struct moot_connection *connection,
                  const struct moot_slice *args, uint32_t argc)
{
    bool plan = moot_slice_equal_nocase(args[argc - 1], "plan");
    argc -= plan;
    if (!MOOT_RULE(cluster_orders_from_here, plan || is_from_here(connection))) {
        edge__error(edge, connection,
                    "NOPERM orders are taken from the node's own machine only: run `moot cluster` "
                    "there, on the leader's; with PLAN anybody may ask what would be done");
        return;
    }
    if (argc == 4 && moot_slice_equal_nocase(args[2], "remove")) {
        order_remove(edge, connection, args[3], plan);
    } else if (argc == 5 && moot_slice_equal_nocase(args[2], "replace")) {
        moot_node_id node;
        if (!to_node(args[4], &node) ||
            !moot_members_has_voter(edge->groups[MOOT_GROUP_DB0].members, node)) {
            edge__error(
                edge, connection,
                "ERR the new node does not vote yet: start it with moot server --join, wait until "
                "`moot status` shows it as a voter, and ask again");
            return;
        }
        order_remove(edge, connection, args[3], plan);
    } else if ((argc == 3 || argc == 4) && moot_slice_equal_nocase(args[2], "transfer")) {
        order_transfer(edge, connection, args, argc, plan);
    } else if (argc == 4 && moot_slice_equal_nocase(args[2], "add")) {
        edge__error(
            edge, connection,
            "ERR a node that has joined is made a voter by itself as soon as it has caught up");
    } else {
        edge__error(edge, connection,
                    "ERR usage: MOOT CLUSTER REMOVE node | REPLACE old new | TRANSFER [node], each "
                    "with PLAN");
    }
}

void edge__moot(struct moot_edge *edge, struct moot_connection *connection,
                const struct moot_slice *args, uint32_t argc)
{
    if (moot_slice_equal_nocase(args[1], "status")) {
        status(edge, connection);
    } else if (moot_slice_equal_nocase(args[1], "join")) {
        edge__join(edge, connection, args, argc);
    } else if (moot_slice_equal_nocase(args[1], "cluster") && argc >= 3) {
        order(edge, connection, args, argc);
    } else {
        edge__error(edge, connection,
                    "ERR usage: MOOT STATUS | MOOT JOIN [peer client proof] | MOOT CLUSTER ...");
    }
}
