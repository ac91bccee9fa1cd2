/* The first process: the engine's code is its own, its death is told, signals go through it, and
 * what falls to it goes with it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/util.h"
#include "engine/caller/caller.h"
#include "engine/guardian.h"

/* A guardian in a process of its own, whose engine is a function of the test. */
struct rig {
    pid_t pid;
    int out; /* what the engine says, and who else holds the other end */
    int err;
    int status;
};

static void become_guardian(void (*engine)(sl_wire *wire, int out), int out, int err, int status)
{
    sl_caller caller;
    sl_wire wire;
    sl_wire_init(&wire);
    dup2(err, STDERR_FILENO);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sl_caller_remember(&caller);
    sl_caller_leave_signals(&caller);
    if (sl_wire_open(&wire, false) < 0) {
        _exit(99);
    }
    pid_t pid = fork();
    if (pid == 0) {
        sl_wire_keep_engine(&wire);
        engine(&wire, out);
        _exit(98);
    }
    close(out);
    sl_guardian g = {.engine = pid, .wire = &wire, .status_fd = status, .name = "box"};
    _exit(sl_guardian_main(&g));
}

static void rig_begin(struct rig *r, void (*engine)(sl_wire *wire, int out))
{
    int out[2];
    int err[2];
    int status[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    assert_int_equal(pipe2(status, O_CLOEXEC), 0);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        become_guardian(engine, out[1], err[1], status[1]);
    }
    close(out[1]);
    close(err[1]);
    close(status[1]);
    r->out = out[0];
    r->err = err[0];
    r->status = status[0];
}

/* The exit code; the texts are to the end of what anybody could say. */
static int rig_end(struct rig *r, char err[1024], char status[1024])
{
    int code;
    char rest[16];
    assert_int_equal(waitpid(r->pid, &code, 0), r->pid);
    assert_true(WIFEXITED(code));
    ssize_t n = read(r->err, err, 1023);
    err[n > 0 ? n : 0] = '\0';
    n = read(r->status, status, 1023);
    status[n > 0 ? n : 0] = '\0';
    while (read(r->out, rest, sizeof(rest)) > 0) {
    }
    close(r->out);
    close(r->err);
    close(r->status);
    return WEXITSTATUS(code);
}

static void engine_exits(sl_wire *wire, int out)
{
    (void)wire;
    (void)out;
    _exit(7);
}

static void the_code_is_the_engine_s(void **state)
{
    (void)state;
    struct rig r;
    char err[1024];
    char status[1024];
    rig_begin(&r, engine_exits);
    assert_int_equal(rig_end(&r, err, status), 7);
    assert_string_equal(err, "");
    assert_string_equal(status, ""); /* the engine told it */
}

/* With a child that would live for ever. It holds `out`. */
static void engine_is_killed(sl_wire *wire, int out)
{
    (void)wire;
    if (fork() == 0) {
        signal(SIGTERM, SIG_IGN);
        setsid();
        if (write(out, "x", 1) == 1) {
            for (;;) {
                pause();
            }
        }
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

static void the_engine_s_death_is_told_and_nobody_stays(void **state)
{
    (void)state;
    struct rig r;
    char byte;
    char err[1024];
    char status[1024];
    char path[64];
    int engine = 0;
    rig_begin(&r, engine_is_killed);
    assert_int_equal(read(r.out, &byte, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)r.pid, (int)r.pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &engine), 1);
    fclose(f);
    assert_int_equal(kill(engine, SIGKILL), 0);
    assert_int_equal(rig_end(&r, err, status), 125); /* ends only when nobody holds `out` */
    assert_string_equal(err, "sandlock: the engine was ended by signal 9; the run is over\n");
    json_t *json = json_loads(status, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "exit_code")), 125);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "box");
    json_decref(json);
}

/* Says which signals come, until it is the one that ends it. */
static void engine_listens(sl_wire *wire, int out)
{
    unsigned char sig = 0;
    (void)fcntl(wire->signals[0], F_SETFL, 0); /* this one may wait */
    if (write(out, "x", 1) != 1) {
        _exit(1);
    }
    while (sig != SIGTERM) {
        if (read(wire->signals[0], &sig, 1) != 1 || write(out, &sig, 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

static void signals_go_through(void **state)
{
    (void)state;
    struct rig r;
    static const int sent[] = {SIGUSR1, SIGINT, SIGHUP, SIGQUIT, SIGUSR2, SIGTERM};
    unsigned char got;
    char err[1024];
    char status[1024];
    rig_begin(&r, engine_listens);
    assert_int_equal(read(r.out, &got, 1), 1);
    for (size_t i = 0; i < SL_ARRAY_LEN(sent); i++) {
        assert_int_equal(kill(r.pid, sent[i]), 0);
        assert_int_equal(read(r.out, &got, 1), 1);
        assert_int_equal(got, sent[i]);
    }
    assert_int_equal(rig_end(&r, err, status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_code_is_the_engine_s),
        cmocka_unit_test(the_engine_s_death_is_told_and_nobody_stays),
        cmocka_unit_test(signals_go_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
