/* The trust artefacts of a run, as the assembly hands them over. */
#ifndef SANDLOCK_FEATURES_FILES_TRUST_H
#define SANDLOCK_FEATURES_FILES_TRUST_H

#include "policy/artefact.h"
#include "supervisor/supervisor.h"

/* The private files of the run, one an artefact, by the paths that the child sees. 0 or -ENOMEM. */
int sl_trust_expect(sl_supervisor *sv, const char *const paths[SL_ARTEFACTS]);

/* Their content as sealed memfds (taken over; all or none, -1), once the gateway has sent it. Opens
 * of whatever they stand for wait until then. */
void sl_trust_set(sl_supervisor *sv, const int fds[SL_ARTEFACTS]);

#endif
