/* VERB ALLOWED DENIED ROUNDS: races between what is judged and what the kernel would read again.
 * They end when both objects were got, or behind so many rounds of which one got what is allowed.
 *   path  the last letter of ALLOWED, the path of inotify_add_watch(2), becomes DENIED's and back
 *   lease the descriptor of ALLOWED is replaced by one of DENIED while a lease is asked for */
#include "attack.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/inotify.h>

#define ROUNDS_MOST 10000000

static const char *allowed;
static const char *denied;
static volatile char path[4096];
static int fds[3]; /* allowed, denied, the one that is asked for */
static atomic_bool over;
static int rounds;
static int right;
static int wrong;

static bool go_on(int round)
{
    return round < ROUNDS_MOST && (right == 0 || (wrong == 0 && round < rounds));
}

static void *rewrite(void *arg)
{
    size_t last = strlen(allowed) - 1;
    while (!over) {
        path[last] = denied[last];
        path[last] = allowed[last];
    }
    return arg;
}

static void *replace(void *arg)
{
    while (!over) {
        dup2(fds[1], fds[2]);
        sched_yield();
        dup2(fds[0], fds[2]);
        sched_yield();
    }
    return arg;
}

static void race_path(void)
{
    int group = inotify_init();
    int own = inotify_add_watch(group, allowed, IN_ALL_EVENTS);
    for (int i = 0; go_on(i); i++) {
        int wd = inotify_add_watch(group, (const char *)path, IN_ALL_EVENTS);
        right += wd == own;
        wrong += wd > 0 && wd != own; /* a watch of another object */
    }
}

static void race_lease(void)
{
    fds[0] = open(allowed, O_RDONLY);
    fds[1] = open(denied, O_RDONLY);
    fds[2] = dup(fds[0]);
    for (int i = 0; go_on(i); i++) {
        fcntl(fds[2], F_SETLEASE, F_RDLCK);
        right += fcntl(fds[0], F_GETLEASE) == F_RDLCK;
        wrong += fcntl(fds[1], F_GETLEASE) == F_RDLCK;
        fcntl(fds[0], F_SETLEASE, F_UNLCK);
        fcntl(fds[1], F_SETLEASE, F_UNLCK);
    }
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 5) {
        return 2;
    }
    bool paths = strcmp(argv[1], "path") == 0;
    allowed = argv[2];
    denied = argv[3];
    rounds = (int)strtol(argv[4], NULL, 10);
    for (size_t k = 0; k <= strlen(allowed); k++) {
        path[k] = allowed[k];
    }
    fds[0] = fds[1] = fds[2] = open("/dev/null", O_RDONLY);
    if (pthread_create(&thread, NULL, paths ? rewrite : replace, NULL) != 0) {
        return 1;
    }
    if (paths) {
        race_path();
    } else {
        race_lease();
    }
    over = true;
    pthread_join(thread, NULL);
    printf("right %d\nwrong %d\n", right > 0, wrong > 0);
    return 0;
}
