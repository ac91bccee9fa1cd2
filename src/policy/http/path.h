/* What this room alone may see of paths; the normal form itself is in policy/http/rule.h. */
#ifndef SANDLOCK_POLICY_HTTP_PATH_H
#define SANDLOCK_POLICY_HTTP_PATH_H

#include <stdbool.h>

#define SL_HTTP_PATH_MAX (1u << 20) /* bytes; a length that an int holds */

/* What "%2F" is, in pattern and path alike: a character of its segment, or a slash. */
enum sl_http_reading { SL_HTTP_WRITTEN, SL_HTTP_DECODED };

/* Does the pattern (normal form; a final "*" is the rest, "*" inside stays within a segment, "**"
 * is any depth) name this path (normal form)? Other percent codes and the bytes they stand for are
 * equal. */
bool sl_http_path_match(const char *pattern, const char *path, enum sl_http_reading reading);

#endif
