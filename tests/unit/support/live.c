/* Owns the engine's side of live tests: what src/engine does around a sandbox, without a gateway.
 */
#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "kernel/older_int.h"
#include "sandbox/probe.h"
#include "supervisor/supervisor.h"

#define PROGRAM   "--confined-program"
#define NOT_BEGUN 200 /* how the engine process says that the sandbox refused */

static struct live_run *current; /* in the engine process */

void live_complain(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n", file, line, what, strerror(errno));
}

void live_start(int argc, char **argv, const struct live_program *programs)
{
    if (argc > 2 && strcmp(argv[1], PROGRAM) == 0) {
        for (const struct live_program *p = programs; p->name != NULL; p++) {
            if (strcmp(p->name, argv[2]) == 0) {
                exit(p->main(argv + 3));
            }
        }
        fprintf(stderr, "no program '%s'\n", argv[2]);
        exit(99);
    }
    if (sl_probe_landlock_abi() < SL_LANDLOCK_ABI_MIN) {
        printf("skipped: this kernel has no Landlock ABI %d\n", SL_LANDLOCK_ABI_MIN);
        exit(77);
    }
}

void live_pretend_older(void)
{
    sl_landlock_pretend(SL_LANDLOCK_ABI_MIN);
    sl_pidfd_pretend_leaders();
}

/* ---- the engine process ---- */

static void on_decided(void *arg, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                       bool allowed)
{
    struct live_seen *seen = arg;
    (void)pid;
    (void)verdict;
    if (seen != NULL && !allowed && seen->denied_count < LIVE_DENIED_MAX) {
        seen->denied_ports[seen->denied_count++] = dest->port;
    }
}

static void on_exit_of_child(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    uv_stop(poll->loop);
}

static void on_walk(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static int serve(sl_sandbox *sb, pid_t child)
{
    uv_loop_t loop;
    uv_poll_t exited;
    int status = 0;
    sl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (pidfd < 0 || uv_loop_init(&loop) != 0 || uv_poll_init(&loop, &exited, pidfd) != 0 ||
        sl_sandbox_attach(sb, &loop) < 0) {
        return 98;
    }
    uv_poll_start(&exited, UV_READABLE, on_exit_of_child);
    uv_run(&loop, UV_RUN_DEFAULT);
    sl_sandbox_end(sb);
    sl_sandbox_detach(sb);
    uv_walk(&loop, on_walk, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    waitpid(child, &status, 0);
    /* Whatever the program left behind was given to us: the dispatcher ends with the last user. */
    for (pid_t left; (left = waitpid(-1, NULL, 0)) > 0 || errno == EINTR;) {
    }
    sl_sandbox_join(sb);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int be_engine(struct live_run *run, const char *canary)
{
    char *argv[12] = {"test", PROGRAM, (char *)run->program};
    static char *environ_in[] = {"PATH=/usr/bin:/bin", "ASAN_OPTIONS=detect_leaks=0", NULL};
    sl_error err = {0};
    sl_sandbox *sb = NULL;
    pid_t child = 0;
    for (size_t i = 0; run->args[i] != NULL; i++) {
        argv[3 + i] = (char *)run->args[i];
    }
    current = run;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run->hooks.decided = on_decided;
    run->hooks.report_arg = run->seen;
    sl_spawn spawn = {.argv = argv, .environ = environ_in, .path = "/proc/self/exe"};
    char self[4096] = {0};
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
        return 98;
    }
    spawn.path = self;
    sigemptyset(&spawn.ignored);
    sigemptyset(&spawn.mask);
    int r = sl_sandbox_new(run->policy, &sb, &err);
    r = r < 0 ? r : sl_sandbox_set_canary(sb, canary);
    if (r == 0) {
        sl_sandbox_set_hooks(sb, &run->hooks);
        if (run->prepare != NULL) {
            run->prepare(sb, run->arg);
        }
        r = sl_sandbox_spawn(sb, &spawn, &child, &err);
    }
    if (r < 0) {
        memcpy(run->error, err.message, sizeof(run->error));
        return NOT_BEGUN;
    }
    int status = serve(sb, child);
    sl_sandbox_free(sb);
    return status;
}

int live_run(struct live_run *run)
{
    int status = 0;
    /* The canary is opened for writing: the default file is one that only reading is granted of. */
    const char *canary = run->canary != NULL ? run->canary : "/etc/passwd";
    struct live_run *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    *shared = *run;
    fflush(NULL);
    pid_t engine = fork();
    assert_true(engine >= 0);
    if (engine == 0) {
        _exit(be_engine(shared, canary));
    }
    assert_int_equal(waitpid(engine, &status, 0), engine);
    memcpy(run->error, shared->error, sizeof(run->error));
    munmap(shared, sizeof(*shared));
    if (!WIFEXITED(status)) {
        fail_msg("the engine of '%s' died of signal %d", run->program, WTERMSIG(status));
    }
    return WEXITSTATUS(status) == NOT_BEGUN ? -1 : WEXITSTATUS(status);
}

struct live_seen *live_seen_new(void)
{
    void *p = mmap(NULL, sizeof(struct live_seen), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    return p;
}

/* ---- policies ---- */

sl_policy *live_policy(const char *field, ...)
{
    sl_error err = {0};
    sl_policy *policy = sl_policy_new();
    assert_non_null(policy);
    va_list args;
    va_start(args, field);
    for (; field != NULL; field = va_arg(args, const char *)) {
        const char *value = va_arg(args, const char *);
        const sl_field *f = sl_field_by_name(field);
        assert_non_null(f);
        if (sl_policy_set(policy, f, value, &err) < 0) {
            va_end(args);
            fail_msg("%s: %s", field, err.message);
        }
    }
    va_end(args);
    if (sl_policy_freeze(policy, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return policy;
}

void live_expect_refused(const sl_policy *policy, const char *words)
{
    sl_error err = {0};
    SL_AUTO(sl_sandbox) sb = NULL;
    assert_true(sl_sandbox_new(policy, &sb, &err) < 0);
    assert_null(sb);
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
}

/* ---- sockets ---- */

int live_listen(int type, const char *addr, uint16_t *ret_port)
{
    struct sockaddr_in sa = live_addr(addr, "0");
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    if (type == SOCK_STREAM) {
        assert_int_equal(listen(fd, 64), 0);
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *ret_port = ntohs(sa.sin_port);
    return fd;
}

bool live_was_reached(int fd, int type)
{
    char byte;
    if (type == SOCK_DGRAM) {
        return recv(fd, &byte, 1, MSG_DONTWAIT) >= 0;
    }
    sl_autoclose int got = accept(fd, NULL, NULL);
    return got >= 0;
}

struct sockaddr_in live_addr(const char *addr, const char *port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    inet_pton(AF_INET, addr, &sa.sin_addr);
    return sa;
}

int live_connect(const struct sockaddr_in *sa, int type)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
        int error = errno;
        sl_close(fd);
        return -error;
    }
    return fd;
}
