/* The program as a user meets it: what it prints where, and its exit codes. A command that must not
 * have run is one that would leave a file behind. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/util.h"

#define OUTPUT_MAX 65536

struct outcome {
    int code; /* exit code, or -1 when a signal ended it */
    char out[OUTPUT_MAX];
    char err[OUTPUT_MAX];
};

/* What the program is started with, beside its words. */
struct setting {
    int close_fd;          /* one of 0, 1, 2 to be closed; -1: none */
    const char *out_path;  /* instead of the pipe */
    int status_pipe_as_fd; /* the error pipe under this number, too; -1: no */
};

static const struct setting plain = {.close_fd = -1, .status_pipe_as_fd = -1};
static char marker[64];

static int file_for_output(void)
{
    char path[] = "/tmp/sandlock-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void read_back(int fd, char *text)
{
    ssize_t n = pread(fd, text, OUTPUT_MAX - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
}

static void become(char *const *words, const struct setting *s, int out, int err)
{
    if (s->out_path != NULL) {
        out = open(s->out_path, O_WRONLY | O_CLOEXEC);
    }
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (s->status_pipe_as_fd >= 0) {
        dup2(err, s->status_pipe_as_fd);
    }
    if (s->close_fd >= 0) {
        close(s->close_fd);
    }
    execv(SANDLOCK_PROGRAM, words);
    _exit(99);
}

static void start(char *const *words, const struct setting *s, struct outcome *ret)
{
    int out = file_for_output();
    int err = file_for_output();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        become(words, s, out, err);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back(out, ret->out);
    read_back(err, ret->err);
}

#define START(o, setting, ...) start((char *[]){(char *)"sandlock", __VA_ARGS__, NULL}, setting, o)

/* One line "sandlock: ..." on stderr that has `word`; nothing on stdout; nothing ran. */
static void fails(int code, const char *word, char *const *words)
{
    struct outcome o;
    unlink(marker);
    start(words, &plain, &o);
    if (o.code != code || strstr(o.err, word) == NULL) {
        fail_msg("exit %d, '%s'; expected %d and '%s'", o.code, o.err, code, word);
    }
    assert_int_equal(strncmp(o.err, "sandlock: ", 10), 0);
    assert_ptr_equal(strchr(o.err, '\n'), o.err + strlen(o.err) - 1);
    assert_string_equal(o.out, "");
    assert_int_equal(access(marker, F_OK), -1);
}

#define FAILS(code, word, ...) fails(code, word, (char *[]){(char *)"sandlock", __VA_ARGS__, NULL})
#define RUN_FAILS(code, word, ...)                                                                 \
    FAILS(code, word, (char *)"run", __VA_ARGS__, (char *)"--", (char *)"touch", marker)

static void bad_words_end_it_before_anything_runs(void **state)
{
    (void)state;
    RUN_FAILS(2, "'--http-alow'", "--http-alow", "GET x.test");
    RUN_FAILS(2, "'GET'", "--http-allow", "GET");
    RUN_FAILS(2, "'65536'", "--http-allow", "GET x.test:65536");
    RUN_FAILS(2, "'65536'", "--net-connect", "65536");
    RUN_FAILS(2, "'010.0.0.1'", "--net-allow", "010.0.0.1");
    RUN_FAILS(2, "'soon'", "-t", "soon");
    RUN_FAILS(2, "--http-key", "--http-ca", "/dev/null");
    RUN_FAILS(2, "'x'", "--status-fd", "x");
    RUN_FAILS(125, "'77'", "--status-fd", "77");
    RUN_FAILS(125, "'0' cannot be written", "--status-fd", "0");
    FAILS(2, "no command given", "run", "-r", "/");
    FAILS(2, "'rnu'; did you mean 'run'", "rnu", "--", "touch", marker);
    FAILS(2, "'-r'", "-r", "/", "touch", marker);
    FAILS(2, "'--jsn'", "check", "--jsn");
    FAILS(2, "'x'", "version", "x");
    FAILS(2, "'rnu'", "help", "rnu");
    FAILS(2, "'run'", "help", "check", "run");
    fails(2, "no command given", (char *[]){(char *)"sandlock", NULL});
}

static void a_failure_is_one_harmless_line(void **state)
{
    (void)state;
    RUN_FAILS(2, "'--\\x0a\\x1b[31m\\xc2\\x9b\\xff\\x7f'", "--\n\x1b[31m\xc2\x9b\xff\x7f");
    FAILS(2, "'\\x0d\xc3\xa9'", "\r\xc3\xa9");
}

static void help_is_everywhere_with_an_example(void **state)
{
    (void)state;
    static char *const commands[] = {"run", "check", "profile", "version", "help"};
    struct outcome o;
    struct outcome again;
    for (size_t i = 0; i < SL_ARRAY_LEN(commands); i++) {
        START(&o, &plain, commands[i], (char *)"--help");
        assert_int_equal(o.code, 0);
        assert_string_equal(o.err, "");
        assert_non_null(strstr(o.out, "example"));
        START(&again, &plain, (char *)"help", commands[i]);
        assert_int_equal(again.code, 0);
        assert_string_equal(o.out, again.out);
        START(&o, &plain, (char *)"help");
        assert_non_null(strstr(o.out, commands[i]));
    }
    START(&again, &plain, (char *)"-h");
    assert_string_equal(o.out, again.out);
}

static void help_of_run_has_every_option(void **state)
{
    (void)state;
    static const char *const options[] = {
        "-r, --fs-read PATH", "-w, --fs-write PATH", "--fs-deny PATH",       "--http-allow RULE",
        "-t, --timeout",      "-P, --max-processes", "-e, --exec-shell CMD", "--status-fd N",
        "--print-policy",     "--allow-degraded",    "--no-supervisor",
    };
    struct outcome o;
    START(&o, &plain, (char *)"run", (char *)"--help");
    for (size_t i = 0; i < SL_ARRAY_LEN(options); i++) {
        if (strstr(o.out, options[i]) == NULL) {
            fail_msg("'%s' is not in the help", options[i]);
        }
    }
}

static void version_is_told(void **state)
{
    (void)state;
    struct outcome o;
    START(&o, &plain, (char *)"version");
    assert_int_equal(o.code, 0);
    assert_string_equal(o.out, "sandlock " SANDLOCK_VERSION "\n");
    START(&o, &plain, (char *)"--version");
    assert_string_equal(o.out, "sandlock " SANDLOCK_VERSION "\n");
    START(&o, &plain, (char *)"version", (char *)"--json");
    json_t *json = json_loads(o.out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "version")), SANDLOCK_VERSION);
    json_decref(json);
}

/* The exit code says what the rows say, in both forms. */
static void check_tells_whether_run_works(void **state)
{
    (void)state;
    struct outcome o;
    START(&o, &plain, (char *)"check", (char *)"--json");
    json_t *json = json_loads(o.out, 0, NULL);
    json_t *features = json_object_get(json, "features");
    assert_true(json_array_size(features) >= 2);
    bool runs = true;
    size_t i;
    json_t *row;
    json_array_foreach(features, i, row)
    {
        static const char *const texts[] = {"name", "since", "lost", "detail"};
        for (size_t k = 0; k < SL_ARRAY_LEN(texts); k++) {
            assert_true(json_string_length(json_object_get(row, texts[k])) > 0);
        }
        assert_true(json_is_boolean(json_object_get(row, "works")));
        runs = runs && (json_is_true(json_object_get(row, "works")) ||
                        json_is_false(json_object_get(row, "required")));
    }
    assert_int_equal(json_is_true(json_object_get(json, "runs")), runs);
    assert_int_equal(o.code, runs ? 0 : 1);
    START(&o, &plain, (char *)"check");
    assert_int_equal(o.code, runs ? 0 : 1);
    assert_non_null(strstr(o.out, runs ? "sandlock run works here" : "sandlock run refuses here"));
    json_array_foreach(features, i, row)
    {
        assert_non_null(strstr(o.out, json_string_value(json_object_get(row, "name"))));
        assert_non_null(strstr(o.out, json_string_value(json_object_get(row, "lost"))));
    }
    json_decref(json);
}

static void printed_policy_needs_no_kernel_and_runs_nothing(void **state)
{
    (void)state;
    struct outcome o;
    unlink(marker);
    START(&o, &plain, (char *)"run", (char *)"--print-policy", (char *)"--http-allow",
          (char *)"GET a.test/x", (char *)"-P5", (char *)"--", (char *)"touch", marker);
    assert_int_equal(o.code, 0);
    assert_non_null(strstr(o.out, "http_allow"));
    assert_non_null(strstr(o.out, "\"GET a.test/x\""));
    assert_non_null(strstr(o.out, "max_processes = 5"));
    assert_int_equal(access(marker, F_OK), -1);
}

static void a_failed_write_is_told(void **state)
{
    (void)state;
    static char *const words[][3] = {
        {"help"}, {"check"}, {"version"}, {"run", "--help"}, {"run", "--print-policy", "--no-udp"}};
    struct setting full = plain;
    full.out_path = "/dev/full";
    for (size_t i = 0; i < SL_ARRAY_LEN(words); i++) {
        struct outcome o;
        START(&o, &full, words[i][0], words[i][1], words[i][2]);
        assert_int_equal(o.code, 125);
        assert_non_null(strstr(o.err, "No space left on device"));
    }
}

static bool runs_here(void)
{
    struct outcome o;
    START(&o, &plain, (char *)"check");
    if (o.code != 0) {
        print_message("this kernel cannot run a command:\n%s", o.out);
    }
    return o.code == 0;
}

/* A closed standard descriptor must not become one of our files, nor stay free for the child's. */
static void closed_standard_descriptors_are_filled(void **state)
{
    (void)state;
    if (!runs_here()) {
        skip();
    }
    for (int fd = 0; fd <= 2; fd++) {
        struct setting closed = plain;
        struct outcome o;
        char test[64];
        closed.close_fd = fd;
        snprintf(test, sizeof(test), "test /proc/self/fd/%d -ef /dev/null", fd);
        START(&o, &closed, (char *)"run", (char *)"-r", (char *)"/", (char *)"-e", test);
        assert_int_equal(o.code, 0);
    }
}

static void the_status_is_for_the_caller_alone(void **state)
{
    (void)state;
    if (!runs_here()) {
        skip();
    }
    struct setting with = plain;
    struct outcome o;
    with.status_pipe_as_fd = 7;
    START(&o, &with, (char *)"run", (char *)"-r", (char *)"/", (char *)"--status-fd=7",
          (char *)"-e", (char *)"test ! -e /proc/self/fd/7 && exit 5");
    assert_int_equal(o.code, 5);
    json_t *json = json_loads(o.err, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "exit_code")), 5);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "exited");
    json_decref(json);
}

static void exit_codes_are_the_command_s(void **state)
{
    (void)state;
    if (!runs_here()) {
        skip();
    }
    static const struct {
        char *command;
        int code;
    } rows[] = {{"true", 0}, {"exit 1", 1}, {"exit 255", 255}, {"kill -TERM $$", 143}};
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        struct outcome o;
        START(&o, &plain, (char *)"run", (char *)"-r", (char *)"/", (char *)"-e", rows[i].command);
        assert_int_equal(o.code, rows[i].code);
        assert_string_equal(o.err, "");
    }
    struct outcome o;
    START(&o, &plain, (char *)"run", (char *)"-r", (char *)"/", (char *)"-w", (char *)"/tmp",
          (char *)"--", (char *)"touch", marker);
    assert_int_equal(o.code, 0);
    assert_int_equal(access(marker, F_OK), 0); /* the sign that the other tests look for */
    FAILS(127, "'no-such-program'", "run", "-r", "/", "no-such-program");
    FAILS(127, "''", "run", "-r", "/", "");
    FAILS(126, "'/etc/passwd'", "run", "-r", "/", "/etc/passwd");
    FAILS(125, "'/no/such/path'", "run", "-r", "/no/such/path", "--", "touch", marker);
}

int main(void)
{
    snprintf(marker, sizeof(marker), "/tmp/sandlock-test-ran-%d", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_words_end_it_before_anything_runs),
        cmocka_unit_test(a_failure_is_one_harmless_line),
        cmocka_unit_test(help_is_everywhere_with_an_example),
        cmocka_unit_test(help_of_run_has_every_option),
        cmocka_unit_test(version_is_told),
        cmocka_unit_test(check_tells_whether_run_works),
        cmocka_unit_test(printed_policy_needs_no_kernel_and_runs_nothing),
        cmocka_unit_test(a_failed_write_is_told),
        cmocka_unit_test(closed_standard_descriptors_are_filled),
        cmocka_unit_test(the_status_is_for_the_caller_alone),
        cmocka_unit_test(exit_codes_are_the_command_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
