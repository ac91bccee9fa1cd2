/* Ports that have other names inside the tree (features/remap). The network asks by this table,
 * which is there where the policy wants it; without, every port has its own name. */
#ifndef SANDLOCK_FEATURES_NET_PORT_NAMES_H
#define SANDLOCK_FEATURES_NET_PORT_NAMES_H

#include "features/net/net.h"

typedef struct sl_port_names {
    bool (*redirect)(sl_call *call, const sl_sock *sock, struct sockaddr_storage *sa,
                     socklen_t len);
    void (*note)(sl_call *call, const sl_sock *sock);
    bool (*has)(sl_call *call, const sl_sock *sock);
    void (*listening)(sl_call *call, const sl_sock *sock);
    bool (*may_rename)(sl_supervisor *sv);
    bool (*rename)(sl_supervisor *sv, enum sl_proto proto, struct sockaddr_storage *sa,
                   socklen_t len, const sl_addr *own);
} sl_port_names;

/* True if this address is one that the tree reaches itself by, and the destination is a socket of
 * its own that no rule need grant: `sa` then says where it really is. Otherwise the destination is
 * whatever the other layers make of it. */
bool sl_port_redirect(sl_call *call, const sl_sock *sock, struct sockaddr_storage *sa,
                      socklen_t len);
/* Remembers a datagram socket that has no name of its own choice, so that answers reach it. */
void sl_port_note(sl_call *call, const sl_sock *sock);
/* True if this socket was given its port under a name: by the rules for names, then. */
bool sl_port_has(sl_call *call, const sl_sock *sock);
/* A socket listens now, perhaps on a port that listen(2) chose. */
void sl_port_listening(sl_call *call, const sl_sock *sock);
/* True if a datagram may come from a socket of the tree that has another name. */
bool sl_port_may_rename(sl_supervisor *sv);
/* The sender (or peer) as the tree knows it: true if `sa` was changed. `own`: an address of this
 * machine, or NULL. */
bool sl_port_rename(sl_supervisor *sv, enum sl_proto proto, struct sockaddr_storage *sa,
                    socklen_t len, const sl_addr *own);

#endif
