/* The TLS filter over a socket that is full: what it must still say waits, and then goes out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/relay.h"
#include "net/tls/tls.h"

#define NAME  "example.test"
#define TURNS 64

struct fixture {
    uv_loop_t loop;
    sl_ca *ca;
    SSL_CTX *server_ctx;
    SSL_CTX *client_ctx;
    sl_conn *server;
    sl_conn *client;
    int server_fd;
    int client_fd;
};

static void on_event(void *arg)
{
    (void)arg;
}

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

static sl_conn *conn_on(struct fixture *f, int fd)
{
    sl_conn *c = NULL;
    assert_int_equal(sl_conn_new(&f->loop, fd, &c), 0);
    sl_conn_on_event(c, on_event, NULL);
    return c;
}

static void shake_hands(struct fixture *f)
{
    int s = -EAGAIN;
    int c = -EAGAIN;
    for (int i = 0; i < TURNS && (s == -EAGAIN || c == -EAGAIN); i++) {
        c = sl_conn_connect(f->client);
        s = sl_conn_connect(f->server);
        sl_conn_want(f->client, true, false);
        sl_conn_want(f->server, true, false);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(c, 0);
    assert_int_equal(s, 0);
}

static int set_up(void **state)
{
    static struct fixture f;
    const sl_addr none = {0};
    int fds[2];
    sl_error err;
    memset(&f, 0, sizeof(f));
    assert_int_equal(uv_loop_init(&f.loop), 0);
    assert_int_equal(sl_tls_init(&err), 0);
    assert_int_equal(sl_ca_new(&f.ca, &err), 0);
    X509_STORE *store = X509_STORE_new();
    const char *pem = sl_ca_pem(f.ca);
    assert_int_equal(sl_tls_store_add_pem(store, pem, strlen(pem), &err), 0);
    assert_int_equal(sl_tls_client_ctx(store, &f.client_ctx, &err), 0);
    assert_int_equal(sl_tls_server_ctx(&f.server_ctx, &err), 0);
    X509_STORE_free(store);
    pair(fds);
    f.server_fd = fds[0];
    f.client_fd = fds[1];
    f.server = conn_on(&f, fds[0]);
    f.client = conn_on(&f, fds[1]);
    assert_int_equal(sl_tls_push_server(f.server, f.server_ctx, f.ca, NAME, NULL), 0);
    assert_int_equal(sl_tls_push_client(f.client, f.client_ctx, NAME, &none, NULL, 0), 0);
    shake_hands(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sl_conn_close(f->server);
    sl_conn_close(f->client);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    SSL_CTX_free(f->server_ctx);
    SSL_CTX_free(f->client_ctx);
    sl_ca_free(f->ca);
    return 0;
}

/* Until the kernel takes no more. */
static void fill(int fd)
{
    static const char junk[4096];
    size_t len = sizeof(junk);
    while (len > 0) {
        if (send(fd, junk, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            assert_int_equal(errno, EAGAIN);
            len /= 2;
        }
    }
}

/* Reads what is there; true at the end of the stream. */
static bool drain(int fd)
{
    static char data[65536];
    ssize_t n;
    do {
        n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    } while (n > 0);
    return n == 0;
}

static void test_shutdown_waits_for_the_socket(void **state)
{
    struct fixture *f = *state;
    bool ended = false;
    fill(f->server_fd);
    assert_int_equal(sl_conn_shutdown(f->server), -EAGAIN);
    sl_conn_want(f->server, false, false);
    sl_conn_want(f->client, false, false);
    for (int i = 0; i < TURNS && !ended; i++) {
        ended = drain(f->client_fd);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_true(ended);
}

/* The last close_notify of two ended directions: the relay is not over before it is sent. */
static void test_relay_ends_behind_its_last_word(void **state)
{
    struct fixture *f = *state;
    uint8_t scratch[4096];
    int fds[2];
    sl_relay relay;
    bool ended = false;
    pair(fds);
    sl_conn *upstream = conn_on(f, fds[0]);
    sl_relay_init(&relay, f->server, upstream, scratch, sizeof(scratch));
    assert_int_equal(sl_conn_shutdown(f->client), 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(sl_relay_pump(&relay), -EAGAIN); /* one way has ended */
    fill(f->server_fd);
    sl_close(fds[1]);
    int r = -EAGAIN;
    for (int i = 0; i < TURNS && r == -EAGAIN && i < 4; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        r = sl_relay_pump(&relay);
    }
    assert_int_equal(r, -EAGAIN);
    sl_conn_want(f->client, false, false);
    for (int i = 0; i < TURNS && !ended; i++) {
        ended = drain(f->client_fd);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_true(ended);
    assert_int_equal(sl_relay_pump(&relay), 0);
    sl_relay_done(&relay);
    sl_conn_close(upstream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shutdown_waits_for_the_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relay_ends_behind_its_last_word, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
