/* Owns the naming of destinations: what an address that the child used stands for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/trace.h"
#include "core/util.h"
#include "features/net/net.h"
#include "kernel/proc.h"

int sl_dest_make(const sl_call *call, const sl_sock *sock, const void *sa, socklen_t len,
                 sl_dest *ret_dest, char name[SL_HOST_NAME_MAX])
{
    sl_dest dest = {.proto = sl_sock_proto(sock)};
    int r = sl_addr_from_sockaddr(sa, len, &dest.addr, &dest.port);
    if (r < 0) {
        return r;
    }
    if (sl_synth_is(&dest.addr) && call->sv->synth != NULL) {
        r = sl_synth_lookup(call->sv->synth, &dest.addr, name);
        if (r < 0) {
            return -ENOENT;
        }
        dest.name = name;
    }
    *ret_dest = dest;
    return 0;
}

static void trace(const sl_call *call, const sl_dest *dest, const sl_net_verdict *v)
{
    static const char *const actions[] = {
        [SL_NET_DENY] = "denied", [SL_NET_DIRECT] = "direct", [SL_NET_STEER] = "to the gateway"};
    char text[SL_ADDR_STR_MAX];
    sl_trace_write(SL_TRACE_FLOW, "thread %d to %s '%s' port %u: %s (%s)", (int)call->tid,
                   sl_proto_name(dest->proto),
                   dest->name != NULL ? dest->name : sl_addr_format(&dest->addr, text), dest->port,
                   actions[v->action], v->rule != NULL ? v->rule : v->reason);
}

void sl_dest_judge(const sl_call *call, const sl_dest *dest, sl_net_verdict *ret)
{
    sl_policy_judge_net(call->sv->policy, dest, ret);
    if (sl_trace_is_on(SL_TRACE_FLOW)) {
        trace(call, dest, ret);
    }
}

pid_t sl_dest_pid(const sl_call *call)
{
    pid_t tgid = sl_call_tgid(call);
    return tgid > 0 ? tgid : call->tid;
}

void sl_dest_decided(const sl_call *call, const sl_dest *dest, const sl_net_verdict *verdict,
                     bool allowed)
{
    const sl_supervisor_hooks *hooks = &call->sv->hooks;
    if (hooks->decided != NULL && (!allowed || call->sv->policy->audit != NULL)) {
        hooks->decided(hooks->report_arg, sl_dest_pid(call), dest, verdict, allowed);
    }
}

void sl_link_process_fill(const sl_call *call, struct sl_link_process *ret)
{
    *ret = (struct sl_link_process){.pid = call->tid};
    if (call->sv->policy->audit != NULL) {
        ret->pid = sl_dest_pid(call); /* else nobody will read it */
    }
    (void)sl_proc_link(call->tid, "exe", ret->exe, sizeof(ret->exe));
}
