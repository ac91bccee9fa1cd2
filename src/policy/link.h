/* The messages between engine and gateway, over one SOCK_SEQPACKET pair. Two programs of one build:
 * plain structs in host order, descriptors by SCM_RIGHTS (core/fd.h). Each side checks type,
 * length, ranges and termination of what it receives; an impossible message ends the run. */
#ifndef SANDLOCK_POLICY_LINK_H
#define SANDLOCK_POLICY_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/fd.h"
#include "policy/artefact.h"
#include "policy/host.h"
#include "policy/net_rule.h"
#include "policy/told/denial.h"
#include "policy/verdict.h"

#define SL_LINK_VERSION     2
#define SL_LINK_FD          3 /* the gateway's end, at exec */
#define SL_LINK_MESSAGE_MAX 4096
#define SL_LINK_ADDRS_MAX   16
#define SL_LINK_PATH_MAX    256

enum sl_link_type {
    /* engine to gateway */
    SL_LINK_HELLO =
        1,           /* fds: see below. Nothing is served before; may come after the child's exec */
    SL_LINK_FLOW,    /* fd: the accepted end of a steered TCP connection */
    SL_LINK_DNS,     /* fd: a responder socket, UDP or TCP, connected to the child's socket */
    SL_LINK_RESOLVE, /* a direct flow to a name: which addresses may be dialled? */
    SL_LINK_TRUST,   /* the child opens a certificate file: make the CA, say READY */
    SL_LINK_QUIT,    /* the run is over: report and leave */
    /* gateway to engine */
    SL_LINK_READY =
        32, /* at once, or, when nobody's certificate is to be checked, once the CA is
               wanted (TRUST, or the first TLS flow). fds: the sealed memfds that it counts */
    SL_LINK_RESOLVED,
    SL_LINK_DENIED, /* one line of the end summary; sent before BYE, most frequent first */
    SL_LINK_BYE,
    SL_LINK_FAILED, /* cannot serve: message; the run ends with 125 */
};

struct sl_link_header {
    uint32_t type;
    uint32_t length; /* of the whole message */
};

/* The descriptors of HELLO: the policy memfd and the synth map memfd always; then, in this order,
 * what the flags announce. The gateway is confined and opens none of the user's files: it gets
 * their content (as memfds, read from offset 0). */
enum sl_link_hello_flags {
    SL_LINK_HAS_AUDIT = 1 << 0,       /* the audit log, opened for appending */
    SL_LINK_HAS_CA = 1 << 1,          /* two: http_ca and http_key, PEM */
    SL_LINK_HAS_UPSTREAM_CA = 1 << 2, /* the http_upstream_ca files one after the other, PEM; may
                                         hold certificate revocation lists too */
    SL_LINK_HAS_BUNDLE = 1 << 3,      /* PEM of the bundle files that the user's own variables
                                         named: goes into the child's bundle as well */
    SL_LINK_HAS_TRACE = 1 << 4,       /* where the lines of the trace go; `trace` says which */
    SL_LINK_HELLO_FLAGS = (1 << 5) - 1
};
/* How many there may be: sl_link_hello fills an array of them. */
#define SL_LINK_HELLO_FDS 8
_Static_assert(SL_LINK_HELLO_FDS <= SL_FD_PASS_MAX, "HELLO has more descriptors than are passed");
_Static_assert((int)SL_ARTEFACTS <= SL_FD_PASS_MAX, "READY has more descriptors than are passed");

#define SL_LINK_PEM_MAX (8u << 20) /* bytes of one PEM memfd */

struct sl_link_hello {
    struct sl_link_header header;
    uint32_t version;
    uint32_t flags;
    uint32_t policy_length; /* bytes in the policy memfd, sl_policy_encode */
    uint32_t trace;         /* topics of core/trace.h */
};

/* Who opened the flow: for the audit log. Everything is NUL-terminated. */
struct sl_link_process {
    int32_t pid;
    char exe[SL_LINK_PATH_MAX]; /* readlink of /proc/PID/exe, "" if unknown */
};

struct sl_link_flow {
    struct sl_link_header header;
    uint64_t id;
    struct sl_link_process process;
    char name[SL_HOST_NAME_MAX]; /* "" for a literal address */
    uint16_t port;               /* that the child asked for */
    sl_addr addr;                /* literal that the child asked for; unset when by name */
};

struct sl_link_dns {
    struct sl_link_header header;
    uint64_t id;
    struct sl_link_process process;
    uint32_t stream; /* 1: TCP (length-prefixed messages), 0: UDP */
    uint32_t pad;
};

struct sl_link_resolve {
    struct sl_link_header header;
    uint64_t id;
    char name[SL_HOST_NAME_MAX];
    uint16_t port;
    uint32_t proto; /* enum sl_proto */
};

struct sl_link_addr {
    sl_addr addr;
    uint16_t port; /* --resolve may change it */
};

/* Every trust artefact once, when sl_policy_needs_trust, or none. */
struct sl_link_ready {
    struct sl_link_header header;
    uint32_t count;                   /* SL_ARTEFACTS or 0; as many descriptors come with it */
    uint32_t artefacts[SL_ARTEFACTS]; /* enum sl_artefact: what the descriptor at this place is */
};

struct sl_link_resolved {
    struct sl_link_header header;
    uint64_t id;
    uint32_t count;                               /* 0: refused, see reason */
    char reason[32];                              /* "dns", "address_denied", "timeout" */
    sl_addr refused;                              /* address_denied: the first of them */
    struct sl_link_addr addrs[SL_LINK_ADDRS_MAX]; /* IPv4 first, in the resolver's order */
};

struct sl_link_denied {
    struct sl_link_header header;
    sl_denial denial;
};

struct sl_link_bye {
    struct sl_link_header header;
    uint64_t allowed; /* requests and flows */
    uint64_t denied;
    uint64_t bytes_out; /* towards upstreams */
    uint64_t bytes_in;
    uint64_t unlisted; /* of the denied ones: in no line that was sent */
};

struct sl_link_failed {
    struct sl_link_header header;
    char message[1024];
};

#endif
