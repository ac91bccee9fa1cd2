/* The trace switch: what is on, one safe and bounded line an event, whole lines from many threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/fd.h"
#include "core/trace.h"
#include "core/util.h"

#define FILE_MAX (1 << 20)
#define WRITERS  4
#define LINES    200

static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/sandlock-trace-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    sl_close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_trace_close();
    unlink(path);
    return 0;
}

static void must_open(const char *topics)
{
    sl_error err = {0};
    if (sl_trace_open(topics, path, "test", &err) < 0) {
        fail_msg("'%s': %s", topics, err.message);
    }
}

/* What was written. The caller frees it. */
static char *written(void)
{
    char *text;
    size_t len;
    assert_int_equal(sl_fd_read_file(path, FILE_MAX, &text, &len), 0);
    assert_int_equal(strlen(text), len); /* no NUL in it */
    return text;
}

/* The text of the only line, behind its head. */
static const char *only_line(char *all)
{
    char *end = strchr(all, '\n');
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    *end = '\0';
    char *colon = strstr(all, ": ");
    assert_non_null(colon);
    return colon + 2;
}

static int evaluated(int *count)
{
    return ++*count;
}

static void test_topics(void **state)
{
    static const struct {
        const char *words;
        unsigned topics;
    } good[] = {
        {"call", SL_TRACE_CALL},
        {"flow,tls", SL_TRACE_FLOW | SL_TRACE_TLS},
        {"http,http", SL_TRACE_HTTP},
        {"all", SL_TRACE_ALL},
        {"call,flow,tls,http", SL_TRACE_ALL},
        {"tls,all", SL_TRACE_ALL},
    };
    (void)state;
    assert_int_equal(sl_trace_topics(), 0);
    assert_int_equal(sl_trace_fd(), -1);
    for (size_t i = 0; i < SL_ARRAY_LEN(good); i++) {
        must_open(good[i].words);
        assert_int_equal(sl_trace_topics(), good[i].topics);
        assert_true(sl_trace_fd() > STDERR_FILENO);
        assert_true(fcntl(sl_trace_fd(), F_GETFD) & FD_CLOEXEC);
    }
    sl_trace_close();
    assert_int_equal(sl_trace_topics(), 0);
    assert_int_equal(sl_trace_open("", path, "test", NULL), 0);
    assert_int_equal(sl_trace_open(NULL, NULL, "test", NULL), 0);
    assert_int_equal(sl_trace_topics(), 0);
}

static void test_unknown_words(void **state)
{
    static const char *const bad[] = {"x",         "calls", "cal",      "call,", ",call",
                                      "call,,tls", "CALL",  "call tls", "call,x"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_error err = {0};
        assert_int_equal(sl_trace_open(bad[i], path, "test", &err), -EINVAL);
        assert_int_equal(err.kind, SL_ERROR_USAGE);
        assert_non_null(strstr(err.message, "SANDLOCK_TRACE: '"));
        assert_non_null(strstr(err.message, "expected call, flow, tls, http or all"));
        assert_int_equal(sl_trace_topics(), 0);
    }
}

static void test_file(void **state)
{
    sl_error err = {0};
    struct stat st;
    (void)state;
    unlink(path);
    must_open("all");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    SL_TRACE(SL_TRACE_CALL, "first");
    must_open("all"); /* again: at the end of what is there */
    SL_TRACE(SL_TRACE_CALL, "second");
    sl_autofree char *all = written();
    assert_true(strstr(all, "first") < strstr(all, "second"));
    sl_trace_close();
    assert_int_equal(sl_trace_open("all", "/nonexistent/trace", "test", &err), -ENOENT);
    assert_string_equal(
        err.message, "SANDLOCK_TRACE: cannot open '/nonexistent/trace': No such file or directory");
    assert_int_equal(sl_trace_topics(), 0);
}

static void test_line(void **state)
{
    unsigned long long s;
    unsigned us;
    int pid;
    int n = 0;
    (void)state;
    must_open("flow");
    uint64_t before = sl_clock_now_ns() / 1000;
    errno = ENOTTY;
    SL_TRACE(SL_TRACE_FLOW, "connect '%s' port %d: %m", "example.org", 443);
    assert_int_equal(errno, ENOTTY);
    uint64_t after = sl_clock_now_ns() / 1000;
    sl_autofree char *all = written();
    assert_int_equal(sscanf(all, "%llu.%6u test[%d] flow: %n", &s, &us, &pid, &n), 3);
    assert_true(n > 0);
    assert_int_equal(pid, getpid());
    assert_in_range(s * 1000000 + us, before, after);
    assert_string_equal(all + n, "connect 'example.org' port 443: "
                                 "Inappropriate ioctl for device\n");
}

static void test_off_costs_nothing(void **state)
{
    int count = 0;
    (void)state;
    SL_TRACE(SL_TRACE_CALL, "%d", evaluated(&count));
    must_open("tls");
    SL_TRACE(SL_TRACE_CALL, "%d", evaluated(&count));
    assert_int_equal(count, 0);
    SL_TRACE(SL_TRACE_TLS, "%d", evaluated(&count));
    assert_int_equal(count, 1);
    sl_autofree char *all = written();
    assert_string_equal(only_line(all), "1");
}

static void test_foreign_text(void **state)
{
    (void)state;
    must_open("http");
    SL_TRACE(SL_TRACE_HTTP, "'%s'", "a\r\nfake: line\x1b[31m\x9b\xc3\xa9\x7f\tz");
    sl_autofree char *all = written();
    assert_string_equal(only_line(all), "'a??fake: line?[31m?????z'");
}

static void test_length(void **state)
{
    char text[2 * SL_TRACE_LINE_MAX];
    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    must_open("call");
    SL_TRACE(SL_TRACE_CALL, "%s", text);
    sl_autofree char *all = written();
    assert_int_equal(strlen(all), SL_TRACE_LINE_MAX);
    assert_string_equal(all + SL_TRACE_LINE_MAX - 5, "x...\n");

    /* the longest that is whole, then one more */
    size_t head = (size_t)(strstr(all, ": ") - all) + 2;
    for (size_t more = 0; more < 2; more++) {
        sl_trace_close();
        assert_int_equal(truncate(path, 0), 0);
        must_open("call");
        SL_TRACE(SL_TRACE_CALL, "%.*s", (int)(SL_TRACE_LINE_MAX - 1 - head + more), text);
        sl_autofree char *line = written();
        assert_int_equal(strlen(line), SL_TRACE_LINE_MAX);
        assert_string_equal(line + SL_TRACE_LINE_MAX - 4, more == 0 ? "xxx\n" : "...\n");
    }
}

static void test_unwritable_is_lost(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], path, 1) == 1) {
    }
    sl_trace_adopt(SL_TRACE_ALL, ends[1], "test");
    errno = 0;
    SL_TRACE(SL_TRACE_CALL, "no room"); /* returns */
    assert_int_equal(errno, 0);
    sl_close(ends[0]);
}

static void test_adopt(void **state)
{
    (void)state;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    sl_trace_adopt(0x100 | SL_TRACE_TLS, fd, "gateway"); /* an unknown topic is none */
    assert_int_equal(sl_trace_topics(), SL_TRACE_TLS);
    assert_int_equal(sl_trace_fd(), fd);
    SL_TRACE(SL_TRACE_TLS, "hello");
    sl_autofree char *all = written();
    assert_non_null(strstr(all, " gateway["));
    assert_string_equal(only_line(all), "hello");
    fd = open(path, O_WRONLY | O_CLOEXEC);
    sl_trace_adopt(0, fd, "gateway");
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
    sl_trace_adopt(SL_TRACE_ALL, -1, "gateway");
    assert_int_equal(sl_trace_topics(), 0);
}

static void test_rename(void **state)
{
    int status;
    char expected[64];
    (void)state;
    must_open("call");
    pid_t pid = fork();
    if (pid == 0) {
        sl_trace_rename("child");
        SL_TRACE(SL_TRACE_CALL, "here");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    snprintf(expected, sizeof(expected), " child[%d] call: here\n", (int)pid);
    sl_autofree char *all = written();
    assert_non_null(strstr(all, expected));
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        SL_TRACE(SL_TRACE_CALL, "%s %d begin %0*d end", (const char *)arg, i, i, 0);
    }
    return NULL;
}

static void test_threads(void **state)
{
    static const char *const names[WRITERS] = {"a", "b", "c", "d"};
    pthread_t threads[WRITERS];
    unsigned count = 0;
    (void)state;
    must_open("call");
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)names[i]), 0);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    sl_autofree char *all = written();
    char *rest = all;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; count++) {
        assert_non_null(strstr(line, "] call: "));
        assert_ptr_equal(strstr(line, " begin "), strrchr(line, 'b') - 1);
        assert_string_equal(line + strlen(line) - 4, " end");
    }
    assert_int_equal(count, WRITERS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_off_costs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwritable_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_adopt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rename, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
