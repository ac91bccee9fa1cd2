/* What the program writes: messages and output. */
#ifndef SANDLOCK_CLI_SAY_H
#define SANDLOCK_CLI_SAY_H

#include "core/buf.h"
#include "core/err.h"

#define SL_CLI_OUTPUT_MAX (1u << 20)

/* One line "sandlock: ..." on stderr, control bytes shown as \xNN. Returns the exit code. */
int sl_cli_fail(const sl_error *err);

/* Appends text that others chose, control bytes shown as \xNN. 0 or -errno. */
int sl_cli_put_printable(sl_buf *out, const char *text);

/* Writes to stdout. Returns the exit code: 0, or 125 after saying why it failed. `r` is the result
 * of the filling of `out`. */
int sl_cli_put(int r, const sl_buf *out);

#endif
