/* Read grants of devices where Landlock knows no ioctl(2), live: names are seen, no device is
 * opened but those that every run has. FS-25. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"
#include "sandbox/devices.h"

#define DEVICE "/dev/ptmx" /* which every machine has, and everybody may open */

/* args: the errno that opening a device gives */
static int program_opens(char **args)
{
    int want = (int)strtol(args[0], NULL, 10);
    sl_autoclose int fd = open(DEVICE, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    LIVE_CHECK((fd < 0 ? errno : 0) == want);
    LIVE_CHECK(access(DEVICE, F_OK) == 0);
    sl_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sl_autoclose int dir = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sl_autoclose int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    LIVE_CHECK(null >= 0 && dir >= 0 && file >= 0);
    return 0;
}

static int run(const char *field, const char *grant, const char *degraded, int want)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", want);
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", field, grant, "allow_degraded", degraded, NULL);
    return live_run(&(struct live_run){.policy = policy, .program = "opens", .args = {number}});
}

static void what_may_only_be_read_is_not_opened(void **state)
{
    (void)state;
    assert_int_equal(run("fs_readable", "/dev", "landlock", EACCES), 0);
    assert_int_equal(run("fs_readable", "/dev", "ioctl-dev", 0), 0);
    assert_int_equal(run("fs_writable", DEVICE, "landlock", 0), 0);
}

static void one_that_is_named_is_refused(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "fs_readable", DEVICE, NULL);
    live_expect_refused(policy, "cannot grant the device");
    SL_AUTO(sl_policy) null = live_policy("fs_readable", "/", "fs_readable", "/dev/null", NULL);
    assert_int_equal(
        live_run(&(struct live_run){.policy = null, .program = "opens", .args = {"13"}}), 0);
}

static void paths_stand_to_them_so(void **state)
{
    (void)state;
    char *items[] = {(char *)"/dev", (char *)"/srv/root/dev"};
    sl_strv where = {.items = items, .count = 2};
    sl_strv none = {0};
    assert_int_equal(sl_devices_relate(&where, "/"), SL_DEVICES_ABOVE);
    assert_int_equal(sl_devices_relate(&where, "/srv"), SL_DEVICES_ABOVE);
    assert_int_equal(sl_devices_relate(&where, "/srv/root/dev/kvm"), SL_DEVICES_WITHIN);
    assert_int_equal(sl_devices_relate(&where, "/dev"), SL_DEVICES_WITHIN);
    assert_int_equal(sl_devices_relate(&where, "/dev/shm/x"), SL_DEVICES_APART);
    assert_int_equal(sl_devices_relate(&where, "/devices"), SL_DEVICES_APART);
    assert_int_equal(sl_devices_relate(&none, "/dev/kvm"), SL_DEVICES_APART);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {{"opens", program_opens}, {NULL, NULL}};
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_only_be_read_is_not_opened),
        cmocka_unit_test(one_that_is_named_is_refused),
        cmocka_unit_test(paths_stand_to_them_so),
    };
    live_start(argc, argv, programs);
    live_pretend_older();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
