/* The program sandlock-gateway: serves one run over its link until the run is over. */
#ifndef SANDLOCK_HTTP_GATEWAY_H
#define SANDLOCK_HTTP_GATEWAY_H

/* `link`: the gateway's end of the socket pair. Returns the exit code. */
int sl_gateway_run(int link);

#endif
