/* Owns what is peculiar to x86-64. */
#ifdef __x86_64__
#include "kernel/arch/arch.h"

#include <linux/audit.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "core/util.h"

#define NR_RSEQ 334 /* newer than the headers of the oldest system we build on */

const uint32_t sl_arch_audit = AUDIT_ARCH_X86_64;
const bool sl_arch_has_clone3 = true;

static const int refused[] = {
    SYS_iopl,          SYS_ioperm,          SYS_modify_ldt,   SYS_uselib,
    SYS__sysctl,       SYS_sysfs,           SYS_ustat,        SYS_nfsservctl,
    SYS_create_module, SYS_get_kernel_syms, SYS_query_module, SYS_lookup_dcookie,
};

static const int loader[] = {SYS_arch_prctl, SYS_access, NR_RSEQ};

const sl_arch_calls sl_arch_calls_own = {
    .refused = refused,
    .refused_count = SL_ARRAY_LEN(refused),
    .loader = loader,
    .loader_count = SL_ARRAY_LEN(loader),
};

/* `fn` and `arg` in registers that the system call keeps: the child sees nothing of our stack. */
long sl_arch_clone3(struct clone_args *args, size_t size, int (*fn)(void *arg), void *arg)
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

/* The code keeps to what a leaf function of the ABI may change. The three words before it are
 * the offset: seconds, and what is left (never negative) in nanoseconds and microseconds. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "sl_arch_vdso_bytes:\n"
        "1:  .quad 0\n" /* seconds */
        "2:  .quad 0\n" /* nanoseconds */
        "3:  .quad 0\n" /* microseconds */

        "sl_arch_vdso_clock_gettime:\n" /* (clockid edi, timespec rsi) */
        "    mov $0x736c746d, %edx\n"
        "    mov $228, %eax\n"
        "    syscall\n"
        "    test %eax, %eax\n"
        "    jne 9f\n"
        "    test %edi, %edi\n" /* CLOCK_REALTIME */
        "    je 5f\n"
        "    cmp $5, %edi\n" /* _COARSE */
        "    je 5f\n"
        "    cmp $8, %edi\n" /* _ALARM */
        "    je 5f\n"
        "    cmp $11, %edi\n" /* CLOCK_TAI */
        "    jne 9f\n"
        "5:  mov 1b(%rip), %rax\n"
        "    mov 2b(%rip), %rcx\n"
        "    add 8(%rsi), %rcx\n"
        "    cmp $1000000000, %rcx\n"
        "    jl 6f\n"
        "    sub $1000000000, %rcx\n"
        "    inc %rax\n"
        "6:  mov %rcx, 8(%rsi)\n"
        "    add %rax, (%rsi)\n"
        "    xor %eax, %eax\n"
        "9:  ret\n"

        "sl_arch_vdso_gettimeofday:\n" /* (timeval rdi or 0, timezone rsi or 0) */
        "    mov $0x736c746d, %edx\n"
        "    mov $96, %eax\n"
        "    syscall\n"
        "    test %eax, %eax\n"
        "    jne 9f\n"
        "    test %rdi, %rdi\n"
        "    je 9f\n"
        "    mov 1b(%rip), %rax\n"
        "    mov 3b(%rip), %rcx\n"
        "    add 8(%rdi), %rcx\n"
        "    cmp $1000000, %rcx\n"
        "    jl 6f\n"
        "    sub $1000000, %rcx\n"
        "    inc %rax\n"
        "6:  mov %rcx, 8(%rdi)\n"
        "    add %rax, (%rdi)\n"
        "    xor %eax, %eax\n"
        "9:  ret\n"

        "sl_arch_vdso_time:\n" /* (time_t rdi or 0) */
        "    mov %rdi, %r8\n"
        "    sub $24, %rsp\n"
        "    mov %rsp, %rsi\n"
        "    xor %edi, %edi\n"
        "    call sl_arch_vdso_clock_gettime\n"
        "    mov (%rsp), %rax\n"
        "    add $24, %rsp\n"
        "    test %r8, %r8\n"
        "    je 9f\n"
        "    mov %rax, (%r8)\n"
        "9:  ret\n"

        "sl_arch_vdso_getrandom:\n" /* -ENOSYS: every libc then asks the kernel */
        "    mov $-38, %rax\n"
        "    ret\n"
        "sl_arch_vdso_end:\n"
        ".popsection\n");

extern const uint8_t sl_arch_vdso_bytes[], sl_arch_vdso_end[];
extern const uint8_t sl_arch_vdso_clock_gettime[], sl_arch_vdso_gettimeofday[], sl_arch_vdso_time[],
    sl_arch_vdso_getrandom[];

/* The two spellings of a function are one address: the jump is written twice, and is the same. */
static const sl_arch_stand_in functions[] = {
    {"__vdso_clock_gettime", sl_arch_vdso_clock_gettime, false},
    {"__vdso_gettimeofday", sl_arch_vdso_gettimeofday, false},
    {"__vdso_time", sl_arch_vdso_time, false},
    {"__vdso_getrandom", sl_arch_vdso_getrandom, true},
};

static void write_jump(int32_t distance, uint8_t ret_bytes[SL_ARCH_JUMP])
{
    int32_t behind = distance - 5; /* it counts from its own end */
    ret_bytes[0] = 0xe9;           /* jmp rel32 */
    memcpy(ret_bytes + 1, &behind, sizeof(behind));
    memset(ret_bytes + 5, 0xcc, SL_ARCH_JUMP - 5);
}

const sl_arch_vdso *sl_arch_vdso_code(void)
{
    static sl_arch_vdso vdso;
    vdso = (sl_arch_vdso){
        .code = sl_arch_vdso_bytes,
        .code_len = (size_t)(sl_arch_vdso_end - sl_arch_vdso_bytes),
        .functions = functions,
        .function_count = SL_ARRAY_LEN(functions),
        .write_jump = write_jump,
    };
    return &vdso;
}

long sl_arch_result(const struct user_regs_struct *regs)
{
    return (long)regs->rax;
}
#endif
