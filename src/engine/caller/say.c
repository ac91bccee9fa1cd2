/* Owns the lines on standard error of guardian and engine: one write, one line, whatever is in it
 * (SUP-09). */
#include "engine/caller/say.h"

#include <stdio.h>
#include <unistd.h>

#include "core/err.h"
#include "core/fd.h"
#include "core/text.h"
#include "core/util.h"

void sl_say(const char *message)
{
    char line[SL_ERROR_MESSAGE_MAX + 16];
    int n = snprintf(line, sizeof(line) - 1, "sandlock: %s", message);
    size_t len = n < 0 ? 0 : SL_MIN((size_t)n, sizeof(line) - 2);
    sl_printable(line);
    line[len] = '\n';
    sl_fd_write_all(STDERR_FILENO, line, len + 1);
}
