/* Asks by one call each what features answer in the kernel's place. Says "name value" or the
 * errno's name; needs no call but write(2) and those that it asks. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "attack.h"

static void say(const char *name, long result, const char *value)
{
    printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : value);
    fflush(stdout);
}

static void ask_times(void)
{
    char value[32];
    struct timespec ts = {0};
    long r = clock_gettime(CLOCK_REALTIME, &ts);
    snprintf(value, sizeof(value), "%ld", (long)ts.tv_sec / 1000);
    say("vdso", r, value);
    r = syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
    snprintf(value, sizeof(value), "%ld", (long)ts.tv_sec / 1000);
    say("clock_gettime", r, value);
}

static void ask_chance(void)
{
    char value[32];
    unsigned long bytes = 0;
    long r = syscall(SYS_getrandom, &bytes, sizeof(bytes), 0);
    snprintf(value, sizeof(value), "%lx", bytes);
    say("getrandom", r, value);
}

static void ask_machine(void)
{
    char value[128] = "";
    struct utsname names = {0};
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    long r = syscall(SYS_uname, &names);
    say("uname", r, names.nodename);
    int fd = open("/etc/hostname", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value) - 1);
    value[strcspn(value, "\n")] = '\0';
    say("hostname", n, value);
    r = syscall(SYS_sched_getaffinity, 0, sizeof(cpus), &cpus);
    snprintf(value, sizeof(value), "%d", CPU_COUNT(&cpus));
    say("sched_getaffinity", r, value);
}

static void ask_port(int port)
{
    char value[32];
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    sa.sin_port = htons((uint16_t)port);
    long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    say("socket", fd, "ok");
    say("bind", syscall(SYS_bind, fd, &sa, sizeof(sa)), "ok");
    say("listen", syscall(SYS_listen, fd, 1), "ok");
    long r = syscall(SYS_getsockname, fd, &sa, &len);
    snprintf(value, sizeof(value), "%d", ntohs(sa.sin_port));
    say("getsockname", r, value);
}

int main(int argc, char **argv)
{
    ask_times();
    ask_chance();
    ask_machine();
    ask_port(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0);
    return 0;
}
