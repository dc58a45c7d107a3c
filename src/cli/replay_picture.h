/* What recorded nodes did, in words and as one picture (picture/picture.h).
 *
 * Recordings of several machines are laid over each other by their wall clocks, so arrows between
 * machines are as slanted as their clocks are apart. A message is one arrow when
 * one recording sent it and another got it: the same nodes, the same bytes, the first not yet
 * taken. */
#ifndef MOOT_CLI_REPLAY_PICTURE_H
#define MOOT_CLI_REPLAY_PICTURE_H

#include "replay/player.h"

struct replay_picture; /* opaque */

/* Who draws only what is from some wall time on says so; 0: from the first start. */
struct replay_picture *replay_picture_make(uint64_t begin_ms);
void replay_picture_opened(struct replay_picture *picture, const struct moot_replay_open *open,
                           const struct moot_node *node);
void replay_picture_turn(struct replay_picture *picture, const struct moot_player_turn *turn,
                         const struct moot_node *node, const struct moot_effects *effects);
void replay_picture_ended(struct replay_picture *picture, const struct moot_replay_stream *stream,
                          const struct moot_player_result *result);
/* Joins sent and received, writes the page and frees the picture. False after saying why. */
bool replay_picture_write(struct replay_picture *picture, const char *path);

void replay_input_words(const struct moot_input *input, struct moot_buffer *out);
void replay_effect_words(const struct moot_effect *effect, struct moot_buffer *out);

#endif
