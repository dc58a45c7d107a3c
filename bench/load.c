/* One client for every server that is compared: so many connections, each with so many requests on
 * the way, in one thread, for so many seconds.
 *
 *     load --port 7001 --clients 50 --pipeline 16 --command set --keys 1000000
 *
 * A line `measuring` says that the warm-up is over; then, after the seconds, one line of JSON: the
 * rate, the latencies of single requests (of a pipeline: from the batch's sending to the reply),
 * and the processor time of this program itself.
 *
 *     --wait 2        each batch of SETs ends with WAIT 2: done when two replicas have them
 *     --fill          first writes every key once
 *     --protocol etcd the same requests to etcd's JSON gateway over HTTP, without pipelining
 *     --open-loop 5   one SET every 5 ms whatever happened to those before; when a connection is
 *                     lost, the next port is tried. Reports the gaps between acknowledgements,
 *                     each with its start on CLOCK_MONOTONIC.
 *
 * Requests are formatted once for a connection, and only the digits of the key change, so that the
 * client costs little beside what it measures. */
#include <arpa/inet.h>
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/slice.h"

enum {
    PORTS_MAX = 16,
    CLIENTS_MAX = 4096,
    PIPELINE_MAX = 1024,
    KEY_BYTES = 16, /* "key:" and 12 digits */
    KEY_DIGITS = 12,
    READ_BYTES = 65536,
    FILL_PIPELINE = 64,
    RECONNECT_MS = 5,
};

enum command { COMMAND_SET, COMMAND_GET, COMMAND_PING };

struct settings {
    const char *host;
    uint16_t ports[PORTS_MAX];
    uint32_t port_count;
    uint32_t clients, pipeline, value_size, wait;
    uint64_t keys;
    double warm_up_s, seconds;
    enum command command;
    bool etcd, fill;
    double open_loop_ms, gap_min_ms;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- latencies: 64 steps an octave of microseconds, so 1.6 % wide at most ---- */

enum { STEPS = 64, OCTAVES = 40 };
struct histogram {
    uint64_t counts[OCTAVES * STEPS], total, max_us;
};

static void histogram_add(struct histogram *histogram, uint64_t us, uint64_t count)
{
    uint32_t octave = 0;
    while ((us >> octave) >= 2 * STEPS) {
        octave++;
    }
    uint64_t at = us < STEPS ? us : (uint64_t)(octave + 1) * STEPS + (us >> octave) - STEPS;
    MOOT_ASSERT(at < MOOT_ARRAY_LEN(histogram->counts));
    histogram->counts[at] += count;
    histogram->total += count;
    histogram->max_us = us > histogram->max_us ? us : histogram->max_us;
}

/* The value below which `part` of 1000 lie. */
static uint64_t histogram_at(const struct histogram *histogram, uint64_t part)
{
    uint64_t need = histogram->total * part / 1000, seen = 0;
    for (uint64_t at = 0; at < MOOT_ARRAY_LEN(histogram->counts); at++) {
        seen += histogram->counts[at];
        if (seen > need) {
            return at < STEPS ? at : (at % STEPS + STEPS) << (at / STEPS - 1);
        }
    }
    return histogram->max_us;
}

/* ---- replies, only as far as to know where they end ---- */

struct reply_count {
    uint64_t replies, errors, nils;
    char first_error[128];
};

static void note_error(struct reply_count *count, const uint8_t *text, size_t size)
{
    if (count->errors++ == 0) {
        size = size < sizeof(count->first_error) - 1 ? size : sizeof(count->first_error) - 1;
        for (size_t i = 0; i < size; i++) { /* It goes into JSON. */
            bool plain = text[i] >= ' ' && text[i] != '"' && text[i] != '\\';
            count->first_error[i] = plain ? (char)text[i] : ' ';
        }
        count->first_error[size] = '\0';
    }
}

/* The size of the RESP reply at `data`, 0 when it is not all there. */
static size_t resp_reply(const uint8_t *data, size_t size, struct reply_count *count)
{
    const uint8_t *end = size < 3 ? NULL : memchr(data, '\n', size);
    if (end == NULL) {
        return 0;
    }
    size_t line = (size_t)(end - data) + 1;
    if (data[0] == '$') {
        long length = strtol((const char *)data + 1, NULL, 10);
        if (length >= 0) {
            line += (size_t)length + 2;
            if (line > size) {
                return 0;
            }
        } else {
            count->nils++;
        }
    } else if (data[0] == '-') {
        note_error(count, data + 1, line - 3);
    } else if (data[0] == '_') {
        count->nils++;
    } else if (data[0] != '+' && data[0] != ':') {
        errno = EPROTO;
        die("an unexpected type of reply");
    }
    count->replies++;
    return line;
}

/* The size of the HTTP reply at `data`, 0 when it is not all there. */
static size_t http_reply(const uint8_t *data, size_t size, struct reply_count *count)
{
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - data) + 4;
    char text[1024];
    size_t kept = head < sizeof(text) - 1 ? head : sizeof(text) - 1;
    memcpy(text, data, kept);
    text[kept] = '\0';
    const char *length = strcasestr(text, "\r\ncontent-length:");
    size_t body;
    if (length != NULL) {
        body = strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
    } else { /* Chunked: what we ask for is answered by one small document. */
        const uint8_t *last = memmem(data + head, size - head, "0\r\n\r\n", 5);
        if (last == NULL) {
            return 0;
        }
        body = (size_t)(last - data) + 5 - head;
    }
    if (head + body > size) {
        return 0;
    }
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
        note_error(count, data, head);
    } else if (memmem(data + head, body, "\"count\":", 8) == NULL) {
        count->nils++;
    }
    count->replies++;
    return head + body;
}

/* ---- requests ---- */

/* What is sent again and again; `keys` says where the digits are. */
struct request {
    struct moot_buffer bytes;
    size_t keys[PIPELINE_MAX];
    uint32_t count;   /* of requests with a key */
    uint32_t replies; /* that the batch is answered with */
};

static void append_bulk(struct moot_buffer *out, const void *bytes, size_t size)
{
    char head[32];
    snprintf(head, sizeof(head), "$%zu\r\n", size);
    moot_buffer_append_text(out, head);
    moot_buffer_append(out, bytes, size);
    moot_buffer_append_text(out, "\r\n");
}

static void make_resp(struct request *request, const struct settings *settings,
                      enum command command, const uint8_t *value)
{
    static const char key[] = "key:000000000000";
    struct moot_buffer *out = &request->bytes;
    if (command == COMMAND_PING) {
        moot_buffer_append_text(out, "*1\r\n$4\r\nPING\r\n");
        return;
    }
    moot_buffer_append_text(out,
                            command == COMMAND_SET ? "*3\r\n$3\r\nSET\r\n" : "*2\r\n$3\r\nGET\r\n");
    append_bulk(out, key, KEY_BYTES);
    request->keys[request->count++] = out->size - 2 - KEY_DIGITS;
    if (command == COMMAND_SET) {
        append_bulk(out, value, settings->value_size);
    }
}

static void append_base64(struct moot_buffer *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        three |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        three |= i + 2 < size ? bytes[i + 2] : 0;
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        i + 1 < size ? digits[three >> 6 & 63] : '=',
                        i + 2 < size ? digits[three & 63] : '='};
        moot_buffer_append(out, four, 4);
    }
}

/* Formatted anew for each request: base64 spreads a digit over two characters. */
static void make_http(struct request *request, const struct settings *settings,
                      enum command command, const uint8_t *value, uint64_t key)
{
    char name[KEY_BYTES + 16], head[160];
    struct moot_buffer body;
    moot_buffer_init(&body);
    snprintf(name, sizeof(name), "key:%012llu", (unsigned long long)key);
    moot_buffer_append_text(&body, "{\"key\":\"");
    append_base64(&body, (const uint8_t *)name, KEY_BYTES);
    if (command == COMMAND_SET) {
        moot_buffer_append_text(&body, "\",\"value\":\"");
        append_base64(&body, value, settings->value_size);
    }
    moot_buffer_append_text(&body, "\"}");
    snprintf(head, sizeof(head),
             "POST /v3/kv/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n",
             command == COMMAND_SET ? "put" : "range", settings->host, body.size);
    request->bytes.size = 0;
    moot_buffer_append_text(&request->bytes, head);
    moot_buffer_append_slice(&request->bytes, moot_buffer_slice(&body));
    moot_buffer_deinit(&body);
}

static void set_digits(uint8_t *digits, uint64_t key)
{
    for (int at = KEY_DIGITS - 1; at >= 0; at--, key /= 10) {
        digits[at] = (uint8_t)('0' + key % 10);
    }
}

/* ---- connections ---- */

struct connection {
    int fd;
    struct request request;
    size_t sent;      /* of request.bytes */
    uint32_t waiting; /* replies that have not come */
    uint64_t begun_ns;
    struct moot_buffer in;
    uint8_t *value;
};

struct load {
    struct settings settings;
    struct connection *connections;
    struct histogram *latencies;
    struct reply_count count;
    struct moot_rng rng;
    uint64_t done, next_key; /* next_key: of a fill */
    int epoll;
    bool filling, measuring;
};

/* -1 when nobody listens, or the end of the program if that must not be. */
static int open_socket(const struct settings *settings, uint32_t which, bool must)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(settings->ports[which % settings->port_count])};
    inet_pton(AF_INET, settings->host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (must) {
            die("connect");
        }
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

/* Sends what is left of the batch; the socket's buffer takes any batch but for a moment. */
static void flush(struct load *load, struct connection *connection)
{
    while (connection->sent < connection->request.bytes.size) {
        ssize_t size = send(connection->fd, connection->request.bytes.data + connection->sent,
                            connection->request.bytes.size - connection->sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};
            epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event);
            return;
        }
        if (size < 0) {
            die("send");
        }
        connection->sent += (size_t)size;
    }
}

static uint64_t choose_key(struct load *load)
{
    return load->filling ? load->next_key++ % load->settings.keys
                         : moot_rng_below(&load->rng, load->settings.keys);
}

static void send_batch(struct load *load, struct connection *connection)
{
    struct request *request = &connection->request;
    enum command command = load->filling ? COMMAND_SET : load->settings.command;
    if (load->settings.etcd) {
        make_http(request, &load->settings, command, connection->value, choose_key(load));
    }
    for (uint32_t i = 0; i < request->count; i++) {
        set_digits(request->bytes.data + request->keys[i], choose_key(load));
    }
    connection->sent = 0;
    connection->waiting = request->replies;
    connection->begun_ns = now_ns();
    flush(load, connection);
}

static void make_request(struct load *load, struct connection *connection)
{
    const struct settings *settings = &load->settings;
    struct request *request = &connection->request;
    uint32_t depth = load->filling && !settings->etcd ? FILL_PIPELINE : settings->pipeline;
    request->bytes.size = 0;
    request->count = 0;
    request->replies = depth;
    if (settings->etcd) {
        request->replies = 1;
        return; /* send_batch writes it. */
    }
    for (uint32_t i = 0; i < depth; i++) {
        make_resp(request, settings, load->filling ? COMMAND_SET : settings->command,
                  connection->value);
    }
    if (settings->wait > 0 && !load->filling && settings->command == COMMAND_SET) {
        char text[64];
        snprintf(text, sizeof(text), "*3\r\n$4\r\nWAIT\r\n$1\r\n%u\r\n$1\r\n0\r\n", settings->wait);
        moot_buffer_append_text(&request->bytes, text);
        request->replies++;
    }
}

static void on_readable(struct load *load, struct connection *connection)
{
    uint8_t *room = moot_buffer_reserve(&connection->in, READ_BYTES);
    ssize_t size = recv(connection->fd, room, READ_BYTES, 0);
    if (size < 0 && errno == EAGAIN) {
        return;
    }
    if (size <= 0) {
        errno = size == 0 ? ECONNRESET : errno;
        die("the server closed a connection");
    }
    connection->in.size += (size_t)size;
    uint64_t latency_us = (now_ns() - connection->begun_ns) / 1000;
    size_t used = 0, one;
    uint32_t got = 0;
    while (connection->waiting > 0 &&
           (one = (load->settings.etcd ? http_reply : resp_reply)(
                connection->in.data + used, connection->in.size - used, &load->count)) > 0) {
        used += one;
        got++;
        connection->waiting--;
    }
    moot_buffer_consume(&connection->in, used);
    bool by_batch = load->settings.wait > 0 && !load->filling;
    uint32_t done = !by_batch                  ? got
                    : connection->waiting == 0 ? connection->request.replies - 1
                                               : 0;
    load->done += done;
    if (load->measuring && done > 0) {
        histogram_add(load->latencies, latency_us, done);
    }
    if (connection->waiting == 0 && !(load->filling && load->next_key >= load->settings.keys)) {
        send_batch(load, connection);
    }
}

static bool is_idle(const struct load *load)
{
    for (uint32_t i = 0; i < load->settings.clients; i++) {
        if (load->connections[i].waiting > 0) {
            return false;
        }
    }
    return true;
}

/* Until the instant, or, when filling, until all is answered. */
static void run_until(struct load *load, uint64_t end_ns)
{
    struct epoll_event events[256];
    while (load->filling ? !is_idle(load) : now_ns() < end_ns) {
        int count = epoll_wait(load->epoll, events, MOOT_ARRAY_LEN(events), 10);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) != 0) {
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
                epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event);
                flush(load, connection);
            }
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                on_readable(load, connection);
            }
        }
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void start_all(struct load *load)
{
    for (uint32_t i = 0; i < load->settings.clients; i++) {
        make_request(load, &load->connections[i]);
        send_batch(load, &load->connections[i]);
    }
}

static void open_all(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = moot_alloc_zero(load->settings.clients * sizeof(*load->connections));
    for (uint32_t i = 0; i < load->settings.clients; i++) {
        struct connection *connection = &load->connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        moot_buffer_init(&connection->in);
        moot_buffer_init(&connection->request.bytes);
        connection->value = moot_alloc(load->settings.value_size + 1);
        for (uint32_t at = 0; at < load->settings.value_size; at++) {
            connection->value[at] = (uint8_t)moot_rng_next(&load->rng);
        }
        connection->fd = open_socket(&load->settings, i, true);
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event);
    }
}

static int run_closed(struct load *load)
{
    open_all(load);
    if (load->settings.fill) {
        load->filling = true;
        start_all(load);
        run_until(load, 0);
        load->filling = false;
    }
    start_all(load);
    run_until(load, now_ns() + (uint64_t)(load->settings.warm_up_s * 1e9));
    printf("measuring\n");
    fflush(stdout);
    load->measuring = true;
    uint64_t done = load->done, begun_ns = now_ns();
    double cpu_s = cpu_seconds();
    run_until(load, begun_ns + (uint64_t)(load->settings.seconds * 1e9));
    double span_s = (double)(now_ns() - begun_ns) * 1e-9;
    done = load->done - done;
    printf("{\"operations\": %llu, \"rate\": %.1f, \"p50_us\": %llu, \"p99_us\": %llu, "
           "\"max_us\": %llu, \"errors\": %llu, \"misses\": %llu, \"client_cpu_us\": %.3f, "
           "\"first_error\": \"%s\"}\n",
           (unsigned long long)done, (double)done / span_s,
           (unsigned long long)histogram_at(load->latencies, 500),
           (unsigned long long)histogram_at(load->latencies, 990),
           (unsigned long long)load->latencies->max_us, (unsigned long long)load->count.errors,
           (unsigned long long)(load->settings.command == COMMAND_GET ? load->count.nils : 0),
           (cpu_seconds() - cpu_s) * 1e6 / (double)(done > 0 ? done : 1), load->count.first_error);
    return 0;
}

/* ---- open loop: what one user who keeps writing sees of a fail-over ---- */

/* RESP: one connection, any number on the way. HTTP/1.1 answers in order, so that one request that
 * waits would hold up the others: there each has a connection of its own. */
enum { OUTSTANDING_MAX = 1 << 16, WRITERS_MAX = 2048 };
struct writer {
    struct connection pool[WRITERS_MAX];
    uint32_t pool_max, port;
    uint64_t sent_ns[OUTSTANDING_MAX]; /* RESP: a ring, since replies come in order. */
    uint64_t sent, answered, acked, in_doubt, unsent;
    uint64_t acked_last_ns, retry_ns;
    bool any_gap;
};

static void writer_lose(struct writer *writer, struct connection *connection)
{
    writer->in_doubt += connection->waiting;
    writer->answered += connection->waiting;
    connection->waiting = 0;
    close(connection->fd);
    connection->fd = -1;
    connection->in.size = 0;
    writer->port++;
    writer->retry_ns = now_ns() + RECONNECT_MS * 1000000ull;
}

static void writer_ack(struct load *load, struct writer *writer, uint64_t sent_ns)
{
    uint64_t at_ns = now_ns();
    histogram_add(load->latencies, (at_ns - sent_ns) / 1000, 1);
    double gap_ms = (double)(at_ns - writer->acked_last_ns) * 1e-6;
    if (writer->acked > 0 && gap_ms >= load->settings.gap_min_ms) {
        printf("%s[%.6f, %.3f]", writer->any_gap ? ", " : "", (double)writer->acked_last_ns * 1e-9,
               gap_ms);
        writer->any_gap = true;
    }
    writer->acked++;
    writer->acked_last_ns = at_ns;
}

static void writer_read(struct load *load, struct writer *writer, struct connection *connection)
{
    bool etcd = load->settings.etcd;
    struct moot_buffer *in = &connection->in;
    uint8_t *room = moot_buffer_reserve(in, READ_BYTES);
    ssize_t size = recv(connection->fd, room, READ_BYTES, 0);
    if (size < 0 && errno == EAGAIN) {
        return;
    }
    if (size <= 0) {
        writer_lose(writer, connection);
        return;
    }
    in->size += (size_t)size;
    size_t one;
    uint64_t errors = load->count.errors;
    while (connection->waiting > 0 &&
           (one = (etcd ? http_reply : resp_reply)(in->data, in->size, &load->count)) > 0) {
        moot_buffer_consume(in, one);
        if (load->count.errors == errors) {
            writer_ack(load, writer,
                       etcd ? connection->begun_ns
                            : writer->sent_ns[writer->answered % OUTSTANDING_MAX]);
        }
        errors = load->count.errors;
        connection->waiting--;
        writer->answered++;
    }
}

/* One that may take a request now; NULL when there is none. */
static struct connection *writer_choose(struct load *load, struct writer *writer)
{
    struct connection *closed = NULL;
    uint32_t waiting_max = load->settings.etcd ? 1 : OUTSTANDING_MAX;
    for (uint32_t i = 0; i < writer->pool_max; i++) {
        struct connection *connection = &writer->pool[i];
        if (connection->fd >= 0 && connection->waiting < waiting_max) {
            return connection;
        }
        if (connection->fd < 0 && closed == NULL) {
            closed = connection;
        }
    }
    if (closed == NULL || now_ns() < writer->retry_ns) {
        return NULL;
    }
    closed->fd = open_socket(&load->settings, writer->port, false);
    if (closed->fd < 0) {
        writer->port++;
        return NULL;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = closed};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, closed->fd, &event);
    return closed;
}

static void writer_send(struct load *load, struct writer *writer)
{
    struct connection *connection = writer_choose(load, writer);
    if (connection == NULL) {
        writer->unsent++;
        return;
    }
    uint64_t key = moot_rng_below(&load->rng, load->settings.keys);
    struct request *request = &connection->request;
    if (load->settings.etcd) {
        make_http(request, &load->settings, COMMAND_SET, connection->value, key);
    } else {
        set_digits(request->bytes.data + request->keys[0], key);
    }
    connection->begun_ns = now_ns();
    ssize_t size = send(connection->fd, request->bytes.data, request->bytes.size, MSG_NOSIGNAL);
    if (size == (ssize_t)request->bytes.size) {
        connection->waiting++;
        writer->sent_ns[writer->sent++ % OUTSTANDING_MAX] = connection->begun_ns;
    } else if (size >= 0 || errno != EAGAIN) {
        writer->in_doubt += size > 0;
        writer_lose(writer, connection);
    } else {
        writer->unsent++;
    }
}

static void writer_init(struct load *load, struct writer *writer)
{
    load->settings.pipeline = 1;
    load->settings.wait = 0;
    load->settings.command = COMMAND_SET;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    writer->pool_max = load->settings.etcd ? WRITERS_MAX : 1;
    for (uint32_t i = 0; i < writer->pool_max; i++) {
        struct connection *connection = &writer->pool[i];
        moot_buffer_init(&connection->in);
        moot_buffer_init(&connection->request.bytes);
        connection->fd = -1;
        connection->value = moot_alloc(load->settings.value_size + 1);
        memset(connection->value, 'v', load->settings.value_size);
        make_request(load, connection);
    }
}

static void writer_free(struct load *load, struct writer *writer)
{
    for (uint32_t i = 0; i < writer->pool_max; i++) {
        struct connection *connection = &writer->pool[i];
        if (connection->fd >= 0) {
            close(connection->fd);
        }
        moot_buffer_deinit(&connection->in);
        moot_buffer_deinit(&connection->request.bytes);
        moot_free(connection->value);
    }
    close(load->epoll);
    moot_free(writer);
}

static int run_open(struct load *load)
{
    struct writer *writer = moot_alloc_zero(sizeof(*writer));
    writer_init(load, writer);
    printf("measuring\n{\"gaps\": [");
    fflush(stdout);
    uint64_t step_ns = (uint64_t)(load->settings.open_loop_ms * 1e6), next_ns = now_ns();
    uint64_t end_ns = next_ns + (uint64_t)(load->settings.seconds * 1e9), at_ns;
    struct epoll_event events[64];
    while ((at_ns = now_ns()) < end_ns) {
        if (at_ns >= next_ns) {
            writer_send(load, writer);
            next_ns += step_ns;
            continue;
        }
        int count = epoll_wait(load->epoll, events, MOOT_ARRAY_LEN(events),
                               (int)((next_ns - at_ns) / 1000000));
        for (int i = 0; i < count; i++) {
            writer_read(load, writer, events[i].data.ptr);
        }
    }
    printf("], \"sent\": %llu, \"acked\": %llu, \"errors\": %llu, \"in_doubt\": %llu, \"unsent\": "
           "%llu, \"p50_us\": %llu, \"p99_us\": %llu, \"first_error\": \"%s\"}\n",
           (unsigned long long)writer->sent, (unsigned long long)writer->acked,
           (unsigned long long)load->count.errors, (unsigned long long)writer->in_doubt,
           (unsigned long long)writer->unsent,
           (unsigned long long)histogram_at(load->latencies, 500),
           (unsigned long long)histogram_at(load->latencies, 990), load->count.first_error);
    writer_free(load, writer);
    return 0;
}

/* ---- the command line ---- */

enum { KEY_WARM_UP = 256, KEY_WAIT, KEY_FILL, KEY_PROTOCOL, KEY_OPEN_LOOP, KEY_GAP_MIN, KEY_HOST };
static const struct argp_option table[] = {
    {"host", KEY_HOST, "ADDRESS", 0, "an IPv4 address (127.0.0.1)", 0},
    {"port", 'p', "PORT,...", 0, "connections are spread over these (7001)", 0},
    {"clients", 'c', "N", 0, "connections (50)", 0},
    {"pipeline", 'P', "N", 0, "requests sent at once on each (1)", 0},
    {"command", 't', "NAME", 0, "set, get or ping (set)", 0},
    {"keys", 'r', "N", 0, "random keys from so many (10000)", 0},
    {"value-size", 'd', "BYTES", 0, "of each value (100)", 0},
    {"warm-up", KEY_WARM_UP, "S", 0, "before anything counts (2)", 0},
    {"seconds", 's', "S", 0, "that count (5)", 0},
    {"wait", KEY_WAIT, "N", 0, "end each batch of SETs with WAIT N", 0},
    {"fill", KEY_FILL, NULL, 0, "first write every key once", 0},
    {"protocol", KEY_PROTOCOL, "NAME", 0, "resp, or etcd for its JSON gateway (resp)", 0},
    {"open-loop", KEY_OPEN_LOOP, "MS", 0, "one SET every so many milliseconds", 0},
    {"gap-min", KEY_GAP_MIN, "MS", 0, "the least gap that an open loop reports (20)", 0},
    {0},
};

static double number_of(struct argp_state *state, const char *text, double low, double high)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= low && number <= high)) {
        argp_error(state, "%s is not a number from %g to %g", text, low, high);
    }
    return number;
}

static void parse_ports(struct argp_state *state, struct settings *settings, char *text)
{
    settings->port_count = 0;
    for (char *one = strtok(text, ","); one != NULL; one = strtok(NULL, ",")) {
        if (settings->port_count == PORTS_MAX) {
            argp_error(state, "at most %d ports", PORTS_MAX);
        }
        settings->ports[settings->port_count++] = (uint16_t)number_of(state, one, 1, 65535);
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    static const char *const commands[] = {"set", "get", "ping"};
    struct settings *settings = state->input;
    switch (key) {
    case KEY_HOST:
        settings->host = text;
        return 0;
    case 'p':
        parse_ports(state, settings, text);
        return 0;
    case 'c':
        settings->clients = (uint32_t)number_of(state, text, 1, CLIENTS_MAX);
        return 0;
    case 'P':
        settings->pipeline = (uint32_t)number_of(state, text, 1, PIPELINE_MAX);
        return 0;
    case 't':
        for (uint32_t i = 0; i < MOOT_ARRAY_LEN(commands); i++) {
            if (strcmp(text, commands[i]) == 0) {
                settings->command = (enum command)i;
                return 0;
            }
        }
        argp_error(state, "no command %s", text);
        return 0;
    case 'r':
        settings->keys = (uint64_t)number_of(state, text, 1, 1e11);
        return 0;
    case 'd':
        settings->value_size = (uint32_t)number_of(state, text, 1, 1 << 20);
        return 0;
    case KEY_WARM_UP:
        settings->warm_up_s = number_of(state, text, 0, 1e6);
        return 0;
    case 's':
        settings->seconds = number_of(state, text, 0.1, 1e6);
        return 0;
    case KEY_WAIT:
        settings->wait = (uint32_t)number_of(state, text, 1, 9);
        return 0;
    case KEY_FILL:
        settings->fill = true;
        return 0;
    case KEY_PROTOCOL:
        settings->etcd = strcmp(text, "etcd") == 0;
        return 0;
    case KEY_OPEN_LOOP:
        settings->open_loop_ms = number_of(state, text, 0.1, 1e6);
        return 0;
    case KEY_GAP_MIN:
        settings->gap_min_ms = number_of(state, text, 0, 1e6);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = table, .parser = parse, .doc = "Measures a server that speaks RESP, or etcd."};
    static struct histogram latencies;
    static struct load load = {.settings = {.host = "127.0.0.1",
                                            .ports = {7001},
                                            .port_count = 1,
                                            .clients = 50,
                                            .pipeline = 1,
                                            .value_size = 100,
                                            .keys = 10000,
                                            .warm_up_s = 2,
                                            .seconds = 5,
                                            .gap_min_ms = 20},
                               .latencies = &latencies};
    argp_parse(&argp, argc, argv, 0, NULL, &load.settings);
    moot_rng_init(&load.rng, now_ns());
    if (load.settings.etcd) {
        load.settings.pipeline = 1;
    }
    return load.settings.open_loop_ms > 0 ? run_open(&load) : run_closed(&load);
}
