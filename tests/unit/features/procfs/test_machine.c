/* Processors and memory as they are shown, live: by files, lists and calls. */
#include <dirent.h>
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
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

/* How often a line that begins so is in what is read. Takes the descriptor. */
static long count_lines(int fd, const char *begin)
{
    static char text[1u << 20];
    size_t len = 0;
    ssize_t n;
    if (fd < 0) {
        return -1;
    }
    while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    text[len] = '\0';
    long count = strncmp(text, begin, strlen(begin)) == 0;
    char line[64];
    snprintf(line, sizeof(line), "\n%s", begin);
    for (const char *p = text; (p = strstr(p, line)) != NULL; p++) {
        count++;
    }
    return count;
}

static int open2(const char *path)
{
    struct open_how how = {.flags = O_RDONLY};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static int program_counts_cpus(char **args)
{
    char range[16];
    long n = strtol(args[0], NULL, 10);
    LIVE_CHECK(count_lines(open("/proc/cpuinfo", O_RDONLY), "processor\t") == n);
    LIVE_CHECK(count_lines(open2("/proc/self/../cpuinfo"), "processor\t") == n);
#ifdef SYS_open
    LIVE_CHECK(count_lines((int)syscall(SYS_open, "//proc/stat", O_RDONLY), "cpu") == n + 1);
#endif
    snprintf(range, sizeof(range), n == 1 ? "0\n" : "0-%ld\n", n - 1);
    int dir = open("/sys/devices/system/cpu", O_RDONLY | O_DIRECTORY);
    LIVE_CHECK(dir >= 0);
    static const char *const lists[] = {"online", "possible", "present"};
    for (size_t i = 0; i < SL_ARRAY_LEN(lists); i++) {
        LIVE_CHECK(count_lines(openat(dir, lists[i], O_RDONLY), range) == 1);
    }
    unsigned listed = 0;
    unsigned rest = 0;
    struct dirent *e;
    DIR *d = fdopendir(dir);
    while ((e = readdir(d)) != NULL) {
        listed += strncmp(e->d_name, "cpu", 3) == 0 && e->d_name[3] >= '0' && e->d_name[3] <= '9';
        rest += strcmp(e->d_name, "online") == 0 || strcmp(e->d_name, "..") == 0;
    }
    closedir(d);
    LIVE_CHECK(listed == 1 && rest == 2); /* there is a cpu0 everywhere */
    LIVE_CHECK(sysconf(_SC_NPROCESSORS_ONLN) == n && sysconf(_SC_NPROCESSORS_CONF) == n);
    LIVE_CHECK(open("/proc/stat", O_WRONLY) < 0 && errno == EACCES);
    return 0;
}

static int program_asks_memory(char **args)
{
    struct sysinfo info;
    uint64_t total = strtoull(args[0], NULL, 10);
    char line[64];
    LIVE_CHECK(sysinfo(&info) == 0 && info.mem_unit == 1 && info.totalram == total);
    LIVE_CHECK(info.freeram > 0 && info.freeram < total && info.totalswap == 0 && info.uptime > 0);
    LIVE_CHECK(syscall(SYS_sysinfo, (char *)8) < 0 && errno == EFAULT);
    snprintf(line, sizeof(line), "MemTotal: %14lu kB\n", (unsigned long)(total / 1024));
    LIVE_CHECK(count_lines(open("/proc/meminfo", O_RDONLY), line) == 1);
    LIVE_CHECK(count_lines(open2("/proc/self/../meminfo"), line) == 1);
#ifdef SYS_open
    LIVE_CHECK(count_lines((int)syscall(SYS_open, "/proc/meminfo", O_RDONLY), "SwapTotal:") == 1);
#endif
    LIVE_CHECK(count_lines(open("/proc/cpuinfo", O_RDONLY), "processor\t") ==
               sysconf(_SC_NPROCESSORS_ONLN));
    return 0;
}

static void run_with(const char *field, const char *value, const char *program, const char *arg)
{
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", field, value, NULL);
    struct live_run run = {.policy = policy, .program = program, .args = {arg}};
    assert_int_equal(live_run(&run), 0);
}

static void one_processor_is_shown(void **state)
{
    (void)state;
    run_with("num_cpus", "1", "counts_cpus", "1");
}

static void memory_is_the_limit(void **state)
{
    (void)state;
    run_with("max_memory", "64M", "asks_memory", "67108864");
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"counts_cpus", program_counts_cpus},
        {"asks_memory", program_asks_memory},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_processor_is_shown),
        cmocka_unit_test(memory_is_the_limit),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
