/* A server over sockets, in a thread, whose brain is not a database: it answers lines of text. What
 * the loop promises any brain is proven without one. */
#ifndef MOOT_TESTS_HOST_SERVER_H
#define MOOT_TESTS_HOST_SERVER_H

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

static inline int gate_write(struct moot_disk *disk, const char *name, uint64_t offset,
                             const void *bytes, size_t size)
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

static inline void gate_hold(struct gate_disk *gate, bool held)
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
static inline int count_write(struct moot_store *store, const struct moot_batch *batch)
{
    (void)batch;
    ((struct count_store *)store)->writes++;
    return MOOT_OK;
}
static inline int count_flush(struct moot_store *store)
{
    ((struct count_store *)store)->flushes++;
    return MOOT_OK;
}
static inline int count_fetch(struct moot_store *store, struct moot_slice key)
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
    uint64_t parts, part_bytes; /* How often it was told of a part, and of how much last. */
    struct moot_address peer;
    bool peer_told;
    uint32_t crowd;
};
static uint8_t journal_block[BLOCK];

static inline struct moot_effect *effect(struct moot_node *node, enum moot_effect_kind kind)
{
    MOOT_ASSERT(node->effect_count < EFFECTS_MAX);
    struct moot_effect *made = &node->effects[node->effect_count++];
    *made = (struct moot_effect){.kind = kind};
    return made;
}

static inline void say(struct moot_node *node, moot_connection_id connection, const char *format,
                       ...)
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

static inline void reply_when(struct moot_node *node, moot_ticket ticket,
                              moot_connection_id connection, const char *text)
{
    struct waiting *waiting = &node->waiting[node->waiting_count++];
    *waiting = (struct waiting){.ticket = ticket, .connection = connection};
    snprintf(waiting->text, sizeof(waiting->text), "%.60s\n", text);
}

static inline void command_durable(struct moot_node *node, moot_connection_id connection,
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

static inline void command_big(struct moot_node *node, moot_connection_id connection,
                               const char *argument)
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
static inline void command_send(struct moot_node *node, const char *argument)
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

static inline void command_work(struct moot_node *node, enum moot_effect_kind kind,
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

static inline void command(struct moot_node *node, moot_connection_id connection, char *line)
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
    } else if (strcmp(line, "parts") == 0) {
        say(node, connection, "%llu %llu\n", (unsigned long long)node->parts,
            (unsigned long long)node->part_bytes);
    } else if (strcmp(line, "peer") == 0) {
        say(node, connection, "%llu %llu %llu\n", (unsigned long long)node->peer_ups,
            (unsigned long long)node->peer_downs, (unsigned long long)node->down_status);
    } else if (strcmp(line, "refuse") == 0) {
        struct moot_effect *peer = effect(node, MOOT_EFFECT_PEER);
        peer->peer.node = node->peer.node;
        peer->peer.is_removed = true;
    } else if (strcmp(line, "crowd") == 0) { /* As many others were removed as have room. */
        for (uint32_t i = 0; i < MOOT_PEERS_MAX; i++) {
            struct moot_effect *peer = effect(node, MOOT_EFFECT_PEER);
            peer->peer.node = 1000 + node->crowd++;
            peer->peer.is_removed = true;
        }
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

static inline void client_bytes(struct moot_node *node, const struct moot_input *input)
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

static inline void client_place(struct moot_node *node, moot_connection_id from,
                                moot_connection_id to)
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

static inline void keep_all(struct moot_node *node)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (node->connections[i].id != 0) {
            struct moot_effect *keep = effect(node, MOOT_EFFECT_CLIENT_KEEP);
            keep->client.connection = node->connections[i].id;
            keep->client.bytes = MOOT_SLICE_LITERAL("kept");
        }
    }
}

static inline void ticket_done(struct moot_node *node, moot_ticket ticket)
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

static inline void one_input(struct moot_node *node, const struct moot_input *input)
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
    case MOOT_INPUT_PEER_PART:
        MOOT_ASSERT(input->bytes.size > 0 && input->bytes.data[0] == '<');
        MOOT_ASSERT(input->bytes.size <= MOOT_PART_BYTES && input->bytes.size <= input->amount);
        node->parts++;
        node->part_bytes = input->amount;
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

static inline int bind_to(int *port)
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

static inline int listen_any(int *port)
{
    int fd = bind_to(port);
    assert_int_equal(listen(fd, 16), 0); /* So that a dial before the loop runs just waits. */
    return fd;
}

static inline void *server_main(void *argument)
{
    struct server *server = argument;
    server->status = moot_loop_run(&server->options);
    return NULL;
}

static inline struct server *server_make(void)
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

static inline void server_start(struct server *server)
{
    server->options.client_fd = listen_any(&server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static inline int dial(const struct server *server)
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

static inline void put(int fd, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

/* One line without its end, or "EOF". */
static inline const char *get(int fd)
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

static inline uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* How many bytes come until the end, with a pause after each piece: a reader's own pace. In
 * `longest_ms` (or NULL) the longest time from one piece to the next. */
static inline size_t read_to_end(int fd, long pause_ms, uint64_t *longest_ms)
{
    static char bytes[PIECE];
    size_t all = 0, pieces = 0;
    uint64_t last_ms = now_ms(), longest = 0;
    for (ssize_t got = 1; got > 0; all += got > 0 ? (size_t)got : 0) {
        got = recv(fd, bytes, sizeof(bytes), 0);
        uint64_t at_ms = now_ms();
        longest = at_ms - last_ms > longest ? at_ms - last_ms : longest;
        last_ms = at_ms;
        if (pause_ms > 0 && all / PIECE > pieces) {
            pieces = all / PIECE;
            nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000}, NULL);
        }
    }
    if (longest_ms != NULL) {
        *longest_ms = longest;
    }
    return all;
}

static inline const char *ask(int fd, const char *text)
{
    put(fd, text);
    return get(fd);
}

static inline void server_stop(struct server *server)
{
    int fd = dial(server);
    put(fd, "stop\n");
    pthread_join(server->thread, NULL);
    close(fd);
    assert_int_equal(server->status, 0);
}

static inline void server_free(struct server *server)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        moot_buffer_deinit(&server->node.connections[i].input);
    }
    moot_arena_deinit(&server->node.arena);
    moot_block_release(server->node.block);
    moot_buffer_deinit(&server->node.inbox);
    moot_free(server);
}

#endif
