/* What a run tells of its decisions: audit lines, counts, the summary, the status. SUP-09. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "caught.h"
#include "core/util.h"
#include "engine/caller/report.h"
#include "engine/caller/summary.h"

static struct caught caught;

/* The lines that were written to this end of a pipe. */
static char *lines_of(int fd, char text[CAUGHT_MAX])
{
    ssize_t n = read(fd, text, CAUGHT_MAX - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void make_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static sl_dest dest_of(const char *name, uint16_t port)
{
    return (sl_dest){.proto = SL_PROTO_TCP, .name = name, .port = port};
}

static void deny(sl_report *r, const char *name, uint16_t port)
{
    sl_dest dest = dest_of(name, port);
    sl_net_verdict verdict = {.action = SL_NET_DENY, .reason = "no_rule"};
    sl_report_decided(r, getpid(), &dest, &verdict, false);
}

static const char *summary(sl_report *r)
{
    caught_begin(&caught, STDERR_FILENO);
    sl_report_summary(r);
    return caught_end(&caught);
}

static void decisions_are_audited_and_counted(void **state)
{
    (void)state;
    static char text[CAUGHT_MAX];
    int fds[2];
    uint64_t allowed;
    uint64_t denied;
    make_pipe(fds);
    sl_report *r = sl_report_new(fds[1], -1);
    sl_dest dest = dest_of("db.test", 5432);
    sl_net_verdict verdict = {.action = SL_NET_DIRECT, .rule = "db.test:5432"};
    sl_report_decided(r, getpid(), &dest, &verdict, true);
    deny(r, "other.test", 443);
    char *second = strchr(lines_of(fds[0], text), '\n');
    assert_non_null(second);
    *second++ = '\0';
    json_t *line = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.verdict")), "allow");
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.rule")), "db.test:5432");
    assert_string_equal(json_string_value(json_object_get(line, "server.address")), "db.test");
    assert_int_equal(json_integer_value(json_object_get(line, "server.port")), 5432);
    assert_int_equal(json_integer_value(json_object_get(line, "process.pid")), getpid());
    assert_null(json_object_get(line, "sandlock.reason"));
    json_decref(line);
    line = json_loads(second, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.verdict")), "deny");
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.reason")), "no_rule");
    json_decref(line);
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(allowed, 1);
    assert_int_equal(denied, 1);
    sl_report_free(r);
    close(fds[0]);
    close(fds[1]);
}

/* "..., from A to B": without the times. */
static const char *without_times(const char *text)
{
    static char out[CAUGHT_MAX];
    size_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (strncmp(p, ", from 2", 8) == 0) {
            p = strchr(p, 'Z') + 1; /* the first, and then the last */
            p = strchr(p, 'Z') + 1;
        }
        out[n++] = *p;
    }
    out[n] = '\0';
    return out;
}

#define BY "test_engine_caller_report"

static void the_summary_names_the_flag(void **state)
{
    (void)state;
    sl_report *r = sl_report_new(-1, -1);
    assert_string_equal(summary(r), "");
    deny(r, "a.test", 80);
    deny(r, "b.test", 443);
    deny(r, "b.test", 443);
    assert_string_equal(without_times(summary(r)),
                        "sandlock: 3 denied; to allow:\n"
                        "sandlock:   tcp://b.test:443 (2 times) by " BY ":  --net-allow "
                        "'b.test:443'\n"
                        "sandlock:   tcp://a.test:80 by " BY ":  --net-allow 'a.test:80'\n");
    sl_report_free(r);
}

static void refused_calls_name_their_switch(void **state)
{
    (void)state;
    sl_report *r = sl_report_new(-1, -1);
    sl_report_refused(r, getpid(), "ptrace", "--allow-debug");
    sl_report_refused(r, getpid(), "ptrace", "--allow-debug");
    assert_string_equal(without_times(summary(r)),
                        "sandlock: 2 denied; to allow:\n"
                        "sandlock:   ptrace (2 times) by " BY ":  --allow-debug\n");
    sl_report_free(r);
}

/* They are a part of all counts, and a group of the summary. */
static void refused_files_count(void **state)
{
    (void)state;
    uint64_t allowed;
    uint64_t denied;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    assert_int_equal(sl_policy_set(policy, sl_field_by_name("fs_readable"), "/usr", NULL), 0);
    sl_report *r = sl_report_new(-1, -1);
    assert_int_equal(sl_report_files(r, policy), 0);
    sl_file_denial d = {.want = SL_WANT_READ, .path = "/srv/a", .grant = "/srv/a"};
    sl_report_file(r, getpid(), &d);
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(denied, 1);
    assert_string_equal(summary(r), "sandlock: files: 1 denied; to allow:\n"
                                    "sandlock:   read /srv/a:  -r '/srv/a'\n");
    sl_report_worked(r);
    sl_report_free(r);
}

/* No flag wins over it. */
static void a_deny_rule_is_no_suggestion(void **state)
{
    (void)state;
    sl_report *r = sl_report_new(-1, -1);
    sl_dest dest = {.proto = SL_PROTO_UDP, .port = 53};
    assert_int_equal(sl_addr_parse("2001:db8::1", &dest.addr), 0);
    sl_net_verdict verdict = {
        .action = SL_NET_DENY, .rule = "2001:db8::/32", .reason = "denied_by_rule"};
    sl_report_decided(r, getpid(), &dest, &verdict, false);
    assert_string_equal(summary(r), "sandlock: 1 denied; no option allows it:\n"
                                    "sandlock:   udp://[2001:db8::1]:53 by " BY ": the deny rule "
                                    "'2001:db8::/32', which no option overrules\n");
    sl_report_free(r);
}

/* Without UDP no rule for an address would help. */
static void a_switch_that_forbids_it_is_the_reason(void **state)
{
    (void)state;
    sl_report *r = sl_report_new(-1, -1);
    sl_dest dest = {.proto = SL_PROTO_UDP, .name = "a.test", .port = 53};
    sl_net_verdict verdict = {.action = SL_NET_DENY, .reason = "udp_disabled"};
    sl_report_decided(r, getpid(), &dest, &verdict, false);
    assert_string_equal(summary(r), "sandlock: 1 denied; no option allows it:\n"
                                    "sandlock:   udp://a.test:53 by " BY ": UDP is switched off "
                                    "(--no-udp)\n");
    sl_report_free(r);
}

static sl_dest here(uint16_t port)
{
    sl_dest dest = {.proto = SL_PROTO_TCP, .port = port};
    assert_int_equal(sl_addr_parse("127.0.0.1", &dest.addr), 0);
    return dest;
}

/* Nobody listens: a denial at the end, unless somebody does by then. */
static void what_is_unheard_waits(void **state)
{
    (void)state;
    uint64_t allowed;
    uint64_t denied;
    sl_net_verdict verdict = {.action = SL_NET_DENY, .reason = "no_rule"};
    sl_report *r = sl_report_new(-1, -1);
    sl_dest one = here(3000);
    sl_dest two = here(3001);
    sl_report_unheard(r, getpid(), &one, &verdict);
    sl_report_unheard(r, getpid(), &one, &verdict);
    sl_report_unheard(r, getpid(), &two, &verdict);
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(denied, 3);
    sl_report_listens(r, 3000);
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(denied, 1);
    sl_report_settle(r);
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(denied, 1);
    assert_string_equal(summary(r), "sandlock: 1 denied; to allow:\n"
                                    "sandlock:   tcp://127.0.0.1:3001 by " BY ":  --net-allow "
                                    "'127.0.0.1:3001'\n");
    sl_report_free(r);
}

static void what_the_gateway_tells_is_added(void **state)
{
    (void)state;
    uint64_t allowed;
    uint64_t denied;
    sl_report *r = sl_report_new(-1, -1);
    struct sl_link_denied line = {.denial = {.count = 3,
                                             .first_ms = 1700000000000,
                                             .last_ms = 1700000000000,
                                             .what = "DELETE http://a.test/\x1b[2J",
                                             .allow_with = "--http-allow 'DELETE a.test/'"}};
    struct sl_link_bye bye = {
        .allowed = 5, .denied = 7, .bytes_in = 10, .bytes_out = 20, .unlisted = 4};
    sl_report_denied(r, &line);
    sl_report_bye(r, &bye);
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(allowed, 5);
    assert_int_equal(denied, 7);
    assert_string_equal(without_times(summary(r)),
                        "sandlock: 3 denied; to allow:\n"
                        "sandlock:   DELETE http://a.test/?[2J (3 times):  "
                        "--http-allow 'DELETE a.test/'\n"
                        "sandlock: 4 denied that are not listed (--audit has them all)\n");
    sl_report_free(r);
}

/* What is kept has an end, and so has what is shown. */
static void lines_have_a_maximum(void **state)
{
    (void)state;
    uint64_t allowed;
    uint64_t denied;
    sl_report *r = sl_report_new(-1, -1);
    for (uint16_t port = 1; port <= SL_DENIALS_MAX + 40; port++) {
        deny(r, "a.test", port);
    }
    const char *text = summary(r);
    size_t shown = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
        shown++;
    }
    assert_int_equal(shown, 1 + SL_SUMMARY_SHOWN_MAX + 2);
    char rest[64];
    snprintf(rest, sizeof(rest), "and %d more\n", SL_DENIALS_MAX - SL_SUMMARY_SHOWN_MAX);
    assert_non_null(strstr(text, rest));
    assert_non_null(strstr(text, "sandlock: 40 denied that are not listed"));
    sl_report_counts(r, &allowed, &denied);
    assert_int_equal(denied, SL_DENIALS_MAX + 40);
    sl_report_free(r);
}

/* Whoever does not read is not waited for; half of the pipe is left for the last line. */
static void ports_are_told_while_somebody_reads(void **state)
{
    (void)state;
    static char text[CAUGHT_MAX];
    int fds[2];
    make_pipe(fds);
    sl_report *r = sl_report_new(-1, fds[1]);
    sl_report_bound(r, SL_PROTO_TCP, 80, 40080);
    sl_report_bound(r, SL_PROTO_UDP, 53, 40053);
    assert_string_equal(lines_of(fds[0], text),
                        "{\"ports\":{\"80\":40080}}\n{\"udp_ports\":{\"53\":40053}}\n");
    for (int i = 0; i < 10000; i++) {
        sl_report_bound(r, SL_PROTO_TCP, 80, 40080);
    }
    struct sl_report_end end = {.exit_code = 3, .reason = "exited"};
    sl_report_status(r, fds[1], &end); /* it would fail, or hang, without room */
    sl_report_bound(r, SL_PROTO_TCP, 81, 40081);
    char last[4096] = "";
    for (char *p = lines_of(fds[0], text); *p != '\0'; p = lines_of(fds[0], text)) {
        size_t len = strlen(p);
        snprintf(last, sizeof(last), "%s", len < 1024 ? p : p + len - 1024);
    }
    assert_null(strstr(last, "40081")); /* the status is the last line */
    assert_non_null(strstr(last, "\"exit_code\":3"));
    sl_report_free(r);
    close(fds[0]);
    close(fds[1]);
}

static void the_status_has_every_field(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "name",    "exit_code",    "signal",       "reason",         "message",
        "pid",     "wall_seconds", "user_seconds", "system_seconds", "peak_memory",
        "allowed", "denied",       "bytes_out",    "bytes_in"};
    static char text[CAUGHT_MAX];
    int fds[2];
    make_pipe(fds);
    struct sl_report_end end = {.exit_code = 137,
                                .signal = 9,
                                .reason = "memory",
                                .message = "\x1b[31m\n",
                                .name = "box",
                                .pid = 42,
                                .wall_ns = 1500000000,
                                .peak_memory = 1u << 30};
    sl_report_status(NULL, fds[1], &end); /* before there is a report, too */
    lines_of(fds[0], text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_null(strchr(text, '\x1b'));
    json_t *json = json_loads(text, 0, NULL);
    for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
        if (json_object_get(json, fields[i]) == NULL) {
            fail_msg("no '%s' in %s", fields[i], text);
        }
    }
    assert_int_equal(json_object_size(json), SL_ARRAY_LEN(fields));
    assert_true(json_real_value(json_object_get(json, "wall_seconds")) == 1.5);
    json_decref(json);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_audited_and_counted),
        cmocka_unit_test(the_summary_names_the_flag),
        cmocka_unit_test(refused_calls_name_their_switch),
        cmocka_unit_test(refused_files_count),
        cmocka_unit_test(a_deny_rule_is_no_suggestion),
        cmocka_unit_test(a_switch_that_forbids_it_is_the_reason),
        cmocka_unit_test(what_is_unheard_waits),
        cmocka_unit_test(what_the_gateway_tells_is_added),
        cmocka_unit_test(lines_have_a_maximum),
        cmocka_unit_test(ports_are_told_while_somebody_reads),
        cmocka_unit_test(the_status_has_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
