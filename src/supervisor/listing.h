/* Directories that are listed on behalf, so that some names are left out. */
#ifndef SANDLOCK_SUPERVISOR_LISTING_H
#define SANDLOCK_SUPERVISOR_LISTING_H

#include <stdbool.h>

#include "supervisor/notify.h"

/* True for a name that stays. */
typedef bool (*sl_listing_keep)(const char *name, const void *arg);

/* The caller's open directory `fd`, with its position: the caller's own where it can be fetched,
 * else one that is kept for it and goes on where the last call ended. The caller closes it. -errno.
 */
int sl_listing_pin(const sl_call *call, int fd);
/* The end was told: what was kept for this directory goes. */
void sl_listing_ended(const sl_call *call, int fd);
/* To be asked at each open of the caller's: forgets what was kept for directories that it has
 * closed since. */
void sl_listing_at_open(const sl_call *call);
void sl_listing_done(struct sl_supervisor *sv);

/* Answers a getdents64(2) from the pinned directory `fd` (sl_listing_pin). The older getdents(2) is
 * ENOSYS: nobody is known to need it. */
sl_answer sl_listing_answer(const sl_call *call, int fd, sl_listing_keep keep, const void *arg);

#endif
