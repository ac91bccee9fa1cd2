/* The HTTP and HTTPS server of the tests, on mbedTLS so that the two ends of a handshake never
 * share a bug. Owns: options, listeners, one thread a connection. Never: used outside the tests.
 *
 * One port speaks both: the first byte decides. It says {"port":N} on --ready-fd once listening,
 * and ends when its standard input does (so it never outlives the test). */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

static struct options options = {.log_fd = -1,
                                 .ready_fd = -1,
                                 .tls_min = MBEDTLS_SSL_MINOR_VERSION_3,
                                 .tls_max = MBEDTLS_SSL_MINOR_VERSION_3};

static void *serve(void *arg)
{
    conn *c = arg;
    request *r = calloc(1, sizeof(*r));
    if (r && conn_start(c) == 0) {
        int rc = 0;
        bytes_init(&r->body, SERVER_BODY_MAX);
        bool refused = c->tls ? options.plain_only : options.tls_only;
        while (!refused && (rc = request_read(c, r)) > 0) {
            c->requests++;
            log_request(c, r);
            if (!route(c, r, &options)) {
                break;
            }
        }
        if (rc < 0) {
            log_connection(c, "malformed", NULL);
            conn_text(c,
                      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        bytes_done(&r->body);
    }
    log_connection(c, "close", NULL);
    conn_stop(c);
    free(r);
    free(c);
    return NULL;
}

static void accept_one(int listener, pthread_attr_t *attributes)
{
    static uint64_t ids;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    conn *c = calloc(1, sizeof(*c));
    pthread_t thread;
    int one = 1;
    if (!c) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->fd = fd;
    c->id = ++ids;
    log_connection(c, "accept", NULL);
    if (options.reset_on_accept) {
        conn_reset(c);
    }
    if (options.reset_on_accept || pthread_create(&thread, attributes, serve, c)) {
        close(fd);
        free(c);
    }
}

static int listen_on(const char *where)
{
    char host[64];
    const char *colon = strrchr(where, ':');
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : strtoul(where, NULL, 10);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - where) : 9,
             colon ? where : "127.0.0.1");
    bool six = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
    if (!six && inet_pton(AF_INET, host, &v4.sin_addr) != 1) {
        return -1;
    }
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
             six ? sizeof(v6) : sizeof(v4)) ||
        listen(fd, 4096)) {
        perror(where);
        return -1;
    }
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in6 addr;
    socklen_t len = sizeof(addr);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    return ntohs(addr.sin6_port); /* the same place in sockaddr_in */
}

static int run(void)
{
    struct pollfd polls[SERVER_LISTEN_MAX + 1];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 512 << 10);
    bytes ready;
    bytes_init(&ready, 1024);
    for (size_t i = 0; i < options.listen_count; i++) {
        polls[i] = (struct pollfd){.fd = listen_on(options.listen[i]), .events = POLLIN};
        if (polls[i].fd < 0) {
            return 1;
        }
        bytes_format(&ready, "{\"port\":%u}\n", port_of(polls[i].fd));
    }
    if (options.ready_fd >= 0 && write(options.ready_fd, ready.data, ready.len) < 0) {
        return 1;
    }
    if (options.ready_fd >= 0) {
        close(options.ready_fd); /* the reader waits for the end */
    }
    polls[options.listen_count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        if (poll(polls, options.listen_count + 1, -1) < 0 && errno != EINTR) {
            return 1;
        }
        for (size_t i = 0; i < options.listen_count; i++) {
            if (polls[i].revents & POLLIN) {
                accept_one(polls[i].fd, &attributes);
            }
        }
        char byte;
        if (polls[options.listen_count].revents && read(STDIN_FILENO, &byte, 1) <= 0) {
            return 0;
        }
    }
}

static int version_of(const char *text)
{
    if (strcmp(text, "1.0") == 0) {
        return MBEDTLS_SSL_MINOR_VERSION_1;
    }
    return strcmp(text, "1.1") == 0 ? MBEDTLS_SSL_MINOR_VERSION_2 : MBEDTLS_SSL_MINOR_VERSION_3;
}

static void add_alpn(const char *name)
{
    for (size_t i = 0; i < 7; i++) {
        if (!options.alpn[i]) {
            options.alpn[i] = name;
            return;
        }
    }
}

/* false: not understood. */
static bool parse_options(int argc, char **argv)
{
    static const struct option table[] = {{"listen", 1, NULL, 'l'},
                                          {"cert", 1, NULL, 'c'},
                                          {"key", 1, NULL, 'k'},
                                          {"root", 1, NULL, 'r'},
                                          {"log", 1, NULL, 'L'},
                                          {"log-fd", 1, NULL, 'f'},
                                          {"ready-fd", 1, NULL, 'R'},
                                          {"tls-min", 1, NULL, 'm'},
                                          {"tls-max", 1, NULL, 'M'},
                                          {"alpn", 1, NULL, 'a'},
                                          {"cipher", 1, NULL, 'C'},
                                          {"plain-only", 0, NULL, 'p'},
                                          {"tls-only", 0, NULL, 't'},
                                          {"reset-on-accept", 0, NULL, 'x'},
                                          {"reset-after-hello", 0, NULL, 'X'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case 'l':
            if (options.listen_count < SERVER_LISTEN_MAX) {
                options.listen[options.listen_count++] = optarg;
            }
            break;
        case 'c':
            options.cert = optarg;
            break;
        case 'k':
            options.key = optarg;
            break;
        case 'r':
            options.root = optarg;
            break;
        case 'L':
            options.log = optarg;
            break;
        case 'f':
            options.log_fd = (int)strtol(optarg, NULL, 10);
            break;
        case 'R':
            options.ready_fd = (int)strtol(optarg, NULL, 10);
            break;
        case 'm':
            options.tls_min = version_of(optarg);
            break;
        case 'M':
            options.tls_max = version_of(optarg);
            break;
        case 'a':
            add_alpn(optarg);
            break;
        case 'C':
            options.ciphers = optarg;
            break;
        case 'p':
            options.plain_only = true;
            break;
        case 't':
            options.tls_only = true;
            break;
        case 'x':
            options.reset_on_accept = true;
            break;
        case 'X':
            options.reset_after_hello = true;
            break;
        default:
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (options.listen_count == 0) {
        options.listen[options.listen_count++] = "127.0.0.1:0";
    }
    log_open(&options);
    return tls_setup(&options) ? 1 : run();
}
