/* VERB ...: system calls that reach around the layers, each under its name. */
#include "attack.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HIGH (1ull << 32)

static const char *const numbers[] = {
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_by_handle_at",
    "mount",
    "umount2",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "statmount",
    "listmount",
    "open_tree_attr",
    "pivot_root",
    "chroot",
    "setns",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "keyctl",
    "add_key",
    "request_key",
    "reboot",
    "syslog",
};
static const int calls[] = {
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_open_by_handle_at,
    SYS_mount,
    SYS_umount2,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    457,
    458,
    467,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_reboot,
    SYS_syslog,
};

/* With arguments that are an error of another kind to every kernel that looks at them. */
static int refused(void)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        report(numbers[i], syscall(calls[i], -1, -1, -1, -1, -1, -1));
    }
    report("personality", syscall(SYS_personality, READ_IMPLIES_EXEC));
    report("personality_query", syscall(SYS_personality, 0xffffffff));
    return 0;
}

/* Uses that would work for whoever may. */
static int working(void)
{
    struct {
        unsigned char params[120];
    } ring = {{0}};
    long fd = syscall(SYS_io_uring_setup, 4, &ring);
    report("io_uring_setup", fd);
    report("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    report("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 0));
    report("keyctl", syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3, 1));
    report("add_key", syscall(SYS_add_key, "user", "sandlock-test", "x", 1, -3));
    report("userfaultfd", syscall(SYS_userfaultfd, 1 /* user mode only */));
    report("personality", syscall(SYS_personality, ADDR_COMPAT_LAYOUT));
    return 0;
}

#ifdef __x86_64__
/* getpid(2) of the i386 table, from a 64-bit program. */
static int int80(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    printf("int80 %s\n", result == getpid() ? "ok" : "strange");
    return 0;
}
#endif

/* x32 numbers and numbers that nobody knows yet. */
static int unknown(void)
{
    report("x32_getpid", syscall(0x40000000 | SYS_getpid));
    report("x32_execve", syscall(0x40000000 | 520, "/bin/true", NULL, NULL));
    report("next", syscall(470, 0, 0, 0));
    report("late", syscall(1000, 0, 0, 0));
    report("huge", syscall(0x3fffffff, 0, 0, 0));
    report("negative", syscall(-5, 0, 0, 0));
    report("upper_half", syscall((long)(HIGH | SYS_getpid)));
    return 0;
}

/* The upper half of a register that holds an int. */
static int upper(void)
{
    report("socket_alg", syscall(SYS_socket, HIGH | 38, SOCK_SEQPACKET, 0));
    report("socket_inet", syscall(SYS_socket, HIGH | AF_INET, HIGH | SOCK_STREAM, HIGH | 0));
    report("mptcp", syscall(SYS_socket, HIGH | AF_INET, SOCK_STREAM, HIGH | 262));
    report("unshare_user", syscall(SYS_unshare, HIGH | CLONE_NEWUSER));
    long pid = syscall(SYS_clone, HIGH | CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        _exit(0);
    }
    report("clone_user", pid);
    report("tiocsti", syscall(SYS_ioctl, 0, HIGH | TIOCSTI, "x"));
    report("dumpable", syscall(SYS_prctl, HIGH | PR_SET_DUMPABLE, 0, 0, 0, 0));
    printf("still %s\n", prctl(PR_GET_DUMPABLE) == 1 ? "ok" : "hidden");
    return 0;
}

/* Typing into the terminal on standard input. */
static int terminal(void)
{
    char shift[] = {3 /* TIOCL_PASTESEL */, 0};
    report("tiocsti", ioctl(0, TIOCSTI, "x"));
    report("tiocsti_high", syscall(SYS_ioctl, 0, HIGH | TIOCSTI, "x"));
    report("tioclinux", ioctl(0, TIOCLINUX, shift));
    struct winsize size;
    report("tiocgwinsz", ioctl(0, TIOCGWINSZ, &size));
    return 0;
}

static const struct {
    const char *name;
    unsigned flag;
} namespaces[] = {{"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS}, {"net", CLONE_NEWNET},
                  {"pid", CLONE_NEWPID},       {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS},
                  {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80}};

struct clone3_args {
    unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static long clone3(unsigned long long flags)
{
    struct clone3_args args = {.flags = flags, .exit_signal = SIGCHLD};
    long pid = syscall(435, &args, sizeof(args));
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

/* Each in a child, so that one does not change what the next may do. */
static int enter_namespaces(void)
{
    char name[64];
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        const char *ns = namespaces[i].name;
        if (fork() == 0) {
            snprintf(name, sizeof(name), "unshare.%s", ns);
            _exit(report(name, syscall(SYS_unshare, namespaces[i].flag)));
        }
        wait(NULL);
        snprintf(name, sizeof(name), "clone.%s", ns);
        if (namespaces[i].flag != 0x80) { /* a part of the signal's number here */
            long pid = syscall(SYS_clone, namespaces[i].flag | SIGCHLD, NULL, NULL, NULL, NULL);
            if (pid == 0) {
                _exit(0);
            }
            report(name, pid);
        }
        snprintf(name, sizeof(name), "clone3.%s", ns);
        report(name, clone3(namespaces[i].flag));
        snprintf(name, sizeof(name), "/proc/self/ns/%s", strcmp(ns, "mount") == 0 ? "mnt" : ns);
        int fd = open(name, O_RDONLY);
        snprintf(name, sizeof(name), "setns.%s", ns);
        report(name, syscall(SYS_setns, fd, 0));
        close(fd);
    }
    return 0;
}

static struct clone3_args shared = {.exit_signal = SIGCHLD};
static volatile bool over;

static void *rewrite(void *unused)
{
    while (!over) {
        shared.flags = 0;
        shared.flags = CLONE_NEWUSER;
    }
    return unused;
}

/* A peer changes the flags while clone3 is being judged. */
static int race(void)
{
    pthread_t peer;
    int made = 0;
    int refusals = 0;
    pthread_create(&peer, NULL, rewrite, NULL);
    for (int i = 0; i < 2000; i++) {
        long pid = syscall(435, &shared, sizeof(shared));
        if (pid == 0) {
            _exit(0);
        }
        made += pid > 0;
        refusals += pid < 0 && (errno == ENOSYS || errno == EPERM);
        if (pid > 0) {
            waitpid((pid_t)pid, NULL, 0);
        }
    }
    over = true;
    pthread_join(peer, NULL);
    printf("made %d\nrefused %d\n", made, refusals);
    return 0;
}

static int install(unsigned flags, int call, unsigned action)
{
    struct sock_filter insns[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, insns};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* Filters of one's own over calls that are refused or asked about: none of them is let through by
 * that. */
static int filters(const char *denied)
{
    report("listener", install(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getppid, SECCOMP_RET_ALLOW));
    static const struct {
        const char *name;
        unsigned action;
    } actions[] = {{"allow", SECCOMP_RET_ALLOW},
                   {"log", SECCOMP_RET_LOG},
                   {"trace", SECCOMP_RET_TRACE},
                   {"errno", SECCOMP_RET_ERRNO}};
    char name[64];
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (fork() == 0) {
            snprintf(name, sizeof(name), "install.%s", actions[i].name);
            report(name, install(0, SYS_fchmodat, actions[i].action));
            install(0, SYS_mount, actions[i].action);
            snprintf(name, sizeof(name), "mount.%s", actions[i].name);
            report(name, syscall(SYS_mount, "none", "/none/such", "tmpfs", 0, NULL));
            snprintf(name, sizeof(name), "chmod.%s", actions[i].name);
            report(name, syscall(SYS_fchmodat, AT_FDCWD, denied, 0777));
            _exit(0);
        }
        wait(NULL);
    }
    return 0;
}

/* Who we are after execve: identity, capabilities, NoNewPrivs. */
static int identity(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    printf("euid %d\negid %d\n", (int)geteuid(), (int)getegid());
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char word[32];
        char value[64];
        if (sscanf(line, "%31[^:]: %63s", word, value) == 2 &&
            (strcmp(word, "CapEff") == 0 || strcmp(word, "NoNewPrivs") == 0)) {
            printf("%s %s\n", word, value);
        }
    }
    return 0;
}

/* This program again, from a memory file. */
static int from_memory(char **words)
{
    char buffer[65536];
    int in = open("/proc/self/exe", O_RDONLY);
    int fd = memfd_create("program", 0);
    ssize_t n;
    while ((n = read(in, buffer, sizeof(buffer))) > 0) {
        if (write(fd, buffer, (size_t)n) != n) {
            return 1;
        }
    }
    fexecve(fd, words, environ);
    return report("fexecve", -1);
}

/* What is confined: a file that no rule grants, its mode, a refused call, a count of processes. */
static int confined(const char *denied)
{
    int alive = 0;
    setpgid(0, 0);
    report("open", open(denied, O_RDONLY));
    report("chmod", chmod(denied, 0777));
    report("mount", syscall(SYS_mount, "none", "/none/such", "tmpfs", 0, NULL));
    for (; alive < 20; alive++) {
        pid_t pid = fork();
        if (pid == 0) {
            pause();
        }
        if (pid < 0) {
            break;
        }
    }
    printf("forks %s\n", alive < 20 ? "limited" : "free");
    fflush(stdout);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    return 0;
}

/* Meets whoever made these outside: shared memory, a semaphore, a message queue, a named queue, a
 * keyring's key. */
static int meet(char **ids)
{
    int shm = (int)strtol(ids[0], NULL, 10);
    int sem = (int)strtol(ids[1], NULL, 10);
    int msg = (int)strtol(ids[2], NULL, 10);
    key_t key = (key_t)strtol(ids[3], NULL, 10);
    struct sembuf up = {0, 1, IPC_NOWAIT};
    struct {
        long type;
        char text[8];
    } message = {1, "inside"};
    char *memory = shmat(shm, NULL, 0);
    report("shmat", memory == (void *)-1 ? -1 : (memcpy(memory, "inside", 7), 0));
    report("shmget", shmget(key, 0, 0));
    report("semop", semop(sem, &up, 1));
    report("semget", semget(key, 0, 0));
    report("msgsnd", msgsnd(msg, &message, sizeof(message.text), IPC_NOWAIT));
    report("msgget", msgget(key, 0));
    report("mq_open", syscall(SYS_mq_open, ids[4], O_RDWR, 0, NULL));
    report("mq_unlink", syscall(SYS_mq_unlink, ids[4]));
    report("request_key", syscall(SYS_request_key, "user", ids[4], NULL, 0));
    report("keyctl", syscall(SYS_keyctl, 10 /* SEARCH */, -4, "user", ids[4], 0));
    return 0;
}

/* Makes them, tells their numbers, and when standard input ends what became of them. */
static int make(char *name)
{
    char c;
    key_t key = (key_t)(0x52000000 | getpid());
    int shm = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
    int sem = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600);
    int msg = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
    long mq = syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0600, NULL);
    long user = syscall(SYS_add_key, "user", name, "secret", 6, -4);
    printf("%d %d %d %d %d %d\n", shm, sem, msg, (int)key, (int)mq, (int)(user > 0));
    fflush(stdout);
    while (read(0, &c, 1) > 0) {
    }
    struct msqid_ds queue;
    char *memory = shmat(shm, NULL, 0);
    msgctl(msg, IPC_STAT, &queue);
    printf("memory %s\nsemaphore %d\nmessages %d\nqueue %s\n", memory[0] ? memory : "untouched",
           semctl(sem, 0, GETVAL), (int)queue.msg_qnum,
           syscall(SYS_mq_unlink, name) == 0 ? "there" : "gone");
    shmctl(shm, IPC_RMID, NULL);
    semctl(sem, 0, IPC_RMID);
    msgctl(msg, IPC_RMID, NULL);
    syscall(SYS_keyctl, 3 /* REVOKE */, user);
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    static const struct {
        const char *verb;
        int (*act)(void);
    } plain[] = {
        {"refused", refused}, {"working", working},   {"unknown", unknown},
        {"upper", upper},     {"terminal", terminal}, {"namespaces", enter_namespaces},
        {"race", race},       {"identity", identity},
#ifdef __x86_64__
        {"int80", int80},
#endif
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strcmp(verb, plain[i].verb) == 0) {
            return plain[i].act();
        }
    }
    if (strcmp(verb, "filters") == 0 && argc == 3) {
        return filters(argv[2]);
    }
    if (strcmp(verb, "confined") == 0 && argc == 3) {
        return confined(argv[2]);
    }
    if (strcmp(verb, "meet") == 0 && argc == 7) {
        return meet(argv + 2);
    }
    if (strcmp(verb, "make") == 0 && argc == 3) {
        return make(argv[2]);
    }
    if (strcmp(verb, "from_memory") == 0 && argc > 2) {
        return from_memory(argv + 1);
    }
    return 2;
}
