/* Looks names up with the C library's getaddrinfo and prints one line each: "NAME ADDR..." or
 * "NAME error". Built against glibc and musl. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        printf("%s", argv[i]);
        if (getaddrinfo(argv[i], NULL, &hints, &list)) {
            printf(" error\n");
            continue;
        }
        for (struct addrinfo *a = list; a; a = a->ai_next) {
            char text[64];
            const void *raw = a->ai_family == AF_INET
                                  ? (void *)&((struct sockaddr_in *)a->ai_addr)->sin_addr
                                  : (void *)&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr;
            printf(" %s", inet_ntop(a->ai_family, raw, text, sizeof(text)));
        }
        printf("\n");
        freeaddrinfo(list);
    }
    return 0;
}
