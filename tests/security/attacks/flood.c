/* THREADS CALLS: one process asks the supervisor without end, from so many threads. Another makes
 * its CALLS meanwhile, and says of each how many answers the flood had before it came back, and how
 * many microseconds that took. */
#include "attack.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static _Atomic uint64_t *answers;

static void *flood_one(void *unused)
{
    for (;;) {
        syscall(SYS_kill, getpid(), 0);
        atomic_fetch_add(answers, 1);
    }
    return unused;
}

static void flood(long threads)
{
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (long i = 1; i < threads; i++) {
        if (pthread_create(&thread, NULL, flood_one, NULL) != 0) {
            _exit(1);
        }
    }
    flood_one(NULL);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* In turn an open that is answered at once and a change that a worker makes. */
static int ask(long i)
{
    if (i % 2 != 0) {
        return chmod("flooded", i % 4 == 1 ? 0600 : 0640);
    }
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    long threads = strtol(argv[1], NULL, 10);
    answers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = open("flooded", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    pid_t pid = answers == MAP_FAILED || fd < 0 ? -1 : fork();
    if (pid < 0) {
        return 1;
    }
    if (pid == 0) {
        flood(threads);
    }
    while (atomic_load(answers) < 64 * (uint64_t)threads) {
        sched_yield();
    }
    for (long i = 0; i < strtol(argv[2], NULL, 10); i++) {
        uint64_t before = atomic_load(answers);
        uint64_t began = now_us();
        int r = ask(i);
        uint64_t after = atomic_load(answers);
        printf("%s %llu %llu\n", r == 0 ? "ok" : strerror(errno),
               (unsigned long long)(after - before), (unsigned long long)(now_us() - began));
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}
