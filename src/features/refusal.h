/* Telling the engine of a file that the grants refuse, by whoever found that they do. What the user
 * himself may not do outside is nobody's denial here, and is not told. */
#ifndef SANDLOCK_FEATURES_REFUSAL_H
#define SANDLOCK_FEATURES_REFUSAL_H

#include "policy/told/file_denial.h"
#include "supervisor/notify.h"

/* The object behind `fd`, one of ours, was refused to the caller. Any thread. */
void sl_refusal_tell(const sl_call *call, int fd, enum sl_file_want want);

/* The same of modes as in access(2), those that the grants lack (0: none, and nothing is told), and
 * whether it was only asked about them. */
void sl_refusal_tell_modes(const sl_call *call, int fd, unsigned modes, bool asked);

/* The making or removing of the entry `name` of the directory behind `dir`. Any thread. */
void sl_refusal_tell_entry(const sl_call *call, int dir, const char *name, enum sl_file_want want);

#endif
