/* Unix sockets by the kernel's word: each is there with its cookie, its name and its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/diag/udiag.h"

struct wanted {
    uint64_t cookie;
    size_t found;
    sl_udiag_socket socket;
    char name[sizeof(struct sockaddr_un)];
};

static void look(void *arg, const sl_udiag_socket *s)
{
    struct wanted *w = arg;
    if (s->cookie == w->cookie) {
        w->found++;
        w->socket = *s;
        assert_true(s->name_len < sizeof(w->name));
        memcpy(w->name, s->name, s->name_len);
    }
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
    return cookie;
}

static void a_listener_is_found_by_its_file(void **state)
{
    char dir[] = "/tmp/sandlock-udiag-XXXXXX";
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/socket", dir);
    sl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(stat(sa.sun_path, &st), 0);
    struct wanted w = {.cookie = cookie_of(fd)};
    assert_true(sl_udiag_each(SL_UDIAG_LISTEN, look, &w));
    assert_int_equal(w.found, 0); /* not yet */
    assert_int_equal(listen(fd, 1), 0);
    assert_true(sl_udiag_each(SL_UDIAG_LISTEN, look, &w));
    assert_int_equal(w.found, 1);
    assert_int_equal(w.socket.type, SOCK_STREAM);
    assert_true(w.socket.has_file && w.socket.ino == (uint32_t)st.st_ino);
    assert_memory_equal(w.name, sa.sun_path, strlen(sa.sun_path));
    unlink(sa.sun_path);
    assert_int_equal(rmdir(dir), 0);
}

static void a_datagram_socket_without_a_file(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    (void)state;
    sl_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "sandlock-udiag-%d", (int)getpid());
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    struct wanted w = {.cookie = cookie_of(fd)};
    assert_true(sl_udiag_each(SL_UDIAG_ANY, look, &w));
    assert_int_equal(w.found, 1);
    assert_int_equal(w.socket.type, SOCK_DGRAM);
    assert_false(w.socket.has_file);
    assert_int_equal(w.socket.name_len, 1 + n);
    assert_memory_equal(w.name, sa.sun_path, 1 + (size_t)n);
    w.found = 0;
    assert_true(sl_udiag_each(SL_UDIAG_LISTEN, look, &w));
    assert_int_equal(w.found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_is_found_by_its_file),
        cmocka_unit_test(a_datagram_socket_without_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
