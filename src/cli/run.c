/* Owns the command `run`: from words to a frozen policy and into the engine. Never runs anything
 * before all of it was understood. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/fd.h"
#include "engine/run.h"

#define TOML_MAX (16u << 20)

static int print_policy(const sl_policy *policy, sl_error *err)
{
    sl_buf out;
    sl_buf_init(&out, TOML_MAX);
    int r = sl_policy_to_toml(policy, &out, err);
    if (r == 0) {
        r = sl_fd_write_all(STDOUT_FILENO, sl_buf_head(&out), out.len);
        if (r < 0) {
            r = sl_error_set(err, -r, "cannot write the policy to standard output");
        }
    }
    sl_buf_done(&out);
    return r;
}

int sl_cli_run(char *const *argv)
{
    sl_run_args args;
    sl_error err;
    int code = 0;
    int r = sl_run_args_parse(argv, &args, &err);
    if (r == 0 && args.help) {
        sl_cli_help_run(stdout);
        goto out;
    }
    if (r == 0) {
        r = sl_policy_freeze(args.policy, &err);
    }
    if (r == 0 && args.print_policy) {
        r = print_policy(args.policy, &err);
        goto out;
    }
    if (r == 0) {
        sl_run_options options = {
            .policy = args.policy,
            .argv = args.command,
            .environ = environ,
            .status_fd = args.status_fd,
            .quiet = args.quiet,
            .no_supervisor = args.no_supervisor,
        };
        code = sl_run(&options);
    }
out:
    if (r < 0) {
        sl_cli_say(err.message);
        code = sl_error_exit_code(err.kind);
    }
    sl_run_args_done(&args);
    return code;
}
