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
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* args: the errno that is wanted */
static int program_meets(char **args)
{
    int want = (int)strtol(args[0], NULL, 10);
    int id = semget(IPC_PRIVATE, 1, 0600);
    LIVE_CHECK((id < 0 ? errno : 0) == want);
    LIVE_CHECK(id < 0 || semctl(id, 0, IPC_RMID) == 0);
    id = msgget(IPC_PRIVATE, 0600);
    LIVE_CHECK((id < 0 ? errno : 0) == want);
    LIVE_CHECK(id < 0 || msgctl(id, IPC_RMID, NULL) == 0);
    LIVE_CHECK(syscall(SYS_mq_open, "sandlock-test", O_CREAT | O_RDWR, 0600, NULL) < 0);
    LIVE_CHECK(errno == EPERM);
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

static void queues_and_semaphores_are_refused(void **state)
{
    (void)state;
    char eperm[16];
    snprintf(eperm, sizeof(eperm), "%d", EPERM);
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", "isolate_ipc", "true", NULL);
    SL_AUTO(sl_policy) open = live_policy("fs_readable", "/", NULL);
    struct live_run closed = {.policy = policy, .program = "meets", .args = {eperm}};
    assert_int_equal(live_run(&closed), 0);
    assert_int_equal(
        live_run(&(struct live_run){.policy = open, .program = "meets", .args = {"0"}}), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"shares", program_shares},
        {"inherits", program_inherits},
        {"meets", program_meets},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_memory_is_the_trees_own),
        cmocka_unit_test(segments_outlive_their_makers),
        cmocka_unit_test(queues_and_semaphores_are_refused),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
