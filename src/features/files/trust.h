/* The certificate files of a run, as the assembly hands them over. */
#ifndef SANDLOCK_FEATURES_FILES_TRUST_H
#define SANDLOCK_FEATURES_FILES_TRUST_H

#include "supervisor/supervisor.h"

/* The two per-run files, by the paths that the child sees. 0 or -ENOMEM. */
int sl_trust_expect(sl_supervisor *sv, const char *ca_path, const char *bundle_path);

/* Their content as sealed memfds (taken over), once the gateway has sent it. Opens of known bundles
 * wait until then. */
void sl_trust_set(sl_supervisor *sv, int ca_fd, int bundle_fd);

#endif
