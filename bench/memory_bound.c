/* The most memory that a node takes, as a sum over base/limits.h: every queue, buffer and cache has
 * its limit there, and RocksDB has those that host/store_rocksdb.c gives it.
 *
 *     memory_bound --peers 2 --clients 50 --pipeline 16 --value-size 100
 *
 * Prints one line of JSON: the terms, each with its bytes and what it is, and their sum. Clients
 * are counted by what they do, up to the limit for all of them together. */
#include <argp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

enum {
    MIB = 1024 * 1024,
    /* What malloc keeps beside what was asked for (headers, size classes, gaps): a tenth. */
    MALLOC_PART = 10,
    /* RocksDB's memtables: an arena may be an eighth over its size (rocksdb/advanced_options.h,
     * write_buffer_size), and twice the buffer may be waiting for a flush. */
    MEMTABLES_OVER = 8,
};

struct settings {
    uint64_t peers, clients, pipeline, value_size;
};

static uint64_t sum;

static void term(const char *what, uint64_t bytes)
{
    printf("%s[\"%s\", %llu]", sum > 0 ? ", " : "", what, (unsigned long long)bytes);
    sum += bytes;
}

/* Twice: buffers may have doubled, and what is sent lies beside its copy for a turn. */
static void clients(const struct settings *s)
{
    const uint64_t most = UINT64_C(2) * MOOT_CLIENTS_BYTES_MAX;
    uint64_t bytes = s->clients * (s->pipeline * 2 * (s->value_size + 256) + UINT64_C(64) * 1024);
    term("clients: what they do, up to 2 x MOOT_CLIENTS_BYTES_MAX", bytes < most ? bytes : most);
    term("clients: sockets, 4 KiB each", s->clients * UINT64_C(4) * 1024);
}

static void brain(const struct settings *s)
{
    const uint64_t groups = MOOT_GROUPS_MAX;
    term("log: groups x MOOT_LOG_MEMORY_BYTES", groups * MOOT_LOG_MEMORY_BYTES);
    term("last replies: groups x MOOT_REPLY_RING_BYTES", groups * MOOT_REPLY_RING_BYTES);
    /* Slots: 8 bytes for each 64 of the ring. */
    term("recent values: groups x MOOT_RECENT_BYTES x 9/8",
         groups * MOOT_RECENT_BYTES / 8 * UINT64_C(9));
    term("not stored yet: groups x (MOOT_UNSTORED_BYTES + an entry) x 2, with what undoes it",
         groups * (MOOT_UNSTORED_BYTES + MOOT_ENTRY_BYTES_MAX) * UINT64_C(2));
    term("edge: MOOT_EDGE_QUEUE_BYTES_MAX + MOOT_EDGE_BATCHES_MAX batches",
         MOOT_EDGE_QUEUE_BYTES_MAX + (uint64_t)MOOT_EDGE_BATCHES_MAX * MOOT_BATCH_BYTES_MAX);
    clients(s);
    /* Runs go on while there are fewer: one may be added. The buffer may have doubled, and the
     * answers are copies; each client's part is counted above. */
    term("replies of a turn: MOOT_REPLIES_HERE_BYTES_MAX x 4",
         UINT64_C(4) * MOOT_REPLIES_HERE_BYTES_MAX);
    term("snapshot: two chunks a group", groups * 2 * MOOT_SNAPSHOT_CHUNK_BYTES * UINT64_C(2));
}

static void host(const struct settings *s)
{
    term("peers: each MOOT_PEER_QUEUE_BYTES_MAX + MOOT_MESSAGE_BYTES_MAX",
         s->peers * (MOOT_PEER_QUEUE_BYTES_MAX + MOOT_MESSAGE_BYTES_MAX));
    term("reads of one turn: MOOT_TURN_READ_BYTES", MOOT_TURN_READ_BYTES);
    /* Two laid out, and an aligned copy that may have doubled. */
    term("journal: 4 x MOOT_JOURNAL_BATCH_BYTES_MAX", UINT64_C(4) * MOOT_JOURNAL_BATCH_BYTES_MAX);
    /* The node's, the writer's, and RocksDB's form of it. */
    term("batch for the store: 3 x groups x (MOOT_UNSTORED_BYTES + an entry)",
         UINT64_C(3) * MOOT_GROUPS_MAX * (MOOT_UNSTORED_BYTES + MOOT_ENTRY_BYTES_MAX));
}

static void rocksdb(void)
{
    const uint64_t buffers = UINT64_C(2) * MOOT_STORE_WRITE_BUFFER_BYTES;
    term("RocksDB: 2 x MOOT_STORE_WRITE_BUFFER_BYTES x 9/8", buffers + buffers / MEMTABLES_OVER);
    term("RocksDB: MOOT_STORE_CACHE_BYTES (blocks, indexes and filters)", MOOT_STORE_CACHE_BYTES);
    term("RocksDB: a flush and a compaction at work", UINT64_C(32) * MIB);
}

static error_t parse(int key, char *word, struct argp_state *state)
{
    struct settings *s = state->input;
    switch (key) {
    case 'n':
        s->peers = strtoull(word, NULL, 10);
        return 0;
    case 'c':
        s->clients = strtoull(word, NULL, 10);
        return 0;
    case 'P':
        s->pipeline = strtoull(word, NULL, 10);
        return 0;
    case 'd':
        s->value_size = strtoull(word, NULL, 10);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"peers", 'n', "N", 0, "other nodes (2)", 0},
        {"clients", 'c', "N", 0, "connections (50)", 0},
        {"pipeline", 'P', "N", 0, "requests on the way on each (16)", 0},
        {"value-size", 'd', "BYTES", 0, "of each value (100)", 0},
        {0},
    };
    struct settings s = {.peers = 2, .clients = 50, .pipeline = 16, .value_size = 100};
    argp_parse(&(struct argp){.options = options, .parser = parse}, argc, argv, 0, NULL, &s);
    printf("{\"terms\": [");
    brain(&s);
    host(&s);
    rocksdb();
    uint64_t so_far = sum;
    term("malloc, a tenth of all that", so_far / MALLOC_PART);
    term("program, libraries, stacks", UINT64_C(48) * MIB);
    printf("], \"bytes\": %llu}\n", (unsigned long long)sum);
    return 0;
}
