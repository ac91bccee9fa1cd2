/* The program sandlock-gateway. Started by the engine only; without its link it has nothing to do.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/num.h"
#include "core/trace.h"
#include "http/gateway.h"
#include "policy/link.h"

/* The topics of a trace, whose descriptor is there beside the link. */
static void adopt_trace(const char *text)
{
    uint64_t topics;
    if (sl_num_parse_str(text, SL_TRACE_ALL, &topics) == 0) {
        (void)fcntl(SL_LINK_TRACE_FD, F_SETFD, FD_CLOEXEC);
        sl_trace_adopt((unsigned)topics, SL_LINK_TRACE_FD, "gateway");
    }
}

int main(int argc, char **argv)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(SL_LINK_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
        fputs("sandlock-gateway: started by 'sandlock run', not by hand\n", stderr);
        return 125;
    }
    if (argc > 1) {
        adopt_trace(argv[1]);
    }
    return sl_gateway_run(SL_LINK_FD);
}
