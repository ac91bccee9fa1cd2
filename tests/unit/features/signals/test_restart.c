/* Handlers of SIGCHLD restart calls, live; every other handler stays as it was asked for. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "live.h"

static void on_signal(int sig)
{
    (void)sig;
}

/* What the kernel keeps of an action asked for with `flags`. */
static int kept_flags(int sig, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    struct sigaction kept = {0};
    if (sigaction(sig, &action, NULL) < 0 || sigaction(sig, NULL, &kept) < 0 ||
        kept.sa_handler != handler || action.sa_flags != flags) {
        return -1;
    }
    return kept.sa_flags & (SA_RESTART | SA_NOCLDSTOP | SA_NODEFER);
}

static int program_asks_for_handlers(char **args)
{
    (void)args;
    LIVE_CHECK(kept_flags(SIGCHLD, on_signal, 0) == SA_RESTART);
    LIVE_CHECK(kept_flags(SIGCHLD, on_signal, SA_NOCLDSTOP) == (SA_RESTART | SA_NOCLDSTOP));
    LIVE_CHECK(kept_flags(SIGCHLD, on_signal, SA_RESTART) == SA_RESTART);
    LIVE_CHECK(kept_flags(SIGCHLD, SIG_DFL, 0) == 0 && kept_flags(SIGCHLD, SIG_IGN, 0) == 0);
    LIVE_CHECK(kept_flags(SIGALRM, on_signal, 0) == 0);
    LIVE_CHECK(kept_flags(SIGUSR1, on_signal, SA_NODEFER) == SA_NODEFER);
    return 0;
}

/* Pointers that lead nowhere, and an action at the end of memory that may only be read. */
static int program_asks_with_bad_pointers(char **args)
{
    (void)args;
    long size = sysconf(_SC_PAGESIZE);
    char *page =
        mmap(NULL, (size_t)size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LIVE_CHECK(page != MAP_FAILED && munmap(page + size, (size_t)size) == 0);
    uintptr_t bad[] = {1, (uintptr_t)page + (uintptr_t)size - 8, (uintptr_t)page + (uintptr_t)size,
                       UINTPTR_MAX - 8, UINTPTR_MAX};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        LIVE_CHECK(syscall(SYS_rt_sigaction, SIGCHLD, bad[i], NULL, 8) < 0 && errno == EFAULT);
    }
    memset(page, 0, (size_t)size);
    LIVE_CHECK(mprotect(page, (size_t)size, PROT_READ) == 0);
    LIVE_CHECK(syscall(SYS_rt_sigaction, SIGCHLD, page + size - 32, NULL, 8) == 0); /* SIG_DFL */
    LIVE_CHECK(syscall(SYS_rt_sigaction, SIGCHLD, page, NULL, 3) < 0 && errno == EINVAL);
    return 0;
}

static int run(const char *program)
{
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    return live_run(&(struct live_run){.policy = policy, .program = program});
}

static void handlers_of_children_restart(void **state)
{
    (void)state;
    assert_int_equal(run("asks_for_handlers"), 0);
}

static void bad_pointers_stay_the_callers(void **state)
{
    (void)state;
    assert_int_equal(run("asks_with_bad_pointers"), 0);
}

int main(int argc, char **argv)
{
    static const struct live_program programs[] = {
        {"asks_for_handlers", program_asks_for_handlers},
        {"asks_with_bad_pointers", program_asks_with_bad_pointers},
        {NULL, NULL},
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_of_children_restart),
        cmocka_unit_test(bad_pointers_stay_the_callers),
    };
    live_start(argc, argv, programs);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
