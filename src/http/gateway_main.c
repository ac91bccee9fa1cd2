/* The program sandlock-gateway, and its table of protocols. Started by the engine only; without its
 * link it has nothing to do. */
#include <stdio.h>
#include <sys/socket.h>

#include "http/gateway.h"
#include "http/h1/h1.h"
#include "policy/link.h"

int main(void)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(SL_LINK_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
        fputs("sandlock-gateway: started by 'sandlock run', not by hand\n", stderr);
        return 125;
    }
    return sl_gateway_run(SL_LINK_FD, &sl_h1_protocol);
}
