/* The port feature's own (--port-remap): what its handlers and those of the network share. Without
 * the feature each of these does nothing. */
#ifndef SANDLOCK_FEATURES_REMAP_REMAP_H
#define SANDLOCK_FEATURES_REMAP_REMAP_H

#include <pthread.h>

#include "features/net/net.h"
#include "features/remap/portmap.h"

struct sl_ports_state {
    pthread_mutex_t lock; /* dispatcher and loop use the map */
    sl_portmap map;
};

/* Who is at one real port, by the kernel's word. */
struct sl_ports_view {
    bool complete;      /* false: nothing below is certain */
    unsigned ours;      /* sockets of the tree that the address reaches */
    unsigned strangers; /* others that it may reach */
};

/* ports_dest.c */
/* TCP or UDP over IP: a socket that the feature concerns. */
bool sl_ports_concern(const sl_sock *sock);
void sl_ports_look(struct sl_ports_state *state, enum sl_proto proto, const sl_addr *addr,
                   uint16_t real, struct sl_ports_view *ret);
/* True unless the kernel says that no socket of the tree has this real port at an address that the
 * wish has too. */
bool sl_ports_is_shared(struct sl_ports_state *state, const sl_bound *wish, uint16_t real);
/* Forgets what is gone. */
void sl_ports_prune(struct sl_ports_state *state);
/* True if this address is one that the tree reaches itself by, and the destination is a socket of
 * its own that no rule need grant: `sa` then says where it really is. Otherwise the destination is
 * whatever the other layers make of it. */
bool sl_ports_redirect(sl_call *call, const sl_sock *sock, struct sockaddr_storage *sa,
                       socklen_t len);
/* True if a datagram may come from a socket of the tree that has another name. */
bool sl_ports_may_rename(struct sl_sandbox *sb);
/* The sender (or peer) as the tree knows it: true if `sa` was changed. `own`: an address of this
 * machine, or NULL. */
bool sl_ports_rename(struct sl_sandbox *sb, enum sl_proto proto, struct sockaddr_storage *sa,
                     socklen_t len, const sl_addr *own);
/* The port in an IPv4 or IPv6 socket address, which both have at the same place. */
uint16_t sl_ports_of(const void *sa);
void sl_ports_set(void *sa, uint16_t port);

/* ports_proc.c */
/* A line of /proc/net/tcp, tcp6, udp or udp6: its ports become those that the tree knows. */
void sl_ports_rename_line(struct sl_sandbox *sb, const char *list, char *line);
sl_answer sl_ports_handle_open(sl_call *call);

/* ports_bind.c */
sl_answer sl_ports_handle_bind(sl_call *call);
/* A socket listens now, perhaps on a port that listen(2) chose. */
void sl_ports_listening(sl_call *call, const sl_sock *sock);
/* Remembers a datagram socket that has no name of its own choice, so that answers reach it. */
void sl_ports_note(sl_call *call, const sl_sock *sock);

#endif
