/* Rules for Unix sockets (`unix:PATH`), as what they mean on this machine. */
#ifndef SANDLOCK_SANDBOX_SOCKET_RULE_H
#define SANDLOCK_SANDBOX_SOCKET_RULE_H

/* The path of such a rule with the links of its fixed part (before the first star) followed, once
 * and here: what the command makes of them later does not move it. The caller frees it; NULL: no
 * memory. */
char *sl_socket_rule_resolve(const char *rule);

#endif
