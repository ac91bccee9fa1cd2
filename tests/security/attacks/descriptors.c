/* Takes the supervisor's descriptors: threads that wait in sendmsg(2), each with as many as a
 * message may carry, then fewer and fewer. When no more of them go to wait, says so; then reads
 * lines "NAME PID" and sends each nothing (signal 0), by every call that names a process by its
 * number. */
#include "attack.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#define ROUNDS 4096

static int pair[2];
static atomic_int over;
static atomic_int sender;

static void *send_many(void *count)
{
    int n = (int)(long)count;
    char control[CMSG_SPACE(253 * sizeof(int))] = {0};
    struct iovec io = {"x", 1};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    for (int i = 0; i < n; i++) {
        memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &(int){1}, sizeof(int));
    }
    atomic_store(&sender, (int)gettid());
    (void)sendmsg(pair[0], &msg, 0);
    atomic_store(&over, 1);
    pause();
    return NULL;
}

/* True once the thread waits in sendmsg; a call of ours that is trapped later is served later. */
static int is_waiting(int tid)
{
    char path[64];
    char text[128] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
    FILE *f = fopen(path, "r");
    int number = -1;
    if (f != NULL) {
        number =
            fgets(text, sizeof(text), f) != NULL && sscanf(text, "%d", &number) == 1 ? number : -1;
        fclose(f);
    }
    return number == SYS_sendmsg;
}

/* False when it was refused. */
static int goes_to_wait(pthread_attr_t *attr, int count)
{
    pthread_t thread;
    atomic_store(&over, 0);
    atomic_store(&sender, 0);
    if (pthread_create(&thread, attr, send_many, (void *)(long)count) != 0) {
        return 0;
    }
    while (!atomic_load(&over) &&
           (atomic_load(&sender) == 0 || !is_waiting(atomic_load(&sender)))) {
        sched_yield();
    }
    (void)kill(getppid(), 0); /* served behind it, and it is answered or waits */
    return !atomic_load(&over);
}

int main(void)
{
    static const int counts[] = {253, 60, 15, 4, 1};
    char block[1024] = {0};
    char line[128];
    char who[32];
    char name[64];
    int pid;
    siginfo_t info = {.si_code = SI_QUEUE};
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
    while (send(pair[0], block, sizeof(block), MSG_DONTWAIT) > 0) {
    }
    int waiting = 0;
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        for (int k = 0; k < ROUNDS && goes_to_wait(&attr, counts[i]); k++) {
            waiting++;
        }
    }
    printf("waiting %d\n", waiting);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL && sscanf(line, "%31s %d", who, &pid) == 2) {
#define TRY(what, call)                                                                            \
    snprintf(name, sizeof(name), "%s.%s", who, what);                                              \
    report(name, call)
        TRY("kill", kill(pid, 0));
        TRY("tkill", syscall(SYS_tkill, pid, 0));
        TRY("tgkill", syscall(SYS_tgkill, pid, pid, 0));
        TRY("sigqueue", syscall(SYS_rt_sigqueueinfo, pid, SIGURG, &info));
    }
    return 0;
}
