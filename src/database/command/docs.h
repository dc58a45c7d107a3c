/* COMMAND: what clients ask about commands, answered from the table in the shape of Redis 7.
 *
 * go-redis and redis-py's cluster client take key positions and flags from it, redis-cli its hints
 * and its help. Subcommands (`object|encoding`) are not listed apart. */
#ifndef MOOT_DATABASE_COMMAND_DOCS_H
#define MOOT_DATABASE_COMMAND_DOCS_H

#include "base/memory.h"
#include "wire/resp.h"

/* Answers COMMAND with all its subcommands; errors too are replies. args[0] is the name as sent. */
void moot_command_answer(struct moot_resp *reply, const struct moot_slice *args, uint32_t argc,
                         struct moot_arena *arena);

#endif
