/* Owns the table of system-call names, which gen_sysnames.c makes while building. */
#include "policy/text/sysnames.h"

#include <stddef.h>
#include <string.h>

#include "core/util.h"
#include "policy/text/suggest.h"

static const struct {
    int nr;
    const char *name;
} table[] = {
/* by number */
#define SL_SYSNAME(nr, name) {nr, name},
#include SANDLOCK_SYSNAMES
#undef SL_SYSNAME
};

int sl_sysname_number(const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].nr;
        }
    }
    return -1;
}

const char *sl_sysname_of(int nr)
{
    size_t lo = 0;
    size_t hi = SL_ARRAY_LEN(table);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (table[mid].nr < nr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < SL_ARRAY_LEN(table) && table[lo].nr == nr ? table[lo].name : NULL;
}

const char *sl_sysname_nearest(const char *name)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        size_t distance = sl_suggest_distance(name, table[i].name);
        if (distance < least) {
            least = distance;
            nearest = table[i].name;
        }
    }
    return nearest != NULL && sl_suggest_near(least, strlen(name)) ? nearest : NULL;
}
