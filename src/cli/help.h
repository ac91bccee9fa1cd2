/* The help texts. */
#ifndef SANDLOCK_CLI_HELP_H
#define SANDLOCK_CLI_HELP_H

/* Prints the help of a command (NULL: of the program) on stdout. Returns the exit code. */
int sl_cli_help_print(const char *command);

#endif
