/* GPU nodes: which a policy names, and that the kernel gives those and no others. The live tests
 * make nodes of their own, which root alone may do. */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "kernel/landlock.h"
#include "sandbox/gpu.h"
#include "sandbox/grants.h"
#include "sandbox/probe.h"
#include "tidy.h"

#define FS_ALL_RIGHTS ((1u << 16) - 1)

static const char *const nodes[] = {"nvidia0",    "nvidia1",        "nvidiactl",
                                    "nvidia-uvm", "nvidia-modeset", "kfd",
                                    "dri/card0",  "dri/renderD128", "dri/renderD130"};
static const char *const no_nodes[] = {"nvidiaX", "nvidia0x", "null0", "dri/renderD1",
                                       "dri/by-path"};

static void path_of(const char *top, const char *below, char out[256])
{
    snprintf(out, 256, "%s/%s", top, below);
}

/* A directory that looks like /dev. With `device`, real nodes: those of /dev/random, which takes an
 * ioctl as a GPU does. -1 where this user cannot have them. */
static int make_dev(char top[64], bool device)
{
    char path[256];
    snprintf(top, 64, "/tmp/sandlock-gpu-XXXXXX");
    assert_non_null(mkdtemp(top));
    path_of(top, "dri", path);
    assert_int_equal(mkdir(path, 0755), 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(nodes); i++) {
        path_of(top, nodes[i], path);
        if (mknod(path, (device ? S_IFCHR : S_IFREG) | 0666, device ? makedev(1, 8) : 0) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(no_nodes); i++) {
        path_of(top, no_nodes[i], path);
        assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
    }
    path_of(top, nodes[0], path);
    sl_autoclose int fd = device ? open(path, O_RDWR | O_CLOEXEC) : -1;
    return device && fd < 0 ? -1 : 0; /* a file system without devices */
}

static void set(sl_policy *policy, const char *field, const char *value)
{
    sl_error err = {0};
    if (sl_policy_set(policy, sl_field_by_name(field), value, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

/* ---- names ---- */

static bool has(const sl_strv *list, const char *top, const char *name)
{
    char path[256];
    path_of(top, name, path);
    return sl_strv_has(list, path);
}

static void expect_nodes(const char *top, const char *value, const char *const *granted,
                         size_t count)
{
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_strv yes = {0};
    sl_strv no = {0};
    sl_error err = {0};
    set(policy, "gpu_devices", value);
    if (sl_gpu_nodes(policy, top, &yes, &no, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(yes.count, count);
    assert_int_equal(yes.count + no.count, SL_ARRAY_LEN(nodes));
    for (size_t i = 0; i < count; i++) {
        if (!has(&yes, top, granted[i])) {
            fail_msg("'%s' does not grant %s", value, granted[i]);
        }
    }
    sl_strv_done(&yes);
    sl_strv_done(&no);
}

#define EXPECT(value, ...)                                                                         \
    expect_nodes(top, value, (const char *const[]){__VA_ARGS__},                                   \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void numbers_choose_nodes(void **state)
{
    (void)state;
    char top[64];
    assert_int_equal(make_dev(top, false), 0);
    EXPECT("0", "nvidia0", "dri/renderD128", "nvidiactl", "nvidia-uvm", "kfd");
    EXPECT("1", "nvidia1", "nvidiactl", "nvidia-uvm", "kfd");
    EXPECT("2,0", "nvidia0", "dri/renderD128", "dri/renderD130", "nvidiactl", "nvidia-uvm", "kfd");
    expect_nodes(top, "all", nodes, SL_ARRAY_LEN(nodes));
    tidy_tree(top);
}

static void expect_none(const char *top, const char *value, const char *words)
{
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_strv yes = {0};
    sl_strv no = {0};
    sl_error err = {0};
    set(policy, "gpu_devices", value);
    assert_int_equal(sl_gpu_nodes(policy, top, &yes, &no, &err), -ENOENT);
    assert_non_null(strstr(err.message, words));
    assert_int_equal(sl_error_exit_code(err.kind), 125);
    sl_strv_done(&yes);
    sl_strv_done(&no);
}

static void missing_gpu_is_an_error_that_names_it(void **state)
{
    (void)state;
    char top[64];
    char empty[] = "/tmp/sandlock-gpu-XXXXXX";
    assert_int_equal(make_dev(top, false), 0);
    assert_non_null(mkdtemp(empty));
    expect_none(top, "0,3", "--gpu '3'");
    expect_none(top, "63", "--gpu '63'");
    expect_none(empty, "0", "--gpu '0'");
    expect_none(empty, "all", "no GPU");
    assert_int_equal(rmdir(empty), 0);
    tidy_tree(top);
}

/* ---- live ---- */

/* "rwi": what of reading, writing and ioctl the node gives. */
static void try_node(const char *top, const char *node, char out[4])
{
    char path[256];
    int entropy;
    size_t n = 0;
    path_of(top, node, path);
    sl_autoclose int in = open(path, O_RDONLY | O_CLOEXEC);
    sl_autoclose int both = open(path, O_RDWR | O_CLOEXEC);
    if (in >= 0) {
        out[n++] = 'r';
    }
    if (both >= 0) {
        out[n++] = 'w';
    }
    if (ioctl(both >= 0 ? both : in, RNDGETENTCNT, &entropy) == 0) {
        out[n++] = 'i';
    }
    out[n] = '\0';
}

struct expected {
    const char *node;
    const char *gives;
};

/* A process of its own under the ruleset of this policy. Its exit status is the first node that
 * gives something else, from 1. */
static void expect_live(const char *top, const sl_policy *policy, const struct expected *expected)
{
    struct {
        uint64_t handled_access_fs;
    } attr = {FS_ALL_RIGHTS};
    sl_error err = {0};
    SL_AUTO(sl_fsview) view = NULL;
    sl_autoclose int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    assert_true(ruleset >= 0);
    if (sl_grants_build_dev(policy, top, ruleset, &view, &err) < 0) {
        fail_msg("%s", err.message);
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) {
            _exit(100);
        }
        for (int i = 0; expected[i].node != NULL; i++) {
            char got[4];
            try_node(top, expected[i].node, got);
            if (strcmp(got, expected[i].gives) != 0) {
                fprintf(stderr, "%s gives '%s'\n", expected[i].node, got);
                _exit(i + 1);
            }
        }
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define EXPECT_LIVE(policy, ...)                                                                   \
    expect_live(top, policy, (const struct expected[]){__VA_ARGS__, {NULL, NULL}})

/* The nodes, or a skip with the reason. */
static void need_devices(char top[64])
{
    if (sl_probe_landlock_abi() < SL_LANDLOCK_ABI_MIN) {
        print_message("SKIP: no Landlock ABI %d\n", SL_LANDLOCK_ABI_MIN);
        skip();
    }
    if (make_dev(top, true) < 0) {
        tidy_tree(top);
        print_message("SKIP: device nodes cannot be made here\n");
        skip();
    }
    char got[4];
    try_node(top, "nvidia0", got);
    assert_string_equal(got, "rwi"); /* outside everything works */
    try_node(top, "dri/card0", got);
    assert_string_equal(got, "rwi");
}

static void a_named_gpu_is_there_and_no_other(void **state)
{
    (void)state;
    char top[64];
    need_devices(top);
    SL_AUTO(sl_policy) wide = sl_policy_new();
    set(wide, "fs_readable", "/");
    set(wide, "gpu_devices", "0");
    EXPECT_LIVE(wide, {"nvidia0", "rwi"}, {"dri/renderD128", "rwi"}, {"nvidiactl", "rwi"},
                {"nvidia1", ""}, {"dri/renderD130", ""}, {"dri/card0", ""}, {"nvidia-modeset", ""});
    SL_AUTO(sl_policy) narrow = sl_policy_new();
    set(narrow, "fs_readable", "/usr");
    set(narrow, "gpu_devices", "1");
    EXPECT_LIVE(narrow, {"nvidia1", "rwi"}, {"nvidia0", ""}, {"dri/renderD128", ""});
    SL_AUTO(sl_policy) all = sl_policy_new();
    set(all, "fs_readable", "/usr");
    set(all, "gpu_devices", "all");
    EXPECT_LIVE(all, {"nvidia0", "rwi"}, {"nvidia1", "rwi"}, {"dri/card0", "rwi"});
    tidy_tree(top);
}

/* A read grant lets a node be opened for reading, and no driver obeys that. */
static void without_the_field_no_gpu_can_be_used(void **state)
{
    (void)state;
    char top[64];
    need_devices(top);
    SL_AUTO(sl_policy) reads = sl_policy_new();
    set(reads, "fs_readable", "/");
    EXPECT_LIVE(reads, {"nvidia0", "r"}, {"nvidiactl", "r"}, {"dri/renderD128", "r"});
    SL_AUTO(sl_policy) other = sl_policy_new();
    set(other, "fs_readable", "/usr");
    EXPECT_LIVE(other, {"nvidia0", ""}, {"dri/renderD128", ""});
    SL_AUTO(sl_policy) named = sl_policy_new();
    set(named, "fs_readable", "/usr");
    set(named, "fs_writable", top);
    EXPECT_LIVE(named, {"nvidia0", "rwi"}, {"nvidia1", "rwi"});
    tidy_tree(top);
}

/* The others cannot be taken out of a write grant: refused, not pretended. And deny wins. */
static void a_write_grant_around_other_gpus_is_refused(void **state)
{
    (void)state;
    char top[64];
    char path[256];
    need_devices(top);
    SL_AUTO(sl_policy) policy = sl_policy_new();
    SL_AUTO(sl_fsview) view = NULL;
    sl_error err = {0};
    set(policy, "fs_writable", top);
    set(policy, "gpu_devices", "0");
    assert_true(sl_grants_build_dev(policy, top, -1, &view, &err) < 0);
    assert_non_null(strstr(err.message, "below the write grant"));
    SL_AUTO(sl_policy) denied = sl_policy_new();
    path_of(top, "nvidia0", path);
    set(denied, "fs_readable", "/");
    set(denied, "fs_denied", path);
    set(denied, "gpu_devices", "0");
    EXPECT_LIVE(denied, {"nvidia0", ""}, {"dri/renderD128", "rwi"});
    tidy_tree(top);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_choose_nodes),
        cmocka_unit_test(missing_gpu_is_an_error_that_names_it),
        cmocka_unit_test(a_named_gpu_is_there_and_no_other),
        cmocka_unit_test(without_the_field_no_gpu_can_be_used),
        cmocka_unit_test(a_write_grant_around_other_gpus_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
