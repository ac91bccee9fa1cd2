/* VERB ...: what a confined process tries on those who supervise it, and on its own relatives. */
#include "attack.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define IOPRIO_PROCESS 1
#define IOPRIO_IDLE    (3 << 13)

static volatile sig_atomic_t urgent;

static void on_urgent(int sig)
{
    (void)sig;
    urgent++;
}

/* Everything that names a process by its number. The signal is one that a process ignores by
 * default: whether it arrives is seen where it is counted. */
static void attack_one(const char *who, pid_t pid)
{
    siginfo_t info = {.si_code = SI_QUEUE};
    struct rlimit cpu = {1, 1};
    struct sched_param param = {0};
    struct f_owner_ex owner = {F_OWNER_PID, pid};
    cpu_set_t cpus;
    int pair[2];
    char name[64];
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#define TRY(what, call)                                                                            \
    snprintf(name, sizeof(name), "%s.%s", who, what);                                              \
    report(name, call)
    TRY("kill", kill(pid, SIGURG));
    TRY("tkill", syscall(SYS_tkill, pid, SIGURG));
    TRY("tgkill", syscall(SYS_tgkill, pid, pid, SIGURG));
    TRY("sigqueue", syscall(SYS_rt_sigqueueinfo, pid, SIGURG, &info));
    TRY("tgsigqueue", syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGURG, &info));
    TRY("pidfd", syscall(SYS_pidfd_send_signal, pidfd, SIGURG, NULL, 0));
    TRY("setown", fcntl(pair[0], F_SETOWN, pid));
    TRY("setown_ex", fcntl(pair[0], F_SETOWN_EX, &owner));
    TRY("fiosetown", ioctl(pair[0], FIOSETOWN, &pid));
    TRY("siocspgrp", ioctl(pair[0], SIOCSPGRP, &pid));
    TRY("prlimit", prlimit(pid, RLIMIT_CPU, &cpu, NULL));
    TRY("scheduler", sched_setscheduler(pid, SCHED_IDLE, &param));
    TRY("sched_param", sched_setparam(pid, &param));
    TRY("affinity", sched_setaffinity(pid, sizeof(cpus), &cpus));
    TRY("priority", setpriority(PRIO_PROCESS, (id_t)pid, 19));
    TRY("ioprio", syscall(SYS_ioprio_set, IOPRIO_PROCESS, pid, IOPRIO_IDLE));
    close(pidfd);
    close(pair[0]);
    close(pair[1]);
}

/* Reads lines "NAME PID" and attacks each; the last one is a child of our own. */
static int each(void)
{
    char line[128];
    char who[32];
    int pid;
    report("ready", 0);
    while (fgets(line, sizeof(line), stdin) != NULL && sscanf(line, "%31s %d", who, &pid) == 2) {
        attack_one(who, pid);
    }
    pid_t own = fork();
    if (own == 0) {
        pause();
        _exit(0);
    }
    attack_one("own", own);
    kill(own, SIGKILL);
    return waitpid(own, NULL, 0) == own ? 0 : 1;
}

/* Counts SIGURG until standard input ends. */
static int watch(void)
{
    char c;
    signal(SIGURG, on_urgent);
    report("ready", 0);
    while (read(0, &c, 1) != 0) {
    }
    printf("heard %d\n", (int)urgent);
    return 0;
}

/* To everybody, to our group, to our parent's: our own child hears it, nobody outside does. */
static int broadcast(pid_t group)
{
    int pair[2];
    char c;
    sigset_t urg;
    sigset_t before;
    sigemptyset(&urg);
    sigaddset(&urg, SIGURG);
    if (pipe(pair) < 0 || sigprocmask(SIG_BLOCK, &urg, &before) < 0) {
        return 1;
    }
    pid_t own = fork();
    if (own == 0) {
        signal(SIGURG, on_urgent);
        if (write(pair[1], "x", 1) == 1) {
            sigsuspend(&before); /* one that came before this waits for it */
        }
        _exit(urgent > 0 ? 0 : 1);
    }
    if (read(pair[0], &c, 1) != 1) {
        return 1;
    }
    report("everybody", kill(-1, SIGURG));
    report("group", kill(0, SIGURG));
    report("theirs", kill(-group, SIGURG));
    int status;
    waitpid(own, &status, 0);
    printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}

static void rest(void)
{
    for (;;) {
        pause();
    }
}

static int exec_self(void *arg)
{
    char *words[] = {arg, "rest", NULL};
    execv("/proc/self/exe", words);
    _exit(1);
}

/* Relatives of every kind, then the end of the first process, which must be the end of them. */
static int family(char *self, const char *host, const char *port)
{
    static char stack[2][65536];
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    clone(exec_self, stack[0] + sizeof(stack[0]), CLONE_PARENT | SIGCHLD, self);
    clone(exec_self, stack[1] + sizeof(stack[1]), CLONE_VM | CLONE_VFORK | SIGCHLD, self);
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                rest();
            }
            _exit(0);
        }
    }
    int pair[2];
    char c;
    if (pipe(pair) < 0) {
        return 1;
    }
    if (fork() == 0) {
        place to = place_of(host, port);
        for (int i = 0;; i++) {
            int fd = socket(family_of(&to), SOCK_STREAM, 0);
            connect(fd, place_sa(&to), to.len);
            if (i == 3 && write(pair[1], "x", 1) < 0) {
                break;
            }
            close(fd);
        }
    }
    return read(pair[0], &c, 1) == 1 ? 7 : 1; /* the last relative is at work */
}

/* A relative that left asks for an allowed address without end, and tells when the answer changes
 * and when it has been the same for a thousand times. */
static _Noreturn void hammer(const char *host, const char *port)
{
    if (fork() != 0) {
        rest();
    }
    setsid();
    place to = place_of(host, port);
    int before = -1;
    for (int same = 0;; same++) {
        int fd = socket(family_of(&to), SOCK_STREAM, 0);
        int error = connect(fd, place_sa(&to), to.len) < 0 ? errno : 0;
        close(fd);
        if (error != before || same == 1000) {
            printf("%s %s\n", same == 1000 ? "same" : "connect",
                   error ? strerrorname_np(error) : "ok");
            fflush(stdout);
            same = error != before ? 0 : same;
            before = error;
        }
    }
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "signals") == 0) {
        return each();
    }
    if (strcmp(verb, "watch") == 0) {
        return watch();
    }
    if (strcmp(verb, "broadcast") == 0 && argc == 3) {
        return broadcast((pid_t)strtol(argv[2], NULL, 10));
    }
    if (strcmp(verb, "rest") == 0) {
        rest();
    }
    if (strcmp(verb, "hammer") == 0 && argc == 4) {
        hammer(argv[2], argv[3]);
    }
    if (strcmp(verb, "family") == 0 && argc == 4) {
        return family(argv[0], argv[2], argv[3]);
    }
    return 2;
}
