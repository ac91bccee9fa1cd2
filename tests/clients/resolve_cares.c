/* Looks names up with c-ares and prints one line each: "NAME ADDR..." or "NAME error". */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/select.h>

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
    (void)timeouts;
    printf("%s", (const char *)arg);
    if (status != ARES_SUCCESS) {
        printf(" error");
    } else {
        for (struct ares_addrinfo_node *n = answer->nodes; n; n = n->ai_next) {
            char text[64];
            const void *raw = n->ai_family == AF_INET
                                  ? (void *)&((struct sockaddr_in *)n->ai_addr)->sin_addr
                                  : (void *)&((struct sockaddr_in6 *)n->ai_addr)->sin6_addr;
            printf(" %s", inet_ntop(n->ai_family, raw, text, sizeof(text)));
        }
        ares_freeaddrinfo(answer);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    ares_channel channel;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC};
    if (ares_library_init(ARES_LIB_INIT_ALL) || ares_init(&channel)) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        ares_getaddrinfo(channel, argv[i], NULL, &hints, on_answer, argv[i]);
        for (;;) {
            fd_set reads, writes;
            struct timeval wait, *tv;
            FD_ZERO(&reads);
            FD_ZERO(&writes);
            int count = ares_fds(channel, &reads, &writes);
            if (count == 0) {
                break;
            }
            tv = ares_timeout(channel, NULL, &wait);
            select(count, &reads, &writes, NULL, tv);
            ares_process(channel, &reads, &writes);
        }
    }
    ares_destroy(channel);
    return 0;
}
