/* Owns c-ares: its channel, its sockets on the loop, the queries. Never judges a name or an
 * address, never blocks, and never calls back from inside a call of its own interface.
 *
 * Queries are made and sent here, not by ares_getaddrinfo: that one would walk the search domains
 * (the name dialled must be the name judged), let a silent AAAA hold up an A, and take the message
 * ids from c-ares, which before 1.19.1 are guessable where /dev/urandom cannot be opened. */
#include "net/dns/resolver.h"

#define CARES_NO_DEPRECATED /* newer releases prefer other calls, which 1.18 lacks */
#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "core/util.h"
#include "net/dns/answers.h"
#include "net/dns/hosts_int.h"
#include "net/hostname_int.h"

#define TRY_MS       1500 /* doubled with each try */
#define TRIES        3
#define AAAA_WAIT_MS 50 /* RFC 8305 section 3: how long A waits for AAAA */
#define HOSTS_FILE   "/etc/hosts"
#define RESOLV_FILE  "/etc/resolv.conf"

struct watch {
    uv_poll_t poll; /* first: the handle is the watch */
    sl_resolver *resolver;
    struct watch *next;
    ares_socket_t fd;
    int events;
    bool closed;
};

/* One of the two questions of a query. */
struct question {
    sl_resolver_query *query;
    int type;
    bool done;
    int status;   /* 0, -ENOENT, -ETIMEDOUT, -EIO */
    bool no_name; /* NXDOMAIN: true of every type */
    sl_addr addrs[SL_RESOLVER_ADDRS_MAX];
    size_t count;
    int64_t ttl_s; /* the shortest on the way to an address */
};

struct sl_resolver_query {
    uv_timer_t timer; /* first. The deadline; later the wait for AAAA, or 0 to deliver */
    sl_resolver *resolver;
    sl_resolver_query *prev;
    sl_resolver_query *next;
    sl_resolver_cb cb;
    void *arg;
    char name[SL_HOSTNAME_MAX];
    struct question v4;
    struct question v6;
    unsigned pending; /* questions that c-ares still holds a pointer to */
    bool settled;     /* nothing that comes now changes the outcome */
    bool over;        /* delivered or cancelled */
    bool timer_closed;
};

struct sl_resolver {
    uv_loop_t *loop;
    uv_timer_t timer; /* c-ares' retransmissions */
    ares_channel channel;
    bool has_channel;
    struct timespec conf_time; /* of the resolv.conf that the channel has read */
    char *servers;
    char *hosts_file;
    uint64_t timeout_ms;
    sl_answers *answers;
    struct watch *watches;
    sl_resolver_query *queries; /* not over */
    size_t count;               /* in memory, those that are over included */
    size_t handles;
};

static void handle_gone(sl_resolver *resolver)
{
    resolver->handles--;
    if (resolver->handles == 0) {
        free(resolver->servers);
        free(resolver->hosts_file);
        sl_answers_free(resolver->answers);
        free(resolver);
    }
}

/* ---- c-ares on the loop ---- */

static void on_channel_timer(uv_timer_t *timer);

static void channel_timer_set(sl_resolver *resolver)
{
    struct timeval tv;
    if (!resolver->has_channel || ares_timeout(resolver->channel, NULL, &tv) == NULL) {
        uv_timer_stop(&resolver->timer);
        return;
    }
    uint64_t ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)(tv.tv_usec + 999) / 1000;
    uv_timer_start(&resolver->timer, on_channel_timer, ms, 0);
}

static void on_channel_timer(uv_timer_t *timer)
{
    sl_resolver *resolver = timer->data;
    if (resolver->has_channel) {
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    channel_timer_set(resolver);
}

static void on_watch(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = (struct watch *)poll;
    sl_resolver *resolver = watch->resolver;
    bool readable = status < 0 || (events & UV_READABLE) != 0;
    bool writable = status < 0 || (events & UV_WRITABLE) != 0;
    ares_process_fd(resolver->channel, readable ? watch->fd : ARES_SOCKET_BAD,
                    writable ? watch->fd : ARES_SOCKET_BAD);
    if (status < 0 && !watch->closed) {
        uv_poll_start(&watch->poll, watch->events, on_watch); /* libuv had stopped it */
    }
    channel_timer_set(resolver);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)handle;
    sl_resolver *resolver = watch->resolver;
    free(watch);
    handle_gone(resolver);
}

static struct watch *watch_new(sl_resolver *resolver, ares_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL || uv_poll_init(resolver->loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    watch->resolver = resolver;
    watch->fd = fd;
    watch->next = resolver->watches;
    resolver->watches = watch;
    resolver->handles++;
    return watch;
}

/* c-ares says what it waits for; neither means that it is about to close the socket. Without memory
 * for a watch the socket stays deaf, and the query ends by its deadline. */
static void on_sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
    sl_resolver *resolver = data;
    struct watch **at = &resolver->watches;
    while (*at != NULL && (*at)->fd != fd) {
        at = &(*at)->next;
    }
    struct watch *watch = *at;
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (events == 0) {
        if (watch != NULL) {
            *at = watch->next;
            watch->closed = true;
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return;
    }
    if (watch == NULL) {
        watch = watch_new(resolver, fd);
    }
    if (watch != NULL) {
        watch->events = events;
        uv_poll_start(&watch->poll, events, on_watch);
    }
}

static void channel_close(sl_resolver *resolver)
{
    if (resolver->has_channel) {
        ares_destroy(resolver->channel); /* calls on_answer for all that is pending */
        resolver->has_channel = false;
    }
}

/* True if resolv.conf is another than the channel has read, and can be read: where it was replaced
 * and our confinement knows only the old one, what the channel knows is better than nothing. */
static bool conf_is_new(const sl_resolver *resolver, struct timespec *ret_time)
{
    struct stat st;
    sl_autoclose int fd = open(RESOLV_FILE, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return false;
    }
    *ret_time = st.st_mtim;
    return resolver->conf_time.tv_sec != st.st_mtim.tv_sec ||
           resolver->conf_time.tv_nsec != st.st_mtim.tv_nsec;
}

static int channel_open(sl_resolver *resolver)
{
    static bool library;
    struct timespec conf_time = {0};
    /* A laptop changes its network during a long run. */
    if (conf_is_new(resolver, &conf_time)) {
        sl_answers_clear(resolver->answers);
        if (resolver->has_channel && resolver->count == 0) {
            channel_close(resolver);
        }
    }
    if (resolver->has_channel) {
        return 0;
    }
    if (!library && ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        return -EIO;
    }
    library = true;
    char lookups[] = "b";
    struct ares_options options = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                                   .timeout = TRY_MS,
                                   .tries = TRIES,
                                   .ndomains = 0,
                                   .lookups = lookups,
                                   .sock_state_cb = on_sock_state,
                                   .sock_state_cb_data = resolver};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
               ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&resolver->channel, &options, mask) != ARES_SUCCESS) {
        return -EIO;
    }
    resolver->has_channel = true;
    resolver->conf_time = conf_time;
    if (resolver->servers != NULL &&
        ares_set_servers_ports_csv(resolver->channel, resolver->servers) != ARES_SUCCESS) {
        channel_close(resolver);
        return -EIO;
    }
    return 0;
}

/* ---- queries ---- */

static void query_release(sl_resolver_query *query)
{
    sl_resolver *resolver = query->resolver;
    if (!query->timer_closed || query->pending > 0) {
        return;
    }
    resolver->count--;
    free(query);
    handle_gone(resolver);
}

static void on_query_timer_closed(uv_handle_t *handle)
{
    sl_resolver_query *query = (sl_resolver_query *)handle;
    query->timer_closed = true;
    query_release(query);
}

static void query_end(sl_resolver_query *query)
{
    query->over = true;
    if (query->prev != NULL) {
        query->prev->next = query->next;
    } else {
        query->resolver->queries = query->next;
    }
    if (query->next != NULL) {
        query->next->prev = query->prev;
    }
    uv_close((uv_handle_t *)&query->timer, on_query_timer_closed);
}

static int query_status(const sl_resolver_query *query)
{
    const struct question *v4 = &query->v4;
    const struct question *v6 = &query->v6;
    if (!query->settled && (!v4->done || !v6->done)) {
        return -ETIMEDOUT;
    }
    if (v4->no_name || v6->no_name || (v4->status == -ENOENT && v6->status == -ENOENT)) {
        return -ENOENT;
    }
    return v4->status != 0 && v4->status != -ENOENT ? v4->status : v6->status;
}

/* Both questions must be answered: half an answer, given because the rest was slow, would keep a
 * family away from the connections to come. */
static bool is_answered(const struct question *q)
{
    return q->done && !q->no_name && (q->status == 0 || q->status == -ENOENT);
}

static void remember(const sl_resolver_query *query, const sl_addr *addrs, size_t count)
{
    sl_resolver *resolver = query->resolver;
    const struct question *v4 = &query->v4;
    const struct question *v6 = &query->v6;
    if (is_answered(v4) && is_answered(v6)) {
        int64_t ttl_s = v4->count == 0   ? v6->ttl_s
                        : v6->count == 0 ? v4->ttl_s
                                         : SL_MIN(v4->ttl_s, v6->ttl_s);
        sl_answers_put(resolver->answers, query->name, addrs, count, ttl_s, uv_now(resolver->loop));
    }
}

static void on_query_timer(uv_timer_t *timer)
{
    sl_resolver_query *query = (sl_resolver_query *)timer;
    sl_addr addrs[SL_RESOLVER_ADDRS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < query->v4.count; i++) {
        addrs[count++] = query->v4.addrs[i];
    }
    for (size_t i = 0; i < query->v6.count && count < SL_RESOLVER_ADDRS_MAX; i++) {
        addrs[count++] = query->v6.addrs[i];
    }
    int status = count > 0 ? 0 : query_status(query);
    remember(query, addrs, count);
    query_end(query);
    query->cb(query->arg, status, addrs, count);
}

static void query_settle(sl_resolver_query *query, uint64_t wait_ms)
{
    query->settled = true;
    uv_timer_start(&query->timer, on_query_timer, wait_ms, 0);
}

/* One of the two is answered: is that enough? */
static void query_progress(sl_resolver_query *query)
{
    const struct question *v4 = &query->v4;
    const struct question *v6 = &query->v6;
    if (query->over || query->settled) {
        if (!query->over && v4->done && v6->done) {
            query_settle(query, 0);
        }
        return;
    }
    if ((v4->done && v6->done) || v4->no_name || v6->no_name) {
        query_settle(query, 0);
    } else if (v4->count > 0) {
        query_settle(query, AAAA_WAIT_MS);
    }
}

static int status_of(int ares_status)
{
    switch (ares_status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return -ENOENT;
    case ARES_ETIMEOUT:
        return -ETIMEDOUT;
    default:
        return -EIO;
    }
}

static int read_v4(struct question *q, const unsigned char *msg, int len)
{
    struct ares_addrttl found[SL_RESOLVER_ADDRS_MAX];
    int count = SL_RESOLVER_ADDRS_MAX;
    int status = ares_parse_a_reply(msg, len, NULL, found, &count);
    for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
        q->addrs[i] = (sl_addr){.family = 4};
        memcpy(q->addrs[i].bytes, &found[i].ipaddr, 4);
        q->ttl_s = i == 0 ? found[i].ttl : SL_MIN(q->ttl_s, (int64_t)found[i].ttl);
        q->count++;
    }
    return status;
}

/* A mapped address in an AAAA record is the IPv4 address that it means, and must be judged so. */
static sl_addr from_v6(const void *bytes)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    sl_addr addr = {.family = 6};
    memcpy(addr.bytes, bytes, 16);
    if (memcmp(addr.bytes, mapped, sizeof(mapped)) == 0) {
        sl_addr v4 = {.family = 4};
        memcpy(v4.bytes, addr.bytes + 12, 4);
        return v4;
    }
    return addr;
}

static int read_v6(struct question *q, const unsigned char *msg, int len)
{
    struct ares_addr6ttl found[SL_RESOLVER_ADDRS_MAX];
    int count = SL_RESOLVER_ADDRS_MAX;
    int status = ares_parse_aaaa_reply(msg, len, NULL, found, &count);
    for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
        q->addrs[i] = from_v6(&found[i].ip6addr);
        q->ttl_s = i == 0 ? found[i].ttl : SL_MIN(q->ttl_s, (int64_t)found[i].ttl);
        q->count++;
    }
    return status;
}

/* From c-ares, also from within ares_send and ares_destroy. c-ares has checked server, id and
 * question; the response code is ours to read (RFC 1035 section 4.1.1). */
static void on_answer(void *arg, int ares_status, int timeouts, unsigned char *msg, int len)
{
    struct question *q = arg;
    (void)timeouts;
    q->query->pending--;
    q->done = true;
    q->status = status_of(ares_status);
    if (ares_status == ARES_SUCCESS && len >= HFIXEDSZ) {
        int rcode = msg[3] & 0x0f;
        q->no_name = rcode == ns_r_nxdomain;
        if (rcode == ns_r_noerror) {
            q->status = status_of(q->type == ns_t_a ? read_v4(q, msg, len) : read_v6(q, msg, len));
        } else {
            q->status = q->no_name ? -ENOENT : -EIO;
        }
        if (q->status == 0 && q->count == 0) {
            q->status = -ENOENT;
        }
    }
    query_progress(q->query);
    query_release(q->query);
}

static void question_send(sl_resolver_query *query, struct question *q, const char *name, int type)
{
    unsigned char *msg = NULL;
    int len = 0;
    uint16_t id = 0;
    *q = (struct question){.query = query, .type = type, .status = -EIO};
    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id) ||
        ares_create_query(name, ns_c_in, type, id, 1, &msg, &len, 0) != ARES_SUCCESS) {
        q->done = true;
        return;
    }
    query->pending++;
    ares_send(query->resolver->channel, msg, len, on_answer, q);
    ares_free_string(msg);
}

/* Addresses that were not asked for now. False when there are none. */
static bool query_fill(sl_resolver_query *query, const sl_addr *found, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct question *q = found[i].family == 4 ? &query->v4 : &query->v6;
        q->addrs[q->count++] = found[i];
    }
    if (count > 0) {
        query_settle(query, 0);
    }
    return count > 0;
}

static void query_ask(sl_resolver_query *query)
{
    sl_resolver *resolver = query->resolver;
    const char *name = query->name;
    const char *path = resolver->hosts_file != NULL ? resolver->hosts_file : HOSTS_FILE;
    sl_addr found[SL_RESOLVER_ADDRS_MAX];
    /* The hosts file comes first, and alone: what it pins is not mixed with what DNS says. */
    if (query_fill(query, found, sl_hosts_lookup(path, name, found, SL_RESOLVER_ADDRS_MAX))) {
        return;
    }
    if (channel_open(resolver) < 0) {
        query->v4.status = -EIO;
        query->v6.status = -EIO;
        query_settle(query, 0);
        return;
    }
    uint64_t now_ms = uv_now(resolver->loop);
    if (query_fill(query, found, sl_answers_get(resolver->answers, name, now_ms, found))) {
        return;
    }
    query->pending++; /* so that an answer from within keeps the query */
    question_send(query, &query->v4, name, ns_t_a);
    question_send(query, &query->v6, name, ns_t_aaaa);
    query->pending--;
    query_progress(query);
    channel_timer_set(resolver);
}

int sl_resolver_start(sl_resolver *resolver, const char *name, sl_resolver_cb cb, void *arg,
                      sl_resolver_query **ret_query)
{
    char copy[SL_HOSTNAME_MAX];
    if (sl_hostname_copy((const uint8_t *)name, strlen(name), copy) < 0 ||
        strcmp(copy, name) != 0) {
        return -EINVAL;
    }
    if (resolver->count >= SL_RESOLVER_QUERIES_MAX) {
        return -EBUSY;
    }
    sl_resolver_query *query = calloc(1, sizeof(*query));
    if (query == NULL) {
        return -ENOMEM;
    }
    query->resolver = resolver;
    query->cb = cb;
    query->arg = arg;
    memcpy(query->name, copy, strlen(copy) + 1);
    uv_timer_init(resolver->loop, &query->timer);
    uv_timer_start(&query->timer, on_query_timer, resolver->timeout_ms, 0);
    query->next = resolver->queries;
    if (query->next != NULL) {
        query->next->prev = query;
    }
    resolver->queries = query;
    query_ask(query);
    resolver->count++;
    resolver->handles++;
    *ret_query = query;
    return 0;
}

void sl_resolver_cancel(sl_resolver_query *query)
{
    if (query != NULL && !query->over) {
        query_end(query);
    }
}

sl_resolver *sl_resolver_new(uv_loop_t *loop)
{
    sl_resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL) {
        return NULL;
    }
    resolver->answers = sl_answers_new();
    if (resolver->answers == NULL) {
        free(resolver);
        return NULL;
    }
    resolver->loop = loop;
    resolver->timeout_ms = SL_RESOLVER_TIMEOUT_MS;
    uv_timer_init(loop, &resolver->timer);
    resolver->timer.data = resolver;
    resolver->handles = 1;
    return resolver;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

void sl_resolver_free(sl_resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    while (resolver->queries != NULL) {
        query_end(resolver->queries);
    }
    channel_close(resolver);
    uv_close((uv_handle_t *)&resolver->timer, on_timer_closed);
}

static int set_string(char **at, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*at);
    *at = copy;
    return 0;
}

int sl_resolver_set_servers(sl_resolver *resolver, const char *servers)
{
    return set_string(&resolver->servers, servers);
}

int sl_resolver_set_hosts_file(sl_resolver *resolver, const char *path)
{
    return set_string(&resolver->hosts_file, path);
}

void sl_resolver_set_timeout(sl_resolver *resolver, uint64_t timeout_ms)
{
    resolver->timeout_ms = timeout_ms;
}
