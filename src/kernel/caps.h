/* The one way to lay down capabilities(7). */
#ifndef SANDLOCK_KERNEL_CAPS_H
#define SANDLOCK_KERNEL_CAPS_H

#include <stdint.h>

#define SL_CAPS_NONE UINT32_C(0)

/* Drops every capability of the calling thread but those of `kept` (bits by number, below 32; what
 * is not there is not gained): the bounding set where that may be changed, so that no execve(2)
 * brings one back, the ambient set, and the thread's own. Cannot be taken back. Async-signal-safe.
 * 0 or -errno, and then the process must not go on. */
int sl_caps_drop(uint32_t kept);

#endif
