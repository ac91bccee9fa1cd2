/* The link: a right first message is answered, an impossible one ends the program with its reason,
 * and so does an impossible one later. The gateway is a process, as always. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "http/gateway.h"
#include "http/h1/h1.h"

typedef struct program {
    pid_t pid;
    int link;
} program;

typedef union message {
    struct sl_link_header header;
    struct sl_link_failed failed;
    struct sl_link_bye bye;
    char space[SL_LINK_MESSAGE_MAX];
} message;

static program start(void)
{
    program p;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    p.pid = fork();
    assert_true(p.pid >= 0);
    if (p.pid == 0) {
        close(fds[0]);
        _exit(sl_gateway_run(fds[1], &sl_h1_protocol));
    }
    close(fds[1]);
    p.link = fds[0];
    return p;
}

static struct sl_link_hello hello_for(const char *policy, size_t len, int fds[2])
{
    fds[0] = sl_fd_memfd("policy", policy, len);
    fds[1] = sl_synth_create();
    assert_true(fds[0] >= 0 && fds[1] >= 0);
    return (struct sl_link_hello){.header = {SL_LINK_HELLO, sizeof(struct sl_link_hello)},
                                  .version = SL_LINK_VERSION,
                                  .policy_length = (uint32_t)len};
}

static int end(program *p)
{
    int status;
    close(p->link);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The message is FAILED with such words, and the program ends with 125. */
static void expect_failed(program *p, const char *words)
{
    message m;
    ssize_t n = recv(p->link, &m, sizeof(m), 0);
    assert_int_equal(n, sizeof(m.failed));
    assert_int_equal(m.header.type, SL_LINK_FAILED);
    if (strstr(m.failed.message, words) == NULL) {
        fail_msg("no '%s' in '%s'", words, m.failed.message);
    }
    assert_int_equal(end(p), 125);
}

#define POLICY "http_allow\0GET a.test/*"

/* A program that served its first message. */
static program served(void)
{
    int fds[2];
    message m;
    program p = start();
    struct sl_link_hello h = hello_for(POLICY, sizeof(POLICY), fds);
    assert_int_equal(sl_fd_send(p.link, &h, sizeof(h), fds, 2, 0), 0);
    close(fds[0]);
    close(fds[1]);
    struct sl_link_header trust = {SL_LINK_TRUST, sizeof(trust)};
    assert_int_equal(sl_fd_send(p.link, &trust, sizeof(trust), NULL, 0, 0), 0);
    assert_true(recv(p.link, &m, sizeof(m), 0) >= (ssize_t)sizeof(m.header));
    assert_int_equal(m.header.type, SL_LINK_READY);
    return p;
}

static void it_is_ready_and_leaves_when_asked(void **state)
{
    (void)state;
    message m;
    program p = served();
    struct sl_link_header quit = {SL_LINK_QUIT, sizeof(quit)};
    assert_int_equal(sl_fd_send(p.link, &quit, sizeof(quit), NULL, 0, 0), 0);
    assert_int_equal(recv(p.link, &m, sizeof(m), 0), sizeof(m.bye));
    assert_int_equal(m.header.type, SL_LINK_BYE);
    assert_int_equal(m.bye.allowed, 0);
    assert_int_equal(end(&p), 0);
}

static void it_leaves_when_its_engine_is_gone(void **state)
{
    (void)state;
    program p = served();
    assert_int_equal(end(&p), 0);
}

static void a_wrong_first_message_ends_it(void **state)
{
    (void)state;
    int fds[2];
    struct sl_link_hello good = hello_for(POLICY, sizeof(POLICY), fds);
    struct sl_link_hello bad[6] = {good, good, good, good, good, good};
    bad[0].header.type = SL_LINK_FLOW;
    bad[1].header.length--;
    bad[2].version++;
    bad[3].flags = 1u << 31;
    bad[4].policy_length = UINT32_MAX;
    bad[5].flags = SL_LINK_HAS_AUDIT; /* of which no descriptor came */
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        program p = start();
        assert_int_equal(sl_fd_send(p.link, &bad[i], sizeof(bad[i]), fds, 2, 0), 0);
        expect_failed(&p, i < 5 ? "no valid first message" : "2 descriptors instead of 3");
    }
    program p = start();
    assert_int_equal(sl_fd_send(p.link, &good, sizeof(good) - 1, fds, 2, 0), 0);
    expect_failed(&p, "no valid first message");
    p = start();
    (void)shutdown(p.link, SHUT_WR);
    expect_failed(&p, "no valid first message");
    close(fds[0]);
    close(fds[1]);
}

static void a_policy_that_is_none_ends_it(void **state)
{
    (void)state;
    int fds[2];
    static const char *const bad[] = {"http_allow\0nonsense", "no_such_field\0value", "http_allow"};
    static const size_t len[] = {20, 20, 10};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        program p = start();
        struct sl_link_hello h = hello_for(bad[i], len[i], fds);
        assert_int_equal(sl_fd_send(p.link, &h, sizeof(h), fds, 2, 0), 0);
        expect_failed(&p, "");
        close(fds[0]);
        close(fds[1]);
    }
    program p = start();
    struct sl_link_hello h = hello_for(POLICY, sizeof(POLICY), fds);
    h.policy_length *= 2;
    assert_int_equal(sl_fd_send(p.link, &h, sizeof(h), fds, 2, 0), 0);
    expect_failed(&p, "half a policy");
    close(fds[0]);
    close(fds[1]);
}

static void impossible(const void *data, size_t len, bool with_fd)
{
    program p = served();
    int fd = with_fd ? dup(p.link) : -1;
    assert_int_equal(sl_fd_send(p.link, data, len, &fd, with_fd ? 1 : 0, 0), 0);
    sl_close(fd);
    expect_failed(&p, "impossible message");
}

static void an_impossible_message_ends_it(void **state)
{
    (void)state;
    struct sl_link_header unknown = {31, sizeof(unknown)};
    impossible(&unknown, sizeof(unknown), false);
    impossible(&unknown, 3, false);
    struct sl_link_resolve resolve = {.header = {SL_LINK_RESOLVE, sizeof(resolve)}};
    memset(resolve.name, 'a', sizeof(resolve.name)); /* no end */
    impossible(&resolve, sizeof(resolve), false);
    memcpy(resolve.name, "not a name", 11);
    impossible(&resolve, sizeof(resolve), false);
    struct sl_link_flow flow = {
        .header = {SL_LINK_FLOW, sizeof(flow)}, .name = "a.test", .port = 80};
    impossible(&flow, sizeof(flow), false); /* no descriptor */
    flow.port = 0;
    impossible(&flow, sizeof(flow), true);
    flow.port = 80;
    flow.name[0] = '\0'; /* neither a name nor an address */
    impossible(&flow, sizeof(flow), true);
    memcpy(flow.name, "a.test", 7);
    memset(flow.process.exe, 'x', sizeof(flow.process.exe));
    impossible(&flow, sizeof(flow), true);
    struct sl_link_header trust = {SL_LINK_TRUST, sizeof(trust)};
    impossible(&trust, sizeof(trust), true); /* a descriptor that nobody asked for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_ready_and_leaves_when_asked),
        cmocka_unit_test(it_leaves_when_its_engine_is_gone),
        cmocka_unit_test(a_wrong_first_message_ends_it),
        cmocka_unit_test(a_policy_that_is_none_ends_it),
        cmocka_unit_test(an_impossible_message_ends_it),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
