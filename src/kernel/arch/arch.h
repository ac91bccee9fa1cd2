/* What differs between processor architectures, and nothing else: one file for each, beside this
 * one. To add one: its name below, its file and a line in kernel/CMakeLists.txt. */
#ifndef SANDLOCK_KERNEL_ARCH_ARCH_H
#define SANDLOCK_KERNEL_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "no file of kernel/arch is for this processor"
#endif
/* A filter reads an argument as two words, the low one first (kernel/bpf.c). */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "no filter is written for this processor");

struct clone_args;
struct user_regs_struct;

/* AUDIT_ARCH_* of the only calls that a filter lets in: seccomp(2). */
extern const uint32_t sl_arch_audit;

/* System calls that only this architecture has: those no program needs (of the built-in list), and
 * those that a dynamically linked program makes before its main. */
typedef struct sl_arch_calls {
    const int *refused;
    size_t refused_count;
    const int *loader;
    size_t loader_count;
} sl_arch_calls;
extern const sl_arch_calls sl_arch_calls_own;

/* clone3(2) with a stack: fn(arg) runs in the child, its result is the exit status. The number of
 * the child, or -errno; -ENOSYS where nobody has written it. The C library has no call for it. */
long sl_arch_clone3(struct clone_args *args, size_t size, int (*fn)(void *arg), void *arg);
extern const bool sl_arch_has_clone3;

/* What a system call returned to the thread with these registers, or -errno, also one of the
 * kernel's own that make it begin anew, where they can be seen. */
long sl_arch_result(const struct user_regs_struct *regs);

/* Code that stands in for functions of the vDSO, vdso(7): it may be copied anywhere as a whole. Its
 * first three words (of 64 bits) are the offset of the clock: seconds, and the rest in nanoseconds
 * and in microseconds. Its system calls have SL_ARCH_VDSO_MAGIC as their third argument. */
#define SL_ARCH_VDSO_MAGIC 0x736c746du
#define SL_ARCH_JUMP       8 /* bytes that are written over the start of a function */

typedef struct sl_arch_stand_in {
    const char *name;    /* of the vDSO's function */
    const uint8_t *code; /* within `code` below */
    bool random;         /* it gives random bytes; else the time */
} sl_arch_stand_in;

typedef struct sl_arch_vdso {
    const uint8_t *code;
    size_t code_len; /* 0: this architecture has none */
    const sl_arch_stand_in *functions;
    size_t function_count;
    /* A jump of so many bytes from its own start. */
    void (*write_jump)(int32_t distance, uint8_t ret_bytes[SL_ARCH_JUMP]);
} sl_arch_vdso;
const sl_arch_vdso *sl_arch_vdso_code(void);

#endif
