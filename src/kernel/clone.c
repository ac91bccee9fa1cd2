/* Owns the birth of a process in a cgroup (clone3(2), CLONE_INTO_CGROUP). Moving it there once it
 * lives is no way: the kernel waits for all processors then, 11 ms where a start takes 1. The C
 * library has no call for it, and a child on a stack of its own cannot return through one: so a few
 * lines of assembly. */
#include "kernel/clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif

#define CSIGNAL_MASK 0xffu /* of clone's flags: the signal at the end */

#ifdef __x86_64__

/* `fn` and `arg` in registers that the system call keeps: the child sees nothing of our stack. */
static long clone3(struct clone_args *args, size_t size, int (*fn)(void *), void *arg)
{
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t" /* the outermost frame */
                     "mov %[arg], %%rdi\n\t"
                     "call *%[fn]\n\t"
                     "mov %%eax, %%edi\n\t"
                     "mov %[exit], %%eax\n\t"
                     "syscall\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "0"((long)SYS_clone3), "D"(args),
                       "S"(size), [fn] "b"(fn), [arg] "d"(arg), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

bool sl_clone_knows_cgroups(void)
{
    /* Too small a size is EINVAL where the call is known, whatever a filter thinks of others. */
    return syscall(SYS_clone3, NULL, 0) < 0 && errno == EINVAL;
}

#else

static long clone3(struct clone_args *args, size_t size, int (*fn)(void *), void *arg)
{
    (void)args, (void)size, (void)fn, (void)arg;
    return -ENOSYS;
}

bool sl_clone_knows_cgroups(void)
{
    return false; /* nobody has written and seen it work on this machine's kind */
}

#endif

pid_t sl_clone(int flags, int cgroup_fd, void *stack, size_t stack_size, int (*fn)(void *arg),
               void *arg)
{
    if (cgroup_fd < 0) {
        return clone(fn, (char *)stack + stack_size, flags, arg);
    }
    struct clone_args args = {
        .flags = ((unsigned)flags & ~CSIGNAL_MASK) | CLONE_INTO_CGROUP,
        .exit_signal = (unsigned)flags & CSIGNAL_MASK,
        .stack = (uintptr_t)stack,
        .stack_size = stack_size,
        .cgroup = (unsigned)cgroup_fd,
    };
    long pid = clone3(&args, sizeof(args), fn, arg);
    if (pid < 0) {
        errno = (int)-pid;
        return -1;
    }
    return (pid_t)pid;
}
