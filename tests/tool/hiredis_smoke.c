/* What a C program with hiredis does, for tests/clients/hiredis.test.
 *
 *     hiredis_smoke PORT -     sends each line of standard input as a command (words separated by
 * one space) and prints each reply as one line of JSON hiredis_smoke PORT       checks of its own:
 * pipelines, bytes, big values, two connections; TAP
 */
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { WORDS_MAX = 64, PIPELINE = 2000, BIG = 4 * 1024 * 1024 };

static redisContext *open_connection(int port)
{
    struct timeval limit = {.tv_sec = 30};
    redisContext *connection = redisConnectWithTimeout("127.0.0.1", port, limit);
    if (connection == NULL || connection->err != 0) {
        fprintf(stderr, "hiredis_smoke: %s\n",
                connection == NULL ? "no memory" : connection->errstr);
        exit(2);
    }
    redisSetTimeout(connection, limit);
    return connection;
}

/* ---- replies as JSON ---- */

static json_t *text_of(const redisReply *reply)
{
    json_t *text = json_stringn(reply->str, reply->len);
    return text != NULL ? text : json_string("(bytes that are no UTF-8)");
}

static json_t *json_of(const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        return json_integer(reply->integer);
    case REDIS_REPLY_NIL:
        return json_null();
    case REDIS_REPLY_ERROR:
        return json_pack("{s:o}", "error", text_of(reply));
    case REDIS_REPLY_ARRAY: {
        json_t *array = json_array();
        for (size_t i = 0; i < reply->elements; i++) {
            json_array_append_new(array, json_of(reply->element[i]));
        }
        return array;
    }
    default:
        return text_of(reply);
    }
}

static int send_lines(redisContext *connection)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        const char *words[WORDS_MAX];
        int count = 0;
        line[size - 1] = '\0';
        for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
            MOOT_ASSERT(count < WORDS_MAX);
            words[count++] = word;
        }
        redisReply *reply = redisCommandArgv(connection, count, words, NULL);
        if (reply == NULL) {
            fprintf(stderr, "hiredis_smoke: %s: %s\n", words[0], connection->errstr);
            return 1;
        }
        json_t *json = json_of(reply);
        json_dumpf(json, stdout, JSON_ENCODE_ANY);
        putchar('\n');
        json_decref(json);
        freeReplyObject(reply);
    }
    free(line);
    return 0;
}

/* ---- checks of its own ---- */

static bool failed;

static void check(bool good, const char *what)
{
    printf("%s - %s\n", good ? "ok" : "not ok", what);
    failed = failed || !good;
}

/* Takes the reply. */
static bool is_text(redisReply *reply, const void *bytes, size_t size)
{
    bool good = reply != NULL &&
                (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) &&
                reply->len == size && memcmp(reply->str, bytes, size) == 0;
    freeReplyObject(reply);
    return good;
}

static bool is_integer(redisReply *reply, long long value)
{
    bool good = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == value;
    freeReplyObject(reply);
    return good;
}

static redisReply *next_reply(redisContext *connection)
{
    void *reply = NULL;
    return redisGetReply(connection, &reply) == REDIS_OK ? reply : NULL;
}

static void check_pipeline(redisContext *connection)
{
    bool good = true;
    freeReplyObject(redisCommand(connection, "DEL pipeline"));
    for (int i = 0; i < PIPELINE; i++) {
        redisAppendCommand(connection, "INCR pipeline");
    }
    for (int i = 1; i <= PIPELINE; i++) {
        good = good && is_integer(next_reply(connection), i);
    }
    check(good, "2,000 commands in one pipeline, answered in order");
}

static void check_bytes(redisContext *connection)
{
    static const char bytes[] = "\0\r\n$-1\r\n\xff*3";
    size_t size = sizeof(bytes) - 1;
    bool good =
        is_text(redisCommand(connection, "SET %b %b", bytes, size, bytes, size), "OK", 2) &&
        is_text(redisCommand(connection, "GET %b", bytes, size), bytes, size) &&
        is_text(redisCommand(connection, "SET %b %b", "", (size_t)0, "", (size_t)0), "OK", 2) &&
        is_text(redisCommand(connection, "GET %b", "", (size_t)0), "", 0);
    check(good, "keys and values are bytes, empty ones too");
    char *big = malloc(BIG);
    MOOT_ASSERT(big != NULL);
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (char)(i * 2654435761u >> 13);
    }
    check(is_text(redisCommand(connection, "SET big %b", big, (size_t)BIG), "OK", 2) &&
              is_text(redisCommand(connection, "GET big"), big, BIG) &&
              is_integer(redisCommand(connection, "DEL big"), 1),
          "a value of 4 MiB");
    free(big);
}

static void check_two_connections(redisContext *connection, int port)
{
    redisContext *other = open_connection(port);
    freeReplyObject(redisCommand(connection, "DEL watched list"));
    freeReplyObject(redisCommand(connection, "WATCH watched"));
    freeReplyObject(redisCommand(other, "SET watched other"));
    freeReplyObject(redisCommand(connection, "MULTI"));
    freeReplyObject(redisCommand(connection, "SET watched mine"));
    redisReply *reply = redisCommand(connection, "EXEC");
    check(reply != NULL && reply->type == REDIS_REPLY_NIL,
          "EXEC does nothing after a watched key changed");
    freeReplyObject(reply);
    redisAppendCommand(connection, "BLPOP list 20");
    int done = 0;
    while (done == 0) {
        MOOT_ASSERT(redisBufferWrite(connection, &done) == REDIS_OK);
    }
    freeReplyObject(redisCommand(other, "RPUSH list element"));
    reply = next_reply(connection);
    check(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
              strcmp(reply->element[1]->str, "element") == 0,
          "BLPOP gets what another connection pushes");
    freeReplyObject(reply);
    redisFree(other);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: hiredis_smoke PORT [-]\n");
        return 2;
    }
    int port = atoi(argv[1]);
    redisContext *connection = open_connection(port);
    int status = 0;
    if (argc > 2) {
        status = send_lines(connection);
    } else {
        check_pipeline(connection);
        check_bytes(connection);
        check_two_connections(connection, port);
        status = failed ? 1 : 0;
    }
    redisFree(connection);
    return status;
}
