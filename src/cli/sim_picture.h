/* The pictures of `moot sim --trace NAME.html`. */
#ifndef MOOT_CLI_SIM_PICTURE_H
#define MOOT_CLI_SIM_PICTURE_H

#include "moot/base.h"
#include "picture/picture.h"

/* By its name: .html is a page, .json the data alone. */
bool moot_cli_is_picture(const char *path);
/* `end` 0: the last instant that was seen. False after saying why on stderr. */
bool moot_cli_write_picture(struct moot_picture *picture, uint64_t end, const char *path);

#endif
