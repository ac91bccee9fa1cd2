/* Owns `sandlock version`. */
#include "cli/mains.h"
#include "cli/say.h"
#include "cli/simple.h"

int sl_cli_version_main(int argc, char **argv)
{
    bool json = false;
    int code = 0;
    sl_error err;
    int r = sl_cli_simple_options(argc, argv, &json, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    sl_buf out;
    sl_buf_init(&out, SL_CLI_OUTPUT_MAX);
    r = sl_buf_append_str(&out, json ? "{\"version\": \"" SANDLOCK_VERSION "\"}\n"
                                     : "sandlock " SANDLOCK_VERSION "\n");
    code = sl_cli_put(r, &out);
    sl_buf_done(&out);
    return code;
}
