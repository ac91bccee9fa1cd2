/* The names of signals. */
#ifndef SANDLOCK_CLI_SIGNALS_H
#define SANDLOCK_CLI_SIGNALS_H

/* The number of "TERM", "sigterm" or "15"; -1 for none. */
int sl_cli_signal(const char *word);

#endif
