/* Owns the asking for other names of ports; whoever gives them is elsewhere. */
#include "features/net/port_names.h"

bool sl_port_redirect(sl_call *call, const sl_sock *sock, struct sockaddr_storage *sa,
                      socklen_t len)
{
    const sl_port_names *names = call->sv->port_names;
    return names != NULL && names->redirect(call, sock, sa, len);
}

void sl_port_note(sl_call *call, const sl_sock *sock)
{
    if (call->sv->port_names != NULL) {
        call->sv->port_names->note(call, sock);
    }
}

bool sl_port_has(sl_call *call, const sl_sock *sock)
{
    return call->sv->port_names != NULL && call->sv->port_names->has(call, sock);
}

void sl_port_listening(sl_call *call, const sl_sock *sock)
{
    if (call->sv->port_names != NULL) {
        call->sv->port_names->listening(call, sock);
    }
}

bool sl_port_may_rename(sl_supervisor *sv)
{
    return sv->port_names != NULL && sv->port_names->may_rename(sv);
}

bool sl_port_rename(sl_supervisor *sv, enum sl_proto proto, struct sockaddr_storage *sa,
                    socklen_t len, const sl_addr *own)
{
    return sv->port_names != NULL && sv->port_names->rename(sv, proto, sa, len, own);
}
