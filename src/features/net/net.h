/* Sockets and connects on behalf: what the handlers of this folder share, and lend to remap/. */
#ifndef SANDLOCK_FEATURES_NET_NET_H
#define SANDLOCK_FEATURES_NET_NET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kernel/diag/diag.h"
#include "policy/verdict.h"
#include "supervisor/deferred.h"
#include "supervisor/supervisor.h"

#define SL_NET_SOCKETS_MAX 16384 /* remembered sockets; the oldest of a set makes room */
#define SL_NET_SET         4

/* A socket of the child, pinned: the open file description, whatever its number means by now. */
typedef struct sl_sock {
    int fd; /* owned */
    int domain;
    int type;
    int protocol;
    bool nonblock;
    uint64_t cookie; /* SO_COOKIE: never reused */
} sl_sock;

enum sl_known_kind {
    SL_KNOWN_NONE,
    SL_KNOWN_STEERED,  /* `asked` is what getpeername answers */
    SL_KNOWN_RESOLVER, /* its datagrams go to and come from a responder of ours */
    SL_KNOWN_LISTENER, /* a listener of the tree: connects to it are the tree's own business */
};

typedef struct sl_known {
    uint64_t cookie;
    enum sl_known_kind kind;
    bool connected;
    sl_addr asked; /* the peer as the child sees it */
    uint16_t asked_port;
    sl_addr local; /* RESOLVER: our responder's address */
    uint16_t local_port;
} sl_known;

struct sl_net_state {
    pthread_mutex_t lock; /* dispatcher and loop use the tables */
    sl_known *known;
    uint32_t clock; /* of replacement in a set */
    _Atomic uint64_t next_id;
    _Atomic uint32_t next_loopback; /* address of the next steering listener */
    struct sl_sink *sink;           /* where datagram sockets lead that no rule lets out */
    int refuse_tcp;                 /* bound, never listening: a connect to it is refused */
    uint16_t refuse_port;
    uint8_t
        listened[(UINT16_MAX + 1) / 8]; /* ports that the tree has listened on; dispatcher thread */
    _Atomic bool tables_shared;         /* processes with one table of descriptors have been made */
};

/* The state of the network rules; NULL without any. */
struct sl_net_state *sl_net_of(const sl_supervisor *sv);

/* sock.c */
int sl_sock_pin(const sl_call *call, int fd, sl_sock *ret_sock);
void sl_sock_done(sl_sock *sock);
void sl_known_put(struct sl_net_state *net, const sl_known *entry);
bool sl_known_get(struct sl_net_state *net, uint64_t cookie, sl_known *ret_entry);
void sl_known_drop(struct sl_net_state *net, uint64_t cookie);
/* The family to use for reaching our own side from this socket. */
int sl_sock_af(const sl_sock *sock);
/* Ours, bound to a free port of this address. -errno. */
int sl_sock_bound(const sl_addr *local, int type, sl_addr *ret_addr, uint16_t *ret_port);
/* The same on 127.0.0.1 or ::1, of the family that `asked` was asked in. */
int sl_sock_loopback(const sl_addr *asked, int type, sl_addr *ret_addr, uint16_t *ret_port);
/* The socket's own address; an unspecified one is given as loopback of its family. */
int sl_sock_local(int fd, sl_addr *ret_addr, uint16_t *ret_port);
/* The same, after it was bound to a free port if it had none. */
int sl_sock_bind_if_unbound(const sl_sock *sock, sl_addr *ret_addr, uint16_t *ret_port);
enum sl_proto sl_sock_proto(const sl_sock *sock);
/* TCP or UDP over IP. */
bool sl_sock_has_port(const sl_sock *sock);
/* The port in an IPv4 or IPv6 socket address, which both have at the same place. */
uint16_t sl_sock_port(const void *sa);
void sl_sock_set_port(void *sa, uint16_t port);
/* Answers getsockname or getpeername with this address. 0 or -errno. */
int sl_sock_give_name(const sl_call *call, const struct sockaddr_storage *sa, socklen_t len);

/* dest.c */
/* Names what an address means: a synthetic one is its name. 0, -ENOENT for a synthetic address that
 * was never given, -EINVAL/-EAFNOSUPPORT for what is no address. */
int sl_dest_make(const sl_call *call, const sl_sock *sock, const void *sa, socklen_t len,
                 sl_dest *ret_dest, char name[SL_HOST_NAME_MAX]);
/* Judges, and tells the engine. */
void sl_dest_judge(const sl_call *call, const sl_dest *dest, sl_net_verdict *ret);
void sl_dest_decided(const sl_call *call, const sl_dest *dest, const sl_net_verdict *verdict,
                     bool allowed);
/* The process that calls. */
pid_t sl_dest_pid(const sl_call *call);
void sl_link_process_fill(const sl_call *call, struct sl_link_process *ret);

/* net.c: the filter refuses connections inside a send. 0 or -errno. */
int sl_net_refuse_fast_open(sl_bpf_rules *rules);

/* connect.c */
sl_answer sl_net_handle_connect(sl_call *call);
/* connect(2) that never keeps this thread: -EINPROGRESS when a blocking socket goes on connecting.
 */
int sl_connect_briefly(const sl_sock *sock, const void *sa, socklen_t len);
/* Connects to a judged address and answers, now or later. Takes the socket over. */
sl_answer sl_connect_direct(sl_call *call, sl_sock *sock, const void *sa, socklen_t len);

/* flow.c: hands the connection to the gateway. */
sl_answer sl_flow_steer(sl_call *call, sl_sock *sock, const sl_dest *dest);

/* resolve.c: connects a name's addresses. Takes the socket over. */
void sl_net_resolved(sl_supervisor *sv, const struct sl_link_resolved *resolved);
sl_answer sl_resolve_connect(sl_call *call, sl_sock *sock, const sl_dest *dest);

/* dns.c */
bool sl_dns_is_query(const sl_call *call, const sl_dest *dest);
sl_answer sl_dns_connect_udp(sl_call *call, sl_sock *sock, const sl_dest *dest);
/* The responder's address for an unconnected socket that asks `dest`; made at the first question.
 */
int sl_dns_target(sl_call *call, const sl_sock *sock, const sl_dest *dest, sl_addr *ret_addr,
                  uint16_t *ret_port);

/* send.c, recv.c, listen.c */
sl_answer sl_net_handle_sendto(sl_call *call);
sl_answer sl_net_handle_sendmsg(sl_call *call);
sl_answer sl_net_send_msghdr(sl_call *call); /* the same, on behalf whatever it is */
sl_answer sl_net_handle_clone(sl_call *call);
sl_answer sl_net_handle_sendmmsg(sl_call *call);
sl_answer sl_net_handle_recvfrom(sl_call *call);
sl_answer sl_net_handle_recvmsg(sl_call *call);
sl_answer sl_net_handle_recvmmsg(sl_call *call);
sl_answer sl_net_handle_listen(sl_call *call);
sl_answer sl_net_handle_linger(sl_call *call);
sl_answer sl_net_handle_getpeername(sl_call *call);
/* True if a listener of the tree answers at this address now. */
bool sl_listen_is_ours(sl_call *call, const sl_dest *dest);
/* An address of the loopback interface, by itself. */
bool sl_listen_is_loopback(const sl_dest *dest);
/* A connect that no rule allows goes where nobody is: on this host, and nobody has the port. True:
 * it was dealt with. For TCP the tree may listen there yet; a datagram socket was only to be told.
 */
bool sl_listen_is_nobody(sl_call *call, const sl_dest *dest, const sl_net_verdict *verdict);

#endif
