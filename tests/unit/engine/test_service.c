/* The gateway in the service of a run: nothing without one, waited for where certificates are the
 * user's own, and its failures told. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "engine/service.h"
#include "policy/link.h"
#include "sandbox/probe.h"
#include "tidy.h"

struct rig {
    char top[64];
    sl_policy *policy;
    sl_run_options options;
    sl_prepared prepared;
    sl_report *report;
    sl_service *service;
    uv_loop_t loop;
    size_t byes;
    size_t failures;
    char message[256];
};

static char *const true_argv[] = {(char *)"true", NULL};
static char *const an_environ[] = {(char *)"PATH=/usr/bin:/bin", NULL};

/* `program` stands for the gateway's. */
static void rig_begin(struct rig *r, const char *field, const char *value, const char *program)
{
    sl_error err;
    memset(r, 0, sizeof(*r));
    if (sl_probe_quick(&err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
    snprintf(r->top, sizeof(r->top), "/tmp/sandlock-service-XXXXXX");
    assert_non_null(mkdtemp(r->top));
    setenv("XDG_RUNTIME_DIR", r->top, 1);
    r->policy = sl_policy_new();
    assert_int_equal(sl_policy_set(r->policy, sl_field_by_name("fs_readable"), "/usr", &err), 0);
    assert_int_equal(sl_policy_set(r->policy, sl_field_by_name("http_allow"), "GET a.test/", &err),
                     0);
    if (field != NULL) {
        assert_int_equal(sl_policy_set(r->policy, sl_field_by_name(field), value, &err), 0);
    }
    assert_int_equal(sl_policy_freeze(r->policy, &err), 0);
    r->options = (sl_run_options){
        .policy = r->policy, .argv = true_argv, .environ = an_environ, .status_fd = -1};
    if (sl_prepare(&r->options, &r->prepared, &err) < 0) { /* there is none beside the test */
        assert_non_null(strstr(err.message, "sandlock-gateway"));
    }
    r->prepared.gateway_path = program == NULL ? NULL : strdup(program);
    r->report = sl_report_new(-1, -1);
}

static void rig_end(struct rig *r)
{
    pid_t pid = r->service == NULL ? 0 : sl_service_pid(r->service);
    sl_service_kill(r->service);
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    sl_service_free(r->service);
    sl_prepared_done(&r->prepared);
    sl_report_free(r->report);
    sl_policy_free(r->policy);
    tidy_tree(r->top);
}

static void on_bye(void *arg)
{
    struct rig *r = arg;
    r->byes++;
}

static void on_failed(void *arg, const char *message)
{
    struct rig *r = arg;
    r->failures++;
    snprintf(r->message, sizeof(r->message), "%s", message);
    uv_stop(&r->loop);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    uv_close(handle, NULL);
}

static void without_a_gateway_there_is_nothing_to_do(void **state)
{
    (void)state;
    struct rig r;
    sl_error err;
    uint64_t allowed = 1;
    uint64_t denied = 1;
    const sl_service_events events = {.arg = &r, .on_bye = on_bye, .on_failed = on_failed};
    rig_begin(&r, NULL, NULL, NULL);
    assert_int_equal(sl_service_begin(&r.prepared, r.report, &r.service, &err), 0);
    assert_int_equal(sl_service_start(r.service, &err), 0);
    assert_int_equal(sl_service_attach(r.service, &r.loop, &events), 0);
    assert_int_equal(sl_service_pid(r.service), 0);
    sl_service_counts(r.service, &allowed, &denied);
    assert_int_equal(allowed + denied, 0);
    assert_false(sl_service_quit(r.service));
    sl_service_kill(r.service);
    sl_service_kill(NULL);
    rig_end(&r);
}

/* Its process comes after the command's, and its end is told. */
static void the_end_of_the_gateway_is_told(void **state)
{
    (void)state;
    struct rig r;
    sl_error err;
    const sl_service_events events = {.arg = &r, .on_bye = on_bye, .on_failed = on_failed};
    rig_begin(&r, NULL, NULL, "/bin/true");
    assert_int_equal(uv_loop_init(&r.loop), 0);
    assert_int_equal(sl_service_begin(&r.prepared, r.report, &r.service, &err), 0);
    assert_int_equal(sl_service_pid(r.service), 0);
    assert_int_equal(sl_service_start(r.service, &err), 0);
    pid_t pid = sl_service_pid(r.service);
    assert_true(pid > 0);
    assert_int_equal(sl_service_start(r.service, &err), 0); /* once */
    assert_int_equal(sl_service_pid(r.service), pid);
    assert_int_equal(sl_service_attach(r.service, &r.loop, &events), 0);
    assert_false(sl_service_quit(r.service)); /* nobody asked it anything */
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(r.failures, 1);
    assert_int_equal(r.byes, 0);
    assert_string_equal(r.message, "the gateway ended unexpectedly");
    uv_walk(&r.loop, close_handle, NULL);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r.loop), 0);
    rig_end(&r);
}

static void one_s_own_certificates_are_waited_for(void **state)
{
    (void)state;
    struct rig r;
    sl_error err;
    rig_begin(&r, "http_ca_out", "/dev/null", "/bin/true");
    assert_true(sl_service_begin(&r.prepared, r.report, &r.service, &err) < 0);
    assert_string_equal(err.message, "the gateway ended unexpectedly");
    assert_true(sl_service_pid(r.service) > 0); /* to be killed through it */
    rig_end(&r);
}

/* What this program does in the gateway's place: says that it is ready, with files of no content.
 */
static int serve_nothing(void)
{
    char hello[SL_LINK_MESSAGE_MAX];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 0;
    struct sl_link_ready ready;
    memset(&ready, 0, sizeof(ready));
    ready.header = (struct sl_link_header){SL_LINK_READY, sizeof(ready)};
    ready.count = SL_ARTEFACTS;
    if (sl_fd_recv(SL_LINK_FD, hello, sizeof(hello), fds, &nfds, 0) <= 0) {
        return 1;
    }
    for (uint32_t i = 0; i < SL_ARTEFACTS; i++) {
        ready.artefacts[i] = i;
        fds[i] = sl_fd_memfd("nothing", "", 0);
    }
    if (sl_fd_send(SL_LINK_FD, &ready, sizeof(ready), fds, SL_ARTEFACTS, 0) < 0) {
        return 1;
    }
    pause();
    return 0;
}

/* The error is that of the step that failed, whatever errno was before. */
static void a_certificate_that_is_not_written_is_told(void **state)
{
    (void)state;
    struct rig r;
    sl_error err;
    rig_begin(&r, "http_ca_out", "/dev/null", "/proc/self/exe");
    errno = ENOTTY;
    assert_int_equal(sl_service_begin(&r.prepared, r.report, &r.service, &err), -EIO);
    assert_string_equal(err.message,
                        "cannot write the CA certificate to '/dev/null': Input/output error");
    rig_end(&r);
}

int main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "sandlock-gateway") == 0) {
        return serve_nothing();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_gateway_there_is_nothing_to_do),
        cmocka_unit_test(the_end_of_the_gateway_is_told),
        cmocka_unit_test(one_s_own_certificates_are_waited_for),
        cmocka_unit_test(a_certificate_that_is_not_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
