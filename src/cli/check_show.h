/* What `moot check` shows of a violation beyond the checker's words. */
#ifndef MOOT_CLI_CHECK_SHOW_H
#define MOOT_CLI_CHECK_SHOW_H

#include "check/history.h"
#include "check/linearizability.h"
#include "check/verdict.h"

/* Makes the evidence small and draws it as lanes of text, on the standard output. `model` is NULL
 * when the verdict is not one of linearizability. */
void moot_check_show_evidence(const struct moot_history *history, const struct moot_model *model,
                              struct moot_verdict *verdict);
/* One page with every operation near the evidence, or with all when there is none. False after
 * saying why it could not be written. */
bool moot_check_write_page(const struct moot_history *history, const struct moot_verdict *verdict,
                           const char *title, const char *file);

#endif
