/* System V IPC and message queues under isolate_ipc, live: the tree's own shared memory works, what
 * others made is out of reach. PROC-14. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

#define SIZE 4096

/* args: a key that somebody outside has, its segment, a key that nobody has */
static int program_shares(char **args)
{
    key_t theirs = (key_t)strtol(args[0], NULL, 10);
    int id = (int)strtol(args[1], NULL, 10);
    key_t own = (key_t)strtol(args[2], NULL, 10);
    struct shmid_ds segment;
    LIVE_CHECK(shmget(theirs, SIZE, 0600) < 0 && errno == EACCES);
    LIVE_CHECK(shmget(theirs, SIZE, IPC_CREAT | 0600) < 0 && errno == EACCES);
    LIVE_CHECK(shmat(id, NULL, 0) == (void *)-1 && errno == EACCES);
    LIVE_CHECK(shmctl(id, IPC_STAT, &segment) < 0 && errno == EACCES);
    LIVE_CHECK(shmctl(id, IPC_RMID, NULL) < 0 && errno == EACCES);
    LIVE_CHECK(shmctl(0, SHM_INFO, &segment) < 0 && errno == EPERM);
    LIVE_CHECK(shmat(-1, NULL, 0) == (void *)-1 && errno == EINVAL);
    LIVE_CHECK(shmget(own, SIZE, 0600) < 0 && errno == ENOENT);

    int keyed = shmget(own, SIZE, IPC_CREAT | IPC_EXCL | 0600);
    int nameless = shmget(IPC_PRIVATE, SIZE, 0600);
    LIVE_CHECK(keyed >= 0 && nameless >= 0 && shmget(own, SIZE, 0600) == keyed);
    char *memory = shmat(keyed, NULL, 0);
    LIVE_CHECK(memory != (void *)-1 && shmat(nameless, NULL, 0) != (void *)-1);
    pid_t child = fork();
    if (child == 0) {
        char *same = shmat(keyed, NULL, 0);
        _exit(same == (void *)-1 ? 1 : (memcpy(same, "child", 6), 0));
    }
    int status;
    LIVE_CHECK(waitpid(child, &status, 0) == child && status == 0);
    LIVE_CHECK(strcmp(memory, "child") == 0);
    LIVE_CHECK(shmget(own, SIZE, IPC_CREAT | 0600) == keyed);
    LIVE_CHECK(shmget(own, SIZE, IPC_CREAT | IPC_EXCL | 0600) < 0 && errno == EEXIST);
    LIVE_CHECK(shmget(own, 2 * SIZE, 0600) < 0 && errno == EINVAL);
    LIVE_CHECK(shmget(IPC_PRIVATE, 0, 0600) < 0 && errno == EINVAL);
    LIVE_CHECK(shmctl(keyed, IPC_STAT, &segment) == 0 && segment.shm_cpid == getppid());
    LIVE_CHECK(shmctl(keyed, IPC_RMID, NULL) == 0 && shmctl(nameless, IPC_RMID, NULL) == 0);
    return 0;
}

/* args: a key that nobody has. What a child has made is the tree's when it has ended, too. */
static int program_inherits(char **args)
{
    key_t own = (key_t)strtol(args[0], NULL, 10);
    int status;
    pid_t child = fork();
    if (child == 0) {
        char *memory = shmat(shmget(own, SIZE, IPC_CREAT | IPC_EXCL | 0600), NULL, 0);
        _exit(memory == (void *)-1 ? 1 : (memcpy(memory, "child", 6), 0));
    }
    LIVE_CHECK(waitpid(child, &status, 0) == child && status == 0);
    int id = shmget(own, SIZE, 0600);
    char *memory = shmat(id, NULL, 0);
    LIVE_CHECK(memory != (void *)-1 && strcmp(memory, "child") == 0);
    LIVE_CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    return 0;
}

struct message {
    long type;
    char text[8];
};

static int errno_of(long r)
{
    return r < 0 ? errno : 0;
}

/* args: semaphores and a queue of others, a key that they have for both, a key that nobody has */
static int program_meets(char **args)
{
    int sems = (int)strtol(args[0], NULL, 10);
    int queue = (int)strtol(args[1], NULL, 10);
    key_t theirs = (key_t)strtol(args[2], NULL, 10);
    key_t own = (key_t)strtol(args[3], NULL, 10);
    struct sembuf up = {.sem_op = 1, .sem_flg = IPC_NOWAIT};
    struct timespec soon = {.tv_nsec = 1};
    struct message m = {.type = 1, .text = "hello"};
    struct semid_ds sd;
    struct msqid_ds qd;
    LIVE_CHECK(errno_of(semget(theirs, 1, 0600)) == EACCES);
    LIVE_CHECK(errno_of(semget(theirs, 1, IPC_CREAT | 0600)) == EACCES);
    LIVE_CHECK(errno_of(semget(theirs, 9, 0)) == EACCES);
    LIVE_CHECK(errno_of(semop(sems, &up, 1)) == EACCES);
    LIVE_CHECK(errno_of(semtimedop(sems, &up, 1, &soon)) == EACCES);
    LIVE_CHECK(errno_of(semctl(sems, 0, IPC_STAT, &sd)) == EACCES);
    LIVE_CHECK(errno_of(semctl(sems, 0, IPC_RMID)) == EACCES);
    LIVE_CHECK(errno_of(semctl(0, 0, SEM_INFO, &sd)) == EPERM);
    LIVE_CHECK(errno_of(msgget(theirs, 0600)) == EACCES);
    LIVE_CHECK(errno_of(msgget(theirs, IPC_CREAT | 0600)) == EACCES);
    LIVE_CHECK(errno_of(msgsnd(queue, &m, 5, IPC_NOWAIT)) == EACCES);
    LIVE_CHECK(errno_of(msgrcv(queue, &m, 5, 0, IPC_NOWAIT)) == EACCES);
    LIVE_CHECK(errno_of(msgctl(queue, IPC_STAT, &qd)) == EACCES);
    LIVE_CHECK(errno_of(msgctl(queue, IPC_RMID, NULL)) == EACCES);
    LIVE_CHECK(errno_of(msgctl(0, MSG_INFO, &qd)) == EPERM);

    LIVE_CHECK(errno_of(semget(own, 1, 0)) == ENOENT && errno_of(msgget(own, 0)) == ENOENT);
    int made = semget(own, 2, IPC_CREAT | 0600);
    LIVE_CHECK(made >= 0 && semget(own, 2, IPC_CREAT | 0600) == made);
    LIVE_CHECK(semget(own, 0, 0) == made && errno_of(semget(own, 3, 0)) == EINVAL);
    LIVE_CHECK(errno_of(semget(own, 2, IPC_CREAT | IPC_EXCL | 0600)) == EEXIST);
    int nameless = semget(IPC_PRIVATE, 1, 0600);
    int q = msgget(own, IPC_CREAT | IPC_EXCL | 0600);
    LIVE_CHECK(nameless >= 0 && nameless != made && q >= 0 && msgget(own, 0) == q);
    pid_t child = fork();
    if (child == 0) {
        struct sembuf give = {.sem_num = 1, .sem_op = 1};
        LIVE_CHECK(msgsnd(q, &m, sizeof(m.text), 0) == 0 && semop(made, &give, 1) == 0);
        _exit(0);
    }
    struct sembuf take = {.sem_num = 1, .sem_op = -1};
    struct message got = {0};
    LIVE_CHECK(semop(made, &take, 1) == 0 && msgrcv(q, &got, sizeof(got.text), 0, 0) > 0);
    LIVE_CHECK(strcmp(got.text, "hello") == 0 && waitpid(child, NULL, 0) == child);
    LIVE_CHECK(semctl(made, 0, IPC_STAT, &sd) == 0 && sd.sem_perm.cuid == geteuid());
    LIVE_CHECK(semctl(made, 0, GETVAL) == 0 && (sd.sem_perm.mode & 0777) == 0600);
    LIVE_CHECK(semctl(made, 0, IPC_RMID) == 0 && semctl(nameless, 0, IPC_RMID) == 0);
    LIVE_CHECK(msgctl(q, IPC_RMID, NULL) == 0 && errno_of(semop(made, &up, 1)) == EACCES);
    return 0;
}

static long open_queue(const char *name, int flags)
{
    return syscall(SYS_mq_open, name, flags, 0640, NULL);
}

/* args: a queue of others, a name that nobody has, EPERM where there are none at all */
static int program_names(char **args)
{
    if (args[2] != NULL) {
        LIVE_CHECK(errno_of(open_queue(args[1], O_CREAT | O_RDWR)) == EPERM);
        LIVE_CHECK(errno_of(syscall(SYS_mq_unlink, args[0])) == EPERM);
        return 0;
    }
    struct stat st;
    char text[8192] = "";
    LIVE_CHECK(errno_of(open_queue(args[0], O_RDWR)) == EACCES);
    LIVE_CHECK(errno_of(open_queue(args[0], O_CREAT | O_RDWR)) == EACCES);
    LIVE_CHECK(errno_of(open_queue(args[0], O_CREAT | O_EXCL | O_RDWR)) == EEXIST);
    LIVE_CHECK(errno_of(syscall(SYS_mq_unlink, args[0])) == EACCES);
    LIVE_CHECK(errno_of(open_queue(args[1], O_RDWR)) == ENOENT);
    LIVE_CHECK(errno_of(syscall(SYS_mq_open, 1, O_RDWR, 0, NULL)) == EFAULT);
    umask(027);
    int fd = (int)open_queue(args[1], O_CREAT | O_RDWR);
    int again = (int)open_queue(args[1], O_CREAT | O_RDONLY | O_NONBLOCK);
    LIVE_CHECK(fd >= 0 && again >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0640);
    LIVE_CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    LIVE_CHECK(syscall(SYS_mq_timedsend, fd, "hello", 5, 0, NULL) == 0);
    LIVE_CHECK(syscall(SYS_mq_timedreceive, again, text, sizeof(text), NULL, NULL) == 5);
    LIVE_CHECK(syscall(SYS_mq_unlink, args[1]) == 0);
    LIVE_CHECK(errno_of(open_queue(args[1], O_RDWR)) == ENOENT);
    return 0;
}

static void shared_memory_is_the_trees_own(void **state)
{
    (void)state;
    char texts[3][16];
    key_t key = (key_t)(0x51000000 | getpid());
    int id = shmget(key, SIZE, IPC_CREAT | IPC_EXCL | 0600);
    assert_true(id >= 0);
    snprintf(texts[0], sizeof(texts[0]), "%d", (int)key);
    snprintf(texts[1], sizeof(texts[1]), "%d", id);
    snprintf(texts[2], sizeof(texts[2]), "%d", (int)(key ^ 0x1000000));
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "isolate_ipc", "true", NULL);
    int r = live_run(&(struct live_run){
        .policy = policy, .program = "shares", .args = {texts[0], texts[1], texts[2]}});
    struct shmid_ds segment;
    assert_int_equal(shmctl(id, IPC_STAT, &segment), 0); /* it is still there, and unused */
    shmctl(id, IPC_RMID, NULL);
    assert_int_equal(segment.shm_atime, 0);
    assert_int_equal(r, 0);
}

static void segments_outlive_their_makers(void **state)
{
    (void)state;
    char key[16];
    snprintf(key, sizeof(key), "%d", 0x52000000 | (int)getpid());
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "isolate_ipc", "true", NULL);
    assert_int_equal(
        live_run(&(struct live_run){.policy = policy, .program = "inherits", .args = {key}}), 0);
}

static void semaphores_and_queues_are_the_trees_own(void **state)
{
    (void)state;
    char texts[4][16];
    key_t key = (key_t)(0x52000000 | getpid());
    int sems = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600);
    int queue = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
    assert_true(sems >= 0 && queue >= 0);
    snprintf(texts[0], sizeof(texts[0]), "%d", sems);
    snprintf(texts[1], sizeof(texts[1]), "%d", queue);
    snprintf(texts[2], sizeof(texts[2]), "%d", (int)key);
    snprintf(texts[3], sizeof(texts[3]), "%d", (int)(key ^ 0x1000000));
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "isolate_ipc", "true", NULL);
    int r = live_run(&(struct live_run){
        .policy = policy, .program = "meets", .args = {texts[0], texts[1], texts[2], texts[3]}});
    struct msqid_ds qd;
    assert_int_equal(semctl(sems, 0, GETVAL), 0); /* both are there, and nobody has used them */
    assert_int_equal(msgctl(queue, IPC_STAT, &qd), 0);
    assert_int_equal(qd.msg_qnum, 0);
    semctl(sems, 0, IPC_RMID);
    msgctl(queue, IPC_RMID, NULL);
    assert_int_equal(r, 0);
}

static void named_queues_are_the_trees_own(void **state)
{
    (void)state;
    char theirs[48];
    char own[48];
    snprintf(theirs, sizeof(theirs), "sandlock-test-%d", (int)getpid());
    snprintf(own, sizeof(own), "sandlock-test-%d-own", (int)getpid());
    long fd = open_queue(theirs, O_CREAT | O_EXCL | O_RDWR);
    if (fd < 0) {
        skip(); /* a kernel without them */
    }
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "isolate_ipc", "true", NULL);
    SL_AUTO(sl_policy) open = live_policy("fs_readable", "/", NULL);
    int r =
        live_run(&(struct live_run){.policy = policy, .program = "names", .args = {theirs, own}});
    int none = live_run(
        &(struct live_run){.policy = open, .program = "names", .args = {theirs, own, "none"}});
    assert_int_equal(syscall(SYS_mq_unlink, theirs), 0); /* it was still there */
    close((int)fd);
    assert_int_equal(r, 0);
    assert_int_equal(none, 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"shares", program_shares},
        {"inherits", program_inherits},
        {"meets", program_meets},
        {"names", program_names},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_memory_is_the_trees_own),
        cmocka_unit_test(semaphores_and_queues_are_the_trees_own),
        cmocka_unit_test(named_queues_are_the_trees_own),
        cmocka_unit_test(segments_outlive_their_makers),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
