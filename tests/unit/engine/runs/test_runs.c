/* Asking runs from outside: what is no run is passed over, what is dead is removed, and an answer
 * is bounded in size and time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "served.h"

static bool is_there(const struct served *s, const char *file)
{
    struct stat st;
    return fstatat(s->at, file, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Listens under that name; the descriptor. */
static int plant(const struct served *s, const char *file)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%.63s", s->at, file);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* The row of that name among all runs of this user, others of whom may be there too. */
static bool is_listed(const char *file, int *ret_error)
{
    sl_runs runs;
    bool found = false;
    assert_int_equal(sl_runs_list(&runs), 0);
    for (size_t i = 0; i < runs.count; i++) {
        if (strcmp(runs.items[i].file, file) == 0) {
            found = true;
            *ret_error = runs.items[i].error;
        }
        assert_true(i == 0 || runs.items[i - 1].guardian <= runs.items[i].guardian);
    }
    sl_runs_done(&runs);
    return found;
}

static void a_run_answers(void **state)
{
    struct served *s = *state;
    int error = -1;
    char *answer = NULL;
    sl_runs_entry run = served_entry(s);
    assert_true(is_listed(run.file, &error));
    assert_int_equal(error, 0);
    assert_int_equal(sl_runs_ask(&run, SL_CONTROL_KILL, 15, &answer), 0);
    assert_string_equal(answer, "{\"what\":3,\"signal\":15}");
    free(answer);
    answer = NULL;
    assert_int_equal(sl_runs_ask(&run, SL_CONTROL_INSPECT, 0, &answer), -EACCES);
    assert_null(answer);
}

static void what_is_no_run_is_passed_over(void **state)
{
    struct served *s = *state;
    static const char *const names[] = {
        "0-0123456789abcdef",
        "12-0123456789abcde",
        "12-0123456789abcdef0",
        "12-0123456789ABCDEF",
        "-12-0123456789abcdef",
        "12",
        "1234567890-0123456789abcde",
        "12-",
        "x",
    };
    int error;
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        sl_autoclose int fd = plant(s, names[i]);
        assert_true(fd >= 0);
        assert_false(is_listed(names[i], &error));
        assert_true(is_there(s, names[i]));
    }
    const char *file = "12-0123456789abcdef"; /* a good name, but no socket */
    sl_autoclose int fd = openat(s->at, file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_false(is_listed(file, &error));
    assert_true(is_there(s, file));
}

/* A socket nobody serves goes when its guardian is gone, and not before: it may be beginning. */
static void only_the_dead_are_removed(void **state)
{
    struct served *s = *state;
    char dead[SL_RUNDIR_CONTROL_NAME_MAX];
    int error;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    snprintf(dead, sizeof(dead), "%d-0123456789abcdef", (int)pid);
    sl_close(plant(s, dead));
    served_stop(s);
    assert_false(is_listed(dead, &error));
    assert_false(is_there(s, dead));
    assert_false(is_listed(s->dir->control_name, &error));
    assert_true(is_there(s, s->dir->control_name));
    sl_runs_entry run = served_entry(s);
    char *answer = NULL;
    assert_int_equal(sl_runs_ask(&run, SL_CONTROL_LIST, 0, &answer), -ECONNREFUSED);
    snprintf(run.file, sizeof(run.file), "%s", dead);
    assert_int_equal(sl_runs_ask(&run, SL_CONTROL_LIST, 0, &answer), -ENOENT);
}

static void silence_is_not_waited_out(void **state)
{
    struct served *s = *state;
    char *answer = NULL;
    sl_runs_entry run = served_entry(s);
    snprintf(run.file, sizeof(run.file), "%d-00000000000000aa", (int)getpid());
    sl_autoclose int fd = plant(s, run.file);
    assert_true(fd >= 0);
    assert_int_equal(sl_runs_ask(&run, SL_CONTROL_LIST, 0, &answer), -ETIMEDOUT);
    assert_null(answer);
}

static void a_flood_is_cut(void **state)
{
    struct served *s = *state;
    char *answer = NULL;
    sl_runs_entry run = served_entry(s);
    snprintf(run.file, sizeof(run.file), "%d-00000000000000bb", (int)getpid());
    sl_autoclose int fd = plant(s, run.file);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static char noise[65536];
        int peer = accept(fd, NULL, NULL);
        while (send(peer, noise, sizeof(noise), MSG_NOSIGNAL) > 0) {
        }
        _exit(0);
    }
    assert_int_equal(sl_runs_ask(&run, SL_CONTROL_LIST, 0, &answer), -EPROTO);
    assert_null(answer);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Two runs of one process never share a name, and each name is one that is looked for. */
static void names_are_fresh(void **state)
{
    struct served *s = *state;
    char before[SL_RUNDIR_CONTROL_NAME_MAX];
    char after[SL_RUNDIR_CONTROL_NAME_MAX];
    snprintf(before, sizeof(before), "%s", s->dir->control_name);
    assert_int_equal(sl_rundir_name_control(s->dir), 0);
    snprintf(after, sizeof(after), "%s", s->dir->control_name);
    snprintf(s->dir->control_name, sizeof(s->dir->control_name), "%s", before);
    assert_string_not_equal(before, after);
    assert_int_equal(strtol(after, NULL, 10), getpid());
    assert_int_equal(strspn(strchr(after, '-') + 1, "0123456789abcdef"), 16);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SERVED(a_run_answers),
        SERVED(what_is_no_run_is_passed_over),
        SERVED(only_the_dead_are_removed),
        SERVED(silence_is_not_waited_out),
        SERVED(a_flood_is_cut),
        SERVED(names_are_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
