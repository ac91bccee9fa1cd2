/* Owns what is peculiar to AArch64. Nobody has written clone3 and the vDSO's code for it: cgroups
 * are not used to be born in, and --time-start and --random-seed are refused. */
#ifdef __aarch64__
#include "kernel/arch/arch.h"

#include <errno.h>
#include <linux/audit.h>
#include <sys/user.h>

#include "core/util.h"

#define NR_RSEQ 293 /* newer than the headers of the oldest system we build on */

const uint32_t sl_arch_audit = AUDIT_ARCH_AARCH64;
const bool sl_arch_has_clone3 = false;

static const int loader[] = {NR_RSEQ};

const sl_arch_calls sl_arch_calls_own = {
    .loader = loader,
    .loader_count = SL_ARRAY_LEN(loader),
};

long sl_arch_clone3(struct clone_args *args, size_t size, int (*fn)(void *arg), void *arg)
{
    (void)args, (void)size, (void)fn, (void)arg;
    return -ENOSYS;
}

const sl_arch_vdso *sl_arch_vdso_code(void)
{
    static const sl_arch_vdso none;
    return &none;
}

/* One that begins anew has its first argument there again. */
long sl_arch_result(const struct user_regs_struct *regs)
{
    return (long)regs->regs[0];
}
#endif
