/* For tests alone: this kernel taken for an older one. Never called by a program of ours. */
#ifndef SANDLOCK_KERNEL_OLDER_INT_H
#define SANDLOCK_KERNEL_OLDER_INT_H

/* From now on Landlock has no more than this ABI. */
void sl_landlock_pretend(int abi);
/* From now on no thread has a pidfd (Linux 6.9). */
void sl_pidfd_pretend_leaders(void);

#endif
