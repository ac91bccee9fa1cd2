/* A new program image of the tree, met at its first system calls (image.c). */
#ifndef SANDLOCK_FEATURES_REPEAT_IMAGE_H
#define SANDLOCK_FEATURES_REPEAT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "features/repeat/vdso.h"
#include "supervisor/notify.h"

struct sl_image_state {
    sl_vdso_plan plan;
    int64_t offset_ns; /* what the tree's wall clock is ahead of the real one; a multiple of 1000 */
};

/* What the whole tree shares of it; there is one wherever time_start or random_seed is. */
const struct sl_image_state *sl_image_of(const struct sl_supervisor *sv);

/* The memory of a caller, as the kernel laid it out at execve(2). */
typedef struct sl_image {
    int mem;            /* /proc/PID/mem */
    uint64_t vdso;      /* AT_SYSINFO_EHDR; 0: none */
    uint64_t at_random; /* AT_RANDOM */
} sl_image;

/* Opens the caller's image; close `mem`. -errno when it cannot be reached. */
int sl_image_open(const sl_call *call, sl_image *ret_image);

#endif
