/* What the attack programs share. Each prints one line a step: "NAME ok" or "NAME ERRNO". */
#ifndef ATTACK_H
#define ATTACK_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct place {
    struct sockaddr_storage addr;
    socklen_t len;
} place;

static inline int report(const char *name, long rc)
{
    printf("%s %s\n", name, rc < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
    return rc < 0;
}

static inline place place_of(const char *host, const char *port)
{
    place p = {.len = 0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&p.addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&p.addr;
    unsigned short number = htons((unsigned short)strtoul(port, NULL, 10));
    char plain[128];
    snprintf(plain, sizeof(plain), "%s", host);
    char *scope = strchr(plain, '%');
    if (scope) {
        *scope++ = '\0';
    }
    if (inet_pton(AF_INET, plain, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = number;
        p.len = sizeof(*v4);
    } else if (inet_pton(AF_INET6, plain, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = number;
        v6->sin6_scope_id = scope ? (unsigned)strtoul(scope, NULL, 10) : 0;
        p.len = sizeof(*v6);
    } else {
        fprintf(stderr, "not an address: %s\n", host);
        exit(2);
    }
    return p;
}

static inline struct sockaddr *place_sa(place *p)
{
    return (struct sockaddr *)&p->addr;
}

static inline int family_of(const place *p)
{
    return p->addr.ss_family;
}

#endif
