/* Numbers of system calls that are newer than the headers of the oldest system we build on, and the
 * same on every architecture. */
#ifndef SANDLOCK_KERNEL_NUMBERS_H
#define SANDLOCK_KERNEL_NUMBERS_H

#define SL_NR_CLONE3         435
#define SL_NR_FUTEX_WAITV    449
#define SL_NR_FCHMODAT2      452
#define SL_NR_FUTEX_WAIT     455
#define SL_NR_STATMOUNT      457
#define SL_NR_LISTMOUNT      458
#define SL_NR_LSM_SET_ATTR   460
#define SL_NR_SETXATTRAT     463
#define SL_NR_GETXATTRAT     464
#define SL_NR_LISTXATTRAT    465
#define SL_NR_REMOVEXATTRAT  466
#define SL_NR_OPEN_TREE_ATTR 467
#define SL_NR_FILE_GETATTR   468
#define SL_NR_FILE_SETATTR   469

#endif
