/* Owns the answer to a question that this program never asks: libuv can look up the home directory,
 * and in a static image the C library's answer would bring the name service switch, which loads
 * shared objects of whatever version the machine has. For the static image only. */
#include <errno.h>
#include <pwd.h>

#include "core/util.h"

int getpwuid_r(SL_UNUSED uid_t uid, SL_UNUSED struct passwd *entry, SL_UNUSED char *buf,
               SL_UNUSED size_t size, struct passwd **ret_entry)
{
    *ret_entry = NULL;
    return ENOSYS;
}
