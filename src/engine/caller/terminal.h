/* The terminal of an interactive run (-i): a pair of our own between the caller's terminal and the
 * command. Bytes go through the guardian, which is in the caller's foreground group; nobody looks
 * at them. docs/internals/terminal.md tells it in full. */
#ifndef SANDLOCK_ENGINE_CALLER_TERMINAL_H
#define SANDLOCK_ENGINE_CALLER_TERMINAL_H

#include <poll.h>
#include <stdbool.h>

#include "core/err.h"
#include "core/util.h"

#define SL_TERMINAL_BUFFER 16384 /* bytes on their way, for each direction */
#define SL_TERMINAL_POLLED 2     /* descriptors that the guardian waits for */

typedef struct sl_terminal sl_terminal;

/* Makes the pair, with the attributes and the size of the terminal that standard input is.
 * -ENOTTY when it is none. */
int sl_terminal_new(sl_terminal **ret_terminal, sl_error *err);
void sl_terminal_free(sl_terminal *t);
SL_DEFINE_AUTO(sl_terminal, sl_terminal_free);

/* The command's side; stays ours. */
int sl_terminal_slave(const sl_terminal *t);
/* A bit for each standard descriptor that is the caller's terminal: those become the command's. */
unsigned sl_terminal_replaces(const sl_terminal *t);
/* In the process that keeps only one side. */
void sl_terminal_close_slave(sl_terminal *t);
void sl_terminal_close_master(sl_terminal *t);

/* The guardian's: every key is a byte from now on; size first, then attributes. Again after a stop.
 */
void sl_terminal_begin(sl_terminal *t);
/* The caller's attributes are back. Nothing to do before sl_terminal_begin. */
void sl_terminal_restore(sl_terminal *t);
/* The same for a process that comes late: only if nobody has changed them since. */
void sl_terminal_restore_left(sl_terminal *t);
/* Hands the size on; the kernel tells the foreground group inside. */
void sl_terminal_resize(sl_terminal *t);

/* What to wait for; entries of -1 are skipped by poll(2). */
void sl_terminal_poll(const sl_terminal *t, struct pollfd polled[SL_TERMINAL_POLLED]);
/* Moves what can be moved without waiting. */
void sl_terminal_pump(sl_terminal *t, const struct pollfd polled[SL_TERMINAL_POLLED]);
/* The command is gone: shows what it wrote last. Waits for the terminal, not for ever. */
void sl_terminal_drain(sl_terminal *t);

#endif
