/* Owns what the program writes: messages and output. Never lets a byte of the user's words act on
 * it (CWE-117). */
#include "cli/say.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fd.h"

/* Length of the printable character at `s`, or 0: control byte, C1, or no UTF-8. */
static size_t printable_length(const unsigned char *s)
{
    if (s[0] < 0x80) {
        return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
    }
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || (s[0] == 0xc2 && s[1] < 0xa0)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static const char *printable(const char *text, char *out, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0;
    while (*s != '\0') {
        size_t len = printable_length(s);
        if (n + (len == 0 ? 4 : len) >= size) {
            break;
        }
        if (len == 0) {
            snprintf(out + n, size - n, "\\x%02x", *s++);
            n += 4;
        } else {
            memcpy(out + n, s, len);
            s += len;
            n += len;
        }
    }
    out[n] = '\0';
    return out;
}

int sl_cli_put_printable(sl_buf *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    int r = 0;
    while (r == 0 && *s != '\0') {
        size_t len = printable_length(s);
        r = len == 0 ? sl_buf_printf(out, "\\x%02x", *s) : sl_buf_append(out, s, len);
        s += len == 0 ? 1 : len;
    }
    return r;
}

int sl_cli_fail(const sl_error *err)
{
    char line[SL_ERROR_MESSAGE_MAX * 4 + 16] = "sandlock: ";
    size_t n = strlen(line);
    (void)printable(err->message, line + n, sizeof(line) - n - 1);
    n = strlen(line);
    line[n++] = '\n';
    (void)sl_fd_write_all(STDERR_FILENO, line, n);
    return sl_error_exit_code(err->kind);
}

int sl_cli_put(int r, const sl_buf *out)
{
    if (r == 0 && out->len > 0) {
        r = sl_fd_write_all(STDOUT_FILENO, sl_buf_head(out), out->len);
    }
    if (r == 0) {
        return 0;
    }
    sl_error err;
    sl_error_set(&err, -r, "cannot write to standard output: %s", strerror(-r));
    return sl_cli_fail(&err);
}
