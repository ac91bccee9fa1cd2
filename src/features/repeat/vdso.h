/* What is written over the vDSO of a new program image, vdso(7): the code there reads clock and
 * randomness without a system call, so that no filter would see it. */
#ifndef SANDLOCK_FEATURES_REPEAT_VDSO_H
#define SANDLOCK_FEATURES_REPEAT_VDSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "kernel/arch/arch.h"

#define SL_VDSO_HEAD     16  /* bytes by which an image is recognised: e_ident */
#define SL_VDSO_CODE_MAX 256 /* of ours */
#define SL_VDSO_JUMPS    8
#define SL_VDSO_STATE    256 /* room that is ours in every image (image.h) */

/* Every process of one kernel gets the same image: it is planned once, on our own. */
typedef struct sl_vdso_plan {
    uint8_t head[SL_VDSO_HEAD];   /* as the kernel maps it */
    uint8_t marked[SL_VDSO_HEAD]; /* as it is when ours has been written */
    uint8_t code[SL_VDSO_CODE_MAX];
    uint32_t code_at;  /* offsets in the image */
    uint32_t state_at; /* SL_VDSO_STATE bytes */
    struct {
        uint32_t at;
        uint8_t bytes[SL_ARCH_JUMP];
    } jumps[SL_VDSO_JUMPS];
    size_t jump_count;
} sl_vdso_plan;

/* `offset_ns`: what the wall clock is ahead of the real one (a multiple of 1000), when `time`. */
int sl_vdso_make_plan(bool time, int64_t offset_ns, bool random, sl_vdso_plan *ret_plan,
                      sl_error *err);

/* Through a descriptor of /proc/PID/mem. 1 when it is written now, 0 when it was before; -ENOENT
 * when something else is at `base`; -errno. */
int sl_vdso_apply(const sl_vdso_plan *plan, int mem, uint64_t base);

/* Our room in an image: at most SL_VDSO_STATE bytes, zeros at first. It goes with a fork, and is
 * gone after execve. -ENOENT: ours was never written there. */
int sl_vdso_read_state(const sl_vdso_plan *plan, int mem, uint64_t base, void *state, size_t len);
int sl_vdso_write_state(const sl_vdso_plan *plan, int mem, uint64_t base, const void *state,
                        size_t len);

#endif
