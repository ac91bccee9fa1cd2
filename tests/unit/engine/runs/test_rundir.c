/* The private directories: where they may be, who may enter, what remains. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/runs/rundir.h"
#include "tidy.h"

struct place {
    char top[64];
    char runtime[96];
    char home[96];
};

static void place_make(struct place *p)
{
    snprintf(p->top, sizeof(p->top), "/tmp/sandlock-rundir-XXXXXX");
    assert_non_null(mkdtemp(p->top));
    snprintf(p->runtime, sizeof(p->runtime), "%s/runtime", p->top);
    snprintf(p->home, sizeof(p->home), "%s/home", p->top);
    assert_int_equal(mkdir(p->runtime, 0700), 0);
    assert_int_equal(mkdir(p->home, 0755), 0);
    setenv("XDG_RUNTIME_DIR", p->runtime, 1);
    setenv("HOME", p->home, 1);
}

static void place_remove(const struct place *p)
{
    tidy_tree(p->top);
}

static bool any(void *arg, const char *path)
{
    (void)arg;
    (void)path;
    return true;
}

static bool none(void *arg, const char *path)
{
    (void)arg;
    (void)path;
    return false;
}

static bool not_below(void *arg, const char *path)
{
    return strncmp(path, arg, strlen(arg)) != 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void is_private(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    sl_error err = {0};
    SL_AUTO(sl_rundir) dir = NULL;
    mode_t before = umask(0);
    assert_int_equal(sl_rundir_open(&dir, any, NULL, &err), 0);
    assert_int_equal(sl_rundir_begin(dir, &err), 0);
    umask(before);
    char run[PATH_MAX + 80];
    snprintf(run, sizeof(run), "%s/%s", dir->base, dir->run_name);
    assert_int_equal(strncmp(dir->base, p.runtime, strlen(p.runtime)), 0);
    assert_int_equal(mode_of(dir->base), 0700);
    assert_int_equal(mode_of(run), 0700);
    assert_int_equal(mode_of(dir->canary), 0600);
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        assert_int_equal(access(dir->trust[i], F_OK), 0);
    }
    assert_int_equal(fcntl(dir->base_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(dir->run_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    sl_rundir_end(dir);
    assert_int_equal(access(run, F_OK), -1);
    assert_int_equal(access(dir->canary, F_OK), 0);
    place_remove(&p);
}

/* One that was left open to others is closed; one that is a link somewhere is not entered. */
static void finds_no_open_door(void **state)
{
    (void)state;
    struct place p;
    char path[160];
    sl_error err = {0};
    place_make(&p);
    snprintf(path, sizeof(path), "%s/sandlock", p.runtime);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(chmod(path, 0777), 0);
    {
        SL_AUTO(sl_rundir) dir = NULL;
        assert_int_equal(sl_rundir_open(&dir, any, NULL, &err), 0);
        assert_int_equal(mode_of(path), 0700);
        unlink(dir->canary);
    }
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink(p.home, path), 0);
    SL_AUTO(sl_rundir) dir = NULL;
    assert_int_equal(sl_rundir_open(&dir, any, NULL, &err), 0);
    assert_null(strstr(dir->base, "runtime")); /* the next candidate */
    place_remove(&p);
}

static void goes_where_the_child_cannot_write(void **state)
{
    (void)state;
    struct place p;
    char last[64];
    sl_error err = {0};
    place_make(&p);
    {
        SL_AUTO(sl_rundir) dir = NULL;
        assert_int_equal(sl_rundir_open(&dir, not_below, p.runtime, &err), 0);
        assert_non_null(strstr(dir->base, "/home/.cache/sandlock"));
    }
    SL_AUTO(sl_rundir) dir = NULL;
    assert_int_equal(sl_rundir_open(&dir, none, NULL, &err), -ENOENT);
    assert_null(dir);
    assert_non_null(strstr(err.message, "no place for private files"));
    unsetenv("XDG_RUNTIME_DIR");
    setenv("HOME", "relative", 1);
    snprintf(last, sizeof(last), "/var/tmp/sandlock-%u", (unsigned)geteuid());
    assert_int_equal(sl_rundir_open(&dir, any, NULL, &err), 0);
    assert_string_equal(dir->base, last);
    assert_int_equal(mode_of(last), 0700);
    place_remove(&p);
}

/* Two runs never share a name, and a file planted under a name of ours is not followed. */
static void names_are_fresh(void **state)
{
    (void)state;
    struct place p;
    sl_error err = {0};
    place_make(&p);
    SL_AUTO(sl_rundir) one = NULL;
    SL_AUTO(sl_rundir) two = NULL;
    assert_int_equal(sl_rundir_open(&one, any, NULL, &err), 0);
    assert_int_equal(sl_rundir_open(&two, any, NULL, &err), 0);
    assert_int_equal(sl_rundir_begin(one, &err), 0);
    assert_int_equal(sl_rundir_begin(two, &err), 0);
    assert_string_not_equal(one->run_name, two->run_name);
    sl_rundir_end(one);
    assert_int_equal(access(two->trust[SL_ARTEFACT_CA], F_OK), 0);
    sl_rundir_end(two);
    sl_rundir_end(two);
    sl_rundir_end(NULL);
    place_remove(&p);
}

/* A run that was killed leaves its directory: the next one takes it away, and that of a living run
 * stays. */
static void dead_runs_are_swept(void **state)
{
    (void)state;
    struct place p;
    sl_error err = {0};
    char path[PATH_MAX + 80];
    place_make(&p);
    SL_AUTO(sl_rundir) dir = NULL;
    assert_int_equal(sl_rundir_open(&dir, any, NULL, &err), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(sl_rundir_begin(dir, &err) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    snprintf(path, sizeof(path), "%s/run-%d-stranger", dir->base, (int)getpid());
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(sl_rundir_begin(dir, &err), 0);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "ls -d '%s'/run-%d-* 2>/dev/null", dir->base, (int)pid);
    assert_int_not_equal(system(path), 0);
    sl_rundir_end(dir);
    place_remove(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_private),
        cmocka_unit_test(finds_no_open_door),
        cmocka_unit_test(goes_where_the_child_cannot_write),
        cmocka_unit_test(names_are_fresh),
        cmocka_unit_test(dead_runs_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
