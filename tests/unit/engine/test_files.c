/* The user's files that are read for the gateway: what is taken, what is refused with its name. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "engine/files.h"

#define PEM "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

static char dir[64];
static char path[128];

static const char *file_of(const char *name, const char *text)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static int begin(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/sandlock-files-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int end(void **state)
{
    static const char *const names[] = {"ca", "key", "one", "two", "audit"};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static void set(sl_policy *policy, const char *field, const char *value)
{
    sl_error err;
    if (sl_policy_set(policy, sl_field_by_name(field), value, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

static bool is_text(const sl_buf *buf, const char *text)
{
    return buf->len == strlen(text) && memcmp(sl_buf_head(buf), text, buf->len) == 0;
}

static void what_the_policy_names_is_read(void **state)
{
    (void)state;
    sl_error err;
    sl_files files;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_files_init(&files);
    assert_int_equal(sl_files_read(policy, &files, &err), 0);
    assert_int_equal(files.audit_fd, -1);
    assert_int_equal(files.ca.len + files.key.len + files.upstream_ca.len + files.bundle.len, 0);
    set(policy, "http_ca", file_of("ca", PEM));
    set(policy, "http_key", file_of("key", PEM));
    set(policy, "http_upstream_ca", file_of("one", PEM));
    set(policy, "http_upstream_ca", file_of("two", PEM));
    assert_int_equal(sl_files_read(policy, &files, &err), 0);
    assert_true(is_text(&files.ca, PEM "\n"));
    assert_true(is_text(&files.key, PEM "\n"));
    assert_true(is_text(&files.upstream_ca, PEM "\n" PEM "\n"));
    sl_files_wipe(&files);
    assert_int_equal(files.key.len, 0);
    sl_files_wipe(&files);
    sl_files_done(&files);
}

static void what_is_no_pem_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {{"", "the file is empty"}, {"hello", "it is no PEM file"}};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        sl_error err;
        sl_files files;
        SL_AUTO(sl_policy) policy = sl_policy_new();
        sl_files_init(&files);
        set(policy, "http_ca", file_of("ca", bad[i].text));
        assert_true(sl_files_read(policy, &files, &err) < 0);
        assert_non_null(strstr(err.message, bad[i].why));
        assert_non_null(strstr(err.message, path));
        sl_files_done(&files);
    }
    sl_error err;
    sl_files files;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_files_init(&files);
    set(policy, "http_key", "/no/such/file");
    assert_true(sl_files_read(policy, &files, &err) < 0);
    assert_non_null(strstr(err.message, "CA key '/no/such/file'"));
    sl_files_done(&files);
}

static void the_audit_log_is_appended_to(void **state)
{
    (void)state;
    sl_error err;
    sl_files files;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_files_init(&files);
    set(policy, "audit", file_of("audit", "before\n"));
    assert_int_equal(sl_files_read(policy, &files, &err), 0);
    assert_int_equal(write(files.audit_fd, "after\n", 6), 6);
    assert_int_equal(fcntl(files.audit_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 13);
    int fd = files.audit_fd;
    sl_files_done(&files);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* The command has no business with the log, however it is handed over. */
static void a_given_descriptor_is_kept_from_the_command(void **state)
{
    (void)state;
    sl_error err;
    sl_files files;
    char where[32];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_files_init(&files);
    snprintf(where, sizeof(where), "fd:%d", fds[1]);
    set(policy, "audit", where);
    assert_int_equal(fcntl(fds[1], F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(sl_files_read(policy, &files, &err), 0);
    assert_int_not_equal(files.audit_fd, fds[1]);
    assert_int_equal(fcntl(fds[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    sl_files_done(&files);
    close(fds[0]);
    close(fds[1]);
    sl_files_init(&files);
    assert_true(sl_files_read(policy, &files, &err) < 0);
    assert_non_null(strstr(err.message, where));
    sl_files_done(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_policy_names_is_read, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_pem_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(the_audit_log_is_appended_to, begin, end),
        cmocka_unit_test(a_given_descriptor_is_kept_from_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
