/* Owns the one form of JSON on standard output. */
#include "cli/json.h"

#include <errno.h>

static int append(const char *data, size_t size, void *out)
{
    return sl_buf_append(out, data, size) < 0 ? -1 : 0;
}

int sl_cli_put_json(sl_buf *out, const json_t *value)
{
    if (value == NULL ||
        json_dump_callback(value, append, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) < 0) {
        return -ENOMEM;
    }
    return sl_buf_append_str(out, "\n");
}
