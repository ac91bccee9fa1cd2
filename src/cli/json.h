/* JSON as the program prints it. */
#ifndef SANDLOCK_CLI_JSON_H
#define SANDLOCK_CLI_JSON_H

#include <jansson.h>

#include "core/buf.h"

/* Appends the value, indented, escaped to ASCII, and a line's end. NULL is no memory. 0 or -ENOMEM.
 */
int sl_cli_put_json(sl_buf *out, const json_t *value);

#endif
