/* Linked into the test programs of a mutants build. MUTANT=name turns that safety rule off, and
 * some test must then fail. MUTANT_MET=file appends the name of each rule whose condition was ever
 * false: only what met a rule can miss it. Here, and not in the sim's room, because nothing there
 * may ask the world. */
#include "base/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MET_MAX = 256 };

static void note_met(const char *name)
{
    static const char *met[MET_MAX];
    static uint32_t count;
    const char *path = getenv("MUTANT_MET");
    for (uint32_t i = 0; path != NULL && i < count; i++) {
        if (strcmp(met[i], name) == 0) {
            return;
        }
    }
    FILE *file = path == NULL || count == MET_MAX ? NULL : fopen(path, "a");
    if (file != NULL) {
        met[count++] = name;
        fprintf(file, "%s\n", name);
        fclose(file);
    }
}

bool moot_rule_is_off(const char *name)
{
    static const char *off;
    if (off == NULL) {
        const char *wanted = getenv("MUTANT");
        off = wanted == NULL ? "" : wanted;
    }
    if (*off == '\0') {
        note_met(name);
    }
    return strcmp(name, off) == 0;
}
