/* Host names as the network room checks them, for names that arrive as counted bytes. */
#ifndef SANDLOCK_NET_HOSTNAME_INT_H
#define SANDLOCK_NET_HOSTNAME_INT_H

#include <stddef.h>
#include <stdint.h>

#define SL_HOSTNAME_MAX 254 /* RFC 1035 section 2.3.4: 253 characters and the terminator */

/* Copies `data` in lower case if it is labels of 1..63 letters, digits, '-' and '_' joined by
 * single dots, 253 bytes at most, without a dot at the end. Every other byte, NUL included, is
 * refused. 0 or -EINVAL, `out` untouched. */
int sl_hostname_copy(const uint8_t *data, size_t len, char out[SL_HOSTNAME_MAX]);

#endif
