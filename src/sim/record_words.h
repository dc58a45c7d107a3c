/* Words for what is recorded: what a message says, what a client asked and was told. */
#ifndef MOOT_SIM_RECORD_WORDS_H
#define MOOT_SIM_RECORD_WORDS_H

#include "base/buffer.h"
#include "base/memory.h"
#include "check/history.h"

/* The kind of a message between nodes, as a word; its content is appended to `out`. */
struct moot_slice sim_record_message(struct moot_slice bytes, struct moot_arena *arena,
                                     struct moot_buffer *out);
/* RESP, or a piece of it, on one line and not too long. */
void sim_record_resp(struct moot_slice bytes, struct moot_buffer *out);
void sim_record_asked(const struct moot_operation *operation, struct moot_buffer *out);
void sim_record_answered(const struct moot_operation *operation, struct moot_buffer *out);
/* It is on the same key and near enough to matter to whoever looks at `wrong`: it overlaps it, or
 * speaks of the same value. */
bool sim_record_is_evidence(const struct moot_operation *operation,
                            const struct moot_operation *wrong);

#endif
