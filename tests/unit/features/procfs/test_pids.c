/* /proc under isolate_pids, live: every call and every spelling finds the tree's own processes as
 * they are, and nobody else's. FS-05, FS-06. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static int open2(int dirfd, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags};
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* Each way to ask for one thing, by number: 0, or the errno. -1 past the last. */
static int ask(unsigned way, int dirfd, const char *path)
{
    struct stat st;
    struct statx stx;
    char text[4096];
    long r;
    switch (way) {
    case 0:
        r = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
        break;
    case 1:
        r = open2(dirfd, path, O_RDONLY);
        break;
    case 2:
        r = syscall(SYS_newfstatat, dirfd, path, &st, 0);
        break;
    case 3:
        r = syscall(SYS_newfstatat, dirfd, path, &st, AT_SYMLINK_NOFOLLOW);
        break;
    case 4:
        r = statx(dirfd, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx);
        break;
    case 5:
        r = syscall(SYS_faccessat, dirfd, path, F_OK);
        break;
    case 6:
        r = syscall(SYS_faccessat2, dirfd, path, F_OK, AT_EACCESS);
        break;
    case 7: /* what is there and no link is EINVAL */
        r = readlinkat(dirfd, path, text, sizeof(text));
        r = r < 0 && errno == EINVAL ? 0 : r;
        break;
    case 8:
        r = openat(dirfd, path, O_PATH | O_CLOEXEC);
        break;
#ifdef SYS_stat
    case 9:
        r = syscall(SYS_open, path, O_RDONLY);
        break;
    case 10:
        r = syscall(SYS_stat, path, &st);
        break;
    case 11:
        r = syscall(SYS_lstat, path, &st);
        break;
    case 12:
        r = syscall(SYS_access, path, R_OK);
        break;
    case 13:
        r = syscall(SYS_readlink, path, text, sizeof(text));
        r = r < 0 && errno == EINVAL ? 0 : r;
        break;
#endif
    default:
        return -1;
    }
    int error = r < 0 ? errno : 0;
    if (r > 2 && (way <= 1 || way == 8 || way == 9)) {
        close((int)r);
    }
    return error;
}

/* How often a path is found by the calls that take a directory, and by the old ones too when it is
 * absolute. */
static unsigned count_found(int dirfd, const char *path, unsigned *ret_asked)
{
    unsigned found = 0;
    for (unsigned way = 0; way < (dirfd == AT_FDCWD ? 14u : 9u); way++) {
        int error = ask(way, dirfd, path);
        *ret_asked += error >= 0;
        found += error == 0;
        if (error > 0 && error != ENOENT && error != EACCES) {
            fprintf(stderr, "way %u, %s: %s\n", way, path, strerror(error));
            *ret_asked += 1000; /* no answer that it should give */
        }
    }
    return found;
}

static const char *const tops[] = {
    "/proc",
    "//proc/.",
    "/proc/self/..",
    "/proc/thread-self/../../..",
    "/proc/self/root/proc",
    "/dev/fd/../..",
    "link",
    "/proc/sys/../self/task/../..",
    "/proc/net/../..",
};

/* All spellings of one name below /proc. */
static unsigned found_anyhow(const char *name, unsigned *ret_asked)
{
    char path[256];
    unsigned found = 0;
    *ret_asked = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(tops); i++) {
        snprintf(path, sizeof(path), "%s/%s", tops[i], name);
        found += count_found(AT_FDCWD, path, ret_asked);
    }
    int dir = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    found += dir < 0 ? 0 : count_found(dir, name, ret_asked);
    snprintf(path, sizeof(path), "../%s", name);
    int own = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    found += own < 0 ? 0 : count_found(own, path, ret_asked);
    close(dir);
    close(own);
    return found;
}

static const char *const names[] = {"",         "/",       "/.",      "/status",  "/stat",
                                    "/cmdline", "/comm",   "/maps",   "/environ", "/task",
                                    "/fd",      "/fdinfo", "/net/tcp"};

static int program_looks_at_itself(char **args)
{
    char name[128];
    unsigned asked;
    LIVE_CHECK(chdir(args[0]) == 0 && symlink("/proc", "link") == 0);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    const long pids[] = {getpid(), child};
    for (size_t i = 0; i < 2 * SL_ARRAY_LEN(names); i++) {
        snprintf(name, sizeof(name), "%ld%s", pids[i % 2], names[i / 2]);
        unsigned found = found_anyhow(name, &asked);
        if (found != asked) {
            fprintf(stderr, "%s: found %u of %u\n", name, found, asked);
            return 1;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    LIVE_CHECK(unlink("link") == 0);
    return 0;
}

/* Nothing of this number, however it is asked for; nor from inside a directory of it. */
static int look_for(long pid)
{
    char name[128];
    struct stat st;
    unsigned asked;
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        snprintf(name, sizeof(name), "%ld%s", pid, names[i]);
        unsigned found = found_anyhow(name, &asked);
        if (found != 0 || asked == 0 || asked >= 1000) {
            fprintf(stderr, "%s: found %u of %u\n", name, found, asked);
            return 1;
        }
    }
    static const char *const more[] = {"/mem", "/root/etc", "/cwd", "/exe", "/fd/0", "/ns/pid"};
    for (size_t i = 0; i < SL_ARRAY_LEN(more); i++) {
        snprintf(name, sizeof(name), "/proc/%ld%s", pid, more[i]);
        LIVE_CHECK(count_found(AT_FDCWD, name, &asked) == 0);
    }
    snprintf(name, sizeof(name), "/proc/%ld", pid);
    if (chdir(name) == 0) {
        LIVE_CHECK(open("status", O_RDONLY) < 0 && open(".", O_RDONLY) < 0);
        LIVE_CHECK(stat("status", &st) < 0 && stat(".", &st) < 0 && access("fd", F_OK) < 0);
    }
    return 0;
}

static int program_looks_at_others(char **args)
{
    LIVE_CHECK(chdir(args[0]) == 0 && symlink("/proc", "link") == 0);
    int here = open(".", O_RDONLY | O_DIRECTORY);
    const long pids[] = {getppid(), strtol(args[1], NULL, 10), strtol(args[2], NULL, 10), 1};
    for (size_t i = 0; i < SL_ARRAY_LEN(pids); i++) {
        LIVE_CHECK(kill((pid_t)pids[i], 0) == 0 || errno == EPERM); /* it is there */
        LIVE_CHECK(look_for(pids[i]) == 0 && fchdir(here) == 0);
    }
    LIVE_CHECK(unlink("link") == 0);
    return 0;
}

/* What is listed of numbers is what is ours. */
static int program_lists(char **args)
{
    (void)args;
    struct dirent *e;
    unsigned own = 0;
    unsigned others = 0;
    unsigned rest = 0;
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    DIR *d = opendir("/proc/self/..");
    LIVE_CHECK(d != NULL);
    while ((e = readdir(d)) != NULL) {
        long pid = strtol(e->d_name, NULL, 10);
        own += pid == getpid() || pid == child;
        others += pid != 0 && pid != getpid() && pid != child;
        rest += strcmp(e->d_name, "self") == 0 || strcmp(e->d_name, "cpuinfo") == 0;
    }
    rewinddir(d);
    LIVE_CHECK(own == 2 && others == 0 && rest == 2 && readdir(d) != NULL);
    closedir(d);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
#ifdef SYS_getdents
    char entries[4096];
    int fd = open("/proc", O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(fd >= 0 && syscall(SYS_getdents, fd, entries, sizeof(entries)) < 0);
    fd = open("/etc", O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(fd >= 0 && syscall(SYS_getdents, fd, entries, sizeof(entries)) > 0);
#endif
    /* other directories, "/" among them, as ever */
    LIVE_CHECK((d = opendir("/")) != NULL && readdir(d) != NULL);
    closedir(d);
    LIVE_CHECK((d = opendir("/proc/sys")) != NULL && readdir(d) != NULL);
    closedir(d);
    return 0;
}

static bool has_line(const char *path, const char *line)
{
    char text[8192] = {0};
    sl_autoclose int fd = open(path, O_RDONLY);
    return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, line) != NULL;
}

static void *named_thread(void *arg)
{
    char link[64] = {0};
    char want[64];
    bool *good = arg;
    prctl(PR_SET_NAME, "second");
    snprintf(want, sizeof(want), "%d/task/%ld", (int)getpid(), syscall(SYS_gettid));
    *good = has_line("/proc/thread-self/comm", "second\n") &&
            readlink("/proc/thread-self", link, sizeof(link) - 1) > 0 && strcmp(link, want) == 0;
    return NULL;
}

/* "self" is whoever asks. */
static int program_is_itself(char **args)
{
    char want[64];
    char link[4096] = {0};
    struct stat one;
    struct stat two;
    bool good = false;
    pthread_t thread;
    (void)args;
    snprintf(want, sizeof(want), "\nPid:\t%d\n", (int)getpid());
    LIVE_CHECK(has_line("/proc/self/status", want));
    LIVE_CHECK(has_line("/proc/thread-self/status", want));
    snprintf(want, sizeof(want), "%d", (int)getpid());
    LIVE_CHECK(readlink("/proc/self", link, sizeof(link)) > 0 && strcmp(link, want) == 0);
    LIVE_CHECK(pthread_create(&thread, NULL, named_thread, &good) == 0);
    pthread_join(thread, NULL);
    LIVE_CHECK(good);
    /* descriptors by their links: the caller's */
    int fd = open("/etc/passwd", O_RDONLY);
    LIVE_CHECK(fd >= 0 && fstat(fd, &one) == 0);
    static const char *const forms[] = {"/proc/self/fd/%d", "/dev/fd/%d",
                                        "/proc/thread-self/fd/%d"};
    for (size_t i = 0; i < SL_ARRAY_LEN(forms); i++) {
        snprintf(want, sizeof(want), forms[i], fd);
        LIVE_CHECK(stat(want, &two) == 0 && two.st_ino == one.st_ino);
        LIVE_CHECK(readlink(want, link, sizeof(link)) == 11 &&
                   memcmp(link, "/etc/passwd", 11) == 0);
        int again = open(want, O_RDONLY);
        LIVE_CHECK(again >= 0 && fstat(again, &two) == 0 && two.st_ino == one.st_ino);
        close(again);
    }
    int ends[2];
    LIVE_CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    snprintf(want, sizeof(want), "/dev/fd/%d", ends[0]);
    LIVE_CHECK(has_line(want, "x"));
    LIVE_CHECK(stat("/proc/self/cwd", &one) == 0 && stat(".", &two) == 0 &&
               one.st_ino == two.st_ino);
    LIVE_CHECK(stat("/proc/self/exe", &one) == 0 && S_ISREG(one.st_mode));
    return 0;
}

/* Answers about other files, and errors, are the kernel's. */
static int program_asks_as_ever(char **args)
{
    struct stat st;
    struct statx stx;
    char text[16];
    (void)args;
    LIVE_CHECK(stat("/etc/passwd", &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0);
    LIVE_CHECK(stat("/etc/passwd/x", &st) < 0 && errno == ENOTDIR);
    LIVE_CHECK(stat("/etc/passwd/", &st) < 0 && errno == ENOTDIR);
    LIVE_CHECK(stat("/no/such", &st) < 0 && errno == ENOENT);
    LIVE_CHECK(stat("", &st) < 0 && errno == ENOENT);
    LIVE_CHECK(stat((char *)8, &st) < 0 && errno == EFAULT);
    LIVE_CHECK(syscall(SYS_newfstatat, AT_FDCWD, "/etc", (char *)8, 0) < 0 && errno == EFAULT);
    LIVE_CHECK(fstatat(1000, "x", &st, 0) < 0 && errno == EBADF);
    LIVE_CHECK(syscall(SYS_newfstatat, AT_FDCWD, "/etc", &st, 1) < 0 && errno == EINVAL);
    LIVE_CHECK(statx(AT_FDCWD, "/etc", 0, STATX_ALL, &stx) == 0 && (stx.stx_mask & STATX_INO) != 0);
    LIVE_CHECK(statx(AT_FDCWD, "/etc", 1, STATX_ALL, &stx) < 0 && errno == EINVAL);
    LIVE_CHECK(fstatat(0, "", &st, AT_EMPTY_PATH) == 0 &&
               fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH) == 0);
    LIVE_CHECK(S_ISDIR(st.st_mode));
    LIVE_CHECK(access("/etc/passwd", R_OK) == 0 && access("/etc/passwd", 64) < 0 &&
               errno == EINVAL);
    LIVE_CHECK(access("/etc/passwd", X_OK) < 0 && errno == EACCES);
    LIVE_CHECK(readlink("/etc/passwd", text, sizeof(text)) < 0 && errno == EINVAL);
    LIVE_CHECK(readlink("/proc/self/exe", text, 4) == 4);
    LIVE_CHECK(readlink("/proc/self/exe", text, 0) < 0 && errno == EINVAL);
    int fd = open("/proc/self/exe", O_PATH | O_NOFOLLOW);
    LIVE_CHECK(fd >= 0 && readlinkat(fd, "", text, 4) == 4);
    LIVE_CHECK(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW) < 0 && errno == ELOOP);
    LIVE_CHECK(open("/proc/self/status", O_RDONLY | O_DIRECTORY) < 0 && errno == ENOTDIR);
    LIVE_CHECK(open("/proc/self/comm", O_WRONLY) < 0 && errno == EACCES);
    LIVE_CHECK(open("/proc/meminfo", O_RDONLY) >= 0 &&
               open("/proc/sys/kernel/osrelease", O_RDONLY) >= 0);
    LIVE_CHECK(open("/proc/locks", O_RDONLY) < 0 && errno == EACCES);
    /* a walk through proc that takes too long, and one that may take its time */
    char path[4096] = "/proc";
    for (size_t at = 5; at + 16 < sizeof(path); at += 2) {
        memcpy(path + at, "/.", 3);
    }
    LIVE_CHECK(access(path, F_OK) < 0 && errno == ELOOP);
    memcpy(path, "/./..", 5);
    LIVE_CHECK(access(path, F_OK) == 0);
    return 0;
}

static void run_with(const char *program, const char *a, const char *b, const char *c)
{
    SL_AUTO(sl_policy)
    policy = live_policy("fs_readable", "/", "fs_writable", "/tmp", "isolate_pids", "true", NULL);
    struct live_run run = {.policy = policy, .program = program, .args = {a, b, c}};
    assert_int_equal(live_run(&run), 0);
}

static char dir[] = "/tmp/sandlock-pids-XXXXXX";

static void own_processes_are_found(void **state)
{
    (void)state;
    run_with("looks_at_itself", dir, NULL, NULL);
}

static void *sleep_on(void *arg)
{
    int *ends = arg;
    long tid = syscall(SYS_gettid);
    char byte;
    if (write(ends[3], &tid, sizeof(tid)) < 0 || read(ends[0], &byte, 1) < 0) {
        return NULL;
    }
    return NULL;
}

/* The engine, the process of the test, a thread of it that no listing shows, and init. */
static void others_are_not_found(void **state)
{
    char pid[32];
    char tid[32];
    int ends[4];
    long number;
    pthread_t thread;
    (void)state;
    assert_int_equal(pipe(ends) | pipe(ends + 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, sleep_on, ends), 0);
    assert_int_equal(read(ends[2], &number, sizeof(number)), sizeof(number));
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    snprintf(tid, sizeof(tid), "%ld", number);
    run_with("looks_at_others", dir, pid, tid);
    close(ends[1]);
    pthread_join(thread, NULL);
}

static void listing_shows_own_processes_only(void **state)
{
    (void)state;
    run_with("lists", NULL, NULL, NULL);
}

static void self_is_the_caller(void **state)
{
    (void)state;
    run_with("is_itself", NULL, NULL, NULL);
}

static void other_files_are_as_ever(void **state)
{
    (void)state;
    run_with("asks_as_ever", NULL, NULL, NULL);
}

static void proc_below_a_write_grant_is_refused(void **state)
{
    (void)state;
    SL_AUTO(sl_policy)
    policy = live_policy("fs_writable", "/", "isolate_pids", "true", NULL);
    live_expect_refused(policy, "/proc");
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"looks_at_itself", program_looks_at_itself},
        {"looks_at_others", program_looks_at_others},
        {"lists", program_lists},
        {"is_itself", program_is_itself},
        {"asks_as_ever", program_asks_as_ever},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_processes_are_found),
        cmocka_unit_test(others_are_not_found),
        cmocka_unit_test(listing_shows_own_processes_only),
        cmocka_unit_test(self_is_the_caller),
        cmocka_unit_test(other_files_are_as_ever),
        cmocka_unit_test(proc_below_a_write_grant_is_refused),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
