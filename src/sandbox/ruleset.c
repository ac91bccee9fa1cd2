/* Owns what a policy asks of Landlock. What a policy needs and the kernel lacks refuses the start.
 */
#include "sandbox/ruleset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "kernel/place.h"
#include "policy/verdict.h"
#include "sandbox/grants.h"

static int allow_ports(int ruleset, const sl_ports *ports, enum sl_landlock_scope scope,
                       sl_error *err)
{
    for (size_t i = 0; i < ports->count; i++) {
        for (uint32_t p = ports->ranges[i].lo; p <= ports->ranges[i].hi; p++) {
            int r = sl_landlock_allow_port(ruleset, scope, (uint16_t)p);
            if (r < 0) {
                return sl_error_set(err, -r, "Landlock refused a rule for port %u: %s", p,
                                    strerror(-r));
            }
        }
    }
    return 0;
}

/* TCP: the ports of net_bind and net_connect, which Landlock judges alone. Where rules name hosts,
 * connects are made on behalf and nothing at all is granted here: a backstop. So is bind(2) under
 * port_remap, where the ports of net_bind are names inside. */
static int add_net(const sl_policy *policy, int ruleset, unsigned scope, sl_error *err)
{
    int r = 0;
    if ((scope & SL_LANDLOCK_BIND_TCP) != 0 && !policy->port_remap) {
        r = allow_ports(ruleset, &policy->net_bind, SL_LANDLOCK_BIND_TCP, err);
    }
    if (r == 0 && (scope & SL_LANDLOCK_CONNECT_TCP) != 0 && !sl_policy_restricts_net(policy)) {
        r = allow_ports(ruleset, &policy->net_connect, SL_LANDLOCK_CONNECT_TCP, err);
    }
    return r;
}

static unsigned scope_of(const sl_policy *policy)
{
    bool net = sl_policy_restricts_net(policy);
    unsigned scope = SL_LANDLOCK_FILES;
    scope |= sl_policy_restricts_bind(policy) ? SL_LANDLOCK_BIND_TCP : 0;
    scope |= net || policy->net_connect.count > 0 ? SL_LANDLOCK_CONNECT_TCP : 0;
    scope |= sl_policy_isolates_abstract(policy) ? SL_LANDLOCK_ABSTRACT : 0;
    scope |= sl_policy_isolates_signals(policy) ? SL_LANDLOCK_SIGNALS : 0;
    return scope;
}

int sl_ruleset_build(const sl_policy *policy, int *ret_fd, sl_fsview **ret_view, sl_error *err)
{
    int abi = sl_landlock_abi();
    SL_AUTO(sl_fsview) view = NULL;
    if (abi < SL_LANDLOCK_ABI_MIN && !sl_strv_has(&policy->allow_degraded, "landlock")) {
        char why[SL_PLACE_TEXT_MAX];
        int r = abi > 0 ? 0 : sl_place_ask(SL_PLACE_LANDLOCK);
        if (r < 0) {
            return sl_error_set(err, -r,
                                "no Landlock: %s; see 'sandlock check', or start with less by "
                                "'--allow-degraded landlock'",
                                sl_place_say(sl_place_name(SL_PLACE_LANDLOCK), -r, why));
        }
        return sl_error_set(err, ENOSYS,
                            "this kernel has no Landlock ABI %d (it has %d; Linux 5.19 with "
                            "CONFIG_SECURITY_LANDLOCK and 'landlock' in its lsm= list does); see "
                            "'sandlock check', or start with less by '--allow-degraded landlock'",
                            SL_LANDLOCK_ABI_MIN, abi);
    }
    unsigned scope = scope_of(policy);
    sl_autoclose int ruleset = abi == 0 ? -1 : sl_landlock_new(scope);
    if (ruleset < 0 && abi > 0) {
        return sl_error_set(err, -ruleset, "Landlock refused a ruleset: %s", strerror(-ruleset));
    }
    int r = sl_grants_build(policy, ruleset, &view, err);
    if (r == 0 && ruleset >= 0) {
        r = add_net(policy, ruleset, scope, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_view = sl_steal(&view);
    *ret_fd = sl_steal_fd(&ruleset);
    return 0;
}
