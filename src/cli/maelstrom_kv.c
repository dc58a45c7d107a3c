#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "cli/maelstrom_internal.h"
#include "wire/resp.h"

/* A compare-and-set is WATCH, GET, and, when the value is the one expected, MULTI, SET, EXEC: an
 * EXEC that answers nil has surely done nothing, and is tried again. */

static void command(struct moot_buffer *out, const char *const *words, size_t count)
{
    struct moot_resp resp = {out, 2};
    moot_resp_array(&resp, count);
    for (size_t i = 0; i < count; i++) {
        moot_resp_bulk_text(&resp, words[i]);
    }
}

static void give(struct maelstrom *maelstrom, struct maelstrom_op *op, enum moot_input_kind kind,
                 struct moot_slice bytes)
{
    moot_solo_input(
        maelstrom->solo,
        &(struct moot_input){.kind = kind, .connection = op->connection, .bytes = bytes});
}

static json_t *field(const struct maelstrom_op *op, const char *name)
{
    return json_object_get(json_object_get(op->request, "body"), name);
}

static char *text_of(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    MOOT_ASSERT(text != NULL);
    return text;
}

/* Sends the commands of the op's present half. */
static void ask(struct maelstrom *maelstrom, struct maelstrom_op *op)
{
    char *key = text_of(field(op, "key"));
    struct moot_buffer out;
    moot_buffer_init(&out);
    if (op->kind == MAELSTROM_READ) {
        command(&out, (const char *const[]){"GET", key}, 2);
        op->expected = 1;
    } else if (op->kind == MAELSTROM_WRITE) {
        char *value = text_of(field(op, "value"));
        command(&out, (const char *const[]){"SET", key, value}, 3);
        op->expected = 1;
        free(value);
    } else if (!op->swaps) {
        command(&out, (const char *const[]){"WATCH", key}, 2);
        command(&out, (const char *const[]){"GET", key}, 2);
        op->expected = 2;
    } else {
        char *value = text_of(field(op, "to"));
        command(&out, (const char *const[]){"MULTI"}, 1);
        command(&out, (const char *const[]){"SET", key, value}, 3);
        command(&out, (const char *const[]){"EXEC"}, 1);
        op->expected = 3;
        free(value);
    }
    give(maelstrom, op, MOOT_INPUT_CLIENT_BYTES, moot_buffer_slice(&out));
    moot_buffer_deinit(&out);
    free(key);
}

static void finish(struct maelstrom *maelstrom, struct maelstrom_op *op)
{
    give(maelstrom, op, MOOT_INPUT_CLIENT_ENDED, (struct moot_slice){NULL, 0});
    json_decref(op->request);
    moot_buffer_deinit(&op->replies);
    *op = (struct maelstrom_op){0};
}

void maelstrom_kv_begin(struct maelstrom *maelstrom, enum maelstrom_kind kind, json_t *request)
{
    static const char *const NEEDS[][4] = {[MAELSTROM_READ] = {"key"},
                                           [MAELSTROM_WRITE] = {"key", "value"},
                                           [MAELSTROM_CAS] = {"key", "from", "to"}};
    for (size_t i = 0; NEEDS[kind][i] != NULL; i++) {
        if (json_object_get(json_object_get(request, "body"), NEEDS[kind][i]) == NULL) {
            maelstrom_refuse(maelstrom, request, MAELSTROM_MALFORMED, "a field is missing");
            return;
        }
    }
    struct maelstrom_op *op = maelstrom->ops;
    while (op < maelstrom->ops + MAELSTROM_OPS_MAX && op->used) {
        op++;
    }
    if (op == maelstrom->ops + MAELSTROM_OPS_MAX) {
        maelstrom_refuse(maelstrom, request, MAELSTROM_UNAVAILABLE, "too many requests at once");
        return;
    }
    *op = (struct maelstrom_op){.used = true,
                                .kind = kind,
                                .connection = ++maelstrom->connections,
                                .request = json_incref(request)};
    moot_buffer_init(&op->replies);
    give(maelstrom, op, MOOT_INPUT_CLIENT_OPENED, MOOT_SLICE_LITERAL("127.0.0.1:1"));
    ask(maelstrom, op);
}

/* The heads of `count` whole replies; false while they are not all there. */
static bool heads(const struct maelstrom_op *op, struct moot_resp_value *out, uint32_t count)
{
    struct moot_slice rest = moot_buffer_slice(&op->replies);
    for (uint32_t i = 0; i < count; i++) {
        size_t whole, head;
        if (moot_resp_skip(rest, &whole) != 0) {
            return false;
        }
        int status = moot_resp_read(rest, &out[i], &head);
        MOOT_ASSERT(status == 0);
        rest = moot_slice_make(rest.data + whole, rest.size - whole);
    }
    return true;
}

static void refuse_as_told(struct maelstrom *maelstrom, struct maelstrom_op *op,
                           struct moot_slice error)
{
    char text[200];
    size_t size = error.size < sizeof(text) ? error.size : sizeof(text) - 1;
    memcpy(text, error.data, size);
    text[size] = '\0';
    bool in_doubt = moot_slice_starts_with(error, MOOT_SLICE_LITERAL("INDOUBT"));
    maelstrom_refuse(maelstrom, op->request, in_doubt ? MAELSTROM_TIMEOUT : MAELSTROM_UNAVAILABLE,
                     text);
    finish(maelstrom, op);
}

static void compare(struct maelstrom *maelstrom, struct maelstrom_op *op,
                    const struct moot_resp_value *now)
{
    char *from = text_of(field(op, "from"));
    bool is_equal =
        now->type == MOOT_RESP_BULK && moot_slice_equal(now->text, moot_slice_text(from));
    free(from);
    if (is_equal) {
        op->swaps = true;
        moot_buffer_reset(&op->replies, SIZE_MAX);
        ask(maelstrom, op);
        return;
    }
    bool exists = now->type == MOOT_RESP_BULK;
    maelstrom_refuse(maelstrom, op->request, exists ? MAELSTROM_MISMATCH : MAELSTROM_NO_KEY,
                     exists ? "the value is another" : "there is no such key");
    finish(maelstrom, op);
}

static void swapped(struct maelstrom *maelstrom, struct maelstrom_op *op,
                    const struct moot_resp_value *exec)
{
    if (exec->type == MOOT_RESP_ARRAY) {
        maelstrom_answer(maelstrom, op->request, json_pack("{s:s}", "type", "cas_ok"));
        finish(maelstrom, op);
    } else if (++op->tries < MAELSTROM_TRIES_MAX) {
        op->swaps = false; /* Somebody was faster: nothing was done. */
        moot_buffer_reset(&op->replies, SIZE_MAX);
        ask(maelstrom, op);
    } else {
        maelstrom_refuse(maelstrom, op->request, MAELSTROM_CONFLICT,
                         "the key changes all the time");
        finish(maelstrom, op);
    }
}

static void read_done(struct maelstrom *maelstrom, struct maelstrom_op *op,
                      const struct moot_resp_value *value)
{
    if (value->type != MOOT_RESP_BULK) {
        maelstrom_refuse(maelstrom, op->request, MAELSTROM_NO_KEY, "there is no such key");
    } else {
        json_t *json =
            json_loadb((const char *)value->text.data, value->text.size, JSON_DECODE_ANY, NULL);
        MOOT_ASSERT(json != NULL);
        maelstrom_answer(maelstrom, op->request,
                         json_pack("{s:s, s:o}", "type", "read_ok", "value", json));
    }
    finish(maelstrom, op);
}

static struct maelstrom_op *op_of(struct maelstrom *maelstrom, moot_connection_id connection)
{
    for (size_t i = 0; i < MAELSTROM_OPS_MAX; i++) {
        if (maelstrom->ops[i].used && maelstrom->ops[i].connection == connection) {
            return &maelstrom->ops[i];
        }
    }
    return NULL;
}

void maelstrom_kv_reply(void *context, moot_connection_id connection, struct moot_slice bytes)
{
    struct maelstrom *maelstrom = context;
    struct maelstrom_op *op = op_of(maelstrom, connection);
    if (op == NULL) {
        return;
    }
    moot_buffer_append_slice(&op->replies, bytes);
    struct moot_resp_value values[3] = {0};
    MOOT_ASSERT(op->expected > 0 && op->expected <= MOOT_ARRAY_LEN(values));
    if (!heads(op, values, op->expected)) {
        return;
    }
    for (uint32_t i = 0; i < op->expected; i++) {
        if (values[i].type == MOOT_RESP_ERROR) {
            refuse_as_told(maelstrom, op,
                           values[op->expected - 1].type == MOOT_RESP_ERROR
                               ? values[op->expected - 1].text
                               : values[i].text);
            return;
        }
    }
    if (op->kind == MAELSTROM_READ) {
        read_done(maelstrom, op, &values[0]);
    } else if (op->kind == MAELSTROM_WRITE) {
        maelstrom_answer(maelstrom, op->request, json_pack("{s:s}", "type", "write_ok"));
        finish(maelstrom, op);
    } else if (op->swaps) {
        swapped(maelstrom, op, &values[2]);
    } else {
        compare(maelstrom, op, &values[1]);
    }
}

/* The node ended the connection: what it had not answered by then is in doubt. */
void maelstrom_kv_closed(void *context, moot_connection_id connection)
{
    struct maelstrom *maelstrom = context;
    struct maelstrom_op *op = op_of(maelstrom, connection);
    if (op != NULL) {
        maelstrom_refuse(maelstrom, op->request, MAELSTROM_TIMEOUT, "the connection was closed");
        json_decref(op->request);
        moot_buffer_deinit(&op->replies);
        *op = (struct maelstrom_op){0};
    }
}

void maelstrom_kv_end(struct maelstrom *maelstrom)
{
    for (size_t i = 0; i < MAELSTROM_OPS_MAX; i++) {
        if (maelstrom->ops[i].used) {
            json_decref(maelstrom->ops[i].request);
            moot_buffer_deinit(&maelstrom->ops[i].replies);
        }
    }
}
