/* JSON text, written straight into a buffer. Strings are escaped so that a line stays a line and a
 * terminal stays calm: control bytes (C1 too) as \u00XX, bytes that are not UTF-8 as \ufffd. */
#ifndef SANDLOCK_CORE_JSON_H
#define SANDLOCK_CORE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* All return 0 or -errno. A member puts the comma before itself where one is needed; `key` is a
 * constant of ours. */
int sl_json_string(sl_buf *out, const char *text, size_t len);
int sl_json_member(sl_buf *out, const char *key, const char *text); /* NULL: null */
int sl_json_number(sl_buf *out, const char *key, uint64_t value);

#endif
