/* Owns the deadline of a unit test's program, and of the confined ones that it starts of itself: it
 * is linked into each of them and begins before main. Never: the deadline of what a test forks,
 * which ends with its parent or has one of its own. cmocka has said by then which test it was. */
#include <signal.h>
#include <unistd.h>

#define DEADLINE_SECONDS 100 /* ctest's own, which says nothing, is longer */

static void on_deadline(int number)
{
    static const char words[] = "the test is not done within its deadline: it hangs\n";
    (void)number;
    (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
    _exit(1);
}

__attribute__((constructor)) static void begin_deadline(void)
{
    struct sigaction action = {.sa_handler = on_deadline};
    sigset_t set;
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    alarm(DEADLINE_SECONDS);
}
