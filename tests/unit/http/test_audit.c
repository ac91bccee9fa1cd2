/* The gateway's log and the table of denials: one write a line, bounded, and told at the end. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "http/audit.h"

static void one_event_is_one_write(void **state)
{
    (void)state;
    int fds[2]; /* a packet a write */
    char line[4096];
    assert_int_equal(pipe2(fds, O_DIRECT | O_CLOEXEC | O_NONBLOCK), 0);
    sl_audit *a = sl_audit_new(fds[1]);
    assert_non_null(a);
    assert_true(sl_audit_logging(a));
    sl_audit_event e = {.kind = "dns", .host = "one.test"};
    sl_audit_write(a, &e);
    e.host = "two\n.test";
    sl_audit_write(a, &e);
    static const char *const want[] = {"\"server.address\":\"one.test\"}\n",
                                       "\"server.address\":\"two\\u000a.test\"}\n"};
    for (size_t i = 0; i < 2; i++) {
        ssize_t n = read(fds[0], line, sizeof(line) - 1);
        assert_true(n > 0);
        line[n] = '\0';
        assert_memory_equal(line, "{\"timestamp\":\"20", 16);
        assert_string_equal(line + n - strlen(want[i]), want[i]);
    }
    assert_true(read(fds[0], line, sizeof(line)) < 0);
    sl_audit_free(a); /* closes the log */
    assert_int_equal(read(fds[0], line, sizeof(line)), 0);
    close(fds[0]);
}

static void without_a_log_it_only_counts(void **state)
{
    (void)state;
    sl_audit *a = sl_audit_new(-1);
    sl_audit_event e = {.kind = "dns"};
    assert_false(sl_audit_logging(a));
    sl_audit_write(a, &e);
    sl_audit_free(a);
    sl_audit_free(NULL);
}

/* A log that nobody reads any more changes nothing. */
static void a_broken_log_is_no_failure(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    sl_audit *a = sl_audit_new(fds[1]);
    sl_audit_event e = {.kind = "dns"};
    sl_audit_write(a, &e);
    sl_audit_write(a, &e);
    sl_audit_free(a);
}

typedef union message {
    struct sl_link_header header;
    struct sl_link_denied denied;
    struct sl_link_bye bye;
} message;

/* What was reported, in order; the last is BYE. */
static size_t report(sl_audit *a, message *ret, size_t max)
{
    int fds[2];
    size_t count = 0;
    int size = 1 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    assert_int_equal(sl_audit_report(a, fds[0]), 0);
    close(fds[0]);
    while (count < max && recv(fds[1], &ret[count], sizeof(ret[0]), 0) > 0) {
        count++;
    }
    close(fds[1]);
    return count;
}

static void deny(sl_audit *a, const char *what, const char *allow_with)
{
    sl_denial d = {.port = 80};
    snprintf(d.what, sizeof(d.what), "%s", what);
    snprintf(d.allow_with, sizeof(d.allow_with), "%s", allow_with);
    sl_audit_denied(a, &d);
}

static void the_most_frequent_denials_come_first(void **state)
{
    (void)state;
    message m[8];
    sl_audit *a = sl_audit_new(-1);
    deny(a, "GET http://a/", "--http-allow 'GET a/'");
    for (int i = 0; i < 3; i++) {
        deny(a, "GET http://b/", "--http-allow 'GET b/'");
    }
    deny(a, "GET http://b/", ""); /* with another flag it is another line */
    sl_audit_count(a, false, 0, 0);
    sl_audit_count(a, true, 10, 20);
    sl_audit_count(a, true, 1, 2);
    assert_int_equal(report(a, m, SL_ARRAY_LEN(m)), 4);
    assert_int_equal(m[0].header.type, SL_LINK_DENIED);
    assert_string_equal(m[0].denied.denial.what, "GET http://b/");
    assert_string_equal(m[0].denied.denial.allow_with, "--http-allow 'GET b/'");
    assert_int_equal(m[0].denied.denial.count, 3);
    assert_int_equal(m[1].denied.denial.count, 1);
    assert_int_equal(m[3].header.type, SL_LINK_BYE);
    assert_int_equal(m[3].bye.allowed, 2);
    assert_int_equal(m[3].bye.denied, 1);
    assert_int_equal(m[3].bye.bytes_out, 11);
    assert_int_equal(m[3].bye.bytes_in, 22);
    sl_audit_free(a);
}

/* A client that asks for ever new things costs a bounded table and a bounded report. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    static message m[SL_SUMMARY_LINES + 2];
    char what[2000];
    sl_audit *a = sl_audit_new(-1);
    for (unsigned i = 0; i < 4 * SL_DENIALS_MAX; i++) {
        snprintf(what, sizeof(what), "GET http://a/%u/%01500d", i, 0); /* cut when it is told */
        deny(a, what, "");
        sl_audit_count(a, false, 0, 0);
    }
    for (int i = 0; i < 5; i++) {
        snprintf(what, sizeof(what), "GET http://a/%u/%01500d", 7u, 0);
        deny(a, what, "");
    }
    assert_int_equal(report(a, m, SL_ARRAY_LEN(m)), SL_SUMMARY_LINES + 1);
    assert_int_equal(m[0].denied.denial.count, 6);
    assert_int_equal(strlen(m[0].denied.denial.what), sizeof(m[0].denied.denial.what) - 1);
    assert_int_equal(m[SL_SUMMARY_LINES].bye.denied, 4 * SL_DENIALS_MAX);
    assert_int_equal(m[SL_SUMMARY_LINES].bye.unlisted, 4 * SL_DENIALS_MAX - SL_SUMMARY_LINES);
    sl_audit_free(a);
}

static void counts_are_seen_while_the_run_goes_on(void **state)
{
    (void)state;
    uint64_t allowed;
    uint64_t denied;
    int fd = sl_synth_create();
    assert_true(fd >= 0);
    sl_synth_map *writer = sl_synth_map_open(fd, true);
    sl_synth_map *reader = sl_synth_map_open(fd, false);
    assert_non_null(writer);
    assert_non_null(reader);
    sl_audit *a = sl_audit_new(-1);
    sl_audit_count(a, true, 0, 0); /* before anybody looks */
    sl_audit_share(a, writer);
    sl_audit_count(a, true, 0, 0);
    sl_audit_count(a, false, 0, 0);
    sl_synth_counts(reader, &allowed, &denied);
    assert_int_equal(allowed, 1);
    assert_int_equal(denied, 1);
    sl_audit_free(a);
    sl_synth_map_close(writer);
    sl_synth_map_close(reader);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_one_write),
        cmocka_unit_test(without_a_log_it_only_counts),
        cmocka_unit_test(a_broken_log_is_no_failure),
        cmocka_unit_test(the_most_frequent_denials_come_first),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(counts_are_seen_while_the_run_goes_on),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as in the gateway */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
