/* Rules that name Unix sockets by their path, among those of net_allow: "unix:/run/docker.sock", in
 * which a star stands for anything within its segment. They grant and never restrict: beside them
 * the network is what the other rules leave of it. */
#ifndef SANDLOCK_POLICY_UNIX_RULE_H
#define SANDLOCK_POLICY_UNIX_RULE_H

#include <stdbool.h>

#include "core/err.h"

#define SL_UNIX_RULE_SCHEME "unix:"

/* True if this word is meant as such a rule. */
bool sl_unix_rule_is(const char *text);

/* The path of a rule, without its scheme: absolute, in plain form, a star standing for anything
 * within its segment. NULL with an error that says what is wrong. */
const char *sl_unix_rule_path(const char *text, sl_error *err);

/* Does the path of a rule name this one (absolute, resolved)? */
bool sl_unix_rule_has(const char *rule, const char *path);

#endif
