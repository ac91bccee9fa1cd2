/* What the words after `sandlock` do. Each gets its own words, argv[0] being its name, and returns
 * the exit code. */
#ifndef SANDLOCK_CLI_MAINS_H
#define SANDLOCK_CLI_MAINS_H

int sl_cli_run_main(int argc, char **argv);
int sl_cli_ps_main(int argc, char **argv);
int sl_cli_inspect_main(int argc, char **argv);
int sl_cli_kill_main(int argc, char **argv);
int sl_cli_check_main(int argc, char **argv);
int sl_cli_profile_main(int argc, char **argv);
int sl_cli_version_main(int argc, char **argv);
int sl_cli_help_main(int argc, char **argv);

#endif
