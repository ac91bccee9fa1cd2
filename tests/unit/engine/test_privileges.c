/* Laying down privileges: nothing is left, nothing comes back, nobody looks into us. SUP-07. */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
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

#include "core/fd.h"
#include "core/util.h"
#include "engine/privileges.h"

static uint64_t set_of(const char *name)
{
    char text[8192] = {0};
    FILE *f = fopen("/proc/self/status", "re");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof(text) - 1, f);
    const char *found = n == 0 ? NULL : strstr(text, name);
    if (f != NULL) {
        fclose(f);
    }
    return found == NULL ? UINT64_MAX : strtoull(found + strlen(name), NULL, 16);
}

static bool has_none(void)
{
    return set_of("\nCapEff:") == 0 && set_of("\nCapPrm:") == 0 && set_of("\nCapInh:") == 0 &&
           set_of("\nCapAmb:") == 0;
}

static void in_child(int (*body)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(body());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int drop_all(void)
{
    sl_error err;
    bool root = geteuid() == 0;
    if (sl_privileges_drop(false, &err) < 0) {
        return 1;
    }
    if (!has_none() || (root && set_of("\nCapBnd:") != 0)) {
        return 2;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return 3;
    }
    if (prctl(PR_GET_DUMPABLE) != 0) {
        return 4;
    }
    return sl_privileges_drop(false, &err) < 0 ? 5 : 0; /* again is no error */
}

static void nothing_is_left(void **state)
{
    (void)state;
    in_child(drop_all);
}

static int drop_in_two(void)
{
    sl_error err;
    uint64_t setfcap = UINT64_C(1) << CAP_SETFCAP;
    uint64_t before = set_of("\nCapPrm:");
    if (sl_privileges_drop(true, &err) < 0) {
        return 1;
    }
    if (set_of("\nCapEff:") != (before & setfcap) || set_of("\nCapPrm:") != (before & setfcap)) {
        return 2;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0) {
        return 3;
    }
    return sl_privileges_drop(false, &err) < 0 || !has_none() ? 4 : 0;
}

/* What maps user 0 is there until the child is, and no longer. */
static void what_maps_users_goes_last(void **state)
{
    (void)state;
    in_child(drop_in_two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(what_maps_users_goes_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
