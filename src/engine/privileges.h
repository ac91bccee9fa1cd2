/* Laying down what a run as root must not keep, and what others must not do to us. */
#ifndef SANDLOCK_ENGINE_PRIVILEGES_H
#define SANDLOCK_ENGINE_PRIVILEGES_H

#include <stdbool.h>

#include "core/err.h"

/* Drops every capability, the bounding set first, so that no execve(2) brings one back, and makes
 * the process non-dumpable: it can be neither traced nor dumped (SUP-07).
 *
 * `to_map`: CAP_SETFCAP stays, if it is there, until the next call: without it nobody may map user
 * 0 into a namespace (user_namespaces(7)). */
int sl_privileges_drop(bool to_map, sl_error *err);

#endif
