/* Ending every process below this one. */
#ifndef SANDLOCK_ENGINE_KILLALL_H
#define SANDLOCK_ENGINE_KILLALL_H

#include <sys/types.h>

/* Kills and reaps all children, and, since this process is their subreaper, what falls to it when
 * they die, until none is left. `spare`: a child to leave alone, or 0. */
void sl_killall(pid_t spare);

#endif
