/* Owns the resolving of rules for Unix sockets. What cannot be resolved stays as it is written: it
 * then names nothing but that. */
#include "sandbox/socket_rule.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "kernel/proc.h"

char *sl_socket_rule_resolve(const char *rule)
{
    char real[PATH_MAX];
    char head[PATH_MAX];
    char *text = NULL;
    sl_autoclose int whole = open(rule, O_PATH | O_CLOEXEC);
    const char *star = strchr(rule, '*');
    const char *tail = star != NULL ? star : rule + strlen(rule);
    while (tail > rule && *tail != '/') {
        tail--;
    }
    if (star == NULL && whole >= 0 && sl_proc_fd_path(whole, real) == 0) {
        tail = rule + strlen(rule);
    } else {
        snprintf(head, sizeof(head), "%.*s/", (int)(tail - rule), rule);
        sl_autoclose int dir = open(head, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || sl_proc_fd_path(dir, real) < 0) {
            return strdup(rule);
        }
        real[real[1] == '\0' ? 0 : strlen(real)] = '\0';
    }
    if (strchr(real, '*') != NULL) {
        return strdup(rule);
    }
    return asprintf(&text, "%s%s", real, tail) < 0 ? NULL : text;
}
