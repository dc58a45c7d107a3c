/* Linked into the unit tests. MOOT_MARKS=file appends the rare paths (MOOT_SOMETIMES) that the
 * program has reached, one a line: who never is reached by a batch of worlds shall be reached here
 * (tests/sim/marks). */
#include <stdio.h>
#include <stdlib.h>

#include "base/rule.h"

static void write_marks(void) __attribute__((destructor));
static void write_marks(void)
{
    const char *path = getenv("MOOT_MARKS");
    size_t count;
    const struct moot_mark *marks = moot_marks(&count);
    FILE *file = path == NULL ? NULL : fopen(path, "a");
    for (size_t i = 0; i < count && file != NULL; i++) {
        if (marks[i].hits > 0) {
            fprintf(file, "%s\n", marks[i].why);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}
