/* A control socket that a process of its own serves, as an engine does. After cmocka.h. */
#ifndef SANDLOCK_TESTS_SERVED_H
#define SANDLOCK_TESTS_SERVED_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/runs/control.h"
#include "engine/runs/runs.h"
#include "tidy.h"

struct served {
    char top[64];
    sl_rundir *dir;
    int at; /* the directory of control sockets */
    pid_t pid;
};

static inline bool served_any(void *arg, const char *path)
{
    (void)arg;
    (void)path;
    return true;
}

static inline int served_answer(void *arg, const struct sl_control_request *request, sl_buf *out)
{
    char text[64];
    (void)arg;
    if (request->what != SL_CONTROL_LIST && request->what != SL_CONTROL_KILL) {
        return -EINVAL;
    }
    int n =
        snprintf(text, sizeof(text), "{\"what\":%u,\"signal\":%u}", request->what, request->signal);
    return sl_buf_append(out, text, (size_t)n);
}

static inline void served_serve(struct served *s, int ready)
{
    uv_loop_t loop;
    sl_control *control = NULL;
    if (uv_loop_init(&loop) == 0 &&
        sl_control_open(&loop, s->dir, served_answer, NULL, &control) == 0 &&
        write(ready, "", 1) == 1) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    _exit(1);
}

static inline int served_begin(void **state)
{
    struct served *s = calloc(1, sizeof(*s));
    sl_error err = {0};
    int ready[2];
    char byte;
    assert_non_null(s);
    snprintf(s->top, sizeof(s->top), "/tmp/sandlock-control-XXXXXX");
    assert_non_null(mkdtemp(s->top));
    setenv("XDG_RUNTIME_DIR", s->top, 1);
    setenv("HOME", s->top, 1);
    assert_int_equal(sl_rundir_open(&s->dir, served_any, NULL, &err), 0);
    assert_int_equal(sl_rundir_name_control(s->dir), 0);
    s->at = sl_rundir_open_control(s->dir);
    assert_true(s->at >= 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        served_serve(s, ready[1]);
    }
    sl_close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    sl_close(ready[0]);
    *state = s;
    return 0;
}

static inline void served_stop(struct served *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        s->pid = 0;
    }
}

static inline int served_end(void **state)
{
    struct served *s = *state;
    served_stop(s);
    sl_rundir_end(s->dir);
    sl_rundir_free(s->dir);
    sl_close(s->at);
    tidy_tree(s->top);
    free(s);
    return 0;
}

static inline sl_runs_entry served_entry(const struct served *s)
{
    sl_runs_entry run = {.dir_fd = s->at, .guardian = (int)getpid()};
    snprintf(run.file, sizeof(run.file), "%s", s->dir->control_name);
    return run;
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, served_begin, served_end)

#endif
