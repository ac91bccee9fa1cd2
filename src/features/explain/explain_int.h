/* What the files of this room share: calls that Landlock will judge are judged beforehand, to tell
 * of a refusal. Each answers PASS, whatever it found. */
#ifndef SANDLOCK_FEATURES_EXPLAIN_EXPLAIN_INT_H
#define SANDLOCK_FEATURES_EXPLAIN_EXPLAIN_INT_H

#include <stdbool.h>

#include "supervisor/supervisor.h"

/* True once the command's own program has begun: before that the child tries its confinement. */
bool sl_explain_has_begun(const sl_call *call);

/* True if the grants let entries of this directory be made and removed, or when it is none. */
bool sl_explain_may_change(const sl_supervisor *sv, int dir);
/* Tells of a file that the grants do not let be used so: R_OK, W_OK, X_OK as in access(2). */
void sl_explain_use(const sl_call *call, int fd, unsigned modes);

sl_answer sl_explain_make(sl_call *call);
sl_answer sl_explain_bind(sl_call *call);
sl_answer sl_explain_remove(sl_call *call);
sl_answer sl_explain_rename(sl_call *call);
sl_answer sl_explain_link(sl_call *call);

/* The programs that the kernel would start for this one (programs.c). Takes `fd` over. */
sl_answer sl_explain_program(const sl_call *call, int fd);

#endif
