/* Owns `sandlock run`: from the words to the engine. Every bad word ends it before anything runs.
 * It judges no rule and looks at no path: policy and engine do. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/mains.h"
#include "cli/options.h"
#include "cli/say.h"
#include "core/fd.h"
#include "core/trace.h"
#include "core/util.h"
#include "engine/run.h"

/* A missing standard descriptor would be filled by the first file that is opened, and the command
 * would then write into it. */
static int fill_standard(sl_error *err)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) {
            return sl_error_set(err, errno, "cannot open '/dev/null': %s", strerror(errno));
        }
    }
    return 0;
}

static int check_status_fd(int fd, sl_error *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return sl_error_set(err, EBADF, "option '--status-fd': descriptor '%d' is not open", fd);
    }
    if ((flags & O_ACCMODE) == O_RDONLY) {
        return sl_error_set(err, EBADF,
                            "option '--status-fd': descriptor '%d' cannot be written to", fd);
    }
    /* It tells of the command; the command itself has no business with it. */
    return fd <= STDERR_FILENO ? 0 : sl_fd_set_cloexec(fd, true);
}

static int print_policy(const sl_policy *policy)
{
    sl_error err = {.code = 0};
    sl_buf out;
    sl_buf_init(&out, SL_CLI_OUTPUT_MAX);
    int r = sl_policy_to_toml(policy, &out, &err);
    int code = r < 0 && err.code != 0 ? sl_cli_fail(&err) : sl_cli_put(r, &out);
    sl_buf_done(&out);
    return code;
}

static int run_policy(const sl_cli_run *run)
{
    sl_error err;
    int r = fill_standard(&err);
    if (r == 0 && run->status_fd >= 0) {
        r = check_status_fd(run->status_fd, &err);
    }
    if (r < 0) {
        return sl_cli_fail(&err);
    }
    r = sl_trace_open(getenv(SL_TRACE_ENV), getenv(SL_TRACE_FILE_ENV), "guardian", &err);
    if (r < 0) {
        return sl_cli_fail(&err);
    }
    unsetenv(SL_TRACE_ENV); /* the command is not told what we say of it */
    unsetenv(SL_TRACE_FILE_ENV);
    sl_run_options options = {
        .policy = run->policy,
        .argv = run->argv,
        .environ = environ,
        .status_fd = run->status_fd,
        .quiet = run->quiet,
        .interactive = run->interactive,
        .no_supervisor = run->no_supervisor,
    };
    return sl_run(&options);
}

int sl_cli_run_main(int argc, char **argv)
{
    sl_error err;
    sl_cli_run run;
    if (sl_cli_run_parse(argc, argv, &run, &err) < 0) {
        return sl_cli_fail(&err);
    }
    int code;
    if (run.help) {
        code = sl_cli_help_print(argv[0]);
    } else if (run.print_policy) {
        code = print_policy(run.policy);
    } else {
        code = run_policy(&run);
    }
    sl_cli_run_done(&run);
    return code;
}
