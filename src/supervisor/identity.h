/* Who the command seems to be: one user and one group of a user namespace, both of them the
 * caller's own outside. */
#ifndef SANDLOCK_SUPERVISOR_IDENTITY_H
#define SANDLOCK_SUPERVISOR_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "policy/policy.h"

#define SL_IDENTITY_MAP_MAX 64

/* The lines of uid_map and gid_map (user_namespaces(7)). */
void sl_identity_maps(const sl_policy *policy, char uid_map[SL_IDENTITY_MAP_MAX],
                      char gid_map[SL_IDENTITY_MAP_MAX]);

/* What an id of the command's means outside; -1 ("leave it") stays. False: nobody (EINVAL). */
bool sl_identity_uid_outside(const sl_policy *policy, uid_t id, uid_t *ret_id);
bool sl_identity_gid_outside(const sl_policy *policy, gid_t id, gid_t *ret_id);

/* As what the command sees an id of outside. */
uid_t sl_identity_uid_inside(const sl_policy *policy, uid_t id);
gid_t sl_identity_gid_inside(const sl_policy *policy, gid_t id);

#endif
