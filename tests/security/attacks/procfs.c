/* Attacks on /proc: other processes by every name, a path that changes while it is judged, files
 * that are not what they are by some spelling.
 *
 *   procfs look              standard input: "WHO PID" lines; one line a thing that is tried
 *   procfs race PID ROUNDS   a thread turns the path to PID's while the call is under way
 *   procfs spell FILE LINK   what is read of FILE by each spelling; LINK is a link to its directory
 */
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attack.h"

static const char *const files[] = {"environ", "mem", "maps", "cmdline", "status", "stat", "comm"};
static const char *const links[] = {"exe", "cwd", "fd/0", "ns/net"};
static const char *const folders[] = {"fd", "task", "net"};

static int open_dir(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY);
    char entries[4096];
    long n = fd < 0 ? -1 : syscall(SYS_getdents64, fd, entries, sizeof(entries));
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return n < 0 ? -1 : 0;
}

static int read_file(int dir, const char *name)
{
    char byte;
    int fd = openat(dir, name, O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = strstr(name, "mem") != NULL ? 1 : read(fd, &byte, 1);
    int saved = errno;
    close(fd);
    errno = saved;
    return n < 0 ? -1 : 0;
}

static void say(const char *who, const char *how, const char *what, int rc)
{
    char name[128];
    snprintf(name, sizeof(name), "%s.%s%s", who, how, what);
    report(name, rc);
}

/* Everything of one process, named by its number or from its directory. */
static void look_at(const char *who, const char *pid, int dir)
{
    char path[128];
    char text[256];
    struct stat st;
    const char *how = dir == AT_FDCWD ? "" : "at.";
    const char *top = dir == AT_FDCWD ? "/proc/" : "";
    const char *number = dir == AT_FDCWD ? pid : "";
    const char *slash = dir == AT_FDCWD ? "/" : "";
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s%s%s%s", top, number, slash, files[i]);
        say(who, how, files[i], read_file(dir, path));
    }
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
        snprintf(path, sizeof(path), "%s%s%s%s", top, number, slash, links[i]);
        say(who, how, links[i], readlinkat(dir, path, text, sizeof(text)) < 0 ? -1 : 0);
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        snprintf(path, sizeof(path), "%s%s%s%s", top, number, slash, folders[i]);
        say(who, how, folders[i], open_dir(dir, path));
    }
    snprintf(path, sizeof(path), "%s%s%sroot/etc/passwd", top, number, slash);
    say(who, how, "root", read_file(dir, path));
    snprintf(path, sizeof(path), "%s%s%sstatus", top, number, slash);
    say(who, how, "file", fstatat(dir, path, &st, 0));
    snprintf(path, sizeof(path), "/proc/%s", pid);
    say(who, how, "dir", dir == AT_FDCWD ? stat(path, &st) : fstatat(dir, ".", &st, 0));
}

static int look(void)
{
    char who[64];
    char pid[32];
    char path[64];
    puts("ready ok");
    fflush(stdout);
    while (scanf("%63s %31s", who, pid) == 2) {
        look_at(who, pid, AT_FDCWD);
        snprintf(path, sizeof(path), "/proc/%s", pid);
        int dir = open(path, O_PATH | O_DIRECTORY);
        say(who, "", "path", dir);
        if (dir >= 0) {
            look_at(who, pid, dir);
            close(dir);
        }
        say(who, "", "end", 0);
    }
    return 0;
}

static char shared[64];
static volatile bool over;

static void *turn(void *arg)
{
    const char *const *forms = arg;
    for (unsigned i = 0; !over; i++) {
        memcpy(shared, forms[i % 2], 32);
    }
    return NULL;
}

/* The same bytes mean another process from one moment to the next. */
static int race(const char *pid, long rounds)
{
    char own[64] = "";
    char other[64] = "";
    char text[4096];
    char want[64];
    unsigned good = 0;
    unsigned bad = 0;
    unsigned known = 0;
    struct stat st;
    struct stat proc;
    pthread_t thread;
    const char *forms[] = {own, other};
    snprintf(own, sizeof(own), "/proc/self/./././status");
    snprintf(other, sizeof(other), "/proc/%s/status", pid);
    snprintf(want, sizeof(want), "\nPid:\t%s\n", pid);
    memcpy(shared, own, 32);
    pthread_create(&thread, NULL, turn, forms);
    for (long i = 0; i < rounds; i++) {
        int fd = open(shared, O_RDONLY);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        text[n < 0 ? 0 : n] = '\0';
        good += n > 0;
        bad += strstr(text, want) != NULL;
        close(fd);
    }
    over = true;
    pthread_join(thread, NULL);
    printf("opened %u\nforeign %u\n", good, bad);
    over = false;
    stat("/proc", &proc);
    snprintf(own, sizeof(own), "/etc/passwd");
    snprintf(other, sizeof(other), "/proc/%s", pid);
    good = 0;
    memcpy(shared, own, 32);
    pthread_create(&thread, NULL, turn, forms);
    for (long i = 0; i < rounds; i++) {
        if (stat(shared, &st) == 0) {
            good++;
            known += st.st_dev == proc.st_dev;
        }
    }
    over = true;
    pthread_join(thread, NULL);
    printf("asked %u\nknown %u\n", good, known);
    return 0;
}

static void show(const char *how, const char *path, int fd)
{
    char text[65536];
    uint64_t hash = 14695981039346656037u;
    ssize_t n;
    size_t len = 0;
    if (fd < 0) {
        printf("%s %s %s\n", how, path, strerrorname_np(errno));
        return;
    }
    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
        }
        len += (size_t)n;
    }
    close(fd);
    printf("%s %s %zu-%016lx\n", how, path, len, (unsigned long)hash);
}

static int open2(int dir, const char *path)
{
    struct open_how how = {.flags = O_RDONLY};
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static void spell_one(const char *path)
{
    show("openat", path, openat(AT_FDCWD, path, O_RDONLY));
    show("openat2", path, open2(AT_FDCWD, path));
#ifdef SYS_open
    show("open", path, (int)syscall(SYS_open, path, O_RDONLY));
#endif
}

static int spell(const char *file, const char *link)
{
    char path[4096];
    char copy[4096];
    char copy2[4096];
    snprintf(copy, sizeof(copy), "%s", file);
    snprintf(copy2, sizeof(copy2), "%s", file);
    const char *dir = dirname(copy);
    const char *name = basename(copy2);
    spell_one(file);
    const char *const forms[] = {"/%1$s/%2$s",
                                 "%1$s//%2$s",
                                 "%1$s/./%2$s",
                                 "/proc/self/root%1$s/%2$s",
                                 "%3$s/%2$s",
                                 "%3$s/../../../..%1$s/%2$s",
                                 "/proc/thread-self/root%1$s/./%2$s"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        snprintf(path, sizeof(path), forms[i], dir, name, link);
        spell_one(path);
    }
    int at = open(dir, O_PATH | O_DIRECTORY);
    show("openat-dir", name, openat(at, name, O_RDONLY));
    show("openat2-dir", name, open2(at, name));
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at, name);
    spell_one(path);
    if (chdir(dir) == 0) {
        spell_one(name);
        snprintf(path, sizeof(path), "/proc/self/cwd/%s", name);
        spell_one(path);
    }
    show("write", file, open(file, O_WRONLY));
    show("creat", file, creat(file, 0600));
    return 0;
}

static const uint64_t bounds[] = {RESOLVE_BENEATH,
                                  RESOLVE_IN_ROOT,
                                  RESOLVE_NO_MAGICLINKS,
                                  RESOLVE_NO_SYMLINKS,
                                  RESOLVE_NO_XDEV,
                                  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
                                  RESOLVE_BENEATH | RESOLVE_NO_XDEV,
                                  RESOLVE_IN_ROOT | RESOLVE_NO_XDEV,
                                  1ULL << 40};

static const uint64_t ways[] = {O_RDONLY, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_DIRECTORY,
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW};

static const char *const names[] = {"/proc/self/status",
                                    "/proc/self",
                                    "/proc/self/",
                                    "/proc/self/fd",
                                    "/proc/self/cwd",
                                    "/proc/self/nothing",
                                    "/proc/thread-self/comm",
                                    "/proc/../proc/self/stat",
                                    "/proc/self/fd/0",
                                    "/proc/self/task/../comm",
                                    "/self/status",
                                    "/proc/meminfo",
                                    "/proc/self/root/etc",
                                    "/proc",
                                    "self/status",
                                    "self",
                                    "thread-self/status",
                                    "self/../self/comm",
                                    "./self/task",
                                    "status",
                                    "../self/stat",
                                    "../../proc/self/stat",
                                    "proc/self/status",
                                    "proc//self/comm",
                                    "task",
                                    "fd/0",
                                    "cwd",
                                    "net/dev",
                                    "/net/dev",
                                    "self/net/dev",
                                    "",
                                    "etc",
                                    "/etc"};

/* Takes out the number that follows here. */
static void drop_number(char *at)
{
    size_t digits = strspn(at, "0123456789");
    memmove(at, at + digits, strlen(at + digits) + 1);
}

/* What one openat2 says: an errno, or which object it opened, with our own numbers left out. */
static void say_bounded(int dirfd, const char *name, const struct open_how *how, char out[4096])
{
    char link[64];
    int fd = (int)syscall(SYS_openat2, dirfd, name, how, sizeof(*how));
    if (fd < 0) {
        snprintf(out, 4096, "%s", strerrorname_np(errno));
        return;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, 4095);
    out[n < 0 ? 0 : n] = '\0';
    close(fd);
    if (strncmp(out, "/proc/", 6) == 0 && strtol(out + 6, NULL, 10) == getpid()) {
        drop_number(out + 6);
    }
    char *task = strstr(out, "/task/");
    if (task != NULL) {
        drop_number(task + 6);
    }
}

/* What openat2 says of names below /proc/self within bounds, from several places. */
static int bound(void)
{
    char said[4096];
    int places[] = {AT_FDCWD,
                    open("/", O_PATH),
                    open("/proc", O_PATH),
                    open("/proc/self", O_PATH),
                    open("/proc/self/status", O_PATH),
                    99};
    for (size_t b = 0; b < sizeof(bounds) / sizeof(*bounds); b++) {
        for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++) {
            for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
                for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
                    struct open_how how = {.flags = ways[w], .resolve = bounds[b]};
                    say_bounded(places[p], names[n], &how, said);
                    printf("%#lx %zu '%s' %#lo: %s\n", (unsigned long)bounds[b], p, names[n],
                           (unsigned long)ways[w], said);
                }
            }
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "look") == 0) {
        return look();
    }
    if (strcmp(mode, "race") == 0 && argc == 4) {
        return race(argv[2], strtol(argv[3], NULL, 10));
    }
    if (strcmp(mode, "spell") == 0 && argc == 4) {
        return spell(argv[2], argv[3]);
    }
    if (strcmp(mode, "bounds") == 0) {
        return bound();
    }
    return 2;
}
