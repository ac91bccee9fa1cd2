/* The engine's end of the link: what it sends, in which order, and what it believes of a gateway
 * that may be anybody's by now. Every wrong message ends the run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/trace.h"
#include "core/util.h"
#include "engine/link.h"

#define PEM "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

/* A link whose other end is ours, and all that it told. */
struct rig {
    uv_loop_t loop;
    sl_link *link;
    int peer;
    size_t ready;
    size_t resolved;
    size_t denied;
    size_t bye;
    size_t failed;
    int fds[SL_ARTEFACTS];
    uint64_t last; /* number in the message that came last */
    char message[1024];
};

static void on_ready(void *arg, const int fds[SL_ARTEFACTS])
{
    struct rig *r = arg;
    r->ready++;
    memcpy(r->fds, fds, sizeof(r->fds));
}

static void on_resolved(void *arg, const struct sl_link_resolved *m)
{
    struct rig *r = arg;
    r->resolved++;
    r->last = m->id;
}

static void on_denied(void *arg, const struct sl_link_denied *m)
{
    struct rig *r = arg;
    r->denied++;
    r->last = m->denial.count;
}

static void on_bye(void *arg, const struct sl_link_bye *m)
{
    struct rig *r = arg;
    r->bye++;
    r->last = m->allowed;
}

static void on_failed(void *arg, const char *message)
{
    struct rig *r = arg;
    r->failed++;
    snprintf(r->message, sizeof(r->message), "%s", message);
}

static sl_link_events events_of(struct rig *r)
{
    return (sl_link_events){.arg = r,
                            .on_ready = on_ready,
                            .on_resolved = on_resolved,
                            .on_denied = on_denied,
                            .on_bye = on_bye,
                            .on_failed = on_failed};
}

static void rig_begin(struct rig *r)
{
    sl_error err;
    memset(r, 0, sizeof(*r));
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        r->fds[i] = -1;
    }
    assert_int_equal(uv_loop_init(&r->loop), 0);
    assert_int_equal(sl_link_new(&r->link, &err), 0);
    r->peer = sl_link_take_peer(r->link);
    assert_true(r->peer >= 0);
    assert_int_equal(sl_link_take_peer(r->link), -1);
}

static void rig_attach(struct rig *r)
{
    const sl_link_events events = events_of(r);
    assert_int_equal(sl_link_attach(r->link, &r->loop, &events), 0);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    uv_close(handle, NULL);
}

static void rig_end(struct rig *r)
{
    uv_walk(&r->loop, close_handle, NULL);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    sl_link_free(r->link);
    sl_close(r->peer);
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        sl_close(r->fds[i]);
    }
}

static void rig_say(struct rig *r, const void *message, size_t len, const int *fds, size_t nfds)
{
    assert_int_equal(sl_fd_send(r->peer, message, len, fds, nfds, 0), 0);
    uv_run(&r->loop, UV_RUN_NOWAIT);
}

static void rig_hello(struct rig *r)
{
    sl_error err;
    sl_files files;
    char data[SL_LINK_MESSAGE_MAX];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 0;
    sl_policy *policy = sl_policy_new();
    sl_files_init(&files);
    assert_int_equal(sl_link_hello(r->link, policy, &files, &err), 0);
    assert_int_equal(sl_fd_recv(r->peer, data, sizeof(data), fds, &nfds, 0),
                     sizeof(struct sl_link_hello));
    for (size_t i = 0; i < nfds; i++) {
        close(fds[i]);
    }
    sl_files_done(&files);
    sl_policy_free(policy);
}

static int text_fd(const char *text)
{
    int fd = sl_fd_memfd("test", text, strlen(text));
    assert_true(fd >= 0);
    return fd;
}

static struct sl_link_ready ready_of(uint32_t count, uint32_t first, uint32_t second)
{
    return (struct sl_link_ready){.header = {SL_LINK_READY, sizeof(struct sl_link_ready)},
                                  .count = count,
                                  .artefacts = {first, second}};
}

static bool holds(int fd, const char *text)
{
    char got[64] = {0};
    return pread(fd, got, sizeof(got) - 1, 0) == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

/* ---- what is believed ---- */

static void good_messages_are_told(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_attach(&r);
    struct sl_link_resolved resolved = {.header = {SL_LINK_RESOLVED, sizeof(resolved)}, .id = 7};
    rig_say(&r, &resolved, sizeof(resolved), NULL, 0);
    assert_int_equal(r.resolved, 1);
    assert_int_equal(r.last, 7);
    struct sl_link_denied denied = {.header = {SL_LINK_DENIED, sizeof(denied)}, .denial.count = 8};
    rig_say(&r, &denied, sizeof(denied), NULL, 0);
    assert_int_equal(r.denied, 1);
    assert_int_equal(r.last, 8);
    struct sl_link_bye bye = {.header = {SL_LINK_BYE, sizeof(bye)}, .allowed = 9};
    rig_say(&r, &bye, sizeof(bye), NULL, 0);
    assert_int_equal(r.bye, 1);
    assert_int_equal(r.last, 9);
    struct sl_link_failed failed = {.header = {SL_LINK_FAILED, sizeof(failed)},
                                    .message = "no space"};
    assert_int_equal(r.failed, 0);
    rig_say(&r, &failed, sizeof(failed), NULL, 0);
    assert_int_equal(r.failed, 1);
    assert_string_equal(r.message, "no space");
    rig_end(&r);
}

/* By their numbers, whatever their order. */
static void artefacts_are_sorted_by_number(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 2; first++) {
        struct rig r;
        rig_begin(&r);
        rig_attach(&r);
        const char *texts[] = {"the CA", "the bundle"};
        int fds[2] = {text_fd(texts[first]), text_fd(texts[1 - first])};
        struct sl_link_ready m = ready_of(2, first, 1 - first);
        rig_say(&r, &m, sizeof(m), fds, 2);
        assert_int_equal(r.failed, 0);
        assert_int_equal(r.ready, 1);
        assert_true(holds(r.fds[SL_ARTEFACT_CA], texts[0]));
        assert_true(holds(r.fds[SL_ARTEFACT_BUNDLE], texts[1]));
        close(fds[0]);
        close(fds[1]);
        rig_end(&r);
    }
    struct rig r;
    rig_begin(&r);
    rig_attach(&r);
    struct sl_link_ready none = ready_of(0, 0, 0);
    rig_say(&r, &none, sizeof(none), NULL, 0);
    assert_int_equal(r.ready, 1);
    assert_int_equal(r.fds[SL_ARTEFACT_CA], -1);
    rig_end(&r);
}

/* The run is over: told once, nothing else is told, and nothing that follows is looked at. */
static void expect_refused(const char *what, const void *message, size_t len, size_t nfds)
{
    struct rig r;
    int fds[SL_FD_PASS_MAX];
    rig_begin(&r);
    rig_attach(&r);
    for (size_t i = 0; i < nfds; i++) {
        fds[i] = text_fd("x");
    }
    rig_say(&r, message, len, fds, nfds);
    if (r.failed != 1 || r.ready + r.resolved + r.denied + r.bye != 0) {
        fail_msg("%s: %zu failures, %zu others", what, r.failed,
                 r.ready + r.resolved + r.denied + r.bye);
    }
    assert_string_equal(r.message, "the gateway sent a message that makes no sense");
    struct sl_link_bye bye = {.header = {SL_LINK_BYE, sizeof(bye)}};
    rig_say(&r, &bye, sizeof(bye), NULL, 0);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.bye, 0);
    for (size_t i = 0; i < nfds; i++) {
        close(fds[i]);
    }
    rig_end(&r);
}

static void wrong_types_are_refused(void **state)
{
    (void)state;
    static const uint32_t types[] = {
        0, SL_LINK_HELLO, SL_LINK_FLOW, SL_LINK_QUIT, SL_LINK_FAILED + 1, UINT32_MAX};
    for (size_t i = 0; i < SL_ARRAY_LEN(types); i++) {
        struct sl_link_bye m = {.header = {types[i], sizeof(m)}};
        expect_refused("type", &m, sizeof(m), 0);
    }
}

static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        size_t length;
    } kinds[] = {{SL_LINK_READY, sizeof(struct sl_link_ready)},
                 {SL_LINK_RESOLVED, sizeof(struct sl_link_resolved)},
                 {SL_LINK_DENIED, sizeof(struct sl_link_denied)},
                 {SL_LINK_BYE, sizeof(struct sl_link_bye)},
                 {SL_LINK_FAILED, sizeof(struct sl_link_failed)}};
    _Alignas(8) char message[SL_LINK_MESSAGE_MAX] = {0};
    struct sl_link_header *header = (void *)message;
    for (size_t i = 0; i < SL_ARRAY_LEN(kinds); i++) {
        header->type = kinds[i].type;
        size_t wrong[] = {kinds[i].length - 1, kinds[i].length + 1, sizeof(*header)};
        for (size_t k = 0; k < SL_ARRAY_LEN(wrong); k++) {
            header->length = (uint32_t)wrong[k];
            expect_refused("length", message, wrong[k], 0);
        }
        header->length = (uint32_t)kinds[i].length + 1; /* it lies about itself */
        expect_refused("claimed length", message, kinds[i].length, 0);
    }
    expect_refused("no header", message, sizeof(*header) - 1, 0);
}

static void texts_without_an_end_are_refused(void **state)
{
    (void)state;
    struct sl_link_resolved resolved = {.header = {SL_LINK_RESOLVED, sizeof(resolved)}};
    memset(resolved.reason, 'x', sizeof(resolved.reason));
    expect_refused("reason", &resolved, sizeof(resolved), 0);
    struct sl_link_denied denied = {.header = {SL_LINK_DENIED, sizeof(denied)}};
    memset(denied.denial.what, 'x', sizeof(denied.denial.what));
    expect_refused("what", &denied, sizeof(denied), 0);
    denied.denial.what[0] = '\0';
    memset(denied.denial.allow_with, 'x', sizeof(denied.denial.allow_with));
    expect_refused("allow_with", &denied, sizeof(denied), 0);
    denied.denial.allow_with[0] = '\0';
    memset(denied.denial.why, 'x', sizeof(denied.denial.why));
    expect_refused("why", &denied, sizeof(denied), 0);
    denied.denial.why[0] = '\0';
    memset(denied.denial.programs, 'x', sizeof(denied.denial.programs));
    expect_refused("programs", &denied, sizeof(denied), 0);
    denied.denial.programs[0] = '\0';
    memset(denied.denial.host, 'x', sizeof(denied.denial.host));
    expect_refused("host", &denied, sizeof(denied), 0);
    struct sl_link_failed failed = {.header = {SL_LINK_FAILED, sizeof(failed)}};
    memset(failed.message, 'x', sizeof(failed.message));
    expect_refused("message", &failed, sizeof(failed), 0);
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    struct sl_link_resolved resolved = {.header = {SL_LINK_RESOLVED, sizeof(resolved)},
                                        .count = SL_LINK_ADDRS_MAX + 1};
    expect_refused("count of addresses", &resolved, sizeof(resolved), 0);
    static const struct {
        uint32_t count;
        uint32_t artefacts[2];
        size_t nfds;
    } wrong[] = {
        {2, {0, SL_ARTEFACTS}, 2},
        {2, {UINT32_MAX, 1}, 2},
        {2, {0, 0}, 2},
        {2, {1, 1}, 2},
        {1, {0, 0}, 1},
        {3, {0, 1}, 3},
        {2, {0, 1}, 1},
        {2, {0, 1}, 0},
        {0, {0, 1}, 2},
        {UINT32_MAX, {0, 1}, 2},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(wrong); i++) {
        struct sl_link_ready m =
            ready_of(wrong[i].count, wrong[i].artefacts[0], wrong[i].artefacts[1]);
        expect_refused("artefacts", &m, sizeof(m), wrong[i].nfds);
    }
}

static void stray_descriptors_are_refused(void **state)
{
    (void)state;
    struct sl_link_bye bye = {.header = {SL_LINK_BYE, sizeof(bye)}};
    struct sl_link_denied denied = {.header = {SL_LINK_DENIED, sizeof(denied)}};
    struct sl_link_resolved resolved = {.header = {SL_LINK_RESOLVED, sizeof(resolved)}};
    struct sl_link_failed failed = {.header = {SL_LINK_FAILED, sizeof(failed)}};
    expect_refused("bye", &bye, sizeof(bye), 1);
    expect_refused("denied", &denied, sizeof(denied), 2);
    expect_refused("resolved", &resolved, sizeof(resolved), 1);
    expect_refused("failed", &failed, sizeof(failed), 1);
}

static void ready_comes_once(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_attach(&r);
    struct sl_link_ready m = ready_of(0, 0, 0);
    rig_say(&r, &m, sizeof(m), NULL, 0);
    assert_int_equal(r.ready, 1);
    rig_say(&r, &m, sizeof(m), NULL, 0);
    assert_int_equal(r.ready, 1);
    assert_int_equal(r.failed, 1);
    rig_end(&r);
}

static void the_end_of_the_gateway_is_told(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    rig_attach(&r);
    close(sl_steal_fd(&r.peer));
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(r.failed, 1);
    assert_string_equal(r.message, "the gateway ended unexpectedly");
    rig_end(&r);
}

/* ---- the first answer, waited for ---- */

static int wait_for(struct rig *r, const void *message, size_t len, sl_error *err)
{
    const sl_link_events events = {.arg = r, .on_ready = on_ready}; /* no other is known yet */
    assert_int_equal(sl_fd_send(r->peer, message, len, NULL, 0, 0), 0);
    return sl_link_wait_ready(r->link, &events, err);
}

static void waiting_ends_with_ready_or_a_reason(void **state)
{
    struct rig r;
    sl_error err;
    (void)state;
    rig_begin(&r);
    struct sl_link_ready ready = ready_of(0, 0, 0);
    assert_int_equal(wait_for(&r, &ready, sizeof(ready), &err), 0);
    assert_int_equal(r.ready, 1);
    rig_end(&r);

    rig_begin(&r);
    struct sl_link_failed failed = {.header = {SL_LINK_FAILED, sizeof(failed)},
                                    .message = "the key is not the certificate's"};
    assert_true(wait_for(&r, &failed, sizeof(failed), &err) < 0);
    assert_string_equal(err.message, "the key is not the certificate's");
    assert_int_equal(r.ready, 0);
    rig_end(&r);
}

/* Nobody listens for these yet. */
static void waiting_believes_nothing_else(void **state)
{
    struct rig r;
    sl_error err;
    (void)state;
    struct sl_link_resolved resolved = {.header = {SL_LINK_RESOLVED, sizeof(resolved)}};
    struct sl_link_denied denied = {.header = {SL_LINK_DENIED, sizeof(denied)}};
    struct sl_link_bye bye = {.header = {SL_LINK_BYE, sizeof(bye)}};
    const struct {
        const void *message;
        size_t len;
    } early[] = {{&resolved, sizeof(resolved)}, {&denied, sizeof(denied)}, {&bye, sizeof(bye)}};
    for (size_t i = 0; i < SL_ARRAY_LEN(early); i++) {
        rig_begin(&r);
        assert_true(wait_for(&r, early[i].message, early[i].len, &err) < 0);
        assert_string_equal(err.message, "the gateway sent a message that makes no sense");
        rig_end(&r);
    }
    rig_begin(&r);
    const sl_link_events events = {.arg = &r, .on_ready = on_ready};
    close(sl_steal_fd(&r.peer));
    assert_true(sl_link_wait_ready(r.link, &events, &err) < 0);
    assert_string_equal(err.message, "the gateway ended unexpectedly");
    rig_end(&r);
}

/* ---- what is sent ---- */

static uint32_t receive_type(struct rig *r, size_t *ret_nfds)
{
    _Alignas(8) char data[SL_LINK_MESSAGE_MAX];
    int fds[SL_FD_PASS_MAX];
    ssize_t n = sl_fd_recv(r->peer, data, sizeof(data), fds, ret_nfds, MSG_DONTWAIT);
    for (size_t i = 0; n > 0 && i < *ret_nfds; i++) {
        close(fds[i]);
    }
    struct sl_link_header header;
    if (n < (ssize_t)sizeof(header)) {
        return 0;
    }
    memcpy(&header, data, sizeof(header));
    return header.type;
}

/* What was asked before the gateway was greeted comes behind the greeting, in its order. */
static void the_greeting_is_the_first_message(void **state)
{
    struct rig r;
    size_t nfds = 0;
    (void)state;
    rig_begin(&r);
    rig_attach(&r);
    assert_false(sl_link_was_used(r.link));
    struct sl_link_flow flow = {.header = {SL_LINK_FLOW, sizeof(flow)}};
    int fd = text_fd("x");
    assert_int_equal(sl_link_send(r.link, &flow, sizeof(flow), fd), 0);
    close(fd); /* ours: the link has one of its own */
    sl_link_quit(r.link);
    assert_true(sl_link_was_used(r.link));
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(receive_type(&r, &nfds), 0);
    rig_hello(&r);
    uv_run(&r.loop, UV_RUN_ONCE);
    assert_int_equal(receive_type(&r, &nfds), SL_LINK_FLOW);
    assert_int_equal(nfds, 1);
    assert_int_equal(receive_type(&r, &nfds), SL_LINK_QUIT);
    assert_int_equal(nfds, 0);
    rig_end(&r);
}

static void the_greeting_carries_what_its_flags_say(void **state)
{
    struct rig r;
    sl_error err;
    sl_files files;
    struct sl_link_hello hello;
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 0;
    (void)state;
    rig_begin(&r);
    sl_policy *policy = sl_policy_new();
    sl_files_init(&files);
    files.audit_fd = text_fd("audit");
    assert_int_equal(sl_buf_append_str(&files.ca, PEM), 0);
    assert_int_equal(sl_buf_append_str(&files.key, "key"), 0);
    assert_int_equal(sl_buf_append_str(&files.upstream_ca, "upstream"), 0);
    assert_int_equal(sl_buf_append_str(&files.bundle, "bundle"), 0);
    sl_trace_adopt(SL_TRACE_TLS, text_fd("trace"), "test");
    assert_int_equal(sl_link_hello(r.link, policy, &files, &err), 0);
    assert_true(fcntl(sl_trace_fd(), F_GETFD) >= 0); /* still ours */
    sl_trace_close();
    assert_int_equal(sl_fd_recv(r.peer, &hello, sizeof(hello), fds, &nfds, 0), sizeof(hello));
    assert_int_equal(hello.version, SL_LINK_VERSION);
    assert_int_equal(hello.flags, SL_LINK_HELLO_FLAGS);
    assert_int_equal(hello.trace, SL_TRACE_TLS);
    assert_int_equal(nfds, 8);
    struct stat st;
    assert_int_equal(fstat(fds[0], &st), 0);
    assert_int_equal(st.st_size, hello.policy_length);
    static const char *const texts[] = {"audit", PEM, "key", "upstream", "bundle", "trace"};
    for (size_t i = 0; i < SL_ARRAY_LEN(texts); i++) {
        assert_true(holds(fds[2 + i], texts[i]));
    }
    assert_true(fcntl(files.audit_fd, F_GETFD) >= 0); /* still the caller's */
    for (size_t i = 0; i < nfds; i++) {
        close(fds[i]);
    }
    sl_files_done(&files);
    sl_policy_free(policy);
    rig_end(&r);
}

/* A gateway that reads nothing holds nobody up, and costs a named amount. */
static void the_queue_has_an_end(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    struct sl_link_header quit = {SL_LINK_QUIT, sizeof(quit)};
    for (size_t i = 0; i < SL_LINK_QUEUE_MAX; i++) {
        assert_int_equal(sl_link_send(r.link, &quit, sizeof(quit), -1), 0);
    }
    assert_int_equal(sl_link_send(r.link, &quit, sizeof(quit), -1), -ENOBUFS);
    rig_end(&r);
}

static void a_bad_descriptor_is_an_error(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    struct sl_link_flow flow = {.header = {SL_LINK_FLOW, sizeof(flow)}};
    assert_int_equal(sl_link_send(r.link, &flow, sizeof(flow), 1 << 20), -EBADF);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_messages_are_told),
        cmocka_unit_test(artefacts_are_sorted_by_number),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(texts_without_an_end_are_refused),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(stray_descriptors_are_refused),
        cmocka_unit_test(ready_comes_once),
        cmocka_unit_test(the_end_of_the_gateway_is_told),
        cmocka_unit_test(waiting_ends_with_ready_or_a_reason),
        cmocka_unit_test(waiting_believes_nothing_else),
        cmocka_unit_test(the_greeting_is_the_first_message),
        cmocka_unit_test(the_greeting_carries_what_its_flags_say),
        cmocka_unit_test(the_queue_has_an_end),
        cmocka_unit_test(a_bad_descriptor_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
