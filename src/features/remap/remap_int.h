/* A port space of the tree's own (--port-remap): what the files of this folder share. */
#ifndef SANDLOCK_FEATURES_REMAP_REMAP_INT_H
#define SANDLOCK_FEATURES_REMAP_REMAP_INT_H

#include <pthread.h>

#include "features/net/net.h"
#include "features/net/port_names.h"
#include "features/remap/portmap.h"

struct sl_remap_state {
    pthread_mutex_t lock; /* dispatcher and loop use the map */
    sl_portmap map;
};

/* Who is at one real port, by the kernel's word. */
struct sl_remap_view {
    bool complete;      /* false: nothing below is certain */
    unsigned ours;      /* sockets of the tree that the address reaches */
    unsigned strangers; /* others that it may reach */
};

struct sl_remap_state *sl_remap_of(const sl_supervisor *sv);

/* dest.c */
void sl_remap_look(struct sl_remap_state *state, enum sl_proto proto, const sl_addr *addr,
                   uint16_t real, struct sl_remap_view *ret);
/* True unless the kernel says that no socket of the tree has this real port at an address that the
 * wish has too. */
bool sl_remap_is_shared(struct sl_remap_state *state, const sl_bound *wish, uint16_t real);
/* Forgets what is gone. */
void sl_remap_prune(struct sl_remap_state *state);
/* As features/net/port_names.h has them. */
bool sl_remap_redirect(sl_call *call, const sl_sock *sock, struct sockaddr_storage *sa,
                       socklen_t len);
bool sl_remap_may_rename(sl_supervisor *sv);
bool sl_remap_rename(sl_supervisor *sv, enum sl_proto proto, struct sockaddr_storage *sa,
                     socklen_t len, const sl_addr *own);

/* bind.c */
sl_answer sl_remap_handle_bind(sl_call *call);
/* As features/net/port_names.h has them. */
bool sl_remap_has(sl_call *call, const sl_sock *sock);
void sl_remap_listening(sl_call *call, const sl_sock *sock);
void sl_remap_note(sl_call *call, const sl_sock *sock);

#endif
