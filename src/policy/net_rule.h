/* Net rules: [tcp://|udp://|icmp://]host[:port[,port|lo-hi]]. No scheme means TCP and UDP. */
#ifndef SANDLOCK_POLICY_NET_RULE_H
#define SANDLOCK_POLICY_NET_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "policy/host.h"
#include "policy/ports.h"

enum sl_proto {
    SL_PROTO_TCP = 1 << 0,
    SL_PROTO_UDP = 1 << 1,
    SL_PROTO_ICMP = 1 << 2,
    SL_PROTO_UNIX = 1 << 3, /* by path; no rule of this kind has it (policy/unix_rule.h) */
};
/* "tcp", "udp", "icmp", "unix". */
const char *sl_proto_name(enum sl_proto proto);

typedef struct sl_net_rule {
    char *text;      /* as the user wrote it */
    unsigned protos; /* enum sl_proto mask */
    sl_host_pattern host;
    sl_ports ports; /* empty: any port */
} sl_net_rule;

int sl_net_rule_parse(const char *text, sl_net_rule *ret_rule, sl_error *err);
void sl_net_rule_done(sl_net_rule *rule);

#endif
