/* Files that the child reads in place of others, live: whatever way they are opened, by as many
 * readers as there are; and the reading of paths at a page's end. FS-07, SUP-06. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "live.h"

#define CA     "-----THE RUN'S OWN-----\n"
#define BUNDLE "-----ALL OF THEM-----\n"
#define HOSTS  "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
#define NAME   "box-7.example.net"
#define NAMED  HOSTS "127.0.1.1 " NAME " box-7\n"

/* True if what is read from the start is this text. Takes the descriptor. */
static bool reads(int fd, const char *text)
{
    char got[512] = {0};
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, got, sizeof(got) - 1);
    close(fd);
    return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static int open2(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .resolve = resolve};
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static int program_reads_hosts(char **args)
{
    const char *hosts = args[0];
    LIVE_CHECK(reads(open("/etc/hosts", O_RDONLY), hosts));
    LIVE_CHECK(reads(openat(AT_FDCWD, "/etc//./hosts", O_RDONLY | O_CLOEXEC), hosts));
    LIVE_CHECK(reads(openat(AT_FDCWD, "/etc/../etc/hosts", O_RDONLY), hosts));
    LIVE_CHECK(reads(open2(AT_FDCWD, "/etc/hosts", O_RDONLY, 0), hosts));
#ifdef SYS_open
    LIVE_CHECK(reads((int)syscall(SYS_open, "/etc/hosts", O_RDONLY), hosts));
#endif
    int etc = open("/etc", O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(etc >= 0);
    LIVE_CHECK(reads(openat(etc, "hosts", O_RDONLY), hosts));
    LIVE_CHECK(chdir("/etc") == 0 && reads(open("./hosts", O_RDONLY), hosts));
    /* each reader has an offset of its own; nobody can write */
    int one = open("/etc/hosts", O_RDONLY);
    int two = open("/etc/hosts", O_RDONLY | O_CLOEXEC);
    LIVE_CHECK(reads(one, hosts) && (fcntl(two, F_GETFD) & FD_CLOEXEC) != 0 && reads(two, hosts));
    LIVE_CHECK(open("/etc/hosts", O_WRONLY) < 0 && errno == EACCES);
    LIVE_CHECK(open("/etc/hosts", O_RDWR) < 0 && errno == EACCES);
    int fd = open("/etc/hosts", O_RDONLY);
    LIVE_CHECK(write(fd, "x", 1) < 0 && ftruncate(fd, 0) < 0);
    LIVE_CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    /* every other file is itself, and keeps its errno */
    LIVE_CHECK(!reads(open("/etc/passwd", O_RDONLY), HOSTS));
    LIVE_CHECK(open("/etc/no/hosts", O_RDONLY) < 0 && errno == ENOENT);
    LIVE_CHECK(open((char *)8, O_RDONLY) < 0 && errno == EFAULT);
    LIVE_CHECK(openat(1000, "hosts", O_RDONLY) < 0 && errno == EBADF);
    return 0;
}

/* A path that ends with its page, and one that does not end before it (SUP-06). */
static int program_reads_at_page_end(char **args)
{
    static const char path[] = "/etc/hosts";
    long page = sysconf(_SC_PAGESIZE);
    (void)args;
    char *room =
        mmap(NULL, (size_t)page * 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LIVE_CHECK(room != MAP_FAILED && munmap(room + 2 * page, (size_t)page) == 0);
    char *end = room + 2 * page;
    memcpy(end - sizeof(path), path, sizeof(path));
    LIVE_CHECK(reads(openat(AT_FDCWD, end - sizeof(path), O_RDONLY), HOSTS));
    memcpy(end - sizeof(path) + 1, path, sizeof(path) - 1); /* no terminator any more */
    LIVE_CHECK(openat(AT_FDCWD, end - sizeof(path) + 1, O_RDONLY) < 0 && errno == EFAULT);
    /* over the border of two pages */
    memcpy(room + page - 4, path, sizeof(path));
    LIVE_CHECK(reads(openat(AT_FDCWD, room + page - 4, O_RDONLY), HOSTS));
    /* longer than any path */
    memset(room, 'a', 2 * (size_t)page);
    LIVE_CHECK(openat(AT_FDCWD, room, O_RDONLY) < 0 && errno == ENAMETOOLONG);
    return 0;
}

static sl_policy *names_policy(void)
{
    return live_policy("fs_readable", "/", "net_allow", "example.com:443", "hostname", "localhost",
                       NULL);
}

static void hosts_file_names_localhost_and_the_machine(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "net_allow", "example.com:443", "net_allow", "*:80",
                         "hostname", NAME, NULL);
    struct live_run run = {.policy = policy, .program = "reads_hosts", .args = {NAMED}};
    assert_int_equal(live_run(&run), 0);
}

/* That name is asked for like any other. */
static void hosts_file_leaves_out_what_a_rule_names(void **state)
{
    (void)state;
    static const char *const rules[][2] = {{"net_allow", NAME ":443"},
                                           {"http_allow", "GET *.example.net/*"},
                                           {"http_deny", "* " NAME "/*"},
                                           {"net_deny", NAME}};
    for (size_t i = 0; i < SL_ARRAY_LEN(rules); i++) {
        SL_AUTO(sl_policy)
        policy = live_policy("fs_readable", "/", "net_allow", "example.com:443", "hostname", NAME,
                             rules[i][0], rules[i][1], NULL);
        struct live_run run = {.policy = policy, .program = "reads_hosts", .args = {HOSTS}};
        assert_int_equal(live_run(&run), 0);
    }
}

static void paths_at_a_page_end_are_read(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = names_policy();
    assert_int_equal(live_run(&(struct live_run){.policy = policy, .program = "reads_at_page_end"}),
                     0);
}

/* ---- the bundles ---- */

static int program_reads_bundles(char **args)
{
    LIVE_CHECK(reads(open(args[0], O_RDONLY), CA));
    LIVE_CHECK(reads(open(args[1], O_RDONLY), BUNDLE));
    LIVE_CHECK(reads(open("/etc/ssl/certs/ca-certificates.crt", O_RDONLY), BUNDLE));
    LIVE_CHECK(reads(open("/nowhere/site-packages/certifi/cacert.pem", O_RDONLY), BUNDLE));
    LIVE_CHECK(reads(open("/nowhere/site-packages/botocore/cacert.pem", O_RDONLY), BUNDLE));
    LIVE_CHECK(reads(open("/nowhere/site-packages/httplib2/cacerts.txt", O_RDONLY), BUNDLE));
    LIVE_CHECK(open("/nowhere/other/cacerts.txt", O_RDONLY) < 0 && errno == ENOENT);
    LIVE_CHECK(open("/nowhere/other.pem", O_RDONLY) < 0 && errno == ENOENT);
    return 0;
}

static const char ca_path[] = "/tmp/sandlock-run/ca.pem";
static const char bundle_path[] = "/tmp/sandlock-run/bundle.pem";

static void give_trust(sl_sandbox *sb, void *arg)
{
    (void)arg;
    const char *const paths[SL_ARTEFACTS] = {
        [SL_ARTEFACT_CA] = ca_path, [SL_ARTEFACT_BUNDLE] = bundle_path};
    if (sl_sandbox_expect_trust(sb, paths) == 0) {
        const int fds[SL_ARTEFACTS] = {[SL_ARTEFACT_CA] = sl_fd_memfd("ca", CA, strlen(CA)),
                                       [SL_ARTEFACT_BUNDLE] =
                                           sl_fd_memfd("bundle", BUNDLE, strlen(BUNDLE))};
        sl_sandbox_set_trust(sb, fds);
    }
}

static void bundles_are_the_runs(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "http_allow", "GET https://example.com/*", NULL);
    struct live_run run = {.policy = policy,
                           .program = "reads_bundles",
                           .args = {ca_path, bundle_path},
                           .prepare = give_trust};
    assert_int_equal(live_run(&run), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"reads_hosts", program_reads_hosts},
        {"reads_at_page_end", program_reads_at_page_end},
        {"reads_bundles", program_reads_bundles},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_file_names_localhost_and_the_machine),
        cmocka_unit_test(hosts_file_leaves_out_what_a_rule_names),
        cmocka_unit_test(paths_at_a_page_end_are_read),
        cmocka_unit_test(bundles_are_the_runs),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
