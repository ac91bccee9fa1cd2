/* One line for the person who started the run. */
#ifndef SANDLOCK_ENGINE_CALLER_SAY_H
#define SANDLOCK_ENGINE_CALLER_SAY_H

/* "sandlock: MESSAGE" on standard error, in one write; control bytes are shown. */
void sl_say(const char *message);

#endif
