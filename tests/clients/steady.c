/* Prints what a run can read of clock and chance: seconds from every source, then random bytes; in
 * the program itself, in a thread, in a child, and after execve. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void print_seconds(const char *where)
{
    struct timespec a = {0};
    struct timespec b = {0};
    struct timeval tv = {0};
    clock_gettime(CLOCK_REALTIME, &a);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &b);
    gettimeofday(&tv, NULL);
    printf("seconds %s %lld %lld %lld %lld\n", where, (long long)a.tv_sec, (long long)b.tv_sec,
           (long long)tv.tv_sec, (long long)time(NULL));
}

static void print_bytes(const char *where, const uint8_t *bytes, size_t n)
{
    printf("bytes %s ", where);
    for (size_t i = 0; i < n; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

static void print_chance(const char *where)
{
    uint8_t bytes[16] = {0};
    int fd = open("/dev/urandom", O_RDONLY);
    if (syscall(SYS_getrandom, bytes, sizeof(bytes), 0) == sizeof(bytes)) {
        print_bytes(where, bytes, sizeof(bytes));
    }
    if (fd >= 0 && read(fd, bytes, sizeof(bytes)) == sizeof(bytes)) {
        print_bytes(where, bytes, sizeof(bytes));
    }
    print_bytes(where, (const uint8_t *)getauxval(AT_RANDOM), 16);
}

static void *in_thread(void *unused)
{
    print_seconds("thread");
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        print_seconds("execve");
        print_chance("execve");
        return 0;
    }
    print_seconds("program");
    print_chance("program");
    if (pthread_create(&thread, NULL, in_thread, NULL) != 0) {
        return 1;
    }
    pthread_join(thread, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        print_seconds("child");
        print_chance("child");
        return 0;
    }
    waitpid(pid, NULL, 0);
    execl(argv[0], argv[0], "again", (char *)NULL);
    return 1;
}
