#include "cli/maelstrom.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/maelstrom_internal.h"

enum { LINE_BYTES_MAX = 16 << 20, HELLO_MS = 100, READ_BYTES = 1 << 16 };

struct moot_now maelstrom_now(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct moot_now){{(uint64_t)mono.tv_sec * MOOT_SEC_NS + (uint64_t)mono.tv_nsec},
                             (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / MOOT_MSEC_NS};
}

/* ---- messages out ---- */

void maelstrom_write(struct maelstrom *maelstrom, const char *to, json_t *body)
{
    json_t *message =
        json_pack("{s:s, s:s, s:o}", "src", maelstrom->name, "dest", to, "body", body);
    MOOT_ASSERT(message != NULL);
    char *line = json_dumps(message, JSON_COMPACT);
    if (puts(line) == EOF || fflush(stdout) == EOF) {
        maelstrom->ended = true; /* Nobody listens any more. */
    }
    free(line);
    json_decref(message);
}

void maelstrom_answer(struct maelstrom *maelstrom, json_t *request, json_t *body)
{
    json_t *id = json_object_get(json_object_get(request, "body"), "msg_id");
    if (id != NULL) {
        json_object_set(body, "in_reply_to", id);
    }
    maelstrom_write(maelstrom, json_string_value(json_object_get(request, "src")), body);
}

void maelstrom_refuse(struct maelstrom *maelstrom, json_t *request, enum maelstrom_error code,
                      const char *text)
{
    maelstrom_answer(
        maelstrom, request,
        json_pack("{s:s, s:i, s:s}", "type", "error", "code", (int)code, "text", text));
}

/* ---- the network between nodes ---- */

static const char *name_of(const struct maelstrom *maelstrom, moot_node_id node)
{
    return json_string_value(json_array_get(maelstrom->names, node - 1));
}

/* 0: no node of this cluster. */
static moot_node_id number_of(const struct maelstrom *maelstrom, const char *name)
{
    for (size_t i = 0; i < json_array_size(maelstrom->names); i++) {
        if (strcmp(name_of(maelstrom, (moot_node_id)(i + 1)), name) == 0) {
            return (moot_node_id)(i + 1);
        }
    }
    return 0;
}

static void say_hello(struct maelstrom *maelstrom, moot_node_id to)
{
    maelstrom_write(maelstrom, name_of(maelstrom, to),
                    json_pack("{s:s, s:I, s:b}", "type", "moot_hello", "incarnation",
                              (json_int_t)moot_solo_incarnation(maelstrom->solo), "heard",
                              maelstrom->incarnations[to] != 0));
}

static void say_hello_to_the_silent(struct maelstrom *maelstrom, struct moot_instant now)
{
    if (moot_instant_before(now, maelstrom->hello_at)) {
        return;
    }
    maelstrom->hello_at = moot_instant_add(now, moot_ms(HELLO_MS));
    for (size_t i = 1; i <= json_array_size(maelstrom->names); i++) {
        if (i != maelstrom->self && maelstrom->incarnations[i] == 0) {
            say_hello(maelstrom, (moot_node_id)i);
        }
    }
}

static bool all_heard(const struct maelstrom *maelstrom)
{
    for (size_t i = 1; i <= json_array_size(maelstrom->names); i++) {
        if (i != maelstrom->self && maelstrom->incarnations[i] == 0) {
            return false;
        }
    }
    return true;
}

/* Links of Maelstrom are never cut, only silent: a peer is up when it was heard of, for good. What
 * is lost on the way is the brain's to notice. */
static void on_hello(struct maelstrom *maelstrom, moot_node_id from, const json_t *body)
{
    json_int_t incarnation = json_integer_value(json_object_get(body, "incarnation"));
    if (incarnation > 0 && maelstrom->incarnations[from] == 0) {
        maelstrom->incarnations[from] = (uint64_t)incarnation;
        moot_solo_input(maelstrom->solo, &(struct moot_input){.kind = MOOT_INPUT_PEER_UP,
                                                              .node = from,
                                                              .status = MOOT_FEATURE_LEVEL,
                                                              .amount = (uint64_t)incarnation});
    }
    if (!json_is_true(json_object_get(body, "heard"))) {
        say_hello(maelstrom, from);
    }
}

static void on_peer_message(struct maelstrom *maelstrom, moot_node_id from, const json_t *body)
{
    const json_t *text = json_object_get(body, "bytes");
    size_t size = json_string_length(text);
    if (maelstrom->incarnations[from] == 0 || !json_is_string(text) || size % 4 != 0) {
        return;
    }
    uint8_t *bytes = moot_alloc(size / 4 * 3 + 1);
    const char *digits = json_string_value(text);
    int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)digits, (int)size);
    if (decoded > 0) {
        size_t padding = (size_t)(digits[size - 1] == '=') + (size_t)(digits[size - 2] == '=');
        moot_solo_input(
            maelstrom->solo,
            &(struct moot_input){.kind = MOOT_INPUT_PEER_MESSAGE,
                                 .node = from,
                                 .bytes = moot_slice_make(bytes, (size_t)decoded - padding)});
    }
    moot_free(bytes);
}

static void send_message(void *context, moot_node_id to, struct moot_slice message)
{
    struct maelstrom *maelstrom = context;
    char *text = moot_alloc((message.size + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)text, message.data, (int)message.size);
    maelstrom_write(maelstrom, name_of(maelstrom, to),
                    json_pack("{s:s, s:s}", "type", "moot", "bytes", text));
    moot_free(text);
}

static void say(void *context, struct moot_slice line)
{
    (void)context;
    fprintf(stderr, "%.*s\n", (int)line.size, (const char *)line.data);
}

static void stop(void *context, int status, struct moot_slice why)
{
    struct maelstrom *maelstrom = context;
    maelstrom->ended = true;
    maelstrom->status = status == 0 ? CLI_OK : CLI_FAILED;
    fprintf(stderr, "moot: %.*s\n", (int)why.size, (const char *)why.data);
}

/* ---- init ---- */

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* All nodes must count alike, whatever order each was told. */
static bool take_names(struct maelstrom *maelstrom, const json_t *given)
{
    size_t count = json_array_size(given);
    const char *names[MOOT_MEMBERS_MAX];
    if (count == 0 || count > MOOT_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = json_string_value(json_array_get(given, i));
        if (names[i] == NULL) {
            return false;
        }
    }
    qsort(names, count, sizeof(names[0]), by_name);
    maelstrom->names = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(maelstrom->names, json_string(names[i]));
    }
    return true;
}

static struct moot_identity identity_of(const struct maelstrom *maelstrom)
{
    struct moot_identity identity = {.node = maelstrom->self};
    memset(identity.cluster, 0x6d, sizeof(identity.cluster));
    identity.initial_count = (uint32_t)json_array_size(maelstrom->names);
    for (uint32_t i = 0; i < identity.initial_count; i++) {
        struct moot_address *address = &identity.initial[i];
        address->node = i + 1;
        snprintf(address->peer, sizeof(address->peer), "%.40s:1", name_of(maelstrom, i + 1));
        snprintf(address->client, sizeof(address->client), "%.40s:2", name_of(maelstrom, i + 1));
    }
    identity.self = identity.initial[maelstrom->self - 1];
    return identity;
}

static void on_init(struct maelstrom *maelstrom, json_t *request, const json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "node_id"));
    if (maelstrom->solo != NULL || name == NULL ||
        !take_names(maelstrom, json_object_get(body, "node_ids")) ||
        (maelstrom->self = number_of(maelstrom, name)) == 0) {
        fprintf(stderr, "moot: init needs node_id and up to %d node_ids, once\n", MOOT_MEMBERS_MAX);
        maelstrom->ended = true;
        maelstrom->status = CLI_FAILED;
        return;
    }
    maelstrom->name = name_of(maelstrom, maelstrom->self);
    struct moot_identity identity = identity_of(maelstrom);
    struct moot_solo_options options = {
        .identity = &identity,
        .seed = moot_hash64(moot_slice_text(maelstrom->name), (uint64_t)getpid()),
        .now = maelstrom_now(),
        .calls = {.context = maelstrom,
                  .send = send_message,
                  .reply = maelstrom_kv_reply,
                  .closed = maelstrom_kv_closed,
                  .say = say,
                  .stop = stop}};
    char why[256] = "";
    if (moot_solo_open(&options, &maelstrom->solo, why) != 0) {
        cli_fail("%s", why);
        maelstrom->ended = true;
        maelstrom->status = CLI_FAILED;
        return;
    }
    moot_hlc_init(&maelstrom->clock, UINT64_MAX, 0);
    maelstrom_answer(maelstrom, request, json_pack("{s:s}", "type", "init_ok"));
}

/* ---- requests ---- */

static void on_echo(struct maelstrom *maelstrom, json_t *request, const json_t *body)
{
    json_t *echo = json_object_get(body, "echo");
    maelstrom_answer(maelstrom, request, json_pack("{s:s, s:O*}", "type", "echo_ok", "echo", echo));
}

/* No two clocks share a node's name, and no clock gives a stamp twice: no talk is needed. */
static void on_generate(struct maelstrom *maelstrom, json_t *request, const json_t *body)
{
    (void)body;
    char id[64];
    snprintf(id, sizeof(id), "%" PRIx64 "-%u",
             moot_hlc_next(&maelstrom->clock, maelstrom_now().wall_ms), maelstrom->self);
    maelstrom_answer(maelstrom, request, json_pack("{s:s, s:s}", "type", "generate_ok", "id", id));
}

static void on_read(struct maelstrom *maelstrom, json_t *request, const json_t *body)
{
    (void)body;
    maelstrom_kv_begin(maelstrom, MAELSTROM_READ, request);
}

static void on_write(struct maelstrom *maelstrom, json_t *request, const json_t *body)
{
    (void)body;
    maelstrom_kv_begin(maelstrom, MAELSTROM_WRITE, request);
}

static void on_cas(struct maelstrom *maelstrom, json_t *request, const json_t *body)
{
    (void)body;
    maelstrom_kv_begin(maelstrom, MAELSTROM_CAS, request);
}

static const struct {
    const char *type;
    void (*handle)(struct maelstrom *maelstrom, json_t *request, const json_t *body);
} REQUESTS[] = {
    {"init", on_init}, {"echo", on_echo},   {"generate", on_generate},
    {"read", on_read}, {"write", on_write}, {"cas", on_cas},
};

static void on_message(struct maelstrom *maelstrom, json_t *message)
{
    const char *source = json_string_value(json_object_get(message, "src"));
    const json_t *body = json_object_get(message, "body");
    const char *type = json_string_value(json_object_get(body, "type"));
    if (source == NULL || type == NULL) {
        fprintf(stderr, "moot: a message without src or body.type was ignored\n");
        return;
    }
    moot_node_id from = number_of(maelstrom, source);
    if (from != 0 && from != maelstrom->self && strcmp(type, "moot_hello") == 0) {
        on_hello(maelstrom, from, body);
        return;
    }
    if (from != 0 && from != maelstrom->self && strcmp(type, "moot") == 0) {
        on_peer_message(maelstrom, from, body);
        return;
    }
    if (maelstrom->solo == NULL && strcmp(type, "init") != 0) {
        fprintf(stderr, "moot: %s before init was ignored\n", type);
        return;
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(REQUESTS); i++) {
        if (strcmp(REQUESTS[i].type, type) == 0) {
            REQUESTS[i].handle(maelstrom, message, body);
            return;
        }
    }
    if (json_object_get(body, "in_reply_to") == NULL) {
        maelstrom_refuse(maelstrom, message, MAELSTROM_NOT_SUPPORTED,
                         "workloads: echo, unique-ids, lin-kv");
    }
}

/* ---- the loop ---- */

static void on_line(struct maelstrom *maelstrom, const char *line, size_t size)
{
    json_error_t error;
    json_t *message = json_loadb(line, size, 0, &error);
    if (message == NULL) {
        fprintf(stderr, "moot: a line that is no JSON was ignored: %s\n", error.text);
        return;
    }
    on_message(maelstrom, message);
    json_decref(message);
}

static void take_lines(struct maelstrom *maelstrom)
{
    uint8_t *at = moot_buffer_reserve(&maelstrom->input, READ_BYTES);
    ssize_t got = read(STDIN_FILENO, at, READ_BYTES);
    if (got <= 0) {
        maelstrom->ended = got == 0 || (errno != EINTR && errno != EAGAIN);
        return;
    }
    maelstrom->input.size += (size_t)got;
    size_t begin = 0;
    const uint8_t *end;
    while (!maelstrom->ended && (end = memchr(maelstrom->input.data + begin, '\n',
                                              maelstrom->input.size - begin)) != NULL) {
        size_t size = (size_t)(end - maelstrom->input.data) - begin;
        if (size > 0) {
            on_line(maelstrom, (const char *)maelstrom->input.data + begin, size);
        }
        begin += size + 1;
    }
    moot_buffer_consume(&maelstrom->input, begin);
    if (maelstrom->input.size > LINE_BYTES_MAX) {
        maelstrom->status = cli_fail("a line is longer than %d bytes", LINE_BYTES_MAX);
        maelstrom->ended = true;
    }
}

static int wait_ms(const struct maelstrom *maelstrom, struct moot_instant now)
{
    if (maelstrom->solo == NULL) {
        return -1;
    }
    struct moot_instant until = moot_solo_deadline(maelstrom->solo);
    if (!all_heard(maelstrom)) {
        until = moot_instant_min(until, maelstrom->hello_at);
    }
    uint64_t ns = moot_instant_since(until, now).ns;
    return (int)moot_min_u64((ns + MOOT_MSEC_NS - 1) / MOOT_MSEC_NS, 1000);
}

static const char DOC[] =
    "One node of a cluster on standard input and output, for Maelstrom "
    "(github.com/jepsen-io/maelstrom).\vWorkloads: echo, unique-ids, lin-kv. The node is the one "
    "that `moot server` runs, with its disk in memory. Example:\n\n"
    "  maelstrom test -w lin-kv --bin moot-maelstrom --node-count 3 \\\n"
    "    --concurrency 6 --time-limit 30 --nemesis partition\n\n"
    "where moot-maelstrom is a script of one line: exec moot maelstrom";

int moot_cli_maelstrom(int argc, char **argv)
{
    static const struct argp argp = {.doc = DOC};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    struct maelstrom *maelstrom = moot_alloc_zero(sizeof(*maelstrom));
    moot_buffer_init(&maelstrom->input);
    maelstrom->name = "";
    while (!maelstrom->ended) {
        struct moot_now now = maelstrom_now();
        if (maelstrom->solo != NULL) {
            say_hello_to_the_silent(maelstrom, now.instant);
            moot_solo_run(maelstrom->solo, now);
        }
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (!maelstrom->ended && poll(&input, 1, wait_ms(maelstrom, now.instant)) > 0) {
            take_lines(maelstrom);
        }
    }
    int status = maelstrom->status;
    maelstrom_kv_end(maelstrom);
    if (maelstrom->solo != NULL) {
        moot_solo_close(maelstrom->solo);
    }
    json_decref(maelstrom->names);
    moot_buffer_deinit(&maelstrom->input);
    moot_free(maelstrom);
    return status;
}
