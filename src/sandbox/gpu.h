/* The device nodes of GPUs: which there are, and which of them a policy names. */
#ifndef SANDLOCK_SANDBOX_GPU_H
#define SANDLOCK_SANDBOX_GPU_H

#include "core/err.h"
#include "core/strv.h"
#include "policy/policy.h"

#define SL_GPU_NODES_MAX 256

/* Sorts the nodes below `dev` ("/dev") into those that gpu_devices grants and the other ones.
 * GPU N is nvidiaN and the render node N (dri/renderD128+N), with the nodes that all GPUs of their
 * kind share. Fails when a GPU that is named is not there. Kind: SYSTEM. */
int sl_gpu_nodes(const sl_policy *policy, const char *dev, sl_strv *ret_granted,
                 sl_strv *ret_others, sl_error *err);

#endif
