/* Owns the mapping of user and group ids between the command and its host: one of each. Grants
 * nothing: the capabilities of the namespace are given up before the program starts (child.c). */
#include "supervisor/identity.h"

#include <stdio.h>
#include <unistd.h>

#include "policy/verdict.h"

#define NOBODY 65534u /* user_namespaces(7): of ids that are not mapped */

static unsigned inside(const sl_policy *policy, uint32_t given, unsigned own)
{
    return policy->privileged ? 0 : given != SL_POLICY_ID_NONE ? given : own;
}

void sl_identity_maps(const sl_policy *policy, char uid_map[SL_IDENTITY_MAP_MAX],
                      char gid_map[SL_IDENTITY_MAP_MAX])
{
    snprintf(uid_map, SL_IDENTITY_MAP_MAX, "%u %u 1", inside(policy, policy->uid, geteuid()),
             geteuid());
    snprintf(gid_map, SL_IDENTITY_MAP_MAX, "%u %u 1", inside(policy, policy->gid, getegid()),
             getegid());
}

bool sl_identity_uid_outside(const sl_policy *policy, uid_t id, uid_t *ret_id)
{
    bool plain = !sl_policy_wants_identity(policy) || id == (uid_t)-1;
    if (!plain && id != inside(policy, policy->uid, geteuid())) {
        return false;
    }
    *ret_id = plain ? id : geteuid();
    return true;
}

bool sl_identity_gid_outside(const sl_policy *policy, gid_t id, gid_t *ret_id)
{
    bool plain = !sl_policy_wants_identity(policy) || id == (gid_t)-1;
    if (!plain && id != inside(policy, policy->gid, getegid())) {
        return false;
    }
    *ret_id = plain ? id : getegid();
    return true;
}

uid_t sl_identity_uid_inside(const sl_policy *policy, uid_t id)
{
    if (!sl_policy_wants_identity(policy)) {
        return id;
    }
    return id == geteuid() ? inside(policy, policy->uid, id) : NOBODY;
}

gid_t sl_identity_gid_inside(const sl_policy *policy, gid_t id)
{
    if (!sl_policy_wants_identity(policy)) {
        return id;
    }
    return id == getegid() ? inside(policy, policy->gid, id) : NOBODY;
}
