/* The names of system calls on this architecture, and sets of them. */
#ifndef SANDLOCK_POLICY_TEXT_SYSNAMES_H
#define SANDLOCK_POLICY_TEXT_SYSNAMES_H

#include <stdbool.h>
#include <stdint.h>

/* One above the highest number this build knows (file_setattr, Linux 6.17). */
#define SL_SYSNAMES_KNOWN 470

typedef struct sl_sysset {
    uint64_t bits[(SL_SYSNAMES_KNOWN + 63) / 64];
} sl_sysset;

/* The number of a name, or -1. */
int sl_sysname_number(const char *name);
/* The name of a number, or NULL. */
const char *sl_sysname_of(int nr);
/* The known name nearest to a mistyped one, or NULL when none is near. */
const char *sl_sysname_nearest(const char *name);

static inline void sl_sysset_add(sl_sysset *set, int nr)
{
    set->bits[nr / 64] |= UINT64_C(1) << (nr % 64);
}

static inline bool sl_sysset_has(const sl_sysset *set, int nr)
{
    return nr >= 0 && nr < SL_SYSNAMES_KNOWN && (set->bits[nr / 64] >> (nr % 64) & 1) != 0;
}

#endif
