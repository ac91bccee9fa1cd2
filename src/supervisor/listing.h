/* Directories that are listed on behalf, so that some names are left out. */
#ifndef SANDLOCK_SUPERVISOR_LISTING_H
#define SANDLOCK_SUPERVISOR_LISTING_H

#include <stdbool.h>

#include "supervisor/notify.h"

/* True for a name that stays. */
typedef bool (*sl_listing_keep)(const char *name, const void *arg);

/* Answers a getdents64(2) from the pinned directory `fd`, which shares its position with the
 * caller's. The older getdents(2) is ENOSYS: nobody is known to need it. */
sl_answer sl_listing_answer(const sl_call *call, int fd, sl_listing_keep keep, const void *arg);

#endif
