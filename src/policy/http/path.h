/* What this room alone may see of paths; the normal form itself is in policy/http/rule.h. */
#ifndef SANDLOCK_POLICY_HTTP_PATH_H
#define SANDLOCK_POLICY_HTTP_PATH_H

#include <stdbool.h>

#define SL_HTTP_PATH_MAX (1u << 20) /* bytes; a length that an int holds */

#define SL_HTTP_DECODINGS_MAX 4 /* decodings of one code, behind the first, that are followed */

/* Does the pattern (normal form; a final "*" is the rest, "*" inside stays within a segment, "**"
 * is any depth) name this path (normal form), where both are read as written? Percent codes and the
 * bytes they stand for are equal, but for "%2F", which is no slash. */
bool sl_http_path_match(const char *pattern, const char *path);

/* Has it more than one reading (readings.c)? */
bool sl_http_path_is_odd(const char *path);
/* Does the pattern name the path in all of its readings, or for `deny` in one of them? */
bool sl_http_path_reads(const char *pattern, const char *path, bool deny);
/* Are there readings beyond those: dot segments that appear late, codes within codes within codes?
 */
bool sl_http_path_is_unclear(const char *path);

#endif
