/* Where a run's cgroup would be made. What it does is tests/vm/test_cgroup.py's. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/cgroup.h"

static void test_parent(void **state)
{
    static const struct {
        const char *self;
        const char *parent;
    } cases[] = {
        {"0::/\n", "/sys/fs/cgroup"},
        {"0::/session\n", "/sys/fs/cgroup"},
        {"0::/user.slice/user-1000.slice/x.scope\n", "/sys/fs/cgroup/user.slice/user-1000.slice"},
        {"4:memory:/job\n1:cpu:/job\n0::/a/b\n", "/sys/fs/cgroup/a"},
        {"1:name=systemd:/0::/x\n0::/a/b", "/sys/fs/cgroup/a"},
        {"0::/a b/c..d\n", "/sys/fs/cgroup/a b"},
    };
    char path[PATH_MAX];
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        assert_int_equal(sl_cgroup_parent(cases[i].self, path), 0);
        assert_string_equal(path, cases[i].parent);
    }
}

static void test_no_parent(void **state)
{
    static const struct {
        const char *self;
        int error;
    } cases[] = {
        {"", -ENOENT},         {"0::", -ENOENT},
        {"10::/x\n", -ENOENT}, {"4:memory:/job\n", -ENOENT},
        {"0::/..\n", -EXDEV},  {"0::/../other/x\n", -EXDEV},
    };
    char path[PATH_MAX];
    char deep[2 * PATH_MAX] = "0::/";
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        assert_int_equal(sl_cgroup_parent(cases[i].self, path), cases[i].error);
    }
    memset(deep + 4, 'x', PATH_MAX);
    assert_int_equal(sl_cgroup_parent(deep, path), -ENAMETOOLONG);
}

/* Without a limit there is nothing to hold. */
static void test_no_cgroup(void **state)
{
    char none;
    sl_cgroup *cgroup = (sl_cgroup *)&none;
    (void)state;
    assert_int_equal(sl_cgroup_new(0, 0, &cgroup), 0);
    assert_null(cgroup);
    assert_false(sl_cgroup_holds_memory(NULL) || sl_cgroup_holds_cpu(NULL));
    assert_int_equal(sl_cgroup_fd(NULL), -1);
    sl_cgroup_end(NULL);
    sl_cgroup_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_no_parent),
        cmocka_unit_test(test_no_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
