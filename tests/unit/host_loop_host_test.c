/* The loop, its sockets, links and threads, driven by a brain that is not a database: it answers
 * lines of text. What the loop promises any brain is proven here without one. */
#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/loop.h"

enum { EFFECTS_MAX = 4096, CONNECTIONS_MAX = 16, BLOCK = 4096, WAIT_SECONDS = 60 };

/* ---- a disk whose writes can be held back ---- */
struct gate_disk {
    struct moot_disk base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, fails;
    uint64_t writes, bytes, next_offset;
    uint8_t first_bytes[256];
};

static int gate_write(struct moot_disk *disk, const char *name, uint64_t offset, const void *bytes,
                      size_t size)
{
    struct gate_disk *gate = (struct gate_disk *)disk;
    (void)name;
    assert_int_equal((uintptr_t)bytes % BLOCK, 0);
    pthread_mutex_lock(&gate->lock);
    assert_int_equal(offset, gate->next_offset);
    gate->next_offset += size;
    gate->writes++;
    gate->bytes += size;
    pthread_cond_broadcast(&gate->changed);
    while (gate->held) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    int status = gate->fails ? MOOT_EIO : MOOT_OK;
    pthread_mutex_unlock(&gate->lock);
    return status;
}
static const struct moot_disk_ops gate_ops = {.write = gate_write};

static void gate_hold(struct gate_disk *gate, bool held)
{
    pthread_mutex_lock(&gate->lock);
    gate->held = held;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* ---- a store that only counts ---- */
struct count_store {
    struct moot_store base;
    uint64_t writes, flushes, fetches;
};
static int count_write(struct moot_store *store, const struct moot_batch *batch)
{
    (void)batch;
    ((struct count_store *)store)->writes++;
    return MOOT_OK;
}
static int count_flush(struct moot_store *store)
{
    ((struct count_store *)store)->flushes++;
    return MOOT_OK;
}
static int count_fetch(struct moot_store *store, struct moot_slice key)
{
    ((struct count_store *)store)->fetches += key.size;
    return MOOT_OK;
}
static const struct moot_store_ops count_ops = {
    .write = count_write, .flush = count_flush, .fetch = count_fetch};

/* ---- the brain ---- */
struct waiting {
    moot_ticket ticket;
    moot_connection_id connection;
    char text[64];
};
struct moot_node {
    struct moot_effect effects[EFFECTS_MAX];
    size_t effect_count;
    struct moot_arena arena; /* Of this turn's effects. */
    struct {
        moot_connection_id id;
        struct moot_buffer input;
    } connections[CONNECTIONS_MAX];
    struct waiting waiting[EFFECTS_MAX];
    size_t waiting_count;
    moot_ticket batch, work;
    uint64_t offset, turns, sent_inputs, sent_max, peer_ups, peer_downs, down_status;
    struct moot_block *block;
    struct moot_buffer inbox;
    struct moot_address peer;
    bool peer_told;
};
static uint8_t journal_block[BLOCK];

static struct moot_effect *effect(struct moot_node *node, enum moot_effect_kind kind)
{
    MOOT_ASSERT(node->effect_count < EFFECTS_MAX);
    struct moot_effect *made = &node->effects[node->effect_count++];
    *made = (struct moot_effect){.kind = kind};
    return made;
}

static void say(struct moot_node *node, moot_connection_id connection, const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    struct moot_effect *reply = effect(node, MOOT_EFFECT_REPLY);
    reply->client.connection = connection;
    reply->client.bytes = moot_arena_copy(&node->arena, moot_slice_make(text, (size_t)size));
}

static void reply_when(struct moot_node *node, moot_ticket ticket, moot_connection_id connection,
                       const char *text)
{
    struct waiting *waiting = &node->waiting[node->waiting_count++];
    *waiting = (struct waiting){.ticket = ticket, .connection = connection};
    snprintf(waiting->text, sizeof(waiting->text), "%.60s\n", text);
}

static void command_durable(struct moot_node *node, moot_connection_id connection,
                            const char *argument)
{
    struct moot_effect *journal = effect(node, MOOT_EFFECT_JOURNAL);
    journal->journal.where.batch = ++node->batch;
    journal->journal.where.offset = node->offset;
    snprintf(journal->journal.where.segment, sizeof(journal->journal.where.segment), "one");
    journal->journal.bytes = moot_slice_make(journal_block, BLOCK);
    node->offset += BLOCK;
    reply_when(node, node->batch, connection, argument);
}

static void command_big(struct moot_node *node, moot_connection_id connection, const char *argument)
{
    size_t size = strtoul(argument, NULL, 10);
    struct moot_effect *reply = effect(node, MOOT_EFFECT_REPLY);
    reply->client.connection = connection;
    uint8_t *bytes = moot_arena_alloc(&node->arena, size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)('a' + i % 23);
    }
    reply->client.bytes = moot_slice_make(bytes, size);
}

/* A message in three parts, the middle one in a block. */
static void command_send(struct moot_node *node, const char *argument)
{
    struct moot_part *parts = moot_arena_alloc(&node->arena, 3 * sizeof(*parts));
    size_t size = strtoul(argument, NULL, 10);
    moot_block_release(node->block);
    node->block = moot_block_make(size + 1);
    memset(node->block->data, 'm', size + 1);
    parts[0] = (struct moot_part){MOOT_SLICE_LITERAL("<"), NULL};
    parts[1] = (struct moot_part){moot_slice_make(node->block->data + 1, size), node->block};
    parts[2] = (struct moot_part){MOOT_SLICE_LITERAL(">"), NULL};
    struct moot_effect *send = effect(node, MOOT_EFFECT_SEND);
    send->send.node = node->peer.node;
    send->send.parts = parts;
    send->send.part_count = 3;
}

static void command_work(struct moot_node *node, enum moot_effect_kind kind,
                         moot_connection_id connection)
{
    static const struct moot_slice keys[2] = {{(const uint8_t *)"abc", 3},
                                              {(const uint8_t *)"de", 2}};
    struct moot_effect *work = effect(node, kind);
    work->ticket = ++node->work + 1000000;
    if (kind == MOOT_EFFECT_FETCH) {
        work->fetch.keys = keys;
        work->fetch.key_count = 2;
    }
    reply_when(node, work->ticket, connection, "worked");
}

static void command(struct moot_node *node, moot_connection_id connection, char *line)
{
    char *argument = strchr(line, ' ');
    argument = argument == NULL ? line + strlen(line) : argument + 1;
    if (strncmp(line, "echo ", 5) == 0) {
        say(node, connection, "%s\n", argument);
    } else if (strncmp(line, "durable ", 8) == 0) {
        command_durable(node, connection, argument);
    } else if (strncmp(line, "big ", 4) == 0) {
        command_big(node, connection, argument);
    } else if (strcmp(line, "turns") == 0) {
        say(node, connection, "%llu\n", (unsigned long long)node->turns);
    } else if (strcmp(line, "sent") == 0) {
        say(node, connection, "%llu %llu\n", (unsigned long long)node->sent_inputs,
            (unsigned long long)node->sent_max);
    } else if (strcmp(line, "close") == 0) {
        say(node, connection, "bye\n");
        effect(node, MOOT_EFFECT_CLIENT_CLOSE)->client.connection = connection;
    } else if (strncmp(line, "send ", 5) == 0) {
        command_send(node, argument);
    } else if (strcmp(line, "inbox") == 0) {
        say(node, connection, "%zu %.1s%.1s\n", node->inbox.size,
            node->inbox.size == 0 ? "" : (const char *)node->inbox.data,
            node->inbox.size == 0 ? "" : (const char *)node->inbox.data + node->inbox.size - 1);
    } else if (strcmp(line, "peer") == 0) {
        say(node, connection, "%llu %llu %llu\n", (unsigned long long)node->peer_ups,
            (unsigned long long)node->peer_downs, (unsigned long long)node->down_status);
    } else if (strcmp(line, "refuse") == 0) {
        struct moot_effect *peer = effect(node, MOOT_EFFECT_PEER);
        peer->peer.node = node->peer.node;
        peer->peer.is_removed = true;
    } else if (strcmp(line, "tell") == 0) {
        struct moot_effect *peer = effect(node, MOOT_EFFECT_PEER);
        peer->peer.node = node->peer.node;
        peer->peer.address = moot_slice_text(node->peer.peer);
        peer->peer.is_removed = true;
    } else if (strcmp(line, "fetch") == 0) {
        command_work(node, MOOT_EFFECT_FETCH, connection);
    } else if (strcmp(line, "flush") == 0) {
        command_work(node, MOOT_EFFECT_FLUSH, connection);
    } else if (strcmp(line, "stop") == 0) {
        effect(node, MOOT_EFFECT_STOP);
    }
}

static void client_bytes(struct moot_node *node, const struct moot_input *input)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (node->connections[i].id != input->connection) {
            continue;
        }
        struct moot_buffer *buffer = &node->connections[i].input;
        moot_buffer_append_slice(buffer, input->bytes);
        size_t start = 0;
        for (size_t at = 0; at < buffer->size; at++) {
            if (buffer->data[at] == '\n') {
                buffer->data[at] = '\0';
                command(node, input->connection, (char *)buffer->data + start);
                start = at + 1;
            }
        }
        moot_buffer_consume(buffer, start);
    }
}

static void client_place(struct moot_node *node, moot_connection_id from, moot_connection_id to)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (node->connections[i].id == from) {
            node->connections[i].id = to;
            moot_buffer_reset(&node->connections[i].input, 0);
            return;
        }
    }
    MOOT_UNREACHABLE(); /* Closed twice, or never opened. */
}

static void keep_all(struct moot_node *node)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (node->connections[i].id != 0) {
            struct moot_effect *keep = effect(node, MOOT_EFFECT_CLIENT_KEEP);
            keep->client.connection = node->connections[i].id;
            keep->client.bytes = MOOT_SLICE_LITERAL("kept");
        }
    }
}

static void ticket_done(struct moot_node *node, moot_ticket ticket)
{
    for (size_t i = 0; i < node->waiting_count; i++) {
        if (node->waiting[i].ticket == ticket) {
            say(node, node->waiting[i].connection, "%s", node->waiting[i].text);
            node->waiting_count--;
            memmove(&node->waiting[i], &node->waiting[i + 1],
                    (node->waiting_count - i) * sizeof(node->waiting[0]));
            return;
        }
    }
    MOOT_UNREACHABLE(); /* Nobody asked for it, or it was told twice. */
}

static void one_input(struct moot_node *node, const struct moot_input *input)
{
    switch (input->kind) {
    case MOOT_INPUT_CLIENT_OPENED:
        MOOT_ASSERT(input->bytes.size > 0);
        client_place(node, 0, input->connection);
        break;
    case MOOT_INPUT_CLIENT_CLOSED:
        client_place(node, input->connection, 0);
        break;
    case MOOT_INPUT_CLIENT_BYTES:
        client_bytes(node, input);
        break;
    case MOOT_INPUT_CLIENT_ENDED:
        effect(node, MOOT_EFFECT_CLIENT_CLOSE)->client.connection = input->connection;
        break;
    case MOOT_INPUT_CLIENT_SENT:
        node->sent_inputs++;
        node->sent_max = moot_max_u64(node->sent_max, input->amount);
        break;
    case MOOT_INPUT_DURABLE:
    case MOOT_INPUT_FETCHED:
    case MOOT_INPUT_FLUSHED:
        MOOT_ASSERT(input->status == MOOT_OK);
        ticket_done(node, input->ticket);
        break;
    case MOOT_INPUT_PEER_UP:
        node->peer_ups++;
        break;
    case MOOT_INPUT_PEER_DOWN:
        node->peer_downs++;
        node->down_status = (uint64_t)-input->status;
        break;
    case MOOT_INPUT_PEER_MESSAGE:
        moot_buffer_reset(&node->inbox, 0);
        moot_buffer_append_slice(&node->inbox, input->bytes);
        break;
    case MOOT_INPUT_STOP:
        effect(node, MOOT_EFFECT_STOP);
        break;
    case MOOT_INPUT_REOPEN:
        keep_all(node);
        effect(node, MOOT_EFFECT_STOP);
        break;
    case MOOT_INPUT_CLIENT_KEPT:
        MOOT_ASSERT(moot_slice_equal(input->bytes, MOOT_SLICE_LITERAL("kept")));
        client_place(node, 0, input->connection);
        break;
    default:
        break;
    }
}

void moot_node_turn(struct moot_node *node, const struct moot_input *inputs, size_t count,
                    struct moot_now now, struct moot_effects *out)
{
    moot_arena_reset(&node->arena);
    node->effect_count = 0;
    node->turns++;
    if (node->peer.node != 0 && !node->peer_told) {
        node->peer_told = true;
        struct moot_effect *peer = effect(node, MOOT_EFFECT_PEER);
        peer->peer.node = node->peer.node;
        peer->peer.address = moot_slice_text(node->peer.peer);
    }
    for (size_t i = 0; i < count; i++) {
        one_input(node, &inputs[i]);
    }
    *out = (struct moot_effects){node->effects, node->effect_count,
                                 moot_instant_add(now.instant, moot_ms(50))};
}

int moot_journal_write_now(struct moot_disk *disk, uint64_t segment_bytes,
                           const struct moot_journal_write *where, const void *bytes, size_t size)
{
    (void)segment_bytes;
    return disk->ops->write(disk, where->segment, where->offset, bytes, size);
}

/* ---- one server in a thread ---- */
struct server {
    struct moot_node node;
    struct moot_identity identity;
    struct gate_disk disk;
    struct count_store store;
    struct moot_loop_options options;
    pthread_t thread;
    int port, status;
    atomic_bool wants; /* To be opened again, */
    sem_t opening, go; /* which begins, and may end. */
};

static int bind_to(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)*port)};
    socklen_t size = sizeof(address);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int listen_any(int *port)
{
    int fd = bind_to(port);
    assert_int_equal(listen(fd, 16), 0); /* So that a dial before the loop runs just waits. */
    return fd;
}

static void *server_main(void *argument)
{
    struct server *server = argument;
    server->status = moot_loop_run(&server->options);
    return NULL;
}

static struct server *server_make(void)
{
    struct server *server = moot_alloc_zero(sizeof(*server));
    server->disk.base.ops = &gate_ops;
    pthread_mutex_init(&server->disk.lock, NULL);
    pthread_cond_init(&server->disk.changed, NULL);
    server->store.base.ops = &count_ops;
    server->identity.node = 1;
    server->identity.cluster[0] = 7;
    server->options = (struct moot_loop_options){
        .node = &server->node,
        .disk = &server->disk.base,
        .segment_bytes = 1 << 20,
        .store = &server->store.base,
        .dir = "/",
        .peer_fd = -1,
        .identity = &server->identity,
        .incarnation = 1,
        .secret = MOOT_SLICE_LITERAL("a secret of this test"),
    };
    return server;
}

static void server_start(struct server *server)
{
    server->options.client_fd = listen_any(&server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static int dial(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)server->port)};
    struct timeval limit = {.tv_sec = WAIT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

/* One line without its end, or "EOF". */
static const char *get(int fd)
{
    static char line[256];
    size_t size = 0;
    while (size < sizeof(line) - 1) {
        ssize_t got = recv(fd, line + size, 1, 0);
        if (got == 0) {
            return "EOF";
        }
        assert_int_equal(got, 1);
        if (line[size] == '\n') {
            break;
        }
        size++;
    }
    line[size] = '\0';
    return line;
}

enum { PIECE = 1000 * 1000 };

/* How many bytes come until the end, with a pause after each piece: a reader's own pace. */
static size_t read_to_end(int fd, long pause_ms)
{
    static char bytes[PIECE];
    size_t all = 0, pieces = 0;
    for (ssize_t got = 1; got > 0; all += got > 0 ? (size_t)got : 0) {
        got = recv(fd, bytes, sizeof(bytes), 0);
        if (pause_ms > 0 && all / PIECE > pieces) {
            pieces = all / PIECE;
            nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000}, NULL);
        }
    }
    return all;
}

static const char *ask(int fd, const char *text)
{
    put(fd, text);
    return get(fd);
}

static void server_stop(struct server *server)
{
    int fd = dial(server);
    put(fd, "stop\n");
    pthread_join(server->thread, NULL);
    close(fd);
    assert_int_equal(server->status, 0);
}

static void server_free(struct server *server)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        moot_buffer_deinit(&server->node.connections[i].input);
    }
    moot_arena_deinit(&server->node.arena);
    moot_block_release(server->node.block);
    moot_buffer_deinit(&server->node.inbox);
    moot_free(server);
}

/* ---- tests ---- */

/* Goal: replies come in order, whatever way the bytes arrive, and work is done by the turn.
 * Method: a command torn at each byte, then a thousand in one write. */
static void answers_in_order_and_by_the_turn(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    int fd = dial(server);
    for (const char *at = "echo torn\n"; *at != '\0'; at++) {
        put(fd, (char[2]){*at, '\0'});
    }
    assert_string_equal(get(fd), "torn");
    uint64_t before = strtoul(ask(fd, "turns\n"), NULL, 10);
    struct moot_buffer many;
    moot_buffer_init(&many);
    for (int i = 0; i < 1000; i++) {
        char line[32];
        snprintf(line, sizeof(line), "echo %d\n", i);
        moot_buffer_append_text(&many, line);
    }
    moot_buffer_append(&many, "", 1);
    put(fd, (const char *)many.data);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(atoi(get(fd)), i);
    }
    uint64_t after = strtoul(ask(fd, "turns\n"), NULL, 10);
    assert_in_range(after - before, 1, 100);
    moot_buffer_deinit(&many);
    close(fd);
    server_stop(server);
    server_free(server);
}

/* Goal: a disk that hangs holds back what waits for it and nothing else; what queues meanwhile is
 * written together. Method: hold the disk's first write; ten more batches come; others are served.
 */
static void the_disk_does_not_hold_the_loop(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    gate_hold(&server->disk, true);
    int writer = dial(server);
    int other = dial(server);
    for (int i = 0; i < 11; i++) {
        char line[32];
        snprintf(line, sizeof(line), "durable %d\n", i);
        put(writer, line);
        assert_string_equal(ask(other, "echo alive\n"), "alive");
    }
    char early;
    assert_int_equal(recv(writer, &early, 1, MSG_DONTWAIT), -1);
    gate_hold(&server->disk, false);
    for (int i = 0; i < 11; i++) {
        assert_int_equal(atoi(get(writer)), i);
    }
    pthread_mutex_lock(&server->disk.lock);
    assert_int_equal(server->disk.bytes, 11 * BLOCK);
    assert_in_range(server->disk.writes, 1, 3);
    pthread_mutex_unlock(&server->disk.lock);
    close(writer);
    close(other);
    server_stop(server);
    server_free(server);
}

/* Goal: more batches than the journal's queue holds neither deadlock nor get lost. */
static void a_full_journal_queue_waits(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    int fd = dial(server);
    enum { MANY = 3 * MOOT_JOURNAL_QUEUE };
    struct moot_buffer many;
    moot_buffer_init(&many);
    for (int i = 0; i < MANY; i++) {
        moot_buffer_append_text(&many, "durable x\n");
    }
    moot_buffer_append(&many, "", 1);
    put(fd, (const char *)many.data);
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(get(fd), "x");
    }
    moot_buffer_deinit(&many);
    close(fd);
    server_stop(server);
    server_free(server);
}

/* Goal: a reply far larger than the socket takes arrives whole, and the brain hears how much is
 * unsent; a reader that is slow delays nobody. */
static void a_slow_reader_gets_all_and_is_reported(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    int slow = dial(server);
    int other = dial(server);
    enum { SIZE = 30 * 1000 * 1000 };
    put(slow, "big 30000000\n");
    put(slow, "echo after\n");
    unsigned long inputs = 0, most = 0;
    for (int i = 0; i < 1000 && most == 0; i++) {
        sscanf(ask(other, "sent\n"), "%lu %lu", &inputs, &most);
    }
    assert_in_range(most, MOOT_OUTPUT_SOFT, SIZE);
    uint8_t *bytes = moot_alloc(SIZE);
    for (size_t filled = 0; filled < SIZE;) {
        ssize_t got = recv(slow, bytes + filled, SIZE - filled, 0);
        assert_true(got > 0);
        filled += (size_t)got;
    }
    for (size_t i = 0; i < SIZE; i++) {
        if (bytes[i] != (uint8_t)('a' + i % 23)) {
            fail_msg("byte %zu is wrong", i);
        }
    }
    assert_string_equal(get(slow), "after");
    moot_free(bytes);
    close(slow);
    close(other);
    server_stop(server);
    server_free(server);
}

/* Goal: the last reply arrives before the end, though the client had sent more than was read. */
static void a_closed_client_gets_its_last_reply(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    for (int i = 0; i < 50; i++) {
        int fd = dial(server);
        put(fd, "close\n");
        put(fd, "echo too late to be served, but sent all the same\n");
        assert_string_equal(get(fd), "bye");
        for (const char *line = get(fd); strcmp(line, "EOF") != 0; line = get(fd)) {
            assert_string_equal(line, "");
        }
        close(fd);
    }
    server_stop(server);
    server_free(server);
}

/* Goal: a client that is closed after a large reply gets all of it: what it has not been given yet
 * says nothing of whether it reads. Method: the reply and the close come in one turn, as after
 * `GET` and half a close. */
static void a_closed_client_gets_a_large_reply(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    int fd = dial(server);
    put(fd, "big 8000000\nclose\n");
    assert_int_equal(read_to_end(fd, 0), 8000000 + strlen("bye\n"));
    close(fd);
    server_stop(server);
    server_free(server);
}

/* Goal: a server that stops waits for a client that takes its reply slowly, but not for one that
 * takes nothing. Method: far more than kernels hold, read for longer than the grace; then a second
 * server and a client that never reads. */
static void a_stop_waits_for_who_reads(void **state)
{
    (void)state;
    enum { SIZE = 30 * 1000 * 1000 };
    struct server *server = server_make();
    server_start(server);
    int slow = dial(server);
    put(slow, "big 30000000\n");
    assert_int_equal(recv(slow, &(char){0}, 1, 0), 1); /* It is in the server's hands. */
    int other = dial(server);
    put(other, "stop\n");
    assert_int_equal(1 + read_to_end(slow, 2 * MOOT_STOP_GRACE_MS / (SIZE / PIECE)), SIZE);
    pthread_join(server->thread, NULL);
    assert_int_equal(server->status, 0);
    close(slow);
    close(other);
    server_free(server);

    server = server_make();
    server_start(server);
    int silent = dial(server);
    put(silent, "big 30000000\n");
    assert_int_equal(recv(silent, &(char){0}, 1, 0), 1);
    server_stop(server); /* Else the test program would be ended. */
    close(silent);
    server_free(server);
}

/* Goal: one client too many is told so in Redis' words; when one leaves, there is room again. */
static void one_client_too_many_is_told(void **state)
{
    (void)state;
    struct server *server = server_make();
    server->options.clients_max = 2;
    server_start(server);
    int one = dial(server);
    int two = dial(server);
    assert_string_equal(ask(one, "echo 1\n"), "1");
    assert_string_equal(ask(two, "echo 2\n"), "2");
    int three = dial(server);
    assert_string_equal(get(three), "-ERR max number of clients reached\r");
    assert_string_equal(get(three), "EOF");
    close(three);
    close(two);
    for (;;) { /* Until the server has seen that the second is gone. */
        two = dial(server);
        send(two, "echo 2\n", 7, MSG_NOSIGNAL);
        char first;
        ssize_t got = recv(two, &first, 1, 0);
        if (got == 1 && first == '2') {
            break;
        }
        close(two);
    }
    put(two, "stop\n");
    pthread_join(server->thread, NULL);
    close(one);
    close(two);
    server_free(server);
}

/* Goal: work for the store is done on other threads and answered. */
static void work_for_the_store_is_answered(void **state)
{
    (void)state;
    struct server *server = server_make();
    server_start(server);
    int fd = dial(server);
    assert_string_equal(ask(fd, "fetch\n"), "worked");
    assert_string_equal(ask(fd, "flush\n"), "worked");
    assert_int_equal(server->store.fetches, 5);
    assert_int_equal(server->store.flushes, 1);
    close(fd);
    server_stop(server);
    server_free(server);
}

/* Goal: a write or sync that fails ends the process, and nothing that waited for it is said: what
 * the disk holds then is not known, and asking it again would be told a lie. Method: a server of
 * its own process on a disk that fails; its client sees the end, and no answer. */
static void a_failed_write_ends_the_process(void **state)
{
    (void)state;
    struct server *server = server_make();
    server->options.client_fd = listen_any(&server->port);
    int words[2];
    assert_int_equal(pipe(words), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(words[1], 1);
        dup2(words[1], 2);
        close(words[1]);
        server->disk.fails = true;
        _exit(moot_loop_run(&server->options) == 0 ? 0 : 17);
    }
    close(server->options.client_fd);
    close(words[1]);
    int fd = dial(server);
    put(fd, "durable never\n");
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    assert_true(got <= 0); /* The end, or a reset: no answer. */
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 17));
    char said[1024];
    size_t size = 0;
    for (ssize_t more = 1; more > 0 && size < sizeof(said) - 1; size += (size_t)more) {
        more = read(words[0], said + size, sizeof(said) - 1 - size);
        assert_true(more >= 0);
    }
    said[size] = '\0';
    assert_non_null(strstr(said, "journal: writing batch 1 to one failed"));
    close(words[0]);
    close(fd);
    server_free(server);
}

static struct server *peer_make(moot_node_id self, moot_node_id other, int *own_port,
                                int other_port)
{
    struct server *server = server_make();
    server->identity.node = self;
    server->options.peer_fd = listen_any(own_port);
    snprintf(server->identity.self.peer, MOOT_ADDRESS_MAX, "127.0.0.1:%d", *own_port);
    server->node.peer.node = other;
    snprintf(server->node.peer.peer, MOOT_ADDRESS_MAX, "127.0.0.1:%d", other_port);
    return server;
}

static void await(int fd, const char *question, const char *answer)
{
    for (int i = 0; i < 1000000; i++) {
        if (strcmp(ask(fd, question), answer) == 0) {
            return;
        }
    }
    fail_msg("%s never answered %s", question, answer);
}

/* Goal: two nodes find each other, carry messages whole in both directions, and notice at once when
 * the other's process ends and when it is back. */
static void two_nodes_link_and_link_again(void **state)
{
    (void)state;
    int port_one = 0, port_two = 0;
    /* Known before it starts, as in a configuration. A socket that never listens keeps the port
     * ours while nobody does: the kernel gives it to no other process meanwhile. */
    int port_holder = bind_to(&port_two);
    struct server *one = peer_make(1, 2, &port_one, port_two);
    struct server *two = peer_make(2, 1, &port_two, port_one);
    server_start(one);
    server_start(two);
    int fd_one = dial(one);
    int fd_two = dial(two);
    await(fd_one, "peer\n", "1 0 0");
    await(fd_two, "peer\n", "1 0 0");
    put(fd_one, "send 10\n");
    await(fd_two, "inbox\n", "12 <>");
    put(fd_two, "send 5000000\n");
    await(fd_one, "inbox\n", "5000002 <>");
    close(fd_two);
    server_stop(two);
    await(fd_one, "peer\n", "1 1 0");
    server_free(two);
    two = peer_make(2, 1, &port_two, port_one);
    two->options.incarnation = 2;
    server_start(two);
    await(fd_one, "peer\n", "2 1 0");
    close(fd_one);
    server_stop(one);
    server_stop(two);
    server_free(one);
    server_free(two);
    close(port_holder);
}

/* Goal: a node that was removed is told so, now and whenever it dials again. Method: the second of
 * two nodes ends the link; the first one, which dials, hears why each time. */
static void a_removed_node_is_told(void **state)
{
    (void)state;
    int port_one = 0, port_two = 0;
    int port_holder = bind_to(&port_two);
    struct server *one = peer_make(1, 2, &port_one, port_two);
    struct server *two = peer_make(2, 1, &port_two, port_one);
    server_start(one);
    server_start(two);
    int fd_one = dial(one);
    int fd_two = dial(two);
    await(fd_one, "peer\n", "1 0 0");
    await(fd_two, "peer\n", "1 0 0");
    put(fd_two, "refuse\n");
    unsigned ups = 0, downs = 0, status = 0;
    for (int i = 0; i < 1000000 && (downs < 3 || status != -MOOT_EREFUSED); i++) {
        assert_int_equal(sscanf(ask(fd_one, "peer\n"), "%u %u %u", &ups, &downs, &status), 3);
    }
    assert_true(downs >= 3);
    assert_int_equal(status, -MOOT_EREFUSED);
    await(fd_two, "peer\n", "1 1 1"); /* Its own wish. */
    close(fd_one);
    close(fd_two);
    server_stop(one);
    server_stop(two);
    server_free(one);
    server_free(two);
    close(port_holder);
}

/* Goal: who was removed, and knows nobody to ask, is dialed to hear of it, more than once. Method:
 * of two nodes that have no link only the one that tells knows an address; it learns nothing of a
 * link, since it wants none. */
static void a_removed_node_is_dialed(void **state)
{
    (void)state;
    int port_one = 0, port_two = 0;
    int port_holder = bind_to(&port_two);
    struct server *one = peer_make(1, 2, &port_one, port_two);
    struct server *two = peer_make(2, 1, &port_two, port_one);
    one->node.peer_told = two->node.peer_told = true; /* No links. */
    server_start(one);
    server_start(two);
    int fd_one = dial(one);
    int fd_two = dial(two);
    put(fd_two, "tell\n"); /* Also where it is the other one who dials for links. */
    unsigned ups = 0, downs = 0, status = 0;
    for (int i = 0; i < 1000000 && (downs < 3 || status != -MOOT_EREFUSED); i++) {
        assert_int_equal(sscanf(ask(fd_one, "peer\n"), "%u %u %u", &ups, &downs, &status), 3);
    }
    assert_true(ups >= 3 && downs >= 3);
    assert_int_equal(status, -MOOT_EREFUSED);
    await(fd_two, "peer\n", "0 0 0");
    put(fd_two, "refuse\n"); /* It is over. */
    close(fd_one);
    close(fd_two);
    server_stop(one);
    server_stop(two);
    server_free(one);
    server_free(two);
    close(port_holder);
}

static bool wants(void *context)
{
    struct server *server = context;
    return atomic_exchange(&server->wants, false);
}

static struct moot_node *exchange(void *context, uint64_t *incarnation)
{
    struct server *server = context;
    sem_post(&server->opening);
    sem_wait(&server->go);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        server->node.connections[i].id = 0;
    }
    server->node.peer_told = false;
    server->node.waiting_count = 0;
    *incarnation = server->options.incarnation + 1;
    return &server->node;
}

/* Goal: when a brain is exchanged, clients keep their connections, what they send meanwhile comes
 * to the next brain, also of new ones; links are made anew. Method: a client before, during and
 * after; a reply of a megabyte that is not taken yet; a second node. */
static void the_brain_is_exchanged_beneath_its_clients(void **state)
{
    (void)state;
    int port_one = 0, port_two = 0;
    int port_holder = bind_to(&port_two);
    struct server *one = peer_make(1, 2, &port_one, port_two);
    struct server *two = peer_make(2, 1, &port_two, port_one);
    one->options.reopen.context = one;
    one->options.reopen.wanted = wants;
    one->options.reopen.perform = exchange;
    sem_init(&one->opening, 0, 0);
    sem_init(&one->go, 0, 0);
    server_start(one);
    server_start(two);
    int fd_two = dial(two);
    await(fd_two, "peer\n", "1 0 0");
    int before = dial(one), slow = dial(one);
    assert_string_equal(ask(before, "echo a\n"), "a");
    put(slow, "big 8000000\n");
    put(before, "durable b\n");
    assert_string_equal(get(before), "b");
    atomic_store(&one->wants, true); /* Some turn comes soon. */
    sem_wait(&one->opening);
    int during = dial(one);
    put(during, "echo d\n");
    put(before, "echo e\n");
    sem_post(&one->go);
    assert_string_equal(get(before), "e");
    assert_string_equal(get(during), "d");
    int after = dial(one);
    assert_string_equal(ask(after, "echo f\n"), "f");
    for (size_t left = 8000000; left > 0;) {
        char bytes[65536];
        ssize_t got = recv(slow, bytes, sizeof(bytes), 0);
        assert_true(got > 0);
        left -= (size_t)got;
    }
    assert_string_equal(ask(slow, "echo g\n"), "g");
    await(fd_two, "peer\n", "2 1 0");
    int const fds[] = {before, during, after, slow, fd_two};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    server_stop(one);
    server_stop(two);
    server_free(one);
    server_free(two);
    close(port_holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_order_and_by_the_turn),
        cmocka_unit_test(the_disk_does_not_hold_the_loop),
        cmocka_unit_test(a_full_journal_queue_waits),
        cmocka_unit_test(a_slow_reader_gets_all_and_is_reported),
        cmocka_unit_test(a_closed_client_gets_its_last_reply),
        cmocka_unit_test(a_closed_client_gets_a_large_reply),
        cmocka_unit_test(a_stop_waits_for_who_reads),
        cmocka_unit_test(one_client_too_many_is_told),
        cmocka_unit_test(work_for_the_store_is_answered),
        cmocka_unit_test(a_failed_write_ends_the_process),
        cmocka_unit_test(two_nodes_link_and_link_again),
        cmocka_unit_test(a_removed_node_is_told),
        cmocka_unit_test(a_removed_node_is_dialed),
        cmocka_unit_test(the_brain_is_exchanged_beneath_its_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
