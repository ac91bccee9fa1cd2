/* A load generator: threads with one connection each, requests one after the other on it.
 * Owns: what `./dev bench` measures over HTTP. Never: parses more of a response than its length,
 * and never used as a client in tests.
 *
 *   load [-c CONNECTIONS] [-n REQUESTS] [-1] [-t] [-C CAFILE] [-a ADDR:PORT] [-x ADDR:PORT] HOST
 * PATH
 *
 * -1: a new connection for each request. -t: TLS. -a: connect there instead of resolving HOST.
 * -x: a forward proxy. Prints one line of JSON. */
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define READ_SIZE       (256u << 10)

static struct {
    unsigned connections;
    unsigned requests;
    bool once;
    bool tls;
    bool proxy;
    const char *ca;
    const char *via; /* ADDR:PORT */
    const char *host;
    char head[1024];
    size_t head_len;
    struct addrinfo *where;
    SSL_CTX *ssl;
} o = {.connections = 1, .requests = 1000};

static atomic_uint next_request, failed, opened;
static atomic_ullong received;
static uint32_t *latency_us;

struct wire {
    int fd;
    SSL *ssl;
    char *data; /* READ_SIZE + 1 */
};

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void hang_up(struct wire *w)
{
    SSL_free(w->ssl);
    w->ssl = NULL;
    if (w->fd >= 0) {
        close(w->fd);
    }
    w->fd = -1;
}

static ssize_t take(struct wire *w, char *to, size_t len)
{
    return w->ssl ? SSL_read(w->ssl, to, (int)len) : read(w->fd, to, len);
}

static bool give(struct wire *w, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = w->ssl ? SSL_write(w->ssl, text, (int)len) : write(w->fd, text, len);
        if (n <= 0) {
            return false;
        }
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* Reads up to the end of a head; what follows it stays behind it. Returns the head's length. */
static size_t take_head(struct wire *w, size_t *ret_len)
{
    size_t len = 0;
    while (len < READ_SIZE) {
        ssize_t n = take(w, w->data + len, READ_SIZE - len);
        if (n <= 0) {
            return 0;
        }
        len += (size_t)n;
        w->data[len] = '\0';
        char *end = strstr(w->data, "\r\n\r\n");
        if (end) {
            *ret_len = len;
            return (size_t)(end - w->data) + 4;
        }
    }
    return 0;
}

static bool tunnel(struct wire *w)
{
    char text[512];
    size_t len;
    int n = snprintf(text, sizeof(text), "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", o.host,
                     o.host);
    return n > 0 && give(w, text, (size_t)n) && take_head(w, &len) &&
           strncmp(w->data + 8, " 200", 4) == 0;
}

static bool dial(struct wire *w)
{
    int one = 1;
    w->fd = socket(o.where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || connect(w->fd, o.where->ai_addr, o.where->ai_addrlen)) {
        return false;
    }
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    opened++;
    if (!o.tls) {
        return true;
    }
    if (o.proxy && !tunnel(w)) {
        return false;
    }
    w->ssl = SSL_new(o.ssl);
    return w->ssl && SSL_set_fd(w->ssl, w->fd) && SSL_set_tlsext_host_name(w->ssl, o.host) &&
           SSL_set1_host(w->ssl, o.host) && SSL_connect(w->ssl) == 1;
}

/* One request on an open connection; true if the whole body of a 200 came. */
static bool request(struct wire *w)
{
    size_t len = 0;
    if (!give(w, o.head, o.head_len)) {
        return false;
    }
    size_t head = take_head(w, &len);
    if (!head || strncmp(w->data + 8, " 200", 4) != 0) {
        return false;
    }
    char *field = strcasestr(w->data, "\r\nContent-Length:");
    if (!field || field > w->data + head) {
        return false;
    }
    uint64_t left = strtoull(field + 17, NULL, 10);
    uint64_t got = len - head;
    received += got;
    while (got < left) {
        ssize_t n = take(w, w->data, READ_SIZE);
        if (n <= 0) {
            return false;
        }
        got += (uint64_t)n;
        received += (uint64_t)n;
    }
    return got == left;
}

static void *work(void *arg)
{
    struct wire w = {.fd = -1, .data = malloc(READ_SIZE + 1)};
    unsigned i;
    (void)arg;
    while (w.data && (i = next_request++) < o.requests) {
        uint64_t start = now_us();
        if ((w.fd < 0 && !dial(&w)) || !request(&w)) {
            failed++;
            hang_up(&w);
        } else if (o.once) {
            hang_up(&w);
        }
        latency_us[i] = (uint32_t)(now_us() - start);
    }
    hang_up(&w);
    free(w.data);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int prepare(const char *path)
{
    char where[256];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
    snprintf(where, sizeof(where), "%s", o.via ? o.via : o.host);
    char *port = o.via ? strrchr(where, ':') : NULL;
    if (port) {
        *port++ = '\0';
    }
    int rc = getaddrinfo(where, port ? port : o.tls ? "443" : "80", &hints, &o.where);
    if (rc != 0) {
        fprintf(stderr, "load: %s: %s\n", where, gai_strerror(rc));
        return -1;
    }
    int n = snprintf(o.head, sizeof(o.head), "GET %s%s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                     o.proxy && !o.tls ? "http://" : "", o.proxy && !o.tls ? o.host : "", path,
                     o.host, o.once ? "Connection: close\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof(o.head)) {
        return -1;
    }
    o.head_len = (size_t)n;
    if (!o.tls) {
        return 0;
    }
    o.ssl = SSL_CTX_new(TLS_client_method());
    if (!o.ssl || (o.ca && !SSL_CTX_load_verify_locations(o.ssl, o.ca, NULL)) ||
        (!o.ca && !SSL_CTX_set_default_verify_paths(o.ssl))) {
        fprintf(stderr, "load: cannot set up TLS\n");
        return -1;
    }
    SSL_CTX_set_verify(o.ssl, SSL_VERIFY_PEER, NULL);
    return 0;
}

static int run(void)
{
    static pthread_t threads[CONNECTIONS_MAX];
    pthread_attr_t small;
    unsigned started = 0;
    latency_us = calloc(o.requests, sizeof(*latency_us));
    if (!latency_us || pthread_attr_init(&small) || pthread_attr_setstacksize(&small, 256u << 10)) {
        return 1;
    }
    uint64_t start = now_us();
    while (started < o.connections && !pthread_create(&threads[started], &small, work, NULL)) {
        started++;
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    double seconds = (double)(now_us() - start) / 1e6;
    qsort(latency_us, o.requests, sizeof(*latency_us), compare);
    printf("{\"rps\":%.1f,\"mbps\":%.1f,\"p50_us\":%u,\"p99_us\":%u,\"failed\":%u,"
           "\"connections\":%u,\"seconds\":%.4f}\n",
           o.requests / seconds, (double)received / seconds / 1e6, latency_us[o.requests / 2],
           latency_us[(uint64_t)o.requests * 99 / 100], failed, opened, seconds);
    return failed || started < o.connections ? 1 : 0;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "c:n:1tC:a:x:")) != -1) {
        switch (option) {
        case 'c':
            o.connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            o.requests = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case '1':
            o.once = true;
            break;
        case 't':
            o.tls = true;
            break;
        case 'C':
            o.ca = optarg;
            break;
        case 'x':
            o.proxy = true;
            o.via = optarg;
            break;
        case 'a':
            o.via = optarg;
            break;
        default:
            return 2;
        }
    }
    if (argc - optind != 2 || !o.connections || o.connections > CONNECTIONS_MAX || !o.requests) {
        fprintf(stderr, "usage: load [-c N] [-n N] [-1] [-t] [-C FILE] [-a|-x ADDR:PORT] "
                        "HOST PATH\n");
        return 2;
    }
    o.host = argv[optind];
    signal(SIGPIPE, SIG_IGN);
    return prepare(argv[optind + 1]) ? 1 : run();
}
