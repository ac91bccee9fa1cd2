/* Owns the name of the machine as the child is told it: uname(2), and the files that say the same.
 * It is a view and keeps nothing secret. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/util.h"
#include "features/features.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

struct sl_hostname_state {
    int text_fd; /* the name and a newline */
};

static bool wanted(const sl_policy *policy)
{
    return policy->hostname != NULL;
}

static sl_answer handle_uname(sl_call *call)
{
    struct utsname names;
    memset(&names, 0, sizeof(names));
    if (uname(&names) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    memset(names.nodename, 0, sizeof(names.nodename));
    snprintf(names.nodename, sizeof(names.nodename), "%s", call->sv->policy->hostname);
    return SL_ANSWER_VALUE(sl_call_write(call, call->args[0], &names, sizeof(names)));
}

static sl_answer handle_open(sl_call *call)
{
    static const char *const files[] = {"/etc/hostname", "/proc/sys/kernel/hostname"};
    if (sl_vfile_which(call, files, SL_ARRAY_LEN(files)) == SL_ARRAY_LEN(files)) {
        return SL_ANSWER_PASS;
    }
    const struct sl_hostname_state *s = sl_supervisor_state(call->sv, &sl_feature_hostname);
    return sl_vfile_give(call, s->text_fd);
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_hostname_state *s = state;
    char text[sizeof(((struct utsname *)0)->nodename) + 1];
    int n = snprintf(text, sizeof(text), "%s\n", sv->policy->hostname);
    s->text_fd = sl_fd_memfd("hostname", text, (size_t)n);
    if (s->text_fd < 0) {
        return sl_error_set(err, -s->text_fd, "cannot make a memory file: %s",
                            strerror(-s->text_fd));
    }
    return 0;
}

static void teardown(void *state)
{
    struct sl_hostname_state *s = state;
    sl_close(s->text_fd);
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_uname, .handler = handle_uname},
    SL_VFILE_ROWS(handle_open),
};

const sl_feature sl_feature_hostname = {
    .name = "hostname",
    .wanted = wanted,
    .writes = wanted,
    .option = "--hostname",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_hostname_state),
    .setup = setup,
    .teardown = teardown,
};
