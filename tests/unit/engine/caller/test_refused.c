/* What the summary says of refused files: each once, many together, no more than was asked for, and
 * no secret without its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "caught.h"
#include "core/util.h"
#include "engine/caller/refused.h"

static struct caught caught;

static const char *const well_known[] = {"/home/u/.ssh", "/home/u/.config/gh", "/etc/shadow"};

static void refuse(sl_refused *r, enum sl_file_want want, const char *path, const char *grant)
{
    sl_file_denial d = {.want = want, .path = path, .grant = grant};
    sl_refused_tell(r, getpid(), &d);
}

static void refuse_read(sl_refused *r, const char *path)
{
    refuse(r, SL_WANT_READ, path, path);
}

/* Under a policy that grants something, and has no default view. */
static sl_refused *begin(void)
{
    static sl_policy *policy;
    if (policy == NULL) {
        policy = sl_policy_new();
        assert_int_equal(sl_policy_set(policy, sl_field_by_name("fs_readable"), "/usr", NULL), 0);
    }
    return sl_refused_new(-1, policy);
}

/* The lines behind the heading, which counts them; frees it. */
static const char *said(sl_refused *r)
{
    static const char heading[] = "sandlock: files: ";
    sl_strv secrets = {0};
    for (size_t i = 0; i < SL_ARRAY_LEN(well_known); i++) {
        assert_int_equal(sl_strv_add(&secrets, well_known[i]), 0);
    }
    caught_begin(&caught, STDERR_FILENO);
    sl_refused_say_with(r, &secrets);
    caught_end(&caught);
    sl_strv_done(&secrets);
    sl_refused_free(r);
    if (caught.text[0] == '\0') {
        return caught.text;
    }
    assert_int_equal(strncmp(caught.text, heading, sizeof(heading) - 1), 0);
    return strchr(caught.text, '\n') + 1;
}

static void each_is_said_once_with_its_flag(void **state)
{
    (void)state;
    sl_refused *r = begin();
    for (int i = 0; i < 1000; i++) {
        refuse_read(r, "/etc/motd");
    }
    refuse(r, SL_WANT_CREATE, "/srv/data/x", "/srv/data");
    refuse(r, SL_WANT_READ, "/proc/self/maps", "/proc");
    assert_string_equal(said(r), "sandlock:   read /etc/motd (1000 times):  -r '/etc/motd'\n"
                                 "sandlock:   read /proc/self/maps:  -r '/proc'\n"
                                 "sandlock:   create /srv/data/x:  -w '/srv/data'\n");
    assert_string_equal(said(begin()), "");
}

/* The flag for writing gives reading; that for a directory what is in it. */
static void one_flag_is_one_line(void **state)
{
    (void)state;
    sl_refused *r = begin();
    refuse_read(r, "/srv/a");
    refuse(r, SL_WANT_WRITE, "/srv/a", "/srv/a");
    refuse(r, SL_WANT_CREATE, "/srv/d/x", "/srv/d");
    refuse(r, SL_WANT_REMOVE, "/srv/d/y", "/srv/d");
    refuse(r, SL_WANT_WRITE, "/srv/d/z", "/srv/d/z");
    assert_string_equal(said(r),
                        "sandlock:   write, create in, remove from /srv/d (3 files):  -w '/srv/d'\n"
                        "sandlock:   read, write /srv/a (2 files):  -w '/srv/a'\n");
    r = begin();
    refuse(r, SL_WANT_CREATE, "/srv/d/x", "/srv/d");
    refuse_read(r, "/srv/d/y"); /* who reads need not write */
    assert_string_equal(said(r), "sandlock:   create /srv/d/x:  -w '/srv/d'\n"
                                 "sandlock:   read /srv/d/y:  -r '/srv/d/y'\n");
}

static void many_of_a_directory_are_told_together(void **state)
{
    (void)state;
    char path[64];
    sl_refused *r = begin();
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/home/u/.config/foo/%d/%d", i % 3, i);
        refuse_read(r, path);
    }
    for (int i = 0; i < SL_REFUSED_TOGETHER - 1; i++) {
        snprintf(path, sizeof(path), "/opt/few/%d", i);
        refuse_read(r, path);
    }
    const char *text = said(r);
    const char *line =
        "sandlock:   read /home/u/.config/foo (40 files):  -r '/home/u/.config/foo'\n";
    assert_int_equal(strncmp(text, line, strlen(line)), 0);
    assert_non_null(strstr(text, "read /opt/few/0:  -r '/opt/few/0'\n"));
    assert_null(strstr(text, "-r '/opt/few'"));
}

/* Each has its own line rather than one that opens what is guarded, or nearly all. */
static void never_so_wide_that_a_secret_is_in_it(void **state)
{
    static const char *const tops[] = {"/home/u/.config", "/home/u", "/etc", "", "/dev"};
    (void)state;
    for (size_t k = 0; k < SL_ARRAY_LEN(tops); k++) {
        char path[64];
        char flag[64];
        sl_refused *r = begin();
        for (int i = 0; i < SL_REFUSED_TOGETHER + 2; i++) {
            snprintf(path, sizeof(path), "%s/%d", tops[k], i);
            refuse_read(r, path);
        }
        snprintf(flag, sizeof(flag), "-r '%s'\n", tops[k][0] == '\0' ? "/" : tops[k]);
        const char *text = said(r);
        assert_null(strstr(text, flag));
        snprintf(flag, sizeof(flag), "-r '%s/3'\n", tops[k]);
        assert_non_null(strstr(text, flag));
    }
    sl_refused *r = begin();
    for (int i = 0; i < SL_REFUSED_TOGETHER + 2; i++) { /* a directory of the root's, for writing */
        char path[64];
        snprintf(path, sizeof(path), "/usr/%d", i);
        refuse(r, SL_WANT_WRITE, path, path);
    }
    assert_null(strstr(said(r), "-w '/usr'\n"));
}

static void a_secret_is_called_one(void **state)
{
    (void)state;
    char path[64];
    sl_refused *r = begin();
    refuse_read(r, "/etc/shadow");
    refuse_read(r, "/etc/shadow");
    refuse(r, SL_WANT_LIST, "/home/u", "/home/u");
    refuse_read(r, "/home/u/notes");
    refuse(r, SL_WANT_LIST, "/", "/");
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof(path), "/home/u/.ssh/key%d", i);
        refuse_read(r, path);
    }
    assert_string_equal(
        said(r),
        "sandlock:   read /home/u/.ssh (7 files):  -r '/home/u/.ssh'  (a well-known secret)\n"
        "sandlock:   read /etc/shadow (2 times):  -r '/etc/shadow'  (a well-known secret)\n"
        "sandlock:   list /  (well-known secrets are below it)\n"
        "sandlock:   list /home/u:  -r '/home/u'  (well-known secrets are below it)\n"
        "sandlock:   read /home/u/notes:  -r '/home/u/notes'\n");
}

/* No flag wins over it, and nothing wider is proposed around it. */
static void a_deny_rule_is_no_suggestion(void **state)
{
    (void)state;
    char path[64];
    sl_refused *r = begin();
    sl_file_denial d = {
        .want = SL_WANT_READ, .path = "/srv/a/key", .grant = "/srv/a/key", .by_rule = true};
    sl_refused_tell(r, getpid(), &d);
    for (int i = 0; i < SL_REFUSED_TOGETHER; i++) {
        snprintf(path, sizeof(path), "/srv/a/%d", i);
        refuse_read(r, path);
    }
    const char *text = said(r);
    assert_non_null(strstr(text, "read /srv/a/key\n"));
    assert_null(strstr(text, "-r '/srv/a'"));
}

/* What is kept has an end, and so has what is shown. */
static void lines_have_a_maximum(void **state)
{
    (void)state;
    char path[64];
    char rest[96];
    sl_refused *r = begin();
    for (int i = 0; i < SL_REFUSED_MAX + 40; i++) {
        snprintf(path, sizeof(path), "/%d", i);
        refuse_read(r, path);
    }
    const char *text = said(r);
    size_t shown = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
        shown++;
    }
    assert_int_equal(shown, SL_REFUSED_SHOWN + 2);
    snprintf(rest, sizeof(rest), "and %d more\n", SL_REFUSED_MAX - SL_REFUSED_SHOWN);
    assert_non_null(strstr(text, rest));
    snprintf(rest, sizeof(rest), "and 40 times others than the first %d\n", SL_REFUSED_MAX);
    assert_non_null(strstr(text, rest));
}

static void what_a_command_chose_is_made_printable(void **state)
{
    (void)state;
    sl_refused *r = begin();
    refuse_read(r, "/a\x1b[2J\n");
    assert_string_equal(said(r), "sandlock:   read /a?[2J?:  -r $'/a\\033[2J\\012'\n");
}

static const char *all_said(sl_refused *r, uint64_t others)
{
    caught_begin(&caught, STDERR_FILENO);
    sl_refused_say(r, others);
    return caught_end(&caught);
}

/* Whoever asked and chose another way has lost nothing; whoever failed may have failed of that. */
static void questions_are_told_of_failures(void **state)
{
    (void)state;
    sl_file_denial asked = {
        .want = SL_WANT_WRITE, .path = "/srv/a", .grant = "/srv/a", .asked = true};
    sl_refused *r = begin();
    sl_refused_tell(r, getpid(), &asked);
    assert_string_equal(all_said(r, 0), "sandlock: files: 1 denied; to allow:\n"
                                        "sandlock:   write /srv/a:  -w '/srv/a'\n");
    sl_refused_worked(r);
    assert_string_equal(all_said(r, 0), "");
    assert_int_equal(sl_refused_count(r), 1);
    sl_refused_tell(r, getpid(), &asked); /* and tried it as well */
    refuse(r, SL_WANT_WRITE, "/srv/a", "/srv/a");
    sl_refused_worked(r);
    assert_string_equal(all_said(r, 0), "sandlock: files: 2 denied; to allow:\n"
                                        "sandlock:   write /srv/a (2 times):  -w '/srv/a'\n");
    sl_refused_free(r);
    sl_refused_worked(NULL);
    assert_int_equal(sl_refused_count(NULL), 0);
}

static void a_run_that_explains_says_all(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_file_denial asked = {
        .want = SL_WANT_WRITE, .path = "/srv/a", .grant = "/srv/a", .asked = true};
    sl_refused *r = sl_refused_new(-1, policy);
    assert_string_equal(all_said(r, 0), "");
    policy->explain = true;
    assert_string_equal(all_said(r, 0), "sandlock: nothing was denied\n");
    assert_string_equal(all_said(r, 1), "");
    sl_refused_tell(r, getpid(), &asked);
    sl_refused_worked(r);
    assert_string_equal(all_said(r, 0),
                        "sandlock: files: 1 denied; to allow:\n"
                        "sandlock:   write /srv/a:  -w '/srv/a'\n"
                        "sandlock:   (any -r or -w replaces the default view, which is nearly "
                        "-r / -w . -w /tmp)\n");
    sl_refused_free(r);
}

static void each_is_a_line_of_the_audit_log(void **state)
{
    (void)state;
    char text[4096] = {0};
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_refused *r = sl_refused_new(fds[1], policy);
    sl_file_denial d = {.want = SL_WANT_CREATE, .path = "/srv/a\n", .grant = "/srv"};
    sl_refused_tell(r, getpid(), &d);
    d.by_rule = true;
    sl_refused_tell(r, getpid(), &d);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    char *second = strchr(text, '\n');
    assert_non_null(second);
    *second++ = '\0';
    json_t *line = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.verdict")), "deny");
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.kind")), "file");
    assert_string_equal(json_string_value(json_object_get(line, "file.path")), "/srv/a\n");
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.access")), "create");
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.reason")), "no_rule");
    assert_int_equal(json_integer_value(json_object_get(line, "process.pid")), getpid());
    assert_non_null(json_object_get(line, "process.executable.path"));
    json_decref(line);
    line = json_loads(second, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(line, "sandlock.rule")), "fs_denied");
    json_decref(line);
    sl_refused_free(r);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_said_once_with_its_flag),
        cmocka_unit_test(one_flag_is_one_line),
        cmocka_unit_test(many_of_a_directory_are_told_together),
        cmocka_unit_test(never_so_wide_that_a_secret_is_in_it),
        cmocka_unit_test(a_secret_is_called_one),
        cmocka_unit_test(a_deny_rule_is_no_suggestion),
        cmocka_unit_test(lines_have_a_maximum),
        cmocka_unit_test(what_a_command_chose_is_made_printable),
        cmocka_unit_test(questions_are_told_of_failures),
        cmocka_unit_test(a_run_that_explains_says_all),
        cmocka_unit_test(each_is_a_line_of_the_audit_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
