/* A small client of a node, for the command line: one command, one reply, with a time limit. */
#ifndef MOOT_CLI_CLIENT_H
#define MOOT_CLI_CLIENT_H

#include "base/buffer.h"
#include "wire/resp.h"

struct cli_client {
    int fd; /* -1: not connected */
    struct moot_buffer in;
    size_t reply_size; /* Of the reply last given, at the start of `in`. */
};

/* `address` is HOST:PORT. 0, or -1 and `why`, a sentence. */
int cli_connect(struct cli_client *client, const char *address, int limit_ms, char why[256]);
void cli_disconnect(struct cli_client *client);
/* Sends the arguments as one command and reads its reply: the head, and for simple, error and bulk
 * the text, valid until the next call. -1 and `why` when there was none in time; the connection is
 * then closed. */
int cli_command(struct cli_client *client, int argc, const char *const *argv, int limit_ms,
                struct moot_resp_value *reply, char why[256]);
/* The two halves of it: bytes as they are, and the reply that comes next. */
int cli_send(struct cli_client *client, struct moot_slice bytes, int limit_ms, char why[256]);
int cli_receive(struct cli_client *client, int limit_ms, struct moot_resp_value *reply,
                char why[256]);
/* Connects, asks `MOOT STATUS`, and appends the JSON. -1 and `why`. */
int cli_status_of(const char *address, int limit_ms, struct moot_buffer *json, char why[256]);

#endif
