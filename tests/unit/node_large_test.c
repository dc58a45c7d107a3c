/* Large values through whole nodes: what a change costs, and how what is left of a deletion goes
 * away while nobody asks for anything. Costs are counted, not timed. */
#include <stdlib.h>
#include <string.h>

#include "edge_clients.h"
#include "wire/resp.h"

/* What all nodes together did. */
static struct costs {
    uint64_t gets, entries; /* Asked of stores, in turns. */
    uint64_t fetched;       /* Keys and ranges asked to be fetched. */
    uint64_t journal_bytes, stored, stored_bytes;
} total;

static const struct moot_store_ops *memory_ops;

static int counted_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                       struct moot_slice *value)
{
    total.gets++;
    return memory_ops->get(store, key, arena, value);
}

static int counted_entry(struct moot_store_iterator *iterator, struct moot_slice *key,
                         struct moot_slice *value)
{
    total.entries++;
    return memory_ops->entry(iterator, key, value);
}

static void count_effect(const struct moot_effect *effect)
{
    if (effect->kind == MOOT_EFFECT_JOURNAL) {
        total.journal_bytes += effect->journal.bytes.size;
    } else if (effect->kind == MOOT_EFFECT_STORE_WRITE) {
        total.stored += effect->batch->count;
        total.stored_bytes += effect->batch->bytes.size;
    } else if (effect->kind == MOOT_EFFECT_FETCH) {
        total.fetched += effect->fetch.key_count + effect->fetch.range_count;
    }
}

static void count_store(struct moot_store *store)
{
    static struct moot_store_ops counted;
    if (store->ops != &counted) {
        memory_ops = store->ops;
        counted = *store->ops;
        counted.get = counted_get;
        counted.entry = counted_entry;
        store->ops = &counted;
    }
}

static struct cluster *make(uint32_t count)
{
    struct cluster *cluster = edge_cluster(count);
    for (uint32_t id = 1; id <= count; id++) {
        count_store(cluster->nodes[id].store);
    }
    cluster->watch = count_effect;
    total = (struct costs){0};
    return cluster;
}

static void send_large(struct cluster *cluster, uint32_t id, struct moot_buffer *command)
{
    moot_buffer_append(command, "", 1);
    edge_send(cluster, id, 1, (const char *)command->data);
    moot_buffer_reset(command, 1024 * 1024);
}

/* A hash of `fields` fields, in commands of some. */
static void fill_hash(struct cluster *cluster, const char *key, uint32_t fields)
{
    enum { A_COMMAND = 500 };
    struct moot_buffer command;
    moot_buffer_init(&command);
    for (uint32_t i = 0; i < fields; i += A_COMMAND) {
        char text[96], head[64];
        int size = snprintf(head, sizeof(head), "HSET\r\n$%zu\r\n%s\r\n", strlen(key), key);
        assert_true(size > 0);
        snprintf(text, sizeof(text), "*%d\r\n$4\r\n%s", 2 + 2 * A_COMMAND, head);
        moot_buffer_append_text(&command, text);
        for (uint32_t f = i; f < i + A_COMMAND; f++) {
            snprintf(text, sizeof(text), "$8\r\nf%07u\r\n$4\r\n%u\r\n", f, 1000 + f % 9000);
            moot_buffer_append_text(&command, text);
        }
        send_large(cluster, 1, &command);
        edge_wait(cluster, 1, 1, ":500\r\n");
    }
    moot_buffer_deinit(&command);
}

static void fill_keys(struct cluster *cluster, uint32_t keys)
{
    enum { A_COMMAND = 500 };
    struct moot_buffer command;
    moot_buffer_init(&command);
    for (uint32_t i = 0; i < keys; i += A_COMMAND) {
        char text[96];
        snprintf(text, sizeof(text), "*%d\r\n$4\r\nMSET\r\n", 1 + 2 * A_COMMAND);
        moot_buffer_append_text(&command, text);
        for (uint32_t k = i; k < i + A_COMMAND; k++) {
            snprintf(text, sizeof(text), "$8\r\nk%07u\r\n$1\r\nv\r\n", k);
            moot_buffer_append_text(&command, text);
        }
        send_large(cluster, 1, &command);
        edge_wait(cluster, 1, 1, "+OK\r\n");
    }
    moot_buffer_deinit(&command);
}

/* How many entries the store of a node holds. */
static uint64_t held(struct cluster *cluster, uint32_t id)
{
    struct moot_store *store = cluster->nodes[id].store;
    struct moot_store_pin *pin = memory_ops->pin(store);
    struct moot_store_iterator *iterator;
    struct moot_range all = {MOOT_SLICE_LITERAL(""), MOOT_SLICE_LITERAL("")};
    struct moot_slice key, value;
    uint64_t count = 0;
    assert_int_equal(memory_ops->iterate(store, pin, all, false, &iterator), 0);
    while (memory_ops->entry(iterator, &key, &value) == 0) {
        count++;
        assert_int_equal(memory_ops->next(iterator), 0);
    }
    memory_ops->iterate_end(iterator);
    memory_ops->unpin(store, pin);
    return count;
}

static struct costs cost_of(struct cluster *cluster, const char *format, const char *key)
{
    char line[128];
    snprintf(line, sizeof(line), format, key);
    edge_run_ms(cluster, MOOT_UNSTORED_MS + 100); /* What went before is in the store. */
    struct costs before = total;
    edge_send(cluster, 1, 1, line);
    edge_run_ms(cluster, MOOT_UNSTORED_MS + 100);
    const char *reply = edge_text(cluster, 1, 1);
    if (reply[0] == '-' || reply[0] == '\0') {
        fail_msg("%s: %s", line, reply);
    }
    return (struct costs){
        total.gets - before.gets,       total.entries - before.entries,
        total.fetched - before.fetched, total.journal_bytes - before.journal_bytes,
        total.stored - before.stored,   total.stored_bytes - before.stored_bytes};
}

/* Goal: a change of a hash of a million fields costs what a change of a small one costs: reads of
 * the store, journal, and what is written to the store. Method: both sizes on one node that has
 * just started, so that nothing is remembered; MOOT_LARGE_FIELDS for another size. */
static void a_large_hash_changes_at_flat_cost(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "HSET %s f0000100 changed\r\n",
        "HSET %s new 1\r\n",
        "HGET %s f0000200\r\n",
        "HDEL %s f0000300\r\n",
        "HINCRBY %s f0000400 1\r\n",
        "HLEN %s\r\n",
        "HEXISTS %s nosuch\r\n",
        "HSETNX %s f0000500 1\r\n",
        "HMGET %s f0000600 x\r\n",
        "PEXPIRE %s 10000000\r\n",
        "PERSIST %s\r\n",
    };
    const char *asked = getenv("MOOT_LARGE_FIELDS");
    uint32_t sizes[2] = {1000, asked == NULL ? 1000000 : (uint32_t)atoi(asked)};
    static const char *const names[2] = {"small", "large"};
    struct cluster *cluster = make(1);
    for (int i = 0; i < 2; i++) {
        fill_hash(cluster, names[i], sizes[i]);
    }
    edge_run_ms(cluster, MOOT_UNSTORED_MS + 100);
    assert_int_equal(memory_ops->flush(cluster->nodes[1].store), 0);
    struct costs costs[2][MOOT_ARRAY_LEN(commands)];
    for (int i = 0; i < 2; i++) {
        cluster_kill(cluster, 1);
        cluster_open(cluster, 1, 0);
        edge_run_ms(cluster, 3000);
        for (size_t c = 0; c < MOOT_ARRAY_LEN(commands); c++) {
            costs[i][c] = cost_of(cluster, commands[c], names[i]);
        }
        assert_int_equal(memory_ops->flush(cluster->nodes[1].store), 0);
    }
    for (size_t c = 0; c < MOOT_ARRAY_LEN(commands); c++) {
        const struct costs *small = &costs[0][c], *large = &costs[1][c];
        if (large->gets > small->gets + 2 || large->entries > small->entries + 8 ||
            large->fetched > small->fetched || large->journal_bytes > small->journal_bytes + 4096 ||
            large->stored > small->stored + 2 || large->stored_bytes > small->stored_bytes + 128) {
            fail_msg(
                "%s: gets %d %d entries %d %d fetched %d %d journal %d %d stored %d %d (%d %d)",
                commands[c], (int)small->gets, (int)large->gets, (int)small->entries,
                (int)large->entries, (int)small->fetched, (int)large->fetched,
                (int)small->journal_bytes, (int)large->journal_bytes, (int)small->stored,
                (int)large->stored, (int)small->stored_bytes, (int)large->stored_bytes);
        }
    }
    edge_expect(cluster, 1, 1, "HLEN small\r\nHEXISTS large f0000300\r\n", ":1000\r\n:0\r\n");
    cluster_deinit(cluster);
}

/* The most entries of stores that one turn of all nodes looked at. */
static uint64_t run_and_count(struct cluster *cluster, uint64_t ms)
{
    uint64_t most = 0;
    struct moot_instant end = moot_instant_add(cluster->now.instant, moot_ms(ms));
    while (moot_instant_before(cluster->now.instant, end)) {
        uint64_t before = total.entries + total.gets;
        cluster_step(cluster);
        most =
            total.entries + total.gets - before > most ? total.entries + total.gets - before : most;
    }
    return most;
}

/* Until every node's store holds no more than `few`; nobody asks for anything meanwhile. */
static void is_collected(struct cluster *cluster, uint64_t few)
{
    for (int tries = 0; tries < 200; tries++) {
        bool done = true;
        /* Several nodes take their turns in one step; each may apply some entries in one. */
        edge_run_ms(cluster, 100);
        for (uint32_t id = 1; id <= cluster->count; id++) {
            done = done && (cluster->nodes[id].dead || held(cluster, id) <= few);
        }
        if (done) {
            return;
        }
    }
    fail_msg("the stores hold %d, %d, %d entries, not %d", (int)held(cluster, 1),
             (int)held(cluster, 2), (int)held(cluster, 3), (int)few);
}

/* All replicas have executed the same, with the same outcome. */
static void agree(struct cluster *cluster)
{
    struct moot_group_view first, view;
    moot_node_group(cluster->nodes[1].node, MOOT_GROUP_DB0, &first);
    for (uint32_t id = 1; id <= cluster->count; id++) {
        moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
        assert_false(view.fenced);
        assert_int_equal(view.applied, first.applied);
        assert_true(view.chain == first.chain && view.digest == first.digest);
    }
}

/* Goal: what a large deletion leaves is removed by an idle cluster, in bounded steps, on every
 * node, also when the leader dies in the middle; meanwhile it is not to be seen, and a new value in
 * its place is not touched. Method: a collection that expires, DEL, FLUSHDB, each of 20,000
 * elements. */
static void what_is_deleted_goes_away_while_idle(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static const char *const how[] = {"PEXPIRE h 50\r\n", "DEL h\r\n", "SET h other\r\n",
                                      "FLUSHDB\r\n"};
    struct cluster *cluster = make(3);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(how); i++) {
        bool flushes = how[i][0] == 'F';
        edge_send(cluster, 1, 1, "FLUSHALL\r\n");
        edge_run_ms(cluster, 2000);
        uint64_t few = held(cluster, 1) + 8;
        if (flushes) {
            fill_keys(cluster, MANY);
        } else {
            fill_hash(cluster, "h", MANY);
        }
        edge_run_ms(cluster, MOOT_UNSTORED_MS + 100);
        assert_true(held(cluster, 2) > MANY);
        edge_send(cluster, 1, 1, how[i]);
        edge_run_ms(cluster, 70);
        if (!flushes) { /* The same name lives on, and is left alone. */
            edge_expect(cluster, 1, 1, "GETDEL h\r\nHSET h f0000001 new\r\n",
                        how[i][0] == 'S' ? "$5\r\nother\r\n:1\r\n" : "$-1\r\n:1\r\n");
        }
        edge_expect(cluster, 1, 1, "DBSIZE\r\n", flushes ? ":0\r\n" : ":1\r\n");
        assert_true(run_and_count(cluster, 50) < 3 * 16 * MOOT_COLLECT_MAX);
        assert_true(held(cluster, 2) > MANY / 4); /* It is not done at once. */
        uint32_t leader = cluster_leader(cluster);
        cluster_kill(cluster, leader);
        edge_run_ms(cluster, 2000);
        cluster_open(cluster, leader, 0);
        count_store(cluster->nodes[leader].store);
        is_collected(cluster, few);
        edge_run_ms(cluster, 2000);
        agree(cluster);
        edge_expect(cluster, 1, 1, "HGETALL h\r\n",
                    flushes ? "*0\r\n" : "*2\r\n$8\r\nf0000001\r\n$3\r\nnew\r\n");
    }
    cluster_deinit(cluster);
}

static void limit_message(void *context, moot_node_id from, moot_node_id to,
                          struct moot_slice message)
{
    (void)context, (void)from, (void)to;
    assert_true(message.size <= MOOT_MESSAGE_BYTES_MAX);
}

/* Goal: large values that a pipeline asks for come right and in order, in as many messages as it
 * takes. Method: 100 times 1 MB, from a follower and from the leader. */
static void large_replies_come_in_parts(void **state)
{
    (void)state;
    enum { ASKED = 100, SIZE = 1024 * 1024 };
    struct cluster *cluster = make(3);
    cluster->spy = limit_message;
    cluster_expect(cluster, 1, "SETRANGE k 1048575 x\r\n", ":1048576\r\n");
    for (int own = 0; own < 2; own++) {
        uint32_t id = own ? cluster_leader(cluster) : edge_follower(cluster);
        struct moot_buffer text;
        moot_buffer_init(&text);
        for (int i = 0; i < ASKED; i++) {
            moot_buffer_append_text(&text, "GET k\r\n");
        }
        moot_buffer_append_text(&text, "STRLEN k\r\n");
        edge_open(cluster, id, 2);
        moot_buffer_append(&text, "", 1);
        edge_send(cluster, id, 2, (const char *)text.data);
        moot_buffer_deinit(&text);
        struct moot_buffer *replies = cluster_replies(&cluster->nodes[id], 2);
        int right = 0;
        size_t at = 0, used = 0;
        for (int i = 0; i < 3000 && right <= ASKED; i++) {
            cluster_step(cluster);
            struct moot_slice left = {replies->data + at, replies->size - at};
            while (left.size > 0 && right <= ASKED && moot_resp_skip(left, &used) == 0) {
                assert_int_equal(left.data[0], right < ASKED ? '$' : ':');
                assert_true(right == ASKED || used > SIZE);
                right++;
                at += used;
                left = (struct moot_slice){replies->data + at, replies->size - at};
            }
        }
        assert_int_equal(right, ASKED + 1);
        assert_int_equal(replies->size, at);
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_replies_come_in_parts),
        cmocka_unit_test(a_large_hash_changes_at_flat_cost),
        cmocka_unit_test(what_is_deleted_goes_away_while_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
