/* Runs that are none: control sockets in a directory of the test, each served by a process of its
 * own that answers as an engine does. After cmocka.h. */
#ifndef SANDLOCK_TESTS_RUNS_RIG_H
#define SANDLOCK_TESTS_RUNS_RIG_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/runs/control.h"
#include "tidy.h"

#define RIG_RUNS_MAX 4

static char rig_top[64];
static pid_t rig_pids[RIG_RUNS_MAX];
static size_t rig_count;

struct rig_run {
    const char *name;
    int deaf; /* the signal that does not end it; 0: none */
    int signal;
    uv_async_t obey; /* once the answer is out, as a command's death comes after it */
};

static inline bool rig_any(void *arg, const char *path)
{
    (void)arg;
    (void)path;
    return true;
}

static inline void rig_obey(uv_async_t *async)
{
    const struct rig_run *run = async->data;
    raise(run->signal);
}

static inline int rig_answer(void *arg, const struct sl_control_request *request, sl_buf *out)
{
    struct rig_run *run = arg;
    if (request->what == SL_CONTROL_KILL) {
        if ((int)request->signal != run->deaf) {
            run->signal = (int)request->signal;
            uv_async_send(&run->obey);
        }
        return sl_buf_append_str(out, "{\"sent\":true}");
    }
    return sl_buf_printf(
        out,
        "{\"name\":\"%s\",\"state\":\"running\",\"started\":\"2026-01-02T03:04:05Z\","
        "\"pid\":%d,\"guardian\":%d,\"engine\":%d,\"allowed\":2,\"denied\":3,"
        "\"command\":[\"sh\",\"-c\",\"a b\"],\"policy_toml\":\"x = 1\\n\"}",
        run->name, 100000 + (int)getpid(), (int)getpid(), (int)getpid());
}

/* In a process of its own, which stands for the guardian too. */
static inline void rig_serve(const struct rig_run *run, int ready)
{
    uv_loop_t loop;
    sl_rundir *dir = NULL;
    sl_control *control = NULL;
    sl_error err;
    struct rig_run own = *run;
    own.obey.data = &own;
    if (uv_loop_init(&loop) == 0 && uv_async_init(&loop, &own.obey, rig_obey) == 0 &&
        sl_rundir_open(&dir, rig_any, NULL, &err) == 0 && sl_rundir_name_control(dir) == 0 &&
        sl_control_open(&loop, dir, rig_answer, &own, &control) == 0 && write(ready, "", 1) == 1) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    _exit(1);
}

static inline pid_t rig_start(const char *name, int deaf)
{
    struct rig_run run = {.name = name, .deaf = deaf};
    int ready[2];
    char byte;
    assert_true(rig_count < RIG_RUNS_MAX);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        rig_serve(&run, ready[1]);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    rig_pids[rig_count++] = pid;
    return pid;
}

/* What a command says of that run: the number of its first process. */
static inline int rig_command_pid(pid_t pid)
{
    return 100000 + (int)pid;
}

static inline int rig_begin(void **state)
{
    (void)state;
    rig_count = 0;
    snprintf(rig_top, sizeof(rig_top), "/tmp/sandlock-runs-XXXXXX");
    if (mkdtemp(rig_top) == NULL) {
        return -1;
    }
    return setenv("XDG_RUNTIME_DIR", rig_top, 1) < 0 || setenv("HOME", rig_top, 1) < 0 ? -1 : 0;
}

static inline int rig_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < rig_count; i++) {
        kill(rig_pids[i], SIGKILL);
        waitpid(rig_pids[i], NULL, 0);
    }
    tidy_tree(rig_top);
    return 0;
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, rig_begin, rig_end)

#endif
